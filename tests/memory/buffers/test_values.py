"""Values of one inference in time and in the array, against a plain loop over words and moments."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtaml_hw.memory.buffers import Produced, Value, allocate, schedule_of, token_classes

LAYERS = (("a", 1e-6), ("b", 2e-6), ("c", 3e-6))


def test_a_value_lives_from_its_producer_to_its_last_reader() -> None:
    made = (Produced("x", 10, "", "a", "a"), Produced("y", 4, "a", "b", "c"), Produced("z", 2, "b", "c", "c"))
    x, y, z = schedule_of(made, LAYERS, bits=8)
    assert [v.lifetimes_s[0] for v in (x, y, z)] == pytest.approx([1e-6, 5e-6, 3e-6])
    assert (y.written_at_s, y.first_read_s, y.last_read_s) == pytest.approx((1e-6, 1e-6, 6e-6))
    again = schedule_of(made, LAYERS, bits=8, batch=3)
    assert [v.words for v in again] == [30, 12, 6]
    assert [v.lifetimes_s[0] for v in again] == pytest.approx([3e-6, 15e-6, 9e-6])
    stated = schedule_of(made, LAYERS, bits=8, lifetime_s=7e-6)
    assert [v.lifetimes_s[0] for v in stated] == pytest.approx([7e-6] * 3)


def test_tokens_are_as_old_as_the_steps_behind_them() -> None:
    (kv,) = schedule_of((Produced("k", 32, "a", "b", "b", tokens=8),), LAYERS, bits=16, token_s=1e-3)
    assert kv.lifetimes_s == pytest.approx(np.arange(8, 0, -1) * 1e-3)
    assert kv.between_reads_s == pytest.approx([1e-3] * 8)
    assert kv.word_reads == sum(4 * (8 - t) for t in range(8))
    (shared,) = schedule_of((Produced("k", 32, "a", "b", "b", tokens=8),), LAYERS, bits=16)
    assert shared.lifetimes_s[0] == pytest.approx(6e-6)


@pytest.mark.parametrize("last_s", [0.0, 1e-6, -1.0, float("nan")])
def test_a_lifetime_of_zero_or_below_is_refused(last_s: float) -> None:
    with pytest.raises(ValueError, match="a lifetime is above 0"):
        Value("x", "a", 1, 8, 1e-6, 1e-6, last_s)
    with pytest.raises(ValueError, match="no layer 'd' runs; there are a, b, c"):
        schedule_of((Produced("x", 1, "a", "d", "d"),), LAYERS, bits=8)


def test_what_does_not_fit_spills_or_is_refused_with_the_words() -> None:
    values = [Value("big", "a", 90, 8, 0.0, 1.0, 2.0), Value("more", "b", 20, 8, 1.0, 2.0, 3.0)]
    with pytest.raises(ValueError, match="more takes 20 words of 8 bit and the buffer of 100 words"):
        allocate(values, 100)
    found = allocate(values, 100, backing=True)
    assert [place.address for place in found.places] == [0, None]
    assert found.spilled == (values[1],)
    assert allocate(values).words == 110


def test_classes_of_tokens_go_by_score_from_the_lowest() -> None:
    value = Value("k", "a", 10, 8, 0.0, 0.1, 10.0, tokens=10, token_s=1.0)
    assert token_classes(value, [0.3, 0.2]).tolist() == [1, 1, 1, 2, 2, 0, 0, 0, 0, 0]
    scores = np.array([5.0, 1, 9, 2, 8, 3, 7, 4, 6, 0])
    assert token_classes(value, [0.3], scores).tolist() == [0, 1, 0, 1, 0, 0, 0, 0, 0, 1]


spans = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 12), st.integers(1, 6)), min_size=1, max_size=8)


@settings(max_examples=300, deadline=None)
@given(spans, st.integers(4, 30))
def test_no_word_holds_two_values_and_each_lies_as_low_as_it_can(
    spans: list[tuple[int, int, int]], capacity: int
) -> None:
    """A grid of moments by words, filled value by value in the order of their writes."""
    values = [Value(f"v{i}", "", n, 8, float(t), t + 0.5, float(t + d)) for i, (n, t, d) in enumerate(spans)]
    found = allocate(values, capacity, backing=True)
    taken = np.zeros((20, capacity), dtype=bool)
    for i in sorted(range(len(values)), key=lambda i: (spans[i][1], i)):
        words, begin, length = spans[i]
        free = [at for at in range(capacity - words + 1) if not taken[begin : begin + length, at : at + words].any()]
        assert found.places[i].address == (free[0] if free else None)
        if free:
            taken[begin : begin + length, free[0] : free[0] + words] = True
