"""A model of any size through the memory, tensor after tensor: surveyed, protected by layer, corrupted, handed on.

Two readings of the files: one for scales, codes' histograms and what a flip costs in every layer, one that quantises,
flips and decodes.  Only one tensor's codes and a block of its weights are in memory at a time.  What codes leave is
drawn plane by plane from their residual channel: errors after decoding are taken as independent (modelled; ``run`` of a
study decodes words).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from qtaml_hw import tac
from qtaml_hw.accelerator.place import place
from qtaml_hw.arrays import Codes, Float32, Float64, Int64
from qtaml_hw.channel import FlipChannel
from qtaml_hw.config import Study, takes_study
from qtaml_hw.errors import InputError
from qtaml_hw.faults import MapKey, flip
from qtaml_hw.files import claim, replacing
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.records.fields import F
from qtaml_hw.study.design.cells.cell import CellView, view_cell
from qtaml_hw.study.design.networks.image import store_rule, stored_as, weights_alone
from qtaml_hw.study.design.protection.price import PlanCost, Pricing, SideStorage
from qtaml_hw.study.design.protection.prices import budget_of, menu_of
from qtaml_hw.study.design.protection.protect import side_bits
from qtaml_hw.study.design.streamed.slots import Told, told
from qtaml_hw.study.design.streamed.tensor import StreamedTensor, survey
from qtaml_hw.weights import NumberFormat
from qtaml_hw.weights.inventory import picked
from qtaml_hw.weights.scales import ScaleLayout
from qtaml_hw.weights.sizes import OneFormat, planes_by_damage
from qtaml_hw.workloads.shards import Shard, Slot, files_of, open_shards

ONES: Final = np.array([n.bit_count() for n in range(256)], dtype=np.uint8)  # of every byte
Each = Callable[[str, Float32], None]
"""Called with every stored tensor as read, in file order: its name and its weights, float32, of its shape."""


@dataclass(frozen=True, eq=False)
class StreamedImage(OneFormat):
    """The stored tensors of a model as far as planning needs them; the codes stay on disk."""

    form: NumberFormat
    layout: ScaleLayout
    tensors: tuple[StreamedTensor, ...]

    @property
    def planes(self) -> int:
        """Bit planes of a weight."""
        return self.form.bits

    @cached_property
    def tensor_starts(self) -> Int64:
        """Global index of every tensor's first weight, and the total: int64 [tensors + 1]."""
        return np.concatenate([[0], np.cumsum([t.slot.values for t in self.tensors])]).astype(np.int64)

    @property
    def stored_bits(self) -> int:
        """Data bits in the memory, parity not counted."""
        return int(self.tensor_starts[-1]) * self.planes

    @property
    def metadata_bits(self) -> int:
        """Bits of all scales and zero points, which are kept beside the memory."""
        return sum(t.scale_bits for t in self.tensors)

    @cached_property
    def plane_order(self) -> Int64:
        """Planes from the most to the least significant: by the mean squared change of a weight when one flips."""
        damage = sum(t.weighted for t in self.tensors) @ self.form.flip_damage
        return planes_by_damage(damage)

    def damage(self) -> tac.DamageModel:
        """What flips cost by layer, a weight being worth its layer's mean square (the magnitude score)."""
        bits = self.form.bit_table.astype(np.float64)
        zeros, ones = np.empty((len(self.tensors), self.planes)), np.empty((len(self.tensors), self.planes))
        for i, t in enumerate(self.tensors):
            hurt = t.squares / t.slot.values * t.weighted[:, None] * self.form.flip_damage
            ones[i], zeros[i] = (hurt * bits).sum(axis=0), (hurt * (1.0 - bits)).sum(axis=0)
        return tac.DamageModel(self.tensor_starts, zeros, ones, self.plane_order)


