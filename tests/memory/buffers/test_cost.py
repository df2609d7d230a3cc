"""What a buffer costs by the rule of its refresh: closed forms of the rows' refreshes."""

from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from qtaml_hw import memory
from qtaml_hw.memory import ArrayGeometry, PlannedArray, Schedule
from qtaml_hw.memory.buffers import (
    Allocation,
    BufferCost,
    Coding,
    Part,
    PlaneCells,
    Value,
    allocate,
    allocate_parts,
    buffer_cost,
)
from qtaml_hw.memory.buffers.refresh import RULES, Rows
from qtaml_hw.names import REFRESHED
from qtaml_hw.protection import ProtectionPlan
from tests.memory.brute_force import UniformLife

WORDS, PERIOD_S = 65_536, 1e-3
SHORT = Value("short", "a", 16_384, 8, 0.0, 5e-6, 10e-6, word_reads=32_768)
LONG = Value("long", "a", 16_384, 8, 0.0, 5e-6, 100e-6, word_reads=16_384)


def cost(
    values: list[Value],
    rule: str,
    interval_s: float | None = 40e-6,
    capacity: int = WORDS,
    coding: Coding | None = None,
    restores: bool = False,
) -> BufferCost:
    """A buffer of four banks, one inference a millisecond."""
    place: Allocation = allocate(values, capacity, backing=True)
    geometry = ArrayGeometry(
        banks=4, row_bits=1024, word_bits=64, cell="edram", node_m=65e-9, backing_bits_per_s=8e9, backing_latency_s=1e-7
    )
    plan = ProtectionPlan.unprotected(np.array([0, capacity]), 8)
    array = PlannedArray(plan, geometry, Schedule(horizon_s=1e-3, refresh_interval_s=interval_s))
    cells = (PlaneCells(tuple(range(8)), UniformLife(1.0), interval_s, reads_restore=restores),)
    classes = [np.zeros(v.tokens, dtype=np.int64) for v in values]
    return buffer_cost(place, array, cells, classes, rule, PERIOD_S, coding)


def test_refreshes_by_rule() -> None:
    """All rows 25 times a period; a quarter of the rows twice; one bank of four for 100 us."""
    always, outlived, banks = (cost([SHORT, LONG], rule) for rule in ("always", "outlived", "banks"))
    assert always.refreshes == pytest.approx(25.0)
    assert outlived.refreshes == pytest.approx(0.25 * 2)
    assert banks.refreshes == pytest.approx(0.25 * 100 / 40)
    assert outlived.refresh_j / always.refresh_j == pytest.approx(0.5 / 25.0)
    assert outlived.refresh_bandwidth_share / always.refresh_bandwidth_share == pytest.approx(0.5 / 25.0)
    assert outlived.refresh_saved == pytest.approx(1.0 - 0.5 / 25.0)
    assert always.refresh_saved == 0.0


def test_a_read_of_cells_that_it_restores_puts_off_their_refresh() -> None:
    """Charge that reads write back: 35 us to the first read and 65 us from there to the last, one refresh of 40 us."""
    late = replace(LONG, first_read_s=35e-6)
    assert cost([late], "untouched").refreshes == cost([late], "outlived").refreshes == pytest.approx(0.25 * 2)
    assert cost([late], "untouched", restores=True).refreshes == pytest.approx(0.25 * (0 + 1))
    grown = Value("k", "a", 16_384, 8, 0.0, 100e-6, 400e-6, tokens=4, token_s=100e-6)
    assert cost([grown], "outlived", restores=True).refreshes == pytest.approx((10 + 7 + 5 + 2) / 16)
    assert cost([grown], "untouched", restores=True).refreshes == pytest.approx((4 + 3 + 2 + 1) * 2 / 16)


