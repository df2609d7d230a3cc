"""What a sample of chips says beside its mean: how many are good enough, how many can differ at all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from qtaml_hw.names import SHARES_OF_IMAGES
from qtaml_hw.records.fields import F
from qtaml_hw.records.interval import share_interval

KEEP: Final = 0.95  # share of the clean score that a chip should keep, unless a study asks for others


@dataclass(frozen=True)
class Yield:
    """Chips that keep at least ``share`` of the clean score: ``good`` of ``maps``."""

    share: float
    good: int
    maps: int

    @classmethod
    def of(cls, scores: Sequence[float], share: float, clean: float) -> Yield:
        """Counted over the fault maps' scores."""
        return cls(share, sum(score >= share * clean for score in scores), len(scores))

    @property
    def chips(self) -> float:
        """Share of the chips drawn that are good."""
        return self.good / self.maps

    @property
    def ci95(self) -> tuple[float, float]:
        """Clopper and Pearson's 95 % interval of the share of all chips."""
        return share_interval(self.good, self.maps)

    def as_dict(self) -> dict[str, float | int]:
        """share_of_clean, yield, yield_ci95_low, yield_ci95_high, good, maps."""
        low, high = self.ci95
        ends = {"yield": self.chips, "yield_ci95_low": low, "yield_ci95_high": high}
        return {"share_of_clean": self.share, **ends, "good": self.good, "maps": self.maps}


def share_changed(facts: Mapping[str, Any], flips: float) -> float:
    """Largest share of chips that can score otherwise than those drawn, of which ``flips`` bits read wrong.

    Where no bit did, chips with one are at most as many as the wrong bits expected of a chip (Markov's inequality), and
    all others score alike.  1 where a bit read wrong, or the expectation is not known.
    """
    p = [facts.get(F.p01), facts.get(F.p10), facts.get(F.stored_bits)]
    if flips > 0 or None in p:
        return 1.0
    up, down, bits = (float(value or 0.0) for value in p)
    return min(1.0, max(up, down) * bits * (1.0 + float(facts.get(F.parity_bits_fraction) or 0.0)))


def image_sampling(facts: Mapping[str, Any], score: float) -> tuple[float, float] | None:
    """95 % interval of a score over other test images of the same kind; None where the score counts no images.

    Of a language model that over other texts: Student's of the mean negative log-likelihood (``log_score_halfwidth``).

    Clopper and Pearson's, as if every image were right or wrong on all chips alike, which is the widest it can be.
    """
    spread = facts.get(F.log_score_halfwidth)
    if spread is not None:
        return (score * math.exp(-float(spread)), min(score * math.exp(float(spread)), 1.0)) if score else None
    images = int(facts.get(F.images) or 0)
    if images < 1 or str(facts.get(F.metric, "top1")) not in SHARES_OF_IMAGES:
        return None
    return share_interval(round(score * images), images)
