"""A code made for a channel: the quantiser of least expected squared error through the flips of its own cells.

Code i is read as c_j with P(i -> j), so it stands for m_i = sum_j P_ij c_j on average and costs
E[(w - c_j)^2] = w^2 - 2 w m_i + s_i with s_i = sum_j P_ij c_j^2.  The encoder takes the code of least cost; codes that
are never it are not written.  The decode table is c_j = E[w | j].  Both conditions are met in turns (Lloyd's method
through a noisy channel: N. Farvardin and V. Vaishampayan, IEEE Trans. Inf. Theory 33, 1987, 827) from integers in two's
complement and in sign-magnitude, for a Gaussian and for a Laplacian weight of unit variance; the best of all starts is
kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar, Final, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from qtaml_hw._jit import njit
from qtaml_hw.arrays import AnyArray, Float64, Int64
from qtaml_hw.weights.codes import ROM_BIT_GE
from qtaml_hw.weights.formats import NumberFormat, Scaling, WeightFormat

Source = Literal["gaussian", "laplace"]
SOURCES: Final[tuple[Source, ...]] = get_args(Source)
BITS: Final = 8
ENTRY_LIMIT: Final = 127  # entries of the decode table are integers of eight bits
PEAKS: Final = (1.5, 2.0, 3.0, 4.0, 6.0)  # standard deviations that the codes of a start span
MOST_ROUNDS: Final = 300
SETTLED: Final = 1e-7  # relative gain of a round below which it is the last

_LAPLACE = np.sqrt(0.5)  # scale of unit variance


def _gaussian(x: Float64) -> tuple[Float64, Float64]:
    """P(w < x) and E[w; w < x] of a standard normal weight."""
    return ndtr(x), -np.exp(-0.5 * x**2) / np.sqrt(2.0 * np.pi)


def _laplace(x: Float64) -> tuple[Float64, Float64]:
    """The same of a Laplacian weight of unit variance."""
    near = np.where(np.isinf(x), 0.0, np.abs(x))
    tail = np.where(np.isinf(x), 0.0, 0.5 * np.exp(-near / _LAPLACE))
    return np.where(x < 0.0, tail, 1.0 - tail), -tail * (near + _LAPLACE)


_MOMENTS: Final[dict[Source, Callable[[Float64], tuple[Float64, Float64]]]] = {
    "gaussian": _gaussian,
    "laplace": _laplace,
}


def transitions(p01: ArrayLike, p10: ArrayLike) -> Float64:
    """P(code j is read | code i is stored), float64 [2^B, 2^B]; p01, p10 [B] by plane, LSB first."""
    found = np.ones((1, 1))
    for up, down in zip(np.asarray(p01, np.float64).tolist(), np.asarray(p10, np.float64).tolist(), strict=True):
        found = np.kron(np.array([[1.0 - up, up], [down, 1.0 - down]]), found)
    return found


@njit()
def _lowest(order: AnyArray, means: AnyArray, squares: AnyArray) -> tuple[AnyArray, AnyArray]:
    """The lower envelope of the lines s_i - 2 w m_i, given by rising m_i."""
    codes, begins, used = np.empty(order.size, np.int64), np.empty(order.size), 0
    for code in order:
        begin = -np.inf
        while used > 0:
            last = codes[used - 1]
            begin = (squares[code] - squares[last]) / (2.0 * (means[code] - means[last]))
            if begin > begins[used - 1]:
                break
            used -= 1
            begin = -np.inf
        codes[used], begins[used] = code, begin
        used += 1
    return codes[:used], begins[:used]


def envelope(means: Float64, squares: Float64) -> tuple[Int64, Float64]:
    """The codes of least s_i - 2 w m_i over all w, ascending, int64 [used], and where each takes over: float64 [used].

    The first takes over at -inf.  Of codes that cost the same everywhere the lowest is used.
    """
    order = np.lexsort((np.arange(means.size), squares, means))
    return _lowest(order[np.append(True, np.diff(means[order]) > 0.0)], means, squares)


def _cells(table: Float64, flips: Float64, source: Source) -> tuple[Float64, Float64, float]:
    """P(code written) and E[w; code written], each [2^B], and the expected squared error of a table's best encoder."""
    means, squares = flips @ table, flips @ table**2
    codes, begins = envelope(means, squares)
    below, moment = _MOMENTS[source](np.append(begins, np.inf))
    share, first = np.zeros(table.size), np.zeros(table.size)
    share[codes], first[codes] = np.diff(below), np.diff(moment)
    return share, first, float(1.0 - 2.0 * first @ means + share @ squares)


