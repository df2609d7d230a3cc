"""The studies and presets that come with the product, and the names that config holds for other parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from qtaml_hw.config import load_study, parse_study
from qtaml_hw.config.reading.presets import cell_preset, cell_presets, presets
from qtaml_hw.config.shipped import shipped

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
PUBLISHED = shipped("published")


@pytest.mark.parametrize("file", [*CONFIGS, *PUBLISHED.values()], ids=lambda file: file.stem)
def test_shipped_study_is_valid_and_says_its_question(file: Path) -> None:
    study = load_study(file)
    points = study.points()
    assert len({point.label for point in points}) == len(points)
    first = file.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ")
    assert first.endswith("?")


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_design_says_what_is_from_its_source_and_what_is_not(name: str) -> None:
    lines = PUBLISHED[name].read_text(encoding="utf-8").splitlines()
    head = lines[: next(number for number, line in enumerate(lines) if not line.startswith("#"))]
    said = [line.split()[1].rstrip(":") for line in head if line.startswith("# ") and not line.startswith("#  ")]
    assert {"Design", "Assumed", "Not"} <= set(said)
    assert {"Source", "From"} & set(said)
    assert f"#   qtaml-hw sweep configs/published/{name}.yaml --out runs/{name}" in head


def test_there_is_one_study_for_every_question() -> None:
    assert {file.stem for file in CONFIGS} >= {"quickstart", "oxide_sweep", "ecc_overhead", "fixed_flip_rate"}


def test_quickstart_sweeps_oxide_over_codes_that_can_be_built() -> None:
    points = load_study(CONFIGS[[file.stem for file in CONFIGS].index("quickstart")]).points()
    menus = {point.study.protection.menu for point in points if point.study.protection.policy == "tac"}
    assert menus == {("secded-72-64", "dected-79-64", "bch-63-45")}
    assert {point.study.protection.policy for point in points} == {"none", "uniform", "tac", "joint"}
    assert not any("ideal" in point.study.protection.menu for point in points)
    assert len({point.study.cell.t_ox_m for point in points}) >= 4
    assert len(points) == len({point.study.identity() for point in points})


@pytest.mark.parametrize("name", presets("flips"))
def test_a_preset_of_flips_makes_a_study_and_cites_every_value(name: str) -> None:
    study = parse_study(f"cell: {{kind: sram6t}}\nflips: {{preset: {name}}}")
    origins = {
        path: one for path, one in study.provenance.items() if path.startswith("flips.") and one.kind == "preset"
    }
    assert origins.keys() == {f"flips.{key}" for key in ("law", "v_zero", "decade", "measured", "direction")}
    assert all(len(origin.citation) > 10 and origin.line for origin in origins.values())


@pytest.mark.parametrize("name", cell_presets())
def test_a_preset_makes_a_study_and_cites_every_value(name: str) -> None:
    study = parse_study(f"cell: {{preset: {name}}}")
    assert study.cell.kind == cell_preset(name).kind
    origins = [origin for origin in study.provenance.values() if origin.kind == "preset"]
    assert len(origins) > 5
    assert all(origin.citation and origin.line for origin in origins)
