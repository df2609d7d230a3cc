"""Energy of an inference: every term by hand, whole words, time charged, and bad input."""

from __future__ import annotations

import math

import pytest
from torch import nn

from qtaml_hw.accelerator import (
    MAC_ENERGIES,
    EnergySplit,
    WeightMemory,
    energy_per_inference,
    layer_costs,
    mac_energy,
    network_cost,
)
from qtaml_hw.workloads import network
from qtaml_hw.workloads.training import build

COSTS = layer_costs(nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 3)), (6,), 4, 4)
MEMORY = WeightMemory(
    word_bits=64,
    read_energy_j=50e-12,
    bits_per_weight=9.0,
    decode_energy_per_weight_j=0.1e-12,
    refresh_w=2e-3,
    leakage_w=1e-3,
)


def test_every_term_by_hand() -> None:
    cycles = network_cost(COSTS).cycles
    split = energy_per_inference(COSTS, MEMORY, clock_hz=1e9)
    assert split.mac_j == pytest.approx((30 + 15) * 0.23e-12)
    assert split.weight_read_j == pytest.approx((math.ceil(30 * 9 / 64) + math.ceil(15 * 9 / 64)) * 50e-12)
    assert split.codec_j == pytest.approx(45 * 0.1e-12)
    assert split.seconds == pytest.approx(cycles * 1e-9)
    assert split.refresh_j == pytest.approx(2e-3 * cycles * 1e-9)
    assert split.leakage_j == pytest.approx(1e-3 * cycles * 1e-9)
    parts = split.mac_j + split.weight_read_j + split.codec_j + split.refresh_j + split.leakage_j
    assert split.total_j == pytest.approx(parts)


def test_an_idle_memory_is_charged_to_its_inferences() -> None:
    split = energy_per_inference(COSTS, MEMORY, clock_hz=1e9, inferences_per_second=1000.0)
    assert split.seconds == 1e-3
    assert split.refresh_j == pytest.approx(2e-6)


def test_products_of_two_activations_read_no_stored_weight() -> None:
    attention = [c for c in layer_costs(build(network("digits-transformer")), (1, 8, 8), 32, 32) if c.weight is None]
    split = energy_per_inference(attention, MEMORY, clock_hz=1e9)
    assert len(attention) == 8
    assert split.mac_j > 0.0
    assert split.weight_read_j == split.codec_j == 0.0


def test_presets_have_their_sources() -> None:
    assert mac_energy("horowitz-45nm-int8").energy_j == pytest.approx(0.23e-12)
    assert mac_energy("horowitz-45nm-fp32").energy_j == pytest.approx(4.6e-12)
    assert all("doi:" in preset.source for preset in MAC_ENERGIES.values())
    assert isinstance(
        energy_per_inference(COSTS, MEMORY, clock_hz=1e9, mac=mac_energy("horowitz-45nm-fp16")), EnergySplit
    )


def test_bad_input_is_one_clear_message() -> None:
    with pytest.raises(ValueError, match="did you mean 'horowitz-45nm-int8'"):
        mac_energy("horowitz-45-int8")
    with pytest.raises(ValueError, match="clock_hz must be above 0"):
        energy_per_inference(COSTS, MEMORY, clock_hz=-1.0)
    with pytest.raises(ValueError, match="do not fit: one takes"):
        energy_per_inference(COSTS, MEMORY, clock_hz=1e3, inferences_per_second=1e6)
    with pytest.raises(ValueError, match="inferences_per_second must be above 0"):
        energy_per_inference(COSTS, MEMORY, clock_hz=1e9, inferences_per_second=0.0)
    with pytest.raises(ValueError, match="word_bits must be above 0"):
        WeightMemory(word_bits=0, read_energy_j=1e-12)
    with pytest.raises(ValueError, match="leakage_w must be >= 0"):
        WeightMemory(word_bits=64, read_energy_j=1e-12, leakage_w=math.nan)
