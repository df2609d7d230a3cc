"""What one design point costs: area and energy as its plan is priced (``price``), and how long things take.

Times are the simulated memory's own, cycles come from the systolic closed form.  Everything here is modelled; bands
carry the disagreement between tools.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from qtaml_hw.accelerator.layers import LayerCost, network_cost
from qtaml_hw.config import Study
from qtaml_hw.memory import LayerReads, Memory, layer_reads
from qtaml_hw.records.kinds import LAYER_COLUMNS
from qtaml_hw.study.design.cells.rails import mac_at, rail_warnings
from qtaml_hw.study.design.cells.timeline import array_facts, phase_facts, slack_facts
from qtaml_hw.study.design.protection.price import PlanCost
from qtaml_hw.weights import StoredImage


@dataclass(frozen=True, eq=False)
class DesignCost:
    """A study's memory with a network in it, ready to live: what its plan costs, and how long things take."""

    study: Study
    chip: Memory
    layers: tuple[LayerCost, ...]
    image: StoredImage
    price: PlanCost

    @cached_property
    def traffic(self) -> LayerReads:
        """How long the simulated memory takes to read every stored tensor."""
        return layer_reads(self.chip.layout, self.chip.schedule, self.chip.log)

    @property
    def compute_s(self) -> float:
        """Latency of one inference on the systolic array alone."""
        return network_cost(self.layers).latency_s(self.study.accelerator.clock_hz)

    @property
    def read_latency_s(self) -> float:
        """Array access and decoding of one word."""
        return self.price.whole.access_s + self.price.codec.decode_latency_s

    @property
    def facts(self) -> dict[str, Any]:
        """Cost fields of a record.

        Raises ValueError when a bank cannot do the work asked of it.
        """
        study, chip, price = self.study, self.chip, self.price
        return {
            **price.areas,
            **price.energies,
            **self._latencies(),
            "cycles_per_inference": network_cost(self.layers).cycles,
            "clock_hz": study.accelerator.clock_hz,
            "bank_busy_fraction": min(float(chip.log.bank_busy_s.max() / chip.schedule.horizon_s), 1.0),
            **array_facts(study, chip),
            **phase_facts(study),
            **slack_facts(study, chip, self.traffic, self.compute_s, self.read_latency_s),
            "layer_table": self._layer_table(),
        }

    @property
    def warnings(self) -> list[str]:
        """What the energy of an inference takes for granted or leaves out."""
        image, mac, warnings = self.image, self.study.accelerator.mac, list(rail_warnings(self.study, self.price.whole))
        if "int8" in mac and (not all(form.linear for form in image.formats) or image.planes > 8):
            warnings.append(
                f"multiply-accumulates are priced as {mac}, whatever {self.study.weights.format} needs: see "
                "accelerator.mac"
            )
        if self.study.array.on_uncorrectable == "reload" and self.chip.regions:
            warnings.append(
                "the energy per inference leaves out words that are reloaded: what that spends differs from map to map "
                "and is recorded there (reload_energy_j, over the simulated time)"
            )
        return warnings

    def _latencies(self) -> dict[str, float]:
        """Seconds of one read and of one inference, which the simulated memory may hold up."""
        decode_s, simulated_s = self.price.codec.decode_latency_s, self.chip.log.inference_s
        low, high = self.price.whole.band("access_s")
        compute_s = self.compute_s
        return {
            "read_latency_s": self.read_latency_s,
            "read_latency_low_s": low + decode_s,
            "read_latency_high_s": high + decode_s,
            "decode_latency_s": decode_s,
            "compute_latency_s": compute_s,
            "inference_latency_s": max(compute_s, float(np.mean(simulated_s))) if len(simulated_s) else compute_s,
        }

    def _layer_table(self) -> dict[str, list[Any]]:
        """Lists over the products (GEMMs) of one inference, in the order they run.

        ``size`` : m, k, n, repeats; ``compute_s`` : cycles over the clock; ``read_s``, ``stall_s`` : mean time of
        reading the layer's weights in the simulated memory and the part of it that refresh causes (0 for products of
        activations, and for weights that an earlier product of the inference has read); ``energy_j`` : MACs, weight
        reads and decoding.
        """
        memory, mac_j = self.price.memory, mac_at(self.study).energy_j
        traffic, unread = self.traffic, set(self.image.names)
        table: dict[str, list[Any]] = {key: [] for key in LAYER_COLUMNS}
        for layer in self.layers:
            stored = layer.weight_reads if layer.weight in self.image.names else 0
            at = self.image.names.index(layer.weight) if layer.weight in unread else None
            unread.discard(layer.weight or "")
            joules = layer.macs * mac_j + memory.read_j(layer) + memory.decode_j(layer)
            row = (
                layer.name,
                layer.kind,
                [layer.m, layer.k, layer.n, layer.repeats],
                layer.cycles,
                layer.macs,
                stored,
                _short(layer.cycles / self.study.accelerator.clock_hz),
                0.0 if at is None else _short(traffic.read_s[at]),
                0.0 if at is None else _short(traffic.stall_s[at]),
                _short(joules),
            )
            for key, value in zip(LAYER_COLUMNS, row, strict=True):
                table[key].append(value)
        return table


def _short(value: float) -> float:
    return float(f"{value:.5g}")
