"""What planning needs to know of stored weights: how many there are, in which tensors, of how many bits."""

from __future__ import annotations

from abc import ABC, abstractmethod
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
    def plane_orders(self) -> NDArray[np.int64]:
        """The same by tensor, int64 [tensors, planes]; planes that it does not have last."""

    @property
    def absent(self) -> NDArray[np.bool_]:
        """Planes that a tensor does not have, bool [tensors, planes]."""

    @property
    def read_with(self) -> NDArray[np.int64]:
        """The tensor that each one is read with, itself or the weights whose scales it holds: int64 [tensors]."""

    @property
    def plane_order(self) -> NDArray[np.int64]:
        """Planes from the most to the least significant, int64 [planes]."""


class OneFormat(ABC):
    """Sizes of tensors that all have the same planes, in the same order of significance."""

    @property
    @abstractmethod
    def planes(self) -> int:
        """Bit planes of a weight."""

    @property
    @abstractmethod
    def plane_order(self) -> NDArray[np.int64]:
        """Planes from the most to the least significant, int64 [planes]."""

    @property
    @abstractmethod
    def tensor_starts(self) -> NDArray[np.int64]:
        """Global index of every tensor's first weight, and the total: int64 [tensors + 1]."""

    @property
    def plane_orders(self) -> NDArray[np.int64]:
        """Planes of every tensor from the most to the least significant, int64 [tensors, planes]."""
        return np.tile(self.plane_order, (self.tensor_starts.size - 1, 1))

    @property
    def absent(self) -> NDArray[np.bool_]:
        """None: bool [tensors, planes]."""
        return np.zeros((self.tensor_starts.size - 1, self.planes), dtype=np.bool_)

    @property
    def read_with(self) -> NDArray[np.int64]:
        """Every tensor with itself: int64 [tensors]."""
        return np.arange(self.tensor_starts.size - 1)
