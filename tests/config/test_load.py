"""Loading: all mistakes at once, overrides, provenance, and what a script sees."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from qtaml_hw.config import Problem, StudyError, load_study, parse_study


def _problems(text: str, **arguments: object) -> tuple[Problem, ...]:
    with pytest.raises(StudyError) as caught:
        parse_study(text, name="f.yaml", **arguments)  # type: ignore[arg-type]
    return caught.value.errors


def test_all_mistakes_of_a_file_at_once() -> None:
    problems = _problems(
        "cell: {t_ox: 1.8, v_dd: 12 V}\nflips: {law: fixd}\nrefresh: {intervall: 1 us}\nnetwork: vgg\n"
        "protection: {menu: []}\nevaluate: {seed: -1, maps: {min: 9, max: 3}}\nsweep: {grid: {cell.tox: [1]}}\n"
        "bogus: 1\n"
    )
    assert [(problem.line, problem.path) for problem in problems] == [
        (1, "cell.t_ox"),
        (1, "cell.v_dd"),
        (2, "flips.law"),
        (3, "refresh.intervall"),
        (4, "network.name"),
        (5, "protection.menu"),
        (6, "evaluate.seed"),
        (6, "evaluate.maps.min"),
        (7, "sweep.grid.cell.tox"),
        (8, "bogus"),
    ]


def test_an_error_is_one_line_each_and_survives_a_process_boundary() -> None:
    with pytest.raises(StudyError) as caught:
        parse_study("cell: {t_ox: 1.8}\nflips: fixed\n", name="f.yaml")
    error = caught.value
    assert [line.split(" ")[0] for line in str(error).splitlines()] == ["f.yaml:1:14", "f.yaml:2:8"]
    again = pickle.loads(pickle.dumps(error))
    assert again.errors == error.errors
    assert set(error.errors[0].as_dict()) == {"file", "line", "column", "path", "message"}


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.yaml", tmp_path, Path("a\0b")):
        with pytest.raises(StudyError, match="cannot be read"):
            load_study(path)
    broken = tmp_path / "broken.yaml"
    broken.write_bytes(b"study: \xff\n")
    with pytest.raises(StudyError, match=r"broken.yaml:1:8 byte 0xff is not UTF-8"):
        load_study(broken)
    empty = tmp_path / "empty.yaml"
    empty.touch()
    with pytest.raises(StudyError, match=r"empty.yaml:1:1 the file is empty"):
        load_study(empty)


def test_relative_paths_are_meant_from_the_study(tmp_path: Path) -> None:
    file = tmp_path / "änderung.yaml"
    file.write_text("\ufeffstudy: Größe\n", encoding="utf-8")
    study = load_study(file)
    assert (study.label, study.folder, study.file) == ("Größe", tmp_path, str(file))


def test_overrides_as_texts_and_as_a_mapping() -> None:
    text = "cell: {t_ox: 1.8 nm}\n"
    one = parse_study(text, overrides=["cell.t_ox=1.7nm", "evaluate.at=[1 ms, 2 ms]", "evaluate.maps={min: 2, max: 3}"])
    two = parse_study(text, overrides={"cell.t_ox": "1.7 nm", "evaluate.at": ["1 ms", "2 ms"], "evaluate.maps.min": 2})
    assert one.cell.t_ox_m == two.cell.t_ox_m == 1.7e-9
    assert one.evaluate.at_s == two.evaluate.at_s == (1e-3, 2e-3)
    assert (one.evaluate.maps.min, one.evaluate.maps.max, two.evaluate.maps.max) == (2, 3, 64)
    assert one.identity() == two.identity()


@pytest.mark.parametrize(
    ("override", "needle"),
    [
        ("cell.tox=1nm", "no such field 'cell.tox'; did you mean 'cell.t_ox'"),
        ("t_ox=1nm", "did you mean 'cell.t_ox'"),
        ("cell.t_ox.x=1nm", "no such field"),
        ("evaluate.at[0]=1 ms", "no such field 'evaluate.at[0]'; did you mean 'evaluate.at'"),
        ("cell.t_ox", "path=value"),
        ("=3", "path=value"),
        ("cell.t_ox=[", "not valid YAML"),
        ("cell.t_ox=1", "has no unit"),
        ("cell.t_ox=1 m", "outside"),
        ("cell=5", "expected a mapping"),
        ("evaluate.maps.max=2", "min 8 is more than max 2"),
        ("sweep.grid.cell.tox=[1 nm]", "names no field"),
        ("sweep={grid: {cell.tox: [1 nm]}}", "names no field"),
    ],
)
def test_bad_overrides_are_told_with_their_path(override: str, needle: str) -> None:
    problems = _problems("study: a\n", overrides=[override])
    assert len(problems) == 1
    assert needle in problems[0].message


def test_an_override_takes_the_place_of_its_alternatives() -> None:
    study = parse_study(
        "protection: {policy: uniform, planes: 2}\nnetwork: {factory: 'a:b', weights: w.safetensors}\n"
        "data: {npz: d.npz}\nrefresh: {interval: 10 us, ecc_aware: false}\n",
        overrides=[
            "protection.budget.parity=3 %",
            "network=digits-vgg",
            "data.name=digits",
            "refresh=off",
            "evaluate.at=1 ms",
        ],
    )
    assert study.protection.planes is None
    assert study.protection.budget is not None
    assert study.protection.budget.kind == "parity"
    assert (study.network.name, study.network.factory, study.network.weights) == ("digits-vgg", None, None)
    assert (study.data.name, study.data.npz) == ("digits", None)
    assert (study.refresh.interval_s, study.refresh.ecc_aware) == (None, False)
    again = study.with_({"protection.planes": 3})
    assert (again.protection.planes, again.protection.budget) == (3, None)


def test_null_gives_back_the_default() -> None:
    study = parse_study("flips: {law: fixed, p: 0.1}\nscrub: 1 ms\n")
    free = study.with_({"flips.law": "retention", "flips.p": None, "scrub": None})
    assert (free.flips.law, free.flips.p, free.scrub.on) == ("retention", None, False)


def test_with_gives_a_new_study_and_suggests() -> None:
    study = parse_study("study: a\n")
    thin = study.with_({"cell.t_ox": "1.6 nm", "protection": {"policy": "tac"}})
    assert (study.cell.t_ox_m, thin.cell.t_ox_m, thin.protection.policy) == (1.8e-9, 1.6e-9, "tac")
    assert thin.flips is study.flips
    with pytest.raises(StudyError, match=r"did you mean 'cell.temperature'"):
        study.with_({"cell.temprature": "25 degC"})
    with pytest.raises(StudyError, match="no unit"):
        study.with_({"cell.t_ox": 1.6e-9})


def test_every_effective_value_has_its_origin() -> None:
    text = "study: a\ncell:\n  preset: gain-cell-65nm\n  t_ox: 1.70 nm\nevaluate: {at: [1 ms]}\n"
    study = parse_study(text, name="f.yaml", overrides=["cell.v_dd=0.9V"])
    origin = study.provenance
    assert (origin["cell.t_ox"].kind, origin["cell.t_ox"].text, origin["cell.t_ox"].line) == ("file", "1.70 nm", 4)
    assert (origin["cell.v_dd"].kind, origin["cell.v_dd"].source, origin["cell.v_dd"].text) == ("set", "--set", "0.9V")
    assert (origin["cell.v_ref"].kind, origin["cell.v_ref"].text) == ("preset", "0.5 V")
    assert origin["cell.v_ref"].citation
    assert origin["cell.v_ref"].source == "presets/cells/gain-cell-65nm.yaml"
    assert (origin["array.node"].kind, origin["array.node"].text) == ("default", "45 nm")
    assert (origin["evaluate.at"].kind, origin["evaluate.at"].text) == ("file", "[1 ms]")
    assert (origin["refresh.interval"].kind, origin["refresh.interval"].text) == ("default", "10 us")
    assert (origin["scrub.interval"].kind, origin["scrub.interval"].text) == ("default", "off")
    assert origin["protection.budget.bits"].text == "5 %"
    assert "protection.budget.area" not in origin
    assert study.with_({"cell.t_ox": "2 nm"}).provenance["cell.t_ox"].source == "with_"


def test_a_study_survives_a_process_boundary() -> None:
    study = parse_study("sweep: {grid: {cell.t_ox: [1.5 nm, 1.6 nm]}}\n")
    again = pickle.loads(pickle.dumps(study))
    assert again == study
    assert hash(again) == hash(study)
    assert again.identity() == study.identity()
    assert again.with_({"cell.t_ox": "1.6 nm"}) == study.with_({"cell.t_ox": "1.6 nm"})
    assert [point.label for point in again.points()] == ["t_ox=1.5 nm", "t_ox=1.6 nm"]


def test_numbers_in_si_go_under_the_si_names() -> None:
    study = parse_study("cell: {preset: gain-cell-65nm}\n")
    named = study.with_(
        {"cell.t_ox_m": np.float64(1.6e-9), "cell.temperature_k": 358.15, "evaluate.at_s": [1e-3, 2e-3]}
    )
    assert (named.cell.t_ox_m, named.cell.temperature_k, named.evaluate.at_s) == (1.6e-9, 358.15, (1e-3, 2e-3))
    assert study.with_({"cell.t_ox_m": 1.6e-9}).identity() == study.with_({"cell.t_ox": "1.6 nm"}).identity()
    with pytest.raises(StudyError, match=r"did you mean 'cell\.t_ox'"):
        study.with_({"cell.t_ux_m": 1.6e-9})
    with pytest.raises(StudyError, match=r"cell\.t_ox"):
        study.with_({"cell.t_ox": 1.6e-9})
