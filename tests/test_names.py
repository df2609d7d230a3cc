"""The name tables that study files are checked against equal the registries behind them."""

from __future__ import annotations

from qtaml_hw import device, names, protection, weights, workloads
from qtaml_hw.config.reading.presets import cell_preset, cell_presets
from qtaml_hw.config.sections.cell import DEFAULT_PRESET
from qtaml_hw.study.design.cell import CELLS
from qtaml_hw.workloads.data import EMBEDDED


def test_networks_and_data_sets() -> None:
    assert set(names.NETWORKS) == set(workloads.names())
    assert set(names.DATA_SETS) == set(EMBEDDED)
    assert names.DEFAULT_NETWORK in names.NETWORKS
    assert names.DEFAULT_DATA in names.DATA_SETS


def test_codes_and_menu() -> None:
    assert set(names.MENU) == set(protection.ENTRY_NAMES) - {"none"}
    for name in names.MENU:
        assert protection.entry(name).name == name


def test_cells_and_presets() -> None:
    assert set(CELLS) == set(DEFAULT_PRESET)
    assert set(DEFAULT_PRESET.values()) <= set(cell_presets())
    for kind, name in DEFAULT_PRESET.items():
        assert cell_preset(name).name == name
        assert hasattr(device, CELLS[kind])


def test_number_formats_and_scales() -> None:
    assert set(names.FORMATS) == set(weights.FORMATS)
    assert names.SCALES == weights.GRANULARITIES
    assert set(names.FLOAT_FORMATS) == set(weights.LAYOUTS)
    built = {name: weights.number_format(name) for name in names.FORMATS}
    assert {name: form.planes for name, form in built.items()} == names.PLANES
    assert {name for name, form in built.items() if form.scaling == "none"} == set(names.UNSCALED_FORMATS)
    assert {name for name, form in built.items() if hasattr(form, "encoding")} == set(names.CODED_FORMATS)
    assert {name for name, form in built.items() if hasattr(form, "power")} == set(names.POWER_FORMATS)
