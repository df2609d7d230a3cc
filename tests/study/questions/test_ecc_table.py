"""The ECC overhead table of a study: nodes, check cells, own codes, and the accuracy that each code keeps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import qtaml_hw as q
from qtaml_hw import memory, report
from qtaml_hw.config import parse_study
from qtaml_hw.errors import InputError, StoreError
from qtaml_hw.report.codes import slide_grids
from qtaml_hw.study.design.cells.array import geometry_of
from tests.browser import opened

STUDY = """
study: slide
cell: {t_ox: 1.8 nm, temperature: 85 degC}
refresh: 10 us
array: {node: 45 nm, banks: 16, capacity: 4 MB}
protection: {policy: uniform, planes: 1, menu: [ideal]}
network: digits-mlp
evaluate: {at: [1 ms], images: 40, maps: {min: 2, max: 2}}
"""


@pytest.fixture(scope="module")
def study() -> q.Study:
    return parse_study(STUDY)


def test_nodes_are_blocks_and_check_cells_are_what_the_array_grows_by(study: q.Study) -> None:
    rows = q.ecc_table(study, p=0.0123456789, codes=["secded-72-64", "repeat-3"], nodes=["45 nm", "22 nm"])
    assert [(r.code, round(r.node_m * 1e9)) for r in rows[::2]] == [
        *(("secded-72-64", 45), ("repeat-3", 45)),
        *(("secded-72-64", 22), ("repeat-3", 22)),
    ]
    bits = 32 * 2.0**20
    assert {r.memory_bits for r in rows} == {bits}

    built = geometry_of(study)

    def area(share: float) -> float:
        conditions = (45e-9, built.cell, built.periphery, built.temperature_k, built.v_dd_v)
        return 16 * memory.array_cost(bits / 16 * (1 + share), built.word_bits, *conditions).area_m2

    assert rows[0].check_cells_m2 == pytest.approx(area(8 / 64) - area(0.0), rel=1e-6)
    assert rows[2].check_cells_m2 == pytest.approx(area(2.0) - area(0.0), rel=1e-6)
    assert rows[1].p == 0.0123456789
    hardware = q.ecc.code("secded-72-64").hardware(22e-9)
    assert rows[4].area_m2 == pytest.approx(hardware.encoder_area_m2 + hardware.decoder_area_m2, rel=1e-9)


def test_whatever_a_menu_takes_stands_in_the_table_and_in_a_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parity = [[1, 1, 0, 1, 1, 0, 0], [1, 0, 1, 1, 0, 1, 0], [0, 1, 1, 1, 0, 0, 1]]
    (tmp_path / "own.json").write_text(json.dumps({"name": "own", "parity_check": parity}))
    names = ["own.json", "parity-zero-4", "bch-255-239", "refresh-3x", "robust-cell"]
    rows = q.ecc_table(parse_study(STUDY), codes=names)
    assert [r.code for r in rows[1:]] == names[1:]
    assert (rows[0].n, rows[0].k) == (7, 4)
    cells = [r.check_cells_m2 or 0.0 for r in rows]
    assert cells[0] > cells[1] > cells[2] > cells[3] == 0.0
    assert cells[4] > cells[0] * 0.5
    for name in names:
        assert parse_study(STUDY).with_({"protection.menu": [name]}).protection.menu == (name,)


def test_scores_are_measured_kept_and_read_again(study: q.Study, tmp_path: Path) -> None:
    codes = ["secded-39-32", "ideal"]
    first = q.ecc_table(study, p=0.01, codes=codes, measure=True, store=tmp_path / "store")
    own = [r for r in first if r.p != 0.01]
    for row in own:
        alone = q.run(study.with_({"protection.menu": [row.code]}))
        assert (row.score_mean, row.maps) == (alone.accuracy.mean, 2)
        assert row.score_ci95_low == alone.accuracy.low
    assert all(r.score_mean is None for r in first if r.p == 0.01)
    again = q.ecc_table(study, p=0.01, codes=codes, store=tmp_path / "store")
    assert again == first
    assert q.ecc_table(study, codes=["repeat-3"], store=tmp_path / "store")[0].score_mean is None
    with pytest.raises(StoreError, match="--measure"):
        q.ecc_table(study, store=tmp_path / "none")
    with pytest.raises(InputError, match="give the study"):
        q.ecc_table(measure=True)


@pytest.mark.parametrize("p", [2, [0.1, -0.1], "0.1", [float("nan")]])
def test_what_is_no_probability_is_one_error(p: object) -> None:
    with pytest.raises(InputError, match="a number from 0 to 1"):
        q.ecc_table(p=p)  # type: ignore[arg-type]


def test_the_slide_says_p_in_full_and_sorts(study: q.Study, tmp_path: Path) -> None:
    rows = q.ecc_table(study, p=[0.0123456789, 1e-4], codes=["secded-39-32", "bch-63-45", "ideal"])
    plain = [row.as_dict() for row in rows]
    (_, costs), (_, left) = slide_grids(plain)
    assert [row[0] for row in costs.rows] == ["secded-39-32", "bch-63-45", "ideal"]
    assert {row[1] for row in left.rows} >= {"0.0123456789", "0.0001"}
    assert r"\label{tab:ecc-overhead}" in q.protection.to_latex(rows)
    assert "0.0123456789" in q.protection.to_markdown(rows)
    assert "secded-39-32" in rows._repr_html_()
    assert json.loads(json.dumps(plain))[0]["code"] == "secded-39-32"
    page = tmp_path / "slide.html"
    page.write_text(report.ecc_page(plain, "<b>slide"))
    with opened(page.as_uri()) as seen:
        table = seen.page.locator("table").first
        table.locator("th", has_text="Decoder").click()
        assert table.locator("tbody tr td:first-child").all_inner_texts() == ["ideal", "secded-39-32", "bch-63-45"]
        assert seen.page.locator("h1").inner_text() == "<b>slide"
        assert (seen.said, seen.asked) == ([], [page.as_uri()])
