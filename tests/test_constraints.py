"""constraints.txt pins every package that this one can bring along: a test run can be had again."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PIN = re.compile(r"([A-Za-z0-9._-]+)==([A-Za-z0-9._!]+)")


def pinned() -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    found = [PIN.fullmatch(line) for line in lines]
    assert all(found), "a line is no pin"
    return {canonicalize_name(match[1]): match[2] for match in found if match}


def named() -> list[Requirement]:
    """What pyproject.toml asks for: to run, in every extra, and to build."""
    facts = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = facts["project"]["optional-dependencies"].values()
    return [
        Requirement(text) for text in sum(extras, facts["project"]["dependencies"] + facts["build-system"]["requires"])
    ]


def test_every_package_is_pinned_to_a_version_that_its_range_allows() -> None:
    pins, seen, waiting = pinned(), set[tuple[str, str]](), [(one, "") for one in named()]
    ranges = {canonicalize_name(one.name): one.specifier for one, _ in waiting}
    assert not [name for name, allowed in ranges.items() if pins.get(name, "0") not in allowed]
    while waiting:
        one, extra = waiting.pop()
        name = canonicalize_name(one.name)
        if (one.marker is not None and not one.marker.evaluate({"extra": extra})) or (name, extra) in seen:
            continue
        seen.add((name, extra))
        assert name in pins, f"{name} is not pinned in constraints.txt"
        try:
            needed = [Requirement(text) for text in requires(one.name) or ()]
        except PackageNotFoundError:  # of an extra that is not installed here
            continue
        waiting += [(need, own) for need in needed for own in (*one.extras, "")]
