"""Stored bits per weight that keep an accuracy: ``python scripts/joint_table.py --data DIR --out FILE.jsonl``.

For every network, flip probability, accounting of protected bits and method, budgets on a ladder are searched for the
smallest that keeps 95 % of the clean accuracy, and the rungs around it are measured too.  Every rung is one line of
JSON, written as soon as it is measured; what a file already holds is not measured again, so the command goes on where
it was stopped.  All side information is counted.

Methods: ``msp``, the same number of top planes of an int8 weight everywhere; ``tac``, planes of an int8 weight by
layer; ``uniform``, one width (bits, protected planes) everywhere; ``joint``, a width for every layer.  The last two
choose their steps and round their codes in the same way, and how many planes may stay open by soft agreement on
unlabelled inputs.  Accountings: ``ideal``, a bit for every protected bit; ``shannon``, the least that any code can
have; ``code``, long block codes that decode, simulated word for word.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from qtaml_hw import tac
from qtaml_hw.arrays import Bool, Float64
from qtaml_hw.channel import FlipChannel
from qtaml_hw.errors import InputError
from qtaml_hw.memory import ArrayGeometry, FixedCells, Memory
from qtaml_hw.names import Direction
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.reproduce.flips import FixedFlips
from qtaml_hw.reproduce.networks import Benchmark, Storage, published, zoo
from qtaml_hw.reproduce.trial import AT_ONCE
from qtaml_hw.study.design.networks.network import StoredNetwork
from qtaml_hw.tac.allocation.spending import plan_by_damage
from qtaml_hw.tac.decoding.side import side_information
from qtaml_hw.tac.prediction.agreement import soft_agreement
from qtaml_hw.tac.prediction.crossing import last_passing
from qtaml_hw.weights import Codes, StoredImage, WeightFormat, quantise
from qtaml_hw.weights.moments import input_moments

REAL: Final = ("dscnn", "resnet8", "lenet-cifar", "resnet20", "resnet56")
ZOO: Final = ("digits-lenet", "digits-vgg", "digits-resnet", "digits-mobilenet", "digits-transformer")
IMAGES: Final = {"resnet56": 100}
MOST_IMAGES: Final = 200
METHODS: Final = ("msp", "tac", "uniform", "joint")
ACCOUNTINGS: Final = ("ideal", "shannon", "code")
CODES: Final = {
    0.10: ("ldpc-16384-0.43", "ldpc-4096-0.4", "ldpc-1024-0.4"),
    0.05: ("ldpc-16384-0.6", "ldpc-4096-0.571", "ldpc-1024-0.571"),
    0.01: ("ldpc-16384-0.86", "ldpc-4096-0.85", "secded-39-32"),
}
"""Codes that are tried together by flip probability: long ones, and shorter ones for small tensors."""
MAPS, SEED, DRAWS = 8, 2026, 4
KEEP: Final = 0.95
PER_OCTAVE: Final = 12  # rungs of total bits: 6 %
MOST_BITS: Final = 20.0
FLOOR: Final = 2.2
AROUND: Final = (-4, -3, -2, -1, 1, 2)  # rungs beside the crossing that are measured too


@dataclass(frozen=True)
class Cell:
    """One search: a network at a flip probability, how protected bits are paid, and who plans."""

    network: str
    p: float
    direction: Direction
    accounting: str
    method: str

    @property
    def entries(self) -> tuple[str, ...]:
        """Menu entries of the accounting."""
        fixed = {"ideal": ("ideal-1",), "shannon": ("shannon",)}
        return fixed[self.accounting] if self.accounting in fixed else CODES.get(self.p, ())

    def bits(self, rung: int, most: float) -> float:
        """Total stored bits of a rung: a ladder of what comes on top of int8 for the first two methods."""
        if self.method in ("msp", "tac"):
            return 8.0 + (most - 8.0) * 2.0 ** (-rung / 6.0)
        return MOST_BITS * 2.0 ** (-rung / PER_OCTAVE)

    @property
    def rungs(self) -> int:
        """Last rung of the ladder."""
        return 36 if self.method in ("msp", "tac") else int(np.log2(MOST_BITS / FLOOR) * PER_OCTAVE)


@lru_cache(maxsize=2)
def stored(name: str, folder: Path) -> StoredNetwork:
    """A network as the paper stores it, judged on its images; kept by the process that measures it."""
    benchmark: Benchmark = published(name, folder, 0.1) if name in REAL else zoo(name, 0.1)
    return benchmark.stored(IMAGES.get(name, MOST_IMAGES), Storage())


@lru_cache(maxsize=2)
def uncoded(name: str, folder: Path) -> tuple[tac.Uncoded, Float64]:
    """What is rounded, and what compensated rounding saves of every layer."""
    found = stored(name, folder)
    network, calibration = found.network, found.calibration
    assert calibration.inputs is not None
    image = quantise(network.weights, WeightFormat(8), "per_channel_log8")
    moments = input_moments(network.served.module, set(image.names), calibration.inputs)
    source, plain = tac.Uncoded(image, network.weights, moments), FlipChannel.uniform(0.0, 8)
    table = tac.WidthTable(image, network.weights, calibration.importance, plain, tac.Menu.of(["ideal"]))
    return source, tac.compensation(table, source)


@dataclass(eq=False)
class Bench:
    """What one cell is measured with."""

    cell: Cell
    folder: Path
    plans: dict[int, tac.Planned | None] = field(default_factory=dict)

    @cached_property
    def stored(self) -> StoredNetwork:
        return stored(self.cell.network, self.folder)

    @cached_property
    def channel(self) -> FlipChannel:
        return FlipChannel.uniform(self.cell.p, 8, direction=self.cell.direction)

    @cached_property
    def menu(self) -> tac.Menu:
        return tac.Menu.of(self.cell.entries, self.channel)

    @cached_property
    def table(self) -> tac.WidthTable:
        source, _ = uncoded(self.cell.network, self.folder)
        return tac.WidthTable(source.image, source.weights, self.stored.calibration.importance, self.channel, self.menu)

    @property
    def most_bits(self) -> float:
        """Total bits per weight with every plane of int8 protected."""
        image = self.stored.image
        top = ProtectionPlan.uniform_msb(image.tensor_starts, 8, 8, self.menu.names[1])
        return self.total_bits(tac.Planned(top)) / image.weights

    def total_bits(self, planned: tac.Planned) -> float:
        """Data and check bits, scales, and what tells layers and open planes apart."""
        image, plan = planned.image or self.stored.image, planned.plan
        side = side_information(plan, "none" if planned.image is None else "planes")
        return plan.stored_bits + plan.parity_bits + image.metadata_bits + side.class_bits + side.correction_bits

    def planned(self, rung: int) -> tac.Planned | None:
        """The plan of a rung; None where its budget buys no weights."""
        if rung not in self.plans:
            weights = self.stored.image.weights
            budget = self.cell.bits(rung, self.most_bits) * weights
            try:
                self.plans[rung] = self._int8(budget) if self.cell.method in ("msp", "tac") else self._widths(budget)
            except ValueError:
                self.plans[rung] = None
        return self.plans[rung]

    def _int8(self, budget: float) -> tac.Planned:
        image = self.stored.image
        extra = max(0.0, budget - image.stored_bits - image.metadata_bits)
        per_bit = tuple(float(e.parity_per_bit) for e in self.menu.entries)
        prices = tac.Prices(per_bit, (0.0,) * len(per_bit), extra, "check bits", true_cost=lambda p: p.parity_bits)
        layers = self.stored.calibration.damage(image, "layer")
        if self.cell.method == "tac":
            return plan_by_damage(
                layers, self.channel, self.menu, prices, image=image, kind="layer", policy="tac", solver="exact"
            )
        planning = tac.Planning(
            "uniform", image, self.channel, self.menu, tac.Budget("parity", extra, prices), "layer", "greedy",
            lambda worth, planning: layers,
        )  # fmt: skip
        return tac.POLICIES["uniform"](planning)

    def _widths(self, budget: float) -> tac.Planned:
        source, credit = uncoded(self.cell.network, self.folder)
        problem = tac.JointProblem(self.table, budget, source, credit, self.cell.method)
        choose = problem.best if self.cell.method == "joint" else problem.uniform
        return choose(self._agreement)

    def _agreement(self, planned: tac.Planned) -> float:
        """Soft agreement on the calibration inputs, mean over drawn flips."""
        assert planned.image is not None
        calibration, rng = self.stored.calibration, np.random.default_rng(SEED)
        decoder = tac.ProtectedImage(planned.image, planned.plan, self.channel).decoder("planes")
        clean = calibration.outputs(self.stored.network.weights)
        noisy = [
            calibration.outputs(decoder.decode(tac.drawn_codes(planned.image, planned.plan, self.channel, rng)))
            for _ in range(DRAWS)
        ]
        return float(np.mean([soft_agreement(clean, one) for one in noisy]))

    def right(self, weights: Any) -> Bool:
        """Which images are answered right with these weights."""
        network = self.stored.network
        answers = network.served.outputs(weights, network.inputs).argmax(axis=-1)
        return np.asarray(answers == network.labels.numpy())

    def measure(self, rung: int) -> dict[str, Any]:
        """One line: a rung's plan and how many images it keeps on every fault map."""
        start, planned = time.perf_counter(), self.planned(rung)
        clean = self.right(self.stored.network.weights)
        line: dict[str, Any] = {**vars(self.cell), "rung": rung, "weights": self.stored.image.weights}
        line |= {"clean": float(clean.mean()), "clean_right": _hex(clean), "entries": list(self.menu.names[1:])}
        if planned is None:
            return line | {"bits": None, "scores": []}
        image, plan = planned.image or self.stored.image, planned.plan
        kind = "none" if planned.image is None else "planes"
        decoder = tac.ProtectedImage(image, plan, self.channel).decoder(kind)  # type: ignore[arg-type]
        rights = [self.right(decoder.decode(codes)) for codes in self._read(image, plan)]
        scores = [float(r.mean()) for r in rights]
        widths = [
            [int(stored), int(kept)]
            for stored, kept in zip(plan.stored_planes.sum(axis=1), plan.planes_protected(), strict=True)
        ]
        return line | {
            "bits": self.total_bits(planned) / image.weights,
            "kept": float(np.mean(scores)) / float(clean.mean()),
            "scores": scores,
            "right": [_hex(r) for r in rights],
            "predicted": None if planned.optimum is None else planned.optimum.predicted_distortion,
            "widths": widths if plan.groups < 200 else None,
            "seconds": time.perf_counter() - start,
        }

    def _read(self, image: StoredImage, plan: ProtectionPlan) -> Iterator[list[Codes]]:
        """Codes as read on every fault map: by mask where nothing has words, else through the simulated memory."""
        if all(e.kind == "none" or e.never_flips for e in plan.entries):
            flips = FixedFlips(image, self.channel, SEED)
            yield from (flips.read(plan, index) for index in range(MAPS))
            return
        chip = Memory(tuple(image.codes()), 8, plan, ArrayGeometry(), AT_ONCE, image.format.zero_code)
        cells = FixedCells(self.channel.p01, self.channel.p10)
        for index in range(MAPS):
            yield list(chip.run(cells, seed=SEED, map_index=index).read_out[-1])


