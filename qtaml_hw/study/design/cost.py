"""What one design point costs: area, energy per inference, latency, with parity and codecs counted apart.

Array figures and energies per action are the simulated memory's own (``Memory.costs``), cycles come from the systolic
closed form.  Everything here is modelled; bands carry the disagreement between tools.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np

from qtaml_hw.accelerator.energy import EnergySplit, WeightMemory, energy_per_inference
from qtaml_hw.accelerator.layers import LayerCost, network_cost
from qtaml_hw.config import Study
from qtaml_hw.memory import ArrayCost, Memory
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.study.design.layer_table import layer_table
from qtaml_hw.study.design.storage_cost import StorageCost, Written, storage_cost
from qtaml_hw.study.design.timeline import array_facts, phase_facts, slack_facts


@dataclass(frozen=True)
class Codecs:
    """The encoders and decoders of a plan, what correcting every word once costs, and what refreshes spend on it.

    A bank has one encoder and one decoder of every code in use; with ECC-aware refresh as many as a row has words of
    it, so that a row is corrected while it is open.
    """

    area_m2: float
    decode_energy_per_weight_j: float
    decode_latency_s: float
    correct_all_j: float
    refresh_correct_w: float
    words: int


def codecs(study: Study, chip: Memory) -> Codecs:
    """Hardware of the plan's codes; the decode energy is per weight read, averaged over the image."""
    area = latency = decode = correct = refresh_w = 0.0
    total = 0
    rates = chip.row_refresh_hz
    geometry, rows = chip.geometry, int(chip.layout.rows_per_group.sum())
    rowwise = study.refresh.on and study.refresh.ecc_aware
    for region in chip.regions:
        hardware, name = region.code.hardware(geometry.node_m), region.entry.name
        per_bank = max(1, ceil(region.words / (geometry.banks * rows))) if rowwise else 1
        area += geometry.banks * per_bank * (hardware.encoder_area_m2 + hardware.decoder_area_m2)
        decode += region.words * chip.costs.decode_j[name]
        both_j = chip.costs.decode_j[name] + chip.costs.encode_j[name]
        correct += region.words * both_j
        if rowwise:
            refresh_w += float(rates[region.group % chip.layout.classes].sum()) * both_j
        latency = max(latency, hardware.decode_latency_s)
        total += region.words
    return Codecs(area, decode / chip.plan.weights, latency, correct, refresh_w, total)


@dataclass(frozen=True)
class CellExtras:
    """What entries without a code add, as shares of the unprotected array: cell area, and refresh work."""

    area: float
    refresh: float


def cell_extras(plan: ProtectionPlan) -> CellExtras:
    """Stronger cells take area, faster refresh classes take refresh energy and bandwidth."""
    bits = plan.bits_by_entry()
    shares = [(item, bits[item.name] / plan.stored_bits) for item in plan.entries]
    return CellExtras(
        area=sum(share * item.extra_area_per_bit for item, share in shares),
        refresh=sum(share * (item.refresh_factor - 1.0) for item, share in shares),
    )


