"""The buffers of a study: which values they hold, how long, what their cells do to them, what protects them.

A value lives from the end of the layer that wrote it to the end of the layer that reads it last, by the systolic times
of an inference (of ``batch`` inferences that go through the layers together), or as long as the study says.  A cell can
lose its bit over that time, or over a refresh interval where that is shorter.  Every value has a place, whose weak
cells are the same for every inference of a chip; under the law poisson alone every write is a draw.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from qtaml_hw import tac
from qtaml_hw.accelerator.layers import LayerCost
from qtaml_hw.accelerator.served import serving
from qtaml_hw.activations import (
    Counts,
    Fresh,
    Guard,
    Held,
    Kept,
    Numbers,
    Same,
    ValueFaults,
    attention_paid,
    calibrate,
    guard,
    trace,
)
from qtaml_hw.config import Study
from qtaml_hw.config.buffers import WEIGHTS, memories_read
from qtaml_hw.config.place import said_at
from qtaml_hw.config.study import Buffer
from qtaml_hw.faults import MapKey
from qtaml_hw.memory.buffers import Produced, Rates
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.records.fields import F
from qtaml_hw.study.design.buffers.placed import Placed, runs_of
from qtaml_hw.study.design.buffers.planned import Split, ValuePlanning, costs_of
from qtaml_hw.study.design.networks.calibration import Calibration
from qtaml_hw.study.design.protection.protect import Protection
from qtaml_hw.weights import StoredImage
from qtaml_hw.weights.registry import number_format


@dataclass(frozen=True, eq=False)
class HeldBuffer:
    """One buffer: values, where and how long they lie; ``number`` of the first value.

    ``share`` : its part in the budget of the weights, where it has one.
    """

    buffer: Buffer
    kept: tuple[Kept, ...]
    placed: Placed
    number: int
    share: tac.Share | None = None

    @property
    def name(self) -> str:
        """As the study calls it."""
        return self.buffer.section.name

    @property
    def plan(self) -> ProtectionPlan:
        """What protects its values."""
        return self.placed.plan

    def _rates(self, draw: MapKey) -> list[Rates]:
        """How often bits of every value flip on a chip; never where the plan says so and behind the array."""
        rates = self.placed.rates(self.placed.cell.of_chip(draw.seed, draw.map_index))
        found = []
        for one, choice, place in zip(rates, self.plan.choice, self.placed.allocation.places, strict=True):
            never = np.array([self.plan.entries[q].never_flips for q in choice]) | (place.address is None)
            found.append(one.without(never))
        return found

    def _guards(self, v: int, rates: Rates) -> tuple[Guard, ...]:
        """Check cells of a value, as those of its oldest token."""
        values, answer = self.kept[v].tap.values, self.buffer.study.array.on_uncorrectable
        steps = range(rates.readings) if rates.grows else (None,)
        most = np.array([[p.max(axis=0) for p in rates.at(step)] for step in steps]).swapaxes(0, 1)
        coded = [q for q, item in enumerate(self.plan.entries) if item.code is not None and q in self.plan.choice[v]]
        found = (guard(self.plan.entries[q], self.plan.choice[v] == q, values, most, answer) for q in coded)
        return tuple(replace(one, number=number) for number, one in enumerate(found))

    def struck(self, draw: MapKey) -> list[Kept]:
        """The values in one fault map, on the die that the weights of the chip lie on; as written where none flips."""
        rates = self._rates(draw)
        same = None if self.buffer.study.flips.law == "poisson" else self.placed.masks(draw, rates)
        out = []
        for v, one in enumerate(self.kept):
            p01, p10 = rates[v].at()
            starts = range(0, one.tap.values, one.tap.values // len(p01))
            faults: ValueFaults = Fresh(draw, self.number + v, p01, p10, starts, rates[v])
            masks, guards = None if same is None else same[v], self._guards(v, rates[v])
            if masks is not None:
                faults = Same(draw, self.number + v, masks.up, masks.down, self.buffer.section.batch, masks.late)
            out.append(one if faults.still and not guards else replace(one, faults=faults, guards=guards))
        return out

    @property
    def facts(self) -> dict[str, Any]:
        """What a record says of the buffer."""
        plan, rates = self.plan, [one.at() for one in self.placed.rates()]
        return {
            "name": self.name,
            "format": self.kept[0].numbers.form.name,
            "law": self.buffer.study.flips.law,
            "refresh_interval_s": self.buffer.study.refresh.shortest_s,
            "values": [one.tap.name for one in self.kept],
            "numbers": [one.tap.values for one in self.kept],
            "p01": [float(p01.max()) for p01, _ in rates],
            "p10": [float(p10.max()) for _, p10 in rates],
            **self.placed.facts,
            "protected_bits_fraction": plan.protected_bits / plan.stored_bits,
            "parity_bits_fraction": plan.parity_bits / plan.stored_bits,
            "protected_planes": [int(row.astype(bool).sum()) for row in plan.choice],
        }


@dataclass(frozen=True, eq=False)
class Buffers:
    """All buffers of a study on its network.

    ``faulty``: memories whose flips are read; ``split`` : how those of one budget share it, by memory.
    """

    module: nn.Module
    memories: tuple[HeldBuffer, ...]
    faulty: frozenset[str]
    seed: int
    split: dict[str, dict[str, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, study: Study, image: StoredImage, calibration: Calibration, layers: Sequence[LayerCost]) -> Buffers:
        """The values of the study's buffers, calibrated and planned with the weights as written.

        Raises ValueError for values that the network does not have, for memories that
        ``evaluate.faulty`` names and that there are not, and for what a buffer's protection cannot be.
        """
        module, inputs = calibration.served.module, calibration.inputs
        faulty = memories_read(study.evaluate.faulty, [one.section.name for one in study.beside])
        if not study.beside:
            return cls(module, (), faulty, study.evaluate.seed)
        if inputs is None:
            raise ValueError("values of buffers are found on unlabelled calibration inputs, and there are none")
        memories: list[HeldBuffer] = []
        with serving(module, image.decode()):
            for place, buffer in enumerate(study.beside):
                number = sum(len(one.kept) for one in memories)
                with said_at(study, f"buffers.{place}.contents"):
                    kept = _kept(buffer, module, inputs, calibration.names)
                with said_at(study, f"buffers.{place}"):
                    memories.append(_memory(buffer, kept, (place, number), (module, inputs), layers, study))
        return cls(module, tuple(memories), faulty, study.evaluate.seed)

    @property
    def shares(self) -> tuple[tac.Share, ...]:
        """The parts in the budget of the weights that buffers have."""
        return tuple(one.share for one in self.memories if one.share is not None)

    def planned(self, weights: Protection) -> Buffers:
        """The same with the plans of the buffers that share a budget, and how it was split.

        Raises ValueError where check bits of a plan do not fit.
        """
        plans, split, memories = iter(weights.beside), Split.of_weights(weights), list[HeldBuffer]()
        for one in self.memories:
            if one.share is not None:
                plan = next(plans)
                split = split.with_buffer(one.name, one.share, costs_of(one.placed), plan)
                one = replace(one, placed=one.placed.protected(plan))
            memories.append(one)
        return replace(self, memories=tuple(memories), split=split.facts)

    @property
    def weights_faulty(self) -> bool:
        """Whether flips of the weight memory are read."""
        return WEIGHTS in self.faulty

    @contextmanager
    def reading(self, map_index: int | None) -> Iterator[Held]:
        """Passes in the block read values back as the buffers give them in a fault map; None: without a flip."""
        kept: list[Kept] = []
        for one in self.memories:
            strikes = map_index is not None and one.name in self.faulty
            kept += one.struck(MapKey(self.seed, map_index or 0)) if strikes else one.kept
        held = Held(kept)
        if not kept:
            yield held
            return
        with held.hooked(self.module):
            yield held

    def measured(self, held: Held) -> dict[str, Any]:
        """Record fields of one fault map: bits that passes over all inputs read wrong, by buffer, value and plane."""
        if not self.memories:
            return {}
        flips, wrong = {}, {}
        for one in self.memories:
            by_value = [held.counts.get(v.tap.name) or Counts.none(v.numbers.form.planes) for v in one.kept]
            tallies = [counts.totals() for counts in by_value]
            flips[one.name] = {name: sum(tally[name] for tally in tallies) for name in tallies[0]}
            wrong[one.name] = [counts.wrong.tolist() for counts in by_value]
        return {F.buffer_flips: flips, F.buffer_wrong: wrong}

    @property
    def facts(self) -> dict[str, Any]:
        """Record fields of the point."""
        if not self.memories:
            return {}
        split = {str(F.budget_split): self.split} if self.split else {}
        return {F.buffers: [one.facts for one in self.memories], F.faulty: sorted(self.faulty), **split}


def _kept(buffer: Buffer, module: nn.Module, inputs: torch.Tensor, stored: Sequence[str]) -> tuple[Kept, ...]:
    section, weights = buffer.section, buffer.study.weights
    form = number_format(section.format, encoding=weights.encoding, specials=weights.specials)
    try:
        taps = trace(module, inputs[:1], section.contents, stored)
    except ValueError as error:
        raise ValueError(f"buffer {section.name}: {error}") from error
    return calibrate(module, [Kept(tap, Numbers(form, section.scale)) for tap in taps], inputs)


def _memory(
    buffer: Buffer,
    kept: tuple[Kept, ...],
    numbers: tuple[int, int],
    seen: tuple[nn.Module, torch.Tensor],
    layers: Sequence[LayerCost],
    study: Study,
) -> HeldBuffer:
    """``numbers`` : of the buffer, and of its first value among all."""
    tokens = buffer.section.tokens
    by_attention = tokens is not None and tokens.score == "attention"
    scores = attention_paid(seen[0], [one.tap for one in kept], seen[1]) if by_attention else None
    placed = Placed.of(buffer, numbers[0], _produced(kept, layers), layers, study, scores)
    planning = ValuePlanning(placed, kept, *seen)
    if planning.shares:
        return HeldBuffer(buffer, kept, placed, numbers[1], planning.share(study))
    return HeldBuffer(buffer, kept, placed.protected(planning.plan()), numbers[1])


def _produced(kept: Sequence[Kept], layers: Sequence[LayerCost]) -> list[Produced]:
    """The values as the schedule takes them; a layer that is none of the accelerator's ends with the inference.

    What no later layer reads is there while the layer that makes it runs, from its begin on.
    """
    taps = [one.tap for one in kept]
    runs = runs_of(layers, [name for tap in taps for name in (tap.written_after, tap.read_last)])
    order = ["", *dict.fromkeys(runs)]
    found = []
    for tap in taps:
        after = tap.written_after if tap.written_after in order else ""
        until = tap.read_last if tap.read_last in order[1:] else runs[-1]
        if order.index(until) <= order.index(after):
            after = order[order.index(after) - 1]
        tokens = tap.shape[0] if tap.side in ("key", "value") else 0
        found.append(Produced(tap.name, tap.values, after, until, until, tokens=tokens))
    return found
