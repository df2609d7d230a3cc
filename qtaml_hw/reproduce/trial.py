"""Measured accuracies of one network under one channel, each kept once: by the plan's own content and the fault map."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from qtaml_hw.channel import FlipChannel
from qtaml_hw.ecc import ProtectionPlan
from qtaml_hw.reproduce.flips import FixedFlips
from qtaml_hw.reproduce.paths import IDEAL
from qtaml_hw.study.store import Record, ShardWriter, read_records
from qtaml_hw.study.subject import Subject
from qtaml_hw.tac import CorrectionKind, ProtectedImage
from qtaml_hw.weights import Codes


@dataclass(eq=False)
class Ledger:
    """Finished accuracies by (identity, map), new ones appended to a store when there is one."""

    found: dict[tuple[str, int], float] = field(default_factory=dict)
    writer: ShardWriter | None = None
    measured: int = 0

    def keep(self, key: tuple[str, int], accuracy: float, facts: Record) -> float:
        """Remember and store one measured accuracy."""
        self.found[key] = accuracy
        self.measured += 1
        if self.writer is not None:
            self.writer.append({"identity": key[0], "map_index": key[1], "accuracy": accuracy, **facts})
        return accuracy


@contextmanager
def open_ledger(store: Path | None) -> Iterator[Ledger]:
    """A ledger that resumes from the folder ``store`` and continues it; in memory without one.

    Raises StoreError when the folder cannot be used.
    """
    if store is None:
        yield Ledger()
        return
    old = read_records(store) if store.exists() else []
    found = {(str(r["identity"]), int(r["map_index"])): float(r["accuracy"]) for r in old if int(r["map_index"]) >= 0}
    with ShardWriter(store) as writer:
        yield Ledger(found, writer)


@dataclass(eq=False)
class Trial:
    """A stored network under a channel: accuracy of any plan on any fault map."""

    subject: Subject
    channel: FlipChannel
    seed: int
    ledger: Ledger
    correction: CorrectionKind | str = "none"
    facts: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def _flips(self) -> FixedFlips:
        return FixedFlips(self.subject.image, self.channel, self.seed)

    @cached_property
    def _setting(self) -> bytes:
        h = hashlib.sha256(f"{self.subject.digest}+{self.subject.image.digest}+{self.seed}+{self.correction}".encode())
        h.update(self.channel.p01.tobytes() + self.channel.p10.tobytes())
        return h.digest()

    @cached_property
    def clean_accuracy(self) -> float:
        """Share of right answers with the weights as trained."""
        return self.subject.clean_correct / self.subject.images

    @cached_property
    def quantised_accuracy(self) -> float:
        """Share of right answers without any flip."""
        return self.subject.quantised_correct / self.subject.images

    def identity(self, plan: ProtectionPlan) -> str:
        """What an accuracy depends on, the fault map aside."""
        h = hashlib.sha256(self._setting)
        h.update("+".join(plan.menu).encode() + plan.starts.tobytes() + plan.choice.tobytes())
        return h.hexdigest()[:32]

    def accuracy(self, plan: ProtectionPlan, map_index: int, facts: dict[str, Any] | None = None) -> float:
        """Share of right answers on one fault map."""
        key = (self.identity(plan), map_index)
        if key in self.ledger.found:
            return self.ledger.found[key]
        correct = self._correct(plan, self._flips.read(plan, map_index))
        described = {**self.facts, "protected_bits_fraction": plan.protected_bits_fraction, **(facts or {})}
        return self.ledger.keep(key, correct / self.subject.images, described)

    def _correct(self, plan: ProtectionPlan, codes: list[Codes]) -> int:
        subject = self.subject
        if self.correction == "none":
            weights = subject.image.decode(codes)
        else:
            protected = ProtectedImage(subject.image, plan, self.channel, IDEAL)
            weights = _decoder(protected, subject, self.correction).decode(codes)
        return subject.served.correct(weights, subject.inputs, subject.labels)


def _decoder(protected: ProtectedImage, subject: Subject, correction: str) -> Any:
    if correction == "auto":
        return protected.automatic(subject.importance, subject.calibration_outputs)
    return protected.decoder(correction)  # type: ignore[arg-type]
