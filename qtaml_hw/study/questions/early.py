"""When a design is good enough, told as soon as it holds: fewer images of every chip, and no more chips than it takes.

The statement is that of ``Criterion``.  For the mean, every chip is judged on a batch of images of its own, and bets on
the chips' scores decide (``records.sequential``): good and bad are each told wrongly in at most 2.5 % of samples (bad:
by each of the times that are asked for), whatever chips are like and whenever it stops.  For a yield, every chip is
judged on as many images as it takes; bad ones that are called good are charged to the share that is to be shown, and
nothing else is left to chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from qtaml_hw.records.chips import Yield
from qtaml_hw.records.fields import F
from qtaml_hw.records.interval import fewest_to_show, share_interval
from qtaml_hw.records.record import Record
from qtaml_hw.records.sequential import (
    CHIP_ERROR,
    ERROR,
    Looks,
    called_share,
    fewest_to_tell,
    images_judged,
    mean_interval,
    out_of_reach,
    share_of_called,
    shown_above,
    shown_below,
)
from qtaml_hw.study.questions.criterion import Criterion, scores_by_time

EARLY: Final = "early"
"""Folder of a store that holds maps judged on some of the test images."""


@dataclass(frozen=True)
class Early(Criterion):
    """The criterion on maps judged by its ``looks``."""

    @classmethod
    def of(cls, keep: float, wanted: float | None, maps: int | None) -> Self:
        """As ``Criterion.of``; for the mean at least twice as many as show a design without loss, few images each."""
        made = super().of(keep, wanted, maps)
        return made if wanted is not None else replace(made, maps=max(made.maps, super().of(keep, None, None).maps))

    @classmethod
    def fewest(cls, keep: float, wanted: float | None) -> int | None:
        """Fewest maps that show anything."""
        return fewest_to_tell(keep) if wanted is None else fewest_to_show(called_share(wanted))

    @property
    def looks(self) -> Looks:
        """On how many images a map is judged."""
        return Looks() if self.wanted is None else Looks(self.keep, at_end=self.at_end)

    def is_good(self, records: Sequence[Record]) -> bool:
        """Whether the chips drawn so far show it; a design that cannot be measured is not good."""
        first = records[0]
        if F.error in first or first.get(F.at_chance):
            return False
        if self.wanted is not None:
            return share_interval(_called(records), self.maps)[0] >= called_share(self.wanted)
        return all(shown_above(scores, self.target(first)) for scores in scores_by_time(records, self.at_end))

    def __call__(self, records: Sequence[Record]) -> bool:
        """Whether no more chips are needed: it is shown, refuted, or out of reach of the chips that remain."""
        first, left = records[0], self.maps - len(records)
        if first.get(F.at_chance):
            return True
        if self.wanted is not None:
            return share_interval(_called(records) + left, self.maps)[0] < called_share(self.wanted)
        target, series = self.target(first), scores_by_time(records, self.at_end)
        lost = any(shown_below(scores, target) or out_of_reach(scores, target, left) for scores in series)
        return lost or self.is_good(records)

    def figures(self, records: Sequence[Record]) -> dict[str, Any]:
        """As ``Criterion.figures``; intervals hold at every stop, and chips are counted for a yield alone."""
        first = records[0]
        found = min(
            (mean_interval(scores) for scores in scores_by_time(records, self.at_end)),
            key=lambda one: (one.low, one.mean),
        )
        return {
            "metric": first.get(F.metric),
            **found.as_dict("score"),
            "target": self.target(first),
            "clean_accuracy": float(first[F.clean_score]),
            "margin": found.low - self.target(first) if self.wanted is None else self._chips(records)[0] - self.wanted,
            **self._yield(records),
            "images_judged": images_judged(records),
        }

    def _chips(self, records: Sequence[Record]) -> tuple[float, float]:
        return share_of_called(_called(records), len(records))

    def _yield(self, records: Sequence[Record]) -> dict[str, Any]:
        if self.wanted is None:
            return {
                "share_of_clean": self.keep,
                **dict.fromkeys(("yield", "yield_ci95_low", "yield_ci95_high", "good")),
            }
        low, high = self._chips(records)
        counted = Yield(self.keep, _called(records), len(records)).as_dict()
        return {**counted, "yield_ci95_low": low, "yield_ci95_high": high}

    def as_dict(self) -> dict[str, Any]:
        """keep, yield, maps; early{error, chip_error}: what is left to chance, on either side."""
        chip = None if self.wanted is None else CHIP_ERROR
        return {**super().as_dict(), "early": {"error": ERROR, "chip_error": chip}}


def _called(records: Sequence[Record]) -> int:
    return sum(bool(record[F.keeps]) for record in records)
