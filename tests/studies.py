"""One small study on the embedded digits for all tests, and its design point.

Sections are replaced whole, by their text: ``design(weights="{format: int4}")``; single fields by their dotted path:
``design({"cell.t_ox": "2.0 nm"})``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtaml_hw.config import Study, parse_study
from qtaml_hw.study.design.design import DesignPoint, prepare
from qtaml_hw.study.design.networks.loaded import Networks

SECTIONS = {
    "study": "small",
    "cell": "{t_ox: 1.8 nm, temperature: 85 degC, sigma_t_ox_die: 0 %}",
    "network": "{name: digits-lenet}",
    "data": "{name: digits}",
    "protection": "{policy: none, correction: none}",
    "evaluate": "{at: [1 ms], images: 100, maps: {min: 2, max: 2}}",
}
NETWORKS = Networks()  # loaded once for all tests of a process


def text(**sections: str) -> str:
    """The study's file."""
    return "".join(f"{name}: {content}\n" for name, content in (SECTIONS | sections).items())


def study(changes: Mapping[str, Any] | None = None, **sections: str) -> Study:
    """The study, as read and changed."""
    read = parse_study(text(**sections), name="small.yaml")
    return read.with_(changes) if changes else read


def design(changes: Mapping[str, Any] | None = None, **sections: str) -> DesignPoint:
    """Its design point, prepared."""
    return prepare(study(changes, **sections), NETWORKS)
