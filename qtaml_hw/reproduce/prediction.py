"""Budgets predicted without labels beside measured ones, policy by policy, and how well the prediction does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import spearmanr

from qtaml_hw.arrays import Float64
from qtaml_hw.reproduce.networks import Benchmark, Storage
from qtaml_hw.reproduce.paper import FULL, SEED, Effort, rho_star, search_on
from qtaml_hw.reproduce.paths import TAC_LAYER, TAC_WORD, UNIFORM, PlanPath
from qtaml_hw.reproduce.trial import AccuracyStore
from qtaml_hw.tac import DrawnFlips
from qtaml_hw.tac.prediction.budgets import DRAWS, PER_OCTAVE, Predicted, predicted_budgets
from qtaml_hw.tac.prediction.crossing import OCTAVES, Ladder

POLICIES = (UNIFORM, TAC_LAYER, TAC_WORD)
KEEP = 0.95
LEAST = 1.5 * 2.0**-OCTAVES  # what needs no more than the smallest budget has no ratio


@dataclass(frozen=True)
class Pair:
    """A budget of one policy on one network at one flip probability; the ratios are to Uniform-MSP's.

    ``measured`` and ``predicted`` : shares of the stored bits, with their 95 % intervals; ``rho_star`` : the closed
    form, which is given Uniform-MSP's measured budget.
    """

    network: str
    flip_p: float
    policy: str
    measured: float
    measured_low: float
    measured_high: float
    predicted: float
    predicted_low: float
    predicted_high: float
    measured_ratio: float
    predicted_ratio: float
    ratio_low: float
    ratio_high: float
    rho_star: float

    def as_dict(self) -> dict[str, float | str]:
        """For JSON."""
        return asdict(self)

    @property
    def needs_protection(self) -> bool:
        """Whether both budgets are above the smallest."""
        return min(self.measured, self.predicted) > LEAST


def predicted_for(path: PlanPath, flips: DrawnFlips) -> Mapping[float, Predicted] | None:
    """Predicted budgets of a path under ideal protection, from its network's held-out inputs; no label is seen."""
    seen, network, ladder = path.stored.calibration, path.stored.network, Ladder(PER_OCTAVE)

    def noisy(rung: int) -> tuple[float, list[Float64]]:
        plan = path.plan(path.most * ladder.share(rung))
        cost = max(path.overhead(plan), ladder.share(ladder.rungs))
        read = [flips.read(plan, draw) for draw in range(DRAWS)]
        return cost, [seen.outputs(path.stored.image.decode(codes)) for codes in read]

    return predicted_budgets(seen.outputs(network.weights), noisy)


def pairs_of(benchmark: Benchmark, flip_p: float, effort: Effort = FULL) -> list[Pair]:
    """Measured and predicted budgets of every policy; none where no protection keeps the target."""
    stored = benchmark.stored(effort.images, Storage())
    search = search_on(stored, flip_p, effort, AccuracyStore())
    flips, found = DrawnFlips(stored.image, search.trial.channel, SEED), []
    for policy in POLICIES:
        path = PlanPath(stored, search.trial.channel, policy)
        measured, predicted = search.overheads(path), predicted_for(path, flips)
        if measured is None or predicted is None or KEEP not in predicted:
            return []
        found.append((policy, measured, predicted[KEEP]))
    (_, uniform, uniform_predicted), pairs = found[0], list[Pair]()
    for policy, measured, predicted_budget in found:
        ratio = uniform_predicted.over(predicted_budget)
        rho = 1.0 if policy is UNIFORM else rho_star(stored, search.trial.channel, policy, uniform.value)
        pairs.append(
            Pair(
                stored.network.name,
                flip_p,
                policy.title,
                measured.value,
                *measured.interval.ci95,
                predicted_budget.value,
                *predicted_budget.ci95,
                measured.ratio_to(uniform).mean,
                ratio.value,
                *ratio.ci95,
                rho,
            )
        )
    return pairs


@dataclass(frozen=True)
class Quality:
    """How well budgets or ratios were predicted: rank correlation, median and largest relative error, how many."""

    spearman: float
    median: float
    largest: float
    count: int


def quality(predicted: Sequence[float], measured: Sequence[float]) -> Quality:
    """Of at least three values; relative errors are of the measured ones."""
    one, two = np.array(predicted), np.array(measured)
    error = np.abs(one / two - 1.0)
    rank = float(spearmanr(one, two).statistic)
    return Quality(rank, float(np.median(error)), float(error.max()), len(one))


def qualities(pairs: Sequence[Pair]) -> dict[str, Quality]:
    """Of the budgets, of the ratios by policy, and of rho* beside them; pairs that need hardly a bit are left out."""
    needing = [pair for pair in pairs if pair.needs_protection]
    found = {"budgets": quality([p.predicted for p in needing], [p.measured for p in needing])}
    bases = {(p.network, p.flip_p) for p in needing if p.policy == UNIFORM.title}
    for policy in POLICIES[1:]:
        chosen = [p for p in needing if p.policy == policy.title and (p.network, p.flip_p) in bases]
        if len(chosen) >= 3:
            measured = [p.measured_ratio for p in chosen]
            found[f"ratios, {policy.title}"] = quality([p.predicted_ratio for p in chosen], measured)
            found[f"rho*, {policy.title}"] = quality([p.rho_star for p in chosen], measured)
    return found


def within(pairs: Sequence[Pair], rungs: float = 1.0) -> tuple[int, int]:
    """How many predicted budgets lie in the measured 95 % interval widened by so many rungs, and of how many."""
    step, needing = 2.0 ** (rungs / PER_OCTAVE), [p for p in pairs if p.needs_protection]
    inside = [p.measured_low / step <= p.predicted <= p.measured_high * step for p in needing]
    return sum(inside), len(inside)