def point_cost(
    study: Study, chip: Memory, layers: tuple[LayerCost, ...], tensors: Sequence[str], written: Written
) -> dict[str, Any]:
    """Cost fields of a record; ``tensors`` are the names of the stored ones, ``written`` what they need beside bits.

    Raises ValueError when the accelerator cannot keep the inference rate, or a bank the work asked of it.
    """
    plan, geometry, accelerator = chip.plan, chip.geometry, study.accelerator
    data, whole = geometry.bank_cost(plan.stored_bits), geometry.bank_cost(chip.layout.stored_bits)
    codec, extra = codecs(study, chip), cell_extras(plan)
    scrub_rate = 0.0 if study.scrub.interval_s is None else 1.0 / study.scrub.interval_s
    rows_per_s = geometry.banks * float(chip.layout.rows_per_group @ chip.row_refresh_hz)
    refresh_w = rows_per_s * chip.costs.refresh_row_j * (1.0 + extra.refresh)
    memory = WeightMemory(
        word_bits=geometry.word_bits,
        read_energy_j=whole.read_energy_j,
        bits_per_weight=plan.planes * (1.0 + plan.parity_bits_fraction),
        decode_energy_per_weight_j=codec.decode_energy_per_weight_j,
        refresh_w=refresh_w,
        leakage_w=chip.costs.leakage_w,
    )
    energy = energy_per_inference(
        layers,
        memory,
        clock_hz=accelerator.clock_hz,
        mac=accelerator.mac,
        inferences_per_second=accelerator.inferences_per_second,
    )
    scrub_j = codec.words * (chip.costs.read_j + chip.costs.write_j) * scrub_rate * energy.seconds
    codec_j = energy.codec_j + (codec.correct_all_j * scrub_rate + codec.refresh_correct_w) * energy.seconds
    storage = storage_cost(chip, whole, written, energy.weight_read_j)
    total_j = energy.total_j - energy.codec_j + codec_j + scrub_j + storage.energy_j + storage.backing_j
    compute_s = network_cost(layers).latency_s(accelerator.clock_hz)
    read_latency_s = whole.access_s + codec.decode_latency_s
    return {
        **_areas(geometry.banks, (data, whole), codec, extra, storage),
        "energy_per_inference_j": total_j,
        "mac_energy_j": energy.mac_j,
        "weight_read_energy_j": energy.weight_read_j,
        "codec_energy_j": codec_j,
        "refresh_energy_j": energy.refresh_j,
        "scrub_energy_j": scrub_j,
        "leakage_energy_j": energy.leakage_j,
        "storage_energy_j": storage.energy_j,
        "backing_energy_j": storage.backing_j,
        **_energy_band(total_j, energy, whole),
        "read_latency_s": read_latency_s,
        "read_latency_low_s": whole.band("access_s")[0] + codec.decode_latency_s,
        "read_latency_high_s": whole.band("access_s")[1] + codec.decode_latency_s,
        "decode_latency_s": codec.decode_latency_s,
        "compute_latency_s": compute_s,
        "inference_latency_s": max(compute_s, float(np.mean(chip.log.inference_s)))
        if len(chip.log.inference_s)
        else compute_s,
        "cycles_per_inference": network_cost(layers).cycles,
        "clock_hz": accelerator.clock_hz,
        "bank_busy_fraction": _busy(study, chip, extra),
        **array_facts(study, chip, extra.refresh),
        **phase_facts(study),
        **slack_facts(study, chip, compute_s, read_latency_s),
        **layer_table(study, chip, layers, tensors, codec.decode_energy_per_weight_j),
    }


def _areas(
    banks: int, arrays: tuple[ArrayCost, ArrayCost], codec: Codecs, extra: CellExtras, storage: StorageCost
) -> dict[str, float]:
    """Array (stronger cells included), parity cells, codecs, side bits and decoders; the band is the array model's.

    ``arrays``: one bank with the data alone, and with the parity.
    """
    data, whole = arrays
    array, stronger = banks * data.area_m2, banks * data.area_m2 * extra.area
    beside = codec.area_m2 + storage.area_m2
    low, high = (banks * end * (1.0 + extra.area) + beside for end in whole.band("area_m2"))
    return {
        "area_m2": banks * whole.area_m2 + stronger + beside,
        "array_area_m2": array + stronger,
        "parity_area_m2": banks * (whole.area_m2 - data.area_m2),
        "codec_area_m2": codec.area_m2,
        "storage_area_m2": storage.area_m2,
        "area_low_m2": low,
        "area_high_m2": high,
    }


def _busy(study: Study, chip: Memory, extra: CellExtras) -> float:
    """Share of its time that the busiest bank works, faster refresh classes included.

    Raises ValueError when that is more than all of it.
    """
    refresh = chip.layout.check_refresh(chip.schedule.refresh_intervals(chip.layout.classes))
    busy = float(chip.log.bank_busy_s.max() / chip.schedule.horizon_s) + refresh * extra.refresh
    if refresh * (1.0 + extra.refresh) > 1.0:
        raise ValueError(
            f"refresh takes {refresh:.0%} of every bank's time and its faster classes {refresh * extra.refresh:.0%} "
            f"more: more banks than {study.array.banks}, longer rows or fewer planes in faster classes are needed"
        )
    return min(busy, 1.0)


def _energy_band(total_j: float, energy: EnergySplit, bank: ArrayCost) -> dict[str, float]:
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
