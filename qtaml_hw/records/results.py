"""What the scripting face hands back: plain values with their intervals, units in every name."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from qtaml_hw.errors import nearest
from qtaml_hw.prompt import Rows, Shown, Suggesting
from qtaml_hw.records.chips import Yield
from qtaml_hw.records.fields import F
from qtaml_hw.records.interval import Interval, t_interval
from qtaml_hw.records.measure import measure_of
from qtaml_hw.records.shown import change_rows, point_rows, sweep_rows
from qtaml_hw.records.summary import PointSummary, warnings_of
from qtaml_hw.records.text import count, spelled

if TYPE_CHECKING:
    import pandas
    import xarray


class Answer(Suggesting, Mapping[str, Any]):
    """A frozen answer that reads like its JSON: ``answer["rows"]`` is ``answer.as_dict()["rows"]``."""

    @abstractmethod
    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""

    def __getitem__(self, key: str) -> Any:
        return self.as_dict()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.as_dict())

    def __len__(self) -> int:
        return len(self.as_dict())


@dataclass(frozen=True, eq=False, repr=False)
class Result(Shown):
    """One evaluated design point.  Every fact of the record is an attribute: ``r.area_m2``, ``r.clean_accuracy`` ..."""

    summary: PointSummary
    out: Path | None = None
    report: Path | None = None
    sources: tuple[str, ...] = ()
    report_problem: str = ""

    @property
    def accuracy(self) -> Interval:
        """Accuracy, or another metric's score, at the last time asked for: ``.mean``, ``.ci95``, over ``.maps``."""
        return self.summary.accuracy

    @property
    def score(self) -> Interval:
        """The same under the name that fits every metric."""
        return self.summary.accuracy

    @property
    def clean_accuracy(self) -> float:
        """Score of the network with its own weights, and no flip."""
        return float(self.summary.facts[F.clean_score])

    @property
    def quantised_accuracy(self) -> float:
        """Score of the network with the stored weights, and no flip."""
        return float(self.summary.facts[F.quantised_score])

    @property
    def images_ci95(self) -> tuple[float, float] | None:
        """(low, high) of the accuracy over other test images of the same kind; None where no images are counted."""
        return self.summary.images_ci95

    @property
    def yields(self) -> tuple[Yield, ...]:
        """Chips that keep each share of the clean accuracy that the study asks for: ``.chips``, ``.ci95``."""
        return self.summary.yields

    @property
    def warnings(self) -> tuple[str, ...]:
        """What you may take for granted and should not."""
        return self.summary.warnings

    @property
    def maps(self) -> int:
        """Fault maps that the result stands on."""
        return self.accuracy.maps

    @property
    def identity(self) -> str:
        """What the result is stored under."""
        return self.summary.identity

    def __getattr__(self, name: str) -> Any:
        summary = self.__dict__.get("summary")
        if summary is not None and name in summary.facts:
            return summary.facts[name]
        if summary is not None and name in summary.means:
            return summary.means[name]
        raise AttributeError(f"a result has no {name!r}{nearest(name, dir(self) if summary is not None else ())}")

    def __dir__(self) -> list[str]:
        """Methods, and every field of the record."""
        return sorted({*super().__dir__(), *self.summary.facts, *self.summary.means})

    def _title_and_rows(self) -> tuple[str, Rows]:
        return self._title, point_rows(self.summary)

    @property
    def _title(self) -> str:
        return f"Result of {spelled(self.summary.facts.get(F.label, self.identity), 60)}"

    def as_dict(self) -> dict[str, Any]:
        """JSON-able: every fact, the accuracy with its intervals over chips and over images, yields, mean counts."""
        images = self.images_ci95 or (None, None)
        return {
            **self.score.as_dict("score"),
            **self.accuracy.as_dict("accuracy"),
            **measure_of(self.summary.facts).as_dict(self.accuracy),
            "images_ci95_low": images[0],
            "images_ci95_high": images[1],
            "yields": [found.as_dict() for found in self.yields],
            "clean_accuracy": self.clean_accuracy,
            "quantised_accuracy": self.quantised_accuracy,
            **self.summary.means,
            **self.summary.facts,
            F.warnings: list(self.warnings),
            **({"over_time": self.summary.over_time()} if len(self.summary.series) > 1 else {}),
        }


