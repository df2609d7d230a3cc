"""Where the first order fails: predicted output distortion beside the measured one, over the flip probability.

The same plan for every network and flip probability, its two top planes error-free.  Measured: the mean squared change
of the logits over unlabelled inputs and fault maps, all layers flipped at once.  Predicted: to first order from the
Jacobian at the clean weights, to second order from half its sum with the Jacobian under the plan's own noise
(:mod:`qtaml_hw.tac.worth.second_order`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from qtaml_hw import tac
from qtaml_hw.channel import FlipChannel
from qtaml_hw.progress import Progress
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.records.interval import Interval, t_interval
from qtaml_hw.reproduce.flips import FixedFlips
from qtaml_hw.reproduce.networks import Benchmark, Storage, zoo
from qtaml_hw.reproduce.result import ReproductionResult, Row
from qtaml_hw.study.design.networks.network import StoredNetwork
from qtaml_hw.study.design.protection.scoring import DRAWS, noisy_energy

FLIP_PS: Final = (0.001, 0.01, 0.03, 0.1, 0.2)
PROTECTED: Final = 2
SEED: Final = 2026
NETWORKS: Final = tuple(
    zoo(name, 0.1) for name in ("digits-lenet", "digits-mobilenet", "digits-transformer", "digits-resnet")
)
CLOSE: Final = 0.25  # a prediction within 25 % holds


@dataclass(frozen=True)
class Distortion:
    """Mean squared change of the logits: measured over maps, and predicted to first and to second order."""

    network: str
    flip_p: float
    measured: Interval
    first: float
    second: float


def distortion_at(stored: StoredNetwork, flip_p: float, maps: int) -> Distortion:
    """Predictions and measurement of one network at one flip probability."""
    image = stored.image
    channel = FlipChannel.uniform(flip_p, image.planes)
    plan = ProtectionPlan.uniform_msb(image.tensor_starts, image.planes, PROTECTED, "ideal")
    flips, reference = FixedFlips(image, channel, SEED), stored.calibration.outputs(image.decode())
    changes = []
    for index in range(maps):
        outputs = stored.calibration.outputs(image.decode(flips.read(plan, index)))
        changes.append(float(np.mean(np.sum((outputs - reference) ** 2, axis=-1))))
    rng = np.random.default_rng([SEED, 0xD15])
    read = [tac.drawn_codes(image, plan, channel, rng) for _ in range(DRAWS.draws)]
    noisy = tac.noisy_importance(image, noisy_energy(stored.calibration, "logits"), read)
    second = tac.damage_model(image, tac.second_order_importance(stored.calibration.importance, noisy), plan.starts)
    damage = stored.calibration.damage(image, "layer")
    first, after = (tac.predicted_distortion(d, channel, plan) for d in (damage, second))
    return Distortion(stored.network.name, flip_p, t_interval(changes), first, after)


def distortion_rows(benchmark: Benchmark, maps: int) -> list[Row]:
    """One network over the flip probability: both predictions over what is measured."""
    stored = benchmark.stored(1, Storage())
    rows = []
    for flip_p in FLIP_PS:
        at_p = distortion_at(stored, flip_p, maps)
        for name, predicted in (("first", at_p.first), ("second", at_p.second)):
            x = at_p.measured
            ratio = predicted / x.mean
            interval = (predicted / x.high, predicted / x.low) if x.low > 0.0 else None
            covered = interval is not None and interval[0] <= 1.0 <= interval[1]
            word = "holds" if abs(ratio - 1.0) <= CLOSE else "within the spread of the maps" if covered else "FAILS"
            what = f"predicted to {name} order / measured distortion: {benchmark.name}, p={flip_p:g}"
            rows.append(Row(what, 1.0, ratio, interval, f"{word}; measured {x.mean:.4g} squared logits"))
    return rows


def distortion_result(quick: bool, progress: Progress) -> ReproductionResult:
    """Every network at every flip probability."""
    maps = 4 if quick else 16
    rows: list[Row] = []
    for number, benchmark in enumerate(NETWORKS):
        progress(number, len(NETWORKS), benchmark.name)
        rows += distortion_rows(benchmark, maps)
    progress(len(NETWORKS), len(NETWORKS), "done")
    notes = (
        f"int8 per tensor, symmetric flips, {PROTECTED} top planes error-free everywhere, {maps} fault maps; "
        f"within {CLOSE:.0%} a prediction holds",
        f"second order: {DRAWS.draws} networks with the plan's noise, beside the Jacobian of the clean one",
    )
    return ReproductionResult("distortion", tuple(rows), notes)
