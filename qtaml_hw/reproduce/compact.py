"""Compact networks as they are deployed: what the source paper's method gains there, and what helps beyond it.

The paper's networks are over-parameterised; these are not.  Every combination is measured under the same accounting
(protected bits over stored bits, side information shown beside it) against the paper's TAC by layer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from qtaml_hw.channel import FlipChannel
from qtaml_hw.config import parse_study
from qtaml_hw.errors import InputError
from qtaml_hw.names import Direction
from qtaml_hw.progress import Progress
from qtaml_hw.reproduce.crossing import Overheads, Search
from qtaml_hw.reproduce.networks import Benchmark, published
from qtaml_hw.reproduce.paper import (
    FULL,
    QUICK,
    SEED,
    Effort,
    Measured,
    beside,
    measure,
    overhead_rows,
    rho_rows,
    search_on,
)
from qtaml_hw.reproduce.paths import POLICIES, TAC_CHANNEL, TAC_LAYER, TAC_WORD, UNIFORM, PlanPath, Policy
from qtaml_hw.reproduce.result import ReproductionResult, Row
from qtaml_hw.reproduce.storage import Storage
from qtaml_hw.reproduce.trial import AccuracyStore, Trial
from qtaml_hw.study.design.cells.cell import losing
from qtaml_hw.study.design.networks.network import StoredNetwork
from qtaml_hw.tac import Menu
from qtaml_hw.tac.prediction.crossing import Ladder

QUICK_NETWORKS = ("lenet-cifar", "dscnn", "resnet8")
NETWORKS = (*QUICK_NETWORKS, "resnet20", "resnet56")
MAIN_P = 0.10
OTHER_P = (0.05, 0.01)
SETTINGS: tuple[tuple[float, Direction], ...] = ((0.10, "symmetric"), (0.10, "1to0"), (0.01, "symmetric"))
TWICE = 2.0  # what the best combination should gain over the paper's TAC by layer
ENTRIES = {
    0.10: ("repeat-5", "repeat-3"),
    0.01: ("bch-63-45", "dected-45-32", "secded-39-32"),
}
"""Codes that help at a flip probability, the one of Uniform-MSP first."""
STRONGER = ("robust-cell",)
CHANNELS = Storage(scale="per_channel")
SIGN = Storage("sign_magnitude")
SHIFTS = Storage("sign_magnitude", "channel_shift")
AWARE_LAYER = Policy("aware", "layer", "aware TAC by layer", "steps")
AWARE_CHANNEL = Policy("aware", "channel", "aware TAC by channel", "steps")
SECOND = Policy("second", "channel", "second-order TAC by channel")


@dataclass(frozen=True)
class Combination:
    """A way of storing, a policy and a correction, measured as one."""

    storage: Storage
    policy: Policy

    @property
    def title(self) -> str:
        """For tables."""
        correction = "" if self.policy.correction == "none" else f", {self.policy.correction}"
        sign = "" if self.storage.encoding == "twos_complement" else f", {self.storage.encoding}"
        return f"{self.policy.title}, {self.storage.scale}{sign}{correction}"


PAPER = Combination(Storage(), TAC_LAYER)
SHORT = (
    PAPER,
    Combination(CHANNELS, TAC_CHANNEL),
    Combination(SIGN, TAC_LAYER),
    Combination(SIGN, AWARE_CHANNEL),
    Combination(SHIFTS, TAC_CHANNEL),
    Combination(SHIFTS, AWARE_CHANNEL),
)
"""For networks of many layers, whose evaluation takes long."""
COMBINATIONS = (
    *SHORT,
    Combination(CHANNELS, TAC_LAYER),
    Combination(CHANNELS, TAC_WORD),
    Combination(CHANNELS, AWARE_LAYER),
    Combination(CHANNELS, AWARE_CHANNEL),
    Combination(SIGN, TAC_CHANNEL),
    Combination(SHIFTS, TAC_LAYER),
    Combination(SHIFTS, TAC_WORD),
    Combination(SHIFTS, AWARE_LAYER),
    Combination(SHIFTS, SECOND),
)
DEEP: dict[str, tuple[int, int]] = {"resnet20": (100, 8), "resnet56": (64, 8)}
"""Networks of many layers: test images and fault maps at most."""


def compact_result(quick: bool, folder: Path | None, kept: AccuracyStore, progress: Progress) -> ReproductionResult:
    """The paper's accounting on the real networks of ``folder``, then the combinations that go past it.

    Raises InputError without the folder.
    """
    if folder is None:
        raise InputError("the real networks are not part of the product: name their folder with --data DIR")
    effort = QUICK if quick else FULL
    names = QUICK_NETWORKS if quick else NETWORKS
    benchmarks = [published(name, folder, MAIN_P) for name in names]
    whole = effort
    measured: list[Measured] = []
    rows: list[Row] = []
    summary: list[Row] = []
    steps = 5 * len(benchmarks)
    for number, benchmark in enumerate(benchmarks):
        effort = effort_for(benchmark.name, whole)
        stored = benchmark.stored(effort.images, Storage())
        progress(5 * number, steps, f"{benchmark.name}: policies")
        for flip_p in (MAIN_P, *(() if quick else OTHER_P)):
            policies = POLICIES if flip_p == MAIN_P else (UNIFORM, TAC_LAYER, TAC_CHANNEL, TAC_WORD)
            result = measure(search_on(stored, flip_p, effort, kept), policies)
            if result is None:
                rows.append(
                    Row(f"any protection keeps 95 %: {benchmark.name}, p={flip_p:g}", None, "no", None, "FAILS")
                )
                continue
            measured.append(result)
            rows += overhead_rows(result)
        for offset, (flip_p, direction) in enumerate(SETTINGS):
            progress(5 * number + 1 + offset, steps, f"{benchmark.name}: combinations, p={flip_p:g} {direction}")
            past = past_rows(benchmark, flip_p, direction, effort, kept)
            rows += past[1:]
            summary += past[:1]
        progress(5 * number + 4, steps, f"{benchmark.name}: real codes")
        rows += code_rows(stored, effort, kept)
    progress(steps, steps, "done")
    for policy in (TAC_LAYER, TAC_CHANNEL, TAC_WORD):
        summary += rho_rows(measured, policy, "(network, p) pairs")
    return ReproductionResult("compact", (*summary, *rows), notes(whole))


def effort_for(name: str, whole: Effort) -> Effort:
    """Fewer images and maps where one evaluation takes long."""
    images, maps = DEEP.get(name, (whole.images, whole.maps))
    return replace(whole, images=min(images, whole.images), maps=min(maps, whole.maps))


def notes(effort: Effort) -> tuple[str, ...]:
    """What holds for every row."""
    return (
        f"{effort.maps} fault maps, at most {effort.images} test images; CIFAR-10 images are a JPEG copy",
        *(f"{name}: at most {images} test images and {maps} maps" for name, (images, maps) in DEEP.items()),
        "the best combination is the best of those shown, chosen on the same fault maps that measure it",
        "side information, stored reliably: pattern index per group, numbers of the correction per layer and pattern, "
        "scales beyond one per tensor (32 bits each per channel, 4 bits for a channel's shift)",
    )


def past_rows(
    benchmark: Benchmark, flip_p: float, direction: Direction, effort: Effort, kept: AccuracyStore
) -> list[Row]:
    """The best combination first, then every combination against the paper's TAC by layer."""
    measured: dict[str, Overheads | None] = {}
    loaded: dict[Storage, StoredNetwork] = {}
    for combination in SHORT if benchmark.name in DEEP else COMBINATIONS:
        storage, policy = combination.storage, combination.policy
        if storage not in loaded:
            loaded[storage] = benchmark.stored(effort.images, storage)
        stored = loaded[storage]
        channel = FlipChannel.uniform(flip_p, stored.image.planes, direction=direction)
        facts = {"network": stored.network.name, "flip_p": flip_p, "combination": combination.title}
        scales = storage.scale_fraction(stored.image)
        trial = Trial(stored, channel, SEED, kept, policy.correction, facts, scales)
        search = Search(trial, Ladder(effort.per_octave), effort.maps)
        measured[combination.title] = search.overheads(PlanPath(stored, channel, policy))
    where = f"{benchmark.name}, p={flip_p:g} {direction}"
    base = measured[PAPER.title]
    if base is None:
        return [Row(f"TAC by layer keeps 95 %: {where}", None, "no", None, "FAILS")]
    rows = [_past_row(title, overheads, base, where) for title, overheads in measured.items()]
    others = {t: o.with_side() for t, o in measured.items() if o is not None and t != PAPER.title}
    best = min(others, key=lambda title: others[title].value)
    ratio = others[best].ratio_to(base)
    word = "at least 2x" if ratio.mean >= TWICE else "below 2x"
    what = f"TAC by layer / best combination, side information counted: {where}"
    return [Row(what, None, ratio.mean, ratio.ci95, f"{word}: {best}"), *rows]


