"""When a design is good enough, told from the fault maps of chips: in the mean, or for a share of all chips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from qtaml_hw.errors import InputError
from qtaml_hw.records.chips import Yield
from qtaml_hw.records.fields import F
from qtaml_hw.records.interval import fewest_to_keep, fewest_to_show, score_interval, share_interval
from qtaml_hw.records.record import Record
from qtaml_hw.records.sequential import Looks, images_judged
from qtaml_hw.records.summary import summarise


@dataclass(frozen=True)
class Criterion:
    """Good is a design whose mean score keeps a share ``keep`` of the clean one, at every time that is asked for.

    It is shown by the lower end of the 95 % interval of the mean over ``maps`` chips, so that a design that falls
    short is taken for good in at most 2.5 % of samples.  With ``wanted`` good is a design of which that share of all
    chips keeps it, by the lower end of the exact interval of the share.  ``at_end`` : at the last time alone.
    """

    keep: float
    wanted: float | None
    maps: int
    at_end: bool = False

    @classmethod
    def of(cls, keep: float, wanted: float | None, maps: int | None) -> Self:
        """With so many maps as asked for, or as many as it takes to show a design without loss; by itself twice those.

        Raises InputError for shares that are none, and those that no number of maps shows.
        """
        for name, share in (("keep", keep), ("yield", wanted)):
            if share is not None and not 0.0 < share <= 1.0:
                raise InputError(f"{name} {100 * share:g}% is no share: above 0 %, at most 100 %")
        fewest = cls.fewest(keep, wanted)
        if fewest is None:
            kept = f"a mean that keeps {100 * keep:g} % of the clean score"
            what = kept if wanted is None else f"a yield of {100 * wanted:g} %"
            raise InputError(f"no number of fault maps can show {what}")
        return cls(keep, wanted, 2 * fewest if maps is None else max(maps, fewest))

    @classmethod
    def fewest(cls, keep: float, wanted: float | None) -> int | None:
        """Fewest maps that show anything; None: no number does."""
        return fewest_to_keep(keep) if wanted is None else fewest_to_show(wanted)

    @property
    def looks(self) -> Looks | None:
        """On how many images a map is judged; None: on all of them."""
        return None

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
        best = [[*at, *[1.0] * left] for at in scores_by_time(records, self.at_end)]
        return any(score_interval(scores).low < self.target(first) for scores in best)

    def chips(self, records: Sequence[Record]) -> Yield:
        """Chips that keep the share at every time."""
        worst = [min(at) for at in zip(*scores_by_time(records, self.at_end), strict=True)]
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
            "images_judged": images_judged(records),
        }

    def as_dict(self) -> dict[str, Any]:
        """keep, yield (None: of the mean), maps, early (None: from all maps and images)."""
        return {"keep": self.keep, "yield": self.wanted, "maps": self.maps, "early": None}


def scores_by_time(records: Sequence[Record], at_end: bool = False) -> list[list[float]]:
    """Scores of every map, by the time of the read-out; ``at_end`` : of the last one alone."""
    series = [[float(score) for _, score in record[F.score_series]] for record in records]
    return [list(at) for at in zip(*series, strict=True)][-1 if at_end else 0 :]
