"""``evaluate.compile: fused`` in a study: another identity, the graph in the record, scores of nearly the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from qtaml_hw.accelerator.fused import TOLERANCE
from qtaml_hw.accelerator.served import ServedNetwork
from qtaml_hw.config import StudyError
from qtaml_hw.records.fields import F
from qtaml_hw.study.design.networks.network import Network
from qtaml_hw.weights.network import weight_arrays
from tests import studies

RESNET = {"network": "{name: digits-resnet}", "evaluate": "{at: [1 ms], images: 60, maps: {min: 2, max: 2}}"}


def test_fused_is_another_point_and_exact_is_what_it_was() -> None:
    plain = studies.study()
    assert studies.study({"evaluate.compile": "exact"}).identity() == plain.identity()
    fused = studies.study({"evaluate.compile": "fused"})
    assert fused.identity() != plain.identity()
    assert fused.resolved()["evaluate"]["compile"] == "fused"
    assert "compile" not in plain.resolved()["evaluate"]


def test_an_unknown_graph_is_refused_with_what_is_meant() -> None:
    with pytest.raises(StudyError, match=r"evaluate.compile: .* exact, fused; did you mean 'fused'"):
        studies.study({"evaluate.compile": "fussed"})


def test_a_file_that_onnxruntime_runs_is_fused_by_it() -> None:
    sections = {"network": "{file: net.onnx}", "evaluate": "{at: [1 ms], runtime: onnxruntime, compile: fused}"}
    with pytest.raises(StudyError, match=r"evaluate.compile: onnxruntime fuses by itself"):
        studies.study(**sections)


def test_the_record_says_the_graph_and_plans_are_those_of_the_network_itself() -> None:
    exact, fused = (studies.design({"evaluate.compile": how}, **RESNET) for how in ("exact", "fused"))
    assert fused.network.graph == "fused"
    assert F.graph not in exact.facts
    assert fused.facts[F.graph] == "fused"
    assert not any("fused" in warning for warning in fused.facts[F.warnings])
    own, found = (point.network._clean_outputs for point in (exact, fused))
    assert 0.0 < np.abs(found - own).max() <= TOLERANCE * np.abs(own).max()
    plans = [studies.NETWORKS.load(studies.study({"evaluate.compile": h}, **RESNET)) for h in ("exact", "fused")]
    np.testing.assert_array_equal(*(stored.calibration.outputs({}) for stored in plans))
    same = {F.flips_raw, F.quantised_score, F.clean_score, F.score}
    records = [point.record(1) for point in (exact, fused)]
    assert {name: records[0][name] for name in same} == {name: records[1][name] for name in same}
    chosen = np.arange(0, 60, 7)
    assert fused.network.clean_right is not None
    right = fused.network.right(fused.network.weights, chosen)
    np.testing.assert_array_equal(right, fused.network.clean_right[chosen])


def test_a_network_that_is_not_fused_says_so() -> None:
    net, x = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)).eval(), torch.rand(6, 1, 2, 2)
    network = Network("flat", ServedNetwork(net), weight_arrays(net), x, torch.tensor([0, 1] * 3), 2, "", fused=True)
    assert network.graph == network.facts[F.graph] == "exact"
    (warning,) = [text for text in network.warnings(6, "first") if "fused" in text]
    assert warning.startswith("passes are not fused but exact")
    assert not any("fused" in text for text in replace(network, fused=False).warnings(6, "first"))
