"""The JSON Schema that editors use: complete, in units, and true to what the loader takes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from qtaml_hw.config import Study, json_schema, parse_study
from qtaml_hw.config.reading.fields import catalogue


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json_schema()


def _part(schema: dict[str, Any], name: str) -> dict[str, Any]:
    part: dict[str, Any] = schema["$defs"][name]["properties"]
    return part


def test_it_is_plain_json_of_the_2020_draft(schema: dict[str, Any]) -> None:
    assert json.loads(json.dumps(schema, allow_nan=False)) == schema
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["additionalProperties"] is False
    assert "required" not in schema


def test_every_section_and_field_is_described(schema: dict[str, Any]) -> None:
    sections = {path for path in catalogue(Study) if "." not in path}
    assert set(schema["properties"]) == sections
    for name, part in schema["$defs"].items():
        for key, field in part.get("properties", {}).items():
            assert field.get("description") or "$ref" in field, f"{name}.{key}"


def test_references_lead_somewhere(schema: dict[str, Any]) -> None:
    found: list[str] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            found.extend(value for key, value in node.items() if key == "$ref")
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(schema)
    assert found
    assert all(reference.removeprefix("#/$defs/") in schema["$defs"] for reference in found)


def test_quantities_are_texts_with_units(schema: dict[str, Any]) -> None:
    clock = _part(schema, "AcceleratorSection")["clock"]
    assert clock["type"] == "string"
    assert clock["default"] == "500 MHz"
    assert "MHz" in clock["description"]
    times = _part(schema, "EvaluateSection")["at"]
    assert times["default"] == ["1 ms"]
    assert [kind["type"] for kind in times["anyOf"]] == ["array", "string"]


def test_shorthands_presets_and_axes(schema: dict[str, Any]) -> None:
    assert len(schema["properties"]["refresh"]["anyOf"]) == 3  # a section, an interval, or a list over planes
    cells = schema["properties"]["cell"]["anyOf"]
    assert len(cells) == 4  # kinds, or a list over planes
    gain = schema["$defs"]["GainCellSection"]
    assert "required" not in gain
    assert "gain-cell-65nm" in gain["properties"]["preset"]["enum"]
    axes = _part(schema, "SweepSection")["grid"]["propertyNames"]["enum"]
    assert "cell.t_ox" in axes
    assert "study" not in axes


def test_its_example_runs(schema: dict[str, Any]) -> None:
    (example,) = schema["examples"]
    assert len(parse_study(json.dumps(example)).points()) == 6
