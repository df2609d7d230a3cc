"""Right answers of one network under one channel, each kept once: by the plan's own content and the fault map."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from qtaml_hw.accelerator.metric import right_answers
from qtaml_hw.arrays import Bool, Float32
from qtaml_hw.channel import FlipChannel
from qtaml_hw.memory import ArrayGeometry, Cells, FixedCells, Memory, Schedule
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.records.fields import F
from qtaml_hw.records.record import Record
from qtaml_hw.records.store import ShardWriter, read_records
from qtaml_hw.reproduce.flips import FixedFlips
from qtaml_hw.study.design.networks.network import StoredNetwork
from qtaml_hw.tac import CorrectionKind, ProtectedImage
from qtaml_hw.weights import Codes

AT_ONCE = Schedule(horizon_s=1e-3, refresh_interval_s=None, sample_times_s=(1e-3,))  # the fixed law knows no time


@dataclass(eq=False)
class AccuracyStore:
    """Finished answers, right or wrong [images], by (identity, map); new ones appended to a store when there is one."""

    known: dict[tuple[str, int], Bool] = field(default_factory=dict)
    writer: ShardWriter | None = None
    measured: int = 0

    def keep(self, key: tuple[str, int], right: Bool, facts: dict[str, Any]) -> Bool:
        """Remember and store the answers of one fault map."""
        self.known[key] = right
        self.measured += 1
        if self.writer is not None:
            scored = {F.identity: key[0], F.map_index: key[1], F.score: float(right.mean())}
            self.writer.append(Record(scored, {**facts, F.right_answers: packed(right), F.images: right.size}))
        return right


def packed(right: Bool) -> str:
    """Right answers as hexadecimal digits, one bit each."""
    return np.packbits(right).tobytes().hex()


def unpacked(text: str, images: int) -> Bool:
    """The other way round, [images]."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), dtype=np.uint8), count=images).astype(bool)


@contextmanager
def accuracy_store(store: Path | None) -> Iterator[AccuracyStore]:
    """Answers resumed from the folder ``store`` and appended to it; in memory without one.

    Raises StoreError when the folder cannot be used.
    """
    if store is None:
        yield AccuracyStore()
        return
    old = read_records(store) if os.path.isdir(store) else []
    known = {r.key: unpacked(r[F.right_answers], r[F.images]) for r in old if not r.failed and F.right_answers in r}
    with ShardWriter(store) as writer:
        yield AccuracyStore(known, writer)


def _stated(channel: FlipChannel) -> Cells:
    """Cells of a channel's probabilities, and of those that it has under another way of keeping planes."""
    return Cells(FixedCells(channel.p01, channel.p10), kept=lambda keeping: _stated(channel.under(keeping)))


@dataclass(eq=False)
class Trial:
    """A stored network under a channel: accuracy of any plan on any fault map.

    ``scale_fraction``: bits of scales beyond one per tensor, over the stored bits.
    """

    stored: StoredNetwork
    channel: FlipChannel
    seed: int
    kept: AccuracyStore
    correction: CorrectionKind = "none"
    facts: dict[str, Any] = field(default_factory=dict)
    scale_fraction: float = 0.0

    @cached_property
    def _flips(self) -> FixedFlips:
        return FixedFlips(self.stored.image, self.channel, self.seed)

    @cached_property
    def _setting(self) -> bytes:
        network, image = self.stored.network, self.stored.image
        h = hashlib.sha256(f"{network.digest}+{image.digest}+{self.seed}+{self.correction}".encode())
        h.update(self.channel.p01.tobytes() + self.channel.p10.tobytes())
        return h.digest()

    @cached_property
    def clean_accuracy(self) -> float:
        """Share of right answers with the weights as trained."""
        return float(self.clean_right.mean())

    @cached_property
    def clean_right(self) -> Bool:
        """Right answers with the weights as trained, [images]."""
        return self._answered(self.stored.network.weights)

    @cached_property
    def quantised_accuracy(self) -> float:
        """Share of right answers without any flip."""
        return self.stored.quantised_score

    def identity(self, plan: ProtectionPlan) -> str:
        """What an accuracy depends on, the fault map aside."""
        h = hashlib.sha256(self._setting)
        h.update("+".join(plan.menu).encode() + plan.starts.tobytes() + plan.choice.tobytes())
        for item in plan.entries:
            if item.keeping is not None:
                left = self.channel.under(item.keeping)
                h.update(left.p01.tobytes() + left.p10.tobytes())
        return h.hexdigest()[:32]

    def accuracy(self, plan: ProtectionPlan, map_index: int, facts: dict[str, Any] | None = None) -> float:
        """Share of right answers on one fault map."""
        return float(self.right(plan, map_index, facts).mean())

    def right(self, plan: ProtectionPlan, map_index: int, facts: dict[str, Any] | None = None) -> Bool:
        """Right answers on one fault map, [images]."""
        key = (self.identity(plan), map_index)
        if key in self.kept.known:
            return self.kept.known[key]
        weights = self._weights(plan, self._read(plan, map_index))
        described = {**self.facts, "protected_bits_fraction": plan.protected_bits_fraction, **(facts or {})}
        return self.kept.keep(key, self._answered(weights), described)

    def _answered(self, weights: Mapping[str, Float32]) -> Bool:
        network = self.stored.network
        return right_answers(network.served.outputs(weights, network.inputs), network.labels.numpy())

    def _read(self, plan: ProtectionPlan, map_index: int) -> list[Codes]:
        """Codes as read: by mask under ideal protection, through the simulated memory where there are words."""
        if all(e.kind == "none" or e.never_flips for e in plan.entries):
            return self._flips.read(plan, map_index)
        image = self.stored.image
        zero = int(image.format.encode(np.zeros(1, dtype=np.int64))[0])
        chip = Memory(tuple(image.codes()), image.planes, plan, ArrayGeometry(), AT_ONCE, zero)
        return list(chip.run(_stated(self.channel), seed=self.seed, map_index=map_index).read_out[-1])

    def _weights(self, plan: ProtectionPlan, codes: list[Codes]) -> Mapping[str, Float32]:
        if self.correction == "none":
            return self.stored.image.decode(codes)
        return ProtectedImage(self.stored.image, plan, self.channel).decoder(self.correction).decode(codes)
