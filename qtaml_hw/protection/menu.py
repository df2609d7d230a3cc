"""The protection menu: what can be chosen for a bit plane of a group of weights.

Kinds: ``none``; ``ideal`` (a bound, not buildable: error-free at no price as papers take it, or at Shannon's price);
``code`` (correcting words); ``detect`` (parity, the weight is zeroed on a mismatch); ``cell`` (a plane kept in
thicker-oxide cells); ``refresh`` (a plane refreshed more often); ``absent`` (a plane that is not stored at all: the
weight has fewer bits).  What stronger cells and faster refresh leave is a matter of the study's own cell, which its
channel knows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from qtaml_hw.arrays import Float64
from qtaml_hw.channel import FlipChannel, Keeping
from qtaml_hw.ecc.capacity import capacity, parity_floor
from qtaml_hw.ecc.code import Code
from qtaml_hw.ecc.registry import code
from qtaml_hw.ecc.residual import check_probability
from qtaml_hw.names import canonical_code, is_code_file

Kind = Literal["none", "ideal", "code", "detect", "cell", "refresh", "absent"]

ABSENT = "absent"
_PRICED = re.compile(r"ideal-(\d+(?:\.\d+)?)")  # ideal-1: the bit that papers count for every bit they protect
IDEAL_TITLE = "ideal (error-free, not buildable)"
SHANNON_TITLE = "Shannon's bound (error-free at 1/C - 1 check bits, which no code passes; not buildable)"
_SHANNON = re.compile(r"shannon-(\d[\d.]*(?:e-\d+)?)(?:-(\d[\d.]*(?:e-\d+)?))?")
ROBUST_CELL_OXIDE_M = 0.2e-9  # assumed: a second gate oxide of the process, this much thicker
ROBUST_CELL_AREA = 0.5  # assumed: a cell with a thick-oxide device takes 1.5 times the area


@dataclass(frozen=True, kw_only=True)
class MenuEntry:
    """One line of the menu.

    ``floor``: check bits per protected bit of an entry without a code (Shannon's bound).
    ``extra_area_per_bit``: cell area added per protected bit, in cells.  ``keeping``: of cell and refresh entries, how
    a plane is kept otherwise; None of the others.
    """

    name: str
    kind: Kind
    title: str
    code: Code | None = None
    floor: float = 0.0
    extra_area_per_bit: float = 0.0
    keeping: Keeping | None = None

    @property
    def refresh_factor(self) -> float:
        """Refreshes per refresh of the rest."""
        return 1.0 if self.keeping is None else self.keeping.refresh_factor

    @property
    def parity_per_bit(self) -> float:
        """Check bits stored per protected data bit; 0 for entries that store none (ideal included)."""
        return self.code.parity_fraction if self.code is not None else self.floor

    @property
    def never_flips(self) -> bool:
        """True where no cell can err: ideal bits, and planes that have no cells."""
        return self.kind in ("ideal", "absent")

    @property
    def zeroes_weight(self) -> bool:
        """True where a flagged word makes the whole weight read as zero (detection entries)."""
        return self.kind == "detect" and self.code is not None and self.code.policy == "zero"

    def residuals(self, channel: FlipChannel) -> tuple[Float64, Float64]:
        """p01 and p10 of every plane of one die under this entry, [B] each, for words of bits that are alike.

        ValueError for cell and refresh entries where no cell is behind the channel.
        """
        if self.keeping is not None:
            kept = channel.under(self.keeping)
            return kept.p01, kept.p10
        raw = list(zip(channel.p01.tolist(), channel.p10.tolist(), strict=True))
        # planes mostly share one channel, and a code's residual is an enumeration: each once
        known = {pair: self.residual_channel(*pair) for pair in set(raw)}
        table = np.array([known[pair] for pair in raw], dtype=np.float64)
        return table[:, 0], table[:, 1]

    def residual_channel(self, p01: float, p10: float) -> tuple[float, float]:
        """The channel of a protected data bit after this entry, from the raw channel of its cells.

        Direction: the data bit under study keeps its own p01 or p10, every other bit of its word (data and check bits)
        errs with the mean (p01 + p10)/2, which is exact for data of balanced ones.  A corrected bit inherits the
        direction of its error; a miscorrection hits ones and zeros alike; under the ``zero`` policy a flagged word
        turns ones into zeros.  ValueError for cell and refresh entries, which two numbers do not decide
        (:meth:`residuals`).
        """
        check_probability(p01, "p01")
        check_probability(p10, "p10")
        if self.never_flips:
            return 0.0, 0.0
        if self.code is not None:
            residual = self.code.residual(p01, p10)
            return residual.p01, residual.p10
        if self.keeping is not None:
            raise ValueError(f"what {self.name} leaves is a matter of the cell: ask residuals(channel)")
        return p01, p10

    def word_channel(self, p01: ArrayLike, p10: ArrayLike, word_p: float) -> tuple[Float64, Float64]:
        """As :meth:`residual_channel`, for data bits with their own p01, p10 (any shape) in words whose bits err with
        ``word_p``.

        Averaged over the positions of the word.  ValueError for entries without a code.
        """
        if self.code is None:
            raise ValueError(f"{self.name} has no words")
        up, down = np.broadcast_arrays(
            np.asarray(p01, dtype=np.float64)[..., None], np.asarray(p10, dtype=np.float64)[..., None]
        )
        left = self.code.word_transfer(word_p).directional(up, down, self.code.policy)
        return left[0].mean(axis=-1), left[1].mean(axis=-1)


def robust_cell(
    more_oxide_m: float = ROBUST_CELL_OXIDE_M,
    extra_area_per_bit: float = ROBUST_CELL_AREA,
    *,
    name: str = "robust-cell",
) -> MenuEntry:
    """A plane kept in the study's own cells with a thicker oxide and a larger area.

    ValueError for an oxide that is not thicker or an area that is smaller.
    """
    if not more_oxide_m > 0.0 or extra_area_per_bit < 0.0:
        raise ValueError(
            f"a robust cell has more oxide (above 0 m) and no less area (0 or more); got {more_oxide_m:g} m, "
            f"{extra_area_per_bit:g}"
        )
    return MenuEntry(
        name=name,
        kind="cell",
        title=f"the cell with {more_oxide_m * 1e9:.3g} nm more oxide, {1.0 + extra_area_per_bit:.3g}x area",
        extra_area_per_bit=extra_area_per_bit,
        keeping=Keeping(more_oxide_m=more_oxide_m),
    )


def faster_refresh(factor: float, *, name: str | None = None) -> MenuEntry:
    """A plane whose rows are refreshed ``factor`` times as often, where and while anything is refreshed.

    ValueError for a factor below 1.
    """
    if not factor >= 1.0:
        raise ValueError(f"faster refresh needs a factor >= 1, got {factor}")
    return MenuEntry(
        name=name or f"refresh-{factor:g}x",
        kind="refresh",
        title=f"refreshed {factor:g}x as often",
        keeping=Keeping(refresh_factor=factor),
    )


@lru_cache(maxsize=1024)
def _entry(name: str) -> MenuEntry:
    if name == "none":
        return MenuEntry(name="none", kind="none", title="unprotected")
    if match := _PRICED.fullmatch(name):
        title = f"error-free by assumption at {match[1]} check bits per bit (not buildable)"
        return MenuEntry(name=name, kind="ideal", title=title, floor=float(match[1]))
    if name == "ideal":
        return MenuEntry(name="ideal", kind="ideal", title=IDEAL_TITLE)
    if name == "shannon":
        raise ValueError("shannon has a price at a flip probability only: shannon-P, or shannon-P01-P10")
    if match := _SHANNON.fullmatch(name):
        up = float(match[1])
        floor = parity_floor(up, float(match[2] or up))
        return MenuEntry(name=name, kind="ideal", title=SHANNON_TITLE, floor=floor)
    if name == ABSENT:
        return MenuEntry(name=ABSENT, kind="absent", title="not stored")
    if name == "robust-cell":
        return robust_cell()
    if match := re.fullmatch(r"refresh-(\d+(?:\.\d+)?)x", name):
        return faster_refresh(float(match.group(1)), name=name)
    return _code_entry(code(name))


def _code_entry(chosen: Code) -> MenuEntry:
    kind: Kind = "detect" if chosen.t == 0 else "code"
    answers = {"zero": "detect and zero", "sign": "detect, bits read as the sign"}
    what = answers.get(chosen.policy, "detect") if kind == "detect" else f"corrects {chosen.t} per word of {chosen.n}"
    if chosen.whole:
        what = f"blocks of {chosen.n}, decoded by iteration"
    return MenuEntry(name=chosen.name, kind=kind, title=f"{chosen.name} ({what})", code=chosen)


def entry(name: str) -> MenuEntry:
    """A menu entry by name: none, absent, ideal, ideal-PRICE, shannon-P01-P10, a code (file), robust-cell, refresh-Nx.

    ValueError with a hint for anything else.
    """
    return _code_entry(code(name)) if is_code_file(name) else _entry(canonical_code(name))


def entry_at(name: str, channel: FlipChannel) -> MenuEntry:
    """As :func:`entry`, with ``shannon`` at the price of a channel.

    Planes that never flip need no code; of the others the price is that of the plane which carries most (means over
    dies), so that it bounds the codes of all of them.  Probabilities keep six digits in the name.
    """
    if canonical_code(name) != "shannon":
        return entry(name)
    pairs = {(float(a), float(b)) for a, b in zip(channel.p01, channel.p10, strict=True)}
    up, down = max(pairs - {(0.0, 0.0)}, key=lambda pair: capacity(*pair), default=(0.0, 0.0))
    return entry(f"shannon-{up:.6g}" + (f"-{down:.6g}" if down != up else ""))


@dataclass(frozen=True)
class Menu:
    """The options of a plan: "none" first, then the entries the user allows."""

    entries: tuple[MenuEntry, ...]

    @classmethod
    def of(cls, names: Sequence[str], channel: FlipChannel | None = None) -> Menu:
        """A menu from registered names; "none" is added, and ``shannon`` has its price at ``channel``."""
        found = (entry(name) if channel is None else entry_at(name, channel) for name in names)
        return cls((entry("none"), *found))

    @property
    def names(self) -> tuple[str, ...]:
        """Names in option order."""
        return tuple(e.name for e in self.entries)

    def residuals(self, channel: FlipChannel) -> tuple[Float64, Float64]:
        """Residual p01 and p10 of every plane under every option, each [B, Q], for words of bits that are alike.

        What planning goes by, before it is known which planes share a word; ``ProtectionPlan.residual`` knows.
        """
        return channel.mean_of_dies(self._residuals_of_die)

    def _residuals_of_die(self, channel: FlipChannel) -> tuple[Float64, Float64]:
        left = [entry.residuals(channel) for entry in self.entries]
        return np.stack([up for up, _ in left], axis=1), np.stack([down for _, down in left], axis=1)
