"""Formats by a stated rule: every code against the rule written out, closed forms of what single flips do."""

from __future__ import annotations

import numpy as np
import pytest

from qtaml_hw.weights import WeightFormat, number_format, quantise
from qtaml_hw.weights.derived import Bounded, DerivedFormat, InPlaceChecks, InvertedBySign

INT8 = WeightFormat(8)
LOW = tuple(range(7))
FORMS: list[DerivedFormat] = [
    InvertedBySign(INT8, LOW),
    InvertedBySign(INT8, (6, 5), 1),
    InvertedBySign(number_format("bfloat16"), tuple(range(15))),
    InPlaceChecks(INT8, "copy", (7,), (0,)),
    InPlaceChecks(INT8, "copy", (7,), (0,), "and"),
    InPlaceChecks(INT8, "copy", (7, 6), (0, 1), "or"),
    InPlaceChecks(INT8, "copy", (7,), (0, 1)),
    InPlaceChecks(INT8, "parity", (7, 6, 5, 4), (0,)),
    InPlaceChecks(number_format("float16"), "parity", (15, 14, 13, 12, 11, 10), (0, 1)),
    Bounded(number_format("bfloat16"), 2.0),
    Bounded(number_format("float16"), 2.0, "bound"),
]


def named(form: DerivedFormat) -> str:
    return form.name


@pytest.mark.parametrize("form", FORMS, ids=named)
def test_what_is_written_reads_back_and_nothing_else_is_written(form: DerivedFormat) -> None:
    codes = form.encode(form.decode_table[form.written])
    assert form.written[codes].all()
    assert np.array_equal(form.decode_table[codes], form.decode_table[form.written])
    draw = np.random.default_rng(5).uniform(-form.largest, form.largest, 500)
    written = np.flatnonzero(form.written)
    best = np.abs(form.decode_table[written][None, :] - draw[:, None]).min(axis=1)
    assert np.allclose(np.abs(form.decode_table[form.encode(draw)] - draw), best)
    assert form.decode_ge > form.inner.decode_ge


def test_one_enhancement_is_its_own_inverse_and_costs_no_level() -> None:
    form = InvertedBySign(INT8, LOW)
    codes = np.arange(256)
    assert np.array_equal(form.decode_table, INT8.decode_table[np.where(codes < 128, codes ^ 127, codes)])
    assert sorted(form.decode_table) == sorted(INT8.decode_table)
    ones = form.bit_table[form.encode([0.0, 1.0, -1.0])].sum(axis=1)
    assert ones.tolist() == [7, 6, 8]  # 0, 1 and 8 without the rule
    assert form.decode_ge == 14.0


def test_a_copy_of_the_sign_bit_ends_every_single_flip_of_it_at_zero() -> None:
    form = InPlaceChecks(INT8, "copy", (7,), (0,))
    codes = np.flatnonzero(form.written)
    assert len(codes) == 128
    assert set(form.decode_table[codes]) == set(range(-128, 128, 2))
    for plane in (7, 0):
        assert not form.decode_table[codes ^ (1 << plane)].any()
    assert np.array_equal(form.flip_damage[codes, 7], form.decode_table[codes] ** 2)
    both = form.decode_table[codes ^ 0b10000001] - form.decode_table[codes]
    assert set(np.abs(both)) == {128.0}


@pytest.mark.parametrize("p", [0.01, 0.1])
def test_the_residual_of_copies_is_that_of_their_bits(p: float) -> None:
    """P(the guarded bit is read wrong | bit): lost in both copies under or, in either under and; two of three voted."""
    lost = {"or": p * p, "and": 1.0 - (1.0 - p) ** 2, "vote": 3 * p * p * (1 - p) + p**3}
    forms = {
        "or": InPlaceChecks(INT8, "copy", (7,), (0,), "or"),
        "and": InPlaceChecks(INT8, "copy", (7,), (0,), "and"),
        "vote": InPlaceChecks(INT8, "copy", (7,), (0, 1)),
    }
    for name, form in forms.items():
        cells = [7, *form.into]
        for code in np.flatnonzero(form.written & (form.decode_table < 0)):
            wrong = 0.0
            for pattern in range(1 << len(cells)):
                hit = [plane for i, plane in enumerate(cells) if pattern >> i & 1]
                read = form.decode_table[code ^ sum(1 << plane for plane in hit)]
                wrong += p ** len(hit) * (1 - p) ** (len(cells) - len(hit)) * (read - form.decode_table[code] == 128.0)
            assert wrong == pytest.approx(lost[name], rel=1e-12)


def test_parity_finds_every_odd_number_of_flips_of_its_run() -> None:
    form = InPlaceChecks(INT8, "parity", (7, 6, 5, 4), (0,))
    codes = np.flatnonzero(form.written)
    run = [7, 6, 5, 4, 0]
    for pattern in range(1, 32):
        mask = sum(1 << plane for i, plane in enumerate(run) if pattern >> i & 1)
        read, odd = form.decode_table[codes ^ mask], bin(pattern).count("1") % 2
        wanted = np.zeros(len(codes)) if odd else INT8.decode_table[(codes ^ mask) & 0xFE]
        assert np.array_equal(read, wanted)


def test_the_price_without_flips_is_the_plane_that_gave_way() -> None:
    weights = {"w": np.random.default_rng(2).normal(size=20_000).astype(np.float32)}
    plain, copied = (quantise(weights, f) for f in (INT8, InPlaceChecks(INT8, "copy", (7,), (0,))))
    error = [float(np.mean((image.decode()["w"] - weights["w"]) ** 2)) for image in (plain, copied)]
    assert error[1] / error[0] == pytest.approx(4.0 * (127 / 126) ** 2, rel=0.03)  # steps twice as wide
    assert copied.stored_bits == plain.stored_bits


def test_beyond_a_bound_nothing_is_read() -> None:
    inner = number_format("bfloat16")
    for beyond, most in (("zero", 2.0), ("bound", 2.0)):
        table = Bounded(inner, 2.0, beyond).decode_table  # type: ignore[arg-type]
        assert np.abs(table).max() == most
        outside = np.abs(inner.decode_table) > 2.0
        assert np.array_equal(table[~outside], inner.decode_table[~outside])
        assert np.array_equal(table[outside], np.sign(inner.decode_table[outside]) * (0.0 if beyond == "zero" else 2.0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: InvertedBySign(INT8, (7,)), "0 .. 6"),
        (lambda: InPlaceChecks(INT8, "copy", (7,), (7,)), "each named once"),
        (lambda: InPlaceChecks(INT8, "copy", (7, 6), (0,)), "one or two planes each"),
        (lambda: InPlaceChecks(INT8, "parity", (7, 6, 5), (0, 1)), "equal length"),
        (lambda: InPlaceChecks(INT8, "parity", (7,), (0,), "or"), "single copies"),
        (lambda: Bounded(INT8, 1.0), "nothing beyond"),
        (lambda: Bounded(number_format("float16"), 1e6), "between 0 and 65504"),
    ],
)
def test_rules_that_do_not_fit_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]


def test_rules_lie_over_each_other() -> None:
    form = InvertedBySign(InPlaceChecks(INT8, "copy", (7,), (0,)), LOW)
    codes = np.flatnonzero(form.written)
    assert set(form.decode_table[codes]) == set(range(-128, 128, 2))
    assert not form.decode_table[codes ^ 1].any()
