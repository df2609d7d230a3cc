"""What the way of writing weights costs beside the array of their bits: scales, tables, decoders, streaming."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qtaml_hw.ecc.hardware import DECODE_PJ_PER_GE, node_scaling
from qtaml_hw.memory import ArrayCost, Memory
from qtaml_hw.study.design.transforms import Transforms
from qtaml_hw.weights import StoredImage


@dataclass(frozen=True)
class Written:
    """``side_bits``: scales, group classes and correction tables; ``decode_ge``: gates of one weight's decoder."""

    side_bits: float
    decode_ge: float

    @classmethod
    def of(cls, image: StoredImage, planned_bits: float, transforms: Transforms) -> Written:
        """Of an image, the bits that tell its plan's groups and corrections apart, and its steps before storage."""
        side_bits = image.metadata_bits + planned_bits + transforms.metadata_bits
        return cls(side_bits, image.format.decode_ge + transforms.decode_ge)


@dataclass(frozen=True)
class StorageCost:
    """Area of side bits and decoders, energy per inference of reading and decoding them, and of streamed weights."""

    area_m2: float
    energy_j: float
    backing_j: float


def storage_cost(chip: Memory, bank: ArrayCost, written: Written, weight_read_j: float) -> StorageCost:
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
    decode_j = written.decode_ge * DECODE_PJ_PER_GE * 1e-12 * energy_factor
    return StorageCost(
        area_m2=geometry.banks * bank.area_m2 * written.side_bits / built + decoders * written.decode_ge * gate_m2,
        energy_j=weight_read_j * written.side_bits / stored + weights_read * decode_j,
        backing_j=_backing_j(chip),
    )


def _backing_j(chip: Memory) -> float:
    """Energy of bringing the streamed tensors in for one inference: the way, the writes, the check bits."""
    layout, costs, streamed = chip.layout, chip.costs, chip.layout.residency.streamed
    bits = float((np.diff(layout.tensor_starts) * layout.planes)[streamed].sum())
    encode_j = sum(float(words[streamed].sum()) * costs.encode_j[name] for name, words in chip.meter.words.items())
    return bits * costs.backing_j_per_bit + float(layout.bank_words[streamed].sum()) * costs.write_j + encode_j
