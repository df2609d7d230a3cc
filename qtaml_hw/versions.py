"""Which version this is, and the installed versions of what results depend on."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import Final

PACKAGES: Final = ("qtaml-hw", "numpy", "scipy", "numba", "torch", "pydantic", "simpy", "scikit-learn", "matplotlib")


@cache  # of what is installed: it does not change while a process runs
def installed(package: str, otherwise: str = "absent") -> str:
    """The installed version of a package, or ``otherwise``."""
    try:
        return version(package)
    except PackageNotFoundError:
        return otherwise


__version__: Final = installed("qtaml-hw", "0+unknown")
"""Of this program; ``0+unknown`` in a checkout that is not installed."""


@cache
def versions() -> Mapping[str, str]:
    """Python and ``PACKAGES`` with their versions; "absent" where a package is missing."""
    return MappingProxyType({"python": platform.python_version(), **{name: installed(name) for name in PACKAGES}})
