"""numba's decorators with types: kernels are compiled once and cached on disk.

The cache is a convenience that must not stop anybody: where it is damaged (a full disk, a power cut) it is emptied and
the kernel compiled again, where it cannot be written every run compiles.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba
from numba import typeof as _typeof
from numba.core import caching

P = ParamSpec("P")
R = TypeVar("R")
_NO_PLACE = "kernels are compiled anew in every run: no folder for them can be written; NUMBA_CACHE_DIR names one"
typeof: Any = _typeof
_NumbaCache: Any = caching.FunctionCache  # numba has no types


def njit(**options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a kernel in nopython mode, cached on disk unless told otherwise (``cache=False``)."""
    cached = options.pop("cache", True)

    def compiled(kernel: Callable[P, R]) -> Callable[P, R]:
        dispatcher = numba.njit(**options)(kernel)
        if cached:
            try:
                dispatcher._cache = _Cache(kernel)  # what numba's own cache=True does, with its own class
            except RuntimeError:  # numba finds no place that it may write to
                warnings.warn(_NO_PLACE, RuntimeWarning, stacklevel=1)
        return cast(Callable[P, R], dispatcher)

    return compiled


def direct(kernel: Callable[P, R], *example: P.args, **named: P.kwargs) -> Callable[P, R]:
    """The machine code of a kernel for arguments of these types alone: a call looks at no types, which takes longer
    than a small layer's values do.

    Raises TypeError in a call with others that do not convert.
    """
    dispatcher: Any = kernel  # numba has no types
    return cast(Callable[P, R], dispatcher.compile(tuple(typeof(one) for one in example)))


class _Cache(_NumbaCache):  # type: ignore[misc]
    """numba's cache of one kernel; whatever goes wrong with it, the kernel is compiled."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled kernel, or None where it has to be compiled."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # unpickling damaged bytes may raise anything
            self._heal()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled kernel, if it can be kept."""
        try:
            super().save_overload(sig, data)
        except Exception:
            self._heal()

    def _heal(self) -> None:
        """Forget what is there; keep out of a place that cannot be written."""
        try:
            self.flush()
        except OSError:
            self.disable()
