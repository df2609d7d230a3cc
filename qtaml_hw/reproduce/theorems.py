"""The distribution theorems against Monte Carlo of the flip engine: mean drift, variance, protection, correction.

Every row compares a closed form (docs/theory.md, mean drift and variance) with the engine's own flips on stored int8
weights; z is their difference in standard errors.  All statistics follow from one joint histogram of stored and read
codes, so nothing is approximated on either side.  Formats without constant significances follow, where mean and
variance come from the decode table plane by plane (ours).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from qtaml_hw.arrays import Float64, Uint8
from qtaml_hw.channel import FlipChannel
from qtaml_hw.faults import MapKey, flip
from qtaml_hw.names import Direction
from qtaml_hw.progress import Progress
from qtaml_hw.reproduce.result import ReproductionResult, Row
from qtaml_hw.tac import affine_drift, corrected_noise, correction, symmetric_variance, value_statistics
from qtaml_hw.weights import ENCODINGS, LINEAR_ENCODINGS, NumberFormat, WeightFormat, number_format

DIRECTIONS: tuple[Direction, ...] = ("symmetric", "1to0", "0to1")
PROTECTED = (0, 2)
FLIP_P = 0.10
OTHER_CODES = ("sign_magnitude", "gray", "e4m3", "power8")  # without constant significances, eight bits each
PEAK_SIGMAS = 4.0  # the largest weight over the standard deviation of the Gaussian weights
LARGEST_Z = 4.0
WEIGHTS, QUICK_WEIGHTS = 20_000_000, 10_000_000
SEED = 2026


@dataclass(frozen=True)
class Case:
    """One channel on one format of eight bits: ``protected`` top planes are error-free.

    ``code`` is an encoding of int8 or the name of another format.
    """

    code: str
    direction: Direction
    p: float
    protected: int

    @property
    def form(self) -> NumberFormat:
        """The number format."""
        known = next((encoding for encoding in ENCODINGS if encoding == self.code), None)
        return number_format(self.code) if known is None else WeightFormat(8, known)

    @property
    def channel(self) -> FlipChannel:
        """Flip probabilities after protection."""
        raw = FlipChannel.uniform(self.p, 8, direction=self.direction)
        return raw.with_planes(range(8 - self.protected, 8), 0.0, 0.0)

    @property
    def title(self) -> str:
        """For tables."""
        guard = f", {self.protected} top planes protected" if self.protected else ""
        return f"{self.direction} p={self.p:g}, {self.code}{guard}"


@dataclass(frozen=True)
class Estimate:
    """A Monte Carlo figure, its standard error and the closed form it must meet."""

    closed: float
    measured: float
    error: float

    @property
    def z(self) -> float:
        """Difference in standard errors."""
        return (self.measured - self.closed) / self.error if self.error > 0.0 else 0.0

    def row(self, what: str) -> Row:
        """As a row of the result."""
        half = 1.96 * self.error
        word = "holds" if abs(self.z) < LARGEST_Z else "FAILS"
        interval = (self.measured - half, self.measured + half)
        return Row(what, self.closed, self.measured, interval, f"{word} (z = {self.z:+.2f})")


@dataclass(frozen=True, eq=False)
class Sample:
    """Joint counts [stored code, read code] of one case."""

    case: Case
    counts: Float64

    @cached_property
    def stored(self) -> Float64:
        """Weights per stored code, [256]."""
        total: Float64 = self.counts.sum(axis=1)
        return total

    def moments(self, table: Float64, mean: Float64, variance: Float64) -> tuple[Estimate, Estimate]:
        """Mean and variance of the values ``table`` [256] read, against those predicted per stored code [256] each.

        The mean's error follows from the predicted variance, the variance's from the fourth moment in the sample.
        """
        total = float(self.stored.sum())
        measured = float(self.counts.sum(axis=0) @ table) / total
        share = self.stored / total
        about_mean = Estimate(float(share @ mean), measured, float(np.sqrt(share @ variance / total)))
        square = (table[None, :] - mean[:, None]) ** 2
        second = float((self.counts * square).sum()) / total
        fourth = float((self.counts * square**2).sum()) / total
        error = float(np.sqrt((fourth - second**2) / total))
        return about_mean, Estimate(float(share @ variance), second, error)

    def slope(self) -> Estimate:
        """Regression of the value read from the unprotected planes on the value stored there, against a."""
        case, form = self.case, self.case.form
        low = 8 - case.protected
        value = form.bit_table[:, :low].astype(np.float64) @ form.significance[:low]
        total = float(self.stored.sum())
        centred = value - float(self.stored @ value) / total
        spread = float(self.stored @ centred**2)
        measured = float(centred @ (self.counts @ value)) / spread
        variance = value_statistics(form, case.channel.p01, case.channel.p10).variance
        error = float(np.sqrt(self.stored @ (centred**2 * variance))) / spread
        channel = FlipChannel.uniform(case.p, 1, direction=case.direction)
        gain, _ = affine_drift(form, float(channel.p01[0]), float(channel.p10[0]), case.protected)
        return Estimate(gain, measured, error)


def gaussian_codes(form: NumberFormat, weights: int, seed: int) -> Uint8:
    """Codes of Gaussian weights whose peak is four standard deviations, uint8 [weights]."""
    levels = np.random.default_rng(seed).normal(scale=form.largest / PEAK_SIGMAS, size=weights)
    return form.encode(np.clip(levels, -form.largest, form.largest))


def sample(case: Case, codes: Uint8, map_index: int) -> Sample:
    """Flip the codes once and count."""
    channel = case.channel
    read = flip(codes, channel.p01, channel.p10, MapKey(SEED, map_index))
    joint = codes.astype(np.uint16) << 8 | read
    return Sample(case, np.bincount(joint, minlength=1 << 16).reshape(256, 256).astype(np.float64))


def case_rows(drawn: Sample) -> Iterator[Row]:
    """Mean, slope (of linear formats) and variance of one case."""
    case, form = drawn.case, drawn.case.form
    statistics = value_statistics(form, case.channel.p01, case.channel.p10)
    mean, variance = drawn.moments(form.decode_table, statistics.mean, statistics.variance)
    yield mean.row(f"E[W~] in LSB: {case.title}")
    if form.linear:
        yield drawn.slope().row(f"slope a of E[L~|L] = a L + c: {case.title}")
    if form.linear and case.direction == "symmetric":
        closed = symmetric_variance(case.p, 8, case.protected)
        variance = Estimate(closed, variance.measured, variance.error)
    yield variance.row(f"Var[W~|W] in LSB^2: {case.title}")


def unbias_rows(drawn: Sample) -> Iterator[Row]:
    """The corrected value: no drift left, and in linear formats the variance divided by a^2."""
    case, form = drawn.case, drawn.case.form
    channel = case.channel
    table = correction("unbias", form, channel.p01, channel.p10, drawn.stored).table
    _, variance = corrected_noise(form, channel.p01, channel.p10, table)
    law = "Var[W^|W]"
    if form.linear:
        gain = 1.0 - channel.p01 - channel.p10
        variance, law = value_statistics(form, channel.p01, channel.p10).variance / gain[0] ** 2, "Var[W^|W] = Var/a^2"
    mean, second = drawn.moments(table, form.decode_table, variance)
    yield mean.row(f"E[W^] after unbias equals E[W], LSB: {case.title}")
    yield second.row(f"{law} after unbias, LSB^2: {case.title}")


def dominance_rows(drawn: Sample) -> Iterator[Row]:
    """How much of the variance the top planes hold: 3 4^(B-1)/(4^B - 1) and what two planes hold."""
    form = drawn.case.form
    errors = np.arange(256)
    moved = np.array([drawn.counts[errors, errors ^ pattern].sum() for pattern in errors])  # weights by flip pattern
    flipped = form.bit_table.astype(np.float64) * form.significance**2
    total = float(moved.sum())
    for planes in (1, 2):
        top, everything = flipped[:, 8 - planes :].sum(axis=1), flipped.sum(axis=1)
        held, whole = float(moved @ top) / total, float(moved @ everything) / total
        ratio = held / whole
        residual = (top - ratio * everything) / whole  # delta method for a ratio of means
        error = float(np.sqrt(moved @ residual**2)) / total
        closed = 1.0 - symmetric_variance(0.5, 8, planes) / symmetric_variance(0.5, 8)
        yield Estimate(closed, ratio, error).row(f"share of the variance in the top {planes} plane{'s' * (planes > 1)}")


def theorems_result(quick: bool, progress: Progress) -> ReproductionResult:
    """Closed forms against at least 10^7 corrupted weights per case."""
    weights = QUICK_WEIGHTS if quick else WEIGHTS
    rows: list[Row] = []
    cases = [Case(*c) for c in product(LINEAR_ENCODINGS, DIRECTIONS, (FLIP_P,), PROTECTED)]
    cases += [Case(*c) for c in product(OTHER_CODES, DIRECTIONS, (FLIP_P,), (0,))]
    stored, codes = "", np.empty(0, dtype=np.uint8)
    for number, case in enumerate(cases):
        progress(number, len(cases), case.title)
        if case.code != stored:
            stored, codes = case.code, gaussian_codes(case.form, weights, SEED)
        drawn = sample(case, codes, map_index=len(rows))
        rows += case_rows(drawn)
        if case.protected == 0:
            rows += unbias_rows(drawn)
        if case == cases[0]:
            rows += dominance_rows(drawn)
    progress(len(cases), len(cases), "done")
    notes = (
        f"{weights:,} weights of eight bits per case, Gaussian, peak at four standard deviations; flips of the engine "
        f"itself, seed {SEED}; z = (measured - closed form) / standard error, a row holds below {LARGEST_Z:g}",
    )
    return ReproductionResult("theorems", tuple(rows), notes)
