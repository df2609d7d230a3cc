"""What ten thousand points cost beside their fault maps, and a gigabit of memory: every figure with its goal.

    python benchmarks/bench_width.py [expand report resume cluster gigabit] [--points 10000]

Every figure is that of a process of its own: CPU seconds (user and system) and peak memory.  The finished points are
two that were evaluated, written again under the identities of the others through the store's own writer.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from figures import figure, told_by

STUDY = """
study: wide
cell: {temperature: 85 degC}
network: {name: digits-lenet}
data: {name: digits}
protection: {policy: none, correction: none}
evaluate: {at: [1 ms], images: 360, maps: {min: 8, max: 8}}
sweep:
  grid:
    cell.t_ox: {from: 1.5 nm, to: 2.0 nm, count: OXIDES}
    refresh.interval: {from: 10 us, to: 1 ms, count: INTERVALS, spacing: log}
"""
GOALS = {  # CPU seconds, peak MB
    "expand": (5.0, 300.0),
    "resume": (10.0, None),
    "report": (60.0, None),
    "gigabit": (10.0, 2000.0),
}
GOAL_CLUSTER_S = 10e-3
WORKERS = 4


def write_study(folder: Path, points: int) -> Path:
    """The study file of so many points."""
    oxides = max(1, int(points**0.5))
    text = STUDY.replace("OXIDES", str(oxides)).replace("INTERVALS", str(points // oxides))
    file = folder / "wide.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def store(file: str, out: str) -> None:
    """A store in which every point is finished."""
    from qtaml_hw.config import load_study
    from qtaml_hw.records.store import ShardWriter
    from qtaml_hw.study.design.networks.identity import Digests, identity_of
    from qtaml_hw.study.run.engine import run_points
    from qtaml_hw.study.run.task import place

    points = load_study(Path(file)).points()
    ends = [points[0], points[-1]]
    done = run_points(ends, Path(out))
    digest = Digests(Path(out)).find(points[0].study)
    if digest is None:
        raise SystemExit("the trained network cannot be cached here: nothing to measure")
    with ShardWriter(Path(out)) as shard:
        for number, point in enumerate(points[1:-1], 1):
            own = {**place(point, number), "identity": identity_of(point.study, digest)}
            for record in done[number % 2]:
                shard.append(type(record)(record, own))


def alone(what: str, *arguments: object) -> dict[str, float]:
    """What a process of its own uses for one of the jobs below."""
    return told_by(__file__, "--job", what, *map(str, arguments))


def expand(file: str) -> None:
    """Read a study and check all its points."""
    from qtaml_hw.config import load_study

    load_study(Path(file)).points()


def command(*arguments: str) -> None:
    """A command of the program, as from the shell; what it prints is thrown away."""
    from qtaml_hw.cli import main

    sys.argv = ["qtaml-hw", *arguments]
    kept, sys.stdout = sys.stdout, open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # until the process ends
    try:
        main()
    except SystemExit as stop:
        if stop.code:
            raise
    finally:
        sys.stdout = kept


def resume(file: str, out: str) -> None:
    """Recognise every point of a study as finished."""
    from qtaml_hw.config import load_study
    from qtaml_hw.study.run.engine import run_points

    run_points(list(load_study(Path(file)).points()), Path(out))


def gigabit() -> None:
    """One fault map of 2^30 bits, of which one in ten thousand is weak, SEC-DED on two planes."""
    import numpy as np
    from bench_memory import Cells, secded_plan

    from qtaml_hw.memory import ArrayGeometry, Memory, Schedule

    rng, refresh_s = np.random.default_rng(1), 1e-3
    codes = tuple(rng.integers(0, 256, 2**27 // 32, dtype=np.uint8) for _ in range(32))
    schedule = Schedule(horizon_s=0.1, refresh_interval_s=refresh_s, scrub_interval_s=20e-3, sample_times_s=(0.1,))
    Memory(codes, 8, secded_plan(codes), ArrayGeometry(banks=64, row_bits=2048), schedule).run(
        Cells(1e-4, refresh_s), seed=1
    )


def cluster(file: str, out: str) -> dict[str, float]:
    """Every point through the workers of a local Dask cluster, where a fault map is a record that is there already."""
    from qtaml_hw.config import load_study
    from qtaml_hw.records.record import Record
    from qtaml_hw.records.store import ShardWriter, read_records
    from qtaml_hw.records.summary import summarise
    from qtaml_hw.study.run import cluster as module
    from qtaml_hw.study.run.task import Task, Workers

    class Trivial(module.Worker):
        """Points that need no work."""

        made = read_records(Path(out))[:8]  # of one point

        def point(self, task: Task) -> Trivial:
            self.task = task
            return self

        def record(self, index: int) -> Record:
            return Record(self.made[index], {"identity": self.task.identity, "point": self.task.number})

    module.Worker = Trivial
    points = load_study(Path(file)).points()
    tasks = [Task(number, point, f"{number:032x}") for number, point in enumerate(points)]
    start, before_s = time.perf_counter(), all_cpu_s()
    with tempfile.TemporaryDirectory() as folder, ShardWriter(Path(folder)) as shard:
        keep = lambda _, records: summarise(records)[0]  # noqa: E731
        found = module.on_cluster(tasks, Workers(WORKERS, "local"), shard.append, lambda *_: None, keep)
    assert all(len(found[task.number].accuracies) == 8 for task in tasks)
    return {"sweep_wall_s": time.perf_counter() - start, "sweep_cpu_s": all_cpu_s() - before_s}


def all_cpu_s() -> float:
    """CPU seconds of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