def _hex(right: Bool) -> str:
    return np.packbits(right).tobytes().hex()


def search(cell: Cell, folder: Path, out: Path, known: dict[int, dict[str, Any]]) -> str:
    """Bisects a cell's ladder and measures the rungs around the crossing; says what came of it."""
    bench = Bench(cell, folder)
    try:
        bench.menu  # noqa: B018  codes that are not there are said before anything is measured
    except ValueError as error:
        return f"skipped: {error}"

    def passes(rung: int) -> bool:
        if rung not in known:
            known[rung] = bench.measure(rung)
            append(out, known[rung])
        line = known[rung]
        return line["bits"] is not None and line["kept"] >= KEEP - 1e-12

    best = last_passing(passes, cell.rungs)
    for step in AROUND if best is not None else ():
        if 0 <= best + step <= cell.rungs:
            passes(best + step)
    return "nothing keeps it" if best is None else f"{known[best]['bits']:.3f} bits per weight"


def append(out: Path, line: dict[str, Any]) -> None:
    """One line at the end of the file, whole even where several processes write."""
    with out.open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(line) + "\n")


def read_lines(out: Path) -> dict[Cell, dict[int, dict[str, Any]]]:
    """What a file already holds, by cell and rung; a torn last line is left out."""
    found: dict[Cell, dict[int, dict[str, Any]]] = {}
    for text in out.read_text(encoding="utf-8").splitlines() if out.is_file() else ():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        cell = Cell(*(line[name] for name in ("network", "p", "direction", "accounting", "method")))
        found.setdefault(cell, {})[line["rung"]] = line
    return found


