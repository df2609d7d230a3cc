"""What every layer costs on the accelerator and in the memory: one column per figure, so that a record stays small."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

from qtaml_hw.accelerator.energy import mac_energy
from qtaml_hw.accelerator.layers import LayerCost
from qtaml_hw.config import Study
from qtaml_hw.memory import Memory, layer_reads
from qtaml_hw.records.summary import LAYER_COLUMNS


def layer_table(
    study: Study, chip: Memory, layers: tuple[LayerCost, ...], tensors: Sequence[str], decode_per_weight_j: float
) -> dict[str, Any]:
    """Record field ``layer_table``: lists over the products (GEMMs) of one inference, in the order they run.

    ``size`` : m, k, n, repeats; ``compute_s`` : cycles over the clock; ``read_s``, ``stall_s`` : mean time of reading
    the layer's weights in the simulated memory and the part of it that refresh causes (0 for products of activations,
    and for weights that an earlier product of the inference has read); ``energy_j`` : MACs, weight reads and decoding.
    """
    traffic, unread = layer_reads(chip.layout, chip.log), set(tensors)
    mac_j, word_bits = mac_energy(study.accelerator.mac).energy_j, chip.geometry.word_bits
    bits = chip.plan.planes * (1.0 + chip.plan.parity_bits_fraction)
    table: dict[str, list[Any]] = {key: [] for key in LAYER_COLUMNS}
    for layer in layers:
        stored = layer.weight_reads if layer.weight is not None else 0
        at = tensors.index(layer.weight) if layer.weight in unread else None
        unread.discard(layer.weight or "")
        joules = layer.macs * mac_j + ceil(stored * bits / word_bits) * chip.costs.read_j + stored * decode_per_weight_j
        row = (
            layer.name,
            layer.kind,
            [layer.m, layer.k, layer.n, layer.repeats],
            layer.cycles,
            layer.macs,
            stored,
            _short(layer.cycles / study.accelerator.clock_hz),
            0.0 if at is None else _short(traffic.read_s[at]),
            0.0 if at is None else _short(traffic.stall_s[at]),
            _short(joules),
        )
        for key, value in zip(LAYER_COLUMNS, row, strict=True):
            table[key].append(value)
    return {"layer_table": table}


def _short(value: float) -> float:
    return float(f"{value:.5g}")
