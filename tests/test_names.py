"""The words that study files are checked against have something behind them, each of them."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtaml_hw import device, names, protection, tac, weights, workloads
from qtaml_hw.channel import FlipChannel
from qtaml_hw.config import Study
from qtaml_hw.config.reading.fields import models_in
from qtaml_hw.config.reading.presets import cell_preset
from qtaml_hw.config.sections.menu import is_protection
from qtaml_hw.weights import ChannelFormat
from qtaml_hw.workloads.data import EMBEDDED


def test_networks_and_data_sets() -> None:
    assert workloads.names() == names.NETWORKS
    assert set(names.DATA_SETS) == set(EMBEDDED)
    assert names.DEFAULT_NETWORK in names.NETWORKS
    assert names.DEFAULT_DATA in names.DATA_SETS


def test_codes_and_menu() -> None:
    for name in names.MENU:
        assert protection.entry_at(name, FlipChannel.uniform(0.1, 8)).name.startswith(name)


def there(name: str) -> bool:
    try:
        return protection.entry(name).name == name
    except ValueError:
        return False


@settings(max_examples=150)
@given(
    family=st.sampled_from(["secded", "hamming", "bch", "dected", "golay"]),
    k=st.integers(0, 520),
    checks=st.integers(0, 24),
)
def test_sizes_that_a_study_may_name_are_those_of_codes_that_there_are(family: str, k: int, checks: int) -> None:
    name = f"{family}-{k + checks}-{k}"
    assert is_protection(name) == there(name), name


@pytest.mark.parametrize(
    "family",
    ["repeat-{}", "parity-zero-{}", "parity-sign-{}", "refresh-{}x", "bch-31-{}", "dected-45-{}", "secded-{}-8"],
)
def test_every_number_of_a_family(family: str) -> None:
    for number in [*range(32), 63, 64, 65, 99, 100, "1.5", "0.5", "08", "x", "-1"]:
        name = family.format(number)
        written = names.canonical_code(name)
        assert (written in names.MENU or is_protection(written)) == there(written), name


def test_every_kind_of_cell_has_a_section_a_preset_and_a_device() -> None:
    sections = models_in(Study.model_fields["cell"].annotation)
    assert set(names.CELLS) == {kind for one in sections for kind in get_args(one.model_fields["kind"].annotation)}
    for kind, row in names.CELLS.items():
        assert cell_preset(row.preset).kind == kind
        assert hasattr(device, row.device)
        assert (row.refresh == "off") == row.static


def test_every_policy_plans_and_names_fields_that_there_are() -> None:
    assert list(tac.POLICIES) == list(names.POLICIES)
    fields = set(Study.model_fields["protection"].annotation.model_fields)  # type: ignore[union-attr]
    assert all(row.unused <= fields for row in names.POLICIES.values())
    assert [name for name, row in names.POLICIES.items() if row.scored] == ["tac"]


def test_number_formats() -> None:
    assert set(names.FLOAT_FORMATS) == set(weights.LAYOUTS)
    built = {name: weights.number_format(name) for name in names.FORMATS}
    planes = {name: form.planes for name, form in built.items()}
    made = {name: ChannelFormat((0.01,) * 8, (0.01,) * 8).planes for name in names.CHANNEL_FORMATS}
    shared = {name: planes[elements] for name, (elements, _) in names.SHARED_FORMATS.items()}
    assert planes | made | shared | {names.FILE_FORMAT: 8} == names.PLANES
    assert {name for name, form in built.items() if form.scaling == "none"} == set(names.UNSCALED_FORMATS)
    assert {name for name, form in built.items() if form.scaling == "range"} == set(names.UNSIGNED_FORMATS)
    assert {name for name, form in built.items() if hasattr(form, "encoding")} == set(names.CODED_FORMATS)
    assert {name for name, form in built.items() if hasattr(form, "power")} == set(names.POWER_FORMATS)
