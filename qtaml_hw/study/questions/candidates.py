"""The designs of a space as they are searched: each priced in closed form, those that are one taken together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.config import Point
from qtaml_hw.config.designs import DesignSpace
from qtaml_hw.config.space import BOUNDS
from qtaml_hw.errors import InputError
from qtaml_hw.progress import Progress
from qtaml_hw.records.fields import F
from qtaml_hw.study.design.screened import Screened, Screening
from qtaml_hw.study.questions.settle import Designs
from qtaml_hw.study.run.task import reason

COSTS: Final = {
    "area": F.area_m2,
    "energy": F.energy_per_inference_j,
    "bits": F.stored_bits_per_weight,
}
"""What can be minimised, by the name that a user gives it."""
_LEAST: Final = 1e-300


@dataclass(frozen=True, eq=False)
class Candidates:
    """``points`` and what is ``known`` of each in closed form, both in the order of the space.

    ``screened`` : how many were priced; ``refused`` : how many cannot be built, by reason; ``alike`` : how many are
    left out because they are what another one is (a policy that buys nothing).
    """

    points: tuple[Point, ...]
    known: tuple[Screened, ...]
    screened: int
    refused: Counter[str] = field(default_factory=Counter)
    alike: int = 0

    def designs(self, minimise: Sequence[str]) -> Designs:
        """As they are settled: codes make a family, for prediction is to first order in what codes leave."""
        costs = [[float(one.facts[COSTS[name]]) for name in minimise] for one in self.known]
        kin = _numbers([one.kin for one in self.known])
        family = _numbers([_family(point, one) for point, one in zip(self.points, self.known, strict=True)])
        return Designs(np.array(costs).reshape(len(self.points), -1), _harm(self.known), kin, family)


def candidates(space: DesignSpace, screening: Screening, progress: Progress, *, bound: bool = False) -> Candidates:
    """All designs of a space, priced; those with what nobody can build only where the ``bound`` is asked for."""
    points, known, seen, refused = list[Point](), list[Screened](), set[tuple[Any, ...]](), Counter(space.refused)
    for number, point in enumerate(space.points):
        progress(number, len(space.points), f"priced: {point.label}")
        section = point.study.protection
        if not bound and section.row.spends and (never := [name for name in section.menu if name in BOUNDS]):
            refused[f"{', '.join(never)} cannot be built"] += 1
            continue
        try:
            found = screening(point.study)
        except (InputError, ValueError) as error:
            refused[reason(error)] += 1
            continue
        key = (found.kin, found.distortion, found.facts[F.p01], found.facts[F.p10], *_costs(found))
        if key not in seen:
            seen.add(key)
            points.append(point)
            known.append(found)
    screened = len(space.points) + sum(space.refused.values()) - sum(refused.values())
    return Candidates(tuple(points), tuple(known), screened, refused, screened - len(points))


def _costs(one: Screened) -> tuple[float, ...]:
    return tuple(float(one.facts[name]) for name in COSTS.values())


def _harm(known: Sequence[Screened]) -> Float64:
    """Logarithm of the predicted distortion; of the flip probability where none of a network is predicted."""
    values = [
        max(float(one.facts[F.p01]), float(one.facts[F.p10])) if one.distortion is None else one.distortion
        for one in known
    ]
    return np.log(np.maximum(np.array(values, dtype=np.float64), _LEAST))


def _family(point: Point, one: Screened) -> tuple[Any, ...]:
    """Cells, format and codes; without a prediction kin alone are compared."""
    if one.distortion is None:
        return ("kin", one.kin)
    section = point.study.protection
    menu = section.menu if section.row.spends else ()
    return (point.study.cell.kind, point.study.weights.format, point.study.weights.encoding, *menu)


def _numbers(keys: Sequence[Any]) -> Int64:
    places = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([places[key] for key in keys], dtype=np.int64)