JOBS: dict[str, Callable[..., dict[str, float] | None]] = {
    "store": store,
    "expand": expand,
    "command": command,
    "resume": resume,
    "gigabit": gigabit,
    "cluster": cluster,
}


def job(what: str, arguments: list[str]) -> None:
    """Do one job and say what this process used."""
    start = time.perf_counter()
    more = JOBS[what](*arguments)
    used = resource.getrusage(resource.RUSAGE_SELF)
    found = {"cpu_s": used.ru_utime + used.ru_stime, "wall_s": time.perf_counter() - start}
    print(json.dumps({**found, "peak_mb": used.ru_maxrss / 1000, **(more or {})}))


def figures_of(what: str, name: str, *arguments: object) -> None:
    """Figures of a job beside the goals of its part."""
    found, (seconds, peak) = alone(*map(str, arguments)), GOALS[name]
    figure(what, found["cpu_s"], "s CPU", at_most=seconds, more=f"{found['wall_s']:.1f} s wall")
    figure(f"{what}: peak memory", found["peak_mb"], "MB", at_most=peak)


def each(what: str, points: int, found: dict[str, float]) -> None:
    """What a point costs beside its work in client, scheduler and workers, their start included."""
    wall = f"{1e3 * found['sweep_wall_s'] / points:.1f} ms wall"
    figure(f"{what}, CPU each", 1e3 * found["sweep_cpu_s"] / points, "ms", at_most=1e3 * GOAL_CLUSTER_S, more=wall)
    figure(f"{what}: peak memory of client and scheduler", found["peak_mb"], "MB")


def main() -> None:
    """All figures, or those named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["expand", "report", "resume", "cluster", "gigabit"])
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--store", type=Path, help="keep the store here and use it again")
    parser.add_argument("--job", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.job:
        job(asked.job[0], asked.job[1:])
        return
    with tempfile.TemporaryDirectory() as made:
        folder = asked.store or Path(made)
        folder.mkdir(exist_ok=True)
        file, out = write_study(folder, asked.points), folder / "out"
        sweep = ("sweep", file, "--out", out, "--quiet")
        if {"resume", "report", "cluster"} & {*asked.parts} and not out.is_dir():
            alone("store", file, out)  # a process inherits the peak memory of the one that starts it
        points = f"{asked.points:,} points"
        if "expand" in asked.parts:
            figures_of(f"{points} expanded and checked", "expand", "expand", file)
            figures_of(f"{points} by `validate`", "expand", "command", "validate", file)
        if "report" in asked.parts:
            figures_of(f"{points}, finished: `sweep` that writes the report", "report", "command", *sweep)
            figures_of(f"{points}, finished: `report`", "report", "command", "report", out)
        if "resume" in asked.parts:
            figures_of(f"{points}, finished: recognised", "resume", "resume", file, out)
            figures_of(f"{points}, finished: `sweep` with its table", "resume", "command", *sweep)
        if "cluster" in asked.parts:
            each(f"{points} of no work by {WORKERS} Dask workers", asked.points, alone("cluster", file, out))
        if "gigabit" in asked.parts:
            figures_of("one map of 1 Gbit at p = 1e-4", "gigabit", "gigabit")


if __name__ == "__main__":
    main()
