"""How a command ends when something else goes wrong: one line, a code, and no letter that the terminal cannot show."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from qtaml_hw import run
from qtaml_hw.cli import stores
from qtaml_hw.cli.options import default_folder
from qtaml_hw.config import Problem, StudyError, parse_study
from qtaml_hw.errors import InputError
from qtaml_hw.progress import terminal_progress
from qtaml_hw.records.store import read_records
from tests.cli.conftest import call

STUDY = """
study: "µ-study"
network: digits-mlp
data: digits
protection: {policy: none, correction: none}
evaluate: {at: [1 ms], images: 20, maps: {min: 2, max: 2}}
timeline: {phases: [{label: 界Ω, from: 0 us, to: 1 us}]}
"""


def test_what_nobody_expected_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(folder: Path) -> None:
        raise RecursionError("too\ndeep " * 400)

    monkeypatch.setattr("qtaml_hw.records.archive.store_status", broken)
    assert stores.status is not None
    assert call(monkeypatch, "store", "status", "x") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: RecursionError: too deep too deep")
    assert len(line) < 600
    monkeypatch.setenv("QTAML_HW_TRACEBACK", "1")
    with pytest.raises(RecursionError):
        call(monkeypatch, "store", "status", "x")


def test_an_interruption_says_what_is_kept(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(folder: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("qtaml_hw.records.archive.store_status", interrupted)
    assert call(monkeypatch, "store", "status", "x") == 130
    assert "interrupted; finished maps are kept" in capsys.readouterr().err


def test_ctrl_c_in_a_terminal_says_so(tmp_path: Path) -> None:
    """The whole way: a real process, a real signal, while it waits."""
    waits = "import sys, time; from qtaml_hw import cli; from qtaml_hw.records import archive\n"
    waits += "archive.store_status = lambda folder: (print('ready', flush=True), time.sleep(60))\n"
    waits += "sys.argv = ['qtaml-hw', 'store', 'status', 'x']; cli.main()"
    process = subprocess.Popen([sys.executable, "-c", waits], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error == "interrupted; finished maps are kept, run the same command again to continue\n"


def test_a_terminal_without_the_letters_gets_question_marks(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    command = [sys.executable, "-m", "qtaml_hw.cli", "validate", "study.yaml"]
    for encoding in ("ascii", "latin-1"):
        narrow = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
        done = subprocess.run(command, cwd=tmp_path, env=narrow, capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        assert b"??" in done.stdout
        assert b"Traceback" not in done.stderr


def test_markup_in_a_label_is_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with terminal_progress() as progress:
        progress(1, 2, "[/x] [bold]")
    assert "[/x] [bold]" in shown.getvalue()


def test_the_folder_of_a_study_has_a_name_that_file_systems_take() -> None:
    assert default_folder("界" * 256) == Path("runs") / ("界" * 26)  # 80 bytes hold so many
    assert default_folder("../../etc") == Path("runs/etc")


def test_a_hundred_problems_are_enough() -> None:
    error = StudyError(Problem("a.yaml", line, 1, "x", "wrong") for line in range(1, 301))
    assert len(error.errors) == 101
    assert str(error).splitlines()[-1] == "a.yaml and 200 more problems like these"


LONG = "a" * 300


@pytest.mark.parametrize(
    "section",
    [
        f"network: {{file: {LONG}.onnx}}",
        f"data: {{npz: {LONG}.npz}}",
        f"data: {{idx: {{images: {LONG}, labels: {LONG}}}}}",
        f"protection: {{policy: plan, plan: {LONG}.json}}",
        f"protection: {{policy: uniform, menu: [{LONG}.json]}}",
    ],
)
def test_a_name_that_no_file_can_have_is_a_file_that_is_not_there(
    section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "study.yaml").write_text(f"{section}\n")
    assert call(monkeypatch, "validate", tmp_path / "study.yaml") == 2
    assert "study.yaml:1:" in capsys.readouterr().err


@pytest.mark.parametrize("command", [("report", LONG), ("store", "status", LONG), ("plan-diff", LONG, LONG)])
def test_a_folder_that_cannot_be_is_said(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, *command) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_a_store_that_is_moved_while_it_is_written_is_one_message(tmp_path: Path) -> None:
    """Its records move with it: nothing finished is lost."""
    folder, moved = tmp_path / "store", tmp_path / "moved"
    study = parse_study(STUDY, name="study.yaml")

    def progress(done: int, total: int, what: str) -> None:
        if folder.exists() and any(path.stat().st_size for path in folder.glob("*.jsonl")):
            folder.rename(moved)

    with pytest.raises(InputError, match="cannot write"):
        run(study, store=folder, progress=progress)
    assert len(read_records(moved)) == 2


@pytest.mark.parametrize("command", ["run", "sweep"])
def test_points_are_answered_and_kept_where_their_report_cannot_be_made(
    tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "study.yaml").write_text(STUDY.replace("digits-mlp", "digits-lenet"), encoding="utf-8")
    out = tmp_path / "out"
    monkeypatch.setattr("qtaml_hw.report.write_report", lambda folder, title: 1 / 0)
    for _ in range(2):  # the second time all is there already
        assert call(monkeypatch, command, tmp_path / "study.yaml", "--out", out, "-q") == 1
        said = capsys.readouterr()
        assert "%" in said.out
        assert said.err.splitlines()[-1] == (
            "error: no report (ZeroDivisionError: division by zero); records are kept, "
            f"`qtaml-hw report {out}` makes it"
        )
        assert len(read_records(out)) == 2
    monkeypatch.undo()
    assert call(monkeypatch, "report", out) == 0
    assert (out / "report.html").is_file()