def cells(asked: argparse.Namespace) -> list[Cell]:
    """What is asked for; networks whose files are not there are left out with the reason on stderr."""
    names = []
    for name in asked.networks:
        try:
            if name in REAL:
                published(name, asked.data or Path(), 0.1)
            names.append(name)
        except InputError as error:
            print(f"{name}: skipped: {error}", file=sys.stderr)
    return [
        Cell(name, p, asked.direction, accounting, method)
        for p in asked.p
        for name in names
        for accounting in asked.accountings
        for method in asked.methods
    ]


def run(asked: argparse.Namespace) -> None:
    """Every cell in a process of its own, as many at a time as asked for."""
    todo, known = cells(asked), read_lines(asked.out)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(max_workers=asked.jobs, initializer=_one_thread) as pool:
        futures = {pool.submit(search, c, asked.data or Path(), asked.out, known.get(c, {})): c for c in todo}
        for done, future in enumerate(as_completed(futures), start=1):
            c = futures[future]
            try:
                said = future.result()
            except Exception as error:  # one cell that fails leaves the others alone
                said = f"failed: {type(error).__name__}: {error}"
            print(f"[{done}/{len(todo)}] {c.network} p={c.p:g} {c.accounting} {c.method}: {said}", file=sys.stderr)


def _one_thread() -> None:
    torch.set_num_threads(1)


def main() -> None:
    """The command line."""
    names = (*REAL, *ZOO)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the published networks and their test data")
    parser.add_argument("--out", type=Path, required=True, help="file of JSON lines, continued where it stopped")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--networks", type=_listed(names), default=names, help=f"of {', '.join(names)}")
    parser.add_argument("--p", type=lambda text: [float(p) for p in text.split(",")], default=[0.10, 0.05, 0.01])
    parser.add_argument("--methods", type=_listed(METHODS), default=METHODS, help=f"of {', '.join(METHODS)}")
    parser.add_argument("--accountings", type=_listed(ACCOUNTINGS), default=ACCOUNTINGS)
    parser.add_argument("--direction", choices=("symmetric", "1to0", "0to1"), default="symmetric")
    run(parser.parse_args())


def _listed(allowed: tuple[str, ...]) -> Callable[[str], list[str]]:
    def read(text: str) -> list[str]:
        unknown = [name for name in text.split(",") if name not in allowed]
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: allowed are {', '.join(allowed)}")
        return text.split(",")

    return read


if __name__ == "__main__":
    main()
