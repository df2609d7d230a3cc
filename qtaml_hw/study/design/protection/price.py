"""The one cost function: what a plan costs in a study's memory and accelerator, in area and in energy per inference.

Records and budgets ask the same function: what a plan spends is what it costs less what no plan at all costs
(:class:`Pricing`).  Array figures and energies per action are those of the simulated memory (``PlannedArray.costs``),
reads and cycles come from the systolic closed forms.  Everything here is modelled.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np

from qtaml_hw.accelerator.energy import EnergySplit, WeightMemory, energy_per_inference
from qtaml_hw.accelerator.layers import LayerCost
from qtaml_hw.accelerator.systolic import SystolicCost
from qtaml_hw.config import Study
from qtaml_hw.ecc.hardware import DECODE_PJ_PER_GE, node_scaling
from qtaml_hw.memory import ArrayCost, PlannedArray, Schedule, check_work
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.records.fields import F
from qtaml_hw.study.design.cells.array import geometry_of, schedule_of
from qtaml_hw.study.design.cells.cell import CellView
from qtaml_hw.study.design.cells.rails import mac_at
from qtaml_hw.weights.sizes import StoredSizes

KEPT: Final = 4  # costs of a pricing: of the plan, of none, and of those tried last


@dataclass(frozen=True)
class Codecs:
    """The encoders and decoders of a plan, and what they spend beside reads.

    ``decode_j_per_weight`` by tensor; ``refresh_w`` : correcting at refresh; ``scrub_w`` : at scrubs; ``leakage_w`` :
    of the gates.
    """

    area_m2: float
    decode_latency_s: float
    decode_j_per_weight: dict[str, float]
    refresh_w: float
    scrub_w: float
    leakage_w: float


def codecs_of(array: PlannedArray, names: tuple[str, ...]) -> Codecs:
    """Hardware of a plan's codes in every bank, and its power; ``names`` are those of the stored tensors."""
    geometry, costs = array.geometry, array.costs
    area = refresh_w = correct_all_j = 0.0
    decode_j = np.zeros(len(names))
    for words in array.words.entries:
        hardware, both_j = (
            words.code.hardware(geometry.node_m, geometry.v_dd_v),
            costs.decode_j[words.name] + costs.encode_j[words.name],
        )
        count = geometry.banks * array.words.decoders[words.name]
        area += count * (hardware.encoder_area_m2 + hardware.decoder_area_m2)
        decode_j += words.per_tensor * costs.decode_j[words.name]
        correct_all_j += words.words * both_j
        if array.corrects_at_refresh:
            refresh_w += float(words.per_class @ array.row_refresh_hz) * both_j
    scrub_s, weights = array.schedule.scrub_interval_s, np.diff(array.plan.tensor_starts)
    return Codecs(
        area_m2=area,
        decode_latency_s=_first_read_s(array),
        decode_j_per_weight=dict(zip(names, (decode_j / weights).tolist(), strict=True)),
        refresh_w=refresh_w,
        scrub_w=0.0 if scrub_s is None else correct_all_j / scrub_s,
        leakage_w=costs.codec_leakage_w,
    )


def _first_read_s(array: PlannedArray) -> float:
    """How long decoding delays a read: of one access, or of a whole block that has to be brought in first."""
    corrections = array.layout.corrections
    return max(corrections.access_s, corrections.block_s + corrections.block_accesses * array.layout.cycle_s)


def stronger_cells_area(plan: ProtectionPlan) -> float:
    """Cell area that stronger cells add, as a share of the unprotected array's."""
    bits = plan.bits_by_entry()
    return sum(bits[item.name] / plan.stored_bits * item.extra_area_per_bit for item in plan.entries)


@dataclass(frozen=True)
class SideStorage:
    """What an image needs beside its bits.

    ``side_bits``: scales, group classes and correction tables; ``decode_ge``: gates of one weight's decoder.
    """

    side_bits: float
    decode_ge: float


