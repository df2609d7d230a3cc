"""Claims of published designs as rows of a table, and the verdict on each: a comparison of numbers by a stated rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from scipy.special import ndtr, ndtri

from qtaml_hw import memory
from qtaml_hw.config.reading.yaml_strict import decode, read
from qtaml_hw.reproduce.result import Row, Value

Rule = Literal["number", "at least", "at most", "order"]
TOLERANCE: Final = 0.10  # assumed: how far, relative to the published number, ours may lie to hold
SAME_ORDER: Final = 2.0  # assumed: a factor within which numbers are of one order
_TABLE: Final = Path(__file__).with_name("published.yaml")


@dataclass(frozen=True)
class Claim:
    """One claim. Either ``missing`` says why it cannot be checked, or ``measure`` names what ours is.

    ``numbers`` : of the source, for a measure that is arithmetic.  ``cases``, ``at``, ``axis``, ``field`` : points of
    the design's study and what is read off their records.  ``contradicts`` : what a claim that fails is at odds with.
    """

    design: str
    claim: str
    published: Value
    known_from: str
    unit: str = ""
    rule: Rule = "number"
    measure: str = ""
    numbers: Mapping[str, float] | None = None
    cases: tuple[str, ...] = ()
    at: Mapping[str, float] | None = None
    axis: str = ""
    field: tuple[str, ...] = ()
    contradicts: str = ""
    missing: str = ""


@dataclass(frozen=True)
class Ours:
    """What was found: one number with its interval, or the differences of an order, best first."""

    value: Value
    ci95: tuple[float, float] | None = None
    steps: tuple[tuple[float, float, float], ...] = ()
    note: str = ""


@dataclass(frozen=True)
class ClaimRow(Row):
    """A row of a published design: which, and how its claim is known."""

    design: str = ""
    known_from: str = ""
    unit: str = ""

    def place(self) -> tuple[str, ...]:
        """Design and claim, with the unit of its figures."""
        return self.design, f"{self.what}, {self.unit}" if self.unit else self.what

    def as_dict(self) -> dict[str, Any]:
        """design, claim, published, ours, ci95, verdict, known_from, unit."""
        row = super().as_dict()
        return {"design": row.pop("design"), "claim": row.pop("what"), **row}


def claims() -> tuple[Claim, ...]:
    """Every row of the table, in its order."""
    rows = read(decode(_TABLE.read_bytes(), _TABLE.name), _TABLE.name).data["claims"]
    made = []
    for row in rows:
        lists = {name: tuple(row[name]) for name in ("cases", "field") if name in row}
        made.append(Claim(**{**row, **lists}))
    return tuple(made)


def row_of(claim: Claim, ours: Ours | None) -> ClaimRow:
    """The claim beside what was found."""
    value, ci95 = (None, None) if ours is None else (ours.value, ours.ci95)
    verdict = f"cannot be checked: {claim.missing}" if ours is None else verdict_of(claim, ours)
    return ClaimRow(claim.claim, claim.published, value, ci95, verdict, claim.design, claim.known_from, claim.unit)


def verdict_of(claim: Claim, ours: Ours) -> str:
    """holds, same order, or not shown, with the numbers that say so."""
    if claim.rule == "order":
        word, reason = _ordered(ours)
    else:
        assert isinstance(claim.published, int | float)
        assert isinstance(ours.value, int | float)
        low, high = ours.ci95 or (ours.value, ours.value)
        word, reason = _COMPARED[claim.rule](float(claim.published), float(ours.value), low, high)
    if word == "not shown" and claim.contradicts:
        reason = f"contradicts {claim.contradicts}, {reason}"
    return f"{word}: {'; '.join(part for part in (reason, ours.note) if part)}"


def _ordered(ours: Ours) -> tuple[str, str]:
    shown = ", ".join(f"{100 * mean:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})" for mean, low, high in ours.steps)
    reason = f"{shown} points from one to the next"
    if all(low > 0.0 for _, low, _ in ours.steps):
        return "holds", reason
    return ("same order" if all(mean > 0.0 for mean, _, _ in ours.steps) else "not shown"), reason


def _near(published: float, ours: float, low: float, high: float) -> tuple[str, str]:
    if low <= published <= high or abs(ours - published) <= TOLERANCE * abs(published):
        return "holds", f"{ours:.4g} beside {published:.4g}"
    ratio = ours / published if published else math.inf
    within = ratio > 0.0 and 1.0 / SAME_ORDER <= ratio <= SAME_ORDER
    return ("same order" if within else "not shown"), f"{ours:.4g} is {ratio:.3g} times {published:.4g}"


def _at_least(published: float, ours: float, low: float, high: float) -> tuple[str, str]:
    word = "holds" if low >= published else "same order" if ours >= published / SAME_ORDER > 0.0 else "not shown"
    return word, f"{ours:.4g} beside at least {published:.4g}"


def _at_most(published: float, ours: float, low: float, high: float) -> tuple[str, str]:
    word = "holds" if high <= published else "same order" if ours <= published * SAME_ORDER else "not shown"
    return word, f"{ours:.4g} beside at most {published:.4g}"


_COMPARED: Final[Mapping[str, Callable[[float, float, float, float], tuple[str, str]]]] = {
    "number": _near,
    "at least": _at_least,
    "at most": _at_most,
}


def _lognormal_twin(p: float, deviation: float) -> float:
    """p of a lognormal current whose mean and deviation (in means) are those of a Normal that exceeds x with p."""
    sigma2 = math.log1p(deviation**2)
    x = 1.0 - deviation * float(ndtri(p))
    return float(ndtr(-(math.log(x) + 0.5 * sigma2) / math.sqrt(sigma2)))


ARITHMETIC: Final[Mapping[str, Callable[..., float]]] = {
    "power": lambda energy_j, interval_s: energy_j / interval_s,
    "area_per_bit": lambda area_um2, bytes: area_um2 / (8.0 * bytes),
    "edram_area": lambda bytes, node_m: memory.array_cost(8 * bytes, 64, node_m, "edram").area_m2 * 1e6,
    "harmonic_mean": lambda **values: len(values) / sum(1.0 / value for value in values.values()),
    "normal_below_zero": lambda deviation: 100.0 * ndtr(-1.0 / deviation),
    "lognormal_twin": _lognormal_twin,
    "parity": lambda n, k: 100.0 * (n - k) / k,
    "share": lambda part, whole: 100.0 * part / whole,
    "cell_of_area": lambda saved, cells, large: ((1.0 - saved) * cells - large) / (cells - large),
    "planes_of_area": lambda added, extra, planes: added / extra * planes,
}
"""What follows from the numbers of a source alone, by the measure's name."""


def arithmetic(claim: Claim) -> Ours:
    """Ours by arithmetic; the note says from which numbers."""
    assert claim.numbers is not None
    said = ", ".join(f"{name} {value:g}" for name, value in claim.numbers.items())
    return Ours(float(ARITHMETIC[claim.measure](**claim.numbers)), note=f"from {said}")
