"""What one design point costs: area, energy per inference, latency, with parity and codecs counted apart.

Array figures and energies per action are the simulated memory's own (``Memory.costs``), cycles come from the systolic
closed form.  Everything here is modelled; bands carry the disagreement between tools.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import Any

import numpy as np

from qtaml_hw.accelerator.energy import EnergySplit, WeightMemory, energy_per_inference, mac_energy
from qtaml_hw.accelerator.layers import LayerCost, network_cost
from qtaml_hw.config import Study
from qtaml_hw.ecc.hardware import DECODE_PJ_PER_GE, node_scaling
from qtaml_hw.memory import ArrayCost, LayerReads, Memory, layer_reads
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.records.kinds import LAYER_COLUMNS
from qtaml_hw.study.design.timeline import array_facts, phase_facts, slack_facts
from qtaml_hw.study.design.transforms import Transforms
from qtaml_hw.weights import StoredImage


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


@dataclass(frozen=True)
class SideStorage:
    """What an image needs beside its bits.

    ``side_bits``: scales, group classes and correction tables; ``decode_ge``: gates of one weight's decoder.
    """

    side_bits: float
    decode_ge: float

    @classmethod
    def of(cls, image: StoredImage, planned_bits: float, transforms: Transforms) -> SideStorage:
        """Of an image, the bits that tell its plan's groups and corrections apart, and its steps before storage."""
        side_bits = image.metadata_bits + planned_bits + transforms.metadata_bits
        return cls(side_bits, image.format.decode_ge + transforms.decode_ge)


@dataclass(frozen=True)
class StorageCost:
    """Area of side bits and decoders, energy per inference of reading and decoding them, and of streamed weights."""

    area_m2: float
    energy_j: float
    backing_j: float


def storage_cost(chip: Memory, bank: ArrayCost, side: SideStorage, weight_read_j: float) -> StorageCost:
    """Cost of what an image needs beside its bits.

    Side bits are priced as bits of the same array and read as often as the weights; every bank decodes the weights of
    one access word at once.  Area and energy per gate are those of the codecs (``ecc.hardware``).  A streamed weight
    comes from the backing store and is written once per inference.
    """
    geometry, stored = chip.geometry, chip.layout.stored_bits
    gate_m2, _, energy_factor = node_scaling(geometry.node_m)
    built = geometry.capacity_bits or stored
    decoders = geometry.banks * max(1.0, geometry.word_bits / chip.planes)
    weights_read = weight_read_j / bank.read_energy_j * geometry.word_bits / (stored / chip.plan.weights)
    decode_j = side.decode_ge * DECODE_PJ_PER_GE * 1e-12 * energy_factor
    return StorageCost(
        area_m2=geometry.banks * bank.area_m2 * side.side_bits / built + decoders * side.decode_ge * gate_m2,
        energy_j=weight_read_j * side.side_bits / stored + weights_read * decode_j,
        backing_j=_backing_j(chip),
    )


def _backing_j(chip: Memory) -> float:
    """Energy of bringing the streamed tensors in for one inference: the way, the writes, the check bits."""
    layout, costs, streamed = chip.layout, chip.costs, chip.layout.residency.streamed
    bits = float((np.diff(layout.tensor_starts) * layout.planes)[streamed].sum())
    encode_j = sum(float(words[streamed].sum()) * costs.encode_j[name] for name, words in chip.meter.words.items())
    return bits * costs.backing_j_per_bit + float(layout.bank_words[streamed].sum()) * costs.write_j + encode_j


