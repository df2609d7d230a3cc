"""Flips that are not independent: bursts along a row or a column, and clusters of weak cells.

Every structure keeps the marginal probability of each cell exact and the flips nested over p; only the joint law
changes.  Planes stay independent of each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.faults._flip import CODE_TYPES, error_masks
from qtaml_hw.faults._rates import plane_probabilities
from qtaml_hw.faults._weak import weak_cells
from qtaml_hw.faults.keys import TENSORS, MapKey


@dataclass(frozen=True)
class Bursts:
    """Runs of ``length`` neighbouring weights that share one uniform per plane: they are weak together.

    ``row_weights`` = 0: runs along the storage order (a row burst).  Otherwise weights lie ``row_weights`` to a row,
    and a run takes the same place of ``length`` consecutive rows (a column burst).  Counts in windows much longer than
    a run have dispersion index (variance / mean) ``length * (1 - p)``.
    Raises ValueError unless length >= 1 and row_weights >= 0.
    """

    length: int
    row_weights: int = 0

    def __post_init__(self) -> None:
        if self.length < 1 or self.row_weights < 0:
            raise ValueError(f"a burst needs length >= 1 and row_weights >= 0; got {self.length}, {self.row_weights}")

    def run_of(self, weight: Int64) -> Int64:
        """The run of every weight index."""
        if not self.row_weights:
            return weight // self.length
        row, column = np.divmod(weight, self.row_weights)
        return row // self.length * self.row_weights + column


@dataclass(frozen=True)
class Clusters:
    """Blocks of ``weights`` neighbours whose flip rate varies from block to block (beta-binomial counts).

    The rate of a block is Beta distributed around p such that the count of flips of a plane in a block has dispersion
    index ``dispersion`` (variance / mean; 1 - p is binomial, i.e. independent cells): the intraclass correlation is
    rho = (dispersion / (1 - p) - 1) / (weights - 1) (Johnson, Kemp, Kotz: Univariate Discrete Distributions, 6.2.2).
    Raises ValueError unless weights >= 2 and dispersion >= 1.
    """

    weights: int
    dispersion: float

    def __post_init__(self) -> None:
        if self.weights < 2 or not self.dispersion >= 1.0:
            raise ValueError(
                "clusters need at least 2 weights and a dispersion index of at least 1; "
                f"got {self.weights}, {self.dispersion}"
            )

    def block_rates(self, p: float, level: Float64) -> Float64:
        """The rate of every block from its uniform ``level``; increases with p.

        Raises ValueError where the dispersion can not be reached: all cells of a block equal give weights * (1 - p).
        """
        if p in (0.0, 1.0):
            return np.full(level.shape, p)
        rho = (self.dispersion / (1.0 - p) - 1.0) / (self.weights - 1)
        if rho >= 1.0:
            raise ValueError(
                f"blocks of {self.weights} cells at p = {p:g} reach a dispersion index below "
                f"{self.weights * (1.0 - p):g}; got {self.dispersion:g}"
            )
        if rho <= 0.0:
            return np.full(level.shape, p)
        total = 1.0 / rho - 1.0
        return np.asarray(special.betaincinv(p * total, (1.0 - p) * total, level), dtype=np.float64)


def flip_structured(
    codes: NDArray[Any], p01: ArrayLike, p10: ArrayLike, structure: Bursts | Clusters, key: MapKey
) -> NDArray[Any]:
    """:func:`flip` (which is the independent case) with spatially dependent cells; a new array.

    Raises ValueError as :func:`flip` does, and where ``structure`` can not have the asked dispersion.
    """
    if codes.dtype not in CODE_TYPES:
        raise ValueError(f"codes must be uint8, uint16 or uint32; got {codes.dtype}")
    bits = 8 * codes.dtype.itemsize
    up, down = plane_probabilities(p01, p10, bits)
    weight = np.arange(codes.size, dtype=np.int64)
    if isinstance(structure, Bursts):
        run = structure.run_of(weight)
        runs = int(run.max(initial=-1)) + 1
        masks = [error_masks(runs, p, key, bits=bits)[run] for p in (up, down)]
    else:
        masks = [np.zeros(codes.size, dtype=codes.dtype) for _ in (up, down)]
        for plane in range(bits):
            for mask, p in zip(masks, (float(up[plane]), float(down[plane])), strict=True):
                mask[_clustered(codes.size, plane, p, structure, key)] |= codes.dtype.type(1 << plane)
    mask01, mask10 = (mask.reshape(codes.shape) for mask in masks)
    return np.asarray(codes ^ ((mask01 & ~codes) | (mask10 & codes)))


def _clustered(n_weights: int, plane: int, p: float, clusters: Clusters, key: MapKey) -> Int64:
    """Weight indices of one plane that flip at probability p."""
    if p == 0.0 or not n_weights:
        return np.empty(0, dtype=np.int64)
    blocks = -(-n_weights // clusters.weights)
    own = key.of(TENSORS["clusters"].number(key.tensor))
    rate = clusters.block_rates(p, weak_cells(blocks, plane, 1.0, own).u)
    cells = weak_cells(n_weights, plane, float(min(rate.max(), 1.0)), key)
    return cells.position[cells.u < rate[cells.position // clusters.weights]]