@dataclass(frozen=True, eq=False)
class StreamResult:
    """What was done: the image's sizes, the plan, its prediction and cost, and bits that read wrong after protection.

    ``cost`` : of an inference that reads every stored weight once, such as one token of a language model.
    """

    image: StreamedImage
    plan: ProtectionPlan
    cost: PlanCost
    predicted_distortion: float
    flips: int
    taken_for: dict[str, Told]
    files: tuple[Path, ...]
    not_read: tuple[Path, ...] = ()

    @property
    def passed_through(self) -> tuple[str, ...]:
        """Names of the tensors that were left exact, in file order."""
        stored = {t.slot.name for t in self.image.tensors}
        return tuple(name for name in self.taken_for if name not in stored)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able: sizes, overheads, every stored tensor with its protected planes, and what was not stored."""
        planes = self.plan.planes_protected()
        return {
            "format": self.image.form.name,
            "stored_weights": int(self.image.tensor_starts[-1]),
            "stored_bits": self.image.stored_bits,
            "policy": self.plan.policy,
            "protected_bits_fraction": self.plan.protected_bits_fraction,
            "parity_bits_fraction": self.plan.parity_bits_fraction,
            "predicted_distortion": self.predicted_distortion,
            "flips_residual": self.flips,
            F.stored_bits_per_weight: self.cost.stored_bits_per_weight,
            **self.cost.areas,
            **self.cost.energies,
            F.read_latency_s: self.cost.whole.access_s + self.cost.codec.decode_latency_s,
            F.refresh_bandwidth_share: self.cost.refresh_share,
            "stored": [
                {
                    "name": t.slot.name,
                    "shape": list(t.slot.shape),
                    "weights": t.slot.values,
                    "protected_planes": int(k),
                    "what": self.taken_for[t.slot.name].what,
                }
                for t, k in zip(self.image.tensors, planes, strict=True)
            ],
            "passed_through": list(self.passed_through),
            "exact": [{"name": name, "what": self.taken_for[name].what} for name in self.passed_through],
            "files": [str(file) for file in self.files],
            "files_not_read": [str(file) for file in self.not_read],
        }


@takes_study
def stream(
    study: Study,
    weights: str | Path,
    *,
    out: str | Path | None = None,
    each: Each | None = None,
    map_index: int = 0,
    device: str | None = None,
) -> StreamResult:
    """A model's safetensors file or folder of shards as one chip of the study's memory returns it.

    out: folder for the shards as read, in their own types and layout; each: called with every stored tensor instead or
    besides; device: where codes are flipped (``cuda``; the same flips, bit for bit; None: the engine on the processor).
    Stored are kernels and matrices, without tables that are looked up (``slots``); ``network.store`` changes that.
    Policies: none, uniform, and magnitude (layers by their mean square; others need the network).  No mean correction.

    Raises InputError for files that cannot be read or written, settings that need the network itself, buffers among
    them, and a device that is not there.
    """
    weights_alone(study, "stream")
    if device is not None:
        place(device)
    if study.flips.structured:
        raise InputError("flips.structure: a streamed model has independent flips; leave it out, or write kind: iid")
    try:
        shards = open_shards(weights)
        form, layout = _format_of(study)
        slots = [slot for shard in shards for slot in shard.slots]
        taken_for = {slot.name: told(slot, {s.name for s in slots}) for slot in slots}
        stored = _stored(study, slots, taken_for)
        image = StreamedImage(form, layout, tuple(survey(slot, form, layout) for slot in stored))
        cell, key = view_cell(study, image.planes), MapKey(study.evaluate.seed, map_index)
        channel = cell.channel
        menu = menu_of(study, channel)
        pricing = _pricing(study, image, cell)
        plan = _plan(study, image, cell, menu, pricing)
        cost = pricing.cost(plan, side_bits(plan, ("none",)))
        chip = _Chip(image, plan, cell.channel_of_chip(key.seed, map_index), key, device)
        folder = None if out is None else _folder(Path(out), shards)
        files = [_pass(shard, chip, folder, each) for shard in shards]
    except (OSError, ValueError) as error:
        raise InputError(f"{weights}: {error}") from error
    left = tac.predicted_distortion(image.damage(), channel, plan)
    written, not_read = tuple(f for f in files if f is not None), files_of(weights)[1]
    return StreamResult(image, plan, cost, left, chip.flips, taken_for, written, not_read)


def _format_of(study: Study) -> tuple[NumberFormat, ScaleLayout]:
    form, layout = stored_as(study)
    steps = [*study.weights.transforms, *(["hardening"] if study.hardening.trained else [])]
    if steps:
        raise ValueError(f"a stream stores tensors as they are, without {' and '.join(steps)}: these need the network")
    if (
        form.scaling not in ("peak", "range")
        or layout.kind == "per_input_channel"
        or layout.step
        or study.weights.rounding != "nearest"
    ):
        raise ValueError("a stream is stored with a scale per tensor, channel or group and rounded to the nearest code")
    return form, layout


def _stored(study: Study, slots: list[Slot], taken_for: Mapping[str, Told]) -> tuple[Slot, ...]:
    """The tensors that live in the memory, in file order: those with two axes or more that the study's rule picks."""
    kinds = {name: found.kind for name, found in taken_for.items()}
    names = picked(kinds, store_rule(study))
    stored = tuple(s for s in slots if s.name in names and kinds[s.name] in ("weight", "embedding"))
    if not stored:
        raise ValueError("no tensor is stored: none with two axes or more is left")
    return stored


