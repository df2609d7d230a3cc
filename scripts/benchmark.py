"""Runs benchmarks, keeps what they find per machine and commit, and compares it with what was found before.

``python scripts/benchmark.py [PART ...] [--save] [--compare] [--page]``.  Kept figures lie in
``benchmarks/kept/MACHINE/COMMIT.json``; parts that are measured again at a commit replace those of before.  ``--page``
writes ``docs/performance.md`` from the newest kept figures of every machine, and runs nothing when it stands alone.
"""

from __future__ import annotations

import argparse
import ast
import datetime
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
from figures import COLLECT  # noqa: E402  # beside the benchmarks, which are scripts too

from qtaml_hw.errors import unknown  # noqa: E402

FOLDER, KEPT, PAGE = ROOT / "benchmarks", ROOT / "benchmarks" / "kept", ROOT / "docs" / "performance.md"
PACKAGES = ("numpy", "numba", "scipy", "torch", "stim")
NEAR = 0.10  # ratios within this of 1 are noise of a shared machine


@dataclass(frozen=True)
class Figure:
    """One figure as a benchmark said it; ``sense`` is "<=" or ">=" where there is a goal."""

    part: str
    what: str
    value: float
    unit: str
    goal: float | None
    sense: str | None
    more: str

    @property
    def name(self) -> tuple[str, str, str]:
        """What two runs have in common."""
        return self.part, self.what, self.unit

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without one."""
        if self.goal is None:
            return None
        return self.value <= self.goal if self.sense == "<=" else self.value >= self.goal


@dataclass(frozen=True)
class Run:
    """Figures of one commit on one machine."""

    machine: str
    cores: int
    commit: str
    date: str
    versions: dict[str, str]
    figures: tuple[Figure, ...]


def machine() -> str:
    """The processor's name, as Linux has it or as Python does."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text(encoding="utf-8")) if info.exists() else None
    return found[1].strip() if found else platform.processor() or platform.machine()


def measure(parts: Sequence[str]) -> Run:
    """Runs the benchmarks ``parts`` one after the other; raises ValueError for a name that is none."""
    there = sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))
    if wrong := [part for part in parts if part not in there]:
        raise ValueError("; ".join(unknown("benchmark", part, there) for part in wrong))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.jsonl"
        file.touch()
        for part in parts or there:
            print(f"== {part}", flush=True)
            command = [sys.executable, str(FOLDER / f"bench_{part}.py")]
            done = subprocess.run(command, env={**os.environ, COLLECT: str(file)}, cwd=ROOT)
            if done.returncode:
                print(f"bench_{part}.py ended with {done.returncode}", file=sys.stderr)
        figures = tuple(Figure(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines())
    changed = _git("status", "--porcelain", "--", ".", ":!benchmarks/kept", ":!docs/performance.md")
    commit = _git("rev-parse", "--short", "HEAD") + ("-changed" if changed else "")
    versions = {"Python": platform.python_version()}
    versions |= {name: version for name in PACKAGES if (version := _version(name)) is not None}
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return Run(machine(), os.cpu_count() or 1, commit, date, versions, figures)


def _git(*words: str) -> str:
    return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True).stdout.strip()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def read_runs(kept: Path = KEPT) -> list[Run]:
    """All kept runs, oldest first."""
    texts = [json.loads(path.read_text(encoding="utf-8")) for path in kept.glob("*/*.json")]
    runs = [Run(**{**text, "figures": tuple(Figure(**f) for f in text["figures"])}) for text in texts]
    return sorted(runs, key=lambda run: run.date)