@dataclass(frozen=True, eq=False, repr=False)
class SweepResult(Suggesting, Shown):
    """All points of a sweep, in sweep order."""

    summaries: tuple[PointSummary, ...]
    out: Path | None = None
    report: Path | None = None
    report_problem: str = ""

    @property
    def done(self) -> int:
        """Points with results."""
        return sum(s.error is None for s in self.summaries)

    @property
    def failed(self) -> int:
        """Points that failed and are recorded as such."""
        return len(self.summaries) - self.done

    @property
    def failures(self) -> tuple[str, ...]:
        """One line per failed point."""
        return tuple(f"{s.facts.get(F.label)}: {s.error}" for s in self.summaries if s.error is not None)

    @property
    def results(self) -> tuple[Result, ...]:
        """The points that succeeded."""
        return tuple(Result(s, self.out) for s in self.summaries if s.error is None)

    @property
    def warnings(self) -> dict[str, list[str]]:
        """Every warning once, with the labels of the points that it touches."""
        return warnings_of(self.summaries)

    def _title_and_rows(self) -> tuple[str, Rows]:
        return self._title, sweep_rows(self.summaries)

    @property
    def _title(self) -> str:
        failed = f", {self.failed} failed" if self.failed else ""
        return f"Sweep of {count(len(self.summaries), 'point')}{failed}"

    def as_dict(self) -> dict[str, Any]:
        """Counts and where the records are."""
        return {
            "points": len(self.summaries),
            "done": self.done,
            "failed": self.failed,
            "out": None if self.out is None else str(self.out),
            "failures": list(self.failures),
        }

    def to_pandas(self) -> pandas.DataFrame:
        """One row per point; needs pandas (``pip install qtaml-hw[frames]``)."""
        import pandas

        return pandas.DataFrame([r.as_dict() for r in self.results])

    def to_xarray(self) -> xarray.Dataset:
        """The numbers of every point over the sweep's axes (in SI) and cases; needs ``pip install qtaml-hw[frames]``.

        What a case alone changes is no axis.  A point that failed, or that the sweep does not have, is NaN.
        """
        import pandas

        places, rows = [], []
        for result in self.results:
            facts, row = result.summary.facts, result.as_dict()
            case = {} if facts.get(F.case) is None else {"case": facts[F.case]}
            places.append({**facts.get(F.axes_si, {}), **case} or {"label": facts[F.label]})
            rows.append({name: value for name, value in row.items() if _number(value) and name not in _NO_QUANTITY})
        axes = pandas.DataFrame(places).dropna(axis="columns")
        frame = pandas.DataFrame(rows, index=pandas.MultiIndex.from_frame(axes))
        found: xarray.Dataset = frame.to_xarray()
        return found


@dataclass(frozen=True, eq=False, repr=False)
class WhatIf(Suggesting, Shown):
    """Before and after a change, and the difference paired over the fault maps that both were measured on."""

    before: Result
    after: Result

    def _title_and_rows(self) -> tuple[str, Rows]:
        return "What if", change_rows(self.before.summary, self.after.summary)

    @property
    def difference(self) -> Interval:
        """Accuracy after minus before, map by map."""
        return paired_difference(self.after.summary.accuracies, self.before.summary.accuracies)

    def _ratio(self) -> dict[str, float | int]:
        """``ratio_mean`` and its ends, of values that are averaged as logarithms; paired over the same maps."""
        found = measure_of(self.before.summary.facts).ratio(
            self.after.summary.accuracies, self.before.summary.accuracies
        )
        return {} if found is None else found.as_dict("ratio")

    def as_dict(self) -> dict[str, Any]:
        """``before``, ``after``, and the ``difference`` of every number, the accuracy's with its paired interval."""
        before, after, paired = self.before.as_dict(), self.after.as_dict(), self.difference
        numbers = {
            name: after[name] - before[name]
            for name in after
            if _number(after[name]) and _number(before.get(name)) and name not in _NO_QUANTITY
        }
        return {
            "before": before,
            "after": after,
            "difference": {
                **numbers,
                **paired.as_dict("score"),
                **paired.as_dict("accuracy"),
                **self._ratio(),
                "ci95": [paired.low, paired.high],
            },
        }


_NO_QUANTITY: Final = ("maps", F.point, F.seed)
"""Numbers of a result that say nothing about its design."""


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def paired_difference(after: Sequence[float], before: Sequence[float]) -> Interval:
    """After minus before, map by map, over the maps that both were measured on."""
    return t_interval([a - b for a, b in zip(after, before, strict=False)], (-1.0, 1.0))
