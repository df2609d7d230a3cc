"""Planes in cells of their own: published shapes with areas, probabilities and refresh by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import qtaml_hw as q
from qtaml_hw import device
from qtaml_hw.config import Study, StudyError, parse_study
from qtaml_hw.device.of_study import build_cell
from qtaml_hw.records.fields import F
from qtaml_hw.study.design.design import DesignPoint, prepare
from tests import studies

LOW7 = "[0, 1, 2, 3, 4, 5, 6]"
EDRAM = (
    "{kind: edram1t1c, t_ox: 2.5 nm, v_dd: 1.0 V, v_ref: 0.5 V, temperature: 105 degC, storage_capacitance: 20 fF, "
    "overlap_area: 0.0054 um2, i_sub: 0.0006 pA, i_sub_activation: 0.5 eV, sigma_t_ox: 2 %, sigma_t_ox_die: 0 %, "
    "sigma_v_th: 66 mV}"
)


def flipped_by_plane(design: DesignPoint, planes: int) -> np.ndarray:
    """Bits of one fault map that were read wrong, by plane."""
    timeline = design.cell.live(design.chip, 7, 0)
    wrong = [read ^ stored for read, stored in zip(timeline.read_out[-1], design.image.codes(), strict=True)]
    return np.array([sum(int(((x >> p) & 1).sum()) for x in wrong) for p in range(planes)])


def zeros_and_ones(design: DesignPoint, plane: int) -> tuple[int, int]:
    ones = sum(int(((codes >> plane) & 1).sum()) for codes in design.image.codes())
    return design.image.weights - ones, ones


def test_a_sign_plane_in_sram_beside_gain_cells() -> None:
    """MCAIMem's shape: one 6T and seven 2T cells a byte; the gain cells lose stored zeros."""
    plain = studies.design(cell="{kind: sram6t}")
    design = studies.design(
        cell=f"[{{planes: [7], kind: sram6t}}, {{planes: {LOW7}, preset: gain-cell-65nm, transistors: 2}}]",
        flips=f"[{{planes: [7], law: fixed, p: 0}}, {{planes: {LOW7}, law: fixed, p: 0.01, direction: 0to1}}]",
        refresh="off",
        evaluate="{at: [1 ms], images: 100, maps: {min: 2, max: 2}}",
    )
    assert design.facts["array_area_m2"] / plain.facts["array_area_m2"] == pytest.approx((1 + 7 * 0.40) / 8, rel=1e-9)
    assert design.cell.channel.p01.tolist() == [0.01] * 7 + [0.0]
    assert not design.cell.channel.p10.any()
    flips = flipped_by_plane(design, 8)
    assert flips[7] == 0
    for plane in range(7):
        expected = 0.01 * zeros_and_ones(design, plane)[0]
        assert abs(flips[plane] - expected) < 5.0 * math.sqrt(expected)
    low, top = design.facts[F.plane_classes]
    assert (low["planes"], low["cell_kind"], low["p01"]) == ([0, 1, 2, 3, 4, 5, 6], "gain_cell", 0.01)
    assert (top["planes"], top["cell_kind"], top["p01"]) == ([7], "sram6t", 0.0)


def test_leaking_cells_are_refreshed_and_pay_for_it_and_sram_is_not() -> None:
    plain = studies.design(cell="{preset: gain-cell-65nm, sigma_t_ox_die: 0 %}", refresh="{interval: 10 us}")
    cells = f"[{{planes: [7], kind: sram6t}}, {{planes: {LOW7}, preset: gain-cell-65nm, sigma_t_ox_die: 0 %}}]"
    design = studies.design(cell=cells)  # refresh as is usual for each kind of cell
    population = device.population(build_cell(design.study.classes[0].study))
    assert design.cell.channel.p10[:7] == pytest.approx(float(population.flip_probability(10e-6)))
    assert design.cell.channel.p10[7] < 1e-40
    assert flipped_by_plane(design, 8)[7] == 0
    layout = design.chip.layout
    per_class = [math.ceil(math.ceil(bits * design.image.weights / 8) / 1024) for bits in (7, 1)]
    assert layout.rows_per_group.tolist() == per_class
    assert [len(times) for times in design.chip.log.refresh_s] == [100, 0] * 8
    rows = layout.rows_per_group.sum()
    share = per_class[0] / rows  # the energy of a pass is spread over the rows of a bank
    assert design.facts["refresh_energy_j"] == pytest.approx(plain.facts["refresh_energy_j"] * share, rel=1e-9)
    leak = studies.design(cell="{kind: sram6t}").facts["leakage_energy_j"]
    mixed = (7 * plain.facts["leakage_energy_j"] + leak) / 8
    assert design.facts["leakage_energy_j"] == pytest.approx(mixed, rel=1e-9)


