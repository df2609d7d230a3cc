"""Bits as lines of hexadecimal digits that ``$readmemh`` reads."""

from __future__ import annotations

import numpy as np

from qtaml_hw.arrays import Uint8


def memh(bits: Uint8) -> str:
    """0/1 [lines, width] -> a line each, bit 0 the least significant."""
    width = bits.shape[1]
    digits = -(-width // 4)
    packed = np.packbits(bits, axis=1, bitorder="little")[:, ::-1].tobytes().hex()
    each = 2 * -(-width // 8)
    return "".join(f"{packed[i + each - digits : i + each]}\n" for i in range(0, len(packed), each))
