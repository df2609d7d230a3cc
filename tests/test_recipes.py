"""The recipes of CONTRIBUTING.md, walked: what a contributor adds in a row or two runs in a study."""

from __future__ import annotations

import numpy as np
import pytest

import qtaml_hw as q
from qtaml_hw import names, tac
from qtaml_hw.config import parse_study
from qtaml_hw.protection import ProtectionPlan

SMALL = """
cell: {kind: gain_cell}
flips: {law: fixed, p: 0.05, direction: 1to0}
network: {name: digits-lenet}
evaluate: {images: 40, maps: {min: 2, max: 2}}
"""


def _first_tensor(planning: tac.Planning) -> tac.Planned:
    """All planes of the first tensor, whatever the budget."""
    starts = planning.image.tensor_starts
    choice = np.zeros((starts.size - 1, planning.image.planes), dtype=np.uint8)
    choice[0] = 1
    return tac.Planned(ProtectionPlan(starts, starts, "layer", planning.policy, planning.menu.names, choice))


def test_a_policy_is_two_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    text = SMALL + "protection: {policy: first-tensor, menu: [secded-39-32], correction: none}\n"
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
