"""YAML as people expect it, with the place of every value kept.

PyYAML reads YAML 1.1, where ``1e-9`` is a string, ``on`` is a truth value, ``1:30`` is ninety and a key written twice
silently loses its first value. Here scalars follow the core schema of YAML 1.2.2 (https://yaml.org/spec/1.2.2/, 10.3)
in decimal only, and every mapping key is a text that occurs once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from qtaml_hw.config.reading.problems import Problem, StudyError

Path = tuple[str | int, ...]

LARGEST_FILE_BYTES: Final = 200_000
DEEPEST_NESTING: Final = 40
MOST_VALUES: Final = 50_000

_YAML_TAG: Final = "tag:yaml.org,2002:"
_PLAIN: Final = "a study holds plain values"
_STRING: Final = "tag:yaml.org,2002:str"
_CORE: Final = {
    "tag:yaml.org,2002:null": (re.compile(r"~|null|Null|NULL|"), ["~", "n", "N", ""]),
    "tag:yaml.org,2002:bool": (re.compile(r"true|True|TRUE|false|False|FALSE"), list("tTfF")),
    "tag:yaml.org,2002:int": (re.compile(r"[-+]?[0-9]{1,40}"), list("-+0123456789")),
    "tag:yaml.org,2002:float": (
        re.compile(
            r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
        ),
        list("-+0123456789."),
    ),
}
_CONVERT: Final[dict[str, Callable[[str], Any]]] = {
    "tag:yaml.org,2002:null": lambda text: None,
    "tag:yaml.org,2002:bool": lambda text: text.lower() == "true",
    "tag:yaml.org,2002:int": int,
    "tag:yaml.org,2002:float": lambda text: float(text.lower().replace(".inf", "inf").replace(".nan", "nan")),
}
_COLLECTIONS: Final = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}

_PLAINER: Final = (
    (re.compile(r"found character '\\t' that cannot start any token"), "a tab; YAML is indented with spaces only"),
    (re.compile(r"another document"), "a second document ('---'); a study file holds one"),
    (re.compile(r"mapping values are not allowed here"), "a ':' that cannot stand here; check indentation and quotes"),
    (re.compile(r"could not find expected ':'"), "a key without ':'"),
    (re.compile(r"expected <block end>, but found '?(.*?)'?$"), r"unexpected '\1'; check the indentation"),
)


@dataclass(frozen=True)
class Mark:
    """Where a value and its key stand (from 1), and the value as it was written."""

    line: int
    column: int
    text: str
    key_line: int
    key_column: int


@dataclass(frozen=True)
class Tree:
    """A YAML file as plain values, and the mark of every path in it."""

    name: str
    data: dict[str, Any]
    marks: dict[Path, Mark] = field(default_factory=dict)


class _Loader(yaml.SafeLoader):
    """Composes nodes with YAML 1.2 scalars; refuses nesting that would exhaust the stack."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  (PyYAML's own face)
    depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        self.depth += 1
        if self.depth > DEEPEST_NESTING:
            place: yaml.Mark | None = parent.start_mark if parent else None
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {DEEPEST_NESTING}", problem_mark=place)
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


for _tag, (_pattern, _first) in _CORE.items():
    _Loader.add_implicit_resolver(_tag, re.compile(rf"(?:{_pattern.pattern})\Z"), _first)


_HALF: Final = re.compile("[\ud800-\udfff]")


def decode(raw: bytes, name: str) -> str:
    """The text of a file: UTF-8, with or without a byte order mark.

    Raises StudyError with line and column of the first byte that is not UTF-8, or of a control character.
    """
    if len(raw) > LARGEST_FILE_BYTES:
        raise StudyError([Problem(name, 1, 1, "", f"{len(raw)} bytes; a study file has at most {LARGEST_FILE_BYTES}")])
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise StudyError([Problem(name, 1, 1, "", "the file is UTF-16; save it as UTF-8")])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig", errors="replace")
        message = f"byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise StudyError([Problem(name, *_place(before), "", message)]) from None


def read(text: str, name: str) -> Tree:
    """One YAML mapping as plain values with marks.

    Raises StudyError with the line and column of every mistake that can be told in one pass.
    """
    text = text.removeprefix("\ufeff")
    node = _compose(text, name)
    if node is None:
        raise StudyError([Problem(name, 1, 1, "", "the file is empty; a study is a mapping such as 'study: my-study'")])
    builder = _Builder(name)
    if not isinstance(node, MappingNode):
        what = "a list" if isinstance(node, SequenceNode) else "a single value"
        raise StudyError([builder.problem(node, (), f"the file is {what}; a study is a mapping of sections")])
    data = builder.value(node, ())
    if builder.problems:
        raise StudyError(builder.problems)
    return Tree(name, data, builder.marks)


