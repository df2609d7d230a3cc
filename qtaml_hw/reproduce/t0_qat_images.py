"""Hardening on images: every method beside TAC without retraining, at equal hardware (the same protected bits).

Networks of the zoo on scikit-learn's digits, int8 per tensor, symmetric flips of a stated probability, ideal protection
planned by TAC by layer.  The replicate is the trained network: accuracies are averaged over the fault maps of a network
(the same maps for all), differences are paired by training seed, and intervals are Student's over seeds.  Strengths
were chosen on a training seed that is not among those reported (docs/hardening.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from qtaml_hw.arrays import Float32, Float64
from qtaml_hw.channel import FlipChannel
from qtaml_hw.hardening import Hardening, hardened
from qtaml_hw.progress import Progress
from qtaml_hw.records.interval import t_interval
from qtaml_hw.reproduce.networks import Benchmark, Storage
from qtaml_hw.reproduce.paths import TAC_LAYER, PlanPath
from qtaml_hw.reproduce.result import Row
from qtaml_hw.reproduce.trial import AccuracyStore, Trial
from qtaml_hw.weights import StoredImage, quantise
from qtaml_hw.workloads import load_data, network

MAP_SEED = 2026
IMAGES = 500
BUDGETS = (0.0, 0.05, 0.125)
BESIDE = 0.05  # protected share of plain training beside which unprotected hardened networks are put

METHODS: dict[str, Hardening] = {
    "plain": Hardening(),
    "plain QAT": Hardening("qat"),
    "QAT, weights clipped": Hardening("qat", clip=0.25),
    "T0-QAT noise": Hardening("noise", amplitude=0.05),
    "noise relative to the largest weight": Hardening("relative_noise", amplitude=0.1),
    "the same, weights clipped": Hardening("relative_noise", amplitude=0.1, clip=0.25),
    "bit errors": Hardening("bit_error", p=0.03),
    "bit errors, weights clipped": Hardening("bit_error", p=0.03, clip=0.25),
}


@dataclass(frozen=True)
class ImageEffort:
    """What is measured: a network, training seeds, fault maps, flip probabilities, epochs (None: the recipe's)."""

    network: str
    seeds: tuple[int, ...]
    maps: int
    flip_ps: tuple[float, ...]
    methods: tuple[str, ...]
    epochs: int | None = None


MAIN = ("plain", "plain QAT", "T0-QAT noise", "the same, weights clipped", "bit errors, weights clipped")
FULL = (
    ImageEffort("digits-lenet", (2, 3, 4, 5, 6), 8, (0.01, 0.05), tuple(METHODS)),
    ImageEffort("digits-mobilenet", (2, 3, 4), 8, (0.01, 0.05), MAIN),
)
QUICK = (ImageEffort("digits-lenet", (2, 3, 4), 4, (0.05,), MAIN, epochs=10),)
Clean = dict[str, Float64]
"""method -> clean accuracy [seeds]."""
Accuracies = dict[tuple[str, float, float], Float64]
"""(method, flip probability, protected share) -> accuracy [seeds], averaged over maps."""


def int8(weights: Mapping[str, Float32]) -> StoredImage:
    """The paper's storage: int8, one scale per tensor."""
    return quantise(weights)


def benchmark(name: str, title: str, seed: int, epochs: int | None) -> Benchmark:
    """A network of the zoo, trained by a method with a seed."""
    method = replace(METHODS[title], seed=seed, epochs=epochs)
    return Benchmark(
        f"{name}, {title}, seed {seed}",
        0.0,
        lambda: (hardened(name, method, int8, "int8/per_tensor").module, load_data(network(name).data)),
    )


def image_rows(efforts: Sequence[ImageEffort], kept: AccuracyStore, progress: Progress) -> list[Row]:
    """All efforts in order; every accuracy goes through the kept."""
    rows: list[Row] = []
    tasks = [(effort, title, seed) for effort in efforts for title in effort.methods for seed in effort.seeds]
    for effort in efforts:
        clean: Clean = {}
        measured: Accuracies = {}
        for number, (owner, title, seed) in enumerate(tasks):
            if owner is effort:
                progress(number, len(tasks), f"{effort.network}: {title}, seed {seed}")
                _measure(effort, title, seed, kept, (clean, measured))
        rows += [_clean_row(effort.network, title, clean) for title in effort.methods]
        for flip_p in effort.flip_ps:
            rows += _fault_rows(flip_p, effort, measured)
    progress(len(tasks), len(tasks), "done")
    return rows


def _measure(effort: ImageEffort, title: str, seed: int, kept: AccuracyStore, into: tuple[Clean, Accuracies]) -> None:
    """One trained network at all flip probabilities and budgets, entered in ``into``."""
    clean, measured = into
    place, count = effort.seeds.index(seed), len(effort.seeds)
    stored = benchmark(effort.network, title, seed, effort.epochs).stored(IMAGES, Storage())
    for flip_p in effort.flip_ps:
        channel = FlipChannel.uniform(flip_p, stored.image.planes)
        facts = {"network": effort.network, "hardening": title, "training_seed": seed, "flip_p": flip_p}
        trial = Trial(stored, channel, MAP_SEED, kept, facts=facts)
        clean.setdefault(title, np.zeros(count))[place] = trial.clean_accuracy
        for share in BUDGETS:
            plan = PlanPath(stored, channel, TAC_LAYER).plan(share)
            mean = np.mean([trial.accuracy(plan, index) for index in range(effort.maps)])
            measured.setdefault((title, flip_p, share), np.zeros(count))[place] = mean


def _clean_row(name: str, title: str, clean: Clean) -> Row:
    x = t_interval(list(clean[title]), (0.0, 1.0))
    lost = t_interval(list(clean["plain"] - clean[title]))
    word = "as plain training" if lost.low <= 0.0 else f"costs {100 * lost.mean:.1f} points without any fault"
    return Row(f"clean accuracy, {title}: {name}", None, x.mean, x.ci95, "baseline" if title == "plain" else word)


def _fault_rows(flip_p: float, effort: ImageEffort, accuracies: Accuracies) -> list[Row]:
    where = f"{effort.network}, p={flip_p:g}"
    rows = []
    for title in effort.methods:
        for share in BUDGETS:
            x = t_interval(list(accuracies[title, flip_p, share]), (0.0, 1.0))
            what = f"accuracy, {title}, {_guard(share)}: {where}"
            gain = t_interval(list(accuracies[title, flip_p, share] - accuracies["plain", flip_p, share]))
            rows.append(Row(what, None, x.mean, x.ci95, "baseline" if title == "plain" else _word(gain.ci95)))
            if title != "plain":
                what = f"gain over plain training at equal hardware, {title}, {_guard(share)}: {where}"
                rows.append(Row(what, None, gain.mean, gain.ci95, _word(gain.ci95)))
        if title != "plain":
            beside = t_interval(list(accuracies[title, flip_p, 0.0] - accuracies["plain", flip_p, BESIDE]))
            what = f"{title} unprotected minus plain training under TAC with {BESIDE:.0%}: {where}"
            rows.append(Row(what, None, beside.mean, beside.ci95, _instead(beside.ci95)))
    return rows


def _guard(share: float) -> str:
    return f"TAC with {share:.1%} of the bits" if share else "unprotected"


def _word(ci95: tuple[float, float]) -> str:
    return "better" if ci95[0] > 0.0 else "worse" if ci95[1] < 0.0 else "no difference shown"


def _instead(ci95: tuple[float, float]) -> str:
    """Whether training did what protection would have done."""
    if ci95[0] > 0.0:
        return "training is worth more than the protection"
    return "the protection is worth more than training" if ci95[1] < 0.0 else "no difference shown"