@dataclass(frozen=True, eq=False)
class PlanCost:
    """A plan in a study's memory, priced for one inference.

    ``data``, ``whole`` : one bank without the parity, and with it; ``stronger`` : what stronger cells add, over the
    area of the data; ``side`` : what the image, its plan and its corrections need beside the stored bits; ``memory`` :
    what reads cost; ``weights_read`` : weights read from the memory per inference; ``weights`` : those stored.
    """

    array: PlannedArray
    data: ArrayCost
    whole: ArrayCost
    codec: Codecs
    stronger: float
    memory: WeightMemory
    energy: EnergySplit
    side: SideStorage
    weights_read: int
    weights: int

    @property
    def refresh_share(self) -> float:
        """Share of a bank's time that its refreshes take, 0 without any."""
        layout = self.array.layout
        return layout.refresh_share(self.array.schedule.refresh_intervals(layout.classes))

    @cached_property
    def areas(self) -> dict[str, Any]:
        """Array (stronger cells included), parity cells, codecs, side bits and decoders, m2; the band is the array's.

        Side bits are priced as bits of the same array; every bank decodes the weights of one access word at once.
        """
        geometry, stronger, side = self.array.geometry, self.stronger, self.side
        banks, data, whole = geometry.banks, self.data.area_m2, self.whole.area_m2
        built = geometry.capacity_bits or self.array.layout.stored_bits
        decoders = banks * max(1.0, geometry.word_bits / int(self.array.layout.weight_bits.min()))
        side_m2 = banks * whole * side.side_bits / built + decoders * side.decode_ge * node_scaling(geometry.node_m)[0]
        beside = self.codec.area_m2 + side_m2
        total = banks * (whole + data * stronger) + beside
        low, high = (banks * end * (1.0 + stronger) + beside for end in self.whole.band("area_m2"))
        return {
            F.area_m2: total,
            F.array_area_m2: banks * data * (1.0 + stronger),
            F.parity_area_m2: banks * (whole - data),
            F.codec_area_m2: self.codec.area_m2,
            F.codec_area_share: self.codec.area_m2 / total if self.array.words.entries else None,
            F.storage_area_m2: side_m2,
            F.area_low_m2: low,
            F.area_high_m2: high,
        }

    @cached_property
    def energies(self) -> dict[str, Any]:
        """Joules per inference by part; the band is that of the array's reads, refresh and leakage.

        Side bits are read as often as the weights and decoded with them, by gates as those of the codecs.
        """
        energy, codec, costs, side = self.energy, self.codec, self.array.costs, self.side
        scrub_s, seconds = self.array.schedule.scrub_interval_s, energy.seconds
        accesses = self.array.layout.corrections.scrub_accesses
        scrub_j = 0.0 if scrub_s is None else accesses * (costs.read_j + costs.write_j) * seconds / scrub_s
        codec_j = energy.codec_j + (codec.refresh_w + codec.scrub_w + codec.leakage_w) * seconds
        decode_j = (
            side.decode_ge
            * DECODE_PJ_PER_GE
            * 1e-12
            * node_scaling(self.array.geometry.node_m, self.array.geometry.v_dd_v)[2]
        )
        side_j = energy.weight_read_j * side.side_bits / self.array.layout.stored_bits + self.weights_read * decode_j
        backing_j = self._backing_j
        total_j = energy.total_j - energy.codec_j + codec_j + scrub_j + side_j + backing_j
        return {
            F.energy_per_inference_j: total_j,
            F.mac_energy_j: energy.mac_j,
            F.weight_read_energy_j: energy.weight_read_j,
            F.codec_energy_j: codec_j,
            F.codec_energy_share: codec_j / total_j if self.array.words.entries else None,
            F.refresh_energy_j: energy.refresh_j,
            F.scrub_energy_j: scrub_j,
            F.leakage_energy_j: energy.leakage_j,
            F.storage_energy_j: side_j,
            F.backing_energy_j: backing_j,
            **_energy_band(total_j, energy, self.whole),
        }

    @property
    def stored_bits_per_weight(self) -> float:
        """All bits in the memory, over the weights: data, check bits, and what tells how to read them."""
        return (self.array.layout.stored_bits + self.side.side_bits) / self.weights

    @property
    def _backing_j(self) -> float:
        """Energy of bringing the streamed tensors in for one inference: the way, the writes, the check bits."""
        layout, costs, streamed = self.array.layout, self.array.costs, self.array.layout.residency.streamed
        bits = float(layout.data_bits[streamed].sum())
        words = self.array.words.entries
        encode_j = sum(float(one.per_tensor[streamed].sum()) * costs.encode_j[one.name] for one in words)
        return bits * costs.backing_j_per_bit + float(layout.bank_words[streamed].sum()) * costs.write_j + encode_j


@dataclass(frozen=True)
class Spent:
    """What protection adds to a memory: ``bits`` protected and ``parity`` bits over the data bits stored, m2, J.

    Area and energy per inference are those of the plan less those of the same study with nothing protected.
    """

    bits: float = 0.0
    parity: float = 0.0
    area_m2: float = 0.0
    energy_j: float = 0.0


