"""Where the CPU time of a sweep goes: forward passes, memory simulation, preparation of points, all else.

``python benchmarks/bench_sweep_shares.py [--oxides 11] [--maps 16] [digits-lenet resnet20 study.yaml ...]``

A name is a network of the zoo on the digits, or ResNet-20 on CIFAR-10, which is left out where its data are not there;
a file is a study of your own, over whose sweep the same shares are taken.
CPU seconds of this process, so that others on the machine do not count.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from figures import figure

from qtaml_hw._threads import single_thread
from qtaml_hw.config import Point, Study, load_study, parse_study
from qtaml_hw.memory import Memory
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.study.design.networks.network import Network
from qtaml_hw.study.run import evaluate
from qtaml_hw.study.run.engine import run_points

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.realnets import data_folder

GRID = """
study: shares
cell: {{temperature: 85 degC}}
{network}
protection: {{policy: uniform, budget: {{bits: 25 %}}, menu: [secded-72-64]}}
evaluate: {{at: [1 ms], images: 360, device: cpu, maps: {{min: {maps}, max: {maps}}}}}
sweep:
  grid: {{cell.t_ox: {{from: 1.5 nm, to: 2.0 nm, count: {oxides}}}, protection.policy: [none, uniform, tac]}}
"""
DIGITS = "network: {{name: {name}}}\ndata: {{name: digits}}"
RESNET20 = """
weights: {{scale: per_channel, fold_batch_norm: true}}
network:
  factory: "qtaml_hw.workloads.published:build"
  arguments: {{name: resnet20}}
  weights: {folder}/networks/resnet20_cifar10.safetensors
data:
  npz: {folder}/cifar10_jpeg_test2000.npz
  preprocessing: {{layout: nhwc, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}}
  take: spread
"""
GOALS, DEEP = {"digits-lenet": 70.0}, 90.0
"""Share of the forward passes of maps, in %: of a small network, of all others."""


@contextmanager
def watched(home: object, name: str, what: str, spent: dict[str, float]) -> Iterator[None]:
    """Adds up the CPU seconds inside a function; those of watched functions that it calls are theirs."""
    inner = getattr(home, name)

    def timed(*args, **named):  # type: ignore[no-untyped-def]
        start, others = time.process_time(), sum(spent.values())
        try:
            return inner(*args, **named)
        finally:
            own = time.process_time() - start - (sum(spent.values()) - others)
            spent[what] = spent.get(what, 0.0) + own

    setattr(home, name, timed)
    try:
        yield
    finally:
        setattr(home, name, inner)


def shares(title: str, points: list[Point]) -> None:
    """Prints one line per part."""
    networks, spent = Networks(), dict[str, float]()
    networks.load(points[0].study)
    with (
        single_thread(),
        watched(Network, "begun", "forward passes", spent),
        watched(Memory, "run", "memory simulation", spent),
        watched(evaluate, "prepare_point", "preparation", spent),
    ):
        start = time.process_time()
        records = run_points(points, None, networks=networks)
        whole = time.process_time() - start
    spent["all else"] = whole - sum(spent.values())
    told = f"{len(points)} points, {sum(map(len, records))} maps, {whole:.1f} s CPU"
    for what, seconds in spent.items():
        goal = GOALS.get(title, DEEP) if what == "forward passes" else None
        figure(f"{title}: {what}", 100.0 * seconds / whole, "% of a sweep", at_least=goal, more=told)
    figure(f"{title}: preparation", 1e3 * spent["preparation"] / len(points), "ms a point", at_most=20.0)


def study_of(name: str, oxides: int, maps: int) -> Study:
    """The study of a network, or of a file; FileNotFoundError if real data that it needs are not there."""
    if Path(name).suffix in (".yaml", ".yml"):
        return load_study(name)
    network = RESNET20.format(folder=data_folder()) if name == "resnet20" else DIGITS.format(name=name)
    return parse_study(GRID.format(network=network, oxides=oxides, maps=maps), name=name)


def main() -> None:
    """All networks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=["digits-lenet", "digits-resnet", "resnet20"])
    parser.add_argument("--oxides", type=int, default=11)
    parser.add_argument("--maps", type=int, default=16)
    asked = parser.parse_args()
    for name in asked.networks:
        try:
            points = list(study_of(name, asked.oxides, asked.maps).points())
        except FileNotFoundError as error:
            print(f"{name}: not measured, {error}")
            continue
        shares(name, points)


if __name__ == "__main__":
    main()
