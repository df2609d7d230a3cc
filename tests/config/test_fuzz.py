"""Whatever is done to a shipped study, the outcome is a study or a StudyError with a place: never another exception."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtaml_hw.config import Study, StudyError, parse_study
from qtaml_hw.config.reading.fields import catalogue
from qtaml_hw.config.reading.yaml_strict import decode

TEXTS = [file.read_text(encoding="utf-8") for file in sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))]
SMALL = [text.split("sweep:")[0] for text in TEXTS] + [
    "study: a\ncell: {kind: sram6t}\nrefresh: off\n",
    "refresh: off\nevaluate: {at: [1 us, 2 us]}\nsweep:\n  cases:\n    - {label: a, cell.t_ox: 1.7 nm}\n",
    "flips: {law: fixed}\nsweep: {grid: {flips.p: {from: 1e-3, to: 0.1, count: 3, spacing: log}}}\n",
]
PIECES = [
    *("[", "]", "{", "}", ":", ": ", "- ", "#", "&a ", "*a", "!!int ", "? ", "|\n", ">\n", "'", '"', "%", "@", "`"),
    *(
        "\t",
        "\n",
        "  ",
        "---\n",
        "...",
        "~",
        "null",
        "true",
        "off",
        "on",
        "<<: ",
        "=",
        "1e999",
        "-1",
        "0",
        "99999999999999999999",
    ),
    *(
        "nm",
        " m",
        " s",
        "1 um",
        "é",
        "界",
        "\ufeff",
        "\x00",
        "\u2028",
        "from",
        "to",
        "step",
        "count",
        "label",
        "kind",
        "preset",
    ),
    *(
        "cell",
        "cell.t_ox",
        "sram6t",
        "gain_cell",
        "sweep:\n  grid:\n    cell.t_ox: [1 nm]\n",
        "protection",
        "budget",
        "[]",
        "{}",
    ),
]


def _outcome(text: str, **arguments: Any) -> Study | StudyError:
    try:
        return parse_study(text, **arguments)
    except StudyError as error:
        return error


def _is_clear(outcome: Study | StudyError) -> bool:
    if isinstance(outcome, Study):
        return len(outcome.identity()) == 64 and bool(outcome.provenance)
    lines = str(outcome).splitlines()
    return bool(outcome.errors) and len(lines) == len(outcome.errors) and all(len(line) < 2500 for line in lines)


def _mutated(text: str, chance: random.Random) -> str:
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(text) + 1)
        end = min(len(text), start + chance.choice([0, 0, 1, 2, 5, 20]))
        lines = text.splitlines(keepends=True)
        match chance.randrange(4):
            case 0:
                text = text[:start] + chance.choice(PIECES) + text[end:]
            case 1:
                text = text[:start] + text[end:]
            case 2 if lines:
                lines.insert(chance.randrange(len(lines) + 1), chance.choice(lines))
                text = "".join(lines)
            case _:
                text = text[:start] + text[start:end] * 2 + text[end:]
    return text


@pytest.mark.parametrize("seed", range(8))
def test_mutated_studies(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(60):
        text = _mutated(chance.choice(SMALL), chance)
        assert _is_clear(_outcome(text)), text


def test_mutated_bytes() -> None:
    chance = random.Random(99)
    for _ in range(100):
        raw = bytearray(chance.choice(SMALL).encode())
        for _ in range(chance.randint(1, 3)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        try:
            text = decode(bytes(raw), "f")
        except StudyError:
            continue
        assert _is_clear(_outcome(text)), text


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["1 nm", "-3 V", "off", "5 %", "85 degC", "1e400 s", "tac", "ideal", "gain_cell", "a:b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
paths = st.sampled_from(sorted(catalogue(Study))) | st.text(max_size=12)


@settings(max_examples=150)
@given(st.dictionaries(paths, plain, max_size=3))
def test_any_values_from_a_script(values: dict[str, Any]) -> None:
    assert _is_clear(_outcome("study: a\n", overrides=values)), values


@settings(max_examples=100)
@given(st.lists(st.tuples(paths, st.text(max_size=12)).map("=".join) | st.text(max_size=20), max_size=3))
def test_any_texts_from_the_command_line(overrides: list[str]) -> None:
    assert _is_clear(_outcome("study: a\n", overrides=overrides)), overrides
