"""Speed of the ECC package on one core, in CPU time: `python benchmarks/bench_ecc.py`.

Each figure: goal, median of several runs, and the ratio to a peer that runs alternately in the same process (numpy bit
matrices: the plain way to write a codec or a residual).
"""

from __future__ import annotations

from statistics import median

import numpy as np
from figures import Job, cpu_s, figure, medians

from qtaml_hw import ecc, protection
from qtaml_hw.ecc.codec import pack
from qtaml_hw.ecc.ldpc import long_block
from qtaml_hw.ecc.min_sum import LANES, Decoder
from qtaml_hw.ecc.residual import break_even
from qtaml_hw.ecc.syndrome import exact_transfer

RUNS = 7


def alternate(ours: Job, peer: Job) -> tuple[float, float]:
    taken = medians({"ours": ours, "peer": peer}, RUNS)
    return taken["ours"], taken["peer"]


def numpy_encode(code: ecc.Code, bits: np.ndarray) -> np.ndarray:
    return (bits.astype(np.float32) @ code.parity_matrix.astype(np.float32)).astype(np.int32) & 1


def numpy_decode(code: ecc.Code, words: np.ndarray) -> np.ndarray:
    syndrome = (words.astype(np.float32) @ code.check_matrix.T.astype(np.float32)).astype(np.int32) & 1
    match = (syndrome[:, None, :] == code.check_matrix.T[None, : code.k]).all(axis=2)
    return words[:, : code.k] ^ match


def codec_speed() -> None:
    code = ecc.code("secded-72-64")
    rng = np.random.default_rng(1)
    words, few = 4_000_000, 20_000
    data = rng.integers(0, 2**64, words, dtype=np.uint64)
    bits = rng.integers(0, 2, (few, 64), dtype=np.uint8)
    a, b = alternate(lambda: code.encode_packed(data), lambda: numpy_encode(code, bits))
    beside = f"{words / a / (few / b):.0f}x numpy bits"
    figure("(72,64) encode", words / a / 1e6, "M words/s", at_least=120.0, more=beside)
    checks = code.encode_packed(data)
    for p in (0.0, 1e-3, 1e-2, 0.1):
        errors = (rng.random((words // 8, 72)) < p).astype(np.uint8)
        flips = np.tile(pack(errors[:, :64])[:, 0], 8), np.tile(pack(errors[:, 64:])[:, 0].astype(np.uint8), 8)
        bad, stored = data ^ flips[0], checks ^ flips[1]
        noisy = code.encode(bits) ^ errors[:few]
        a, b = alternate(lambda x=bad, y=stored: code.decode_packed(x, y), lambda x=noisy: numpy_decode(code, x))
        beside = f"{words / a / (few / b):.0f}x numpy bits"
        figure(f"(72,64) decode at p = {p:g}", words / a / 1e6, "M words/s", at_least=120.0, more=beside)


def error_only_speed() -> None:
    code = ecc.code("secded-72-64")
    words = 50_000_000
    data = np.random.default_rng(2).integers(0, 2**64, 4_000_000, dtype=np.uint64)
    checks = code.encode_packed(data)

    def sparse() -> None:
        code.correct_errors(*ecc.draw_errors(code.n, words, 1e-4, np.random.default_rng(3)))

    a, b = alternate(sparse, lambda: code.decode_packed(data, checks))
    beside = f"{words / a / (data.size / b):.0f}x our full decode"
    what = "(72,64) error-only at p = 1e-4, drawing included"
    figure(what, words / a / 1e6, "M words/s", at_least=3000.0, more=beside)


def numpy_walsh(code: ecc.Code, p: float) -> float:
    """P(flagged) and the bit error by a plain Walsh-Hadamard transform per data bit."""
    size = 2**code.parity
    u = np.arange(size)
    odd = np.array([[(int(a) & int(h)).bit_count() & 1 for h in code.columns[:, 0]] for a in u], dtype=bool)
    spectrum = np.where(odd, 1.0 - 2.0 * p, 1.0).prod(axis=1)
    total = 0.0
    for j in range(code.k):
        values = np.where(odd[:, j], spectrum / (1.0 - 2.0 * p), spectrum * (1.0 - 2.0 * p))
        h = 1
        while h < size:
            values = values.reshape(-1, 2, h)
            values = np.stack([values[:, 0] + values[:, 1], values[:, 0] - values[:, 1]], axis=1).reshape(-1)
            h *= 2
        sign = np.where((code.cosets.positions == j).any(axis=1), -1.0, 1.0)
        total += 0.5 * (1.0 - float((values * sign).sum()) / size)
    return total / code.k


def residual_speed() -> None:
    for name in ("secded-137-128", "secded-72-64"):
        code = ecc.code(name)
        p = np.full(code.n, 0.01)
        a, b = alternate(lambda c=code, x=p: exact_transfer(c, x), lambda c=code: numpy_walsh(c, 0.01))
        figure(f"exact residual of {name}", a * 1e3, "ms", at_most=300.0, more=f"{b / a:.0f}x numpy Walsh-Hadamard")


def long_block_speed() -> None:
    """Stored bits per second of CPU time, batches of 64 blocks with fresh errors."""
    rng = np.random.default_rng(1)
    for rate, p in ((0.571, 0.05), (0.625, 0.05), (0.4, 0.10), (0.85, 0.01)):
        code = long_block(16384, rate)
        graph = code.graph
        decoder = Decoder(graph)
        batches = [rng.random((graph.n, LANES)) < p for _ in range(5)]
        decoder.run(batches[0])
        taken = median(cpu_s(lambda d=decoder, e=errors: d.run(e)) for errors in batches)
        goal = 20.0 if p == 0.05 else None
        figure(f"{code.name} decode at p = {p:g}", graph.n * LANES / taken / 1e6, "Mbit/s", at_least=goal)


def table_speed() -> None:
    p = [1e-5, 1e-4, 1e-3, 1e-2, 0.05, 0.1]
    codes = ecc.CODE_NAMES[:20]

    def table() -> None:
        break_even.cache_clear()
        protection.overhead_table(p=p, codes=codes)

    figure("overhead table, 20 codes x 6 p, first call", cpu_s(table), "s", at_most=5.0)


if __name__ == "__main__":
    table_speed()
    codec_speed()
    error_only_speed()
    residual_speed()
    long_block_speed()
