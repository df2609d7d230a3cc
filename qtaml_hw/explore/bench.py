"""A study on the bench: closed forms at any place of its sliders, fault maps on request, the study as a file."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final

import numpy as np

from qtaml_hw import protection
from qtaml_hw.config import Point, Study, StudyError, takes_study
from qtaml_hw.config.written import study_text
from qtaml_hw.errors import InputError
from qtaml_hw.explore.controls import Controls
from qtaml_hw.records.fields import F
from qtaml_hw.records.kinds import is_number
from qtaml_hw.records.summary import PointSummary, summarise
from qtaml_hw.records.text import number, percent, scale
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.study.questions.prediction import predict
from qtaml_hw.study.run.engine import run_points

RUNGS: Final = 11  # flip probabilities at which the network's own curve of score against distortion is measured
CURVE_MAPS: Final = 8
_LADDER: Final = (1e-4, 0.4)
_BARE: Final[dict[str, object]] = {
    "flips.law": "fixed",
    "flips.direction": "1to0",
    "refresh.interval": "off",
    "scrub.interval": "off",
    "protection.policy": "none",
    "protection.correction": "none",
    "evaluate.at": ["1 ns"],
    "evaluate.maps": {"min": CURVE_MAPS, "max": CURVE_MAPS},
}
_SHARES: Final = ("0.05", "0.5")


@dataclass(frozen=True)
class Curve:
    """The score that was measured at known predicted distortions, unprotected; both increasing and decreasing in turn.

    ``low``, ``high`` : 95 % intervals of the mean over the maps of each rung.
    """

    distortion: tuple[float, ...]
    score: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def at(self, distortion: float) -> tuple[float, float, float]:
        """(score, low, high), between rungs linear in the logarithm of the distortion; beyond them the end's."""
        x = np.log(np.maximum(self.distortion, 1e-300))
        where = float(np.log(max(distortion, 1e-300)))
        score, low, high = (float(np.interp(where, x, ys)) for ys in (self.score, self.low, self.high))
        return score, low, high


@dataclass(eq=False)
class Bench:
    """One study with its network in memory; closed forms in a tenth of a second, whoever asks.

    Names of what may be moved are ``controls``; ``measured`` are the points that were measured here.
    """

    study: Study
    controls: Controls = field(init=False)
    measured: list[dict[str, Any]] = field(default_factory=list, init=False)
    _networks: Networks = field(default_factory=Networks, init=False)
    _measuring: Networks = field(default_factory=Networks, init=False)  # its own: sliders move meanwhile
    _curve: Curve | None = field(default=None, init=False)
    _lock: Lock = field(default_factory=Lock, init=False)
    _one_by_one: Lock = field(default_factory=Lock, init=False)

    def __post_init__(self) -> None:
        self.controls = Controls.of(self.study)

    def at(self, places: Mapping[str, Any]) -> Study:
        """The study at places of the sliders.

        Raises InputError for places that are none, with every reason.
        """
        changes = self.controls.changes(places)
        try:
            return self.study.with_(changes) if changes else self.study
        except StudyError as error:
            raise InputError("; ".join(problem.message for problem in error.errors)) from error

    def known(self, places: Mapping[str, Any]) -> dict[str, Any]:
        """What is known there in closed form: rows of figures, retention, warnings, the ``--set`` options, the time.

        ``error`` in place of the figures where a design cannot be, with the reason.
        """
        begun = time.perf_counter()
        changes = self.controls.changes(places)
        set_to = [f"{path}={_written(value)}" for path, value in changes.items()]
        try:
            study = self.at(places)
            with self._lock:
                found = predict(study, self._networks)
                error, facts = found.error, found.facts
            figures = [] if error else [*self._predicted(facts), *_figures(facts)]
            retention = _retention(facts)
        except (InputError, ValueError) as refused:
            error, facts, figures, retention = str(refused), {}, [], []
        took = time.perf_counter() - begun
        return {
            "error": error,
            "figures": figures,
            "retention": retention,
            "warnings": list(facts.get(F.warnings, ())),
            "set": set_to,
            "area_mm2": _times(facts.get(F.area_m2), 1e6),
            "energy_uj": _times(facts.get(F.energy_per_inference_j), 1e6),
            "milliseconds": round(1e3 * took, 1),
        }

    def _predicted(self, facts: Mapping[str, Any]) -> list[dict[str, str]]:
        distortion = facts.get(F.predicted_distortion)
        if not is_number(distortion):
            return [_row("Predicted score", "–", "", "no calibration inputs: nothing is predicted")]
        if self._curve is None:
            return [_row("Predicted score", "…", "", "the network's curve is being measured")]
        score, low, high = self._curve.at(distortion)
        how = f"read off {RUNGS} x {CURVE_MAPS} fault maps of this network, unprotected; no correction"
        return [_row("Predicted score", percent(score), "%", f"{percent(low)} to {percent(high)}; {how}")]

    def learn(self) -> None:
        """Measure the network's curve of score against predicted distortion, once; a few dozen fault maps."""
        if self._curve is not None:
            return
        rungs = np.geomspace(*_LADDER, RUNGS)
        points = [Point(f"p = {p:.3g}", {}, self.study.with_({**_BARE, "flips.p": float(f"{p:.4g}")})) for p in rungs]
        with self._one_by_one:
            known = [predict(point.study, self._measuring) for point in points]
            summaries = [summarise(group)[0] for group in run_points(points, None, networks=self._measuring)]
        rows = [
            (float(k.facts[F.predicted_distortion]), s.accuracy)
            for k, s in zip(known, summaries, strict=True)
            if k.error is None and s.error is None and is_number(k.facts.get(F.predicted_distortion))
        ]
        if rows:
            clean = float(summaries[0].facts[F.quantised_score])
            xs, intervals = zip(*rows, strict=True)
            first = 1e-3 * min(x for x in xs if x > 0)
            self._curve = Curve(
                (first, *xs),
                (clean, *_falling([i.mean for i in intervals])),
                (clean, *_falling([i.low for i in intervals])),
                (clean, *_falling([i.high for i in intervals])),
            )

    def measure(self, places: Mapping[str, Any]) -> dict[str, Any]:
        """Fault maps at a place, by the study's own stopping rule; the point is kept in ``measured``.

        Raises InputError where the design cannot be evaluated.
        """
        study = self.at(places)
        changes = self.controls.changes(places)
        label = ", ".join(f"{path.rpartition('.')[2]} {_written(value)}" for path, value in changes.items())
        point = Point(label or "the study", {}, study)
        with self._one_by_one:
            (group,) = run_points([point], None, networks=self._measuring)
        (summary,) = summarise(group)
        if summary.error is not None:
            raise InputError(summary.error)
        self.measured.append(_measured(point.label, summary))
        return self.measured[-1]

    def text(self, places: Mapping[str, Any]) -> str:
        """The study at a place as a file of its own."""
        return study_text(self.at(places))


