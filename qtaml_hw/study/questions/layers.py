"""Which layer breaks first: flips in one layer at a time, all others as they were written, beside what is predicted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qtaml_hw import tac
from qtaml_hw.arrays import Float32, Float64
from qtaml_hw.config import Study, takes_study
from qtaml_hw.progress import Progress, silent
from qtaml_hw.records.chips import share_changed
from qtaml_hw.records.fields import F
from qtaml_hw.records.interval import Interval, narrow_enough, score_interval
from qtaml_hw.records.results import Answer
from qtaml_hw.study.design.design import DesignPoint, prepare
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.weights import Codes


@dataclass(frozen=True, eq=False)
class Layers(Answer):
    """Rows by layer, the one whose flips cost most first; ``together``: the score with flips in all of them.

    ``clean`` and ``quantised``: the score with the network's own weights, and with the stored ones without a flip.
    """

    metric: str
    clean: float
    quantised: float
    together: Interval
    rows: tuple[dict[str, Any], ...]

    def as_dict(self) -> dict[str, Any]:
        """metric, clean_accuracy, quantised_accuracy, together{score_mean, ..}, layers[{name, score_mean, ..}]."""
        return {
            "metric": self.metric,
            "clean_accuracy": self.clean,
            "quantised_accuracy": self.quantised,
            "together": _ends(self.together),
            "layers": list(self.rows),
        }


@takes_study
def layers(study: Study, *, progress: Progress = silent) -> Layers:
    """The score with flips in one stored tensor at a time, over the study's fault maps, and with flips in all.

    What flips is what a chip reads wrong at the last time of ``evaluate.at`` after the study's own protection and
    correction: the same fault maps as those of ``run``, so that layers are paired.  Each layer takes as many maps as
    the study's stopping rule asks of it.  Rows: name, weights, score_mean, ci95_low, ci95_high, maps, harm (what the
    mean loses to that without a flip), flips (bits read wrong per map), ``predicted`` (the layer's part of the
    predicted output distortion, first order in the Jacobian, squared logits; None without calibration inputs).

    Raises InputError when the network cannot be loaded or the study cannot be built.
    """
    networks = Networks(progress)
    design = prepare(study, networks)
    predicted = predicted_by_layer(design, networks)
    names, sizes = design.image.names, np.diff(design.image.tensor_starts).tolist()
    series = [_Series(design, name, size) for name, size in zip((*names, ""), (*sizes, sum(sizes)), strict=True)]
    clean, written, index = design.image.decode(), tuple(design.image.codes()), 0
    while wanting := [one for one in series if not one.settled]:
        progress(index, study.evaluate.maps.max, f"{len(wanting)} of {len(series)} layers")
        codes = design.cell.live(design.chip, study.evaluate.seed, index).read_out[-1]
        wrong = [_wrong(read, kept) for read, kept in zip(codes, written, strict=True)]
        decoded = design.protection.decoder.decode(codes)
        for one in wanting:
            hit = dict(zip(names, wrong, strict=True)) if not one.name else {one.name: wrong[names.index(one.name)]}
            one.take(clean, {name: decoded[name] for name, flips in hit.items() if flips}, sum(hit.values()))
        index += 1
    quantised = float(design.facts[F.quantised_score])
    rows = [one.row(quantised, value) for one, value in zip(series, predicted, strict=False)]
    rows.sort(key=lambda row: (-row["harm"], -(row["predicted"] or 0.0)))
    return Layers(
        study.evaluate.metric, float(design.facts[F.clean_score]), quantised, series[-1].interval, tuple(rows)
    )


@dataclass(eq=False)
class _Series:
    """The scores of one layer's fault maps; without a name those of all layers together."""

    design: DesignPoint
    name: str
    weights: int
    scores: list[float] = field(default_factory=list)
    flips: int = 0

    def take(self, clean: Mapping[str, Float32], faulty: Mapping[str, Float32], flips: int) -> None:
        """One more map: the score with these tensors faulty and the others clean."""
        self.flips += flips
        quantised = float(self.design.facts[F.quantised_score])
        self.scores.append(self.design.network.score({**clean, **faulty}) if faulty else quantised)

    @property
    def settled(self) -> bool:
        rule = self.design.study.evaluate.maps
        return narrow_enough(self.scores, rule.min, rule.max, rule.ci95_halfwidth, self._changed)

    @property
    def interval(self) -> Interval:
        return score_interval(self.scores, self._changed)

    @property
    def _changed(self) -> float:
        """As of a whole chip (see ``share_changed``), of the bits of this layer alone."""
        bits = self.weights * self.design.image.planes
        return share_changed({**self.design.facts, F.stored_bits: bits}, self.flips)

    def row(self, quantised: float, predicted: float | None) -> dict[str, Any]:
        found = self.interval
        return {
            "name": self.name,
            "weights": self.weights,
            **_ends(found),
            "harm": quantised - found.mean,
            "flips": self.flips / len(self.scores),
            "predicted": predicted,
        }


def predicted_by_layer(design: DesignPoint, networks: Networks) -> list[float | None]:
    """Every stored tensor's part of the predicted distortion, in the image's order; None without calibration."""
    calibration = networks.load(design.study).calibration
    if calibration.inputs is None:
        return [None] * len(design.image.names)
    plan = design.protection.plan
    by_group = _of_groups(calibration.damage_at(design.image, plan.starts), design)
    first = np.searchsorted(plan.starts, design.image.tensor_starts[:-1])
    return [float(part) for part in np.add.reduceat(by_group, first)]


def _of_groups(damage: tac.DamageModel, design: DesignPoint) -> Float64:
    residual = design.protection.plan.residual(design.protection.channel)
    return np.asarray(damage.distortion(*residual).sum(axis=1))


def _wrong(read: Codes, written: Codes) -> int:
    """Bits that differ."""
    return int(np.unpackbits((read ^ written).view(np.uint8)).sum())


def _ends(found: Interval) -> dict[str, Any]:
    return {"score_mean": found.mean, "ci95_low": found.low, "ci95_high": found.high, "maps": found.maps}
