"""Weights narrower than a byte, packed: binary, ternary pairs, 4-bit."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qtaml_hw.faults._flip import flip_bits
from qtaml_hw.faults._rates import plane_probabilities

PACKED_WIDTHS: Final = (1, 2, 4)


def flip_packed(
    image: NDArray[np.uint8],
    bits: int,
    p01: ArrayLike,
    p10: ArrayLike,
    *,
    seed: int,
    map_index: int = 0,
    tensor: int = 0,
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """:func:`flip_bits` on a packed image: each byte holds ``8 / bits`` weights, the first in the lowest bits.

    ``p01`` and ``p10`` are one number or ``bits`` of them, least significant plane first.  A cell is keyed by its byte
    and its place in the byte.  Raises ValueError for a width other than 1, 2 or 4, another dtype than uint8, or what
    :func:`flip_bits` refuses.
    """
    if bits not in PACKED_WIDTHS:
        raise ValueError(
            f"packed weights must have one of {PACKED_WIDTHS} bits; got {bits}; "
            "8, 16 and 32-bit codes go to flip_bits as unsigned arrays"
        )
    if image.dtype != np.uint8:
        raise ValueError(f"a packed image must be uint8; got {image.dtype}")
    up, down = plane_probabilities(p01, p10, bits)
    return flip_bits(
        image, np.tile(up, 8 // bits), np.tile(down, 8 // bits), seed=seed, map_index=map_index, tensor=tensor, out=out
    )
