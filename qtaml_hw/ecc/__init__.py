"""Error-correcting codes for weight memories: codes, decoders, residual channels, hardware cost, protection plans."""

from qtaml_hw.ecc.code import Code, Decoded, PackedDecoded
from qtaml_hw.ecc.errors import ErrorOutcome, draw_errors
from qtaml_hw.ecc.hardware import CodecHardware, WriteCost, write_cost
from qtaml_hw.ecc.in_place import clip_for_in_place, decode_in_place, encode_in_place
from qtaml_hw.ecc.parity_file import from_parity_check, load_code
from qtaml_hw.ecc.registry import CODE_NAMES, code
from qtaml_hw.ecc.residual import Residual, Transfer
from qtaml_hw.ecc.rtl import synthesis, testbench, verilog
from qtaml_hw.ecc.scrub import ScrubHistory, scrub_chain, scrub_simulation

__all__ = [
    "CODE_NAMES",
    "Code",
    "CodecHardware",
    "Decoded",
    "ErrorOutcome",
    "PackedDecoded",
    "Residual",
    "ScrubHistory",
    "Transfer",
    "WriteCost",
    "clip_for_in_place",
    "code",
    "decode_in_place",
    "draw_errors",
    "encode_in_place",
    "from_parity_check",
    "load_code",
    "scrub_chain",
    "scrub_simulation",
    "synthesis",
    "testbench",
    "verilog",
    "write_cost",
]