@takes_study
def bench(study: Study) -> Bench:
    """A study on the bench, its network loaded.

    Raises InputError when the network cannot be loaded.
    """
    made = Bench(study)
    made._networks.load(study)
    return made


def _falling(values: Sequence[float]) -> list[float]:
    """The values, each at most the one before: more distortion is no better."""
    return [float(v) for v in np.minimum.accumulate(values)]


def _measured(label: str, s: PointSummary) -> dict[str, Any]:
    found = s.accuracy
    several = found.maps > 1
    return {
        "label": label,
        "score": 100.0 * found.mean,
        "low": 100.0 * found.low if several else None,
        "high": 100.0 * found.high if several else None,
        "maps": found.maps,
        "area_mm2": _times(s.facts.get(F.area_m2), 1e6),
        "energy_uj": _times(s.facts.get(F.energy_per_inference_j), 1e6),
    }


def _times(value: Any, factor: float) -> float | None:
    return factor * float(value) if is_number(value) else None


def _row(title: str, value: str, unit: str, note: str = "") -> dict[str, str]:
    return {"title": title, "value": value, "unit": unit, "note": note}


def _figures(facts: Mapping[str, Any]) -> list[dict[str, str]]:
    """Flip probabilities, what the code leaves, area, energy, refresh."""
    quantiles = facts.get(F.retention_quantiles_s) or {}
    rows = []
    for share in _SHARES:
        if is_number(seconds := quantiles.get(share)):
            unit = scale([seconds], "s")
            rows.append(_row(f"Retention, {100 * float(share):g} % of cells failed", unit.show(seconds), unit.unit))
    p01, p10 = float(facts[F.p01]), float(facts[F.p10])
    rows.append(_row("p(1→0), p(0→1)", f"{number(p10)}, {number(p01)}", ""))
    menu = [name for name in facts.get(F.menu, ()) if name != "none"]
    if len(menu) == 1 and float(facts.get(F.protected_bits_fraction) or 0.0) > 0.0:
        left = protection.entry(menu[0]).residual_channel(p01, p10)
        note = f"{menu[0]}, {percent(facts.get(F.protected_bits_fraction))} % of the bits protected"
        rows.append(_row("Residual p of protected bits", number(0.5 * sum(left)), "", note))
    for key, ends in (
        (F.area_m2, (F.area_low_m2, F.area_high_m2)),
        (F.energy_per_inference_j, (F.energy_low_j, F.energy_high_j)),
    ):
        unit = scale([facts.get(key)], key.unit)
        band = " to ".join(unit.show(facts.get(end)) for end in ends)
        rows.append(_row(key.heading, unit.show(facts.get(key)), unit.unit, f"band {band}"))
    energy, refresh = facts.get(F.energy_per_inference_j), facts.get(F.refresh_energy_j)
    if is_number(energy) and is_number(refresh) and energy:
        rows.append(_row("Refresh share of the energy", percent(refresh / energy), "%"))
    rows.append(_row("Refresh share of the banks' time", percent(facts.get(F.refresh_bandwidth_share)), "%"))
    rows.append(_row("Predicted distortion", number(facts.get(F.predicted_distortion)), "", "squared logits"))
    return rows


def _retention(facts: Mapping[str, Any]) -> list[tuple[float, float]]:
    """(seconds, share of cells failed), for the curve; nothing for static cells."""
    quantiles = facts.get(F.retention_quantiles_s) or {}
    pairs = [(float(t), float(share)) for share, t in quantiles.items() if is_number(t) and t > 0]
    return sorted(pairs, key=lambda pair: pair[1])


def _written(value: Any) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value)
