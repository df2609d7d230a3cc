"""Buffers that cannot be, at the command line: one message, exit code 2, nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import call
from tests.studies import text

BAD = {
    "contents: conv9": "buffers[0].contents: buffer a: no module 'conv9' in the network; did you mean 'conv",
    "contents: conv1, array: {capacity: 2048 bit, banks: 1}": "the buffer of 256 words has no room for it",
    "contents: conv1, protection: {policy: uniform, planes: 12}": "buffers[0].protection.planes: 12 planes",
    "contents: conv1, lifetime: 0 s": "buffers[0].lifetime: 0 s is out of range; allowed: above 0 s",
    "contents: conv1, lifetime: -1 us": "buffers[0].lifetime",
    "contents: conv1, flips: {law: fixed, p: 1 %, structure: {kind: row_burst, length: 4}}": (
        "buffers[0].flips.structure: cells of a buffer fail one by one"
    ),
}


@pytest.mark.parametrize("own", BAD)
def test_a_buffer_that_cannot_be_is_one_message_and_exit_2(
    own: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "study.yaml", tmp_path / "out"
    file.write_text(text(buffers=f"[{{name: a, {own}}}]"), encoding="utf-8")
    assert call(monkeypatch, "run", file, "--out", out, "-q") == 2
    captured = capsys.readouterr()
    assert BAD[own] in captured.err
    assert f"study.yaml:{file.read_text(encoding='utf-8').split('buffers:')[0].count(chr(10)) + 1}:" in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert not out.exists()
