"""The recipes of CONTRIBUTING.md, walked: what a contributor adds in a row or two runs in a study."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pytest
from pydantic import Field

import qtaml_hw as q
from qtaml_hw import device, names, tac
from qtaml_hw.config import parse_study
from qtaml_hw.config.sections.cell import GainCellSection
from qtaml_hw.config.study import CELL_SECTIONS
from qtaml_hw.device import GainCell
from qtaml_hw.protection import ProtectionPlan
from tests import studies


def _first_tensor(planning: tac.Planning) -> tac.Planned:
    """All planes of the first tensor, whatever the budget."""
    starts = planning.image.tensor_starts
    choice = np.zeros((starts.size - 1, planning.image.planes), dtype=np.uint8)
    choice[0] = 1
    return tac.Planned(ProtectionPlan(starts, starts, "layer", planning.policy, planning.menu.names, choice))


@dataclass(frozen=True, kw_only=True)
class CascodedCell(GainCell):
    """A toy: a gain cell whose second write device in series lets a tenth of the subthreshold current through."""


class CascodedSection(GainCellSection):
    """Its section: the fields of a gain cell."""

    kind: Literal["cascoded"] = Field(description="kind of cell")  # type: ignore[assignment]


def _cascoded(cell: CascodedCell, die: device.Die | None = None) -> device.RetentionPopulation:
    return device.charge_population(replace(cell, i_sub_a=cell.i_sub_a / 10.0), die)


def _lost_in(cell: GainCell, interval_s: float) -> float:
    """Mean share of the cells of a lot that lose a 1."""
    lot = device.dies_of_lot(cell)
    return sum(share * float(device.charge_population(cell, die).flip_probability(interval_s)) for share, die in lot)


def test_a_cell_is_a_population_a_row_and_a_section(monkeypatch: pytest.MonkeyPatch) -> None:
    text = studies.text(cell="{kind: cascoded, t_ox: 2.0 nm, temperature: 85 degC}")
    with pytest.raises(ValueError, match="unknown kind of cell 'cascoded'"):
        parse_study(text)
    device.population.register(CascodedCell, _cascoded)
    monkeypatch.setattr(device, "CascodedCell", CascodedCell, raising=False)
    row = names.CellKind(device="CascodedCell", preset="gain-cell-65nm", refresh="20 us", array="edram")
    monkeypatch.setitem(names.CELLS, "cascoded", row)
    monkeypatch.setitem(CELL_SECTIONS, "cascoded", CascodedSection)
    study = parse_study(text)
    assert study.refresh.interval_s == pytest.approx(20e-6)
    result = q.run(study)
    assert (result.maps, result.cell_kind) == (2, "cascoded")
    plain = GainCell(**study.cell.device_values())
    tenth, whole = (_lost_in(replace(plain, i_sub_a=plain.i_sub_a / part), 20e-6) for part in (10.0, 1.0))
    assert result.p10 == pytest.approx(tenth)  # on every die of the lot
    assert result.p10 < 0.5 * whole


def test_a_policy_is_two_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    text = studies.text(
        flips="{law: fixed, p: 0.05, direction: 1to0}",
        protection="{policy: first-tensor, menu: [secded-39-32], correction: none}",
    )
    with pytest.raises(ValueError, match="unknown policy 'first-tensor'; allowed: none, uniform"):
        parse_study(text)
    monkeypatch.setitem(names.POLICIES, "first-tensor", names.Policy(unused=names.POLICIES["none"].unused - {"menu"}))
    monkeypatch.setitem(tac.POLICIES, "first-tensor", _first_tensor)
    study = parse_study(text)
    assert study.identity() == study.with_({"protection.group": "word"}).identity()
    result = q.run(study)
    assert (result.maps, result.policy, result.plan_policy) == (2, "first-tensor", "first-tensor")
    assert [layer["protected_planes"] for layer in result.layers] == [8.0, *[0.0] * (len(result.layers) - 1)]
    assert result.words_corrected > 0.0
    assert result.protected_bits_fraction == pytest.approx(8 * result.layers[0]["weights"] / result.stored_bits)
