"""The words that a study file may use, each once: registries and the checks of a study stand on them.

Plain tuples, rows and Literals, so that a study is checked without importing the code behind a name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, get_args


@dataclass(frozen=True, kw_only=True)
class CellKind:
    """What a kind of cell is to those that do not model it.

    device: its class in ``qtaml_hw.device``; preset: what it stands on without ``cell.preset``; refresh: interval
    without ``refresh``; array: the name of its array in the cost model, ``cell`` being its section; static: it holds
    its state without refresh; destructive_read: a read takes the stored charge, so that the row is written back.
    """

    device: str
    preset: str
    refresh: str
    array: str
    static: bool = False
    destructive_read: bool = False


CELLS: Final[dict[str, CellKind]] = {
    "gain_cell": CellKind(device="GainCell", preset="gain-cell-65nm", refresh="10 us", array="gain{cell.transistors}t"),
    "edram1t1c": CellKind(
        device="Edram1T1C", preset="edram1t1c-65nm-kong2008", refresh="40 us", array="edram", destructive_read=True
    ),
    "sram6t": CellKind(device="Sram6T", preset="sram6t-65nm", refresh="off", array="{cell.array}", static=True),
}
"""Kinds of cells; the first is that of a study without cell. Refresh: 10 us for a gain cell of 1.8 nm at 85 degC
(p = 0.1 at 9.2 us), 40 us for 1T1C (45 us without corruption at 105 degC in 65 nm eDRAM)."""
PRESET_ALIASES: Final = {"edram1t1c-65nm": "edram1t1c-65nm-kong2008"}
"""Older names of presets, whose values are now those of published silicon."""

Law = Literal["retention", "poisson", "fixed", "curve", "voltage"]
SAME_CELLS: Final[tuple[Law, ...]] = ("retention", "curve", "voltage")
"""Laws under which the same weak cells fail at every interval: by the cell's model, as measured, by the supply."""
Tail = Literal["straight", "lognormal"]
"""How a measured curve goes on beyond its points: log p straight over log t, or the normal quantile of p."""
Direction = Literal["symmetric", "1to0", "0to1"]
LeakyState = Literal[0, 1, "both"]
"""The stored value that a cell can lose; both: whichever it holds."""
OnUncorrectable = Literal["raw", "zero", "reload", "sign"]
"""What is made of an ECC word that is flagged: read as it is, as zero, fetched anew from the backing store, or its bits
read as the sign (the top plane) of their weights, which itself is read as it is."""

WriteDevice = Literal["nmos", "pmos"]
LEAKS: Final[dict[str, Direction]] = {"nmos": "1to0", "pmos": "0to1"}
"""Write device -> the loss through it: a stored 1 to ground, a stored 0 to the supply."""
Interleave = Literal["block", "word"]
Placement = Literal["row_major", "plane_separated"]
Port = Literal["bank", "shared"]
RefreshMode = Literal["burst", "staggered"]
Decoders = int | Literal["per_row", "per_bank"]
"""How many decoders of every code stand in a bank: a number, or as many as a row or an access has words of it."""

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
LDPC_BITS: Final = (1024, 16_384)
LDPC_RATES: Final = (0.25, 0.9)
"""Sizes and rates of the long-block codes ``ldpc-N-R``: N bits, a share R of them data."""
CODE_ALIASES: Final = {
    "tmr": "repeat-3",
    "golay": "golay-24-12",
    "parity": "parity-zero",
    "parity-zero-2": "parity-zero",
}
CODE_PREFIXES: Final = {
    "hsiao": "secded",
    "sec-ded": "secded",
    "sec": "hamming",
    "dec-ted": "dected",
    "repetition": "repeat",
}
CODE_FILES: Final = (".json", ".alist")
"""How the path of a parity-check file ends, which is the name of a code too."""

BOUNDS: Final = ("ideal", "shannon")
"""Error-free by assumption, at no price and at the least that any code can have: compared with, never built."""

IN_PLACE: Final = ("in-place-64-57",)
"""Codes that lie inside the weights they guard, which must be within a condition."""

MENU: Final = (*BOUNDS, *CODES, *IN_PLACE, "robust-cell", "refresh-2x", "refresh-4x", "refresh-8x")
"""What can protect a bit plane, as in ``protection.entry(name)``; leaving it unprotected is always possible."""


def is_code_file(name: str) -> bool:
    """Whether a code name is the path of a parity-check file."""
    return name.lower().endswith(CODE_FILES)


