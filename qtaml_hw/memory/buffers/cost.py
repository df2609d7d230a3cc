"""What a buffer takes: area, and energy and bank time per inference, from the cost model of the weights' array.

Refresh by rule: ``always``, every row at every interval; ``outlived``, the rows of a value as often as whole intervals
pass while it lives; ``banks``, whole banks while they hold such a value.  Reads and writes are whole access words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.memory.buffers.allocation import Allocation, Placement
from qtaml_hw.memory.buffers.flips import PlaneCells
from qtaml_hw.memory.traffic.planned import PlannedArray

Rule = Literal["always", "outlived", "banks"]


@dataclass(frozen=True, eq=False)
class Coding:
    """Encoders and decoders of a buffer: area in m^2 and leakage in watts of all banks, joules by value.

    ``decode_j`` [values] for every number that is read; ``encode_j`` [values] for every number that is written.
    """

    area_m2: float
    leakage_w: float
    decode_j: Float64
    encode_j: Float64

    @classmethod
    def none(cls, values: int) -> Coding:
        """Of values without codes."""
        return cls(0.0, 0.0, np.zeros(values), np.zeros(values))

    def energy_j(self, allocation: Allocation, seconds: float) -> float:
        """Of one inference every ``seconds``; what lies behind the array is not coded."""
        spent = self.leakage_w * seconds
        for place, decode_j, encode_j in zip(allocation.places, self.decode_j, self.encode_j, strict=True):
            if place.address is not None:
                spent += place.value.word_reads * float(decode_j) + place.value.words * float(encode_j)
        return spent


@dataclass(frozen=True)
class BufferCost:
    """Area in m^2 (all banks), joules per inference by part, seconds lost per inference, shares of bank time.

    ``area_m2`` with that of encoders and decoders, ``codec_area_m2``, and of check cells;
    ``refreshes``: refreshes of a row per inference, the mean over all rows and classes of planes;
    ``refreshes_always`` the same if every row were refreshed at its interval, ``refresh_always_j`` its joules.
    """

    area_m2: float
    codec_area_m2: float
    read_j: float
    write_j: float
    codec_j: float
    refresh_j: float
    leakage_j: float
    backing_j: float
    backing_s: float
    refresh_bandwidth_share: float
    refreshes: float
    refreshes_always: float
    refresh_always_j: float

    @property
    def energy_j(self) -> float:
        """All of it."""
        return self.read_j + self.write_j + self.codec_j + self.refresh_j + self.leakage_j + self.backing_j

    @property
    def refresh_saved(self) -> float:
        """Share of the refreshes that the rule saves."""
        return 1.0 - self.refreshes / self.refreshes_always if self.refreshes_always else 0.0


def buffer_cost(
    allocation: Allocation,
    array: PlannedArray,
    cells: Sequence[PlaneCells],
    classes: Sequence[Int64],
    rule: Rule,
    seconds: float,
    coding: Coding | None = None,
) -> BufferCost:
    """Cost of one inference every ``seconds``.

    ``array``: laid out for as many words as the buffer has; ``cells`` by row class; ``classes`` [tokens] by value;
    ``coding`` None: no value has ECC words.
    Raises ValueError when a refresh takes longer than its interval.
    """
    layout, costs, banks = array.layout, array.costs, array.geometry.banks
    layout.check_refresh(array.schedule.refresh_intervals(layout.classes))
    bank = array.geometry.bank_cost(layout.stored_bits, layout.class_bits)
    refresh_j = share = counted = always = always_j = 0.0
    for number, one in enumerate(cells):
        passes = [_passes(allocation, one, classes, how, seconds, banks) for how in (rule, "always")]
        rows = banks * float(layout.rows_per_group[number])
        refresh_j += passes[0] * rows * costs.row_j(number)
        always_j += passes[1] * rows * costs.row_j(number)
        share += passes[0] * layout.pass_s(number) / seconds
        counted, always = counted + passes[0] * rows, always + passes[1] * rows
    total = banks * float(layout.rows_per_group.sum())
    inside, word = [place.value for place in allocation.inside], array.geometry.word_bits
    spilled_bits = sum((v.words + v.word_reads) * v.bits for v in allocation.spilled)
    codecs = coding or Coding.none(len(allocation.places))
    rate, latency_s = array.geometry.backing_bits_per_s, array.geometry.backing_latency_s
    return BufferCost(
        area_m2=banks * bank.area_m2 + codecs.area_m2,
        codec_area_m2=codecs.area_m2,
        read_j=sum(math.ceil(v.word_reads * v.stored_bits / word) for v in inside) * costs.read_j,
        write_j=sum(-(-(v.words * v.bits + v.check_bits) // word) for v in inside) * costs.write_j,
        codec_j=codecs.energy_j(allocation, seconds),
        refresh_j=refresh_j,
        leakage_j=costs.leakage_w * seconds,
        backing_j=spilled_bits * costs.backing_j_per_bit,
        backing_s=0.0 if rate is None else spilled_bits / rate + 2 * latency_s * len(allocation.spilled),
        refresh_bandwidth_share=share,
        refreshes=counted / total,
        refreshes_always=always / total,
        refresh_always_j=always_j,
    )


def _passes(
    allocation: Allocation, cells: PlaneCells, classes: Sequence[Int64], rule: str, seconds: float, banks: int
) -> float:
    """How often the rows of a class are refreshed per inference, the mean over them."""
    words = max(allocation.words, 1)
    of_rest = 0.0 if cells.interval_s is None else seconds / cells.interval_s
    if rule == "banks":
        return (
            sum(_on_s(allocation, cells, classes, bank, banks) for bank in range(banks))
            / banks
            / (cells.interval_s or np.inf)
        )
    count = of_rest * words if rule == "always" else 0.0
    for place, of_token in zip(allocation.places, classes, strict=True):
        if place.address is None:
            continue
        each, interval_s = place.value.room / place.value.tokens, cells.intervals_s(of_token)
        if rule == "always":
            count += each * float(((seconds / interval_s - of_rest) * (of_token > 0)).sum())
        else:
            count += each * float(np.floor(place.value.lifetimes_s / interval_s * (1.0 + 1e-12)).sum())
    return count / words


def _on_s(allocation: Allocation, cells: PlaneCells, classes: Sequence[Int64], bank: int, banks: int) -> float:
    """Seconds per inference in which a bank holds a value that outlives its interval; banks are runs of addresses."""
    first, end = (-(-allocation.words * at // banks) for at in (bank, bank + 1))
    held = sorted(
        (place.value.written_at_s, place.value.ends_s)
        for place, of_token in zip(allocation.places, classes, strict=True)
        if place.address is not None and place.address < end and place.end > first and _outlives(place, cells, of_token)
    )
    total, until = 0.0, -np.inf
    for begin, last in held:
        total += max(0.0, last - max(begin, until))
        until = max(until, last)
    return total


def _outlives(place: Placement, cells: PlaneCells, of_token: Int64) -> bool:
    return bool(np.any(place.value.lifetimes_s >= cells.intervals_s(of_token)))
