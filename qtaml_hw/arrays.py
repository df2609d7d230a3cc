"""Names of array types, each once: what they hold, not their shape, which docstrings give."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Uint8 = NDArray[np.uint8]
Uint16 = NDArray[np.uint16]
Uint32 = NDArray[np.uint32]
Uint64 = NDArray[np.uint64]
Bool = NDArray[np.bool_]
Codes = NDArray[np.unsignedinteger]
"""Stored codes of weights: bit patterns, uint8 up to eight planes, uint16 above."""
AnyArray = NDArray[Any]
"""What compiled kernels take: numba tells the types apart."""
