"""One design point: prepared once, then one record per fault map."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from qtaml_hw import memory
from qtaml_hw.accelerator.served import on_host
from qtaml_hw.config import Study
from qtaml_hw.errors import InputError
from qtaml_hw.records.fields import F
from qtaml_hw.records.record import Record
from qtaml_hw.study.design.buffers.held import Buffers
from qtaml_hw.study.design.cells.cell import CellView
from qtaml_hw.study.design.cells.timeline import as_written, bank_warnings, map_fields
from qtaml_hw.study.design.contents import Contents, chip_warnings
from qtaml_hw.study.design.networks.hardened import hardening_facts, hardening_warnings
from qtaml_hw.study.design.networks.identity import identity_of
from qtaml_hw.study.design.networks.image import condition_facts, image_facts
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.study.design.networks.network import Network, StoredNetwork
from qtaml_hw.study.design.networks.transforms import Transforms, transform_warnings
from qtaml_hw.study.design.protection.cost import DesignCost
from qtaml_hw.study.design.protection.plan_facts import hurting_codes, idle_switches, plan_warnings, protection_facts
from qtaml_hw.study.design.protection.protect import Protection
from qtaml_hw.study.design.reading import Reading
from qtaml_hw.versions import versions
from qtaml_hw.weights import Codes, StoredImage


@dataclass(frozen=True, eq=False)
class Begun:
    """A fault map on its way: outputs by sample where the network computes, and how to ask for its timeline.

    ``held`` : record fields of the buffers.
    """

    map_index: int
    outputs: Sequence[torch.Tensor]
    timeline: Callable[[], memory.Timeline]
    held: dict[str, Any]

    @property
    def bytes(self) -> int:
        """Memory that its outputs take."""
        return sum(one.nbytes for one in self.outputs)


@dataclass(frozen=True, eq=False)
class DesignPoint:
    """Everything that is the same for all fault maps of a design; it knows no point, label or axis."""

    identity: str
    study: Study
    network: Network
    image: StoredImage
    cell: CellView
    protection: Protection
    chip: memory.Memory
    buffers: Buffers
    facts: Mapping[str, Any]

    def score(self, codes: Sequence[Codes]) -> float:
        """The metric's score, 0..1, of the network with weights decoded from these codes."""
        return self.network.judged(on_host(self._begun(codes)))

    def weights(self, codes: Sequence[Codes | torch.Tensor]) -> Mapping[str, Any]:
        """What the network computes with where these codes are read."""
        if not self.buffers.weights_faulty:
            return self.image.decoded()
        return self.protection.decoder.tensors(codes, self.network.device)

    def _begun(self, codes: Sequence[Codes | torch.Tensor]) -> torch.Tensor:
        return self.network.begun(self.weights(codes))

    @cached_property
    def reading(self) -> Reading:
        """How its fault maps are read."""
        return Reading.of(self.chip, self.cell, self.network.device)

    def record(self, map_index: int) -> Record:
        """Evaluate one fault map; checked before it is returned."""
        return self.finish(self.begin(map_index))

    def begin(self, map_index: int) -> Begun:
        """One fault map on its way to its outputs; a GPU works at several that are begun."""
        read = self.reading.read(self.study.evaluate.seed, map_index)
        outputs = []
        for codes in read.codes:
            with self.buffers.reading(map_index) as held:
                outputs.append(self._begun(codes))
        return Begun(map_index, outputs, read.timeline, self.buffers.measured(held))

    def finish(self, begun: Begun) -> Record:
        """The record of a fault map that was begun; waits for its outputs."""
        scores = [self.network.judged(on_host(one)) for one in begun.outputs]
        return self.recorded(begun.map_index, begun.timeline(), scores, begun.held)

    def recorded(
        self, map_index: int, lived: memory.Timeline, scores: Sequence[float], more: Mapping[Any, Any]
    ) -> Record:
        """The record of a fault map with these scores by time, and ``more`` fields of its own; checked."""
        timeline = lived if self.buffers.weights_faulty else as_written(lived)
        measured: dict[str, Any] = {
            F.map_index: map_index,
            F.correct: round(scores[-1] * self.network.images),
            F.score: scores[-1],
            F.score_series: [list(pair) for pair in zip(timeline.sample_times_s, scores, strict=True)],
            F.flips_raw: int(timeline.flips_data[-1]),
            F.flips_parity: int(timeline.flips_parity[-1]),
            F.flips_residual: int(timeline.flips_read[-1]),
            F.words_corrected: int(timeline.words_corrected[-1]),
            F.words_uncorrectable: int(timeline.words_uncorrectable[-1]),
            **more,
        }
        record = Record.of_map(self.facts, {**measured, **map_fields(timeline), **self.network.measured(scores[-1])})
        record.check()
        return record


