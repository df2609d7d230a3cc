"""A study's supplies, temperatures and nodes reach its cost, and what does not go together is said."""

from __future__ import annotations

from typing import Any

import pytest

from qtaml_hw.config import StudyError, parse_study
from qtaml_hw.device import arrhenius
from qtaml_hw.memory import array_cost
from qtaml_hw.study.design.design import prepare
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.supply import Supply

TEXT = """
study: rails
cell: {preset: gain-cell-65nm, t_ox: 2.0 nm, temperature: 85 degC, v_dd: 1.0 V}
array: {node: 65 nm}
refresh: 20 us
network: digits-mlp
evaluate: {images: 40, maps: {min: 2, max: 2}}
"""


@pytest.fixture(scope="module")
def networks() -> Networks:
    return Networks()


def facts(networks: Networks, **values: object) -> dict[str, Any]:
    study = parse_study(TEXT, name="rails").with_({k.replace("__", "."): v for k, v in values.items()})
    return prepare(study.points()[0].study, networks).facts


def test_the_supply_reaches_array_codec_and_mac(networks: Networks) -> None:
    """Energies by V^2; access by the alpha-power law of CACTI's 65 nm LSTP periphery (1.2 V, V_th 0.52354 V)."""
    coded = {"protection": {"policy": "uniform", "planes": 2, "menu": ["secded-72-64"], "correction": "none"}}
    full, low = facts(networks, **coded), facts(networks, **coded, cell__v_dd="0.8 V")
    for part in ("mac", "weight_read", "refresh"):
        assert low[f"{part}_energy_j"] / full[f"{part}_energy_j"] == pytest.approx(0.64), part
    assert low["codec_energy_j"] / full["codec_energy_j"] == pytest.approx(0.64, rel=0.02)  # their leakage too
    at_full, at_low = (Supply(v, 1.2, 0.52354, 358.15) for v in (1.0, 0.8))
    access = [f["read_latency_s"] - f["decode_latency_s"] for f in (full, low)]
    assert access[1] / access[0] == pytest.approx(at_low.delay.value / at_full.delay.value)
    gates = [Supply(v, 1.2, 0.36 * 1.2).delay.value for v in (1.0, 0.8)]
    assert low["decode_latency_s"] / full["decode_latency_s"] == pytest.approx(gates[1] / gates[0])
    assert low["leakage_energy_j"] < 0.8 * full["leakage_energy_j"]
    assert low["area_m2"] == full["area_m2"]
    assert low["energy_low_j"] / low["energy_per_inference_j"] < full["energy_low_j"] / full["energy_per_inference_j"]
    assert low["p10"] > full["p10"]


def test_rails_of_their_own(networks: Networks) -> None:
    apart = facts(networks, cell__v_dd="0.8 V", array__v_dd="1.0 V", accelerator__v_dd="0.9 V")
    full, low = facts(networks), facts(networks, cell__v_dd="0.8 V")
    assert apart["weight_read_energy_j"] == pytest.approx(full["weight_read_energy_j"])
    assert apart["mac_energy_j"] == pytest.approx(0.81 * full["mac_energy_j"])
    assert apart["p10"] == low["p10"]
    assert any("cells are at 800 mV, array and codecs at 1 V" in w for w in apart["warnings"])
    assert any("multiply-accumulates run at 900 mV, the array at 1 V" in w for w in apart["warnings"])
    assert not any("level shifters" in w for w in low["warnings"])


def test_a_phase_at_another_supply_spends_by_it(networks: Networks) -> None:
    """Half of the time at 0.8 V: actions there cost 0.64 times as much."""
    phase = {"label": "low", "from": "0 s", "to": "1 ms", "v_dd": "0.8 V"}
    times = {"evaluate__at": ["1 ms", "2 ms"]}
    full, low = facts(networks, **times), facts(networks, **times, timeline__phases=[phase])
    for part in ("refresh", "read"):
        assert low["energy_series_j"][part][0] / full["energy_series_j"][part][0] == pytest.approx(0.64, rel=0.02), part
        assert low["energy_series_j"][part][1] == pytest.approx(full["energy_series_j"][part][1], rel=0.02), part
    assert any("in the phase 'low' the array runs at 800 mV" in w for w in low["warnings"])
    fixed = facts(networks, **times, timeline__phases=[phase], array__v_dd="1.0 V")
    assert fixed["energy_series_j"] == full["energy_series_j"]


@pytest.mark.parametrize(("celsius", "outside"), [(-40, True), (25, False), (85, False), (125, False), (150, True)])
def test_every_temperature_reaches_the_leakage(networks: Networks, celsius: int, outside: bool) -> None:
    found = facts(networks, cell__temperature=f"{celsius} degC")
    kelvin = celsius + 273.15
    bits = found["stored_bits"] / 8
    i_sub_a = 0.12e-12 * arrhenius(0.5, kelvin)
    bank = array_cost(bits, 64, 65e-9, "gain3t", "lstp", kelvin, 1.0, i_sub_a)
    assert found["leakage_energy_j"] == pytest.approx(8 * (bank.leakage_w + bank.gate_leakage_w) * 1e-3, rel=1e-6)
    assert any("leakage extrapolated" in w for w in found["warnings"]) == outside


def test_leakage_rises_with_the_temperature_far_outside_the_table(networks: Networks) -> None:
    found = [
        facts(networks, cell__temperature=f"{t} degC")["leakage_energy_j"] for t in (-70, -40, 0, 25, 85, 125, 150, 170)
    ]
    assert found == sorted(found)
    assert len(set(found)) == len(found)


def test_nodes_that_differ_are_said(networks: Networks) -> None:
    same, other = facts(networks)["warnings"], facts(networks, array__node="22 nm")["warnings"]
    assert not any("the cell's values are those of" in w for w in same)
    assert "the cell's values are those of 65 nm, the array is one of 22 nm" in other
    assert any("priced at 45 nm (horowitz-45nm-int8), the array at 22 nm" in w for w in other)
    at_45 = facts(networks, array__node="45 nm")["warnings"]
    assert not any("multiply-accumulates are priced at 45 nm" in w for w in at_45)


def test_transistors_of_a_gain_cell_set_its_area(networks: Networks) -> None:
    areas = [facts(networks, cell__transistors=n)["array_area_m2"] for n in (2, 3, 4)]
    assert [a / areas[1] for a in areas] == pytest.approx([0.40 / 0.55, 1.0, 0.70 / 0.55])
    with pytest.raises(StudyError, match="2, 3 or 4"):
        parse_study(TEXT, name="rails").with_({"cell.transistors": 5})


def test_near_the_threshold_the_delay_is_called_a_guess(networks: Networks) -> None:
    low = facts(networks, cell__v_dd="0.6 V", cell__v_ref="0.3 V", refresh__interval="100 us")
    assert any("its delay is a guess" in w for w in low["warnings"])
    assert low["read_latency_high_s"] > 2.0 * low["read_latency_s"]
