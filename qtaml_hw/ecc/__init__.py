"""Error-correcting codes for weight memories: codes, decoders, residual channels, hardware cost, protection plans."""

from qtaml_hw.ecc.code import Code, Decoded, PackedDecoded
from qtaml_hw.ecc.errors import ErrorOutcome
from qtaml_hw.ecc.hardware import CodecHardware
from qtaml_hw.ecc.layout import WordLayout
from qtaml_hw.ecc.menu import ENTRY_NAMES, MenuEntry, entry, faster_refresh, robust_cell
from qtaml_hw.ecc.plan import ProtectionPlan
from qtaml_hw.ecc.registry import CODE_NAMES, code
from qtaml_hw.ecc.residual import Residual, Transfer

__all__ = [
    "CODE_NAMES", "ENTRY_NAMES", "Code", "CodecHardware", "Decoded", "ErrorOutcome", "MenuEntry", "PackedDecoded",
    "ProtectionPlan", "Residual", "Transfer", "WordLayout", "code", "entry", "faster_refresh", "robust_cell",
]