def prepare(study: Study, networks: Networks) -> DesignPoint:
    """Load the network, age the cell, plan the protection, price it.

    Raises InputError (a ValueError with a reason a user can act on).
    """
    stored = networks.load(study)
    network = stored.network
    try:
        layers = network.layers(study.accelerator)
        contents = Contents.of(study, stored.image, stored.calibration, layers)
        image, cell, protection = contents.image, contents.cell, contents.protection
        chip, transforms = contents.chip(study), Transforms.of(study, stored, image)
        buffers = contents.buffers or Buffers.of(study, image, stored.calibration, layers)
        cost = DesignCost(study, chip, layers, image, contents.pricing.cost(protection.plan, protection.planned_bits))
        costs = cost.facts
    except ValueError as error:
        raise InputError(str(error)) from error
    identity = identity_of(study, network.digest)
    facts = {
        "identity": identity,
        "study": study.label,
        **_study_facts(study),
        **network.facts,
        **image_facts(study, image, protection.plan),
        **condition_facts(study, network, image),
        F.quantised_score: _quantised(stored, protection.image, buffers),
        **buffers.facts,
        **cell.facts,
        **_class_facts(study, cell),
        **protection_facts(study, image, protection),
        **transforms.facts(cell.channel),
        F.stored_bits_per_weight: cost.price.stored_bits_per_weight,
        **costs,
        "warnings": [
            *cell.warnings,
            *hardening_warnings(study),
            *transform_warnings(study, network.served.module),
            *network.warnings(study.evaluate.images, study.data.take),
            *plan_warnings(study, protection),
            *chip_warnings(study, chip),
            *hurting_codes(protection),
            *idle_switches(study, protection, contents.pricing),
            *cost.warnings,
            *bank_warnings(costs),
        ],
        "versions": dict(versions()),
    }
    known = Record(facts)
    known.fit()
    return DesignPoint(
        identity=identity,
        study=study,
        network=network,
        image=image,
        cell=cell,
        protection=protection,
        chip=chip,
        buffers=buffers,
        facts=known.own,
    )


def _quantised(stored: StoredNetwork, image: StoredImage | None, buffers: Buffers) -> float:
    """Score with the image, and values, as written."""
    if image is None and not buffers.memories:
        return stored.quantised_score
    with buffers.reading(None):
        return stored.network.score((image or stored.image).decoded())


def _class_facts(study: Study, cell: CellView) -> dict[str, Any]:
    """What every class of planes is made of, where they differ."""
    if not study.by_plane:
        return {}
    rows = [
        {
            "planes": list(one.planes),
            "cell_kind": one.study.cell.kind,
            "cell_preset": one.study.cell.preset,
            "law": one.study.flips.law,
            "refresh_interval_s": one.study.refresh.shortest_s,
            "p01": float(cell.channel.p01[list(one.planes)].max()),
            "p10": float(cell.channel.p10[list(one.planes)].max()),
        }
        for one in study.classes
    ]
    return {F.plane_classes: rows}


def _data_name(study: Study) -> str:
    """The data set as a person would name it: its name, its file, its factory."""
    data = study.data
    files = (data.idx and data.idx.images, data.npz and data.npz.path, data.texts)
    return str(data.name or next((f for f in files if f), None) or data.factory)


def _study_facts(study: Study) -> dict[str, Any]:
    """Record fields that the study states and nothing computes; of the top plane's cell where planes differ."""
    intervals_s = [s for one in study.classes for s in one.study.refresh.intervals_s]
    return {
        "data": _data_name(study),
        **hardening_facts(study),
        "cell_kind": study.cell.kind,
        "cell_preset": study.cell.preset,
        "t_ox_m": study.cell.t_ox_m,
        "v_dd_v": study.cell.v_dd_v,
        "temperature_k": study.cell.temperature_k,
        "law": study.flips.law,
        "refresh_interval_s": min((s for s in intervals_s if s is not None), default=None),
        **({"refresh_intervals_s": intervals_s} if len(intervals_s) > 1 else {}),
        "scrub_interval_s": study.scrub.interval_s,
        "at_s": list(study.evaluate.at_s),
        "seed": study.evaluate.seed,
    }
