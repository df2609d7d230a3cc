"""The source paper's claims on networks of its kind: overhead to 95 % of clean accuracy, policy against policy.

arXiv:2606.00741 was at hand as its abstract only; the networks here are of the kinds it names (four convolutional or
fully connected networks at p = 0.10, a transformer encoder at p = 0.05), trained on scikit-learn's digits.  Ideal
protection and the share of protected bits are its accounting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from qtaml_hw.channel import FlipChannel
from qtaml_hw.progress import Progress
from qtaml_hw.records.interval import Interval, t_interval
from qtaml_hw.reproduce.crossing import Overheads, Search
from qtaml_hw.reproduce.networks import Benchmark, Storage, zoo
from qtaml_hw.reproduce.paths import (
    IDEAL,
    INTEGER,
    MAGNITUDE,
    POLICIES,
    TAC_CHANNEL,
    TAC_LAYER,
    TAC_WORD,
    UNIFORM,
    PlanPath,
    Policy,
)
from qtaml_hw.reproduce.result import Row
from qtaml_hw.reproduce.trial import AccuracyStore, Trial
from qtaml_hw.study.design.networks.network import StoredNetwork
from qtaml_hw.tac import saturation_ratio
from qtaml_hw.tac.prediction.crossing import OCTAVES, Ladder

LEAST, MOST = 3.4, 33.6  # the range of overhead ratios in the abstract
POINTS = 24.0  # the abstract's largest gain of WKB scoring over magnitude, percentage points of accuracy
SMALL_BUDGETS = (0.0025, 0.005, 0.01, 0.02, 0.04, 0.08)
NETWORKS = (
    zoo("digits-vgg", 0.10),
    zoo("digits-resnet-wide", 0.10),
    zoo("digits-mlp", 0.10),
    zoo("digits-mobilenet", 0.10),
    zoo("digits-transformer", 0.05),
)
SEED = 2026


@dataclass(frozen=True)
class Effort:
    """How much is measured: test images, fault maps, rungs per octave of budget, flip probabilities beside the main."""

    images: int
    maps: int
    per_octave: int
    other_p: tuple[float, ...]


QUICK = Effort(images=200, maps=8, per_octave=6, other_p=())
FULL = Effort(images=200, maps=8, per_octave=6, other_p=(0.02, 0.05, 0.10))


@dataclass(frozen=True, eq=False)
class Measured:
    """One network at one flip probability: overheads by policy title, predicted and measured ratios."""

    network: str
    flip_p: float
    overheads: dict[str, Overheads]
    rho_star: dict[str, float]
    clean_accuracy: float

    def ratio(self, policy: Policy, base: Policy = UNIFORM) -> Interval:
        """How many times less overhead than the base policy needs."""
        return self.overheads[policy.title].ratio_to(self.overheads[base.title])


def channel_of(flip_p: float, planes: int) -> FlipChannel:
    """The paper's symmetric flips."""
    return FlipChannel.uniform(flip_p, planes, source="stated: the source paper's flip probability")


def measure(search: Search, policies: Sequence[Policy]) -> Measured | None:
    """Overheads of every policy and rho* of the TAC ones; None where no protection keeps the target."""
    trial = search.trial
    stored, channel = trial.stored, trial.channel
    overheads_by_title: dict[str, Overheads] = {}
    for policy in policies:
        overheads = search.overheads(PlanPath(stored, channel, policy))
        if overheads is None:
            return None
        overheads_by_title[policy.title] = overheads
    uniform = overheads_by_title[UNIFORM.title].interval.mean
    rho = {p.title: rho_star(stored, channel, p, uniform) for p in policies if p.name == "tac"}
    return Measured(stored.network.name, float(channel.p10.max()), overheads_by_title, rho, trial.clean_accuracy)


def rho_star(stored: StoredNetwork, channel: FlipChannel, policy: Policy, uniform_overhead: float) -> float:
    """Predicted ratio at the overhead that Uniform-MSP needed; no accuracy of TAC enters."""
    seen, image = stored.calibration, stored.image
    groups, layers = seen.damage(image, policy.group), seen.damage(image, "layer")
    return saturation_ratio(groups, layers, channel, IDEAL, min(uniform_overhead, 1.0)).rho_star


def overhead_rows(measured: Measured) -> list[Row]:
    """Overhead per policy, then the ratios to Uniform-MSP with predictions."""
    where = f"{measured.network}, p={measured.flip_p:g}"
    rows = []
    for title, overheads in measured.overheads.items():
        x = overheads.interval
        what = f"protected bits / stored bits, {title}: {where}"
        rows.append(Row(what, None, x.mean, x.ci95, f"measured, {x.maps} maps; {beside(overheads)}"))
    for policy in (MAGNITUDE, TAC_LAYER, TAC_CHANNEL, TAC_WORD):
        for base in (UNIFORM, INTEGER):
            if policy.title in measured.overheads and base.title in measured.overheads:
                rows.append(_ratio_row(measured, policy, base, where))
    return rows


def beside(overheads: Overheads) -> str:
    """What other shares of clean accuracy need, and whether a plateau decides."""
    shown = ", ".join(f"{100 * keep:g} %: {need:.3g}" for keep, need in overheads.beside.items() if keep != 0.95)
    return f"{shown}; a plateau decides" if overheads.plateau else shown


def _ratio_row(measured: Measured, policy: Policy, base: Policy, where: str) -> Row:
    x = measured.ratio(policy, base)
    what = f"overhead ratio {base.title} / {policy.title}: {where}"
    if policy.name != "tac":
        return Row(what, None, x.mean, x.ci95, "baseline")
    verdict = range_verdict(x)
    if base is UNIFORM:
        verdict += f"; rho* predicted {measured.rho_star[policy.title]:.3g}"
    return Row(what, f"{LEAST}x to {MOST}x", x.mean, x.ci95, verdict)


