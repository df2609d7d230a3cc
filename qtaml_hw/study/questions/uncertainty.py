"""How far off an input may be: as the user states it, as its preset states it, else a tenth of its value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from qtaml_hw.config import Study
from qtaml_hw.config.reading.fields import FieldSpec, catalogue, value_at
from qtaml_hw.config.reading.presets import Presettable, preset
from qtaml_hw.errors import InputError
from qtaml_hw.units import parse, split

SHARE: Final = 0.10
STEPS: Final = {"temperature": 10.0}  # K: a tenth of an absolute temperature is no tolerance anybody has
PRICED: Final = ("cell.v_dd", "cell.temperature")  # these decide energy and leakage too
SECTIONS: Final = ("cell.", "refresh.", "scrub.", "flips.")


@dataclass(frozen=True)
class Input:
    """A numeric physical input: its value and how far it may be off, in SI, and who says so."""

    path: str
    value: float
    step: float
    dimension: str
    source: str


def inputs(study: Study, steps: Mapping[str, float]) -> list[Input]:
    """Every numeric physical input of the study that is not zero.

    ``steps`` : uncertainties in SI by path that go before those of the preset, and those before 10 % (10 K).

    Raises InputError for an uncertainty of something that is no such input.
    """
    listed_inputs = []
    named: tuple[tuple[Presettable, str | None], ...] = (("cell", study.cell.preset), ("flips", study.flips.preset))
    known = {
        path: (width, f"{name}: {why}")
        for section, name in named
        if name is not None
        for path, (width, why) in preset(section, name).uncertainties.items()
    }
    for path, spec in catalogue(type(study), study.cell.kind).items():
        value = _value(study, path, spec)
        if value is None or spec.quantity is None:
            continue
        dimension = spec.quantity.dimension
        if path in steps:
            step, source = steps[path], "stated"
        elif path in known:
            text, why = known[path]
            step, source = _step(spec, text, value), why
        else:
            step, source = STEPS.get(dimension, SHARE * abs(value)), "assumed"
        listed_inputs.append(Input(path, value, step, dimension, source))
    unknown = sorted(set(steps) - {one.path for one in listed_inputs})
    if unknown:
        listed = ", ".join(one.path for one in listed_inputs)
        raise InputError(f"{unknown[0]} is no numeric input of this study; there are {listed}")
    return listed_inputs


def stated(study: Study, texts: Sequence[str]) -> dict[str, float]:
    """Uncertainties in SI by path, from ``cell.t_ox=0.05 nm`` or ``cell.t_ox=3 %``.

    A percentage is a share of the value; of a field that is itself a fraction it is that many per cent.

    Raises InputError for a path without a unit of its own, or a value without one.
    """
    fields, steps = catalogue(type(study), study.cell.kind), dict[str, float]()
    for text in texts:
        path, _, written = (part.strip() for part in text.partition("="))
        spec = fields.get(path)
        value = None if spec is None else _value(study, path, spec)
        if spec is not None and _ignored(study, path):
            raise InputError(f"{path} changes nothing here: the law {study.flips.law} states the flips; see flips")
        if spec is None or value is None:
            raise InputError(f"{text[:80]!r} states no uncertainty; write PATH=VALUE, such as cell.t_ox=0.05nm")
        try:
            step = _step(spec, written, value)
        except ValueError as error:
            raise InputError(f"{path}: {error}") from error
        if not step > 0.0:
            raise InputError(f"{path}: an uncertainty is above 0, got {written}")
        steps[path] = step
    return steps


def _value(study: Study, path: str, spec: FieldSpec) -> float | None:
    """The value in SI of a numeric physical input; None for anything else, and for what is zero or off."""
    if not path.startswith(SECTIONS) or spec.quantity is None or _ignored(study, path):
        return None
    value = value_at(study, path)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and value != 0.0 else None


def _ignored(study: Study, path: str) -> bool:
    """Whether the study states the flips itself, so that what makes cells leak decides nothing."""
    return study.flips.law in ("fixed", "curve", "voltage") and path.startswith("cell.") and path not in PRICED


def _step(spec: FieldSpec, text: str, value: float) -> float:
    """An uncertainty in SI. Raises ValueError."""
    assert spec.quantity is not None
    dimension = spec.quantity.dimension
    if dimension != "fraction" and text.endswith("%"):
        return parse(text, "fraction") * abs(value)
    if dimension == "temperature":
        return float(split(text, dimension)[0])  # one degC of a difference is one K
    return parse(text, dimension)
