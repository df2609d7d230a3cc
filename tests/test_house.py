"""The house rules that a machine can hold: arrows that point one way, and sizes that fit a reader's head."""

from __future__ import annotations

import ast
import re

import pytest

from tests import house

LONGEST_FILE, LONGEST_FUNCTION, MOST_ARGUMENTS = 400, 60, 8


def test_no_circle_of_files() -> None:
    assert house.circles(house.file_arrows()) == []


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_no_circle_of_rooms(depth: int) -> None:
    """Rooms are folders; a file that stands beside rooms counts as one."""
    assert house.circles(house.room_arrows(depth)) == []


def test_rooms_import_only_what_the_design_page_names_before_them() -> None:
    page = (house.PACKAGE.parent / "docs" / "design.md").read_text(encoding="utf-8")
    table = page[page.index("| room of `qtaml_hw/` |") : page.index("Modules whose name begins with an underscore")]
    rows = re.findall(r"^\| (`\w+`.*?) \|", table, re.MULTILINE)
    floors = {name: floor for floor, name in enumerate(re.findall(r"`(\w+)`", " ".join(rows)))}
    below = [(a, b) for a, b in house.room_arrows(1) if not a.startswith("_") and not b.startswith("_")]
    assert {name for arrow in below for name in arrow} <= floors.keys()
    assert [(a, b) for a, b in below if floors[a] <= floors[b]] == []


def test_the_graph_sees_arrows_wherever_they_stand() -> None:
    assert house.circles([("a", "b"), ("b", "a"), ("b", "c")]) == [["a", "b"]]
    arrows = house.file_arrows()
    assert ("study.run.task", "records.interval") in arrows  # at the top of a file
    assert ("study.run.engine", "study.run.cluster") in arrows  # inside a function


def test_files_and_functions_fit_a_readers_head() -> None:
    long = []
    for name, path in house.modules().items():
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > LONGEST_FILE:
            long.append(f"{name}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > LONGEST_FUNCTION:
                long.append(f"{name}.{node.name}: {lines} lines")
            given = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            arguments = len([a for a in given if a not in ("self", "cls")])
            if arguments > MOST_ARGUMENTS and not name.startswith("cli."):  # a command's options are its arguments
                long.append(f"{name}.{node.name}: {arguments} arguments")
    assert long == []
