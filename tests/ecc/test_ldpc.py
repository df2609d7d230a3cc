"""Long-block codes: graphs without short cycles, an encoder and a decoder against plain ones, measured residuals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.stats import beta

from qtaml_hw import ecc, protection
from qtaml_hw.config.sections.menu import is_protection
from qtaml_hw.ecc import codec, measured, min_sum
from qtaml_hw.ecc.iterative_hardware import iterative_hardware, memory_bits
from qtaml_hw.ecc.ldpc import LdpcCode, long_block
from qtaml_hw.ecc.measured import Measurement
from qtaml_hw.ecc.tanner import TannerGraph, accumulate_graph
from qtaml_hw.ecc.transfer import Transfer
from qtaml_hw.memory import ArrayGeometry, FixedCells, Schedule, simulate

SMALL = "ldpc-1024-0.4"


def parity_check(graph: TannerGraph) -> csr_matrix:
    ones = np.ones(graph.edges, dtype=np.int64)
    return csr_matrix((ones, graph.bits.astype(np.int64), graph.starts), shape=(graph.checks, graph.n))


def small() -> LdpcCode:
    return long_block(1024, 0.4)


@pytest.mark.parametrize(("n", "rate"), [(1024, 0.25), (1024, 0.9), (4096, 0.571), (16384, 0.4), (16384, 0.85)])
def test_no_two_checks_share_two_bits(n: int, rate: float) -> None:
    graph = accumulate_graph(n, round(n * rate))
    h = parity_check(graph)
    assert h.max() == 1
    shared = (h @ h.T).tocoo()
    assert shared.data[shared.row != shared.col].max() == 1  # two shared bits would close a cycle of four edges
    weights = np.asarray(h.sum(axis=0)).ravel()
    assert set(weights[: graph.k].tolist()) <= {3, 4, 6, 8}
    assert weights[graph.k :].tolist() == [2] * (graph.checks - 1) + [1]


def test_a_graph_is_a_function_of_its_size() -> None:
    one, two = accumulate_graph(1024, 410), accumulate_graph(1024, 410)
    assert (one.bits == two.bits).all()
    assert (one.starts == two.starts).all()


def test_names_and_sizes() -> None:
    code = ecc.code("ldpc-16384-0.625")
    assert (code.n, code.k, code.parity_fraction) == (16384, 10240, 0.6)
    assert protection.entry("ldpc-16384-0.625").kind == "code"
    names = {"ldpc-1024-0.4": True, "ldpc-1024-0.95": False, "ldpc-700-0.5": False, "ldpc-64": False}
    for name, good in names.items():
        assert is_protection(name) == good
        if not good:
            with pytest.raises(ValueError, match="ldpc"):
                ecc.code(name)


@pytest.mark.parametrize("rate", [0.4, 0.85])
def test_encoded_words_fulfil_every_check(rate: float) -> None:
    code = long_block(1024, rate)
    data = np.random.default_rng(3).integers(0, 2, (130, code.k), dtype=np.uint8)
    words = code.encode(data)
    assert (words[:, : code.k] == data).all()
    assert not ((parity_check(code.graph) @ words.T.astype(np.int64)) % 2).any()
    packed = codec.pack(data)
    checks = code.encode_packed(packed).astype(np.uint64)
    assert (codec.unpack(checks, code.parity) == words[:, code.k :]).all()


def plain_min_sum(graph: TannerGraph, errors: np.ndarray) -> tuple[np.ndarray, int]:
    """One word, written out: the errors left and the iterations taken (-1: none found)."""
    sums = np.where(errors, -7, 7)
    messages = [np.zeros(n, dtype=int) for n in np.diff(graph.starts)]
    checks = [graph.bits[a:b].astype(int) for a, b in zip(graph.starts[:-1], graph.starts[1:], strict=True)]
    for iteration in range(51):
        if all((sums[bits] < 0).sum() % 2 == 0 for bits in checks):
            return sums < 0, iteration
        if iteration == 50:
            break
        for bits, old in zip(checks, messages, strict=True):
            rest = sums[bits] - old
            size, sign = np.abs(rest), np.where(rest < 0, -1, 1)
            order = np.sort(size)
            others = np.where(size == order[0], order[1], order[0])
            old[:] = sign.prod() * sign * 2 * np.minimum(others * 15 // 32, 31)
            sums[bits] = np.clip(rest + old, -255, 255)
    return sums < 0, -1


def test_the_decoder_is_the_plain_one() -> None:
    graph = small().graph
    rng = np.random.default_rng(5)
    errors = rng.random((graph.n, 64)) < np.linspace(0.02, 0.2, 64)
    left, iterations = min_sum.Decoder(graph).run(errors)
    for lane in range(0, 64, 5):
        expected, taken = plain_min_sum(graph, errors[:, lane])
        assert taken == iterations[lane]
        assert (expected == left[:, lane]).all()
    assert (iterations < 0).any()
    assert (iterations > 0).any()


def test_every_single_error_is_corrected() -> None:
    code = small()
    every = np.arange(code.n)
    out = code.correct_errors(every, every)
    assert out.word_ids.size == 0
    assert out.corrected_words.tolist() == every.tolist()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.05, 0.09, 0.13]))
def test_what_is_left_depends_on_the_errors_alone(seed: int, p: float) -> None:
    code, rng = small(), np.random.default_rng(seed)
    data = rng.integers(0, 2, (5, code.k), dtype=np.uint8)
    errors = (rng.random((5, code.n)) < p).astype(np.uint8)
    out = code.decode(code.encode(data) ^ errors)
    ids, positions = np.nonzero(errors)
    alone = code.correct_errors(ids, positions)
    left = np.zeros_like(data)
    left[alone.word_ids, alone.positions] = 1
    assert (out.data == data ^ left).all()
    assert np.flatnonzero(out.uncorrectable).tolist() == alone.uncorrectable_words.tolist()
    packed = code.decode_packed(
        codec.pack(data ^ errors[:, : code.k]),
        codec.pack(code.encode(data)[:, code.k :] ^ errors[:, code.k :]),
    )
    assert (codec.unpack(packed.data, code.k) == out.data).all()


def test_intervals_are_clopper_and_pearson() -> None:
    row = Measurement(code="x", decoder="x", p=0.1, seed=0, data_bits=10, frames=400, flagged=3, flagged_hit=6)
    assert row.frame_ci95 == pytest.approx((beta.ppf(0.025, 3, 398), beta.ppf(0.975, 4, 397)))
    assert row.bit_error == 6 / 4000
    assert row.bit_ci95[1] == pytest.approx(row.frame_ci95[1] * 0.2)
    none = Measurement(code="x", decoder="x", p=0.1, seed=0, data_bits=10, frames=1000)
    assert none.frame_ci95 == (0.0, pytest.approx(1.0 - 0.025 ** (1 / 1000)))
    assert none.bit_ci95[1] == pytest.approx(0.1 * none.frame_ci95[1])


def test_a_measurement_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QTAML_HW_CACHE", str(tmp_path / "one"))
    code = small()
    whole = code.measured(0.11, frames=256, failures=10**6)
    monkeypatch.setenv("QTAML_HW_CACHE", str(tmp_path / "two"))
    first = code.measured(0.11, frames=64, failures=10**6)
    assert first.frames == 64
    assert code.measured(0.11, frames=256, failures=10**6) == whole
    kept = next((tmp_path / "two" / "ldpc").iterdir())
    monkeypatch.setattr(measured, "simulate", lambda *_: pytest.fail("decoded again"))
    assert code.measured(0.11, frames=256, failures=10**6) == whole
    monkeypatch.undo()
    monkeypatch.setenv("QTAML_HW_CACHE", str(tmp_path / "two"))
    kept.write_text("not json")
    assert code.measured(0.11, frames=64, failures=10**6) == first


def test_the_shipped_table_is_measured_with_this_decoder_and_these_graphs() -> None:
    for name in (SMALL, "ldpc-1024-0.85"):
        code = ecc.code(name)
        assert isinstance(code, LdpcCode)
        row = measured.shipped(name)[-1]
        blank = Measurement(code=name, decoder=min_sum.DECODER, p=row.p, seed=row.seed, data_bits=code.k)
        assert measured.simulate(blank, code.graph, row.frames // 64) == row


def test_codes_of_the_table_that_decode_cost_more_than_shannon_allows() -> None:
    reliable = [row for name in ("16384-0.4", "16384-0.571", "16384-0.85") for row in measured.shipped(f"ldpc-{name}")]
    reliable = [row for row in reliable if row.frame_ci95[1] < 1e-2]
    assert {row.p for row in reliable} >= {0.10, 0.05, 0.01}
    for row in reliable:
        assert ecc.code(row.code).parity_fraction > ecc.parity_floor(row.p, row.p)


def test_bounds_between_measurements() -> None:
    rows = [
        Measurement(code="x", decoder="x", p=p, seed=0, data_bits=100, frames=1000, flagged=bad, flagged_hit=5 * bad)
        for p, bad in ((0.05, 0), (0.08, 10), (0.1, 300))
    ]
    highs = [row.frame_ci95[1] for row in rows]
    assert measured.bound_at(0.01, rows) == (highs[0], rows[0])
    assert measured.bound_at(0.08, rows) == (highs[1], rows[1])
    middle = measured.bound_at(float(np.sqrt(0.08 * 0.1)), rows)
    assert middle is not None
    assert middle[0] == pytest.approx(np.sqrt(highs[1] * highs[2]))
    assert middle[1] == rows[2]
    assert measured.bound_at(0.11, rows) is None


@pytest.mark.parametrize("p", [0.02, 0.07, 0.1])
def test_the_residual_is_an_upper_bound_and_says_so(p: float) -> None:
    code = small()
    residual = code.residual(p)
    rows = [row for row in measured.shipped(SMALL) if row.p <= p * 1.001]
    assert residual.bit_error >= max((row.bit_error for row in rows), default=0.0)
    assert "upper end of 95 %" in residual.method
    assert code.with_policy("reload").residual(p).bit_error <= residual.bit_error
    assert code.residual(0.0).bit_error == 0.0
    up, down = protection.entry(SMALL).residual_channel(0.0, 2 * p)
    assert up < down
    assert 0.5 * (up + down) == pytest.approx(residual.bit_error, rel=0.6)


def test_flagged_blocks_keep_what_the_decoder_passes() -> None:
    half, none = np.full(3, 0.5), np.zeros(3)
    kept = Transfer(none, none, half, half, 0.5, 0.0, "x", (np.full(3, 0.2), np.full(3, 0.1)))
    as_read = Transfer(none, none, half, half, 0.5, 0.0, "x")
    assert kept.directional(0.1, 0.3, "raw")[0] == pytest.approx(0.1 * 0.2 + 0.9 * 0.1)
    assert kept.directional(0.1, 0.3, "raw")[1] == pytest.approx(0.3 * 0.2 + 0.7 * 0.1)
    assert as_read.directional(0.1, 0.3, "raw")[0] == pytest.approx(0.1 * 0.5)
    assert kept.directional(0.1, 0.3, "reload")[0] == pytest.approx(0.0)


@pytest.mark.parametrize("p", [0.05, 0.14])
def test_frames_go_into_the_memory_as_they_decode(p: float) -> None:
    rng = np.random.default_rng(7)
    codes = rng.integers(0, 256, 3000, dtype=np.uint8)
    plan = protection.ProtectionPlan.uniform_msb([0, 3000], 8, 3, SMALL)
    timeline = simulate(
        [codes], 8, plan, FixedCells(p, p), ArrayGeometry(), Schedule(1e-3, sample_times_s=(1e-3,)), seed=3
    )
    wrong = (timeline.read_out[-1][0] ^ codes) >> 5
    bits = int(np.unpackbits(wrong.astype(np.uint8)).sum())
    words = plan.layout(0, 1).n_words
    flagged = int(timeline.counts.words_uncorrectable[-1])
    assert int(timeline.counts.words_corrected[-1]) + flagged == words
    if p == 0.05:
        assert (flagged, bits) == (0, 0)
    else:
        assert flagged > words // 3
        assert 0.05 * 9000 < bits < 0.15 * 9000


def test_hardware_grows_with_the_block_and_says_that_it_is_assumed() -> None:
    short, long = ecc.code("ldpc-1024-0.4").hardware(), ecc.code("ldpc-16384-0.4").hardware()
    assert 3.0 < long.decoder_ge / short.decoder_ge < 16.0
    assert 15.0 < long.decode_energy_j / short.decode_energy_j < 17.0
    assert long.decode_latency_s == pytest.approx(50 * 308 * 2e-9)  # 9,830 checks, 32 at once
    assert "assumed" in long.source
    graph = small().graph
    widest = int(np.diff(graph.starts).max())
    assert memory_bits(graph) == 1024 * 8 + 614 * (10 + int(np.ceil(np.log2(widest)))) + graph.edges
    areas = [iterative_hardware(graph, node_m, None).decoder_area_m2 for node_m in (22e-9, 45e-9)]
    assert areas[0] < areas[1]
    with pytest.raises(ValueError, match="block by block"):
        ecc.verilog.encoder(ecc.code(SMALL))
