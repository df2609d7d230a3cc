"""A cache folder of their own for all tests of hardening, and one thread."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from qtaml_hw._threads import single_thread


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("QTAML_HW_CACHE", str(folder))
    with single_thread():
        yield folder
