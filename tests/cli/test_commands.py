"""The command line as a new user meets it: what it prints, what it refuses, what it does not import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer

from qtaml_hw.cli.app import COMMANDS, OnDemand, app
from tests.cli.conftest import call

STUDY = """
study: cli
cell: {t_ox: 1.8 nm, temperature: 85 degC}
network: {name: digits-lenet}
data: {name: digits}
evaluate: {at: [1 ms], images: 50, maps: {min: 2, max: 2}}
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    file = tmp_path / "study.yaml"
    file.write_text(STUDY, encoding="utf-8")
    return file


RUN_KEYS = {
    "accuracy_mean",
    "accuracy_ci95_low",
    "accuracy_ci95_high",
    "maps",
    "clean_accuracy",
    "quantised_accuracy",
    "p01",
    "p10",
    "flips_raw",
    "words_corrected",
    "words_uncorrectable",
    "protected_bits_fraction",
    "parity_bits_fraction",
    "area_m2",
    "energy_per_inference_j",
    "read_latency_s",
    "identity",
    "stored_bits_per_weight",
    "score_mean",
    "warnings",
    "area_low_m2",
    "area_high_m2",
    "refresh_bandwidth_share",
    "throughput_per_s",
}


def test_run_gives_every_promised_key_and_a_report(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    code = call(monkeypatch, "run", study, "-j2", "--set", "protection.policy=tac", "--out", out, "--json", "--quiet")
    assert code == 0
    found = json.loads(capsys.readouterr().out)
    assert found.keys() >= RUN_KEYS
    assert found["maps"] == 2
    assert found["accuracy_ci95_low"] <= found["accuracy_mean"] <= found["accuracy_ci95_high"]
    assert (out / "report.html").stat().st_size > 10_000
    assert call(monkeypatch, "report", out, "--json") == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert {Path(f).suffix for f in files} >= {".html", ".png", ".svg", ".csv"}
    (out / "torn.jsonl").write_text('{"schema": 1}\n{"identity')
    assert call(monkeypatch, "report", out) == 0
    assert "2 broken lines skipped: torn.jsonl:1: without identity" in capsys.readouterr().err
    assert "2 broken lines skipped: torn.jsonl:1" in (out / "report.html").read_text(encoding="utf-8")
    assert call(monkeypatch, "store", "status", out) == 0
    assert "torn.jsonl:2: the line was never finished" in capsys.readouterr().out


def test_the_command_line_starts_as_a_module_and_says_its_version() -> None:
    for arguments, expected in ((["--version"], "qtaml-hw "), (["--help"], "validate")):
        command = [sys.executable, "-m", "qtaml_hw.cli", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        assert expected in done.stdout
    assert "error" not in done.stderr


def test_closed_form_answers(study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "current", "--t-ox", "1.5nm", "--voltage", "1V", "--temperature", "25degC", "--json") == 0
    assert json.loads(capsys.readouterr().out)["j_a_per_m2"] == pytest.approx(13.7e4, rel=0.02)
    assert call(monkeypatch, "retention", study, "--json") == 0
    retention = json.loads(capsys.readouterr().out)
    assert retention["quantiles_s"].keys() == {"1e-6", "1e-3", "0.05", "0.1", "0.5"}
    assert retention["p10"] > 0 == retention["p01"]
    assert call(monkeypatch, "ecc-table", "--p", "0.1", "--codes", "secded-72-64,ideal", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(r["code"], r["hurts"]) for r in rows] == [("secded-72-64", True), ("ideal", False)]
    assert call(monkeypatch, "ecc-table", "--p", "0.1,1e-3", "--p", "0.02", "--codes", "secded-72-64", "--json") == 0
    assert [row["p"] for row in json.loads(capsys.readouterr().out)["rows"]] == [0.1, 1e-3, 0.02]
    for form, mark in (("csv", "secded-72-64,72,64"), ("markdown", "| secded-72-64 | 72, 64"), ("latex", "tabular")):
        assert call(monkeypatch, "ecc-table", "--p", "0.1", "--codes", "secded-72-64", "--format", form) == 0
        assert mark in capsys.readouterr().out
    assert call(monkeypatch, "allocate", study, "--set", "protection.policy=tac", "--json", "--quiet") == 0
    plan = json.loads(capsys.readouterr().out)
    assert {
        "groups",
        "protected_bits_fraction",
        "predicted_distortion",
        "lower_bound",
        "gap",
        "rho_star",
    } <= plan.keys()
    assert all({"group", "weights", "planes"} <= g.keys() for g in plan["groups"])
    assert sum(row["data_bits"] for row in plan["codes"]) == round(
        plan["protected_bits_fraction"] * 8 * sum(g["weights"] for g in plan["groups"])
    )


def test_tables_fit_a_hundred_columns(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (
        ("validate", study),
        ("retention", study),
        ("ecc-table",),
        ("allocate", study, "-q"),
        ("doctor",),
    ):
        assert call(monkeypatch, *arguments) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines
        assert max(map(len, lines)) <= 100 or arguments == ("doctor",)


def test_what_if_needs_a_change_and_pairs_it(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "what-if", study) == 2
    assert "name at least one change" in capsys.readouterr().err
    change = ("--set", "cell.t_ox=1.9nm", "--out", tmp_path / "w", "-q", "--json")
    assert call(monkeypatch, "what-if", study, *change) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["before"]["t_ox_m"] == pytest.approx(1.8e-9)
    assert found["after"]["t_ox_m"] == pytest.approx(1.9e-9)
    assert len(found["difference"]["ci95"]) == 2


BAD_FILES = {
    "cell: {tox: 1 nm}": "t_ox",
    "cell: {t_ox: 1.8}": "unit",
    "cell: {t_ox: 1.8 m}": "1.8 m",
    "cell: {t_ox: -1 nm}": "-1 nm",
    "cell: {v_ref: 1.2 V, v_dd: 1.0 V}": "v_ref",
    "study: a\nstudy: b": "study",
    "- a list": "mapping",
    "sweep: {grid: {cell.tox: [1 nm]}}": "cell.t_ox",
    "cell: {preset: gain-cell-66nm}": "gain-cell-65nm",
    "network: {name: digits-lnet}": "digits-lenet",
    "protection: {menu: [secded-72-46]}": "secded-72-64",
    "": "empty",
    "study: \u03c4\nb\u00e4nke: 3": "bänke",
}


@pytest.mark.parametrize("text", BAD_FILES)
def test_a_bad_file_is_one_message_and_exit_2(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "bad.yaml", tmp_path / "out"
    file.write_text(text, encoding="utf-8")
    for command in (("validate", file), ("run", file, "--out", out, "-q"), ("sweep", file, "--out", out, "-q")):
        assert call(monkeypatch, *command) == 2
        message = capsys.readouterr().err
        assert BAD_FILES[text] in message
        assert "bad.yaml:" in message
        assert "Traceback" not in message
    assert not out.exists()


def test_other_bad_input(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"\x80\x04not safetensors")
    (tmp_path / "mynet.py").write_text("import torch\ndef build(): return torch.nn.Flatten()\n")
    arrays = tmp_path / "data.npz"
    np.savez(arrays, x=np.zeros((3, 8, 8), np.uint8), z=np.zeros(3, np.int64))
    own = ("--set", "network.factory=mynet:build", "--set", "network.weights=weights.safetensors")
    cases = [
        (("validate", tmp_path / "absent.yaml"), "absent.yaml"),
        (("validate", study, "--set", "cell.tox=1nm"), "did you mean 'cell.t_ox'"),
        (("validate", study, "--set", "nonsense"), "nonsense"),
        (("validate", study, "--set", "network.factory=nowhere:build"), "--set network.factory: there is no module"),
        (("what-if", study, "--set", "cell.tox=1nm"), "--set cell.tox: no such field"),
        (("what-if", study, "--set", "cell.t_ox"), "--set cell.t_ox: write it as path=value"),
        (("run", study, "--out", blocked, "-q"), "cannot write results"),
        (("run", study, *own, "--out", tmp_path / "o", "-q"), "safetensors"),
        (("run", study, "--set", "data.npz=data.npz", "--out", tmp_path / "o", "-q"), "no array 'y'"),
        (("current", "--t-ox", "1.5", "--voltage", "1V"), "unit"),
        (("current", "--t-ox", "20nm", "--voltage", "1V"), "20 nm"),
        (("ecc-table", "--codes", "secded-72-46"), "secded-53-46"),
        (("ecc-table", "--codes", "secdec-72-64"), "secded-72-64"),
        (("ecc-table", "--codes", "secded-40-32"), "JSON file with its parity_check"),
        (("ecc-table", "--p", "1.5"), "1.5"),
        (("ecc-table", "--p", "1e-3,many"), "'many' is no number"),
        (("price", study), "--weights N"),
        (("report", tmp_path / "nothing"), "nothing"),
        (("retention", study, "--set", "flips.law=fixed", "--set", "flips.p=0.1"), "fixed"),
    ]
    for arguments, expected in cases:
        assert call(monkeypatch, *arguments) == 2, arguments
        captured = capsys.readouterr()
        assert expected in captured.err, (arguments, captured.err)
        assert "Traceback" not in captured.err
        assert captured.out == ""


def test_a_failed_point_is_exit_3_and_the_rest_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(STUDY + "sweep: {grid: {refresh.interval: [20 ns, 10 us]}}\n", encoding="utf-8")
    assert call(monkeypatch, "sweep", file, "--out", tmp_path / "o", "-q", "--json") == 3
    captured = capsys.readouterr()
    assert json.loads(captured.out)["done"] == json.loads(captured.out)["failed"] == 1
    assert "refresh takes" in captured.err


def test_questions_over_stores_and_points(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fixed = ("--set", "flips.law=fixed", "--set", "flips.p=0.01")
    one, two, both = tmp_path / "one", tmp_path / "two", tmp_path / "both"
    file = tmp_path / "sweep.yaml"
    file.write_text(STUDY + "sweep: {grid: {cell.t_ox: [1.9 nm, 2.0 nm]}}\n", encoding="utf-8")
    for command in (
        ("sweep", file, "--out", one, "-q", "--json"),
        ("sweep", file, "--out", two, "-q", "--json", "--set", "cell.temperature=75 degC"),
        ("store", "status", one, "--json"),
        ("store", "merge", one, two, "--out", both, "--json"),
        ("store", "export", both, "--json"),
        ("compare", one, two, "--json"),
        ("feasible", study, *fixed, "--json", "-q", "--maps", "2"),
        (
            "what-if",
            study,
            "--tornado",
            *fixed,
            "--uncertainty",
            "flips.p=0.002",
            "--json",
            "-q",
            "--out",
            tmp_path / "t",
        ),
        ("design", study, *fixed, "--over", "planes,code", "--keep", "20%", "--out", tmp_path / "d", "--json", "-q"),
        ("layers", study, *fixed, "--out", tmp_path / "l", "--json", "-q"),
        ("search", file, "--objectives", "accuracy,energy", "--out", tmp_path / "s", "--json", "-q"),
    ):
        assert call(monkeypatch, *command) == 0, command
        found = json.loads(capsys.readouterr().out)
        assert found
        if command[0] not in ("sweep", "search"):
            assert call(monkeypatch, *[part for part in command if part != "--json"]) == 0, command
            assert max(map(len, capsys.readouterr().out.splitlines())) <= 100 or command[0] == "store"
    assert (both / "points.csv").is_file()


def test_bad_questions(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    for command, expected in (
        (("store", "status", tmp_path / "nothing"), "there is no store at"),
        (("store", "export", tmp_path / "empty"), "holds no records"),
        (("store", "merge", tmp_path / "nothing", "--out", tmp_path / "o"), "there is no store at"),
        (("compare", tmp_path / "empty"), "at least two stores"),
        (("feasible", study, "--keep", "much"), "--keep"),
        (("feasible", study, "--yield", "120%"), "120%"),
        (("design", study, "--keep", "120%"), "120%"),
        (("design", study, "--keep", "100%"), "no number of fault maps can show a mean that keeps 100 %"),
        (("design", study, "--minimise", "latency"), "unknown cost 'latency'"),
        (("design", study, "--over", "oxide"), "no axis 'oxide'"),
        (("feasible", study, "--over", "oxide"), "'oxide' is no goal"),
        (("search", study, "--objectives", "accuracy,energy"), "there are none"),
        (("search", study, "--objectives", "speed"), "'speed' is no objective"),
        (("what-if", study, "--tornado", "--uncertainty", "cell.t_ox=5"), "cell.t_ox"),
        (("sweep", study, "--cluster", "slrm", "--out", tmp_path / "o"), "is no cluster"),
        (("sweep", study, "--dry-run"), "--dry-run shows the job script"),
    ):
        assert call(monkeypatch, *command) == 2, command
        captured = capsys.readouterr()
        assert expected in captured.err, (command, captured.err)
        assert captured.out == ""


HEAVY = ("torch", "numba", "scipy", "matplotlib", "numpy", "pandas", "sklearn", "simpy", "asyncio", "distributed")
TABLES = ("rich", "jinja2", "qtaml_hw.records", "qtaml_hw.report.questions")


@pytest.mark.parametrize(
    ("arguments", "more"),
    [
        (["--help"], (*TABLES, "pydantic", "yaml", "importlib.metadata", "qtaml_hw.config")),
        (["validate", "FILE"], ("jinja2", "qtaml_hw.device", "qtaml_hw.study.run", "qtaml_hw.versions")),
        (["validate", "FILE", "--json"], (*TABLES, "qtaml_hw.device", "qtaml_hw.study.run", "qtaml_hw.versions")),
        (["schema"], TABLES),
    ],
)
def test_light_commands_import_nothing_heavy(arguments: list[str], more: tuple[str, ...], study: Path) -> None:
    argv = [str(study) if a == "FILE" else a for a in arguments]
    code = f"""
import sys
from qtaml_hw import cli
sys.argv = ["qtaml-hw", *{argv!r}]
try:
    cli.main()
except SystemExit as stop:
    assert not stop.code, stop.code
print([m for m in {(*HEAVY, *more)!r} if m in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "built"), [(["validate", "FILE"], {"validate"}), (["--help"], {*COMMANDS}), (["swep"], {*COMMANDS})]
)
def test_one_command_is_built_where_one_is_asked_for(
    arguments: list[str], built: set[str], study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, OnDemand)
    with pytest.raises(SystemExit):
        group.main([str(study) if a == "FILE" else a for a in arguments])
    assert group.commands.keys() & COMMANDS.keys() == built
    said = capsys.readouterr()
    assert ("Did you mean 'sweep'" in said.err) == (arguments == ["swep"])
    assert all(name in said.out for name in COMMANDS) == (arguments == ["--help"])


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = f"import qtaml_hw, sys; print([m for m in {HEAVY!r} + ('pydantic',) if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_warnings_stand_under_the_table_once_with_the_points_they_touch(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = "sweep: {cases: [{label: bare, protection.policy: none}, {label: coded, protection.policy: uniform}]}\n"
    study.write_text(
        STUDY.replace("images: 50", "images: 5000")
        + "flips: {law: fixed, p: 0.2}\nprotection: {planes: 1, menu: [secded-72-64]}\n"
        + grid,
        encoding="utf-8",
    )
    assert call(monkeypatch, "sweep", study, "--out", tmp_path / "out", "--quiet") == 0
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert sum("5000 images" in line and "(all 2 points)" in line for line in said) == 1
    assert sum("leaves more errors than it finds" in line and "(1 of 2 points: “coded”)" in line for line in said) == 1


def test_options_without_effect_are_refused_or_said(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "ecc-table", "--set", "array.node=22nm") == 2
    assert "give its FILE" in capsys.readouterr().err
    sets = ("--set", "protection.policy=uniform", "--set", "protection.planes=1", "--set", "protection.score=fisher")
    assert call(monkeypatch, "run", study, *sets, "--out", tmp_path / "out", "--quiet") == 0
    said = capsys.readouterr().err
    assert "protection.score changes nothing: the policy uniform does not look at it" in said


@pytest.mark.parametrize(("most", "said"), [("2", True), ("40", False)])
def test_design_says_when_it_draws_more_maps_than_stated(
    most: str,
    said: bool,
    study: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    maps = ("--set", "evaluate.maps.min=2", "--set", f"evaluate.maps.max={most}", "--set", "protection.policy=none")
    given = ("--over", "refresh", "--keep", "20%", "--out", tmp_path / "d", "--json", "-q")
    assert call(monkeypatch, "design", study, *maps, *given) == 0
    told = capsys.readouterr()
    assert (json.loads(told.out)["maps"] > int(most)) is said
    assert ("evaluate.maps.max: 2 fault maps show nothing here" in told.err) is said
