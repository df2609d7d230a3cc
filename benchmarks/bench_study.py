"""What a sweep costs beside its forward passes and its memory simulation, and what it costs to resume one.

``python benchmarks/bench_study.py [--points 1000]``: every figure with its goal.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from qtaml_hw.config import parse_study
from qtaml_hw.study.engine import Memory, run_points
from qtaml_hw.study.evaluation import Task, evaluate
from qtaml_hw.study.identity import DigestBook, identity_of
from qtaml_hw.study.point import DesignPoint, prepare
from qtaml_hw.study.store import ShardWriter
from qtaml_hw.study.subject import Workshop

TEXT = """
study: bench
cell: {t_ox: 1.8 nm, temperature: 85 degC}
network: {name: digits-lenet}
data: {name: digits}
protection: {policy: none, correction: none}
evaluate: {at: [1 ms], images: 360, maps: {min: 16, max: 16}}
"""
GOAL_TASK_S, GOAL_RESUME_S = 5e-3, 2.0


def overhead_per_map() -> None:
    """Time of a map in the engine less its memory simulation and forward passes, records written to disk."""
    study, workshop = parse_study(TEXT, name="bench"), Workshop()
    (point,) = study.points()
    design = prepare(point, 0, workshop)
    identity = design.identity
    inside: list[float] = []
    timed = _timed_parts(design, inside)
    whole = []
    with tempfile.TemporaryDirectory() as folder, ShardWriter(Path(folder)) as shard:
        for index in range(40):
            inside.clear()
            start = time.perf_counter()
            shard.append(timed.record(index))
            whole.append(time.perf_counter() - start - sum(inside))
        evaluate(Task(0, point, identity, {}), workshop, Memory().append)
    middle = statistics.median(whole[2:])
    print(f"engine overhead per map: {1e3 * middle:.2f} ms (goal <= {1e3 * GOAL_TASK_S:g} ms)")


def _timed_parts(design: DesignPoint, inside: list[float]) -> DesignPoint:
    """The same point, whose simulation and forward passes report how long they took."""

    class Timed(DesignPoint):
        def score(self, codes):  # type: ignore[no-untyped-def]
            start = time.perf_counter()
            found = super().score(codes)
            inside.append(time.perf_counter() - start)
            return found

    class Chip:
        def run(self, *args, **named):  # type: ignore[no-untyped-def]
            start = time.perf_counter()
            found = design.chip.run(*args, **named)
            inside.append(time.perf_counter() - start)
            return found

    fields = {name: getattr(design, name) for name in design.__dataclass_fields__}
    return Timed(**{**fields, "chip": Chip()})


def resume(points: int) -> None:
    """Wall and CPU seconds of ``sweep`` over a finished store, in a new process."""
    axis = f"sweep: {{grid: {{cell.t_ox: {{from: 1.5 nm, to: 2.0 nm, count: {points}}}}}}}\n"
    text = TEXT.replace("min: 16, max: 16", "min: 8, max: 8") + axis
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder) / "study.yaml", Path(folder) / "out"
        file.write_text(text, encoding="utf-8")
        study = parse_study(text, name=str(file), folder=Path(folder))
        swept = study.points()
        run_points([swept[0]], out)  # leaves the digests
        digest = DigestBook(out).find(swept[0].study)
        if digest is None:
            raise SystemExit("the trained network cannot be cached here: nothing to measure")
        (records,) = run_points([swept[0]], out)
        with ShardWriter(out) as shard:
            for number, point in enumerate(swept[1:], 1):
                same = {"identity": identity_of(point.study, digest), "label": point.label, "point": number}
                for record in records:
                    shard.append({**record, **same})
        code = f"""
import json, resource, time
start = time.perf_counter()
from pathlib import Path
from qtaml_hw.config import load_study
from qtaml_hw.study.engine import run_points
found = run_points(list(load_study({str(file)!r}).points()), Path({str(out)!r}))
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([len(found), time.perf_counter() - start, used.ru_utime + used.ru_stime]))
"""
        runs = [
            json.loads(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
            for _ in range(5)
        ]
    wall, cpu = (statistics.median(run[i] for run in runs) for i in (1, 2))
    print(f"resume of {runs[0][0]} finished points: {wall:.2f} s wall, {cpu:.2f} s CPU (goal < {GOAL_RESUME_S:g} s)")


def main() -> None:
    """Both figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=1000)
    resume(parser.parse_args().points)
    overhead_per_map()


if __name__ == "__main__":
    main()
