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
    "hamming-7-4",
    "hamming-12-8",
    "hamming-15-11",
    "hamming-31-26",
    "hamming-38-32",
    "hamming-71-64",
    "dected-45-32",
    "dected-79-64",
    "bch-15-7",
    "bch-44-32",
    "bch-63-51",
    "bch-78-64",
    "bch-63-45",
    "bch-127-64",
    "repeat-3",
    "repeat-5",
    "repeat-7",
    "golay-23-12",
    "golay-24-12",
    "parity-zero",
)
"""Codes, as in ``ecc.code(name)``: family-n-k; parity-zero detects and zeroes the weight."""

MENU: Final = ("ideal", *CODES, "robust-cell", "refresh-2x", "refresh-4x", "refresh-8x")
"""What can protect a bit plane, as in ``protection.entry(name)``; leaving it unprotected is always possible."""

FLOAT_FORMATS: Final = (
    "e2m1",
    "e2m3",
    "e3m2",
    "e4m3",
    "e4m3-ieee",
    "e3m4",
    "e5m2",
    "float16",
    "bfloat16",
)
POWER_FORMATS: Final = ("power4", "power5", "power6", "power7", "power8")
CODED_FORMATS: Final = ("int2", "int3", "int4", "int5", "int6", "int7", "int8", "int16", *POWER_FORMATS)
UNSCALED_FORMATS: Final = ("float16", "bfloat16")
FORMATS: Final = (*CODED_FORMATS, *FLOAT_FORMATS, "binary")
"""Number formats of stored weights, as in ``weights.number_format(name)``; those with integer levels have encodings,
those of two bytes have no scale."""

PLANES: Final = {
    **{name: int(name.removeprefix("int").removeprefix("power")) for name in CODED_FORMATS},
    **dict.fromkeys(("e4m3", "e4m3-ieee", "e3m4", "e5m2"), 8),
    **dict.fromkeys(("e2m3", "e3m2"), 6),
    "e2m1": 4,
    **dict.fromkeys(UNSCALED_FORMATS, 16),
    "binary": 1,
}
"""Bit planes of a stored weight by number format."""

SCALES: Final = ("per_tensor", "per_channel", "per_input_channel", "group-32", "group-64", "group-128")
"""Which weights share a scale, as in ``weights.ScaleLayout.of(name)``."""

NETWORKS: Final = (
    "digits-lenet",
    "digits-vgg",
    "digits-resnet",
    "digits-resnet-wide",
    "digits-mobilenet",
    "digits-transformer",
    "digits-mlp",
)
"""The embedded networks, as in ``workloads.network(name)``."""

TRANSFORMS: Final = ("equalise", "activation_scale", "sensitivity_order", "invert_planes")
"""Steps before storage, as in ``weights.transforms``."""

DATA_SETS: Final = ("digits",)
"""The embedded data sets."""

NODES: Final = {"22 nm": 22e-9, "32 nm": 32e-9, "45 nm": 45e-9, "65 nm": 65e-9}
"""Technology nodes for which the array's cost model has fitted figures."""

DEFAULT_NETWORK: Final = "digits-lenet"
DEFAULT_DATA: Final = "digits"
