"""Small tensors: one torch thread is faster than two that wait for each other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from qtaml_hw._threads import single_thread


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with single_thread():
        yield