def settle(table: Float64, flips: Float64, source: Source) -> tuple[Float64, float]:
    """Encoder and decode table met in turns until nothing is gained: the table, and its expected squared error."""
    least = np.inf
    for _ in range(MOST_ROUNDS):
        share, first, error = _cells(table, flips, source)
        if least - error < SETTLED * error:
            break
        least = error
        read = share @ flips
        table = np.where(read > 0.0, (first @ flips) / np.where(read > 0.0, read, 1.0), table)
    return table, least


@lru_cache(maxsize=64)
def _designed(p01: tuple[float, ...], p10: tuple[float, ...], source: Source) -> tuple[tuple[int, ...], float]:
    """Decode table in steps, and the standard deviations of a step."""
    flips, best, least = transitions(p01, p10), np.zeros(1 << BITS), np.inf
    for encoding in ("twos_complement", "sign_magnitude"):
        levels = WeightFormat(BITS, encoding).levels.astype(np.float64)
        for peak in PEAKS:
            table, _ = settle(levels * (peak / ENTRY_LIMIT), flips, source)
            unit = float(np.abs(table).max()) / ENTRY_LIMIT
            entries = np.rint(table / unit)
            error = _cells(entries * unit, flips, source)[2]
            if error < least:
                best, least, step = entries, error, unit
    return tuple(int(x) for x in best), step


@dataclass(frozen=True)
class ChannelFormat(NumberFormat):
    """Eight bits that stand for what their channel makes of them.

    ``p01``, ``p10`` [8] by plane, LSB first: the flips that the table is made for; ``source``: the weights it is made
    for.  Encoding takes the code of least expected squared error; without a flip a code reads as its entry, exactly.

    Raises ValueError for an unknown source, or probabilities that are not eight.
    """

    for_channel: ClassVar[bool] = True

    p01: tuple[float, ...]
    p10: tuple[float, ...]
    source: Source = "gaussian"

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise ValueError(f"weights are taken to be {' or '.join(SOURCES)}, got {self.source!r}")
        if len(self.p01) != BITS or len(self.p10) != BITS:
            raise ValueError(f"a code of {BITS} planes needs {BITS} flip probabilities each way")

    @property
    def bits(self) -> int:
        """Eight."""
        return BITS

    @property
    def name(self) -> str:
        """``cosq8/gaussian`` with the flips: one number where they are all alike."""
        flips = sorted({*self.p01, *self.p10})
        each = f"{flips[0]:.6g}" if len(flips) == 1 else "+".join(f"{a:.6g},{b:.6g}" for a, b in self._pairs)
        return f"cosq8/{self.source}/{each}"

    @property
    def _pairs(self) -> list[tuple[float, float]]:
        pairs = list(zip(self.p01, self.p10, strict=True))
        return pairs[:1] if len(set(pairs)) == 1 else pairs

    @property
    def scaling(self) -> Scaling:
        """A step is a share of the weights' root mean square."""
        return "rms"

    @property
    def step_of_rms(self) -> float:
        """One step in standard deviations of the weights that the table is made for."""
        return _designed(self.p01, self.p10, self.source)[1]

    def _values(self) -> Float64:
        return np.array(_designed(self.p01, self.p10, self.source)[0], dtype=np.float64)

    @cached_property
    def flips(self) -> Float64:
        """P(code j is read | code i is stored)."""
        return transitions(self.p01, self.p10)

    @cached_property
    def means(self) -> Float64:
        """What every code stands for on average, in steps [256]."""
        return self.flips @ self.decode_table

    @cached_property
    def squares(self) -> Float64:
        """The mean square of what is read instead of every code, in steps^2 [256]."""
        return self.flips @ self.decode_table**2

    @cached_property
    def _envelope(self) -> tuple[Int64, Float64]:
        return envelope(self.means, self.squares)

    def encode(self, values: ArrayLike) -> AnyArray:
        """Codes of least expected squared error, values in steps."""
        codes, begins = self._envelope
        at = np.searchsorted(begins, np.asarray(values, dtype=np.float64), side="right") - 1
        return codes[at].astype(self.code_dtype)

    def squared_error(self, weights: AnyArray, codes: AnyArray, step: AnyArray) -> Float64:
        """Expected, over the flips that the table is made for."""
        wide = np.asarray(step, dtype=np.float64)
        found: Float64 = weights**2 - 2.0 * weights * (self.means[codes] * wide) + self.squares[codes] * wide**2
        return found

    @property
    def decode_ge(self) -> float:
        """A table of 256 entries of eight bits."""
        return (1 << BITS) * BITS * ROM_BIT_GE

    @property
    def decode_basis(self) -> str:
        """What ``decode_ge`` counts."""
        return "assumed: a table of 256 entries of 8 bits in logic at 0.25 GE per bit"
