"""Compiled encoders and decoders over packed words: data bits in uint64 limbs, check bits in the narrowest integer.

Encoding is one table look-up per data byte (a linear map is the XOR of its bytes' images).  Decoding is branch-free for
codes with a coset table, so its speed does not depend on the error rate.
"""

from __future__ import annotations

import numpy as np

from qtaml_hw._jit import njit
from qtaml_hw.arrays import AnyArray, Uint8, Uint64
from qtaml_hw.ecc.matrices import BitMatrix

CLEAN, CORRECTED, UNCORRECTABLE = 0, 1, 2


def pack(bits: Uint8) -> Uint64:
    """0/1 bits [..., n] -> uint64 limbs [..., ceil(n/64)], bit j in limb j // 64 at weight 2^(j % 64)."""
    n = bits.shape[-1]
    limbs = -(-n // 64)
    padded = np.zeros((*bits.shape[:-1], limbs * 64), dtype=np.uint8)
    padded[..., :n] = bits
    packed: Uint64 = np.packbits(padded, axis=-1, bitorder="little").view("<u8").astype(np.uint64)
    return packed


def unpack(limbs: Uint64, n: int) -> Uint8:
    """The inverse of :func:`pack`: uint64 limbs [..., L] -> 0/1 bits [..., n]."""
    as_bytes = np.ascontiguousarray(limbs.astype("<u8")).view(np.uint8)
    return np.unpackbits(as_bytes, axis=-1, bitorder="little")[..., :n]


def check_dtype(r: int) -> np.dtype[np.unsignedinteger]:
    """The narrowest unsigned integer that holds ``r`` check bits (uint64 limbs beyond 64)."""
    return np.dtype(next((d for d, bits in ((np.uint8, 8), (np.uint16, 16), (np.uint32, 32)) if r <= bits), np.uint64))


def byte_tables(parity: BitMatrix) -> Uint64:
    """uint64 [8 L, 256, R]: the check bits that each value of each data byte contributes."""
    k, r = parity.shape
    limbs, check_limbs = -(-k // 64), -(-r // 64)
    tables = np.zeros((8 * limbs, 256, check_limbs), dtype=np.uint64)
    rows = pack(parity)
    values = np.arange(256)
    for j in range(k):
        tables[j // 8, (values >> (j % 8)) & 1 == 1] ^= rows[j]
    return tables


@njit()
def encode_one_limb(tables: AnyArray, data: AnyArray, out: AnyArray) -> None:
    """Check bits of one-limb words; ``tables`` [8, 256] in the dtype of ``out``."""
    low = np.uint64(255)
    t0, t1, t2, t3, t4, t5, t6, t7 = (
        tables[0],
        tables[1],
        tables[2],
        tables[3],
        tables[4],
        tables[5],
        tables[6],
        tables[7],
    )
    for i in range(data.size):
        d = data[i]
        out[i] = (
            t0[d & low]
            ^ t1[(d >> np.uint64(8)) & low]
            ^ t2[(d >> np.uint64(16)) & low]
            ^ t3[(d >> np.uint64(24)) & low]
            ^ t4[(d >> np.uint64(32)) & low]
            ^ t5[(d >> np.uint64(40)) & low]
            ^ t6[(d >> np.uint64(48)) & low]
            ^ t7[d >> np.uint64(56)]
        )


@njit()
def decode_one_limb(
    tables: AnyArray,
    masks: AnyArray,
    statuses: AnyArray,
    data: AnyArray,
    checks: AnyArray,
    out: AnyArray,
    status: AnyArray,
) -> None:
    """Correct one-limb words by coset table: ``masks`` uint64 [2^r], ``statuses`` uint8 [2^r]."""
    low = np.uint64(255)
    t0, t1, t2, t3, t4, t5, t6, t7 = (
        tables[0],
        tables[1],
        tables[2],
        tables[3],
        tables[4],
        tables[5],
        tables[6],
        tables[7],
    )
    for i in range(data.size):
        d = data[i]
        s = np.uint64(
            checks[i]
            ^ t0[d & low]
            ^ t1[(d >> np.uint64(8)) & low]
            ^ t2[(d >> np.uint64(16)) & low]
            ^ t3[(d >> np.uint64(24)) & low]
            ^ t4[(d >> np.uint64(32)) & low]
            ^ t5[(d >> np.uint64(40)) & low]
            ^ t6[(d >> np.uint64(48)) & low]
            ^ t7[d >> np.uint64(56)]
        )
        out[i] = d ^ masks[s]
        status[i] = statuses[s]


@njit()
def encode_limbs(tables: AnyArray, data: AnyArray, out: AnyArray) -> None:
    """Check bits [m, R] of words [m, L], any number of limbs."""
    low = np.uint64(255)
    for i in range(data.shape[0]):
        for byte in range(tables.shape[0]):
            value = (data[i, byte >> 3] >> np.uint64(8 * (byte & 7))) & low
            for limb in range(out.shape[1]):
                out[i, limb] ^= tables[byte, value, limb]


@njit()
def apply_cosets(syndromes: AnyArray, masks: AnyArray, statuses: AnyArray, data: AnyArray, status: AnyArray) -> None:
    """Correct words [m, L] in place given one-limb syndromes [m]; ``masks`` [2^r, L]."""
    for i in range(data.shape[0]):
        s = syndromes[i]
        for limb in range(data.shape[1]):
            data[i, limb] ^= masks[s, limb]
        status[i] = statuses[s]
