"""What lies in the memory of a study: an image of weights as it is written, its cells, and what protects it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from qtaml_hw import memory
from qtaml_hw.accelerator.layers import LayerCost
from qtaml_hw.config import Study
from qtaml_hw.memory.array.cost import FALLBACK
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.study.design.buffers.held import Buffers
from qtaml_hw.study.design.buffers.planned import shares_budget
from qtaml_hw.study.design.cells.array import geometry_of
from qtaml_hw.study.design.cells.cell import CellView, view_cell
from qtaml_hw.study.design.networks.calibration import Calibration
from qtaml_hw.study.design.networks.transforms import INVERT, storage_of_steps, stored_image
from qtaml_hw.study.design.protection.price import Pricing, SideStorage
from qtaml_hw.study.design.protection.protect import Protection, protect
from qtaml_hw.weights import StoredImage
from qtaml_hw.weights.within import holds


@dataclass(frozen=True, eq=False)
class Contents:
    """An image as it is written, the cells that hold it, and its protection.

    ``buffers`` : those of the study, where they spend the same budget and are planned with it; else None.
    """

    image: StoredImage
    cell: CellView
    protection: Protection
    pricing: Pricing
    buffers: Buffers | None = None

    @classmethod
    def of(
        cls, study: Study, image: StoredImage, calibration: Calibration, layers: tuple[LayerCost, ...] = ()
    ) -> Contents:
        """A study's memory with an image of its network, planes inverted and bits protected as the study says.

        ``layers`` : the products of one inference; without them every weight is taken to be read once, as fast as the
        memory can.  Raises ValueError when the cell cannot be modelled or the plan cannot be made, with the reason.
        """
        _refuse_unlike_tensors(study, image)
        cell = view_cell(study, image.planes)
        bare = SideStorage(image.metadata_bits, image.decode_ge)
        pricing = Pricing.of(study, image.names, image, cell, bare, layers)
        if not study.protection.chooses_bits:
            pricing.check()  # before gradients are taken, which may take minutes
        written = stored_image(image, calibration, study, cell.channel)
        bits, gates = storage_of_steps(study, written)
        side = SideStorage(written.metadata_bits + bits, written.decode_ge + gates)
        if written is not image or side != bare:  # else what is priced already is kept
            pricing = replace(pricing, side=side, stored=written)
        buffers = Buffers.of(study, written, calibration, layers) if shares_budget(study) else None
        others = () if buffers is None else buffers.shares
        protection = protect(study, written, calibration, cell.channel, pricing, others)
        _refuse_unlike_words(study, protection.plan)
        _refuse_partial_words(written, protection.plan)
        _refuse_zeroing(written, protection.plan, study.array.on_uncorrectable)
        planned = None if buffers is None else buffers.planned(protection)
        return cls(protection.image or written, cell, protection, pricing, planned)

    @property
    def _zero_code(self) -> int:
        """What a zeroed weight reads as; any code where no word is zeroed."""
        zeroes = _zeroing(self.protection.plan, self.pricing.study.array.on_uncorrectable)
        return self.image.zero_code if zeroes else 0

    def chip(self, study: Study) -> memory.Memory:
        """The array with the image in it, ready to live through any number of fault maps.

        Raises ValueError when the array cannot do the work asked.
        """
        image, schedule = self.image, self.pricing.schedule
        codes, plan = tuple(image.codes()), self.protection.plan
        return memory.Memory(codes, image.planes, plan, geometry_of(study), schedule, self._zero_code)


def _refuse_unlike_tensors(study: Study, image: StoredImage) -> None:
    """Tensors of several formats go with one cell for all planes and codes that stay as they are.

    Raises ValueError with what does not go together.
    """
    if len(image.formats) == 1:
        return
    others = {
        "lists over planes": study.by_plane,
        "array.plane_class": study.array.plane_class is not None,
        "invert_planes": INVERT in study.weights.transforms,
        f"the policy {study.protection.policy}": study.protection.chooses_bits,
    }
    found = [what for what, asked in others.items() if asked]
    if found:
        why = "network.store.scales" if any(t.part_of for t in image.tensors) else "weights.format: file"
        raise ValueError(f"{found[0]} needs tensors of one number format, and {why} makes several: {image.format_name}")


def _refuse_unlike_words(study: Study, plan: ProtectionPlan) -> None:
    """A word lies in the rows of its first bit, and so in cells of one class.

    Raises ValueError where planes of different classes share words.
    """
    if not study.by_plane:
        return
    of_plane = np.array(geometry_of(study).plane_class)
    for index, item in enumerate(plan.entries):
        mixed = item.code is not None and any(len(set(of_plane[row])) > 1 for row in plan.choice == index)
        if mixed:
            names = " and ".join(one.name for one in study.classes)
            raise ValueError(
                f"a word of {item.name} lies in one kind of cell, and the plan protects planes of several by it "
                f"({names}): protect planes of one class, or by an entry of its own for each"
            )


def _refuse_partial_words(image: StoredImage, plan: ProtectionPlan) -> None:
    """A code inside the weights takes all planes of whole tensors, within its condition.

    Raises ValueError where it does not.
    """
    for index, item in enumerate(plan.entries):
        if item.code is None or not item.code.in_place or not np.any(plan.choice == index):
            continue
        whole = (plan.choice == index).all(axis=1)
        first = [plan.tensor_groups(t) for t in range(plan.tensors)]
        mixed = any(len(set(whole[a:b].tolist())) > 1 for a, b in first)
        if mixed or not np.array_equal((plan.choice == index).any(axis=1), whole) or not holds(image):
            raise ValueError(f"{item.name} takes all planes of whole tensors of weights within its condition")


def _refuse_zeroing(image: StoredImage, plan: ProtectionPlan, on_uncorrectable: str | None) -> None:
    """Words that read as zero need one code of zero; inverted planes give every tensor its own.

    Raises ValueError where both are asked for.
    """
    zeroing = _zeroing(plan, on_uncorrectable)
    if zeroing and any(t.inverted for t in image.tensors):
        raise ValueError(
            f"{INVERT} and {zeroing[0]} do not go together: what a detected word reads as is the same in all tensors"
        )
    if zeroing:
        try:
            _ = image.zero_code
        except ValueError as error:
            raise ValueError(f"{zeroing[0]} needs one code of zero: {error}") from error


def _zeroing(plan: ProtectionPlan, on_uncorrectable: str | None) -> list[str]:
    """What makes weights read as zero, or bits as their sign: entries in use, the answer to flagged words."""
    zeroing = [e.name for e in plan.entries if e.zeroes_weight and plan.bits_by_entry().get(e.name)]
    signs = [e.name for e in plan.entries if e.code is not None and e.code.policy == "sign"]
    zeroing += [name for name in signs if plan.bits_by_entry().get(name)]
    answer = [f"on_uncorrectable: {on_uncorrectable}"] if on_uncorrectable in ("zero", "sign") else []
    return zeroing + answer


def chip_warnings(study: Study, chip: memory.Memory) -> list[str]:
    """No silent no-op: figures outside their range, and work on words that are not there."""
    told = ("extrapolated", FALLBACK)
    notes = [note.strip() for note in chip.costs.source.split(";")]
    warnings = [f"array figures: {note}" for note in notes if any(words in note for words in told)]
    if study.scrub.on and not chip.regions:
        warnings.append("scrub has nothing to correct: no ECC words are stored")
    action = study.array.on_uncorrectable
    if action is not None and not chip.regions:
        warnings.append(f"array.on_uncorrectable: {action} has no word to act on: no code is in use")
    return warnings
