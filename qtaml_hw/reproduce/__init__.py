"""Published results re-run: theirs beside ours, with a verdict per claim."""

from qtaml_hw.reproduce.result import ReproductionResult, Row
from qtaml_hw.reproduce.run import NAMES, reproduce

__all__ = ["NAMES", "ReproductionResult", "Row", "reproduce"]
