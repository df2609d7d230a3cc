"""Measured curves as a study or a CSV file states them: each mistake is one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest

from qtaml_hw.config import StudyError, load_study, parse_study
from qtaml_hw.config.outside import missing
from qtaml_hw.config.reading.curves import Points

ROWS = "[10 us, 1e-7], [320 us, 6 %]"

MISTAKES = {
    "one point": ("points: [[10 us, 1e-7]]", "at least two points, one point is given"),
    "not monotone": ("points: [[10 us, 1e-7], [20 us, 1e-8]]", "not monotone: p = 1e-07 at 10 us and 1e-08 at 20 us"),
    "flat": ("points: [[10 us, 1e-7], [20 us, 1e-7]]", "not monotone"),
    "one time twice": ("points: [[10 us, 1e-7], [10 us, 1e-6]]", "10 us is listed twice"),
    "p above 1": ("points: [[10 us, 1e-7], [20 us, 1.2]]", "point 2: p = 1.2 is no share of the cells"),
    "p below 0": ("points: [[10 us, -1e-7], [20 us, 0.1]]", "point 1: p = -1e-07 is no share"),
    "p of zero": ("points: [[10 us, 0], [20 us, 0.1]]", "leave it out"),
    "times in a wrong unit": ("points: [[10 nm, 1e-7], [20 us, 0.1]]", "point 1: '10 nm' is neither a time nor"),
    "times in two units": ("points: [[10 us, 1e-7], [20 mV, 0.1]]", "point 2: 'mV' is not a unit of time"),
    "times without unit": ("points: [[10, 1e-7], [20, 0.1]]", "neither a time nor a supply voltage with its unit"),
    "no pair": ("points: [[10 us, 1e-7], [20 us]]", "point 2: expected [time or v_dd, p]"),
    "no list": ("points: 3", "expected a list of points"),
    "half of the temperatures": (
        "points: [[10 us, 1e-7], [20 us, 0.1, 85 degC]]",
        "every point states its temperature",
    ),
    "a temperature of one point": (
        "points: [[10 us, 1e-7, 25 degC], [20 us, 0.1, 85 degC]]",
        "one is given at 25 degC",
    ),
    "supply of a charge cell": ("points: [[0.54 V, 1e-5], [0.5 V, 0.1]]", "a gain_cell cell loses charge over time"),
    "no points": ("tail: straight", "got none"),
    "points twice": (f"points: [{ROWS}], file: a.csv", "got both"),
    "unknown tail": (f"points: [{ROWS}], tail: lognorm", "did you mean 'lognormal'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_of_points(mistake: str) -> None:
    written, expected = MISTAKES[mistake]
    with pytest.raises(StudyError) as caught:
        parse_study(f"flips: {{law: curve, {written}}}", name="s.yaml")
    (problem,) = caught.value.errors
    assert problem.path.startswith("flips")
    assert expected in problem.message


def test_laws_and_kinds_that_do_not_go_together() -> None:
    for text, path, message in (
        (f"cell: {{kind: sram6t}}\nflips: {{law: curve, points: [{ROWS}]}}", "flips.points", "over v_dd"),
        ("flips: {law: voltage, v_zero: 0.45 V, decade: 20 mV}", "flips.law", "such as sram6t"),
        ("cell: {kind: sram6t}\nflips: {law: voltage, v_zero: 0.45 V}", "flips.law", "give v_zero and decade"),
        (
            f"flips: {{law: curve, points: [{ROWS}]}}\nprotection: {{policy: tac, menu: [robust-cell]}}",
            "protection.menu",
            "says nothing of how such cells fail",
        ),
    ):
        with pytest.raises(StudyError) as caught:
            parse_study(text, name="s.yaml")
        assert [(e.path, message in e.message) for e in caught.value.errors] == [(path, True)]


def test_the_direction_of_a_curve_of_time_is_the_cells_unless_stated() -> None:
    curve = f"law: curve, points: [{ROWS}]"
    assert parse_study(f"flips: {{{curve}}}").flips.direction == "1to0"
    assert parse_study(f"cell: {{preset: gain-cell-65nm-pmos}}\nflips: {{{curve}}}").flips.direction == "0to1"
    assert parse_study(f"flips: {{{curve}, direction: symmetric}}").flips.direction == "symmetric"


@pytest.mark.parametrize(
    "text",
    [
        "time,p\n10 us,1e-7\n320 us,6 %\n",
        "# measured\n\np,time_us\n1e-7,10\n6e-2,320\n",
        '"time (us)",p\n320,0.06\n10,1e-7\n',
    ],
)
def test_files_read_as_the_points_they_hold(tmp_path: Path, text: str) -> None:
    (tmp_path / "retention.csv").write_text(text)
    assert Points.of_file(tmp_path / "retention.csv") == Points.read([["10 us", 1e-7], ["320 us", 0.06]])


def test_temperatures_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "retention.csv"
    path.write_text("time_us,p,temperature_degC\n10,1e-7,85\n320,0.06,85\n5,1e-7,105\n160,0.06,105\n")
    points = Points.of_file(path)
    assert [kelvin for kelvin, _ in points.by_temperature()] == [358.15, 378.15]
    assert points.rows[0] == (10e-6, 1e-7, 358.15)


BAD_FILES = {
    "empty": ("", "is empty; expected a header such as 'time,p'"),
    "no header": ("10 us,1e-7\n20 us,1e-6\n", "line 1: '10 us' is no column"),
    "unit that is none": ("time_um,p\n10,1e-7\n20,1e-6\n", "line 1: 'time_um' is no column"),
    "no p": ("time\n10 us\n20 us\n", "expected a header"),
    "bare time": ("time,p\n10,1e-7\n20,1e-6\n", "line 2: '10' has no unit"),
    "ragged": ("time_us,p\n10,1e-7\n20\n", "line 3: 1 values under 2 columns"),
    "not monotone": ("time_us,p\n10,1e-6\n20,1e-7\n", "not monotone"),
    "no text": (b"\xff\xfe\x00", "is no UTF-8 text"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_mistakes_of_files_are_said_by_validate(tmp_path: Path, kind: str) -> None:
    content, expected = BAD_FILES[kind]
    (tmp_path / "retention.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    (tmp_path / "s.yaml").write_text("flips: {law: curve, file: retention.csv}")
    (problem,) = missing(load_study(tmp_path / "s.yaml"))
    assert (problem.path, problem.line) == ("flips.file", 1)
    assert problem.message.startswith("retention.csv: ")
    assert expected in problem.message


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("flips: {law: curve, file: nowhere.csv}")
    (problem,) = missing(load_study(tmp_path / "s.yaml"))
    assert problem.message == f"there is no {tmp_path / 'nowhere.csv'}"
