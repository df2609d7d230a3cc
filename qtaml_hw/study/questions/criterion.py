"""When a design is good enough, told from the fault maps of chips: in the mean, or for a share of all chips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qtaml_hw.errors import InputError
from qtaml_hw.records.chips import Yield
from qtaml_hw.records.fields import F
from qtaml_hw.records.interval import fewest_to_keep, fewest_to_show, score_interval, share_interval
from qtaml_hw.records.record import Record
from qtaml_hw.records.summary import summarise


@dataclass(frozen=True)
class Criterion:
    """Good is a design whose mean score keeps a share ``keep`` of the clean one, at every time that is asked for.

    It is shown by the lower end of the 95 % interval of the mean over ``maps`` chips, so that a design that falls
    short is taken for good in at most 2.5 % of samples.  With ``wanted`` good is a design of which that share of all
    chips keeps it, by the lower end of the exact interval of the share.
    """

    keep: float
    wanted: float | None
    maps: int

    @classmethod
    def of(cls, keep: float, wanted: float | None, maps: int | None) -> Criterion:
        """With so many maps as asked for, or as many as it takes to show a design without loss; by itself twice those.

        Raises InputError for shares that are none, and those that no number of maps shows.
        """
        for name, share in (("keep", keep), ("yield", wanted)):
            if share is not None and not 0.0 < share <= 1.0:
                raise InputError(f"{name} {100 * share:g}% is no share: above 0 %, at most 100 %")
        if wanted is None:
            fewest, what = fewest_to_keep(keep), f"a mean that keeps {100 * keep:g} % of the clean score"
        else:
            fewest, what = fewest_to_show(wanted), f"a yield of {100 * wanted:g} %"
        if fewest is None:
            raise InputError(f"no number of fault maps can show {what}")
        return cls(keep, wanted, 2 * fewest if maps is None else max(maps, fewest))

    def target(self, record: Record) -> float:
        """The score to keep."""
        return self.keep * float(record[F.clean_score])

    def is_good(self, records: Sequence[Record]) -> bool:
        """Whether the chips drawn, all of them, show it; a design that cannot be measured is not good."""
        if F.error in records[0] or len(records) < self.maps:
            return False
        if self.wanted is not None:
            return self.chips(records).ci95[0] >= self.wanted
        (summary,) = summarise(records)
        return not records[0].get(F.at_chance) and summary.worst[1].low >= self.target(records[0])

    def __call__(self, records: Sequence[Record]) -> bool:
        """Whether the remaining chips cannot make it good, however they score: maps that need not be drawn."""
        first, left = records[0], self.maps - len(records)
        if first.get(F.at_chance):
            return True
        if self.wanted is not None:
            return share_interval(self.chips(records).good + left, self.maps)[0] < self.wanted
        if not any(record.get(F.flips_raw, 1) or record.get(F.flips_parity, 1) for record in records):
            return False  # chips without an error have an interval of their own
        best = [[*at, *[1.0] * left] for at in _by_time(records)]
        return any(score_interval(scores).low < self.target(first) for scores in best)

    def chips(self, records: Sequence[Record]) -> Yield:
        """Chips that keep the share at every time."""
        worst = [min(at) for at in zip(*_by_time(records), strict=True)]
        return Yield.of(worst, self.keep, float(records[0][F.clean_score]))

    def figures(self, records: Sequence[Record]) -> dict[str, Any]:
        """Fields of an answer: the score at its worst time, its margin over what is to be kept, the good chips."""
        (summary,) = summarise(records)
        found, chips = summary.worst[1], self.chips(records)
        return {
            "metric": records[0].get(F.metric),
            "score_mean": found.mean,
            "score_ci95_low": found.low,
            "score_ci95_high": found.high,
            "maps": found.maps,
            "target": self.target(records[0]),
            "clean_accuracy": float(records[0][F.clean_score]),
            "margin": found.low - self.target(records[0]) if self.wanted is None else chips.ci95[0] - self.wanted,
            **chips.as_dict(),
        }

    def as_dict(self) -> dict[str, Any]:
        """keep, yield (None: of the mean), maps."""
        return {"keep": self.keep, "yield": self.wanted, "maps": self.maps}


def _by_time(records: Sequence[Record]) -> list[list[float]]:
    """Scores of every map, by the time of the read-out."""
    series = [[float(score) for _, score in record[F.score_series]] for record in records]
    return [list(at) for at in zip(*series, strict=True)]
