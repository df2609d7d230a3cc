"""Names on the menu of a study: those of the table, codes of other sizes, parity-check files.

Which sizes a family has is said in closed form, so that a study is checked without building a code.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from pydantic import GetJsonSchemaHandler
from pydantic_core import core_schema

from qtaml_hw.config.sections.kinds import OneOf
from qtaml_hw.names import CODE_FILES, LDPC_BITS, LDPC_RATES, canonical_code, is_code_file

_MOST_DATA_BITS: Final = 502  # of Hsiao's and Hamming's codes
_SIZED: Final = re.compile(r"([a-z-]+?)-(\d{1,4})(?:-(\d{1,4}))?")
_PRICED: Final = r"ideal-\d{1,2}(\.\d{1,4})?"
_FASTER: Final = r"refresh-\d{1,4}(\.\d{1,4})?x"
_LONG: Final = re.compile(r"ldpc-(\d{3,5})-(0\.\d{1,4})")
_LONGEST_PATH: Final = 4096


def _shortest(n: int, k: int, most: Callable[[int], int]) -> bool:
    """Whether n - k is the least number r of check bits that serves k data bits, ``most(r)`` of them at most."""
    return 1 <= k <= _MOST_DATA_BITS and n - k == next(r for r in range(2, 64) if most(r) >= k)


def _bch_degrees(m: int) -> set[int]:
    """Check bits of the narrow-sense binary BCH codes of length 2^m - 1: sums of the sizes of cyclotomic cosets."""
    order, degree, roots, found = 2**m - 1, 0, set[int](), set[int]()
    for power in range(1, order - 1, 2):
        coset = {power * 2**i % order for i in range(m)}
        if min(coset) not in roots:
            roots.add(min(coset))
            degree += len(coset)
        found.add(degree)
    return found


def _in_field(n: int, k: int, degrees: Callable[[int], set[int]]) -> bool:
    """Whether a (shortened) cyclic code over the field of its length has n - k check bits."""
    m = n.bit_length()
    return 3 <= m <= 10 and k >= 1 and n - k in degrees(m)


_SIZES: Final[dict[str, Callable[[int, int], bool]]] = {
    "secded": lambda n, k: _shortest(n, k, lambda r: 2 ** (r - 1) - r if r > 2 else 0),
    "hamming": lambda n, k: _shortest(n, k, lambda r: 2**r - 1 - r),
    "golay": lambda n, k: (n, k) in ((23, 12), (24, 12)),
    "bch": lambda n, k: _in_field(n, k, _bch_degrees),
    "dected": lambda n, k: _in_field(n, k, lambda m: {2 * m + 1}),
    "repeat": lambda n, k: 3 <= n <= 99 and n % 2 == 1 and k == 1,
    "parity-zero": lambda n, k: 1 <= n <= 64 and k == 1,
    "parity-sign": lambda n, k: 1 <= n <= 64 and k == 1,
}
"""Family -> whether it has a code of n bits for k data bits; the last three have one number."""
_ONE_NUMBER: Final = ("repeat", "parity-zero", "parity-sign")


def is_protection(name: str) -> bool:
    """Whether a name in its one spelling is that of a code of some size, of a faster refresh, or ideal at a price."""
    if re.fullmatch(_PRICED, name):
        return True
    if long := _LONG.fullmatch(name):
        return LDPC_BITS[0] <= int(long[1]) <= LDPC_BITS[1] and LDPC_RATES[0] <= float(long[2]) <= LDPC_RATES[1]
    match = _SIZED.fullmatch(name)
    if match is None or match[1] not in _SIZES:
        return re.fullmatch(_FASTER, name) is not None and float(name[8:-1]) >= 1.0
    return (match[3] is None) == (match[1] in _ONE_NUMBER) and _SIZES[match[1]](int(match[2]), int(match[3] or 1))


class OnMenu(OneOf):
    """A name of the menu, a code of another size of its families, or the path of a parity-check file."""

    def read(self, value: object) -> str:
        """The one spelling of the name, or the path as it is written.  Raises ValueError with what is allowed."""
        if not isinstance(value, str) or len(value) > _LONGEST_PATH:
            return super().read(value)
        if is_code_file(value):
            return value
        name = canonical_code(value)
        if name.startswith("ldpc-") and not is_protection(name):
            (fewest, most), (least, highest) = LDPC_BITS, LDPC_RATES
            raise ValueError(
                f"there is no {value[:60]!r}: ldpc-N-R has blocks of N = {fewest} to {most} bits, a share R = {least} "
                f"to {highest} of them data, as in ldpc-16384-0.625"
            )
        return name if name in self.names or is_protection(name) else super().read(value)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        endings = "|".join(re.escape(ending) for ending in CODE_FILES)
        named = super().__get_pydantic_json_schema__(schema, handler)
        return {"anyOf": [named, {"type": "string", "pattern": rf"-\d+(\.\d+)?x?$|({endings})$"}]}
