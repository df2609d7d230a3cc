"""Codes and decoders: what each code promises, checked exhaustively or against an independent implementation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtaml_hw import ecc
from qtaml_hw.ecc import finite_field as ff


def patterns(n: int, weight: int) -> np.ndarray:
    rows = np.array(list(itertools.combinations(range(n), weight)))
    out = np.zeros((len(rows), n), dtype=np.uint8)
    np.put_along_axis(out, rows, 1, axis=1)
    return out


def word_of(code: ecc.Code, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    data = np.random.default_rng(seed).integers(0, 2, code.k, dtype=np.uint8)
    return data, code.encode(data)


@pytest.mark.parametrize("name", ecc.CODE_NAMES)
def test_clean_words_pass_and_all_correctable_patterns_of_small_weight_are_corrected(name: str) -> None:
    code = ecc.code(name)
    data, word = word_of(code)
    assert not ((code.check_matrix.astype(int) @ word) % 2).any()
    clean = code.decode(word)
    assert (clean.data == data).all()
    assert not clean.corrected
    assert not clean.uncorrectable
    for weight in range(1, min(code.t, 3 if code.n < 40 else 2) + 1):
        out = code.decode(word ^ patterns(code.n, weight))
        assert (out.data == data).all()
        assert out.corrected.all()


@pytest.mark.parametrize(
    "name", ["secded-8-4", "secded-13-8", "secded-22-16", "secded-39-32", "secded-72-64", "secded-137-128"]
)
def test_secded_flags_every_double_error(name: str) -> None:
    code = ecc.code(name)
    _, word = word_of(code)
    out = code.decode(word ^ patterns(code.n, 2))
    assert out.uncorrectable.all()
    assert not out.corrected.any()


@pytest.mark.parametrize("name", ["dected-45-32", "golay-24-12"])
def test_extended_codes_flag_one_error_more_than_they_correct(name: str) -> None:
    code = ecc.code(name)
    _, word = word_of(code)
    assert code.decode(word ^ patterns(code.n, code.t + 1)).uncorrectable.all()


def test_bch_t3_corrects_every_triple_error() -> None:
    code = ecc.code("bch-63-45")
    data, word = word_of(code)
    out = code.decode(word ^ patterns(63, 3))
    assert (out.data == data).all()
    assert out.corrected.all()


def test_parity_detects_odd_and_zeroes() -> None:
    code = ecc.code("parity-zero")
    word = code.encode([1, 1])
    out = code.decode(word ^ patterns(3, 1))
    assert out.uncorrectable.all()
    assert not out.data.any()
    assert not code.decode(word ^ patterns(3, 2)).uncorrectable.any()


@pytest.mark.parametrize(
    ("m", "parity", "t"), [(4, 8, 2), (5, 15, 3), (6, 12, 2), (6, 18, 3), (7, 63, 10), (8, 64, 8), (8, 124, 18)]
)
def test_designed_distance_of_tabulated_bch_codes(m: int, parity: int, t: int) -> None:
    """(n, k, t) of Lin and Costello, appendix C."""
    assert ff.designed_t(m, parity) == t


@pytest.mark.parametrize(
    "name",
    [
        "secded-39-32",
        "secded-72-64",
        "secded-137-128",
        "dected-79-64",
        "bch-63-45",
        "bch-127-64",
        "golay-24-12",
        "repeat-5",
        "parity-zero",
    ],
)
def test_packed_bits_and_error_only_decoding_are_the_same_decoder(name: str) -> None:
    code = ecc.code(name).with_policy("raw")
    rng = np.random.default_rng(3)
    data = rng.integers(0, 2, (400, code.k), dtype=np.uint8)
    errors = (rng.random((400, code.n)) < 0.04).astype(np.uint8)
    out = code.decode(code.encode(data) ^ errors)

    from qtaml_hw.ecc.codec import check_dtype, pack, unpack

    packed = pack(data)
    stored = pack(code.encode(data)[:, code.k :])
    checks = code.encode_packed(packed[:, 0] if code.k <= 64 else packed)
    assert (checks == (stored[:, 0] if code.parity <= 64 else stored)).all()
    assert checks.dtype == check_dtype(code.parity)
    bad = packed ^ pack(errors[:, : code.k])
    result = code.decode_packed(
        bad[:, 0] if code.k <= 64 else bad, checks ^ pack(errors[:, code.k :])[:, 0].astype(checks.dtype)
    )
    assert (unpack(result.data.reshape(400, -1), code.k) == out.data).all()
    assert (result.corrected == out.corrected).all()
    assert (result.uncorrectable == out.uncorrectable).all()

    words, positions = np.nonzero(errors)
    left = code.correct_errors(words + 7_000_000_000, positions)
    expected = np.nonzero(out.data ^ data)
    assert (left.word_ids - 7_000_000_000 == expected[0]).all()
    assert (left.positions == expected[1]).all()
    assert (left.corrected_words - 7_000_000_000 == np.nonzero(out.corrected)[0]).all()
    assert (left.uncorrectable_words - 7_000_000_000 == np.nonzero(out.uncorrectable)[0]).all()


def test_decoder_policies() -> None:
    code = ecc.code("secded-39-32")
    data, word = word_of(code)
    double = word.copy()
    double[[0, 1]] ^= 1
    assert (code.decode(double).data[:2] == data[:2] ^ 1).all()
    assert not code.with_policy("zero").decode(double).data.any()
    assert (code.with_policy("reload").decode(double, backing=data).data == data).all()
    with pytest.raises(ValueError, match="backing"):
        code.with_policy("reload").decode(double)
    triples = word ^ patterns(39, 3)[::7]
    strict, odd = code.decode(triples), code.with_policy("raw", "odd-syndrome").decode(triples)
    assert strict.uncorrectable.any()
    assert not odd.uncorrectable.any()
    assert (strict.data == odd.data).all()
    with pytest.raises(ValueError, match="odd-weight columns"):
        ecc.code("bch-63-51").with_policy("raw", "odd-syndrome")


@given(st.sampled_from(["secded-39-32", "golay-24-12", "bch-44-32", "bch-127-64"]), st.integers(0, 2**32 - 1))
def test_decoding_depends_on_the_error_alone(name: str, seed: int) -> None:
    code = ecc.code(name)
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 2, (2, code.k), dtype=np.uint8)
    error = (rng.random(code.n) < 0.06).astype(np.uint8)
    out = code.decode(code.encode(data) ^ error)
    assert (out.data[0] ^ data[0] == out.data[1] ^ data[1]).all()
    assert out.corrected[0] == out.corrected[1]
    assert out.uncorrectable[0] == out.uncorrectable[1]


def test_names_aliases_and_messages() -> None:
    assert ecc.code("TMR") is ecc.code("repeat-3")
    assert ecc.code("hsiao-72-64") is ecc.code("secded-72-64")
    assert [ecc.code(n).n for n in ecc.CODE_NAMES[:6]] == [8, 13, 22, 39, 72, 137]
    with pytest.raises(ValueError, match="did you mean 'secded-72-64'"):
        ecc.code("secded-72-63x")
    with pytest.raises(ValueError, match="did you mean 'secded-39-32'"):
        ecc.code("secded-40-32")
    with pytest.raises(ValueError, match=r"\(63,45\)"):
        ecc.code("bch-63-44")
    with pytest.raises(ValueError, match="axis of 64 bits"):
        ecc.code("secded-72-64").encode(np.zeros(63))
    with pytest.raises(ValueError, match="bits 0 or 1"):
        ecc.code("secded-8-4").encode([0, 1, 2, 0])


@pytest.mark.parametrize("k", [4, 8, 16, 32, 64, 128])
def test_hsiao_columns_are_odd_distinct_lightest_and_balanced(k: int) -> None:
    p = ecc.code(
        {
            4: "secded-8-4",
            8: "secded-13-8",
            16: "secded-22-16",
            32: "secded-39-32",
            64: "secded-72-64",
            128: "secded-137-128",
        }[k]
    ).parity_matrix
    assert (p.sum(axis=1) % 2 == 1).all()
    assert len({tuple(row) for row in p}) == k
    assert np.ptp(p.sum(axis=0)) <= 1


def test_error_only_decoding_refuses_what_it_cannot_read() -> None:
    code = ecc.code("secded-39-32")
    with pytest.raises(ValueError, match="sorted by word"):
        code.correct_errors(np.array([3, 2]), np.array([0, 0]))
    with pytest.raises(ValueError, match=r"0 \.\. 38"):
        code.correct_errors(np.array([3]), np.array([39]))
    empty = code.correct_errors(np.empty(0, np.int64), np.empty(0, np.int64))
    assert empty.word_ids.size == empty.corrected_words.size == empty.uncorrectable_words.size == 0


@pytest.mark.parametrize("p", [0.0, 1e-4, 0.03, 0.5])
def test_drawn_errors_are_bernoulli(p: float) -> None:
    words, n = 20_000, 72
    word, position = ecc.draw_errors(n, words, p, np.random.default_rng(8))
    flat = word * n + position
    assert (np.diff(flat) > 0).all()
    assert flat.size == 0 or (flat[0] >= 0 and flat[-1] < words * n)
    assert abs(flat.size - words * n * p) <= 4.0 * np.sqrt(words * n * p * (1.0 - p))
    counts = np.bincount(position, minlength=n)
    assert (np.abs(counts - words * p) <= 5.0 * np.sqrt(words * p) + 1.0).all()


@pytest.mark.parametrize("name", ["golay-23-11", "golay-24-7", "golay-25-12", "golay-12-6"])
def test_there_are_two_golay_codes(name: str) -> None:
    with pytest.raises(ValueError, match=f"there is no {name}; the Golay codes are golay-23-12 and golay-24-12"):
        ecc.code(name)
