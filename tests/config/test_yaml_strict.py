"""The YAML reader: scalars of YAML 1.2, one place for every value, one clear message for every mistake."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtaml_hw.config.reading.problems import StudyError
from qtaml_hw.config.reading.yaml_strict import DEEPEST_NESTING, decode, dotted, read, scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-9", 1e-9),
        ("1E5", 1e5),
        ("-1.5e-9", -1.5e-9),
        (".5", 0.5),
        ("1.", 1.0),
        ("010", 10),
        ("+7", 7),
        ("0x10", "0x10"),
        ("0o17", "0o17"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("No", "No"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("'1e-9'", "1e-9"),
        ('"true"', "true"),
        ("1.5 nm", "1.5 nm"),
        ("[a, 1, off]", ["a", 1, "off"]),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    found = read(f"key: {text}\n", "f").data["key"]
    assert found == value
    assert type(found) is type(value)
    assert scalar(text) == value


def test_infinity_and_nan_are_numbers() -> None:
    data = read("a: -.INF\nb: .nan\n", "f").data
    assert data["a"] == -math.inf
    assert math.isnan(data["b"])


def test_every_value_and_key_has_its_place() -> None:
    tree = read("a: 1\nb:\n  c:  [1 nm, 2 nm]\n  'd': {e: 3}\n", "f")
    value = tree.marks[("b", "c", 1)]
    assert (value.line, value.column, value.text) == (3, 14, "2 nm")
    key = tree.marks[("b", "d", "e")]
    assert (key.key_line, key.key_column, key.line, key.column) == (4, 9, 4, 12)
    assert pickle.loads(pickle.dumps(tree)) == tree


MISTAKES = {
    "duplicate": ("a: 1\nb: 2\na: 3\n", 3, 1, "written twice (first in line 1)"),
    "duplicate inside": ("a: {b: 1, c: 2, b: 3}", 1, 17, "'b' is written twice"),
    "list": ("- a\n- b\n", 1, 1, "the file is a list"),
    "text": ("just words\n", 1, 1, "a single value"),
    "empty": ("", 1, 1, "the file is empty"),
    "only a comment": ("# nothing\n", 1, 1, "the file is empty"),
    "tab": ("a:\n\tb: 1\n", 2, 1, "a tab"),
    "two documents": ("a: 1\n---\nb: 2\n", 2, 1, "second document"),
    "number as key": ("a: {1: x}", 1, 5, "is not a text"),
    "list as key": ("? [a]\n: 1\n", 1, 3, "is not a text"),
    "null as key": ("~: 1\n", 1, 1, "is not a text"),
    "python tag": ("a: !!python/object/apply:os.system [echo]\n", 1, 4, "tag '!!python/object/apply:os.system'"),
    "set tag": ("a: !!set {x}\n", 1, 4, "tag '!!set'"),
    "wrong tag": ("a: !!int zz\n", 1, 4, "tag '!!int'"),
    "merge key": ("a: {<<: {b: 1}}\n", 1, 5, "merge keys"),
    "control character": ("a: b\x07c\n", 1, 5, "U+0007"),
    "unfinished list": ("a: [1, 2\n", 2, 1, "not valid YAML"),
    "unfinished text": ("a: 'x\n", 2, 1, "not valid YAML"),
    "unknown alias": ("a: *b\n", 1, 4, "undefined alias"),
    "alias in itself": ("a: &x [*x]\n", 1, 4, "contains itself"),
    "two colons": ("a: b: c\n", 1, 5, "a ':' that cannot stand here"),
    "bad escape": ('a: "\\UFFFFFFFF"\n', 1, 7, "not valid YAML"),
    "directive": ("%YAML 3.0\n---\na: 1\n", 1, 1, "not valid YAML"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_one_clear_message_at_the_place(name: str) -> None:
    text, line, column, needle = MISTAKES[name]
    with pytest.raises(StudyError) as caught:
        read(text, "study.yaml")
    problem = caught.value.errors[0]
    assert (problem.file, problem.line, problem.column) == ("study.yaml", line, column)
    assert needle in problem.message
    assert str(caught.value).startswith(f"study.yaml:{line}:{column} ")


def test_several_mistakes_are_told_at_once() -> None:
    with pytest.raises(StudyError) as caught:
        read("a: 1\na: 2\nb: !!set {x}\n1: c\n", "f")
    assert [problem.line for problem in caught.value.errors] == [2, 3, 4]


def test_aliases_are_read_but_cannot_multiply() -> None:
    assert read("a: &x [1, 2]\nb: *x\n", "f").data == {"a": [1, 2], "b": [1, 2]}
    bomb = "x0: &x0 [1,1,1,1,1,1,1,1,1,1]\n"
    bomb += "".join(f"x{i}: &x{i} [{','.join([f'*x{i - 1}'] * 10)}]\n" for i in range(1, 10))
    with pytest.raises(StudyError, match="more than 50000 values"):
        read(bomb, "f")


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_nesting_is_bounded(opening: str) -> None:
    with pytest.raises(StudyError, match=f"nested deeper than {DEEPEST_NESTING}"):
        read("a:\n  " + opening * 2000, "f")


def test_bytes_are_utf_8() -> None:
    assert decode("a: µ".encode(), "f") == "a: µ"
    assert decode(b"\xef\xbb\xbfa: 1", "f") == "a: 1"
    for raw, place, needle in (
        (b"a: 1\nb: \xff", (2, 4), "0xff is not UTF-8"),
        (b"\xff\xfea\x00", (1, 1), "UTF-16"),
        (b"#" * 300_000, (1, 1), "at most 200000"),
    ):
        with pytest.raises(StudyError, match=needle) as caught:
            decode(raw, "f")
        assert (caught.value.errors[0].line, caught.value.errors[0].column) == place


def _refusal(read_it: Callable[[], object]) -> StudyError | None:
    try:
        read_it()
    except StudyError as error:
        return error
    return None


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    error = _refusal(lambda: read(text, "f"))
    assert error is None or all(p.line >= 1 and p.column >= 1 and p.message for p in error.errors)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    error = _refusal(lambda: read(decode(raw, "f"), "f"))
    assert error is None or str(error)


def test_paths_are_written_with_dots_and_brackets() -> None:
    assert dotted(("evaluate", "at", 0)) == "evaluate.at[0]"
    assert dotted(("sweep", "cases", 1, "cell.t_ox")) == "sweep.cases[1].cell.t_ox"
