"""The cache of compiled kernels: a damaged one is made anew; without a place for it kernels are compiled every time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

KERNEL = """
from qtaml_hw._jit import njit

@njit()
def twice(x: int) -> int:
    return 2 * x
"""
RUN = "import kernels; assert kernels.twice(21) == 42; print(sum(kernels.twice.stats.cache_hits.values()))"


def hits(folder: Path, **environment: str) -> tuple[int, str]:
    """Kernels that a new process found in the cache, and what it complained of."""
    path = os.pathsep.join([str(folder), str(Path(__file__).parents[1])])
    environ = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **environment}
    command = [sys.executable, "-c", RUN]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300, check=True)
    return int(done.stdout), done.stderr


@pytest.mark.parametrize(("suffix", "damaged"), [("nbi", "zeros"), ("nbc", "torn")])
def test_a_damaged_cache_is_made_anew(tmp_path: Path, suffix: str, damaged: str) -> None:
    (tmp_path / "kernels.py").write_text(KERNEL)
    assert hits(tmp_path) == (0, "")
    (file,) = (tmp_path / "__pycache__").glob(f"*.{suffix}")
    file.write_bytes(b"\0" * 200 if damaged == "zeros" else file.read_bytes()[:-100])
    assert hits(tmp_path) == (0, "")  # compiled, and kept
    assert hits(tmp_path) == (1, "")


def test_nowhere_to_write_to(tmp_path: Path) -> None:
    """numba finds no place for its cache, as in a read-only package under a read-only home."""
    (tmp_path / "kernels.py").write_text(KERNEL)
    nowhere = "import numba.core.caching as c; c.FunctionCache._impl_class._locator_classes = []; "
    command = [sys.executable, "-c", nowhere + RUN]
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[1])])
    environ = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout == "0\n"
    assert done.stderr.count("kernels are compiled anew in every run") == 1
