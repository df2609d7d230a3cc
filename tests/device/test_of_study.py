"""A study in place of its cell."""

from __future__ import annotations

import pytest

import qtaml_hw as q
from qtaml_hw.config import parse_study
from qtaml_hw.device.of_study import build_cell


@pytest.mark.parametrize(
    "text",
    [
        "cell: {preset: gain-cell-65nm, t_ox: 1.9 nm}",
        "cell: {preset: gain-cell-65nm}\nflips: {law: curve, points: [[10 us, 1e-7], [320 us, 6e-2]], direction: 1to0}",
    ],
)
def test_a_study_stands_for_its_cell(text: str) -> None:
    study = parse_study(text)
    own, of_cell = q.device.population(study), q.device.population(build_cell(study))
    assert own.retention_quantile(1e-3) == of_cell.retention_quantile(1e-3)
    assert own.flip_probability(50e-6) == of_cell.flip_probability(50e-6)
    assert own.retention_quantile(1e-3) == pytest.approx(q.retention(study).quantiles_s[1e-3], rel=0.1)  # of one die


def test_a_study_without_one_cell_says_so() -> None:
    for text in ("flips: {law: fixed, p: 0.1}", "cell: [{planes: [7], kind: sram6t}, {planes: [0, 1, 2, 3, 4, 5, 6]}]"):
        with pytest.raises(ValueError, match="has no one cell"):
            q.device.population(parse_study(text))
    with pytest.raises(TypeError, match="is no kind of cell"):
        q.device.population(object())
