"""The space section: over what ``design`` looks for the cheapest design, and the axes that it has by itself.

An axis is a dotted field, or one of the names below, with its values; ``policy``, ``code`` and ``planes`` make the ways
to protect together: every policy with every code at every strength.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, get_args

from pydantic import ConfigDict, Field

from qtaml_hw.config.reading.quantities import Section
from qtaml_hw.errors import InputError, unknown
from qtaml_hw.names import AXES, CELLS, NODES, PLANES, POLICIES, Encoding
from qtaml_hw.units import in_si, show

Sections = Any
"""A study, or whatever has its sections."""

PROTECTION: Final = ("policy", "code", "planes")
USUAL: Final = ("refresh", "banks", *PROTECTION)
"""What is varied where neither the study nor the user says: what a designer of the memory decides, the technology
being given."""
BOUNDS: Final = ("ideal", "shannon")
"""Menu entries that nobody can build: the bound of a space, never a design of it."""
POLICY_VALUES: Final = ("none", "uniform", "tac")
CODE_VALUES: Final = (
    *("secded-137-128", "secded-72-64", "secded-39-32", "secded-22-16"),
    *("dected-79-64", "bch-63-45", "bch-127-64", "parity-zero"),
)
PLANE_VALUES: Final = (1, 2, 3, 4)
MIXED: Final = "mixed"
MIXED_PARITY: Final = 0.125  # check bits per data bit of the (72, 64) code: what a plane is worth where codes are mixed


class SpaceSection(Section):
    """Axes by dotted field, or by short name: a list of values, one value, or a range as in a sweep's grid."""

    model_config = ConfigDict(extra="allow")

    cases: tuple[dict[str, Any], ...] = Field((), description="variants written out: a label and its values")
    policy: Any = Field(None, description="policies of protection; the default is none, uniform, tac")
    code: Any = Field(None, description="codes that can be built, one at a time, and for tac all of them as a menu")
    planes: Any = Field(None, description="strengths: top planes of uniform, and as many bits of the other policies")

    @property
    def axes(self) -> dict[str, Any]:
        """What is written, by name; a single value is a list of one."""
        named = {name: getattr(self, name) for name in PROTECTION if getattr(self, name) is not None}
        listed = named | (self.model_extra or {})
        return {name: value if isinstance(value, list | dict) else [value] for name, value in listed.items()}


def field_of(name: str) -> str:
    """The dotted field of an axis."""
    return name if name in PROTECTION else AXES.get(name, name)


def usual_values(name: str, study: Sections) -> list[Any]:
    """What an axis runs over where nobody says, around the values of a study; none where it has no say there.

    Raises InputError for an axis that has no values by itself.
    """
    if field_of(name) not in _USUAL_VALUES:
        raise InputError(f"no values are known for {unknown('axis', name, AXES)}; list them in the study's space")
    return _USUAL_VALUES[field_of(name)](study)


def _around(study: Sections) -> list[str]:
    now_s = study.refresh.shortest_s
    if now_s is None or CELLS[study.cell.kind].static:
        return []
    return [show(now_s * 2.0 ** (step / 2), "time", 3) for step in range(-6, 7)]


_USUAL_VALUES: Final[dict[str, Callable[[Sections], list[Any]]]] = {
    "cell.t_ox": lambda s: [
        show(float(s.cell.t_ox_m) + 1e-9 * step, "length", 4) for step in (-0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2)
    ],
    "cell.v_dd": lambda s: [show(float(s.cell.v_dd_v) * ratio, "voltage") for ratio in (0.8, 0.9, 1.0, 1.1)],
    "refresh.interval": _around,
    "scrub.interval": lambda _: ["off", "1 ms", "10 ms"],
    "array.banks": lambda _: [8, 16, 32, 64],
    "array.node": lambda _: list(NODES),
    "weights.format": lambda _: ["int8", "int6", "int5", "int4"],
    "weights.encoding": lambda _: list(get_args(Encoding)),
    "policy": lambda _: list(POLICY_VALUES),
    "code": lambda _: list(CODE_VALUES),
    "planes": lambda _: list(PLANE_VALUES),
}
"""By field; the spans are assumed: a factor of 64 in refresh, 0.4 nm of oxide, 30 % of supply."""


def protections(axes: Mapping[str, Sequence[Any]], study: Sections, *, bound: bool = False) -> list[dict[str, Any]]:
    """The ways to protect as cases of a sweep, each with a label: the plain ones first.

    ``bound`` : with error-free planes in place of every code.  Raises InputError for codes that nobody can build and
    policies that there are not.
    """
    policies, codes, planes = (axes.get(name) or usual_values(name, study) for name in PROTECTION)
    for policy in policies:
        if policy not in POLICIES or POLICIES[policy].needs == "plan":
            raise InputError(f"space.policy: {unknown('policy', policy, [p for p in POLICIES if p != 'plan'])}")
    for code in codes:
        if code in BOUNDS:
            raise InputError(f"space.code: {code} cannot be built; it is the bound that every answer stands beside")
    codes = list(BOUNDS[:1]) if bound else [str(code) for code in codes]
    found: list[dict[str, Any]] = []
    for policy in policies:
        if not POLICIES[policy].spends:
            found.append({"label": policy, "protection.policy": policy})
            continue
        menus = [[code] for code in codes] + ([codes] if len(codes) > 1 and POLICIES[policy].scored else [])
        found += [_protection(policy, menu, count, study) for menu, count in itertools.product(menus, planes)]
    return found


def _protection(policy: str, menu: list[str], planes: Any, study: Sections) -> dict[str, Any]:
    """One policy with one menu at one strength: ``planes`` of uniform, else as many bits, or their check bits."""
    share = float(planes) / PLANES[study.weights.format]
    strength: dict[str, Any] = {"protection.budget": {"bits": in_si(share, "fraction")}}
    if POLICIES[policy].widths == "always":
        bits = PLANES[study.weights.format] + float(planes) * MIXED_PARITY
        strength = {"protection.budget": {"stored_bits": bits}, "protection.correction": "auto"}
    elif POLICIES[policy].planes:
        strength = {"protection.planes": planes}
    elif len(menu) > 1:
        strength = {"protection.budget": {"parity": in_si(share * MIXED_PARITY, "fraction")}}
    name = menu[0] if len(menu) == 1 else MIXED
    return {
        "label": f"{policy} {name} x{planes}",
        "protection.policy": policy,
        "protection.menu": list(menu),
        **strength,
    }
