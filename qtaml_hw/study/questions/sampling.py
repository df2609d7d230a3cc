"""Which points of a space too large for all of them to look at: proposed by optuna from what the others gave."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from qtaml_hw.config import Point
from qtaml_hw.config.axes import axes_shown
from qtaml_hw.errors import InputError

Values = tuple[float, ...] | None
_PATIENCE: Final = 5  # proposals per point that is looked at: a sampler repeats itself, and zips have gaps


def sampled(points: Sequence[Point], look: Callable[[int], Values], trials: int, seed: int) -> list[int]:
    """Numbers of the points looked at, in the order of the sweep: at most ``trials``.

    ``look`` : objectives to minimise of a point by its number; None when it has none.  The proposals are those of
    optuna's tree-structured Parzen estimator over the axes as categories, seeded.

    Raises InputError when optuna is not installed.
    """
    optuna = _optuna()
    places = {_key(point): number for number, point in enumerate(points)}
    axes = {path: list(dict.fromkeys(axes_shown(point)[path] for point in points)) for path in axes_shown(points[0])}
    looked: dict[int, Values] = {}
    with _quiet(optuna):
        width = 0
        study: Any = None
        for number in _spread(len(points), min(trials, 2 * len(axes) + 2)):  # the first ones say what an answer is
            looked[number] = look(number)
            width = max(width, len(looked[number] or ()))
        if width == 0:
            return sorted(looked)
        study = optuna.create_study(
            directions=["minimize"] * width, sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True)
        )
        distributions = {path: optuna.distributions.CategoricalDistribution(values) for path, values in axes.items()}
        for number, values in looked.items():
            if values is not None:
                shown = axes_shown(points[number])
                study.add_trial(optuna.trial.create_trial(params=shown, distributions=distributions, values=values))
        for _ in range(_PATIENCE * trials):
            if len(looked) >= min(trials, len(points)):
                break
            trial = study.ask(distributions)
            place = places.get(tuple(trial.params[path] for path in axes))
            if place is not None and place not in looked:
                looked[place] = look(place)
            values = None if place is None else looked[place]
            study.tell(trial, values, state=None if values else optuna.trial.TrialState.FAIL)
    return sorted(looked)


def _key(point: Point) -> tuple[str, ...]:
    return tuple(axes_shown(point).values())


def _spread(count: int, wanted: int) -> list[int]:
    """Numbers below ``count``, evenly spaced, both ends among them."""
    if wanted >= count:
        return list(range(count))
    return sorted({round(i * (count - 1) / max(wanted - 1, 1)) for i in range(wanted)})


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Without optuna's line per trial; its verbosity is as before on exit."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _optuna() -> Any:
    try:
        return importlib.import_module("optuna")
    except ImportError as error:
        raise InputError("a sampled search needs optuna: pip install 'qtaml-hw[search]'") from error
