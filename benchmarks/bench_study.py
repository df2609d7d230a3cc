"""What a sweep costs beside its forward passes and its memory simulation, and what it costs to resume one.

``python benchmarks/bench_study.py [--quick] [--network digits-vgg]``: every figure with its goal.
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

import torch
from figures import figure, in_turns
from torch.func import functional_call, vmap

from qtaml_hw._threads import single_thread
from qtaml_hw.config import Point, parse_study
from qtaml_hw.records.record import Record
from qtaml_hw.records.store import ShardWriter
from qtaml_hw.study.design.design import DesignPoint, prepare
from qtaml_hw.study.design.networks.identity import Digests, identity_of
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.study.run.engine import RecordList, run_points
from qtaml_hw.study.run.evaluate import evaluate
from qtaml_hw.study.run.task import Task, Workers

TEXT = """
study: bench
cell: {t_ox: 1.8 nm, temperature: 85 degC}
network: {name: digits-lenet}
data: {name: digits}
protection: {policy: none, correction: none}
evaluate: {at: [1 ms], images: 360, maps: {min: 16, max: 16}}
"""
GRID = """
study: grid
cell: {temperature: 85 degC}
network: {name: NETWORK}
data: {name: digits}
protection: {policy: uniform, budget: {bits: 25 %}, menu: [secded-72-64]}
evaluate: {at: [1 ms], images: 360, maps: {min: MAPS, max: MAPS}}
sweep: {grid: {cell.t_ox: {from: 1.5 nm, to: 2.0 nm, count: OXIDES}, protection.policy: [none, uniform, tac]}}
"""
GOAL_TASK_S, GOAL_RESUME_S, GOAL_GRID_S = 5e-3, 2.0, 180.0


def overhead_per_map() -> None:
    """Time of a map in the engine less its memory simulation and forward passes, records written to disk."""
    study, networks = parse_study(TEXT, name="bench"), Networks()
    (point,) = study.points()
    design = prepare(point.study, networks)
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
        evaluate(Task(0, point, identity, {}), networks, RecordList().append)
    middle = statistics.median(whole[2:])
    figure("engine overhead per map", 1e3 * middle, "ms", at_most=1e3 * GOAL_TASK_S)


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
        digest = Digests(out).find(swept[0].study)
        if digest is None:
            raise SystemExit("the trained network cannot be cached here: nothing to measure")
        (records,) = run_points([swept[0]], out)
        with ShardWriter(out) as shard:
            for number, point in enumerate(swept[1:], 1):
                same = {"identity": identity_of(point.study, digest), "label": point.label, "point": number}
                for record in records:
                    shard.append(Record(record, same))
        code = f"""
import json, resource, time
start = time.perf_counter()
from pathlib import Path
from qtaml_hw.config import load_study
from qtaml_hw.study.run.engine import run_points
found = run_points(list(load_study({str(file)!r}).points()), Path({str(out)!r}))
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([len(found), time.perf_counter() - start, used.ru_utime + used.ru_stime]))
"""
        runs = [
            json.loads(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
            for _ in range(5)
        ]
    wall, cpu = (statistics.median(run[i] for run in runs) for i in (1, 2))
    figure(
        f"resume of {runs[0][0]} finished points, wall time", wall, "s", at_most=GOAL_RESUME_S, more=f"{cpu:.2f} s CPU"
    )


def grid_points(network: str, quick: bool) -> list[Point]:
    """11 oxides x 3 policies x 16 maps; 3 x 3 x 4 when quick."""
    sizes = {"NETWORK": network, "MAPS": "4" if quick else "16", "OXIDES": "3" if quick else "11"}
    text = GRID
    for name, value in sizes.items():
        text = text.replace(name, value)
    return list(parse_study(text, name="grid").points())


def grid(network: str, quick: bool) -> None:
    """Wall seconds of the grid on two processes; `bench_sweep_shares.py` says where they go."""
    points = grid_points(network, quick)
    Networks().load(points[0].study)  # trained, so that it lies in the cache
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        found = run_points(points, Path(folder), workers=Workers(2))
        wall = time.perf_counter() - start
    what = f"{network}: {len(points)} points, {sum(map(len, found))} maps on 2 processes, wall time"
    figure(what, wall, "s", at_most=GOAL_GRID_S)


def batching(network: str, maps: int) -> None:
    """Forward passes of several fault maps at once (``torch.func.vmap``) against one after the other, alternating."""
    served = Networks().load(grid_points(network, True)[0].study)
    module, inputs = served.network.served.module, served.network.inputs
    stored = {name: torch.from_numpy(w.copy()) for name, w in served.image.decode().items()}
    faulty = [{name: w + 0.01 * torch.randn_like(w) for name, w in stored.items()} for _ in range(maps)]
    stacked = {name: torch.stack([one[name] for one in faulty]) for name in stored}
    rest = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    at_once = vmap(lambda weights: functional_call(module, {**rest, **weights}, (inputs,)))
    ways = {
        "serial": lambda: torch.stack([functional_call(module, one, (inputs,)) for one in faulty]),
        "batched": lambda: at_once(stacked),
    }
    with single_thread(), torch.inference_mode():
        same = bool((ways["serial"]() == ways["batched"]()).all())
        best = {name: min(taken) for name, taken in in_turns(ways, 6).items()}
    told = f"{1e3 * best['batched'] / maps:.1f} ms a map; kept if 1.2, same bits: {same}"
    figure(f"{network}: {maps} maps at once, times as fast", best["serial"] / best["batched"], "x", more=told)


def main() -> None:
    """All figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--network", default="digits-lenet")
    parser.add_argument("--quick", action="store_true", help="100 points, 3 oxides, 4 maps")
    asked = parser.parse_args()
    resume(100 if asked.quick else asked.points)
    overhead_per_map()
    batching(asked.network, 4)
    grid(asked.network, asked.quick)


if __name__ == "__main__":
    main()