def scalar(text: str, name: str = "--set") -> Any:
    """The value of one YAML scalar or flow collection, as in ``--set path=VALUE``. Raises StudyError."""
    node = _compose(text, name)
    if node is None:
        return None
    builder = _Builder(name)
    value = builder.value(node, ())
    if builder.problems:
        raise StudyError(builder.problems)
    return value


def _compose(text: str, name: str) -> Node | None:
    bad = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if bad is not None:
        place = _place(text[: bad.start()])
        raise StudyError([Problem(name, *place, "", f"control character U+{ord(bad.group()):04X} in the text")])
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise StudyError([Problem(name, *place, "", f"not valid YAML: {_plain(error)}")]) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # PyYAML lets chr() fail on an escape out of range
        raise StudyError([Problem(name, loader.line + 1, loader.column + 1, "", f"not valid YAML: {error}")]) from None
    finally:
        loader.dispose()


def _plain(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or error.context or "unreadable"
    for pattern, words in _PLAINER:
        match = pattern.search(problem)
        if match:
            return match.expand(words)
    return f"{problem} ({error.context})" if error.context and error.problem else problem


def _place(before: str) -> tuple[int, int]:
    """Line and column (from 1) of the character that follows ``before``."""
    lines = re.split(r"\r\n|\r|\n", before)
    return len(lines), len(lines[-1]) + 1


class _Builder:
    """Turns nodes into plain values; collects mistakes; counts values, so that aliases cannot multiply."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.marks: dict[Path, Mark] = {}
        self.problems: list[Problem] = []
        self.count = 0
        self.open: set[int] = set()

    def problem(self, node: Node, path: Path, message: str) -> Problem:
        mark = node.start_mark
        return Problem(self.name, mark.line + 1, mark.column + 1, dotted(path), message)

    def value(self, node: Node, path: Path, key: Node | None = None) -> Any:
        self.count += 1
        if self.count > MOST_VALUES:
            raise StudyError([self.problem(node, path, f"more than {MOST_VALUES} values (aliases count each time)")])
        if id(node) in self.open:
            raise StudyError([self.problem(node, path, "an alias that contains itself")])
        place, at = node.start_mark, (key or node).start_mark
        text = node.value if isinstance(node, ScalarNode) else ""
        self.marks[path] = Mark(place.line + 1, place.column + 1, text, at.line + 1, at.column + 1)
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if node.tag not in _COLLECTIONS:
            self.problems.append(self.problem(node, path, f"{_shown(node.tag)} is not allowed; {_PLAIN}"))
            return None
        self.open.add(id(node))
        try:
            return self._mapping(node, path) if isinstance(node, MappingNode) else self._sequence(node, path)
        finally:
            self.open.discard(id(node))

    def _sequence(self, node: Node, path: Path) -> list[Any]:
        return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, item in node.value:
            if isinstance(key, ScalarNode) and key.tag == _STRING and self._letters(key, path) is None:
                continue
            if not isinstance(key, ScalarNode) or key.tag != _STRING:
                shown = f" {key.value!r}" if isinstance(key, ScalarNode) else ""
                self.problems.append(self.problem(key, path, f"the key{shown} is not a text; keys are field names"))
            elif key.value in found:
                first = self.marks[(*path, key.value)].key_line
                message = f"the key {key.value!r} is written twice (first in line {first}); keep one"
                self.problems.append(self.problem(key, (*path, key.value), message))
            elif key.value == "<<" and not key.style:
                self.problems.append(self.problem(key, path, "merge keys (<<) are not read; write the fields out"))
            else:
                found[key.value] = self.value(item, (*path, key.value), key)
        return found

    def _scalar(self, node: ScalarNode, path: Path) -> Any:
        text, kind = node.value, node.tag
        if kind == _STRING:
            return self._letters(node, path)
        if kind not in _CORE or not _CORE[kind][0].fullmatch(text):
            message = f"{text!r} with {_shown(kind)} is not allowed; {_PLAIN}"
            self.problems.append(self.problem(node, path, message))
            return None
        return _CONVERT[kind](text)

    def _letters(self, node: ScalarNode, path: Path) -> str | None:
        """A text, or None where an escape in it is half a letter, which no file can hold."""
        half = _HALF.search(node.value)
        if half is None:
            return str(node.value)
        message = f"U+{ord(half.group()):04X} is half a letter (a lone surrogate); write the letter itself"
        self.problems.append(self.problem(node, path, message))
        return None


def _shown(tag: str) -> str:
    return f"the tag {tag.replace(_YAML_TAG, '!!')!r}"


def dotted(path: Path) -> str:
    """``("evaluate", "at", 0)`` -> ``evaluate.at[0]``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text
