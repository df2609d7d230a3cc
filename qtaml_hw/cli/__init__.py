"""The command line: arguments in, a call of the scripting face, its answer as a table or as JSON out."""

from qtaml_hw.cli.app import main

__all__ = ["main"]