def test_eight_transistors_keep_the_upper_planes_and_six_the_rest() -> None:
    """The hybrid 8T-6T array: area 1 + 0.37 k/8, failures of the 6T planes as stated, none in 8T."""
    plain = studies.design(cell="{kind: sram6t}")
    design = studies.design(
        cell="[{planes: [5, 6, 7], kind: sram6t, transistors: 8}, {planes: [0, 1, 2, 3, 4], kind: sram6t}]",
        flips="[{planes: [5, 6, 7], law: retention}, {planes: [0, 1, 2, 3, 4], law: fixed, p: 0.01}]",
    )
    assert design.facts["array_area_m2"] / plain.facts["array_area_m2"] == pytest.approx(1 + 0.37 * 3 / 8, rel=1e-9)
    assert design.facts["weight_read_energy_j"] == pytest.approx(plain.facts["weight_read_energy_j"], rel=1e-9)
    assert design.cell.channel.p01[:5].tolist() == design.cell.channel.p10[:5].tolist() == [0.01] * 5
    flips, expected = flipped_by_plane(design, 8), 0.01 * design.image.weights
    assert flips[5:].tolist() == [0, 0, 0]
    assert np.abs(flips[:5] - expected).max() < 5.0 * math.sqrt(expected)
    assert design.facts["refresh_energy_j"] == 0.0


@pytest.mark.parametrize(
    ("form", "low", "low_s", "high_s"), [("bfloat16", 7, 1216e-6, 45e-6), ("float16", 8, 5.4e-3, 0.36e-3)]
)
def test_halves_of_a_float_refreshed_apart(form: str, low: int, low_s: float, high_s: float) -> None:
    """SHIELD (mantissa rarely, sign and exponent often) and Kelle's bit halves; as row classes with two intervals."""
    planes = {"low": list(range(low)), "high": list(range(low, 16))}
    common = {
        "cell": EDRAM,
        "weights": f"{{format: {form}}}",
        "evaluate": "{at: [20 ms], images: 50, maps: {min: 2, max: 2}}",
        "accelerator": "{inferences_per_second: 10}",  # reads of 1T1C cells restore them
    }
    lists = [f"{{planes: {planes['low']}, interval: {low_s} s}}", f"{{planes: {planes['high']}, interval: {high_s} s}}"]
    design = studies.design(**common, refresh=f"[{', '.join(lists)}]")
    population = device.population(build_cell(design.study))
    by_hand = [float(population.flip_probability(s)) for s in [low_s] * low + [high_s] * (16 - low)]
    assert design.cell.channel.p10 == pytest.approx(np.array(by_hand), rel=1e-12)
    flips = flipped_by_plane(design, 16)
    expected = sum(by_hand[p] * zeros_and_ones(design, p)[1] for p in range(low))
    assert abs(flips[:low].sum() - expected) < 5.0 * math.sqrt(expected) + 1.0
    classes = [0] * low + [1] * (16 - low)
    before = studies.design(
        **common,
        array=f"{{placement: plane_separated, plane_class: {classes}}}",
        refresh=f"{{interval: [{low_s} s, {high_s} s]}}",
    )
    for name in ("area_m2", "refresh_energy_j", "leakage_energy_j", "refresh_intervals_s", "p10", "stalls"):
        assert design.facts[name] == pytest.approx(before.facts[name], rel=1e-9), name
    assert flips.tolist() == flipped_by_plane(before, 16).tolist()
    rows = design.chip.layout.rows_per_group
    often = studies.design(**common, refresh=f"{{interval: {high_s} s}}").facts["refresh_energy_j"]
    by_hand_j = often * (rows[1] + rows[0] * high_s / low_s) / rows.sum()
    assert design.facts["refresh_energy_j"] == pytest.approx(by_hand_j, rel=1e-9)


def study(**sections: str) -> Study:
    return parse_study(studies.text(**sections), name="small.yaml")


def test_one_class_is_the_form_of_before() -> None:
    one = "preset: gain-cell-65nm, t_ox: 1.7 nm"
    listed = study(cell=f"[{{planes: [0, 1, 2, 3, 4, 5, 6, 7], {one}}}]")
    alone = study(cell=f"{{{one}}}")
    assert not listed.by_plane
    assert listed.identity() == alone.identity()
    assert [c.planes for c in alone.classes] == [tuple(range(8))]
    two = f"[{{planes: [7], {one}}}, {{planes: {LOW7}, {one}}}]"
    turned = f"[{{planes: {LOW7}, {one}}}, {{planes: [7], {one}}}]"
    assert study(cell=two).identity() == study(cell=turned).identity() != alone.identity()


