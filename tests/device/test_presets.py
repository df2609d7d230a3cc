"""Cell presets and the cell section of a study: every preset builds its cell, and both sides name the same fields."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

import qtaml_hw.config.sections.cell as section
from qtaml_hw import config, device
from qtaml_hw.config.reading.presets import cell_presets
from qtaml_hw.limits import LIMITS
from qtaml_hw.names import CELLS

FOLDER = Path(config.__file__).parent / "presets" / "cells"
FILES = [FOLDER / f"{name}.yaml" for name in cell_presets()]
SECTIONS = {
    "gain_cell": section.GainCellSection,
    "edram1t1c": section.Edram1T1CSection,
    "sram6t": section.Sram6TSection,
}
ADAPTER: TypeAdapter[section.CellSection] = TypeAdapter(section.CellSection)


def values_of(file: Path) -> dict[str, object]:
    preset = yaml.safe_load(file.read_text(encoding="utf-8"))
    return {key: entry["value"] for key, entry in preset["values"].items()} | {"kind": preset["kind"]}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_preset_builds_a_cell_and_cites_every_value(file: Path) -> None:
    preset = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert preset["name"] == file.stem
    assert len(preset["source"]) > 20
    assert all(len(entry["source"]) >= 15 for entry in preset["values"].values())
    one = ADAPTER.validate_python(values_of(file))
    cell = getattr(device, CELLS[preset["kind"]].device)(**one.device_values())
    assert device.population(cell).median_s > 1e-9


@pytest.mark.parametrize("kind", CELLS)
def test_section_and_cell_have_the_same_fields(kind: str) -> None:
    in_section = set(SECTIONS[kind].model_fields) - section.BESIDE_THE_DEVICE
    assert in_section == {field.name for field in fields(getattr(device, CELLS[kind].device))}
    assert all(name in LIMITS for name in in_section - {"stack", "write_device"})
    assert FOLDER / f"{CELLS[kind].preset}.yaml" in FILES


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t_ox": "1.8 m"}, "oxide barrier"),
        ({"t_ox": "-1 nm"}, "oxide barrier"),
        ({"t_ox": "0.4 nm"}, "oxide barrier"),
        ({"t_ox": "1.8"}, "unit"),
        ({"v_ref": "1.2 V"}, "must lie below v_dd"),
        ({"v_ref": "1.0 V"}, "must lie below v_dd"),
        ({"v_dd": "-1 V"}, "positive"),
        ({"temperature": "200 degC"}, "junctions"),
        ({"storage_capacitance": "0 fF"}, "hold charge"),
        ({"storage_capacitance": "101 fF"}, "100 fF"),
        ({"sigma_t_ox": "11 %"}, "10 %"),
        ({"sigma_t_ox": "-1 %"}, "10 %"),
        ({"stack": "glass"}, "gate stack"),
        ({"stack": "sio2-hfo2", "t_ox": "0.45 nm"}, "interface layer"),
        ({"oxide": "1 nm"}, "Extra inputs"),
    ],
)
def test_refused_with_one_error_and_the_physical_reason(change: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        ADAPTER.validate_python(values_of(FOLDER / "gain-cell-65nm.yaml") | change)
    assert caught.value.error_count() == 1


def test_several_mistakes_give_several_errors() -> None:
    wrong = {"t_ox": "11 nm", "temperature": "10 K", "sigma_v_th": "1 V"}
    with pytest.raises(ValidationError) as caught:
        ADAPTER.validate_python(values_of(FOLDER / "gain-cell-65nm.yaml") | wrong)
    assert caught.value.error_count() == 3