def save(run: Run, kept: Path = KEPT) -> Path:
    """Keeps a run; of one at the same commit and machine, the parts that were not measured again stay."""
    folder = kept / re.sub(r"[^a-z0-9]+", "-", f"{run.machine} {run.cores}".lower()).strip("-")
    before = [r for r in read_runs(kept) if (r.machine, r.cores, r.commit) == (run.machine, run.cores, run.commit)]
    again = {figure.part for figure in run.figures}
    stay = [figure for r in before for figure in r.figures if figure.part not in again]
    path = folder / f"{run.commit}.json"
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**asdict(run), "figures": [asdict(f) for f in (*stay, *run.figures)]}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def newest(runs: Sequence[Run]) -> dict[tuple[str, str, str], tuple[Figure, Run]]:
    """Of runs in order, the last that measured a part holds its figures."""
    holders = {figure.part: run for run in runs for figure in run.figures}
    return {f.name: (f, run) for part, run in holders.items() for f in run.figures if f.part == part}


def compared(run: Run, before: Sequence[Run]) -> Iterator[str]:
    """A line per figure that an earlier run on the same machine has too."""
    last = newest([r for r in before if (r.machine, r.cores) == (run.machine, run.cores)])
    for figure in run.figures:
        if figure.name not in last or not last[figure.name][0].value:
            continue
        old, holder = last[figure.name]
        ratio = figure.value / old.value
        mark = "" if abs(ratio - 1.0) <= NEAR else "  <-- more" if ratio > 1.0 else "  <-- less"
        yield (
            f"{figure.part + ': ' + figure.what:<84} {figure.value:>10.4g} {figure.unit:<14} "
            f"was {old.value:<10.4g} ({holder.commit})  ratio {ratio:.2f}{mark}"
        )


def page(runs: Sequence[Run]) -> str:
    """The documentation page: a table per benchmark, of the newest figures on every machine that kept some."""
    lines = [
        "# Performance",
        "",
        "Written by `scripts/benchmark --page` from the figures that `scripts/benchmark --save` kept in",
        "`benchmarks/kept`: what each file of `benchmarks/` measures beside its goal, goals that are missed included.",
        "CPU seconds of one core unless a row says otherwise; peers ran in the same process, in turns. Shared machines",
        "move by ten per cent: ratios say more than seconds.",
    ]
    for name, cores in sorted({(run.machine, run.cores) for run in runs}):
        here = newest([run for run in runs if (run.machine, run.cores) == (name, cores)])
        lines += ["", f"## {name}, {cores} cores"]
        for part in sorted({figure.part for figure, _ in here.values()}):
            rows = [(figure, run) for figure, run in here.values() if figure.part == part]
            title = ast.get_docstring(ast.parse((FOLDER / f"bench_{part}.py").read_text(encoding="utf-8"))) or part
            run = rows[0][1]
            with_versions = ", ".join(f"{package} {version}" for package, version in run.versions.items())
            lines += ["", f"### {part}", "", title.splitlines()[0].split(": ``")[0].split(": `")[0]]
            lines += ["", f"Commit {run.commit}, {run.date[:10]}; {with_versions}.", ""]
            lines += ["| figure | value | goal | |", "|---|---|---|---|"]
            for figure, _ in rows:
                goal = "" if figure.goal is None else f"{figure.sense} {figure.goal:g}"
                verdict = {None: "", True: "met", False: "**missed**"}[figure.met]
                beside = "; ".join(text for text in (verdict, figure.more) if text)
                lines.append(f"| {figure.what} | {figure.value:.4g} {figure.unit} | {goal} | {beside} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """As the file's docstring says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="benchmarks/bench_PART.py; all if none is named")
    parser.add_argument("--save", action="store_true", help="keep the figures in benchmarks/kept")
    parser.add_argument("--compare", action="store_true", help="beside the last kept figures of this machine")
    parser.add_argument("--page", action="store_true", help="write docs/performance.md from what is kept")
    asked = parser.parse_args()
    if asked.save or asked.compare or asked.parts or not asked.page:
        before = read_runs()
        try:
            run = measure(asked.parts)
        except ValueError as error:
            parser.error(str(error))
        if asked.compare:
            print("\n".join(compared(run, before)) or "nothing kept on this machine to compare with")
        if asked.save:
            print(f"kept in {save(run).relative_to(ROOT)}")
    if asked.page:
        PAGE.write_text(page(read_runs()), encoding="utf-8")
        print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
