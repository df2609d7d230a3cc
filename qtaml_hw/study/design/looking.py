"""A fault map judged on some of the test images: its score without bias from a few, or whether it keeps a share.

Every map has images of its own, drawn in two strata: those that the clean network has right, and those that it has
wrong.  What is counted is thus the difference to the clean network, image by image; the score lies within 0..1, and its
expectation is that on the whole test set.  See ``records.sequential`` for what is told from it, and how surely.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from qtaml_hw.arrays import Int64
from qtaml_hw.config import Study, StudyError
from qtaml_hw.config.place import problem_at
from qtaml_hw.records.fields import F
from qtaml_hw.records.record import Record
from qtaml_hw.records.sequential import ChipImages, Looks, batch_of, first_batch
from qtaml_hw.study.design.design import DesignPoint
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.study.design.networks.network import Network

_IMAGES_STREAM: Final = 0x696D6773  # keeps the draws of images apart from every other use of (seed, map)


def check_looks(study: Study, networks: Networks) -> None:
    """Raises StudyError for a network whose maps cannot be judged image by image: its metric counts none."""
    network = networks.load(study).network
    if network.clean_right is None:
        message = f"early counts images, and {network.metric.name} counts none here"
        raise StudyError([problem_at(study, "evaluate.verdicts", message)])


def looked(design: DesignPoint, map_index: int, looks: Looks) -> Record:
    """The record of a fault map of a study that ``check_looks`` lets pass, under its design's identity; checked."""
    seed = design.study.evaluate.seed
    read = design.reading.read(seed, map_index)
    order = _order(design.network, seed, map_index)
    scores, judged, keeps = [], 0, True
    for left, codes in zip(reversed(range(len(read.codes))), read.codes, strict=True):
        seen = Seen(design.network, dict(design.weights(codes)), order)
        seen.first()
        scores.append(seen.score)
        if looks.keep is not None and keeps and not (looks.at_end and left):
            keeps = seen.until_told(looks.keep, looks.error)
        judged += seen.images
    more: dict[Any, Any] = {F.judged_images: judged, **({} if looks.keep is None else {F.keeps: keeps})}
    return design.recorded(map_index, read.timeline(), scores, more)


def _order(network: Network, seed: int, map_index: int) -> tuple[Int64, Int64]:
    """Images that the clean network has right, and those that it has wrong, each in a random order of the map."""
    draws = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, map_index, _IMAGES_STREAM))))
    right = np.asarray(network.clean_right)
    return draws.permutation(np.flatnonzero(right)), draws.permutation(np.flatnonzero(~right))


@dataclass(eq=False)
class Seen:
    """What one read-out of a map has answered so far."""

    network: Network
    weights: Mapping[str, Any]
    order: tuple[Int64, Int64]
    seen: int = 0
    losses: int = 0
    others: int = 0
    gains: int = 0
    score: float = field(default=0.0, init=False)

    @property
    def images(self) -> int:
        """Images looked at."""
        return self.seen + self.others

    def first(self) -> None:
        """Look at the first batch, which the score is of."""
        right, wrong = (len(part) for part in self.order)
        self._look(*first_batch(right, wrong))
        kept = right * (1.0 - self.losses / self.seen) if self.seen else 0.0
        gained = wrong * self.gains / self.others if self.others else 0.0
        self.score = min((kept + gained) / (right + wrong), 1.0)

    def until_told(self, keep: float, error: float) -> bool:
        """Look on until it can be told whether the chip keeps the share."""
        right, wrong = (len(part) for part in self.order)
        test, batch = ChipImages.of(right, right + wrong, keep), batch_of(right + wrong)
        while (told := test.keeps(self.seen, self.losses, self.others, self.gains, error)) is None:
            if self.losses >= test.fatal and self.others < wrong:
                self._look(0, batch)
            else:
                self._look(batch, 0)
        return told

    def _look(self, right: int, others: int) -> None:
        """Look at so many more images of either stratum, as far as there are."""
        parts = [
            order[start : start + count]
            for order, start, count in zip(self.order, (self.seen, self.others), (right, others), strict=True)
        ]
        answers = self.network.right(self.weights, np.concatenate(parts))
        self.losses += int(np.count_nonzero(~answers[: len(parts[0])]))
        self.gains += int(np.count_nonzero(answers[len(parts[0]) :]))
        self.seen += len(parts[0])
        self.others += len(parts[1])
