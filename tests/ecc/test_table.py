"""The overhead table, its exports, and hardware figures."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from qtaml_hw import ecc, protection
from qtaml_hw.channel import FlipChannel
from qtaml_hw.ecc.hardware import SYNTHESISED, closed_form

KEYS = [
    *("code", "n", "k", "parity_fraction", "p", "residual_p", "p_due", "p_sdc", "break_even_p", "encoder_ge"),
    *("decoder_ge", "area_m2", "decode_energy_j", "decode_latency_s", "source", "hurts"),
    *("node_m", "encode_energy_j", "check_cells_m2", "memory_bits"),
    *("score_mean", "score_ci95_low", "score_ci95_high", "maps"),
]


def test_rows_have_the_promised_keys_and_flag_what_hurts() -> None:
    rows = protection.overhead_table(p=[0.01, 0.1], codes=["secded-39-32", "secded-72-64", "repeat-3", "ideal"])
    assert [list(r.as_dict()) for r in rows] == [KEYS] * 8
    assert [r.hurts for r in rows] == [False, True, False, True, False, False, False, False]
    first = rows[0]
    assert (first.n, first.k, first.parity_fraction) == (39, 32, 7 / 32)
    assert first.area_m2 == pytest.approx((166.0 + 380.3) * 0.798e-12, rel=1e-9)
    assert (first.decode_energy_j, first.decode_latency_s) == pytest.approx((0.3746e-12, 582.88e-12), rel=1e-9)


def test_exports_say_the_same_and_keep_ideal_apart() -> None:
    rows = protection.overhead_table(p=[0.01], codes=["secded-39-32", "ideal"])
    read = list(csv.DictReader(io.StringIO(protection.to_csv(rows))))
    assert list(read[0]) == KEYS
    assert float(read[0]["residual_p"]) == rows[0].residual_p
    assert json.loads(protection.to_json(rows))["rows"] == [r.as_dict() for r in rows]
    for text in (protection.to_markdown(rows), protection.to_latex(rows)):
        head, bound = text.split("Bounds, for comparison only: error-free by assumption, not buildable")
        assert "ideal" not in head
        assert "secded" not in bound
    assert read[1]["source"] == "ideal (error-free, not buildable)"


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="did you mean"):
        protection.overhead_table(p=[0.1], codes=["secded-73-64"])
    with pytest.raises(ValueError, match="probability"):
        protection.overhead_table(p=[1.1])
    with pytest.raises(ValueError, match="2 nm to 180 nm"):
        protection.overhead_table(p=[0.1], codes=["repeat-3"], node_m=45.0)


@pytest.mark.parametrize("name", [n for n, row in SYNTHESISED.items() if row[2] > 60.0])
def test_closed_form_is_close_to_synthesis(name: str) -> None:
    encoder, _, decoder, _ = closed_form(ecc.code(name))
    assert encoder == pytest.approx(SYNTHESISED[name][0], rel=0.20)
    assert decoder == pytest.approx(SYNTHESISED[name][2], rel=0.15)


def test_node_scaling_reaches_the_other_libraries() -> None:
    code = ecc.code("secded-72-64")
    assert code.hardware(130e-9).decoder_area_m2 == pytest.approx(3529.6e-12, rel=0.25)  # sky130hd synthesis
    assert code.hardware(7e-9).decoder_area_m2 == pytest.approx(44.834e-12, rel=0.10)  # ASAP7
    assert code.hardware(2e-9).decoder_area_m2 == pytest.approx(14.933e-12, rel=0.15)  # GT2N
    areas = [code.hardware(node).decoder_area_m2 for node in (2e-9, 7e-9, 22e-9, 45e-9, 65e-9, 180e-9)]
    assert (np.diff(areas) > 0.0).all()
    assert "scaled to 22 nm" in code.hardware(22e-9).source
    assert code.hardware(45e-9).pipeline_cycles(500e6) == 1
    assert ecc.code("bch-63-45").hardware(45e-9).pipeline_cycles(1e9) == 2


def test_plan_table() -> None:
    plan = protection.ProtectionPlan.uniform_msb([0, 1000, 1777], 8, 2, "secded-39-32")
    rows = protection.plan_table(plan, FlipChannel.uniform(0.1, 8))
    assert [r.tensor for r in rows] == [0, 1]
    assert (rows[0].data_bits, rows[0].words, rows[0].parity_bits) == (2000, 63, 441)
    assert rows[0].parity_of_all == 441 / (1777 * 8)
    assert all(r.hurts for r in rows)
    assert rows[0].logic.scrub_energy_j == pytest.approx((0.2481 + 0.3746) * 1e-12)