def test_an_item_is_set_by_its_place_and_swept_so() -> None:
    cells = f"[{{planes: [7], kind: sram6t}}, {{planes: {LOW7}, preset: gain-cell-65nm}}]"
    base = study(cell=cells)
    thin = base.with_({"cell.1.t_ox": "1.6 nm"})
    assert [one.study.cell.t_ox_m for one in thin.classes] == [1.6e-9, base.cell.t_ox_m]
    with pytest.raises(StudyError, match=r"cell is a list over planes: set a field of one item, cell.0.FIELD"):
        base.with_({"cell.t_ox": "1.6 nm"})
    swept = study(cell=cells, sweep="{grid: {cell.1.t_ox: [1.7 nm, 1.9 nm]}}")
    assert [p.study.classes[0].study.cell.t_ox_m for p in swept.points()] == [1.7e-9, 1.9e-9]
    assert base.with_({"cell": None, "refresh": None}).by_plane is False
    assert "cell.t_ox (planes 0, 1, 2, 3, 4, 5, 6)" in base.provenance


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"cell": "[{planes: [7], kind: sram6t}, {planes: [0, 1, 2, 3, 4, 5, 5, 9]}]"},
         "every plane 0 to 7 of int8 is in one item: 9 is none; 5 named twice; 6 in no item"),
        ({"cell": "[{kind: sram6t}]"}, r"an item of a list over planes is a mapping with its planes"),
        ({"cell": f"[{{planes: [7], kind: sram6t}}, {{planes: {LOW7}, t_oxx: 1 nm}}]"}, "did you mean 'cell.t_ox'"),
        ({"flips": f"[{{planes: [7], law: poisson}}, {{planes: {LOW7}}}]"}, "the law poisson goes with no other"),
        ({"refresh": f"[{{planes: [7], interval: off}}, {{planes: {LOW7}, interval: 10 us}}]",
          "array": "{placement: plane_separated, plane_class: [0, 0, 0, 0, 0, 0, 0, 1]}"},
         "leave out array.plane_class"),
        ({"cell": f"[{{planes: [7], kind: sram6t}}, {{planes: {LOW7}}}]", "refresh": "{interval: 10 us}"},
         "holds its state and is not refreshed"),
    ],
)  # fmt: skip
def test_lists_that_cannot_be(sections: dict[str, str], words: str) -> None:
    with pytest.raises(StudyError, match=words):
        study(**sections)


def test_what_is_wrong_elsewhere_is_said_with_the_lists() -> None:
    for cells, said in (("[{planes: [7], kind: sram6t}]", "in no item"), ("[{kind: sram6t}]", "a mapping with its pl")):
        with pytest.raises(StudyError) as found:
            study(cell=cells, weights="{format: int8, rounding: nearestt}", array="{node: 22}")
        paths = {problem.path for problem in found.value.errors}
        assert {"weights.rounding", "array.node"} < paths
        assert said in str(found.value)


def test_words_stay_in_cells_of_one_kind() -> None:
    cells = f"[{{planes: [7], kind: sram6t}}, {{planes: {LOW7}, preset: gain-cell-65nm}}]"
    uniform = "{policy: uniform, planes: 2, menu: [secded-72-64], correction: none}"
    with pytest.raises(q.InputError, match="a word of secded-72-64 lies in one kind of cell"):
        prepare(study(cell=cells, protection=uniform), studies.NETWORKS)
    tac = "{policy: tac, budget: {bits: 10 %}, menu: [secded-72-64, refresh-2x, robust-cell], correction: none}"
    none = f"[{{planes: [7], law: fixed, p: 0}}, {{planes: {LOW7}, law: retention}}]"
    plan = q.allocate(study(cell=cells, flips=none, protection=tac)).plan
    assert plan.protected_bits > 0
    assert not plan.choice[:, 7].any()  # nothing flips there
    with pytest.raises(q.InputError, match=r"retention is asked of one cell, .* ask classes\[0\].study"):
        q.retention(study(cell=cells))


def test_words_beside_an_sram_plane_age_as_gain_cells_do() -> None:
    """The same code on the plane below the sign: its words, check bits included, lose what the leaking cells lose."""
    code = "{policy: uniform, planes: 1, menu: [secded-72-64], correction: none}"
    cells = "{preset: gain-cell-65nm, sigma_t_ox_die: 0 %, t_ox: 1.9 nm}"
    alone = studies.design(cell=cells, protection=code, array="{placement: plane_separated}")
    sram_below = f"[{{planes: {LOW7}, kind: sram6t}}, {{planes: [7], {cells[1:-1]}}}]"
    beside = studies.design(cell=sram_below, protection=code)
    one, other = alone.record(1), beside.record(1)
    for name in ("flips_parity", "words_corrected", "words_uncorrectable"):
        assert abs(one[name] - other[name]) <= 0.1 * other[name], name  # eight passes queue where one starts at once
    assert one["flips_parity"] > 0
