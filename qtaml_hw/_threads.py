"""One thread, so that sums have one order and results do not depend on the machine's core count."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import scipy.linalg  # noqa: F401  its BLAS is loaded by now, and limited with NumPy's
import torch
from threadpoolctl import threadpool_limits


@contextmanager
def single_thread() -> Iterator[None]:
    """One thread of torch and of the BLAS of NumPy and SciPy inside; the caller's numbers are back on exit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)
