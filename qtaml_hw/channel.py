"""The flip channel: what the weight memory does to one stored bit, plane by plane.

Ground floor of the package: device and ecc make channels, faults and tac consume them, and none of them knows the
others.  ``p01 = P(read 1 | stored 0)`` and ``p10 = P(read 0 | stored 1)`` follow the notation of docs/theory.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qtaml_hw.names import Direction, Law


@dataclass(frozen=True)
class Keeping:
    """How a bit plane is kept otherwise than the rest: oxide added to its cells, refreshes per refresh of the rest."""

    more_oxide_m: float = 0.0
    refresh_factor: float = 1.0


@dataclass(frozen=True, eq=False)
class FlipChannel:
    """Flip probabilities of every bit plane of a stored weight, and the law behind them.

    Parameters
    ----------
    p01, p10 : float64 arrays, shape [planes], LSB first; dimensionless, in [0, 1].
    law : ``retention`` (the same weak cells fail at every interval), ``poisson`` (memoryless, fresh flips every
        interval) or ``fixed`` (probabilities stated by the user).
    source : where the numbers come from, in words; printed beside every result.
    dies : (share, channel) of the dies that p01 and p10 are the means over; empty where dies are alike.
    kept : the channel of the same memory in which every plane is kept otherwise; None where no cell is known that the
        probabilities are those of.

    Raises
    ------
    ValueError : shapes differ, or a probability is outside [0, 1] or not finite.
    """

    p01: NDArray[np.float64]
    p10: NDArray[np.float64]
    law: Law
    source: str
    dies: tuple[tuple[float, FlipChannel], ...] = ()
    kept: Callable[[Keeping], FlipChannel] | None = None

    def __post_init__(self) -> None:
        p01 = np.atleast_1d(np.asarray(self.p01, dtype=np.float64)).copy()
        p10 = np.atleast_1d(np.asarray(self.p10, dtype=np.float64)).copy()
        if p01.ndim != 1 or p01.shape != p10.shape:
            raise ValueError(f"p01 and p10 need one value per plane; shapes are {p01.shape} and {p10.shape}")
        for name, p in (("p01", p01), ("p10", p10)):
            if not (np.all(np.isfinite(p)) and np.all(p >= 0.0) and np.all(p <= 1.0)):
                raise ValueError(f"{name} must be probabilities in [0, 1]; got {p.tolist()}")
            p.setflags(write=False)
        object.__setattr__(self, "p01", p01)
        object.__setattr__(self, "p10", p10)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FlipChannel):
            return NotImplemented
        return (
            np.array_equal(self.p01, other.p01)
            and np.array_equal(self.p10, other.p10)
            and (self.law, self.source, self.dies) == (other.law, other.source, other.dies)
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def planes(self) -> int:
        """Number of bit planes."""
        return int(self.p01.size)

    @classmethod
    def uniform(
        cls,
        p: float,
        planes: int,
        *,
        direction: Direction = "symmetric",
        law: Law = "fixed",
        source: str = "stated by the user",
    ) -> FlipChannel:
        """The same probability ``p`` in every plane, in one or both directions."""
        up = p if direction in ("symmetric", "0to1") else 0.0
        down = p if direction in ("symmetric", "1to0") else 0.0
        return cls(np.full(planes, up), np.full(planes, down), law, source)

    @classmethod
    def over_dies(cls, dies: Sequence[tuple[float, FlipChannel]]) -> FlipChannel:
        """The channel of a cell of any die: probabilities are means over (share, channel); one die is its channel."""
        first = dies[0][1]

        def kept(keeping: Keeping) -> FlipChannel:
            return cls.over_dies([(share, die.under(keeping)) for share, die in dies])

        lot = cls(first.p01, first.p10, first.law, f"{first.source}; mean over dies", tuple(dies), kept)
        p01, p10 = lot.mean_of_dies(lambda die: (die.p01, die.p10))
        return first if len(dies) == 1 else replace(lot, p01=p01, p10=p10)

    def mean_of_dies(
        self, left: Callable[[FlipChannel], tuple[ArrayLike, ArrayLike]]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What ``left`` makes of p01 and p10 on a die, mean over the dies: a code leaves more than of the mean.

        Arrays of the shapes that ``left`` returns.
        """
        if not self.dies:
            p01, p10 = left(self)
            return np.asarray(p01, dtype=np.float64), np.asarray(p10, dtype=np.float64)
        total01, total10 = np.zeros(1), np.zeros(1)
        for share, die in self.dies:
            p01, p10 = left(die)
            total01 = total01 + share * np.asarray(p01, dtype=np.float64)
            total10 = total10 + share * np.asarray(p10, dtype=np.float64)
        return np.minimum(total01, 1.0), np.minimum(total10, 1.0)

    def under(self, keeping: Keeping) -> FlipChannel:
        """The channel of planes that are kept otherwise, of the same cells.

        ValueError where no cell is behind the probabilities.
        """
        if self.kept is None:
            raise ValueError(f"how much fewer bits flip is a matter of the cell, and there is none here: {self.source}")
        return self.kept(keeping)

    def with_planes(self, planes: Sequence[int] | NDArray[np.intp], p01: ArrayLike, p10: ArrayLike) -> FlipChannel:
        """A new channel in which the given planes have other probabilities (e.g. the residual of an ECC)."""
        new01, new10 = self.p01.copy(), self.p10.copy()
        new01[list(planes)] = p01
        new10[list(planes)] = p10
        return FlipChannel(new01, new10, self.law, self.source)

    def padded(self, planes: int) -> FlipChannel:
        """The same channel on codes of at least as many planes; those added on top are not stored and never flip."""
        above = np.zeros(planes - self.planes)
        dies = tuple((share, die.padded(planes)) for share, die in self.dies)
        kept = None if self.kept is None else lambda keeping: self.under(keeping).padded(planes)
        return FlipChannel(np.append(self.p01, above), np.append(self.p10, above), self.law, self.source, dies, kept)
