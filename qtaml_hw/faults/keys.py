"""Which draw: the key of a fault map's cells, and who draws where in the space of keys.

Every cell's uniform is a function of its key alone, so two draws are independent when their keys differ and paired when
they are equal.  Maps that no evaluation may share, and tensors that are not weights, have stretches of their own here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np

from qtaml_hw.faults._streams import group_key, map_key


@dataclass(frozen=True)
class MapKey:
    """One tensor in one fault map of one seed; whole numbers in [0, 2^64)."""

    seed: int
    map_index: int = 0
    tensor: int = 0

    def of(self, tensor: int) -> MapKey:
        """Another tensor of the same fault map."""
        return replace(self, tensor=tensor)

    def group(self, index: int) -> np.uint64:
        """The stream key of planes ``8 * index`` .. ``8 * index + 7``."""
        return np.uint64(group_key(self.seed, self.map_index, self.tensor, index))


@dataclass(frozen=True)
class RowKeys:
    """Many short draws: row i of ``rows`` is tensor ``first.tensor + i * step`` of the fault map of ``first``."""

    first: MapKey
    rows: int
    step: int = 1

    def row(self, index: int) -> MapKey:
        """The key of one row."""
        return self.first.of(self.first.tensor + index * self.step)

    @property
    def of_map(self) -> np.uint64:
        """The key from which those of the rows follow."""
        return np.uint64(map_key(self.first.seed, self.first.map_index))


@dataclass(frozen=True)
class Stretch:
    """The numbers ``first`` .. ``end - 1`` of a map or tensor, set aside for one purpose."""

    first: int
    end: int
    what: str

    def number(self, index: int) -> int:
        """The ``index``-th number; IndexError outside the stretch."""
        if not 0 <= index < self.end - self.first:
            raise IndexError(f"{self.what}: number {index} is outside 0 to {self.end - self.first - 1}")
        return self.first + index


MAPS: Final[Mapping[str, Stretch]] = MappingProxyType(
    {
        "chips": Stretch(0, 1 << 29, "fault maps that studies evaluate"),
        "training": Stretch(1 << 29, 1 << 30, "steps of hardening that flip stored weights"),
        "planning": Stretch(1 << 30, 1 << 31, "draws by which a plan measures what flips do, paired over questions"),
    }
)
"""Fault maps of one seed."""

TENSORS: Final[Mapping[str, Stretch]] = MappingProxyType(
    {
        "weights": Stretch(0, 1 << 20, "stored tensors, in the order of the network"),
        "parity": Stretch(1 << 20, 1 << 21, "check cells of the ECC words of tensor i, plane 0"),
        "buffers": Stretch(1 << 21, 1 << 22, "cells of buffer i of a study, by address"),
        "second": Stretch(
            1 << 41, (1 << 41) + (1 << 21), "second uniforms of the weak cells of tensor i, parity included"
        ),
        "values": Stretch(1 << 48, 1 << 60, "values of a forward pass: value i of input j is number i * 2^32 + j"),
        "value parity": Stretch(1 << 60, 1 << 61, "check cells of the ECC words of values, numbered as the values"),
        "clusters": Stretch(1 << 40, 1 << 41, "rates of the clusters of weak cells of tensor i"),
    }
)
"""Tensors of one fault map."""
