"""Randomness: a battery on the raw streams and the independence of maps, tensors, planes and positions.

Every statistic is turned into a p-value (or a z score); with about 60 of them the bound 1e-5 is met by chance alone
in 0.06 % of designs, and the seeds are fixed.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from qtaml_hw._jit import njit
from qtaml_hw.faults import MapKey, error_masks
from qtaml_hw.faults._dense import LANES, lane_step, seed_lanes
from qtaml_hw.faults._streams import draw
from qtaml_hw.faults._uniform import DIGITS

BOUND = 1e-5


@njit(cache=False)
def counter_words(key: np.uint64, out: np.ndarray) -> None:
    for i in range(out.size):
        out[i] = draw(key, np.uint64(i))


@njit(cache=False)
def lane_words(chunks: int, steps: int, out: np.ndarray) -> None:
    lanes = np.empty((3, LANES), dtype=np.uint32)
    for chunk in range(chunks):
        seed_lanes(draw(np.uint64(99), np.uint64(chunk)), lanes, LANES)
        for step in range(steps):
            for i in range(LANES):
                x, y, z = lanes[0, i], lanes[1, i], lanes[2, i]
                out[chunk, 2 * step, i] = x
                out[chunk, 2 * step + 1, i] = y + z
                lanes[0, i], lanes[1, i], lanes[2, i] = lane_step(x, y, z)


def _streams() -> dict[str, np.ndarray]:
    counters = np.empty(1 << 18, dtype=np.uint64)
    counter_words(np.uint64(2024), counters)
    lanes = np.empty((4, 320, LANES), dtype=np.uint32)  # four whole chunks
    lane_words(4, 160, lanes)
    return {
        "counter": counters.view(np.uint32),
        "as used": lanes.reshape(-1),
        "one lane after another": np.ascontiguousarray(lanes.transpose(0, 2, 1)).reshape(-1),
    }


STREAMS = _streams()
named = pytest.mark.parametrize("name", list(STREAMS))


def chi_square(observed: np.ndarray, expected: np.ndarray | float) -> float:
    expected = np.broadcast_to(np.asarray(expected, dtype=float), observed.shape)
    return float(special.chdtrc(observed.size - 1, np.sum((observed - expected) ** 2 / expected)))


def two_sided(z: float | np.ndarray) -> np.ndarray:
    return 2.0 * special.ndtr(-np.abs(z))


def bits_of(words: np.ndarray) -> np.ndarray:
    return np.unpackbits(words.view(np.uint8), bitorder="little").reshape(-1, 32)


@named
def test_every_bit_is_fair(name: str) -> None:
    bits = bits_of(STREAMS[name])
    z = (bits.sum(axis=0) - bits.shape[0] / 2) / np.sqrt(bits.shape[0] / 4)
    assert two_sided(z).min() > BOUND / 32
    assert special.chdtrc(32, np.sum(z**2)) > BOUND


@named
@pytest.mark.parametrize("width", [4, 8, 12, 16])
def test_patterns_are_equally_frequent(name: str, width: int) -> None:
    words = STREAMS[name]
    for shift in (0, 32 - width, 7):
        values = (words >> np.uint32(shift)) & np.uint32((1 << width) - 1)
        counts = np.bincount(values, minlength=1 << width)
        p = chi_square(counts, words.size / (1 << width))
        assert BOUND < p < 1.0 - BOUND


@named
@pytest.mark.parametrize("shift", [0, 12, 26])
def test_neighbouring_words_are_independent(name: str, shift: int) -> None:
    part = (STREAMS[name] >> np.uint32(shift)) & np.uint32(63)
    for lag in (1, 2, 3, 10, LANES):
        pairs = np.bincount(64 * part[:-lag].astype(np.int64) + part[lag:], minlength=4096)
        assert BOUND < chi_square(pairs, pairs.sum() / 4096) < 1.0 - BOUND


def packed_bits(words: np.ndarray) -> np.ndarray:
    """The 32 bits of the words as packed sequences, uint64 [32, words / 64]."""
    return np.packbits(bits_of(words).T.copy(), axis=1).view(np.uint64)


def surplus(agreements: np.ndarray, n: int) -> np.ndarray:
    """z of the number of places where sequences of n fair bits differ."""
    return (agreements - n / 2) / np.sqrt(n / 4)


@named
def test_no_pair_of_bits_in_following_words_is_correlated(name: str) -> None:
    n = 1 << 17
    later = packed_bits(STREAMS[name][8 : n + 8])
    for lag in (0, 1, 2, 3, 4):
        earlier = packed_bits(STREAMS[name][8 - lag : n + 8 - lag])
        z = surplus(np.stack([np.bitwise_count(row ^ later).sum(axis=1) for row in earlier]), n)
        z = z[np.triu_indices(32, 1)] if lag == 0 else z.ravel()
        assert two_sided(np.abs(z).max()) * z.size > BOUND
        assert BOUND < special.chdtrc(z.size, np.sum(z**2)) < 1.0 - BOUND


@named
def test_no_triple_of_bits_in_following_words_is_correlated(name: str) -> None:
    n = 1 << 14
    first, second, third = (packed_bits(STREAMS[name][lag : n + lag]) for lag in range(3))
    z = np.stack([surplus(np.bitwise_count((row ^ second)[:, None] ^ third).sum(axis=2), n) for row in first]).ravel()
    assert two_sided(np.abs(z).max()) * z.size > BOUND
    assert BOUND < special.chdtrc(z.size, np.sum(z**2)) < 1.0 - BOUND


@njit(cache=False)
def parities(rows: np.ndarray, out: np.ndarray) -> None:
    """``out[a, b, c, d]``: how often bit a of output 0, b of 1, c of 2 and d of 3 have odd parity; row 32 is absent."""
    for a in range(33):
        for b in range(33):
            two = rows[0, a] ^ rows[1, b]
            for c in range(33):
                three = two ^ rows[2, c]
                for d in range(33):
                    odd = np.uint64(0)
                    for i in range(three.size):
                        v = three[i] ^ rows[3, d, i]
                        v -= (v >> np.uint64(1)) & np.uint64(0x5555555555555555)
                        v = (v & np.uint64(0x3333333333333333)) + ((v >> np.uint64(2)) & np.uint64(0x3333333333333333))
                        v = (v + (v >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
                        odd += (v * np.uint64(0x0101010101010101)) >> np.uint64(56)
                    out[a, b, c, d] = odd


@pytest.mark.parametrize("phase", [0, 1])
def test_no_bits_of_four_following_outputs_of_a_lane_have_a_parity(phase: int) -> None:
    """Four outputs are the fewest that determine one another: 96 bits of state, 32 an output."""
    n = 1 << 16
    lanes = STREAMS["one lane after another"].reshape(-1, 320)
    rows = np.zeros((4, 33, n // 64), dtype=np.uint64)
    for k in range(4):
        rows[k, :32] = packed_bits(np.ascontiguousarray(lanes[:, phase + k : 300 + k : 2]).reshape(-1)[:n])
    odd = np.empty((33, 33, 33, 33), dtype=np.int64)
    parities(rows, odd)
    z = np.delete(surplus(odd, n).ravel(), -1)
    assert two_sided(np.abs(z).max()) * z.size > BOUND
    assert abs(np.sum(z**2) - z.size) < 5 * np.sqrt(2 * z.size)


def test_digits_of_a_cell_are_independent() -> None:
    """The ten digits of a cell are one bit of ten following outputs: all 1,024 patterns, for each of the 32 places."""
    words = STREAMS["as used"].reshape(-1, DIGITS, LANES)
    for bit in range(32):
        value = np.zeros((words.shape[0], LANES), dtype=np.int64)
        for digit in range(DIGITS):
            value = 2 * value + ((words[:, digit] >> np.uint32(bit)) & np.uint32(1))
        counts = np.bincount(value.ravel(), minlength=1 << DIGITS)
        assert BOUND / 32 < chi_square(counts, value.size / (1 << DIGITS)) < 1.0 - BOUND / 32


@named
def test_gaps_between_small_values_are_geometric(name: str) -> None:
    share, longest = 1.0 / 16.0, 120
    gaps = np.diff(np.flatnonzero(STREAMS[name] < 2**28))
    observed = np.bincount(np.minimum(gaps, longest), minlength=longest + 1)[1:]
    law = share * (1.0 - share) ** np.arange(longest)
    law[-1] = (1.0 - share) ** (longest - 1)
    assert BOUND < chi_square(observed, gaps.size * law) < 1.0 - BOUND


@named
def test_long_gaps_are_geometric(name: str) -> None:
    share = 1.0 / 512.0
    gaps = np.diff(np.flatnonzero(STREAMS[name] < 2**23))
    cdf = 1.0 - (1.0 - share) ** np.arange(0, 40_000)
    edges = np.unique(np.searchsorted(cdf, np.linspace(0.0, 1.0, 33)[1:-1]))
    observed = np.diff(np.searchsorted(np.sort(gaps), np.r_[0, edges, 10**9], side="right"))
    law = np.diff(np.r_[0.0, cdf[edges], 1.0])
    assert BOUND < chi_square(observed, gaps.size * law) < 1.0 - BOUND


@named
def test_runs_up_and_weights_of_words(name: str) -> None:
    words = STREAMS[name]
    rises = np.count_nonzero(words[1:] > words[:-1])
    n = words.size
    assert two_sided((rises - (n - 1) / 2) / np.sqrt((n + 1) / 12)) > BOUND
    ones = np.bincount(np.bitwise_count(words), minlength=33)
    law = n * stats.binom.pmf(np.arange(33), 32, 0.5)
    kept = law > 10
    assert BOUND < chi_square(ones[kept], law[kept] * ones[kept].sum() / law[kept].sum()) < 1.0 - BOUND
    heavy = (np.bitwise_count(words) > 16).astype(np.int64)
    table = np.bincount(2 * heavy[:-1] + heavy[1:], minlength=4).reshape(2, 2)
    assert stats.contingency.chi2_contingency(table, correction=False).pvalue > BOUND


@named
def test_ranks_of_binary_matrices(name: str) -> None:
    rows = STREAMS[name][: 32 * 8000].reshape(8000, 32).astype(np.int64)
    rank = np.zeros(8000, dtype=np.int64)
    for bit in range(32):
        has = (rows >> bit) & 1 == 1
        pivot, found = has.argmax(axis=1), has.any(axis=1)
        chosen = np.where(found, rows[np.arange(8000), pivot], 0)
        rows ^= np.where(has, chosen[:, None], 0)
        rank += found
    law = np.array([0.288788, 0.577576, 0.128350])  # P(rank 32, 31, 30): Marsaglia and Tsay, 1985
    observed = np.array([(rank == 32 - k).sum() for k in range(3)] + [(rank < 30).sum()])
    assert BOUND < chi_square(observed, 8000 * np.append(law, 1.0 - law.sum())) < 1.0 - BOUND


@named
def test_birthday_spacings(name: str) -> None:
    words = STREAMS[name][: 512 * 1000].reshape(1000, 512)
    for shift in (0, 8):
        days = np.sort((words >> np.uint32(shift)) & np.uint32(0xFFFFFF), axis=1).astype(np.int64)
        gaps = np.sort(np.diff(days, axis=1), axis=1)
        repeats = np.count_nonzero(np.diff(gaps, axis=1) == 0)
        mean = 1000 * 512**3 / (4 * 2**24)
        assert two_sided((repeats - mean) / np.sqrt(mean)) > BOUND


@pytest.mark.parametrize("p", [2e-4, 0.05, 0.5])
def test_maps_tensors_seeds_and_planes_are_independent(p: float) -> None:
    n = 1_000_000
    base = error_masks(n, p, MapKey(1))
    others = [
        error_masks(n, p, MapKey(1, 1)),
        error_masks(n, p, MapKey(1, tensor=1)),
        error_masks(n, p, MapKey(2)),
        error_masks(n, p, MapKey(1, 2**40)),
        np.roll(base, 1),
        np.roll(base, 4),
        np.roll(base, 2048),
        np.roll(base, 65_536),
        (base << 1) | (base >> 7),
        (base << 3) | (base >> 5),
    ]
    cells = 8 * n
    for other in others:
        both = int(np.bitwise_count(base & other).sum())
        expected = cells * p * p
        assert abs(both - expected) < 5 * np.sqrt(expected * (1 - p * p) + 2 * cells * p**3) + 3


@pytest.mark.parametrize("p", [2e-4, 0.05])
def test_positions_and_planes_are_equally_likely(p: float) -> None:
    blocks, size = 64, 65_536
    masks = error_masks(blocks * size, p, MapKey(4))
    counts = np.stack([(masks >> plane & 1).reshape(-1, blocks // 2, size).sum(axis=(0, 1)) for plane in range(8)])
    by_place = counts.reshape(8, 64, -1).sum(axis=2)
    cells = by_place.size
    law = blocks * size * 8 * p / cells
    assert BOUND < special.chdtrc(cells, np.sum((by_place - law) ** 2 / (law * (1 - p)))) < 1.0 - BOUND
