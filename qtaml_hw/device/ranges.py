"""Arguments of the device models as arrays, refused outside the ranges of ``qtaml_hw.limits``."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qtaml_hw.limits import LIMITS


def checked(name: str, value: ArrayLike, limit_name: str | None = None) -> NDArray[np.float64]:
    """The value as a float64 array, or ValueError naming the value, the allowed range and why (NaN is refused too)."""
    array = np.asarray(value, dtype=np.float64)
    limit = LIMITS[limit_name or name]
    above = array > limit.low if limit.open_low else array >= limit.low
    fine = above & (array <= limit.high)
    if not np.all(fine):
        raise ValueError(f"{name} = {limit.complaint(float(array[~fine].ravel()[0]))}")
    return array
