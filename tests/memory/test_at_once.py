"""A fault map flipped at once is the one whose weak cells are listed; a history has the worst of its stretches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtaml_hw.device import charge_population
from qtaml_hw.memory import ArrayGeometry, Cells, FixedCells, Memory, Schedule
from qtaml_hw.memory.ageing.exposure import Exposure
from qtaml_hw.memory.ageing.history import Mark, Visits, build_history
from qtaml_hw.protection import ProtectionPlan
from tests.device.cells import gain_cell

CELL = charge_population(gain_cell())
SIZES = (300, 70_000, 500, 1, 2_000)  # small ones beside one that stands alone


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("p", [1e-4, 0.03])
def test_tensors_end_to_end_are_read_as_their_weak_cells_say(dtype: type[np.unsignedinteger], p: float) -> None:
    planes = 8 * np.dtype(dtype).itemsize
    rng = np.random.default_rng(6)
    codes = tuple(rng.integers(0, 2**planes, n).astype(dtype) for n in SIZES)
    starts = np.concatenate([[0], np.cumsum(SIZES)])
    choice = np.zeros((len(SIZES), planes), dtype=np.uint8)
    choice[[0, 1, 2, 4], -1], choice[[1, 4], -3], choice[2, -2] = 1, 1, 2
    plan = ProtectionPlan(starts, starts, "layer", "test", ("none", "secded-72-64", "bch-63-45"), choice)
    memory = Memory(codes, planes, plan, ArrayGeometry(), Schedule(horizon_s=1e-3, sample_times_s=(5e-4, 1e-3)))
    cells = Cells(FixedCells(p / 2, p))
    at_once = memory.run(cells, seed=3, map_index=2)
    assert memory.histories(cells).levels is not None
    memory.histories(cells).__dict__["levels"] = None
    listed = memory.run(cells, seed=3, map_index=2)
    for name in ("flips_data", "flips_parity", "flips_read", "words_corrected", "words_uncorrectable"):
        np.testing.assert_array_equal(getattr(at_once, name), getattr(listed, name))
    for found, expected in zip(at_once.read_out[1], listed.read_out[1], strict=True):
        np.testing.assert_array_equal(found, expected)
    for found, expected in zip(at_once.stored.held, listed.stored.held, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert at_once.flips_parity[1] > 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_a_mark_has_the_worst_stretch_since_the_one_before(seed: int) -> None:
    scale = float(CELL.retention_quantile(0.01))
    rng = np.random.default_rng(seed)
    restore, correct, write, sample = (
        np.sort(rng.random(n)) * 4.0 * scale for n in rng.integers([0, 0, 0, 1], [9, 4, 3, 4])
    )
    none = np.empty(0)
    visits = Visits(restore, correct, none, write, sample)
    history = build_history(visits, Exposure(CELL, Schedule(horizon_s=5.0 * scale)))

    restoring = np.sort(np.concatenate([[0.0], restore, correct, write]))
    marks = np.sort(np.concatenate([correct, write, sample]))
    expected, before = [], 0.0
    for at in marks.tolist():
        ends = [*restore[(restore > before) & (restore < at)].tolist(), at]
        longest = max(end - restoring[restoring < end].max() for end in ends)
        expected.append(float(CELL.flip_probability(longest)))
        before = at
    assert history.repeat.sum() == len(marks)
    np.testing.assert_allclose(np.repeat(history.level[:, 0], history.repeat), expected, rtol=1e-6)
    assert np.count_nonzero(history.kind == Mark.SAMPLE) == len(sample)
