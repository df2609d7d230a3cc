"""What a study's memory costs where no network is: for a list of layers, or for so many weights.

The one cost function of records (``design.price``) prices it.  Nothing is put into the memory, so that no accuracy is
asked, and only policies that need no network can plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from qtaml_hw import tac
from qtaml_hw.accelerator.layers import LayerCost, network_cost
from qtaml_hw.accelerator.topology import Product, costs_of, gemm_topology, read_topology
from qtaml_hw.arrays import Int64
from qtaml_hw.config import Study, takes_study
from qtaml_hw.errors import InputError
from qtaml_hw.progress import Progress
from qtaml_hw.records.fields import F
from qtaml_hw.records.results import Answer
from qtaml_hw.study.design.cells.cell import view_cell
from qtaml_hw.study.design.cells.timeline import bank_warnings
from qtaml_hw.study.design.networks.image import stored_as
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.study.design.protection.price import PlanCost, Pricing, SideStorage
from qtaml_hw.study.design.protection.prices import Costs, budget_of, menu_of
from qtaml_hw.study.design.protection.protect import possible_kinds, side_bits
from qtaml_hw.weights.formats import NumberFormat
from qtaml_hw.weights.scales import ScaleLayout
from qtaml_hw.weights.sizes import OneFormat, planes_by_damage

NOT_ASKED = "no network is in the memory: accuracy is not asked, and flips are those of the cell alone"


@dataclass(frozen=True, eq=False)
class Price(Answer):
    """A memory of a study, priced.

    ``layers`` () where it is asked for a number of weights: an inference then reads each of them once.
    """

    study: Study
    cost: PlanCost
    layers: tuple[LayerCost, ...]

    @property
    def warnings(self) -> list[str]:
        """What the figures do not say by themselves: refresh that leaves little time, or none."""
        return bank_warnings({F.refresh_bandwidth_share: self.cost.refresh_share})

    def as_dict(self) -> dict[str, Any]:
        """Area, energy of one inference, times, shares; ``access``: what one access of a bank and standing by cost."""
        cost, sums = self.cost, network_cost(self.layers)
        plan = cost.array.plan
        low, high = cost.whole.band("access_s")
        return {
            "study": self.study.label,
            "layers": len(self.layers),
            "weights": plan.weights,
            "data_bits": plan.stored_bits,
            F.protected_bits_fraction: plan.protected_bits_fraction,
            F.parity_bits_fraction: plan.parity_bits_fraction,
            F.stored_bits_per_weight: cost.stored_bits_per_weight,
            **cost.areas,
            **cost.energies,
            F.read_latency_s: cost.whole.access_s + cost.codec.decode_latency_s,
            F.read_latency_low_s: low + cost.codec.decode_latency_s,
            F.read_latency_high_s: high + cost.codec.decode_latency_s,
            F.refresh_bandwidth_share: cost.refresh_share,
            "cycles_per_inference": sums.cycles,
            "compute_latency_s": sums.latency_s(self.study.accelerator.clock_hz),
            "access": self._access,
            "accuracy": None,
            "note": NOT_ASKED,
            "source": cost.array.costs.source,
        }

    @property
    def _access(self) -> dict[str, float]:
        """One access of ``word_bits`` in one bank, its decoding or encoding included, and power of the whole memory."""
        cost, array = self.cost, self.cost.array
        accesses = float(array.layout.bank_words.sum())
        words = {one.name: one.words for one in array.words.entries}
        decode_j = sum(count * array.costs.decode_j[name] for name, count in words.items()) / accesses
        encode_j = sum(count * array.costs.encode_j[name] for name, count in words.items()) / accesses
        return {
            "word_bits": float(array.geometry.word_bits),
            "read_energy_j": array.costs.read_j + decode_j,
            "write_energy_j": array.costs.write_j + encode_j,
            "cycle_s": array.layout.cycle_s,
            "refresh_w": cost.memory.refresh_w + cost.codec.refresh_w,
            "scrub_w": cost.codec.scrub_w,
            "leakage_w": cost.memory.leakage_w + cost.codec.leakage_w,
        }


@dataclass(frozen=True, eq=False)
class _Sizes(OneFormat):
    """Tensors [out, in] whose weights nobody knows."""

    form: NumberFormat
    layout: ScaleLayout
    products: tuple[Product, ...]

    @property
    def planes(self) -> int:
        """Bit planes of a weight."""
        return self.form.bits

    @cached_property
    def tensor_starts(self) -> Int64:
        """First weight of every tensor, and the total."""
        return np.concatenate([[0], np.cumsum([p.weights for p in self.products])]).astype(np.int64)

    @property
    def stored_bits(self) -> int:
        """Data bits."""
        return int(self.tensor_starts[-1]) * self.planes

    @property
    def metadata_bits(self) -> int:
        """Bits of all scales."""
        if self.form.scaling == "none":
            return 0
        return sum(self.layout.count((p.n, p.k)) * self.layout.scale_bits for p in self.products)

    @property
    def plane_order(self) -> Int64:
        """Planes from the most significant down, by the mean squared change of a code when one flips."""
        return planes_by_damage(self.form.flip_damage.mean(axis=0))


@takes_study
def price(study: Study, *, topology: str | Path | None = None, weights: int | None = None) -> Price:
    """The memory of a study for the layers of a SCALE-Sim file, or for so many weights that are read once.

    Policies none and uniform (with ``planes`` or a budget).  Raises InputError when neither or both are given, for a
    policy that needs a network, a file that cannot be read, or a memory that cannot do the work.
    """
    if (topology is None) == (weights is None):
        raise InputError("give the layers (--topology CSV) or the number of weights (--weights N), one of the two")
    if study.protection.policy not in ("none", "uniform"):
        raise InputError(
            f"policy {study.protection.policy} needs a network: without one it is 'none' or 'uniform' "
            "(--set protection.policy=uniform --set protection.planes=1)"
        )
    try:
        layers: tuple[LayerCost, ...] = ()
        if topology is not None:
            products, on = read_topology(topology), study.accelerator
            layers = costs_of(products, on.rows, on.columns, on.dataflow)
        else:
            assert weights is not None
            if not 0 < weights < 2**40:
                raise ValueError(f"weights must be from 1 up, below 2^40; got {weights}")
            products = (Product("weights", 1, weights, 1),)
        return Price(study, _cost(study, _Sizes(*stored_as(study), products), layers), layers)
    except (OSError, ValueError) as error:
        raise InputError(str(error)) from error


def _cost(study: Study, sizes: _Sizes, layers: tuple[LayerCost, ...]) -> PlanCost:
    """What the study's plan costs on tensors of these sizes."""
    section, cell = study.protection, view_cell(study, sizes.planes)
    menu, side = menu_of(study, cell.channel), SideStorage(float(sizes.metadata_bits), sizes.form.decode_ge)
    names = tuple(product.name for product in sizes.products)
    pricing = Pricing.of(study, names, sizes, cell, side, layers)
    budget = budget_of(study, sizes, menu, Costs.of_weights(pricing, pricing.spent))

    def unknown(worth: tac.Worth, _: tac.Planning) -> tac.DamageModel:
        raise ValueError(
            f"a budget of distortion asks what flips do to a network ({worth}): give planes or another budget"
        )

    planning = tac.Planning(section.policy, sizes, cell.channel, menu, budget, section.group, section.way, unknown)
    plan = tac.POLICIES[section.policy](planning).plan
    # which one would pay, and how many channels are matched, a network would tell
    kinds = possible_kinds("none" if section.correction == "auto" else section.correction)
    return pricing.cost(plan, side_bits(plan, kinds))


@takes_study
def topology(study: Study, *, progress: Progress | None = None) -> str:
    """The products of one inference of the study's network as a GEMM topology (CSV) of SCALE-Sim.

    Raises InputError when the network cannot be loaded.
    """
    return gemm_topology(Networks(progress).load(study).network.layers(study.accelerator))
