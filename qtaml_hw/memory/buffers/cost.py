"""What a buffer takes: area, and energy and bank time per inference, from the cost model of the weights' array.

Values of a batch are read, written and refreshed together, and every inference of it bears its share.  Reads and writes
are whole access words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.memory.buffers.allocation import Allocation
from qtaml_hw.memory.buffers.flips import PlaneCells
from qtaml_hw.memory.buffers.refresh import RULES, Rows
from qtaml_hw.memory.traffic.planned import PlannedArray


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
        """Of one batch every ``seconds``; what lies behind the array is not coded."""
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
    rule: str,
    seconds: float,
    coding: Coding | None = None,
) -> BufferCost:
    """Cost of an inference, one every ``seconds``: its share of a batch, whose values are there together.

    ``array``: laid out for as many words as the buffer has; ``cells`` by row class; ``classes`` [tokens] by value;
    ``rule`` of ``RULES``; ``coding`` None: no value has ECC words.
    Raises ValueError when a refresh takes longer than its interval.
    """
    batch = allocation.batch
    period_s = batch * seconds
    layout, costs, banks = array.layout, array.costs, array.geometry.banks
    layout.check_refresh(array.schedule.refresh_intervals(layout.classes))
    bank = array.geometry.bank_cost(layout.stored_bits, layout.class_bits)
    refresh_j = share = counted = always = always_j = 0.0
    for number, one in enumerate(cells):
        there = Rows(allocation, one, classes, period_s, banks)
        passes = [RULES[how](there) / batch for how in (rule, "always")]
        rows = banks * float(layout.rows_per_group[number])
        refresh_j += passes[0] * rows * costs.row_j(number)
        always_j += passes[1] * rows * costs.row_j(number)
        share += passes[0] * layout.pass_s(number) / seconds
        counted, always = counted + passes[0] * rows, always + passes[1] * rows
    if share > 1.0:
        raise ValueError(f"refresh takes {share:.0%} of every bank's time; intervals of its values are too short")
    total = banks * float(layout.rows_per_group.sum())
    inside, word = [place.value for place in allocation.inside], array.geometry.word_bits
    spilled_bits = sum((v.words + v.word_reads) * v.bits for v in allocation.spilled) / batch
    codecs = coding or Coding.none(len(allocation.places))
    rate, latency_s = array.geometry.backing_bits_per_s, array.geometry.backing_latency_s
    return BufferCost(
        area_m2=banks * bank.area_m2 + codecs.area_m2,
        codec_area_m2=codecs.area_m2,
        read_j=sum(math.ceil(v.word_reads * v.stored_bits / word) for v in inside) * costs.read_j / batch,
        write_j=sum(-(-(v.words * v.bits + v.check_bits) // word) for v in inside) * costs.write_j / batch,
        codec_j=codecs.energy_j(allocation, period_s) / batch,
        refresh_j=refresh_j,
        leakage_j=costs.leakage_w * seconds,
        backing_j=spilled_bits * costs.backing_j_per_bit,
        backing_s=0.0 if rate is None else spilled_bits / rate + 2 * latency_s * len(allocation.spilled) / batch,
        refresh_bandwidth_share=share,
        refreshes=counted / total,
        refreshes_always=always / total,
        refresh_always_j=always_j,
    )
