"""Residual channels: exact formula against Walsh-Hadamard, enumeration, Monte Carlo of the decoder, and limits."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from scipy.optimize import brentq

from qtaml_hw import ecc


def hadamard(values: np.ndarray) -> np.ndarray:
    """Walsh-Hadamard transform by butterflies (test twin, plain numpy)."""
    out = values.astype(np.float64).copy()
    h = 1
    while h < out.size:
        out = out.reshape(-1, 2, h)
        out = np.stack([out[:, 0] + out[:, 1], out[:, 0] - out[:, 1]], axis=1).reshape(-1)
        h *= 2
    return out


def walsh_hadamard_residual(code: ecc.Code, p: np.ndarray) -> tuple[np.ndarray, float]:
    """(data bit error after decoding, flagged words raw; P(flagged)) from the transform of the syndrome law."""
    size = 2**code.parity
    columns = code.columns[:, 0].astype(np.int64)
    odd = np.array([[(u & h).bit_count() % 2 for h in columns.tolist()] for u in range(size)], dtype=bool)
    spectrum = np.where(odd, 1.0 - 2.0 * p, 1.0).prod(axis=1)
    status, table = code.cosets.status, code.cosets.positions
    due = float(hadamard(spectrum)[status == 2].sum() / size)
    errors = np.empty(code.k)
    for j in range(code.k):
        flipped = np.where(odd[:, j], spectrum / (1.0 - 2.0 * p[j]), spectrum * (1.0 - 2.0 * p[j]))
        sign = np.where((table == j).any(axis=1), -1.0, 1.0)
        errors[j] = 0.5 * (1.0 - float((hadamard(flipped) * sign).sum()) / size)
    return errors, due


@pytest.mark.parametrize("name", ["hamming-12-8", "secded-13-8", "secded-39-32", "bch-15-7"])
def test_exact_residual_equals_walsh_hadamard_with_per_bit_probabilities(name: str) -> None:
    code = ecc.code(name)
    p = np.random.default_rng(4).uniform(0.001, 0.2, code.n)
    transfer = code.transfer(p[: code.k], p[code.k :])
    up, _ = transfer.directional(p[: code.k], p[: code.k], "raw")
    errors, due = walsh_hadamard_residual(code, p)
    np.testing.assert_allclose(up, errors, rtol=1e-11)
    assert transfer.p_due == pytest.approx(due, rel=1e-12)


@pytest.mark.parametrize(
    ("policy", "rule"), [("raw", "strict"), ("zero", "strict"), ("reload", "strict"), ("zero", "odd-syndrome")]
)
def test_exact_residual_equals_enumeration_of_all_words_and_errors(policy: str, rule: str) -> None:
    code = ecc.code("secded-8-4").with_policy(policy, rule)
    p01, p10, ones = 0.03, 0.11, 0.5
    errors = (np.arange(256)[:, None] >> np.arange(8)) & 1
    plain = code.with_policy("raw")
    flagged = plain.decode(errors).uncorrectable
    mean = 0.5 * (p01 + p10)
    up, down = np.zeros(4), np.zeros(4)
    for stored in (0, 1):
        for j in range(4):
            p = np.full(8, mean)
            p[j] = p10 if stored else p01
            law = np.where(errors == 1, p, 1.0 - p).prod(axis=1)
            raw = plain.decode(errors).data[:, j]
            bad = {"raw": raw, "reload": np.where(flagged, 0, raw), "zero": np.where(flagged, stored, raw)}[policy]
            (down if stored else up)[j] = (law * bad).sum()
    residual = code.residual(p01, p10, ones=ones)
    assert residual.p01 == pytest.approx(up.mean(), rel=1e-12)
    assert residual.p10 == pytest.approx(down.mean(), rel=1e-12)
    assert residual.bit_error == pytest.approx(0.5 * (up.mean() + down.mean()), rel=1e-12)
    law = np.where(errors == 1, mean, 1.0 - mean).prod(axis=1)
    assert residual.p_due == pytest.approx(law[flagged].sum(), rel=1e-12)
    wrong = plain.decode(errors).data.any(axis=1) & ~flagged
    assert residual.p_sdc == pytest.approx(law[wrong].sum(), rel=1e-12)


@pytest.mark.parametrize("p", [1e-3, 1e-2, 0.05, 0.10])
@pytest.mark.parametrize(
    "name", ["secded-39-32", "secded-72-64", "dected-45-32", "bch-63-45", "repeat-3", "golay-24-12"]
)
def test_formula_equals_monte_carlo_of_the_decoder_within_4_sigma(name: str, p: float) -> None:
    code = ecc.code(name)
    words = 60_000
    rng = np.random.default_rng(int(1e6 * p) + code.n)
    errors = rng.random((words, code.n)) < p
    hit, positions = np.nonzero(errors)
    out = code.correct_errors(hit, positions)
    residual = code.residual(p)
    per_word = np.bincount(out.word_ids, minlength=words)
    sigma = per_word.std() / np.sqrt(words) + 1.0 / words / code.k
    assert abs(per_word.mean() - code.k * residual.bit_error) < 4.0 * sigma + 4.0 / words
    for share, count in (
        (residual.p_due, out.uncorrectable_words.size),
        (residual.p_sdc, np.setdiff1d(np.unique(out.word_ids), out.uncorrectable_words).size),
    ):
        assert abs(count - words * share) < 4.0 * np.sqrt(words * share * (1.0 - share)) + 4.0


def test_bounded_distance_equals_exact_where_both_exist() -> None:
    from qtaml_hw.ecc.syndrome import exact_transfer
    from qtaml_hw.ecc.weight_distribution import bounded_distance_transfer

    code = ecc.code("bch-31-16")
    for p in (1e-4, 1e-2, 0.1, 0.4):
        exact, bounded = exact_transfer(code, np.full(31, p)), bounded_distance_transfer(code, p)
        assert bounded.method == "bounded-distance, exact weights"
        for field in fields(exact)[:6]:
            mean = np.mean(getattr(exact, field.name))
            assert mean == pytest.approx(np.mean(getattr(bounded, field.name)), rel=1e-9)


def test_tiny_probabilities_keep_their_relative_accuracy() -> None:
    for p in (1e-6, 1e-9, 1e-12):
        assert ecc.code("repeat-3").residual(p).bit_error == pytest.approx(3.0 * p**2 * (1.0 - p) + p**3, rel=1e-12)
        secded = ecc.code("secded-72-64").residual(p)
        assert secded.bit_error == pytest.approx(71.0 * p**2, rel=1e-4)
        assert secded.p_due == pytest.approx(72.0 * 71.0 / 2.0 * p**2, rel=1e-4)
    assert ecc.code("secded-72-64").residual(0.0).bit_error == 0.0


@pytest.mark.parametrize("name", ecc.CODE_NAMES)
def test_residuals_are_probabilities_and_due_plus_sdc_at_most_one(name: str) -> None:
    for p in (0.0, 1e-5, 0.1, 0.5, 1.0):
        r = ecc.code(name).residual(p)
        assert 0.0 <= r.bit_error <= 1.0
        assert 0.0 <= r.p_due + r.p_sdc <= 1.0 + 1e-9
        assert r.method


@pytest.mark.parametrize("name", [n for n in ecc.CODE_NAMES if n != "parity-zero"])
def test_shannon_floor_is_never_beaten(name: str) -> None:
    """A code of rate R over a symmetric channel leaves at least the bit error b with R (1 - h(b)) <= 1 - h(p)."""

    def h(x: float) -> float:
        return float(-x * np.log2(x) - (1 - x) * np.log2(1 - x)) if 0.0 < x < 1.0 else 0.0

    code = ecc.code(name)
    for p in (0.01, 0.05, 0.1, 0.2, 0.3):
        capacity = 1.0 - h(p)
        rate = code.k / code.n
        if rate > capacity:
            floor = brentq(lambda b, c=capacity, r=rate: r * (1.0 - h(b)) - c, 1e-12, 0.5)
            assert code.residual(p).bit_error >= floor
        else:
            assert code.residual(p).bit_error >= 0.0


def test_break_even_is_where_residual_equals_p() -> None:
    for name, expected in (
        ("secded-39-32", 0.069),
        ("secded-72-64", 0.038),
        ("secded-137-128", 0.020),
        ("secded-13-8", 0.19),
    ):
        value = ecc.code(name).break_even_p()
        assert value == pytest.approx(expected, rel=0.03)
        assert ecc.code(name).residual(value).bit_error == pytest.approx(value, rel=1e-4)
    assert ecc.code("repeat-3").break_even_p() == 0.5


def test_bad_probabilities_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        ecc.code("secded-72-64").residual(1.5)
    with pytest.raises(ValueError, match="p10"):
        ecc.code("secded-72-64").residual(0.1, -0.2)
    with pytest.raises(ValueError, match="ones"):
        ecc.code("secded-72-64").residual(0.1, 0.2, ones=2.0)
