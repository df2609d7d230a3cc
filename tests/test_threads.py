"""Workers compute on one thread: torch's, and those of the BLAS behind NumPy and SciPy."""

from __future__ import annotations

import torch
from threadpoolctl import threadpool_info, threadpool_limits

from qtaml_hw._threads import single_thread


def blas() -> list[int]:
    return [int(pool["num_threads"]) for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_one_thread_everywhere_inside_and_the_callers_numbers_after() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with threadpool_limits(2, user_api="blas"):
            outside = blas()
            with single_thread():
                assert torch.get_num_threads() == 1
                assert len(blas()) >= 2  # NumPy and SciPy bring one each
                assert set(blas()) == {1}
            assert blas() == outside
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
