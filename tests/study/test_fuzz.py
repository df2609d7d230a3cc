"""Mutated study files through the command line: exit 0 or 2, never a traceback."""

from __future__ import annotations

import io
import random
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from qtaml_hw import cli

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
PIECES = (
    "",
    " ",
    "-",
    ":",
    "{",
    "}",
    "[",
    "]",
    "nm",
    "-1",
    "1e999",
    ".nan",
    "~",
    "null",
    "&a",
    "*a",
    "!!python/name:os",
    "\t",
    "é",
    "#",
)


def mutated(text: str, draw: random.Random) -> str:
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(text) + 1)
        text = text[:at] + draw.choice(PIECES) + text[at + draw.choice((0, 0, 1, 5, 40)) :]
    return text


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_study_is_refused_in_words(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw, file = random.Random(seed), tmp_path / "study.yaml"
    for _ in range(60):
        file.write_text(mutated(draw.choice(CONFIGS).read_text(encoding="utf-8"), draw), encoding="utf-8")
        monkeypatch.setattr(sys, "argv", ["qtaml-hw", "validate", str(file), *draw.choice(([], ["--json"]))])
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as stopped:
            cli.main()
        assert stopped.value.code in (None, 0, 2), file.read_text(encoding="utf-8")
        assert "Traceback" not in err.getvalue()
