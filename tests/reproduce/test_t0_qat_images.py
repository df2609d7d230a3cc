"""Hardened networks beside TAC without retraining: every number paired, every accuracy kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qtaml_hw.progress import silent
from qtaml_hw.reproduce.t0_qat_images import FULL, METHODS, QUICK, ImageEffort, benchmark, image_rows
from qtaml_hw.reproduce.trial import accuracy_store
from qtaml_hw.workloads import state_digest

TINY = ImageEffort("digits-lenet", (2, 3), 2, (0.05,), ("plain", "bit errors, weights clipped"), epochs=1)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QTAML_HW_CACHE", str(tmp_path / "cache"))


def test_rows_are_paired_differences_of_what_is_measured(tmp_path: Path) -> None:
    with accuracy_store(tmp_path / "store") as kept:
        rows = {row.what: row for row in image_rows((TINY,), kept, silent)}
        assert kept.measured == 2 * 2 * 3 * 2  # methods, seeds, budgets, maps
    where = "digits-lenet, p=0.05"
    plain = rows[f"accuracy, plain, TAC with 5.0% of the bits: {where}"]
    other = rows[f"accuracy, bit errors, weights clipped, TAC with 5.0% of the bits: {where}"]
    gain = rows[
        f"gain over plain training at equal hardware, bit errors, weights clipped, TAC with 5.0% of the bits: {where}"
    ]
    assert isinstance(gain.ours, float)
    assert isinstance(other.ours, float)
    assert isinstance(plain.ours, float)
    assert gain.ours == pytest.approx(other.ours - plain.ours)
    with accuracy_store(tmp_path / "store") as again:
        image_rows((TINY,), again, silent)
        assert again.measured == 0


def test_seeds_and_methods_are_different_networks() -> None:
    found = {
        state_digest(dict(benchmark("digits-lenet", title, seed, 1).source()[0].state_dict()))
        for title in TINY.methods
        for seed in TINY.seeds
    }
    assert len(found) == 4


def test_every_effort_has_a_baseline_and_three_training_seeds() -> None:
    for effort in (*FULL, *QUICK):
        assert len(effort.seeds) >= 3
        assert 1 not in effort.seeds  # strengths were chosen on it
        assert effort.methods[0] == "plain"
        assert set(effort.methods) <= set(METHODS)
    assert np.all([method.seed == 2026 for method in METHODS.values()])
