"""What scales, decoders and streaming add to area and energy: each held against its closed form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qtaml_hw.config import parse_study
from qtaml_hw.ecc.hardware import node_scaling
from qtaml_hw.study.design.design import prepare
from qtaml_hw.study.design.networks.loaded import Networks

TEXT = """
study: storage
cell: {preset: gain-cell-65nm, t_ox: 1.9 nm, temperature: 85 degC}
refresh: 10 us
network: digits-lenet
evaluate: {images: 40, maps: {min: 2, max: 2}}
"""


@pytest.fixture(scope="module")
def networks() -> Networks:
    return Networks()


def facts(networks: Networks, **values: object) -> dict[str, Any]:
    study = parse_study(TEXT, name="storage").with_({k.replace("__", "."): v for k, v in values.items()})
    return prepare(study.points()[0].study, networks).facts


def side(facts: dict[str, Any]) -> float:
    """Scales, and what tells corrections apart, over the stored bits."""
    return float(facts["metadata_bits_fraction"] + facts["side_bits_fraction"])


def test_scales_take_their_share_of_area_and_reads(networks: Networks) -> None:
    plain, groups = facts(networks), facts(networks, weights__scale="group-32")
    assert groups["metadata_bits_fraction"] == pytest.approx(0.5 / 8, rel=0.1)  # a 16-bit scale for 32 weights
    share = side(groups)
    assert groups["storage_area_m2"] == pytest.approx(share * plain["array_area_m2"], rel=1e-6)
    assert groups["storage_energy_j"] == pytest.approx(share * plain["weight_read_energy_j"], rel=1e-6)
    parts = sum(groups[f"{part}_area_m2"] for part in ("array", "parity", "codec", "storage"))
    assert groups["area_m2"] == pytest.approx(parts, rel=1e-12)


def test_decoders_of_a_format_stand_in_every_bank(networks: Networks) -> None:
    found = facts(networks, weights__format="e4m3")
    scales = side(found) * found["array_area_m2"]
    gates = 8 * 64 / 8 * found["decode_ge"]  # 8 banks, 64-bit words of 8-bit weights
    assert found["storage_area_m2"] - scales == pytest.approx(gates * node_scaling(45e-9)[0], rel=1e-6)
    assert any("priced as horowitz-45nm-int8" in warning for warning in found["warnings"])


def test_streamed_weights_are_paid_for_in_every_inference(networks: Networks) -> None:
    small = {"array__capacity": "8 KB", "array__backing": {"bandwidth": "10 GB/s", "latency": "100 ns"}}
    found = facts(networks, **small)
    assert facts(networks)["backing_energy_j"] == 0.0
    # one inference per millisecond and one millisecond: what the simulated commands spent
    assert found["backing_energy_j"] == pytest.approx(found["energy_series_j"]["reload"][0], rel=1e-5)
    assert found["energy_per_inference_j"] > found["backing_energy_j"]


def test_reloaded_words_are_paid_for_map_by_map(networks: Networks, tmp_path: Path) -> None:
    study = parse_study(TEXT, name="storage").with_(
        {
            "cell.t_ox": "1.85 nm",
            "refresh.ecc_aware": True,
            "array.backing": {"bandwidth": "10 GB/s", "latency": "100 ns"},
            "array.on_uncorrectable": "reload",
            "protection": {"policy": "uniform", "planes": 8, "menu": ["secded-72-64"]},
        }
    )
    design = prepare(study.points()[0].study, networks)
    record = design.record(0)
    words = record["words_reloaded_series"][-1]
    assert words > 0
    costs = design.chip.costs
    seen_j = words * (64 * costs.backing_j_per_bit + costs.write_j)
    assert seen_j <= record["reload_energy_j"] <= 1.02 * seen_j  # the refresh at the last instant follows the sample
    assert any("reload_energy_j" in warning for warning in record["warnings"])


def test_a_policy_for_lost_words_without_words_is_said(networks: Networks) -> None:
    found = facts(networks, array__on_uncorrectable="zero")
    assert any("array.on_uncorrectable: zero has no word to act on" in warning for warning in found["warnings"])
    assert not any("on_uncorrectable" in warning for warning in facts(networks)["warnings"])
