"""Measures the bench of docs/published.md: ``python scripts/published_bench.py --out lines.jsonl [--jobs N]``.

Every case of configs/published/bench.yaml is driven by steps as long as the mean accuracy keeps 95 % of clean: refresh
intervals are stretched together by 1.41, supplies lowered by 10 mV.  Every step is one line of JSON, written as soon
as it is measured; what a file holds already is not measured again.  ``--network resnet20 --data-folder DIR`` takes the
weights and images of that folder; a network without training images leaves out what must be trained.

``--docs`` measures nothing: it writes the tables of docs/published.md and docs/img/published-bench.png.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any, Final

import numpy as np

import qtaml_hw as q
from qtaml_hw.config import Point
from qtaml_hw.config.shipped import shipped

TARGETS: Final = (0.95, 0.99)
START_S: Final = 4e-6
STEP: Final = 2.0**0.5
START_V: Final = 0.60
STEP_V: Final = 0.01
MOST: Final = 16
AHEAD: Final = 6
SUPPLIES: Final = {
    "6T SRAM at lowered supply": ("cell.v_dd",),
    "hybrid 8T-6T": ("cell.0.v_dd", "cell.1.v_dd", "array.v_dd"),
    "Minerva, bits masked": ("cell.v_dd",),
}
"""Cases whose supply is lowered, and where it stands."""
RELATIVE: Final[Mapping[str, dict[str, tuple[float | None, ...]]]] = {
    "MCAIMem": {"refresh.0.interval": (1.0,)},
    "Kelle, halves apart": {"refresh.interval": (15.0, 1.0)},
    "SHIELD, bfloat16": {"refresh.interval": (27.0, 1.0)},
    "Nguyen": {"refresh.interval": (None, 16.0, 4.0, 1.0)},
    "6T SRAM": {},
}
"""Intervals of the other cases over that of their most significant planes (None: off), where it is not one of all."""
DOCS: Final = Path(__file__).parents[1] / "docs"
HEADS: Final = (
    "design", "keeps", "at", "area, mm2", "energy, uJ", "refresh, uW", "bits per weight", "accuracy, %", "yield, %",
)  # fmt: skip
Line = dict[str, Any]


def step_of(label: str, rung: int) -> tuple[dict[str, object], str]:
    """What a step changes, and how the table shows it; nothing where a case has one step only."""
    if label in SUPPLIES:
        shown = f"{START_V - STEP_V * rung:.2f} V"
        return dict.fromkeys(SUPPLIES[label], shown), shown
    changes: dict[str, object] = {}
    for path, ratios in RELATIVE.get(label, {"refresh.interval": (1.0,)}).items():
        texts = ["off" if one is None else f"{START_S * one * STEP**rung:.6g} s" for one in ratios]
        changes[path] = texts[0] if len(texts) == 1 else texts
    return changes, f"{START_S * STEP**rung * 1e6:.3g} us" if changes else ""


def measured(point: Point, network: str, rung: int) -> Line:
    """A case at one of its steps."""
    changes, shown = step_of(point.label, rung)
    result = q.run(point.study.with_(changes), label=point.label)
    return {"network": network, "design": point.label, "rung": rung, "at": shown, **figures(result, point)}


def last_step(label: str, lines: list[Line]) -> int:
    """The last step that a case needs, as far as its lines say: the first that misses every target."""
    missed = [line["rung"] for line in lines if line["accuracy"] < min(TARGETS) * line["clean"]]
    return min([*missed, MOST - 1 if step_of(label, 0)[0] else 0])


def measure(cases: list[Point], network: str, out: Path, jobs: int) -> None:
    """Adds to the file what it lacks; with several jobs some steps ahead of those that are known to be needed."""
    lines = [line for line in read(out) if line["network"] == network]
    ahead = 1 if jobs == 1 else AHEAD
    waiting: dict[Future[Line], Point] = {}
    asked = {(line["design"], line["rung"]) for line in lines}

    def ask(point: Point) -> None:
        own = [line for line in lines if line["design"] == point.label]
        last = last_step(point.label, own)
        open_steps = [rung for rung in range(last + 1) if (point.label, rung) not in asked]
        under_way = sum(other is point for other in waiting.values())
        for rung in open_steps[: ahead - under_way]:
            asked.add((point.label, rung))
            waiting[pool.submit(measured, point, network, rung)] = point

    with ProcessPoolExecutor(jobs) as pool:
        for point in cases[::-1]:  # the last take longest
            ask(point)
        while waiting:
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for task in done:
                line, point = task.result(), waiting.pop(task)
                lines.append(line)
                with out.open("a", encoding="utf-8") as file:
                    file.write(f"{json.dumps(line)}\n")
                print(f"{line['design']}, {line['at']}: {100 * line['accuracy']:.1f} %", flush=True)
                ask(point)


def figures(result: q.Result, point: Point) -> Line:
    """What a line says of a measured step."""
    per_s = point.study.accelerator.inferences_per_second
    return {
        "clean": result.clean_accuracy, "accuracy": result.accuracy.mean, "ci95": list(result.accuracy.ci95),
        "maps": result.maps, "yields": [one.chips for one in result.yields], "area_mm2": result.area_m2 * 1e6,
        "energy_uj": result.energy_per_inference_j * 1e6, "refresh_uw": result.refresh_energy_j * per_s * 1e6,
        "bits": result.stored_bits_per_weight,
    }  # fmt: skip


def read(path: Path) -> list[Line]:
    """The lines of a file; none where there is no file."""
    return [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def points(arguments: argparse.Namespace) -> list[Point]:
    """The cases on the network that is asked for."""
    found = list(q.load(shipped("published")["bench"], arguments.overrides).points())
    if arguments.network == "digits-lenet":
        return found
    folder = arguments.data_folder.resolve()
    changes = {
        "network": {
            "factory": "qtaml_hw.workloads.published:build", "arguments": {"name": arguments.network},
            "weights": str(folder / "networks" / f"{arguments.network}_cifar10.safetensors"),
        },
        "data": {
            "npz": str(folder / "cifar10_jpeg_test2000.npz"), "calibration": 200, "take": "spread",
            "preprocessing": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "layout": "nhwc"},
        },
        "weights.fold_batch_norm": True,
    }  # fmt: skip
    return [Point(p.label, p.values, p.study.with_(changes)) for p in found if p.study.hardening.method == "none"]


def kept(lines: list[Line], target: float) -> Line | None:
    """The furthest step of a design that keeps the target, of the steps without a miss before them."""
    best = None
    for line in sorted(lines, key=lambda one: int(one["rung"])):
        if line["accuracy"] < target * line["clean"]:
            break
        best = line
    return best


def by_design(lines: list[Line], network: str) -> dict[str, list[Line]]:
    """Lines of a network, in the order of the bench."""
    order = [point.label for point in q.load(shipped("published")["bench"]).points()]
    found = {label: [one for one in lines if (one["network"], one["design"]) == (network, label)] for label in order}
    return {label: own for label, own in found.items() if own}


def row(label: str, line: Line | None, target: float) -> str:
    """One line of the table."""
    if line is None:
        return f"| {label} | {100 * target:.0f} % | not met |{' |' * (len(HEADS) - 3)}"
    low, high = (100 * end for end in line["ci95"])
    cells = (
        label, f"{100 * target:.0f} %", line["at"], f"{line['area_mm2']:.4g}", f"{line['energy_uj']:.4g}",
        f"{line['refresh_uw']:.4g}", f"{line['bits']:.2f}", f"{100 * line['accuracy']:.1f} ({low:.1f} to {high:.1f})",
        f"{100 * line['yields'][TARGETS.index(target)]:.0f}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def table(lines: list[Line], network: str) -> str:
    """The bench of a network as Markdown."""
    rows = [
        row(label, kept(own, target), target) for label, own in by_design(lines, network).items() for target in TARGETS
    ]
    return "\n".join([f"| {' | '.join(HEADS)} |", f"|{'---|' * len(HEADS)}", *rows])


def write_docs(lines: list[Line]) -> None:
    """Puts the tables between their markers, and draws the figure."""
    page = DOCS / "published.md"
    text = page.read_text(encoding="utf-8")
    for network in dict.fromkeys(line["network"] for line in lines):
        before, rest = text.split(f"<!-- table: {network} -->\n")
        text = f"{before}<!-- table: {network} -->\n{table(lines, network)}\n{rest[rest.index('<!-- end -->') :]}"
    page.write_text(text, encoding="utf-8")
    draw(lines, DOCS / "img" / "published-bench.png")


def draw(lines: list[Line], png: Path) -> None:
    """Area against energy of what keeps 95 %, a panel per network; the line joins what nothing beats in both."""
    from matplotlib.figure import Figure  # a machine that only measures may lack it

    networks = list(dict.fromkeys(line["network"] for line in lines))
    numbers = {label: n for n, label in enumerate(dict.fromkeys(line["design"] for line in lines), 1)}
    figure = Figure(figsize=(4.6 * len(networks) + 2.2, 4.6), layout="constrained")
    panels = figure.subplots(1, len(networks) + 1, squeeze=False, width_ratios=[*[1.0] * len(networks), 0.42])[0]
    for axes, network in zip(panels[:-1], networks, strict=True):
        designs = {label: kept(own, min(TARGETS)) for label, own in by_design(lines, network).items()}
        met = [(label, line["area_mm2"], line["energy_uj"]) for label, line in designs.items() if line is not None]
        at: dict[tuple[float, float], list[str]] = {}
        for label, area, energy in met:
            at.setdefault((float(f"{area:.2g}"), float(f"{energy:.2g}")), []).append(str(numbers[label]))
            axes.plot(area, energy, "o", color="tab:blue", markersize=5)
        for place, found in at.items():
            axes.annotate(", ".join(found), place, xytext=(5, 4), textcoords="offset points", fontsize=9)
        front = sorted((a, e) for _, a, e in met if not any(b <= a and f <= e and (b, f) != (a, e) for _, b, f in met))
        axes.plot(*np.array(front).T, color="tab:orange", linewidth=1, zorder=0)
        axes.set(xscale="log", yscale="log", xlabel="Area (mm²)", ylabel="Energy per inference (µJ)", title=network)
    panels[-1].axis("off")
    key = "\n".join(f"{number}  {label}" for label, number in numbers.items())
    panels[-1].text(0.0, 1.0, key, va="top", fontsize=9, transform=panels[-1].transAxes, linespacing=1.35)
    figure.savefig(png, dpi=100)


def main() -> None:
    """Measures what the file lacks, or writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="lines of JSON; measured steps are kept there")
    parser.add_argument("--network", choices=("digits-lenet", "resnet20"), default="digits-lenet")
    parser.add_argument("--data-folder", type=Path, help="folder of the weights and images of resnet20")
    parser.add_argument("--jobs", type=int, default=1, help="steps measured at once")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="PATH=VALUE")
    parser.add_argument("--docs", action="store_true", help="write the page and its figure from the lines")
    arguments = parser.parse_args()
    if arguments.docs:
        return write_docs(read(arguments.out))
    if arguments.network != "digits-lenet" and arguments.data_folder is None:
        parser.error("--data-folder names the folder of its weights and images")
    measure(points(arguments), arguments.network, arguments.out, arguments.jobs)
    return None


if __name__ == "__main__":
    main()
