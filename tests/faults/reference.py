"""A plain-Python twin of the engine: one cell at a time, integers and floats only, written from docs/engine.md."""

from __future__ import annotations

import math
from collections.abc import Sequence

MASK_64, MASK_32 = (1 << 64) - 1, (1 << 32) - 1
CHUNK, LANES, DIGITS, LEVELS, TAU = 65_536, 512, 10, 8, 2.0**-12


def mix(x: int) -> int:
    x &= MASK_64
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK_64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK_64
    return x ^ (x >> 31)


def draw(key: int, counter: int) -> int:
    return mix(key + (counter + 1) * 0x9E3779B97F4A7C15)


def group_key(seed: int, map_index: int, tensor: int, group: int) -> int:
    key = 0
    for value in (seed, map_index, tensor, group):
        key = mix((draw(key, 0) ^ value) + 0x9E3779B97F4A7C15)
    return key


def series(tau: float) -> float:
    return tau * (1.0 - 0.5 * tau * (1.0 - (1.0 / 3.0) * tau * (1.0 - 0.25 * tau * (1.0 - 0.2 * tau))))


def poisson_count(mean: float, value: int) -> int:
    total, k = 0.0, 0
    while True:
        total += math.exp(k * math.log(mean) - mean - math.lgamma(k + 1.0))
        if value < min(int(total * 2.0**64), MASK_64) or k == 511:
            return k
        k += 1


def chunk_uniforms(n_bytes: int, chunk_key: int) -> list[list[float]]:
    """U of every cell of a chunk: [byte][plane]."""
    arrived: dict[int, float] = {}
    for level in range(LEVELS):
        start = 0.0 if level == 0 else TAU / 2 ** (LEVELS - level)
        width = TAU / 2 ** (LEVELS - max(level, 1))
        key = draw(chunk_key, 2 + level)
        for i in range(poisson_count(8 * CHUNK * width, draw(key, 0))):
            value = draw(key, 1 + i)
            u = series(start + width * ((value & ((1 << 45) - 1)) * 2.0**-45))
            cell = value >> 45
            arrived[cell] = min(arrived.get(cell, 1.0), u)
    s = series(TAU)
    dense, tail = draw(chunk_key, 0), draw(chunk_key, 1)
    uniforms = []
    lanes: dict[int, list[int]] = {}
    for byte in range(n_bytes):
        lane, slot = byte // 4 % LANES, byte % 4
        if slot == 0:
            if lane not in lanes:
                first = draw(dense, 2 * lane)
                lanes[lane] = [first & MASK_32, first >> 32, draw(dense, 2 * lane + 1) & MASK_32]
            outputs = []
            for _ in range(DIGITS // 2):
                x, y, z = lanes[lane]
                outputs += [x, (y + z) & MASK_32]
                v, w = (y - x) & MASK_32, (z - y) & MASK_32
                lanes[lane] = [
                    (3_323_815_723 * z) & MASK_32,
                    ((v << 8) | (v >> 24)) & MASK_32,
                    ((w << 16) | (w >> 16)) & MASK_32,
                ]
        row = []
        for plane in range(8):
            word = 0
            for output in outputs:
                word = 2 * word + ((output >> (8 * slot + plane)) & 1)
            word = (word << (53 - DIGITS)) | (draw(tail, 8 * byte + plane) >> (64 - (53 - DIGITS)))
            u = min(s + (1.0 - s) * (word * 2.0**-53), 1.0 - 2.0**-53)
            row.append(arrived.get(8 * byte + plane, u))
        uniforms.append(row)
    return uniforms


def flip(
    codes: Sequence[int],
    bits: int,
    p01: Sequence[float],
    p10: Sequence[float],
    seed: int,
    map_index: int = 0,
    tensor: int = 0,
) -> list[int]:
    """The codes with every cell flipped iff its U is below the probability of the bit it stores."""
    result = list(codes)
    for group in range(bits // 8):
        key = group_key(seed, map_index, tensor, group)
        for start in range(0, len(codes), CHUNK):
            part = range(start, min(start + CHUNK, len(codes)))
            for i, row in zip(part, chunk_uniforms(len(part), draw(key, start // CHUNK)), strict=True):
                for plane, u in enumerate(row, start=8 * group):
                    p = p10[plane] if codes[i] >> plane & 1 else p01[plane]
                    result[i] ^= int(u < p) << plane
    return result
