"""numba's decorators with types: kernels are compiled once and cached on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def njit(**options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a kernel in nopython mode, with ``cache=True`` unless told otherwise."""
    options.setdefault("cache", True)
    return cast(Callable[[Callable[P, R]], Callable[P, R]], numba.njit(**options))


prange: type[range] = numba.prange  # a loop over threads inside a parallel kernel; typed as the range it behaves as