def _past_row(title: str, overheads: Overheads | None, base: Overheads, where: str) -> Row:
    what = f"overhead, {title}: {where}"
    if overheads is None:
        return Row(what, None, "never", None, "no budget keeps 95 % of clean accuracy")
    ratio = overheads.ratio_to(base)
    verdict = f"{ratio.mean:.2f}x less ({ratio.low:.2f} to {ratio.high:.2f}); side information {overheads.side:.2%}"
    return Row(what, None, overheads.value, overheads.interval.ci95, f"{verdict}; {beside(overheads)}")


def code_rows(stored: StoredNetwork, effort: Effort, kept: AccuracyStore) -> list[Row]:
    """What can be built: codes by their check bits, stronger cells by their area; Uniform-MSP has the first entry."""
    rows: list[Row] = []
    for flip_p, codes in ENTRIES.items():
        search = search_on(stored, flip_p, effort, kept)
        rows += _built_rows(search, flip_p, codes, "parity bits / stored bits")
        of_cell = replace(search.trial, channel=losing(parse_study("study: default cell"), flip_p, stored.image.planes))
        rows += _built_rows(replace(search, trial=of_cell), flip_p, STRONGER, "added cell area / cell area")
    return rows


def _built_rows(search: Search, flip_p: float, entries: tuple[str, ...], cost: str) -> list[Row]:
    stored, channel = search.trial.stored, search.trial.channel
    rows, base, menu = [], None, Menu.of(entries)
    for policy in (UNIFORM, TAC_LAYER, TAC_WORD):
        path = PlanPath(stored, channel, policy, menu)
        overheads = search.overheads(path)
        what = f"{cost}, {policy.title}, {entries[0]} first: {stored.network.name}, p={flip_p:g}"
        if overheads is None:
            rows.append(Row(what, None, "never", None, "no budget keeps 95 % of clean accuracy"))
            continue
        base = overheads if policy is UNIFORM else base
        against = "" if base is None else f"{overheads.ratio_to(base).mean:.2f}x less than Uniform-MSP"
        rows.append(Row(what, None, overheads.value, overheads.interval.ci95, f"measured in the memory; {against}"))
    return rows