def canonical_code(name: str) -> str:
    """The one spelling of a code name: lower case, aliases and older prefixes resolved."""
    text = name.strip().lower().replace("_", "-").replace(" ", "-")
    for old, new in CODE_PREFIXES.items():
        if text.startswith(f"{old}-"):
            text = new + text[len(old) :]
    return CODE_ALIASES.get(text, text)


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
INTEGER_FORMATS: Final = ("int2", "int3", "int4", "int5", "int6", "int7", "int8", "int16")
UNSIGNED_FORMATS: Final = ("uint2", "uint3", "uint4", "uint5", "uint6", "uint7", "uint8")
CODED_FORMATS: Final = (*INTEGER_FORMATS, *POWER_FORMATS)
UNSCALED_FORMATS: Final = ("float16", "bfloat16")
FORMATS: Final = (*CODED_FORMATS, *UNSIGNED_FORMATS, *FLOAT_FORMATS, "binary")
"""Number formats of stored weights, as in ``weights.number_format(name)``; those with integer levels have encodings,
unsigned ones a zero point beside every scale, those of two bytes have no scale."""

BUFFER_FORMATS: Final = ("int8", "int16", "float16", "bfloat16")
"""Number formats of values that a buffer holds."""

REFRESHED: Final = ("always", "outlived", "untouched", "banks")
"""Which rows of a buffer a refresh restores: all; those of values that outlive the interval; those of them that no read
has restored meanwhile; whole banks while they hold such a value."""

CHANNEL_FORMATS: Final = ("cosq",)
"""Formats made for the flips of a study's own cells: no name alone says what their codes are."""
SHARED_FORMATS: Final = {
    "mxfp4": ("e2m1", "group-32-e8m0"),
    "mxfp6-e2m3": ("e2m3", "group-32-e8m0"),
    "mxfp6-e3m2": ("e3m2", "group-32-e8m0"),
    "mxfp8": ("e4m3", "group-32-e8m0"),
    "mxfp8-e5m2": ("e5m2", "group-32-e8m0"),
    "nvfp4": ("e2m1", "group-16-e4m3"),
}
"""Names for a number format and a scale together: OCP Microscaling Formats 1.0, and NVFP4."""
FILE_FORMAT: Final = "file"
"""The codes, scales and formats that the network's own file brings."""

PLANES: Final = {
    **{name: int(name.removeprefix("int").removeprefix("power")) for name in CODED_FORMATS},
    **{name: int(name.removeprefix("uint")) for name in UNSIGNED_FORMATS},
    **dict.fromkeys(("e4m3", "e4m3-ieee", "e3m4", "e5m2"), 8),
    **dict.fromkeys(("e2m3", "e3m2"), 6),
    "e2m1": 4,
    **dict.fromkeys(UNSCALED_FORMATS, 16),
    **dict.fromkeys(("mxfp4", "nvfp4"), 4),
    **dict.fromkeys(("mxfp6-e2m3", "mxfp6-e3m2"), 6),
    **dict.fromkeys(("mxfp8", "mxfp8-e5m2"), 8),
    "binary": 1,
    "cosq": 8,
    FILE_FORMAT: 8,
}
"""Bit planes of a stored weight by number format; of a file's own formats what checks before it is read go by."""

Scale = Literal[
    "per_tensor", "per_channel", "per_channel_log8", "per_input_channel", "group-32", "group-64", "group-128"
]
WIDTH_SCALE: Final[Scale] = "per_channel_log8"
"""Scales of weights whose bits are chosen, where the study does not say which."""
_GROUP: Final = re.compile(r"group-([1-9]\d{0,4})(?:-(e8m0|e4m3))?")
_FIXED_POINT: Final = re.compile(r"q(\d{1,2})\.(\d{1,2})")
_STEP: Final = re.compile(r"step-(?:2\^(-?\d{1,2})|(\d+(?:\.\d+)?(?:e-?\d{1,2})?))")


def fixed_point(name: str) -> tuple[int, int] | None:
    """Whole and fraction bits of a scale ``qM.N``, the sign beside them; None for any other name."""
    match = _FIXED_POINT.fullmatch(name)
    return None if match is None else (int(match[1]), int(match[2]))


def stated_step(name: str) -> float | None:
    """The step of a scale that states it (``qM.N``: 2^-N, ``step-2^-6``, ``step-0.02``); None of the others."""
    if (bits := fixed_point(name)) is not None:
        return 2.0 ** -bits[1]
    match = _STEP.fullmatch(name)
    if match is None:
        return None
    step = 2.0 ** int(match[1]) if match[1] is not None else float(match[2])
    return step if step > 0.0 else None


def grouped(name: str) -> tuple[int, str] | None:
    """Weights of a run and the grid of its scales, of ``group-N``, ``group-N-e8m0``, ``group-N-e4m3``; else None."""
    match = _GROUP.fullmatch(name)
    return None if match is None else (int(match[1]), match[2] or "")


SCALES: Final[tuple[Scale, ...]] = get_args(Scale)
"""Which weights share a scale, as in ``weights.ScaleLayout.of(name)``; groups of other sizes too (``grouped``)."""

Encoding = Literal["twos_complement", "offset_binary", "sign_magnitude", "gray"]
Specials = Literal["saturate", "zero"]
InPlaceCheck = Literal["copy", "parity"]
"""Checks that stand in place of low planes of the same weight."""
MismatchReads = Literal["zero", "and", "or"]
"""What a mismatch of a weight's own checks reads as."""
Beyond = Literal["zero", "bound"]
"""What a value beyond a stated bound reads as."""

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

