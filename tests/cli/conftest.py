"""How a command is called in these tests: in this process, with the arguments of a shell."""

from __future__ import annotations

import sys

import pytest

from qtaml_hw import cli


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit code of a command; what it prints is in ``capsys``."""
    monkeypatch.setattr(sys, "argv", ["qtaml-hw", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return int(stopped.value.code or 0)