def range_verdict(ratio: Interval) -> str:
    """Where a ratio and its interval lie against the claimed range."""
    if ratio.low >= LEAST:
        return "reached" if ratio.mean <= MOST else "above the claimed range"
    if ratio.high < LEAST:
        return "NOT reached"
    return "reached on average, interval reaches below" if ratio.mean >= LEAST else "not reached on average"


def claim_rows(main: Sequence[Measured]) -> list[Row]:
    """The abstract's range as counts over the networks, against both readings of Uniform-MSP."""
    rows = []
    for base in (UNIFORM, INTEGER):
        for policy in (TAC_LAYER, TAC_CHANNEL, TAC_WORD):
            ratios = [m.ratio(policy, base).mean for m in main]
            reached = sum(r >= LEAST for r in ratios)
            word = "holds" if reached == len(main) else f"holds on {reached} of {len(main)} networks"
            spread = f"{min(ratios):.1f}x to {max(ratios):.1f}x"
            rows.append(Row(f"range of {base.title} / {policy.title}", f"{LEAST}x to {MOST}x", spread, None, word))
    return rows


def small_budget_row(search: Search) -> Row:
    """TAC against magnitude, both by layer, on the same maps at the same small budgets: the largest gain found."""
    stored, channel = search.trial.stored, search.trial.channel
    paths = [PlanPath(stored, channel, policy) for policy in (TAC_LAYER, MAGNITUDE)]
    gains = {}
    for share in SMALL_BUDGETS:
        one, two = (search.accuracies(path, share) for path in paths)
        gains[share] = t_interval(list(100.0 * (one - two)))
    share = max(gains, key=lambda s: gains[s].mean)
    best = gains[share]
    word = "same size or larger" if best.high >= POINTS else "smaller"
    if best.mean <= 0.0:
        word = "no gain"
    name = stored.network.name
    what = f"accuracy points of Jacobian over magnitude score, best of small budgets ({share:.2%}): {name}"
    return Row(what, f"up to {POINTS:g}", best.mean, best.ci95, word)


def rho_rows(measured: Sequence[Measured], policy: Policy, which: str) -> list[Row]:
    """Whether rho* ranks and predicts the measured ratios; ``which`` names the pairs.

    Pairs where Uniform-MSP or TAC needs no more than the smallest budget have no ratio and are left out.
    """
    least = 1.5 * 2.0**-OCTAVES
    pairs = [m for m in measured if min(m.overheads[p.title].value for p in (UNIFORM, policy)) > least]
    predicted = np.array([m.rho_star[policy.title] for m in pairs])
    ratios = np.array([m.ratio(policy).mean for m in pairs])
    if len(pairs) < 3:
        return []
    rank = float(spearmanr(predicted, ratios).statistic)
    error = float(np.median(np.abs(predicted - ratios) / ratios))
    where = f"{policy.title}, {len(pairs)} {which}"
    return [
        Row(
            f"Spearman of rho* and measured ratio: {where}",
            "rho* predicts the reduction",
            rank,
            None,
            "holds" if rank >= 0.9 else "FAILS as a predictor of rank" if rank < 0.7 else "partly: below 0.9",
        ),
        Row(
            f"median relative error of rho*: {where}",
            None,
            error,
            None,
            "within 25 %" if error <= 0.25 else "worse than 25 %",
        ),
    ]


def search_on(stored: StoredNetwork, flip_p: float, effort: Effort, kept: AccuracyStore) -> Search:
    """A network at a flip probability, ready to be measured."""
    facts = {"network": stored.network.name, "flip_p": flip_p, "images": stored.network.images}
    trial = Trial(stored, channel_of(flip_p, stored.image.planes), SEED, kept, facts=facts)
    return Search(trial, Ladder(effort.per_octave), effort.maps)


@dataclass(frozen=True, eq=False)
class NetworkResults:
    """What was measured: rows, results at every network's own flip probability, and those at the others."""

    rows: list[Row]
    main: list[Measured]
    others: list[Measured]


def reproduce_networks(
    networks: Sequence[Benchmark], effort: Effort, kept: AccuracyStore, progress: Progress
) -> NetworkResults:
    """Every network at its own flip probability, then at the others (for rho*)."""
    done = NetworkResults([], [], [])
    loaded: dict[str, StoredNetwork] = {}
    tasks = [(benchmark, benchmark.flip_p) for benchmark in networks]
    tasks += [(s, p) for s in networks for p in effort.other_p if p != s.flip_p]
    for number, (benchmark, flip_p) in enumerate(tasks):
        title = f"{benchmark.name}, p={flip_p:g}"
        progress(number, len(tasks), title)
        if benchmark.name not in loaded:
            loaded[benchmark.name] = benchmark.stored(effort.images, Storage())
        search = search_on(loaded[benchmark.name], flip_p, effort, kept)
        own = number < len(networks)
        measured = measure(search, POLICIES if own else (UNIFORM, TAC_LAYER, TAC_CHANNEL, TAC_WORD))
        if measured is None:
            done.rows.append(Row(f"any protection keeps 95 %: {title}", None, "no", None, "FAILS"))
            continue
        done.rows.extend(overhead_rows(measured))
        (done.main if own else done.others).append(measured)
        if own:
            done.rows.append(small_budget_row(search))
    progress(len(tasks), len(tasks), "done")
    return done