@dataclass(frozen=True, eq=False)
class DesignCost:
    """A study's memory and accelerator with a network in them, priced.

    ``data``, ``whole``: one bank without the parity, and with it.
    """

    study: Study
    chip: Memory
    layers: tuple[LayerCost, ...]
    image: StoredImage
    data: ArrayCost
    whole: ArrayCost
    codec: Codecs
    extra: CellExtras
    energy: EnergySplit
    storage: StorageCost

    @classmethod
    def of(
        cls, study: Study, chip: Memory, layers: tuple[LayerCost, ...], image: StoredImage, side: SideStorage
    ) -> DesignCost:
        """Price a memory that is laid out, for one inference of these layers.

        Raises ValueError when the accelerator cannot keep the inference rate.
        """
        plan, geometry = chip.plan, chip.geometry
        data, whole = geometry.bank_cost(plan.stored_bits), geometry.bank_cost(chip.layout.stored_bits)
        codec, extra = codecs(study, chip), cell_extras(plan)
        rows_per_s = geometry.banks * float(chip.layout.rows_per_group @ chip.row_refresh_hz)
        memory = WeightMemory(
            word_bits=geometry.word_bits,
            read_energy_j=whole.read_energy_j,
            bits_per_weight=plan.planes * (1.0 + plan.parity_bits_fraction),
            decode_energy_per_weight_j=codec.decode_energy_per_weight_j,
            refresh_w=rows_per_s * chip.costs.refresh_row_j * (1.0 + extra.refresh),
            leakage_w=chip.costs.leakage_w,
        )
        energy = energy_per_inference(
            layers,
            memory,
            clock_hz=study.accelerator.clock_hz,
            mac=study.accelerator.mac,
            inferences_per_second=study.accelerator.inferences_per_second,
        )
        storage = storage_cost(chip, whole, side, energy.weight_read_j)
        return cls(study, chip, layers, image, data, whole, codec, extra, energy, storage)

    @cached_property
    def traffic(self) -> LayerReads:
        """How long the simulated memory takes to read every stored tensor."""
        return layer_reads(self.chip.layout, self.chip.log)

    @property
    def compute_s(self) -> float:
        """Latency of one inference on the systolic array alone."""
        return network_cost(self.layers).latency_s(self.study.accelerator.clock_hz)

    @property
    def read_latency_s(self) -> float:
        """Array access and decoding of one word."""
        return self.whole.access_s + self.codec.decode_latency_s

    @property
    def facts(self) -> dict[str, Any]:
        """Cost fields of a record.

        Raises ValueError when a bank cannot do the work asked of it.
        """
        study, chip = self.study, self.chip
        return {
            **self._areas(),
            **self._energies(),
            **self._latencies(),
            "cycles_per_inference": network_cost(self.layers).cycles,
            "clock_hz": study.accelerator.clock_hz,
            "bank_busy_fraction": _busy(study, chip, self.extra),
            **array_facts(study, chip, self.whole, self.extra.refresh),
            **phase_facts(study),
            **slack_facts(study, chip, self.traffic, self.compute_s, self.read_latency_s),
            "layer_table": self._layer_table(),
        }

    @property
    def warnings(self) -> list[str]:
        """What the energy of an inference takes for granted or leaves out."""
        image, mac, warnings = self.image, self.study.accelerator.mac, list[str]()
        if "int8" in mac and (not image.format.linear or image.planes > 8):
            warnings.append(
                f"multiply-accumulates are priced as {mac}, whatever {image.format.name} needs: see accelerator.mac"
            )
        if self.study.array.on_uncorrectable == "reload" and self.chip.regions:
            warnings.append(
                "the energy per inference leaves out words that are reloaded: what that spends differs from map to map "
                "and is recorded there (reload_energy_j, over the simulated time)"
            )
        return warnings

    def _areas(self) -> dict[str, float]:
        """Array (stronger cells included), parity cells, codecs, side bits and decoders; the band is the array's."""
        banks, extra = self.chip.geometry.banks, self.extra
        array, stronger = banks * self.data.area_m2, banks * self.data.area_m2 * extra.area
        beside = self.codec.area_m2 + self.storage.area_m2
        low, high = (banks * end * (1.0 + extra.area) + beside for end in self.whole.band("area_m2"))
        return {
            "area_m2": banks * self.whole.area_m2 + stronger + beside,
            "array_area_m2": array + stronger,
            "parity_area_m2": banks * (self.whole.area_m2 - self.data.area_m2),
            "codec_area_m2": self.codec.area_m2,
            "storage_area_m2": self.storage.area_m2,
            "area_low_m2": low,
            "area_high_m2": high,
        }

    def _energies(self) -> dict[str, float]:
        """Joules per inference by part; the band is that of the array's reads, refresh and leakage."""
        energy, codec, costs = self.energy, self.codec, self.chip.costs
        scrub_s = self.study.scrub.interval_s
        scrub_rate = 0.0 if scrub_s is None else 1.0 / scrub_s
        scrub_j = codec.words * (costs.read_j + costs.write_j) * scrub_rate * energy.seconds
        codec_j = energy.codec_j + (codec.correct_all_j * scrub_rate + codec.refresh_correct_w) * energy.seconds
        total_j = energy.total_j - energy.codec_j + codec_j + scrub_j + self.storage.energy_j + self.storage.backing_j
        return {
            "energy_per_inference_j": total_j,
            "mac_energy_j": energy.mac_j,
            "weight_read_energy_j": energy.weight_read_j,
            "codec_energy_j": codec_j,
            "refresh_energy_j": energy.refresh_j,
            "scrub_energy_j": scrub_j,
            "leakage_energy_j": energy.leakage_j,
            "storage_energy_j": self.storage.energy_j,
            "backing_energy_j": self.storage.backing_j,
            **_energy_band(total_j, energy, self.whole),
        }

    def _latencies(self) -> dict[str, float]:
        """Seconds of one read and of one inference, which the simulated memory may hold up."""
        decode_s, simulated_s = self.codec.decode_latency_s, self.chip.log.inference_s
        low, high = self.whole.band("access_s")
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
        chip, decode_j = self.chip, self.codec.decode_energy_per_weight_j
        traffic, unread = self.traffic, set(self.image.names)
        mac_j, word_bits = mac_energy(self.study.accelerator.mac).energy_j, chip.geometry.word_bits
        bits = chip.plan.planes * (1.0 + chip.plan.parity_bits_fraction)
        table: dict[str, list[Any]] = {key: [] for key in LAYER_COLUMNS}
        for layer in self.layers:
            stored = layer.weight_reads if layer.weight is not None else 0
            at = self.image.names.index(layer.weight) if layer.weight in unread else None
            unread.discard(layer.weight or "")
            joules = layer.macs * mac_j + ceil(stored * bits / word_bits) * chip.costs.read_j + stored * decode_j
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


def _short(value: float) -> float:
    return float(f"{value:.5g}")
