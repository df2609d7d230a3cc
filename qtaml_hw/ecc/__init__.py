"""Error-correcting codes for weight memories: codes, decoders, residual channels, hardware cost, protection plans."""

from qtaml_hw.ecc import synthesis, testbench, verilog
from qtaml_hw.ecc.code import Code, Decoded, PackedDecoded
from qtaml_hw.ecc.errors import ErrorOutcome, draw_errors
from qtaml_hw.ecc.export import to_csv, to_json, to_latex, to_markdown
from qtaml_hw.ecc.hardware import CodecHardware, WriteCost, write_cost
from qtaml_hw.ecc.in_place import clip_for_in_place, decode_in_place, encode_in_place
from qtaml_hw.ecc.layout import WordLayout
from qtaml_hw.ecc.menu import ENTRY_NAMES, MenuEntry, entry, faster_refresh, robust_cell
from qtaml_hw.ecc.parity_file import from_parity_check, load_code
from qtaml_hw.ecc.plan import ProtectionPlan
from qtaml_hw.ecc.registry import CODE_NAMES, code
from qtaml_hw.ecc.residual import Residual, Transfer
from qtaml_hw.ecc.scrub import ScrubHistory, scrub_chain, scrub_simulation
from qtaml_hw.ecc.table import EccRow, PlanRow, overhead_table, plan_table

__all__ = [
    "CODE_NAMES",
    "ENTRY_NAMES",
    "Code",
    "CodecHardware",
    "Decoded",
    "EccRow",
    "ErrorOutcome",
    "MenuEntry",
    "PackedDecoded",
    "PlanRow",
    "ProtectionPlan",
    "Residual",
    "ScrubHistory",
    "Transfer",
    "WordLayout",
    "WriteCost",
    "clip_for_in_place",
    "code",
    "decode_in_place",
    "draw_errors",
    "encode_in_place",
    "entry",
    "faster_refresh",
    "from_parity_check",
    "load_code",
    "overhead_table",
    "plan_table",
    "robust_cell",
    "scrub_chain",
    "scrub_simulation",
    "synthesis",
    "testbench",
    "to_csv",
    "to_json",
    "to_latex",
    "to_markdown",
    "verilog",
    "write_cost",
]
