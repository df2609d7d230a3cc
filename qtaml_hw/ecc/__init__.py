"""Error-correcting codes for weight memories: codes, decoders, residual channels, hardware cost."""

from qtaml_hw.ecc.block import Decoded, PackedDecoded
from qtaml_hw.ecc.capacity import capacity, parity_floor
from qtaml_hw.ecc.code import Code
from qtaml_hw.ecc.errors import ErrorOutcome, draw_errors
from qtaml_hw.ecc.hardware import CodecHardware
from qtaml_hw.ecc.parity_file import from_parity_check, load_code
from qtaml_hw.ecc.registry import CODE_NAMES, code
from qtaml_hw.ecc.residual import Residual
from qtaml_hw.ecc.rtl import synthesis, testbench, verilog
from qtaml_hw.ecc.transfer import Transfer

__all__ = [
    "CODE_NAMES",
    "Code",
    "CodecHardware",
    "Decoded",
    "ErrorOutcome",
    "PackedDecoded",
    "Residual",
    "Transfer",
    "capacity",
    "code",
    "draw_errors",
    "from_parity_check",
    "load_code",
    "parity_floor",
    "synthesis",
    "testbench",
    "verilog",
]
