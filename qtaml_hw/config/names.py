"""The names a study file may use for things that live in other parts of the package.

Kept here as plain tuples, so that a study is checked without importing the code behind a name; a test holds each
table against the registry it mirrors.
"""

from __future__ import annotations

from typing import Final

CODES: Final = (
    "secded-8-4",
    "secded-13-8",
    "secded-22-16",
    "secded-39-32",
    "secded-72-64",
    "secded-137-128",
    "dected-45-32",
    "dected-79-64",
    "bch-63-51",
    "bch-63-45",
    "bch-127-64",
    "golay-24-12",
    "repeat-3",
    "repeat-5",
)
"""Correcting codes, as in ``ecc.code(name)``: family-n-k."""

MENU: Final = ("ideal", *CODES, "parity-zero", "robust-cell")
"""What can protect a bit plane, as in ``ecc.entry(name)``; leaving it unprotected is always possible."""

NETWORKS: Final = ("digits-lenet", "digits-vgg", "digits-resnet", "digits-mobilenet", "digits-transformer")
"""The embedded networks."""

DATA_SETS: Final = ("digits",)
"""The embedded data sets."""

NODES: Final = {"22 nm": 22e-9, "32 nm": 32e-9, "45 nm": 45e-9, "65 nm": 65e-9}
"""Technology nodes for which the array's cost model has fitted figures."""

DEFAULT_NETWORK: Final = "digits-lenet"
DEFAULT_DATA: Final = "digits"