def test_banks_of_a_part_are_refreshed_at_their_own_interval() -> None:
    """A bank of four at 10 us with the short value in it; in the rest the long one, whose rows go at 20 us while it is
    there, and else at 40 us: by row and millisecond 100 in a quarter, 25 elsewhere and 2.5 more in a quarter."""
    parts = (Part(1, (0,), 2), Part(3, (1,)))
    place = allocate_parts([SHORT, LONG], parts, WORDS)
    assert [one.address for one in place.places] == [0, WORDS // 4]
    cells = PlaneCells(tuple(range(8)), UniformLife(1.0), 40e-6, (20e-6, 10e-6))
    classes = [np.full(1, 2), np.full(1, 1)]
    found = {name: rule(Rows(place, cells, classes, PERIOD_S, 4)) for name, rule in RULES.items()}
    assert found["always"] == pytest.approx((100 + 3 * 25 + 100e-6 * (1 / 20e-6 - 1 / 40e-6)) / 4)
    assert found["outlived"] == pytest.approx((1 + 5) / 4)
    assert found["banks"] == pytest.approx((10 / 10 + 100 / 20) / 4)
    loose = allocate_parts([SHORT, LONG], parts)
    assert (loose.words, loose.places[1].address) == (WORDS, WORDS // 4)  # the larger need by bank is the first's
    with pytest.raises(ValueError, match="partitions take all 4 banks of the array, and long is in none"):
        allocate_parts([SHORT, LONG], (Part(4, (0,), 2), Part(0, (1,))))
    with pytest.raises(ValueError, match="short takes 16384 words"):
        allocate_parts([SHORT, LONG], parts, WORDS - 4)
    assert set(RULES) == set(REFRESHED)


def test_the_array_is_priced_at_the_size_of_the_buffer() -> None:
    """Area, leakage and accesses are those of the cost model for a bank of a fourth of the buffer's words."""
    found = cost([SHORT], "always", capacity=4 * WORDS)
    bank = memory.array_cost(
        capacity_bits=WORDS * 8, word_bits=64, node_m=65e-9, cell="edram", periphery="lstp", temperature_k=350.0
    )
    assert found.area_m2 == pytest.approx(4 * bank.area_m2, rel=1e-9)
    assert found.leakage_j == pytest.approx(4 * (bank.leakage_w + bank.gate_leakage_w) * PERIOD_S, rel=1e-9)
    assert found.write_j == pytest.approx(16_384 * 8 / 64 * bank.write_energy_j, rel=1e-9)
    assert cost([SHORT], "always").area_m2 < found.area_m2


def test_nothing_is_refreshed_where_every_value_dies_before_the_interval() -> None:
    for rule in ("outlived", "banks"):
        found = cost([SHORT], rule)
        assert (found.refreshes, found.refresh_j, found.refresh_saved) == (0.0, 0.0, 1.0)
    assert cost([LONG], "always", None).refresh_j == 0.0


def test_energy_is_of_whole_accesses_and_spilled_words_go_to_the_store_behind() -> None:
    one, both = cost([SHORT], "always"), cost([SHORT, LONG], "always", capacity=20_000)
    assert one.read_j / one.write_j == pytest.approx(2.0)  # eDRAM: a read and a write cost the same
    assert one.backing_j == one.backing_s == 0.0
    bits = (16_384 + 16_384) * 8
    assert both.backing_j == pytest.approx(bits * 30e-12)
    assert both.backing_s == pytest.approx(bits / 8e9 + 2e-7)
    assert both.energy_j == pytest.approx(both.read_j + both.write_j + both.refresh_j + both.leakage_j + both.backing_j)


def test_every_inference_of_a_batch_bears_its_share() -> None:
    """Two inferences at a time: twice the words for twice as long, 200 us of five intervals on half of the rows; by
    inference 1.25 refreshes of a row, and reads, writes, leakage and spills as of one alone."""
    pair = replace(LONG, words=32_768, word_reads=32_768, first_read_s=10e-6, last_read_s=200e-6, batch=2)
    one, two = cost([LONG], "outlived"), cost([pair], "outlived")
    assert (one.refreshes, two.refreshes) == (pytest.approx(0.25 * 2), pytest.approx(0.5 * 5 / 2))
    assert (one.refreshes_always, two.refreshes_always) == (pytest.approx(25.0), pytest.approx(25.0))
    assert two.refresh_j / one.refresh_j == pytest.approx(1.25 / 0.5)
    for name in ("read_j", "write_j", "leakage_j", "area_m2", "refresh_always_j"):
        assert getattr(two, name) == pytest.approx(getattr(one, name)), name
    assert two.read_j == pytest.approx(one.write_j)  # a write costs a read here
    banks = cost([pair], "banks")
    assert banks.refreshes == pytest.approx(2 / 4 * 200 / 40 / 2)  # two banks of four for 200 us of 2 ms
    spilled = cost([pair], "always", capacity=16_384)
    assert spilled.backing_j == pytest.approx(2 * 16_384 * 8 * 30e-12)
    assert spilled.backing_s == pytest.approx(2 * 16_384 * 8 / 8e9 + 1e-7)  # one request for both
    coding = Coding(1e-9, 2e-3, np.array([3e-12]), np.array([5e-12]))
    assert cost([pair], "always", coding=coding).codec_j == pytest.approx(cost([LONG], "always", coding=coding).codec_j)


def test_an_interval_that_no_pass_keeps_is_refused() -> None:
    with pytest.raises(ValueError, match="refresh"):
        cost([LONG], "always", 1e-7)


def test_check_cells_take_room_and_codecs_their_area_and_energy() -> None:
    """(72,64) on all bits: an eighth more words, accesses and refreshes; codecs by number read and written."""
    bare, checked = SHORT, replace(SHORT, check_bits=SHORT.words)
    assert (checked.room, allocate([checked, LONG]).words) == (18_432, 18_432 + 16_384)
    plain, more = cost([bare], "always"), cost([checked], "always")
    assert more.read_j / plain.read_j == pytest.approx(9 / 8)
    assert more.write_j / plain.write_j == pytest.approx(9 / 8)
    outlived = cost([replace(LONG, check_bits=LONG.words)], "outlived")
    assert outlived.refreshes == pytest.approx(9 / 8 * cost([LONG], "outlived").refreshes)
    coding = Coding(1e-9, 2e-3, np.array([3e-12]), np.array([5e-12]))
    coded = cost([checked], "always", coding=coding)
    assert coded.codec_j == pytest.approx(2e-3 * PERIOD_S + 32_768 * 3e-12 + 16_384 * 5e-12)
    assert coded.area_m2 == pytest.approx(more.area_m2 + 1e-9)
    assert coded.energy_j == pytest.approx(more.energy_j + coded.codec_j)


def test_check_cells_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="short takes 18432 words"):
        allocate([replace(SHORT, check_bits=SHORT.words)], 17_000)


@given(
    words=st.integers(1, 4000),
    checks=st.integers(0, 20_000),
    top_planes=st.integers(1, 7),
    intervals_us=st.tuples(st.integers(5, 60), st.integers(5, 60)),
    life_us=st.integers(1, 400),
    rule=st.sampled_from(["always", "outlived"]),
)
@settings(max_examples=100, deadline=None)
def test_check_cells_in_rows_of_all_classes_cost_what_they_do_in_their_own_within_their_share(
    words: int, checks: int, top_planes: int, intervals_us: tuple[int, int], life_us: int, rule: str
) -> None:
    """Two classes, planes below and on top, refreshed apart.  Exactly, check cells are refreshed as the top planes that
    they guard; counted as rows of all classes, the joules are off by no more than the share of the room behind the
    numbers times what refreshing every bit at the shorter interval takes."""
    value = Value("v", "a", words, 8, 0.0, 0.0, life_us * 1e-6, check_bits=checks)
    place, below = allocate([value]), 8 - top_planes
    cells = (
        PlaneCells(tuple(range(below)), UniformLife(1.0), intervals_us[0] * 1e-6),
        PlaneCells(tuple(range(below, 8)), UniformLife(1.0), intervals_us[1] * 1e-6),
    )
    geometry = ArrayGeometry(
        banks=1, row_bits=64, word_bits=64, placement="plane_separated", plane_class=(0,) * below + (1,) * top_planes
    )
    plan = ProtectionPlan.unprotected(np.array([0, place.words]), 8)
    array = PlannedArray(plan, geometry, Schedule(1e-3, (intervals_us[0] * 1e-6, intervals_us[1] * 1e-6)))
    found = buffer_cost(place, array, cells, [np.zeros(1, dtype=np.int64)], rule, PERIOD_S)
    every_us = np.array(intervals_us)
    times = 1000.0 / every_us if rule == "always" else (life_us // every_us).astype(float)
    planes = np.array([below, top_planes])
    bit_j = [array.layout.rows_per_group[c] * array.costs.row_j(c) / (place.words * planes[c]) for c in (0, 1)]
    own_j = float((words * planes * times) @ bit_j) + checks * times[1] * bit_j[1]
    shortest_j = times.max() * max(bit_j)
    room = 8 * (place.words - words)
    assert checks <= room < checks + 8
    assert abs(found.refresh_j - own_j) <= room * shortest_j + 1e-9 * own_j