def _pricing(study: Study, image: StreamedImage, cell: CellView) -> Pricing:
    side = SideStorage(image.metadata_bits, image.form.decode_ge)
    return Pricing.of(study, tuple(t.slot.name for t in image.tensors), image, cell, side)


def _plan(study: Study, image: StreamedImage, cell: CellView, menu: tac.Menu, pricing: Pricing) -> ProtectionPlan:
    section = study.protection

    def damage(worth: tac.Worth, _: tac.Planning) -> tac.DamageModel:
        if worth == "magnitude" and section.group == "layer":
            return image.damage()
        raise ValueError(
            f"policy {section.policy} by {section.group} needs the network; a stream of tensors takes none, "
            "uniform with a budget, or magnitude by layer"
        )

    budget = budget_of(study, image, menu, pricing, pricing.spent)
    planning = tac.Planning(section.policy, image, cell.channel, menu, budget, section.group, section.way, damage)
    return tac.POLICIES[section.policy](planning).plan


@dataclass(eq=False)
class _Chip:
    """One fault map over all tensors, in the order of the files; counts the bits that read wrong."""

    image: StreamedImage
    plan: ProtectionPlan
    channel: FlipChannel
    key: MapKey
    device: str | None
    flips: int = 0

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Tensor name -> its number in the image."""
        return {t.slot.name: i for i, t in enumerate(self.image.tensors)}

    @cached_property
    def _residual(self) -> tuple[Float64, Float64]:
        return self.plan.residual(self.channel)

    def read(self, number: int) -> Iterator[Float32]:
        """The weights of a tensor as read, block by block, flat."""
        tensor = self.image.tensors[number]
        codes = tensor.codes()
        flipped = self._flipped(codes, number)
        self.flips += int(ONES[(codes ^ flipped).view(np.uint8)].sum(dtype=np.int64))
        yield from tensor.weights(flipped)

    def _flipped(self, codes: Codes, number: int) -> Codes:
        p01, p10 = self._residual
        cells = FlipChannel(p01[number], p10[number], "fixed", "").padded(8 * codes.itemsize)
        if self.device is None:
            return flip(codes, cells.p01, cells.p10, self.key.of(number))
        import torch

        from qtaml_hw.faults.torch_twin import flip_torch

        there = torch.from_numpy(codes).to(self.device)
        flipped: Codes = flip_torch(there, cells.p01, cells.p10, self.key.of(number)).cpu().numpy()
        return flipped


def _folder(folder: Path, shards: tuple[Shard, ...]) -> Path:
    """Where shards are written; never where they are read, or where they are linked to from there."""
    there, read = folder.resolve(), [shard.file for shard in shards]
    if any(there in (file.resolve().parent, file.parent.resolve()) for file in read):
        raise ValueError(f"{folder} holds the weights that are read; write to another folder")
    claim(folder)
    return folder


def _pass(shard: Shard, chip: _Chip, folder: Path | None, each: Each | None) -> Path | None:
    """One shard through the memory; written whole or not at all."""
    if folder is None:
        for slot in shard.slots:
            for _ in _pieces(slot, chip, each):
                pass
        return None
    target = folder / shard.file.name
    with replacing(target) as file:
        file.write(shard.header)
        for slot in shard.slots:
            for piece in _pieces(slot, chip, each, plain=True):
                file.write(piece)
    return target


def _pieces(slot: Slot, chip: _Chip, each: Each | None, plain: bool = False) -> Iterator[bytes]:
    """The bytes of a tensor as read; ``plain``: also of those that are not stored.  ``each`` sees it whole."""
    number = chip.numbers.get(slot.name)
    if number is None:
        if plain:
            yield from slot.copied()
        return
    whole = np.empty(slot.values, dtype=np.float32) if each is not None else None
    done = 0
    for block in chip.read(number):
        if whole is not None:
            whole[done : done + block.size] = block
        done += block.size
        if plain:
            yield slot.bytes_of(block)
    if each is not None and whole is not None:
        each(slot.name, whole.reshape(slot.shape))