Transform = Literal["equalise", "activation_scale", "sensitivity_order", "invert_planes"]
TRANSFORMS: Final[tuple[Transform, ...]] = get_args(Transform)
"""Steps before storage, as in ``weights.transforms``."""

Method = Literal["none", "qat", "noise", "relative_noise", "bit_error"]
"""How a network is trained to expect faulty weights, as in ``hardening``."""
STRENGTHS: Final[dict[str, tuple[Method, ...]]] = {"amplitude": ("noise", "relative_noise"), "p": ("bit_error",)}
"""The number that sets how strong a method is -> the methods that have it."""
THROUGH_CODES: Final[tuple[Method, ...]] = ("qat", "bit_error")
"""Methods that train through the stored codes, so that the number format is part of what they are."""

DEVICES: Final = ("auto", "cpu", "cuda", "mps")
"""Where a network computes; but for ``auto`` a number may follow, as in ``cuda:1``."""

METRICS: Final = ("top1", "top5", "agreement", "embedding_cosine", "perplexity", "bits_per_byte")
"""What can be measured, as in ``accelerator.metric(name)``; or a user's own ``package.module:function``."""

LIKELIHOODS: Final = METRICS[4:]
"""Those that see the probability of the right answer: plans go by what a flip does to that, unless a score is named."""

SHARES_OF_IMAGES: Final = METRICS[:3]
"""Those that count images answered right: a test set is a sample, and the score has its sampling error."""

DATA_SETS: Final = ("digits",)
"""The embedded data sets."""

NODES: Final = {"22 nm": 22e-9, "32 nm": 32e-9, "45 nm": 45e-9, "65 nm": 65e-9}
"""Technology nodes for which the array's cost model has fitted figures."""

DEFAULT_NETWORK: Final = "digits-lenet"
DEFAULT_DATA: Final = "digits"


AXES: Final = {
    "t_ox": "cell.t_ox",
    "v_dd": "cell.v_dd",
    "refresh": "refresh.interval",
    "scrub": "scrub.interval",
    "banks": "array.banks",
    "node": "array.node",
    "format": "weights.format",
    "encoding": "weights.encoding",
    "policy": "protection.policy",
    "code": "protection.menu",
    "planes": "protection.planes",
}
"""Short names of the axes of a design's space -> their fields."""


GroupKind = Literal["layer", "channel", "word", "row"]
"""The smallest unit that protection decides alone; a row is one of the memory's."""
Solver = Literal["auto", "greedy", "exact"]
"""How a budget is spent: ``auto`` is exact by layer, where that takes no time, and hull-greedy in smaller groups."""
CorrectionKind = Literal["none", "unbias", "offset", "shrink", "steps", "table", "planes"]
"""Mean correction of what stays unprotected, as in ``tac.decoding.correction``."""
CalibratedKind = Literal["calibrate", "per_chip"]
"""Channels of every layer matched to the clean network's, ``tac.decoding.calibrate``: over drawn chips, or on each."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What a policy is to those that do not plan.

    needs: what has to be at hand beside the weights (unlabelled ``calibration`` inputs, a saved ``plan``);
    unused: fields of ``protection`` that no result of it depends on; planes: takes ``protection.planes`` for a budget;
    protects: False where every bit stays as it is; widths: how many bits a weight has is chosen too, by the policy
    itself or where a budget of stored bits asks for it.
    """

    needs: Literal["nothing", "calibration", "plan"] = "nothing"
    unused: frozenset[str] = frozenset({"score", "output"})
    planes: bool = False
    protects: bool = True
    widths: Literal["never", "asked", "always"] = "never"

    @property
    def spends(self) -> bool:
        """Whether a budget decides anything."""
        return "budget" not in self.unused

    @property
    def scored(self) -> bool:
        """Whether it goes by ``protection.score``."""
        return "score" not in self.unused


_UNSPENT: Final = frozenset({"group", "budget", "planes", "menu", "score", "output", "solver"})
POLICIES: Final[dict[str, Policy]] = {
    "none": Policy(unused=_UNSPENT, protects=False),
    "uniform": Policy(unused=frozenset({"score", "output", "solver"}), planes=True, widths="asked"),
    "magnitude": Policy(),
    "random": Policy(),
    "tac": Policy(needs="calibration", unused=frozenset()),
    "joint": Policy(
        needs="calibration", unused=frozenset({"group", "planes", "score", "output", "solver"}), widths="always"
    ),
    "oracle": Policy(needs="calibration"),
    "plan": Policy(needs="plan", unused=_UNSPENT),
}
"""How protected planes are chosen; the plan itself is made by the row of ``tac.POLICIES``."""

EXPORTS: Final = ("faults", "memory", "weights")
"""What of a chip can be written to files."""
EXPORT_FORMATS: Final = ("npz", "memh")
