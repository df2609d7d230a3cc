"""Where a weight's bits lie in the array: its bank, its rows, and whether it stays there at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from qtaml_hw.arrays import Bool, Float64, Int64
from qtaml_hw.memory.array.geometry import ArrayGeometry
from qtaml_hw.memory.array.words import Corrections


@dataclass(frozen=True, eq=False)
class Residency:
    """Which tensors stay in an array that is smaller than the network, and how the others pass through it.

    Tensors in network order stay while the largest of the rest still fits beside them; the rest is streamed in tiles.

    ``streamed`` bool [T]; ``load_s`` float64 [T], time to bring a tensor from the backing store for one inference;
    ``age_s`` float64 [T], time from the first write of a tile to its reading (0 for tensors that stay).
    """

    streamed: Bool
    load_s: Float64
    age_s: Float64


def resident_tensors(
    bits: Int64, capacity_bits: int | None, backing_bits_per_s: float | None, latency_s: float = 0.0
) -> Residency:
    """Residency of tensors of ``bits`` int64 [T], parity included; a streamed tensor waits ``latency_s`` once.

    ValueError with the bits when they do not fit and there is no backing store.
    """
    total = int(bits.sum())
    if capacity_bits is None or total <= capacity_bits:
        return Residency(np.zeros(len(bits), dtype=bool), np.zeros(len(bits)), np.zeros(len(bits)))
    if backing_bits_per_s is None:
        raise ValueError(
            f"the image needs {total} bits, parity included, and the array has {capacity_bits}: "
            "build a larger array, or give backing_bits_per_s (in a study array.backing.bandwidth) "
            "to stream what does not fit from a backing store"
        )
    before = np.concatenate([[0], np.cumsum(bits)[:-1]])
    largest_left = np.maximum.accumulate(bits[::-1])[::-1]
    resident = int(np.max(np.nonzero(before + largest_left <= capacity_bits)[0], initial=0))
    streamed = np.arange(len(bits)) >= resident
    tile = np.minimum(bits, capacity_bits - int(before[resident]))
    load_s = streamed * (latency_s + bits / backing_bits_per_s)
    return Residency(streamed, load_s, streamed * tile / backing_bits_per_s)


@dataclass(frozen=True)
class FastRows:
    """``bits`` of a plane class in rows of their own, refreshed ``factor`` times as often as the rest of the class."""

    row_class: int
    factor: float
    bits: int


@dataclass(frozen=True, eq=False)
class ArrayLayout:
    """Where an image lies in the array.

    ``tensor_starts`` int64 [T+1]; ``parity_bits`` int64 [T], parity of the ECC words of each tensor.  A refresh
    group is (bank, plane class), numbered ``bank * classes + class``.  An ECC word is stored as a unit, parity
    included, in the bank of its first data bit and the rows of that bit's plane class.  ``corrections``: what
    correcting those words takes.  ``stored`` bool [T, planes]: planes of every tensor that have cells (None: all).

    Data bits lie one after the other, weight by weight; a weight is in the bank of its first bit.
    """

    geometry: ArrayGeometry
    tensor_starts: Int64
    planes: int
    parity_bits: Int64 = field(repr=False)
    corrections: Corrections = field(default_factory=Corrections)
    stored: Bool | None = field(default=None, repr=False)
    fast: tuple[FastRows, ...] = ()

    @cached_property
    def plane_bits(self) -> Int64:
        """Data bits of every plane of each tensor: int64 [T, planes]."""
        sizes = np.diff(self.tensor_starts)[:, None]
        return np.asarray(sizes * (np.ones(self.planes, dtype=bool) if self.stored is None else self.stored))

    @cached_property
    def data_bits(self) -> Int64:
        """Data bits of each tensor: int64 [T]."""
        return np.asarray(self.plane_bits.sum(axis=1))

    @cached_property
    def weight_bits(self) -> Int64:
        """Bits of a weight of each tensor: int64 [T]."""
        if self.stored is None:
            return np.full(self.tensor_starts.size - 1, self.planes, dtype=np.int64)
        return np.asarray(self.stored.sum(axis=1, dtype=np.int64))

    @cached_property
    def first_bits(self) -> Int64:
        """Address of every tensor's first data bit, and their number: int64 [T+1]."""
        return np.concatenate([[0], np.cumsum(self.data_bits)]).astype(np.int64)

    @cached_property
    def class_of_plane(self) -> Int64:
        """int64 [planes], LSB first."""
        return self.geometry.classes_of(self.planes)

    @cached_property
    def classes(self) -> int:
        """Row classes."""
        return int(self.class_of_plane.max()) + 1

    @property
    def groups(self) -> int:
        """Refresh groups, banks x classes."""
        return self.geometry.banks * self.classes

    @property
    def lanes(self) -> int:
        """Lanes of a bank: row classes, and faster rows."""
        return self.classes + len(self.fast)

    def lane(self, row_class: int, factor: float = 1.0) -> int | None:
        """The lane of a class's rows that are refreshed ``factor`` times as often as its rest; None where none are."""
        if factor == 1.0:
            return row_class
        places = [(rows.row_class, rows.factor) for rows in self.fast]
        return self.classes + places.index((row_class, factor)) if (row_class, factor) in places else None

    def class_of_lane(self, lane: int) -> int:
        """The row class of a lane."""
        return lane if lane < self.classes else self.fast[lane - self.classes].row_class

    def lane_intervals_s(self, intervals_s: Sequence[float | None]) -> tuple[float | None, ...]:
        """The refresh interval of every lane, from that of every class; None where nothing is refreshed."""
        fast = (intervals_s[rows.row_class] for rows in self.fast)
        return (
            *intervals_s,
            *(None if s is None else s / rows.factor for s, rows in zip(fast, self.fast, strict=True)),
        )

    @property
    def weights(self) -> int:
        """Stored weights."""
        return int(self.tensor_starts[-1])

    @property
    def stored_bits(self) -> int:
        """Data and parity bits."""
        return int(self.data_bits.sum() + self.parity_bits.sum())

    @cached_property
    def stride(self) -> int:
        """Bits that stay in one bank before the next: a whole bank's share, or one access word's, of whole weights.

        Where weights differ in bits, so many whole ones of the widest.
        """
        widest = int(self.weight_bits.max())
        if self.geometry.interleave == "block":
            return max(1, -(-int(self.first_bits[-1]) // (self.geometry.banks * widest))) * widest
        return max(1, self.geometry.word_bits // widest) * widest

    def address_of(self, weight: Int64) -> Int64:
        """Address of the first data bit of global weight indices, int64."""
        if self.stored is None:
            return weight * self.planes
        tensor = np.searchsorted(self.tensor_starts, weight, side="right") - 1
        within = (weight - self.tensor_starts[tensor]) * self.weight_bits[tensor]
        return np.asarray(self.first_bits[tensor] + within)

    def bank_of(self, weight: Int64) -> Int64:
        """Bank of global weight indices, int64."""
        return (self.address_of(weight) // self.stride) % self.geometry.banks

    def group_of(self, weight: Int64, plane: Int64) -> Int64:
        """Refresh group of data bits, int64."""
        return self.bank_of(weight) * self.classes + self.class_of_plane[plane]

    @cached_property
    def bank_weights(self) -> Int64:
        """Weights of each tensor in each bank: int64 [T, banks]."""
        banks, stride, sizes = self.geometry.banks, self.stride, np.diff(self.tensor_starts).tolist()
        # a first bit is in bank b where its address modulo a round of all banks is in [b, b + 1) strides
        found = [
            [_floor_sum(n, stride * banks, bits, first - b * stride) for b in range(banks + 1)]
            for n, bits, first in zip(sizes, self.weight_bits.tolist(), self.first_bits[:-1].tolist(), strict=True)
        ]
        floors = np.array(found, dtype=np.int64)
        return np.asarray(floors[:, :-1] - floors[:, 1:])

    @cached_property
    def bank_words(self) -> Int64:
        """Accesses that read each tensor, parity included, in each bank: int64 [T, banks]."""
        weights = np.maximum(np.diff(self.tensor_starts), 1)[:, None]
        bits = self.bank_weights * (self.weight_bits[:, None] + self.parity_bits[:, None] / weights)
        return np.ceil(bits / self.geometry.word_bits - 1e-9).astype(np.int64)

    @cached_property
    def residency(self) -> Residency:
        """Which tensors stay in the array; ValueError when the image does not fit and there is no backing store."""
        geometry = self.geometry
        bits = self.data_bits + self.parity_bits
        return resident_tensors(bits, geometry.capacity_bits, geometry.backing_bits_per_s, geometry.backing_latency_s)

    @property
    def class_data_bits(self) -> Float64:
        """Data bits of each row class over all banks: float64 [classes]."""
        bits = np.zeros(self.classes)
        np.add.at(bits, self.class_of_plane, self.plane_bits.sum(axis=0))
        return bits

    @property
    def class_bits(self) -> Float64:
        """Bits of each row class over all banks, check bits with those of the top plane: float64 [classes]."""
        bits = self.class_data_bits
        bits[self.class_of_plane[-1]] += self.parity_bits.sum()
        return bits

    @cached_property
    def rows_in_use(self) -> Int64:
        """Rows of each class that hold something in one bank, faster ones aside: int64 [classes]."""
        return self._rows_of(self.class_bits - self._fast_bits)

    @cached_property
    def rows_per_group(self) -> Int64:
        """Rows of each class in one bank, faster ones aside (all banks alike): int64 [classes]."""
        bits = self.class_bits
        if self.geometry.capacity_bits is not None:
            bits = bits * self.geometry.capacity_bits / bits.sum()
        return self._rows_of(bits - self._fast_bits)

    @cached_property
    def rows_per_lane(self) -> Int64:
        """Rows of each lane in one bank: int64 [lanes]."""
        fast = self._rows_of(np.array([rows.bits for rows in self.fast], dtype=np.float64))
        return np.concatenate([self.rows_per_group, fast])

    @property
    def _fast_bits(self) -> Float64:
        """Bits of each class in faster rows: float64 [classes]."""
        places = np.array([rows.row_class for rows in self.fast], dtype=np.int64)
        return np.bincount(places, [rows.bits for rows in self.fast], self.classes).astype(np.float64)

    def _rows_of(self, bits: Float64) -> Int64:
        """Rows of one bank that hold so many bits of all banks."""
        return np.ceil(np.ceil(bits / self.geometry.banks) / self.geometry.row_bits - 1e-9).astype(np.int64)

    @cached_property
    def cycle_s(self) -> float:
        """Row (and word) cycle time of a bank, seconds."""
        return self.geometry.row_cycle_s(self.stored_bits, self.class_bits)

    @cached_property
    def _pass_s(self) -> list[float]:
        return [self.rows_s(rows, lane) for lane, rows in enumerate(self.rows_per_lane.tolist())]

    @cached_property
    def row_s(self) -> list[float]:
        """Duration of refreshing one row of each lane, correcting its words included, seconds."""
        correct_s = (*(self.corrections.row_s or (0.0,) * self.classes), *(0.0 for _ in self.fast))
        return [self.cycle_s + more for more in correct_s]

    def rows_s(self, rows: int, lane: int) -> float:
        """Duration of refreshing some rows of a lane in one bank, seconds."""
        return math.ceil(rows / self.geometry.rows_refreshed_together) * self.row_s[lane]

    def passes_s(self, rows: Int64, lane: int) -> Float64:
        """Durations of passes that refresh so many rows of a lane each, seconds: float64, shape of ``rows``."""
        turns = -(-rows // self.geometry.rows_refreshed_together)
        return np.asarray(turns * self.row_s[lane], dtype=np.float64)

    def pass_s(self, lane: int) -> float:
        """Duration of refreshing one lane in one bank, seconds."""
        return self._pass_s[lane]

    def refresh_share(self, intervals_s: Sequence[float | None]) -> float:
        """Share of a bank's time that refresh takes at these intervals of the classes, faster rows included."""
        return sum(p / s for p, s in self._passes(intervals_s))

    def _passes(self, intervals_s: Sequence[float | None]) -> list[tuple[float, float]]:
        """(duration, interval) of the refresh passes of every lane, seconds."""
        return [(self.pass_s(n), s) for n, s in enumerate(self.lane_intervals_s(intervals_s)) if s is not None]

    def check_refresh(self, intervals_s: Sequence[float | None]) -> float:
        """The share; ValueError with the numbers when above 1."""
        passes, share = self._passes(intervals_s), self.refresh_share(intervals_s)
        if share > 1.0:
            cycle_ns, needed = max(self.row_s) * 1e9, math.ceil(share * self.geometry.banks)
            kind = "lane" if self.fast else "class"
            detail = ", ".join(f"{p * 1e6:.4g} us of every {s * 1e6:.4g} us" for p, s in passes)
            raise ValueError(
                f"refresh takes {share:.0%} of every bank's time ({detail}; rows per {kind} "
                f"{self.rows_per_lane.tolist()}, row cycle {cycle_ns:.3g} ns, correcting included); at least {needed} "
                f"banks (now {self.geometry.banks}), longer rows, more rows refreshed together or a longer interval "
                "are needed"
            )
        return share


def _floor_sum(n: int, m: int, a: int, b: int) -> int:
    """Sum of floor((a i + b) / m) over i = 0 .. n-1, in O(log m) steps (as in the algorithm of Euclid)."""
    total = 0
    while n > 0 and m > 0:
        total += n * (n - 1) // 2 * (a // m) + n * (b // m)
        a, b = a % m, b % m
        n, b = divmod(a * n + b, m)
        m, a = a, m
    return total
