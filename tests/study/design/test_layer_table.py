"""The layers of a record and its banks' time, against the accelerator's closed forms; MAC presets in a study."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from qtaml_hw.accelerator import MAC_ENERGIES, systolic_cost
from qtaml_hw.config import parse_study
from qtaml_hw.config.reading.problems import StudyError
from qtaml_hw.config.sections.accelerator import AcceleratorSection
from qtaml_hw.records.fields import F
from qtaml_hw.records.interval import t_interval
from qtaml_hw.records.results import Result
from qtaml_hw.records.summary import PointSummary
from qtaml_hw.study.design.design import prepare
from qtaml_hw.study.design.networks.loaded import Networks

TEXT = """
study: layers
cell: {t_ox: 2.2 nm}
refresh: {interval: 4 us}
scrub: {interval: 100 us}
protection: {policy: uniform, planes: 2, menu: [secded-72-64]}
network: {name: digits-lenet}
data: {name: digits}
accelerator: {inferences_per_second: 20000}
evaluate: {at: [100 us, 1 ms], images: 50, maps: {min: 2, max: 2}}
"""


@pytest.fixture(scope="module")
def facts():
    (point,) = parse_study(TEXT, name="x").points()
    return prepare(point.study, Networks()).facts


def test_layers_are_those_of_the_closed_forms(facts):
    table = facts["layer_table"]
    assert len({len(column) for column in table.values()}) == 1
    assert table["kind"] == ["conv", "conv", "linear", "linear", "linear"]
    for (m, k, n, repeats), cycles, macs in zip(table["size"], table["cycles"], table["macs"], strict=True):
        cost = systolic_cost(m, k, n, 128, 128)
        assert (cycles, macs) == (repeats * cost.cycles, repeats * cost.macs)
    assert sum(table["cycles"]) == facts["cycles_per_inference"]
    # MACs, reads and decoding of the layers are those of the whole; a layer's last word may be part full
    whole = facts["mac_energy_j"] + facts["weight_read_energy_j"]
    assert whole <= sum(table["energy_j"]) <= whole + facts["codec_energy_j"]
    assert all(0.0 <= stall < read for read, stall in zip(table["read_s"], table["stall_s"], strict=True))
    slack = min(c - r for c, r in zip(table["compute_s"], table["read_s"], strict=True))
    assert facts["layer_slack_s"] == pytest.approx(slack, rel=1e-3)


def test_bank_time_and_energy_fit_the_steady_state(facts):
    """What was simulated for 1 ms is what the closed forms say of a period, twenty times."""
    assert facts["availability"] == pytest.approx(
        1 - facts["refresh_bandwidth_share"] - facts["scrub_bandwidth_share"], abs=1e-9
    )
    energy = facts["energy_series_j"]
    assert all(len(joules) == 2 for joules in energy.values())
    period_s = 1 / 20000
    assert sum(energy["refresh"]) == pytest.approx(facts["refresh_energy_j"] / period_s * 1e-3, rel=0.01)
    assert sum(energy["leakage"]) == pytest.approx(facts["leakage_energy_j"] / period_s * 1e-3, rel=1e-6)
    assert sum(energy["read"]) == pytest.approx(facts["weight_read_energy_j"] * 20, rel=0.02)
    assert sum(energy["scrub"]) == pytest.approx(facts["scrub_energy_j"] / period_s * 1e-3, rel=0.01)
    assert facts["clock_slack_s"] == pytest.approx(2e-9 - facts["read_latency_s"])


def test_columns_over_time_reach_scripts():
    point = PointSummary(
        "id", {F.clean_score: 1.0, F.quantised_score: 1.0}, (0.96, 0.5),
        ((0.1, t_interval((1.0, 0.9))), (0.2, t_interval((0.96, 0.5)))),
        {}, counts={"flips_raw_series": ((1, 4), (3, 8))}, accuracies_at=((1.0, 0.9), (0.96, 0.5)),
    )  # fmt: skip
    found = Result(point).as_dict()["over_time"]
    assert found["time_s"] == [0.1, 0.2]
    assert found["accuracy_mean"] == pytest.approx([0.95, 0.73])
    assert found["yield_95"] == [0.5, 0.5]
    assert found["flips_raw"] == [2.0, 6.0]
    one = replace(point, series=point.series[:1])
    assert "over_time" not in Result(one).as_dict()


def test_read_latency_has_a_band(facts):
    assert facts["read_latency_low_s"] < facts["read_latency_s"] < facts["read_latency_high_s"]


def test_a_study_names_its_mac_energy():
    plain = parse_study(TEXT, name="x")
    other = plain.with_({"accelerator.mac": "horowitz-45nm-fp32", "accelerator.v_dd": "0.9 V"})
    assert set(get_args(AcceleratorSection.model_fields["mac"].annotation)) == set(MAC_ENERGIES)
    assert "mac" not in plain.resolved()["accelerator"]
    assert other.identity() != plain.identity()
    (point,) = other.points()
    found = prepare(point.study, Networks()).facts
    assert found["mac_energy_j"] == pytest.approx(4.6e-12 * sum(found["layer_table"]["macs"]))
    with pytest.raises(StudyError, match="mac"):
        plain.with_({"accelerator.mac": "horowitz-45nm"})
