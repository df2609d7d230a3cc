"""The groups of weights that a study decides about, rows of its memory included."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.config import Study
from qtaml_hw.weights import StoredImage

Int64 = NDArray[np.int64]


def group_starts(study: Study, image: StoredImage) -> Int64:
    """First global weight of every group, and the total: int64 [groups + 1].

    Raises ValueError for rows that do not hold neighbouring weights.
    """
    kind = study.protection.group
    return row_starts(study, image) if kind == "row" else image.group_starts(kind)


def row_starts(study: Study, image: StoredImage) -> Int64:
    """First weight of every memory row, cut at tensors: int64 [rows + 1]; rows of one class where planes are apart.

    Raises ValueError when neighbouring words lie in different banks: a row's weights are then no neighbours.
    """
    array = study.array
    if array.interleave != "block":
        raise ValueError("group row needs array.interleave block: with word, a row's weights are not neighbours")
    planes = image.planes
    if array.placement == "plane_separated":
        planes = max(np.bincount(array.plane_class)) if array.plane_class else 1
    per_row = max(1, array.row_bits // int(planes))
    share = -(-image.weights // array.banks)  # of a bank, as ArrayLayout.stride
    banks = [np.arange(start, min(start + share, image.weights), per_row) for start in range(0, image.weights, share)]
    starts: Int64 = np.unique(np.concatenate([*banks, image.tensor_starts]))
    return starts
