"""Flips of values against closed forms, the engine, and a plain loop over cells and values."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtaml_hw.activations import Same
from qtaml_hw.faults import TENSORS, MapKey, flip, weak_cells
from qtaml_hw.memory import FixedCells, PoissonCells
from qtaml_hw.memory.buffers import PlaneCells, Rates, Value, allocate, masks_of, rates_of
from tests.memory.brute_force import UniformLife

KEY = MapKey(7, 3)
STATES = st.sampled_from([0, 1, "both"])


def test_closed_forms_of_every_law() -> None:
    value = Value("x", "a", 8, 8, 0.0, 1.0, 4.0)
    life = UniformLife(16.0)
    low, high = PlaneCells((0, 1, 2, 3), life), PlaneCells((4, 5, 6, 7), life, 2.0)
    up, down = rates_of(value, (low, high)).at()
    assert not up.any()
    assert down[0] == pytest.approx([4 / 16] * 4 + [2 / 16] * 4)
    down = rates_of(value, (PlaneCells(tuple(range(8)), life, reads_restore=True),)).at()[1]
    assert down[0] == pytest.approx([3 / 16] * 8)  # from the first read to the last
    up, down = rates_of(value, (PlaneCells(tuple(range(8)), PoissonCells(0.1, 0), 1.0),)).at()
    assert up[0] == pytest.approx([1 - math.exp(-0.4)] * 8)  # a refresh keeps what is lost
    assert not down.any()
    up, down = rates_of(value, (PlaneCells(tuple(range(8)), FixedCells(0.1, np.arange(8) / 10)),)).at()
    assert (up[0] == pytest.approx([0.1] * 8), down[0] == pytest.approx(np.arange(8) / 10)) == (True, True)


def test_inferences_of_a_batch_have_cells_of_their_own() -> None:
    """Two inferences of two tokens, one behind the other: old and new tokens of either by their own age."""
    value = Value("k", "a", 40_000, 8, 0.0, 1.0, 2.0, tokens=2, token_s=1.0, batch=2)
    assert value.token_of_word[[0, 9_999, 10_000, 19_999, 20_000, 39_999]].tolist() == [0, 0, 1, 1, 0, 1]
    cells = (PlaneCells(tuple(range(8)), UniformLife(8.0)),)
    (masks,) = masks_of(allocate([value]), [rates_of(value, cells)], KEY)
    assert masks is not None
    down = masks[1].reshape(2, 2, 10_000)
    rates = np.bitwise_count(down).sum(axis=2) / 80_000
    assert rates == pytest.approx(np.array([[2 / 8, 1 / 8]] * 2), abs=5 * math.sqrt(0.25 * 0.75 / 80_000))
    struck = np.full((3, 20_000), 255, dtype=np.uint8)
    Same(KEY, 0, masks[0], masks[1], 2).strike(struck, 1)
    assert [np.array_equal(~row, down[slot].ravel()) for row, slot in zip(struck, (1, 0, 1), strict=True)] == [True] * 3


def test_relaxed_tokens_have_their_own_interval() -> None:
    value = Value("k", "a", 8, 8, 0.0, 1.0, 4.0, tokens=4, token_s=1.0)
    cells = PlaneCells(tuple(range(8)), UniformLife(16.0), 1.5, (None, 2.5))
    down = rates_of(value, (cells,), np.array([1, 2, 0, 0])).at()[1]
    assert down[:, 0] * 16 == pytest.approx([4.0, 2.5, 1.5, 1.0])


def test_masks_are_what_the_engine_flips_at_the_same_addresses() -> None:
    """A value that fills the buffer from its first word on, with one probability a plane."""
    value = Value("x", "a", 70_000, 16, 0.0, 1.0, 1.0)
    p01, p10 = np.linspace(0.0, 0.3, 16)[None], np.linspace(0.2, 0.0, 16)[None]
    rates = Rates(np.stack([np.stack([np.zeros_like(p), p], axis=1) for p in (p01, p10)]), np.zeros(1, dtype=np.int64))
    (masks,) = masks_of(allocate([value]), [rates], KEY, 2)
    assert masks is not None
    codes = np.random.default_rng(1).integers(0, 1 << 16, 70_000).astype(np.uint16)
    key = KEY.of(TENSORS["buffers"].number(2))
    assert np.array_equal(codes ^ ((~codes & masks[0]) | (codes & masks[1])), flip(codes, p01[0], p10[0], key))


def test_empirical_rates_meet_the_closed_form_by_value_and_plane() -> None:
    """Over 40 maps: within 5 sigma of the binomial, of halves of a buffer that tokens of unlike age share, by step."""
    n, maps = 20_000, 40
    values = [Value("x", "a", n, 8, 0.0, 1.0, 1.0), Value("k", "b", n, 8, 0.0, 0.5, 4.0, tokens=4, token_s=1.0)]
    cells = (PlaneCells((0, 1, 2), UniformLife(100.0), None), PlaneCells((3, 4, 5, 6, 7), UniformLife(100.0, 0), 1.5))
    p = [rates_of(value, cells) for value in values]
    place = allocate(values)
    found = np.zeros((2, 4, 2, 4, 8))
    for index in range(maps):
        for v, masks in enumerate(masks_of(place, p, MapKey(5, index))):
            assert masks is not None
            tokens = values[v].tokens
            for step, state in product(range(tokens), (0, 1)):
                bits = (masks.at(step)[state][:, None] >> np.arange(8)) & 1
                found[v, step, state, :tokens] += bits.reshape(tokens, -1, 8).sum(axis=1)
    for v, value in enumerate(values):
        each = maps * n / value.tokens
        for step, state in product(range(value.tokens), (0, 1)):
            wanted, there = p[v].at(step)[state], slice(0, step + 1)
            sigma = np.sqrt(wanted * (1.0 - wanted) / each)
            apart = np.abs(found[v, step, state, : value.tokens] / each - wanted)
            assert np.all(apart[there] <= 5.0 * sigma[there])


spans = st.lists(
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(0, 9), st.integers(1, 6)), min_size=1, max_size=5
)


@settings(max_examples=1000, deadline=None)
@given(spans, st.integers(0, 99), st.sampled_from([None, 1.0, 2.5]), STATES, st.integers(4, 40))
def test_brute_force_agrees(
    spans: list[tuple[int, int, int, int]], seed: int, interval_s: float | None, state: int | str, capacity: int
) -> None:
    """Every cell has one retention time, and loses whatever lies on it for longer without a restore, at every step."""
    values = [
        Value(f"v{i}", "", n * t, 8, float(at), at + 0.5, float(at + long + t - 1), tokens=t, token_s=float(t > 1))
        for i, (n, t, at, long) in enumerate(spans)
    ]
    life = UniformLife(8.0, state)  # type: ignore[arg-type]
    cells = (PlaneCells((0, 1, 2, 3, 4), life, interval_s), PlaneCells((5, 6, 7), life))
    place = allocate(values, capacity, backing=True)
    masks = masks_of(place, [rates_of(v, cells) for v in values], MapKey(seed, 1))
    retention_s = np.full((8, capacity), np.inf)
    for plane in range(8):
        weak = weak_cells(place.used, plane, 1.0, MapKey(seed, 1, TENSORS["buffers"].number(0)))
        retention_s[plane, weak.position] = life.retention_quantile(weak.u)
    for where, found in zip(place.places, masks, strict=True):
        if where.address is None:
            assert found is None
            continue
        assert found is not None
        value = where.value
        token = np.arange(value.words) // (value.words // value.tokens)
        retained_s = retention_s[:, where.address : where.address + value.words]
        for step in range(value.tokens):
            then = found.at(step)
            now = value.last_read_s - (value.tokens - 1 - step) * value.token_s
            alone = np.tile(now - value.written_at_s - token * value.token_s, (8, 1))
            alone[:5] = np.minimum(alone[:5], np.inf if interval_s is None else interval_s)
            lost, there = retained_s < alone, token <= step
            for stored in (0, 1):
                bits = (then[stored] >> np.arange(8)[:, None]) & 1
                np.testing.assert_array_equal(bits[:, there], (lost & (state in (stored, "both")))[:, there])
        assert all(np.array_equal(*both) for both in zip(found[:2], found.at(value.tokens - 1)[:2], strict=True))
