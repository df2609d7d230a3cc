"""Which tensors stay in an array that is smaller than the network, and how the others pass through it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Residency:
    """Tensors in network order stay while the largest of the rest still fits beside them; the rest is streamed in
    tiles.

    ``streamed`` bool [T]; ``load_s`` float64 [T], time to bring a tensor from the backing store for one inference;
    ``age_s`` float64 [T], time from the first write of a tile to its reading (0 for tensors that stay).
    """

    streamed: NDArray[np.bool_]
    load_s: Float64
    age_s: Float64


def resident_tensors(
    bits: Int64, capacity_bits: int | None, backing_bits_per_s: float | None, latency_s: float = 0.0
) -> Residency:
    """Residency of tensors of ``bits`` int64 [T], parity included; a streamed tensor waits ``latency_s`` once.

    ValueError with the bits when they do not fit and there is no backing store.
    """
    total = int(bits.sum())
    if capacity_bits is None or total <= capacity_bits:
        return Residency(np.zeros(len(bits), dtype=bool), np.zeros(len(bits)), np.zeros(len(bits)))
    if backing_bits_per_s is None:
        raise ValueError(
            f"the image needs {total} bits, parity included, and the array has {capacity_bits}: build a "
            f"larger array, or give backing_bits_per_s (in a study array.backing.bandwidth) to stream what does not "
            f"fit from a backing store"
        )
    before = np.concatenate([[0], np.cumsum(bits)[:-1]])
    largest_left = np.maximum.accumulate(bits[::-1])[::-1]
    resident = int(np.max(np.nonzero(before + largest_left <= capacity_bits)[0], initial=0))
    streamed = np.arange(len(bits)) >= resident
    tile = np.minimum(bits, capacity_bits - int(before[resident]))
    load_s = streamed * (latency_s + bits / backing_bits_per_s)
    return Residency(streamed, load_s, streamed * tile / backing_bits_per_s)