@dataclass(frozen=True, eq=False)
class Pricing:
    """A study's memory and accelerator, in which every plan of one image has its cost.

    ``names`` : of the stored tensors; ``layers`` : the products of one inference; ``side`` : what the image needs
    beside its bits whatever the plan.
    """

    study: Study
    names: tuple[str, ...]
    schedule: Schedule
    layers: tuple[LayerCost, ...]
    side: SideStorage
    stored: StoredSizes
    _latest: list[tuple[ProtectionPlan, PlanCost]] = field(default_factory=list, init=False, repr=False)

    @classmethod
    def of(
        cls,
        study: Study,
        names: tuple[str, ...],
        stored: StoredSizes,
        cell: CellView,
        side: SideStorage,
        layers: tuple[LayerCost, ...] = (),
    ) -> Pricing:
        """Of an image with these tensors; without ``layers`` an inference reads every weight once.

        A part of scales is read as often as the weights before it that it belongs to.
        """
        weights = dict(zip(names, np.diff(stored.tensor_starts).tolist(), strict=True))
        products = layers or tuple(_read_once(name, size) for name, size in weights.items())
        own = [layer for layer in products if layer.weight in weights]
        cycles, reads = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
        for layer in own:
            cycles[layer.weight or ""] += layer.cycles
            reads[layer.weight or ""] += layer.weight_reads
        layer_time_s = tuple(c / study.accelerator.clock_hz for c in cycles.values()) if layers else ()
        # a tensor that no product takes (an embedding) is passed once
        of_tensor = [reads[name] / size if reads[name] else 1.0 for name, size in weights.items()]
        tensor_reads = tuple(of_tensor[place] for place in stored.read_with.tolist())
        schedule = schedule_of(study, cell.cells, cell.cells.phases, layer_time_s, tensor_reads)
        return cls(study, names, schedule, products, side, stored)

    def cost(self, plan: ProtectionPlan, planned_bits: float = 0.0) -> PlanCost:
        """What a plan costs, the latest ones kept; ``planned_bits`` : what tells its groups and corrections apart.

        Raises ValueError when the accelerator cannot keep the inference rate, or the array does not hold the image.
        """
        side = SideStorage(self.side.side_bits + planned_bits, self.side.decode_ge)
        for priced, cost in self._latest:
            if priced == plan:
                return replace(cost, side=side)
        self._latest.append((plan, self._cost(plan, side)))
        del self._latest[:-KEPT]
        return self._latest[-1][1]

    def _cost(self, plan: ProtectionPlan, side: SideStorage) -> PlanCost:
        plan = plan.limited(self.stored.absent)
        study, array = self.study, PlannedArray(plan, geometry_of(self.study), self.schedule)
        geometry, layout = array.geometry, array.layout
        data = geometry.bank_cost(plan.stored_bits, layout.class_data_bits)
        whole = geometry.bank_cost(layout.stored_bits, layout.class_bits)
        codec = codecs_of(array, self.names)
        sizes, together = np.diff(plan.tensor_starts), self.stored.read_with
        per_weight = layout.weight_bits + layout.parity_bits / sizes
        scales = together != np.arange(sizes.size)  # read with their weights, as often
        bits = np.where(scales, per_weight * sizes, 0.0)
        per_weight = per_weight + np.bincount(together, bits, sizes.size) / sizes
        memory = WeightMemory(
            word_bits=geometry.word_bits,
            read_energy_j=whole.read_energy_j,
            bits_per_weight=dict(zip(self.names, per_weight.tolist(), strict=True)),
            decode_energy_per_weight_j=codec.decode_j_per_weight,
            refresh_w=array.refresh_w,
            leakage_w=array.costs.leakage_w,
        )
        energy = energy_per_inference(
            self.layers,
            memory,
            clock_hz=study.accelerator.clock_hz,
            mac=mac_at(study),
            inferences_per_second=study.accelerator.inferences_per_second,
        )
        read = sum(layer.weight_reads for layer in self.layers if layer.weight in codec.decode_j_per_weight)
        stronger = stronger_cells_area(plan)
        return PlanCost(array, data, whole, codec, stronger, memory, energy, side, read, int(sizes[~scales].sum()))

    def check(self) -> None:
        """Raises ValueError, in closed form, where the memory cannot do its work even with nothing protected."""
        bare = ProtectionPlan.unprotected(self.stored.tensor_starts, self.stored.planes)
        array = self.cost(bare).array
        check_work(array.layout, array.schedule)

    def fits(self, plan: ProtectionPlan) -> bool:
        """Whether the array holds the image and the plan's check bits, or streams what it does not hold."""
        array = self.study.array
        plan = plan.limited(self.stored.absent)
        needed = plan.stored_bits + plan.parity_bits
        return array.capacity_bits is None or array.backing is not None or needed <= int(array.capacity_bits)

    def spent(self, plan: ProtectionPlan, planned_bits: float = 0.0, bare_bits: float = 0.0) -> Spent:
        """What a plan adds to the unprotected memory, whose corrections take ``bare_bits``; ValueError as ``cost``."""
        bare = self.cost(ProtectionPlan.unprotected(plan.tensor_starts, plan.planes), bare_bits)
        own = self.cost(plan, planned_bits)
        return Spent(
            bits=plan.protected_bits_fraction,
            parity=plan.parity_bits_fraction,
            area_m2=own.areas[F.area_m2] - bare.areas[F.area_m2],
            energy_j=own.energies[F.energy_per_inference_j] - bare.energies[F.energy_per_inference_j],
        )


def _read_once(name: str, weights: int) -> LayerCost:
    """A product that reads every weight of a tensor once, of an accelerator that is not looked at."""
    gemm = SystolicCost(
        cycles=0, input_reads=0, weight_reads=weights, output_writes=0, macs=0, drain_writes=0, utilisation=0.0
    )
    return LayerCost(name, name, "linear", 1, weights, 1, 1, gemm)


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
