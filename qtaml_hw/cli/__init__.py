"""The command line."""

from qtaml_hw.cli.app import app, main

__all__ = ["app", "main"]
