"""What planning needs to know of stored weights: how many there are, in which tensors, of how many bits."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


def planes_by_damage(damage: NDArray[np.float64]) -> NDArray[np.int64]:
    """Planes from the one whose flips do most damage down, int64 [planes]; ties go to the higher plane."""
    return np.lexsort((-np.arange(damage.size), -damage))


class StoredSizes(Protocol):
    """A stored image, or the sizes of one that is never whole in memory."""

    @property
    def planes(self) -> int:
        """Bit planes of a weight."""

    @property
    def tensor_starts(self) -> NDArray[np.int64]:
        """Global index of every tensor's first weight, and the total: int64 [tensors + 1]."""

    @property
    def stored_bits(self) -> int:
        """Data bits in the memory, parity not counted."""

    @property
    def plane_order(self) -> NDArray[np.int64]:
        """Planes from the most to the least significant, int64 [planes]."""
