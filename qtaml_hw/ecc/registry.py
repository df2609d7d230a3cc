"""The code registry: every code by its name, with aliases and a "did you mean"."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from qtaml_hw.ecc import finite_field as ff
from qtaml_hw.ecc import matrices
from qtaml_hw.ecc.code import Code, MatrixCode
from qtaml_hw.ecc.cosets import TABLE_LIMIT
from qtaml_hw.ecc.in_place import InPlaceCode
from qtaml_hw.ecc.ldpc import long_block
from qtaml_hw.ecc.parity_file import load_code
from qtaml_hw.errors import unknown
from qtaml_hw.files import stamp
from qtaml_hw.names import CODE_ALIASES, CODES, IN_PLACE, canonical_code, is_code_file

CODE_NAMES = CODES  # those that tables and menus list; the families accept other sizes too (see `code`)
GOLAY = 0b110001110101  # x^11 + x^10 + x^6 + x^5 + x^4 + x^2 + 1, generator of the (23,12) code


def _secded(n: int, k: int) -> Code:
    return MatrixCode(f"secded-{n}-{k}", "secded", matrices.hsiao(k), 1, 4)


def _hamming(n: int, k: int) -> Code:
    return MatrixCode(f"hamming-{n}-{k}", "hamming", matrices.hamming(k), 1, 3)


def _golay(n: int, k: int) -> Code:
    if (n, k) not in ((23, 12), (24, 12)):
        raise ValueError(f"there is no golay-{n}-{k}; the Golay codes are golay-23-12 and golay-24-12")
    rows = ff.cyclic_parity(GOLAY, 12)
    if n == 24:
        overall = (1 + rows.sum(axis=1, dtype=np.int64)) % 2
        rows = np.concatenate([rows, overall[:, None].astype(np.uint8)], axis=1)
    return MatrixCode(f"golay-{n}-{k}", "golay", rows, 3, n - 16)


def _field_size(n: int) -> int:
    m = int(n).bit_length()
    if not 3 <= m <= 10:
        raise ValueError(f"BCH words of 4 to 1023 bits are offered, got n = {n}")
    return m


def _bch(n: int, k: int) -> Code:
    m = _field_size(n)
    t = ff.designed_t(m, n - k)
    if t == 0:
        offered = sorted({ff.bch_generator(m, t).bit_length() - 1 for t in range(1, min(2 ** (m - 1), 33))})
        options = ", ".join(f"({n},{n - r})" for r in offered if n - r > 0)
        raise ValueError(f"no binary BCH code has n = {n} and {n - k} check bits; of this length there are {options}")
    gf = ff.field(m) if n - k > TABLE_LIMIT else None
    return MatrixCode(f"bch-{n}-{k}", "bch", ff.cyclic_parity(ff.bch_generator(m, t), k), t, 2 * t + 1, gf=gf)


def _dected(n: int, k: int) -> Code:
    m = _field_size(n)
    generator = ff.poly_multiply(ff.bch_generator(m, 2), 0b11)  # the even-weight subcode: distance 6
    return MatrixCode(f"dected-{n}-{k}", "dected", ff.cyclic_parity(generator, k), 2, 6)


_BY_SIZE: dict[str, Callable[[int, int], Code]] = {
    "secded": _secded,
    "hamming": _hamming,
    "golay": _golay,
    "bch": _bch,
    "dected": _dected,
}


@lru_cache(maxsize=1024)
def _build(name: str) -> Code:
    if match := re.fullmatch(r"repeat-(\d{1,2})", name):
        n = int(match.group(1))
        return MatrixCode(name, "repetition", matrices.repetition(n), (n - 1) // 2, n)
    if match := re.fullmatch(r"parity-zero(?:-(\d{1,2}))?", name):
        return MatrixCode(name, "parity", matrices.single_parity(int(match.group(1) or 2)), 0, 2, policy="zero")
    if match := re.fullmatch(r"parity-sign-(\d{1,2})", name):
        return MatrixCode(name, "parity", matrices.single_parity(int(match.group(1))), 0, 2, policy="sign")
    if match := re.fullmatch(r"ldpc-(\d{3,5})-(0\.\d{1,4})", name):
        return long_block(int(match.group(1)), float(match.group(2)))
    if name in IN_PLACE:
        return InPlaceCode(MatrixCode("secded-64-57", "secded", matrices.hsiao(57), 1, 4))
    match = re.fullmatch(r"([a-z]+)-(\d{1,4})-(\d{1,4})", name)
    if match is None or match.group(1) not in _BY_SIZE:
        raise ValueError(unknown("code", name, (*CODE_NAMES, *CODE_ALIASES)))
    n, k = int(match.group(2)), int(match.group(3))
    if not 1 <= k < n:
        raise ValueError(f"code {name!r}: a word of n = {n} bits cannot hold k = {k} data bits; allowed is 1 <= k < n")
    built = _BY_SIZE[match.group(1)](n, k)
    if built.n != n:
        raise ValueError(
            f"no {match.group(1)} code has n = {n} with k = {k}; did you mean '{match.group(1)}-{built.n}-{k}'? "
            "(one of your own is a JSON file with its parity_check, named in place of a code)"
        )
    return built


@lru_cache(maxsize=64)
def _from_file(path: str, known_by: tuple[int | str, ...]) -> Code:
    return replace(load_code(path), name=path)


def code(name: str) -> Code:
    """A code by name.

    Listed names are in ``CODE_NAMES``; the families secded-N-K, hamming-N-K, dected-N-K, bch-N-K (shortened ones
    included), repeat-N, parity-zero-K, parity-sign-K and ldpc-N-R (blocks of N bits at rate R) accept other sizes.
    ``secded-72-64`` has 72 bits per word, 64 of them data.
    The path of a ``.json`` or ``.alist`` parity-check file is a name too, in menus as well.
    Raises ValueError for an unknown name, a size that the family does not have, or a file that holds no code.
    """
    if is_code_file(name):
        known_by = stamp(Path(name))
        if known_by is None:
            raise ValueError(f"there is no code file {name!r}")
        return _from_file(name, tuple(known_by))
    return _build(canonical_code(name))
