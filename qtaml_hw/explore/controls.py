"""What can be moved on the bench: a row per slider, its range, and the change of a study that a place on it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from qtaml_hw import units
from qtaml_hw.config import Study
from qtaml_hw.errors import InputError
from qtaml_hw.names import PLANES, canonical_code, is_code_file
from qtaml_hw.protection.table import DEFAULT_CODES

AS_SAID: Final = "as in the study"
CODE, PLANE_COUNT = "protection.menu", "protection.planes"


@dataclass(frozen=True)
class Slider:
    """A number that moves: ``value``, ``low`` and ``high`` in ``unit``, on a logarithmic scale where ``log``."""

    path: str
    title: str
    unit: str
    low: float
    high: float
    log: bool
    value: float

    def written(self, value: float) -> str:
        """A place on it as a study file has it."""
        return f"{value:.6g} {self.unit}".strip()


@dataclass(frozen=True)
class _Row:
    """A slider before a study is known: the SI value is an attribute of the study."""

    path: str
    title: str
    unit: str
    dimension: str
    low: float
    high: float
    log: bool = False


_ROWS: Final = (
    _Row("cell.t_ox", "Oxide thickness t_ox", "nm", "length", 1.0, 3.0),
    _Row("cell.v_dd", "Supply voltage V_dd", "V", "voltage", 0.5, 1.3),
    _Row("cell.temperature", "Temperature", "degC", "temperature", -40.0, 125.0),
    _Row("refresh.interval", "Refresh interval", "us", "time", 0.5, 100_000.0, True),
)


@dataclass(frozen=True)
class Controls:
    """The sliders that a study has, the codes that it may be given, and the planes of its weights."""

    sliders: tuple[Slider, ...]
    codes: tuple[str, ...]
    planes: int

    @classmethod
    def of(cls, study: Study) -> Controls:
        """Sliders of what the study's cell has; its own menu first among the codes."""
        values = {
            "cell.t_ox": study.cell.t_ox_m,
            "cell.v_dd": study.cell.v_dd_v,
            "cell.temperature": study.cell.temperature_k,
            "refresh.interval": study.refresh.shortest_s if study.refresh.on else None,
        }
        made = []
        for row in _ROWS:
            si = values[row.path]
            if si is None or (study.flips.law == "fixed" and row.path != "refresh.interval"):
                continue
            value = _in_unit(float(si), row)
            made.append(
                Slider(row.path, row.title, row.unit, min(row.low, value), max(row.high, value), row.log, value)
            )
        own = [name for name in study.protection.menu if name not in DEFAULT_CODES]
        codes = dict.fromkeys((*own, *DEFAULT_CODES, "ideal"))
        return cls(tuple(made), tuple(codes), PLANES[study.weights.format])

    def changes(self, places: Mapping[str, Any]) -> dict[str, Any]:
        """The changes of the study that places on the sliders are; what stays where it was is no change.

        Raises InputError for what is no control, or no place on one.
        """
        known = {slider.path: slider for slider in self.sliders}
        changes: dict[str, Any] = {}
        for path, place in places.items():
            if path in known:
                slider = known[path]
                if isinstance(place, bool) or not isinstance(place, int | float):
                    raise InputError(f"{path}: {str(place)[:40]!r} is no number in {slider.unit}")
                if abs(place - slider.value) > 1e-6 * abs(slider.value):
                    changes[path] = slider.written(float(place))
            elif path not in (CODE, PLANE_COUNT):
                raise InputError(
                    f"{str(path)[:60]!r} is no control; there are {', '.join([*known, CODE, PLANE_COUNT])}"
                )
        return changes | self._protection(places)

    def _protection(self, places: Mapping[str, Any]) -> dict[str, Any]:
        code, planes = places.get(CODE, AS_SAID), places.get(PLANE_COUNT, 1)
        if code == AS_SAID:
            return {}
        if code not in self.codes:
            raise InputError(f"{str(code)[:40]!r} is none of the codes here: {', '.join(self.codes)}")
        if isinstance(planes, bool) or not isinstance(planes, int) or not 0 <= planes <= self.planes:
            raise InputError(f"{PLANE_COUNT}: {str(planes)[:40]} is no number of planes from 0 to {self.planes}")
        name = code if is_code_file(code) else canonical_code(code)
        return {"protection.policy": "uniform", PLANE_COUNT: planes, CODE: [name]}

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {**asdict(self), "as_said": AS_SAID}


def _in_unit(si: float, row: _Row) -> float:
    """A value in the slider's unit."""
    kind = units.DIMENSIONS[row.dimension]
    offset = units.ZERO_CELSIUS_K if row.unit == "degC" else 0.0
    return float(f"{(si - offset) / kind.units[row.unit]:.9g}")
