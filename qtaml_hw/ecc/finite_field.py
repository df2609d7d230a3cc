"""GF(2^m) arithmetic and binary BCH codes: generator polynomials, parity matrices, algebraic decoding.

Primitive polynomials: S. Lin, D. J. Costello, "Error Control Coding", 2nd ed. (2004), table 2.7.
Polynomials over GF(2) are Python integers, bit i = coefficient of x^i.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from qtaml_hw._jit import njit
from qtaml_hw.arrays import AnyArray, Int64
from qtaml_hw.ecc.matrices import BitMatrix

PRIMITIVE = {
    2: 0b111,
    3: 0b1011,
    4: 0b10011,
    5: 0b100101,
    6: 0b1000011,
    7: 0b10001001,
    8: 0b100011101,
    9: 0b1000010001,
    10: 0b10000001001,
}


@dataclass(frozen=True, eq=False)
class Field:
    """GF(2^m): ``exp`` int64 [2 N] and ``log`` int64 [N + 1] tables of the primitive element, N = 2^m - 1."""

    m: int
    exp: Int64
    log: Int64

    @property
    def order(self) -> int:
        """N = 2^m - 1, the order of the multiplicative group and the natural code length."""
        return int(2**self.m - 1)


@cache
def field(m: int) -> Field:
    """GF(2^m), 2 <= m <= 10."""
    if m not in PRIMITIVE:
        raise ValueError(f"GF(2^m) is offered for m = 2 to 10, got {m}")
    order = 2**m - 1
    exp = np.zeros(2 * order, dtype=np.int64)
    log = np.zeros(order + 1, dtype=np.int64)
    value = 1
    for i in range(order):
        exp[i] = exp[i + order] = value
        log[value] = i
        value <<= 1
        if value >> m:
            value ^= PRIMITIVE[m]
    exp.setflags(write=False)
    log.setflags(write=False)
    return Field(m, exp, log)


def poly_multiply(a: int, b: int) -> int:
    """Product of two polynomials over GF(2)."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        a <<= 1
        b >>= 1
    return product


def poly_remainder(a: int, b: int) -> int:
    """Remainder of ``a`` divided by ``b`` over GF(2)."""
    size = b.bit_length()
    while a.bit_length() >= size:
        a ^= b << (a.bit_length() - size)
    return a


def minimal_polynomial(m: int, power: int) -> int:
    """Minimal polynomial over GF(2) of alpha^power in GF(2^m)."""
    gf = field(m)
    roots = sorted({power * 2**i % gf.order for i in range(m)})
    coefficients = [1]
    for root in roots:
        a = int(gf.exp[root])
        scaled = [int(gf.exp[gf.log[c] + gf.log[a]]) if c else 0 for c in coefficients]
        coefficients = [x ^ y for x, y in zip([0, *coefficients], [*scaled, 0], strict=True)]
    return sum(c << i for i, c in enumerate(coefficients))


@cache
def bch_generator(m: int, t: int) -> int:
    """Generator of the narrow-sense binary BCH code of length 2^m - 1 that corrects ``t`` errors by design."""
    generator = 1
    done: set[int] = set()
    for power in range(1, 2 * t, 2):
        root = min(power * 2**i % field(m).order for i in range(m))
        if root not in done:
            done.add(root)
            generator = poly_multiply(generator, minimal_polynomial(m, power))
    return generator


def designed_t(m: int, parity: int) -> int:
    """The largest t whose BCH generator over GF(2^m) has exactly ``parity`` check bits (0 where there is none)."""
    best = 0
    for t in range(1, 2 ** (m - 1)):
        degree = bch_generator(m, t).bit_length() - 1
        if degree == parity:
            best = t
        if degree > parity:
            break
    return best


def cyclic_parity(generator: int, k: int) -> BitMatrix:
    """Parity matrix [k, r] of the (shortened) cyclic code: data bit j is x^(r + j), check bit i is x^i."""
    r = generator.bit_length() - 1
    rows = np.zeros((k, r), dtype=np.uint8)
    image = poly_remainder(1 << r, generator)
    for j in range(k):
        rows[j] = [(image >> i) & 1 for i in range(r)]
        image <<= 1
        if image >> r & 1:
            image ^= generator
    return rows


@njit()
def locate_errors(degrees: AnyArray, count: int, t: int, n: int, exp: AnyArray, log: AnyArray, out: AnyArray) -> int:
    """Berlekamp-Massey and Chien search for a binary BCH word whose error is equivalent to x^degrees[:count].

    Writes the degrees of the correction to ``out`` and returns their number, or -1 when the word is uncorrectable: the
    locator's degree exceeds t, or it has another number of roots among the n degrees of the (shortened) word.
    """
    order = log.size - 1
    synd = np.zeros(2 * t + 1, np.int64)
    clean = True
    for power in range(1, 2 * t + 1):
        value = 0
        for e in range(count):
            value ^= exp[(degrees[e] * power) % order]
        synd[power] = value
        clean = clean and value == 0
    if clean:
        return 0
    locator = np.zeros(2 * t + 2, np.int64)
    previous = np.zeros(2 * t + 2, np.int64)
    saved = np.zeros(2 * t + 2, np.int64)
    locator[0] = previous[0] = 1
    length, shift, last = 0, 1, 1
    for step in range(2 * t):
        discrepancy = synd[step + 1]
        for i in range(1, length + 1):
            if locator[i] and step + 1 - i >= 1 and synd[step + 1 - i]:
                discrepancy ^= exp[log[locator[i]] + log[synd[step + 1 - i]]]
        if discrepancy == 0:
            shift += 1
            continue
        saved[:] = locator
        factor = (log[discrepancy] - log[last]) % order
        for i in range(2 * t + 2 - shift):
            if previous[i]:
                locator[i + shift] ^= exp[log[previous[i]] + factor]
        if 2 * length <= step:
            length = step + 1 - length
            previous[:] = saved
            last = discrepancy
            shift = 1
        else:
            shift += 1
    if length > t:
        return -1
    found = 0
    for degree in range(n):
        total = 1
        for i in range(1, length + 1):
            if locator[i]:
                total ^= exp[(log[locator[i]] + i * (order - degree)) % order]
        if total == 0:
            if found == length:
                return -1
            out[found] = degree
            found += 1
    return found if found == length else -1
