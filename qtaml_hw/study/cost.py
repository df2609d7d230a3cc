"""What one design point costs: area, energy per inference, latency, with parity and codecs counted apart.

Array figures come from the fitted cost model per bank, codecs from the hardware table with one encoder and decoder per
bank, cycles from the systolic closed form.  Everything here is modelled; bands carry the disagreement between tools.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qtaml_hw.accelerator.energy import WeightMemory, energy_per_inference
from qtaml_hw.accelerator.layers import LayerCost, network_cost
from qtaml_hw.config import Study
from qtaml_hw.ecc import ProtectionPlan
from qtaml_hw.memory import array_cost
from qtaml_hw.study.cell import array_cell

LEAST_TEMPERATURE_K, MOST_TEMPERATURE_K = 300.0, 400.0  # the cost model's range; outside, its nearest end is used


@dataclass(frozen=True)
class Codecs:
    """The encoders and decoders of a plan: one of each per bank and code in use."""

    area_m2: float
    decode_energy_per_weight_j: float
    decode_latency_s: float


def codecs(plan: ProtectionPlan, banks: int, node_m: float) -> Codecs:
    """Hardware of the plan's codes; decode energy is per weight read, averaged over the image."""
    area = latency = energy = 0.0
    for index, item in enumerate(plan.entries):
        if item.code is None or not (plan.choice == index).any():
            continue
        hardware = item.code.hardware(node_m)
        words = sum(plan.layout(tensor, index).n_words for tensor in range(plan.tensors))
        area += banks * (hardware.encoder_area_m2 + hardware.decoder_area_m2)
        energy += words * hardware.decode_energy_j / plan.weights
        latency = max(latency, hardware.decode_latency_s)
    return Codecs(area, energy, latency)


def cost_temperature_k(study: Study) -> float:
    """The cell's temperature within the cost model's range."""
    return min(max(study.cell.temperature_k, LEAST_TEMPERATURE_K), MOST_TEMPERATURE_K)


def point_cost(study: Study, plan: ProtectionPlan, layers: tuple[LayerCost, ...]) -> dict[str, Any]:
    """Cost fields of a record.

    Raises ValueError when the accelerator cannot keep the inference rate.
    """
    array, accelerator = study.array, study.accelerator
    temperature_k = cost_temperature_k(study)

    def bank(bits: float) -> Any:
        size = max(bits / array.banks, float(array.word_bits))
        return array_cost(size, array.word_bits, array.node_m, array_cell(study), array.periphery, temperature_k)

    data_bits = float(array.capacity_bits or plan.stored_bits)
    data, whole = bank(data_bits), bank(data_bits + plan.parity_bits)
    codec = codecs(plan, array.banks, array.node_m)
    interval = study.refresh.interval_s
    refresh_w = array.banks * whole.refresh_power_w(interval) if interval is not None else 0.0
    leakage_w = array.banks * (whole.leakage_w + whole.gate_leakage_w)
    memory = WeightMemory(
        word_bits=array.word_bits,
        read_energy_j=whole.read_energy_j,
        bits_per_weight=plan.planes * (1.0 + plan.parity_bits_fraction),
        decode_energy_per_weight_j=codec.decode_energy_per_weight_j,
        refresh_w=refresh_w,
        leakage_w=leakage_w,
    )
    energy = energy_per_inference(
        layers, memory, clock_hz=accelerator.clock_hz, inferences_per_second=accelerator.inferences_per_second
    )
    scrub_j = 0.0
    if study.scrub.interval_s is not None:
        accesses = (plan.stored_bits + plan.parity_bits) / array.word_bits
        scrub_j = accesses * (whole.read_energy_j + whole.write_energy_j) / study.scrub.interval_s * energy.seconds
    area = array.banks * whole.area_m2 + codec.area_m2
    low_area, high_area = (array.banks * a + codec.area_m2 for a in whole.band("area_m2"))
    return {
        "area_m2": area,
        "array_area_m2": array.banks * data.area_m2,
        "parity_area_m2": array.banks * (whole.area_m2 - data.area_m2),
        "codec_area_m2": codec.area_m2,
        "area_low_m2": low_area,
        "area_high_m2": high_area,
        "energy_per_inference_j": energy.total_j + scrub_j,
        "mac_energy_j": energy.mac_j,
        "weight_read_energy_j": energy.weight_read_j,
        "codec_energy_j": energy.codec_j,
        "refresh_energy_j": energy.refresh_j,
        "scrub_energy_j": scrub_j,
        "leakage_energy_j": energy.leakage_j,
        **_energy_band(energy.total_j + scrub_j, energy, whole),
        "read_latency_s": whole.access_s + codec.decode_latency_s,
        "decode_latency_s": codec.decode_latency_s,
        "inference_latency_s": network_cost(layers).latency_s(accelerator.clock_hz),
        "cycles_per_inference": network_cost(layers).cycles,
        "clock_hz": accelerator.clock_hz,
    }


def _energy_band(total_j: float, energy: Any, bank: Any) -> dict[str, float]:
    """The total when reads, refresh and leakage all sit at the low or the high end of their bands."""
    ends = []
    for side in (0, 1):
        shift = 0.0
        for joule, value, name in (
            (energy.weight_read_j, bank.read_energy_j, "read_energy_j"),
            (energy.leakage_j, bank.leakage_w, "leakage_w"),
            (energy.refresh_j, bank.refresh_w, "refresh_w"),
        ):
            if value > 0.0:
                shift += joule * (bank.band(name)[side] / value - 1.0)
        ends.append(total_j + shift)
    return {"energy_low_j": ends[0], "energy_high_j": ends[1]}
