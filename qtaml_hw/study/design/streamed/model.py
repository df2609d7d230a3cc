"""A model of any size through the memory, tensor after tensor: surveyed, protected by layer, corrupted, handed on.

Two readings of the files: one for scales, codes' histograms and what a flip costs in every layer, one that quantises,
flips and decodes.  Only one tensor's codes and a block of its weights are in memory at a time.  What codes leave is
drawn plane by plane from their residual channel: errors after decoding are taken as independent (modelled; ``run`` of a
study decodes words).  No network is run, so that no metric of it is known: what is known of the damage is how far the
weights moved.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from qtaml_hw import tac
from qtaml_hw.accelerator.place import place
from qtaml_hw.arrays import Float64
from qtaml_hw.config import Study, takes_study
from qtaml_hw.errors import InputError
from qtaml_hw.faults import MapKey
from qtaml_hw.files import claim
from qtaml_hw.memory.traffic.commands import read_burst_s
from qtaml_hw.names import FILE_FORMAT
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.records.fields import F
from qtaml_hw.study.design.cells.cell import CellView, view_cell
from qtaml_hw.study.design.cells.timeline import bank_warnings
from qtaml_hw.study.design.networks.image import store_rule, stored_as, stores_scales, weights_alone
from qtaml_hw.study.design.protection.price import PlanCost, Pricing, SideStorage
from qtaml_hw.study.design.protection.prices import Costs, budget_of, menu_of
from qtaml_hw.study.design.protection.protect import side_bits
from qtaml_hw.study.design.streamed.chip import Chip, Each
from qtaml_hw.study.design.streamed.files import GGUF, ModelFiles, OneGguf, Shards
from qtaml_hw.study.design.streamed.folder import OwnFolder
from qtaml_hw.study.design.streamed.image import StreamedImage
from qtaml_hw.study.design.streamed.slots import Told
from qtaml_hw.study.design.streamed.spelled import in_own_names
from qtaml_hw.weights import NumberFormat
from qtaml_hw.weights.inventory import picked
from qtaml_hw.weights.scales import ScaleLayout
from qtaml_hw.workloads.packed import CODES, quantisation_of

SCALES: Final = "scales, zero points or minima of the tensor before"


@dataclass(frozen=True, eq=False)
class StreamResult:
    """What was done: the image's sizes, the plan, its prediction and cost, and bits that read wrong after protection.

    ``cost`` : of an inference that reads every stored weight once, such as one token of a language model; ``change`` :
    summed squared change of the weights by tensor; ``cell`` : what ages them.
    """

    image: StreamedImage
    plan: ProtectionPlan
    cost: PlanCost
    cell: CellView
    predicted_distortion: float
    flips: int
    change: Mapping[str, float]
    taken_for: Mapping[str, Told]
    files: tuple[Path, ...]
    not_read: tuple[Path, ...] = ()

    @property
    def passed_through(self) -> tuple[str, ...]:
        """Names of the tensors that were left exact, in file order."""
        stored = {t.name for t in self.image.tensors}
        return tuple(name for name in self.taken_for if name not in stored)

    @property
    def read_all_s(self) -> float | None:
        """Time of reading every stored weight once, tensor after tensor from the banks that hold it, beside refresh.

        None where refresh leaves no time.
        """
        array, left = self.cost.array, 1.0 - self.cost.refresh_share
        reading = float(read_burst_s(array.layout, array.schedule).max(axis=1).sum())
        return reading / left if left > 0.0 else None

    @cached_property
    def _expected(self) -> Float64:
        """Expected summed squared change of the weights by tensor, to first order in the probabilities."""
        p01, p10 = self.plan.residual(self.cell.channel)
        zeros, ones = self.image.changes()
        return np.asarray((p01 * zeros + p10 * ones).sum(axis=1))

    def as_dict(self) -> dict[str, Any]:
        """JSON-able: sizes, overheads, cost, damage, every stored tensor with its planes, and what was not stored.

        ``relative_error`` : root mean square change of the weights over their root mean square, by this chip;
        ``expected_relative_error`` : the same expected over chips, to first order; of scales in the memory, what their
        flips add to that of their weights.
        """
        planes = self.plan.planes_protected()
        squares, change = self.image.squares, sum(self.change.values())
        rows = zip(self.image.tensors, planes, self._expected.tolist(), strict=True)
        return {
            "format": " + ".join(self.image.formats),
            "stored_weights": self.image.network_weights,
            "stored_bits": self.image.stored_bits,
            "policy": self.plan.policy,
            "protected_bits_fraction": self.plan.protected_bits_fraction,
            "parity_bits_fraction": self.plan.parity_bits_fraction,
            "predicted_distortion": self.predicted_distortion,
            "flips_residual": self.flips,
            "relative_error": _relative(change, squares),
            "expected_relative_error": _relative(float(self._expected.sum()), squares),
            **self.cell.facts,
            F.stored_bits_per_weight: self.cost.stored_bits_per_weight,
            **self.cost.areas,
            **self.cost.energies,
            F.read_latency_s: self.cost.whole.access_s + self.cost.codec.decode_latency_s,
            "read_all_s": self.read_all_s,
            F.refresh_bandwidth_share: self.cost.refresh_share,
            F.warnings: [*self.cell.warnings, *bank_warnings({F.refresh_bandwidth_share: self.cost.refresh_share})],
            "stored": [
                {
                    "name": t.name,
                    "shape": list(t.shape),
                    "weights": t.values,
                    "format": t.form.name,
                    "protected_planes": int(k),
                    "relative_error": _relative(self.change.get(t.name), t.squares),
                    "expected_relative_error": _relative(expected, t.squares),
                    "what": self.taken_for[t.name].what if t.name in self.taken_for else SCALES,
                }
                for t, k, expected in rows
            ],
            "passed_through": list(self.passed_through),
            "exact": [{"name": name, "what": self.taken_for[name].what} for name in self.passed_through],
            "files": [str(file) for file in self.files],
            "files_not_read": [str(file) for file in self.not_read],
        }


def _relative(change: float | None, squares: float) -> float | None:
    """None where all weights are zero, and of scales, whose change is that of their weights."""
    return None if change is None or squares <= 0.0 else math.sqrt(change / squares)


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
    """A model's safetensors file, folder of shards or .gguf file as one chip of the study's memory returns it.

    Stored are the files' own codes (``weights.format: file``), or weights as the study says.  out: folder for the
    files as read, in their own types and layout; each: called with every stored tensor instead or besides; device:
    where codes are flipped (``cuda``; the same flips, bit for bit; None: the engine on the processor).
    Stored are kernels and matrices, without tables that are looked up (``slots``); ``network.store`` changes that.
    Policies: none, uniform, and magnitude (layers by their mean square; others need the network).  No mean correction.

    Raises InputError for files that cannot be read or written, settings that need the network itself or the memory in
    time, buffers among them, a refresh that takes more than all of a bank's time, and a device that is not there.
    """
    weights_alone(study, "stream")
    if device is not None:
        place(device)
    _refuse(study)
    try:
        model = _opened(study, Path(weights))
        image = StreamedImage(tuple(model.survey(name) for name in _stored(study, model)))
        if len(image.formats) > 1 and (study.by_plane or study.array.plane_class is not None):
            raise ValueError(f"lists over planes need tensors of one number format; there are {image.formats}")
        cell, key = view_cell(study, image.planes), MapKey(study.evaluate.seed, map_index)
        menu = menu_of(study, cell.channel)
        side = SideStorage(image.metadata_bits, image.decode_ge)
        pricing = Pricing.of(study, tuple(t.name for t in image.tensors), image, cell, side)
        plan = _plan(study, image, cell, menu, pricing)
        cost = pricing.cost(plan, side_bits(plan, ("none",)))
        layout, schedule = cost.array.layout, cost.array.schedule
        layout.check_refresh(schedule.refresh_intervals(layout.classes))
        chip = Chip(image, plan, cell.channel_of_chip(key.seed, map_index), key, device)
        files = model.passed(chip, None if out is None else _folder(Path(out), model), each)
    except (OSError, ValueError) as error:
        told = str(error)
        raise InputError(told if told.startswith(f"{weights}") else f"{weights}: {told}") from error
    left = tac.predicted_distortion(image.damage(), cell.channel, plan)
    return StreamResult(
        image, plan, cost, cell, left, chip.flips, chip.change, model.told, tuple(files), model.not_read
    )


def _refuse(study: Study) -> None:
    """Raises InputError for settings that would change nothing here: they need words, or the memory in time."""
    protection, protects = study.protection, study.protection.row.protects
    restored = study.flips.law == "poisson" and study.refresh.ecc_aware
    others = {
        "flips.structure: a streamed model has independent flips; leave it out, or write kind: iid": (
            study.flips.structured
        ),
        "protection.plan: a saved plan is of a network's tensors in their order; a stream plans by itself": (
            protection.plan is not None
        ),
        f"protection.correction: {protection.correction} needs the network; a stream reads codes as they are": (
            protection.correction not in ("auto", "none")
        ),
        "scrub: a stream ages codes from their write to the last read-out, and no word is corrected between; "
        "leave it out, or run the study": protects and study.scrub.on,
        "refresh.ecc_aware: under the law poisson words are corrected refresh by refresh, and a stream decodes once; "
        "leave it out, or run the study": protects and restored,
        "array.on_uncorrectable: a stream knows what codes leave, not which words they flag; leave it out": (
            protects and study.array.on_uncorrectable is not None
        ),
    }
    found = [text for text, asked in others.items() if asked]
    if found:
        raise InputError("\n".join(found))


def _opened(study: Study, weights: Path) -> ModelFiles:
    """The files of a model.  Raises ValueError for what cannot be read, and formats that do not go with it."""
    if not weights.exists():
        raise ValueError("there is no such file or folder")
    own = study.weights.format == FILE_FORMAT
    if own and "invert_planes" in study.weights.transforms:
        raise ValueError("a stream stores tensors as they are, without invert_planes: this needs the network")
    if weights.suffix == GGUF:
        if not own:
            raise ValueError("a .gguf file is streamed as its own codes: write weights: {format: file}")
        return OneGguf.of(weights, stores_scales(study))
    if own:
        return OwnFolder.of(weights, stores_scales(study))
    found = Shards.of(weights, *_format_of(study))
    if quantisation_of(weights) or any(name.endswith(CODES) for name in found.told):
        raise ValueError("its weights are packed, and streamed as their own codes: write weights: {format: file}")
    return found


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
    return form, replace(layout, stored=stores_scales(study))


def _stored(study: Study, model: ModelFiles) -> tuple[str, ...]:
    """The tensors that live in the memory, in file order: those with two axes or more that the study's rule picks."""
    kinds = {name: found.kind for name, found in model.told.items()}
    names = picked(kinds, in_own_names(store_rule(study), list(kinds), model.spellings))
    stored = tuple(n for n, kind in kinds.items() if n in names and kind in ("weight", "embedding"))
    if not stored:
        raise ValueError("no tensor is stored: none with two axes or more is left")
    return stored


def _plan(study: Study, image: StreamedImage, cell: CellView, menu: tac.Menu, pricing: Pricing) -> ProtectionPlan:
    section = study.protection

    def damage(worth: tac.Worth, _: tac.Planning) -> tac.DamageModel:
        if worth == "magnitude" and section.group == "layer":
            return image.damage()
        raise ValueError(
            f"policy {section.policy} by {section.group} needs the network; a stream of tensors takes none, "
            "uniform with a budget, or magnitude by layer"
        )

    budget = budget_of(study, image, menu, Costs.of_weights(pricing, pricing.spent))
    planning = tac.Planning(section.policy, image, cell.channel, menu, budget, section.group, section.way, damage)
    return tac.POLICIES[section.policy](planning).plan.limited(image.absent)


def _folder(folder: Path, model: ModelFiles) -> Path:
    """Where files are written; never where they are read, or where they are linked to from there."""
    there = folder.resolve()
    if any(there in (file.resolve().parent, file.parent.resolve()) for file in model.files):
        raise ValueError(f"{folder} holds the weights that are read; write to another folder")
    claim(folder)
    return folder
