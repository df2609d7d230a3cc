"""ECC words in an array by hand: five layouts with odd sizes and three banks; decoders, scrubs and times."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qtaml_hw.ecc import code
from qtaml_hw.memory import ArrayGeometry, PlannedArray, Schedule
from qtaml_hw.memory.array.words import PlacedWords
from qtaml_hw.memory.traffic.commands import scrub_pass_s
from qtaml_hw.protection import ProtectionPlan

LENET = np.cumsum([0, 144, 4608, 15360, 10080, 840])
ODD = np.cumsum([0, 1001, 37, 50003])
ROW_MAJOR = ArrayGeometry(banks=3, row_bits=1024, word_bits=64)
SEPARATED = replace(ROW_MAJOR, placement="plane_separated")


def plan(starts: np.ndarray, planes: int, top: int, entry: str) -> ProtectionPlan:
    return ProtectionPlan.uniform_msb(starts, planes, top, entry)


@pytest.mark.parametrize(
    ("starts", "planes", "top", "entry", "words", "parity", "rows", "row_major", "separated"),  # by hand
    [
        (LENET, 8, 2, "secded-72-64", 971, 7_768, 84, 4_001, 1_092),
        (ODD, 8, 2, "secded-72-64", 1_597, 12_776, 138, 6_580, 1_795),
        (ODD, 8, 3, "secded-39-32", 4_786, 33_502, 144, 6_904, 2_917),
        (ODD, 8, 8, "secded-72-64", 6_382, 51_056, 150, 7_178, 7_178),
        (ODD, 4, 1, "dected-79-64", 799, 11_985, 71, 3_378, 985),
    ],
)
def test_words_rows_and_accesses_by_hand(
    starts: np.ndarray,
    planes: int,
    top: int,
    entry: str,
    words: int,
    parity: int,
    rows: int,
    row_major: int,
    separated: int,
) -> None:
    made = plan(starts, planes, top, entry)
    placed = PlacedWords(made, ROW_MAJOR, at_refresh=True)
    assert sum(one.words for one in placed.entries) == words
    assert int(placed.parity_bits.sum()) == parity
    array = PlannedArray(made, ROW_MAJOR, Schedule(horizon_s=1e-3))
    assert array.layout.rows_per_group.tolist() == [rows]
    assert placed.corrections.scrub_accesses == row_major  # all planes share an access with a protected bit
    assert PlacedWords(made, SEPARATED, at_refresh=True).corrections.scrub_accesses == separated


def test_repeated_bits_take_a_word_each_and_an_access_takes_many() -> None:
    """Two planes by repeat-3: 102,082 words, 4 check bits a weight, so 64 / 12 weights and 10.7 words an access."""
    made = plan(ODD, 8, 2, "repeat-3")
    placed = PlacedWords(made, ROW_MAJOR, at_refresh=False)
    (words,) = placed.entries
    assert words.words == 102_082
    assert placed.corrections.scrub_accesses == 9_571
    assert PlacedWords(made, SEPARATED, at_refresh=False).corrections.scrub_accesses == 4_786
    assert words.per_access == pytest.approx(64 / 12 * 2)
    assert placed.decoders == {"repeat-3": 11}


def test_decoders_by_row_access_and_number() -> None:
    made = plan(LENET, 8, 2, "secded-72-64")  # 1,024 / 8.25 weights and 3.9 words a row
    assert PlacedWords(made, ROW_MAJOR, at_refresh=True).decoders == {"secded-72-64": 4}
    assert PlacedWords(made, ROW_MAJOR, at_refresh=False).decoders == {"secded-72-64": 1}
    two_rows = replace(ROW_MAJOR, rows_refreshed_together=2)
    assert PlacedWords(made, two_rows, at_refresh=True).decoders == {"secded-72-64": 8}
    for asked, count in (("per_row", 4), ("per_bank", 1), (3, 3)):
        given = replace(ROW_MAJOR, decoders=asked)
        assert PlacedWords(made, given, at_refresh=False).decoders == {"secded-72-64": count}
    wide = replace(ROW_MAJOR, word_bits=256)
    whole = PlacedWords(plan(LENET, 8, 8, "secded-72-64"), wide, at_refresh=False)
    assert whole.decoders == {"secded-72-64": 4}  # 256-bit accesses of (72,64) words
    with pytest.raises(ValueError, match="decoders must be 'per_row', 'per_bank' or a number from 1 up; got 0"):
        replace(ROW_MAJOR, decoders=0)


def test_one_protected_layer_has_the_decoders_of_its_own_rows() -> None:
    """A mean over all rows would be 0.6 words; the rows of the layer hold 3.9."""
    choice = np.zeros((5, 8), dtype=np.uint8)
    choice[1, 6:] = 1
    made = ProtectionPlan(LENET, LENET, "layer", "tac", ("none", "secded-72-64"), choice)
    assert PlacedWords(made, ROW_MAJOR, at_refresh=True).decoders == {"secded-72-64": 4}


@pytest.mark.parametrize(("decoders", "turns"), [("per_row", 1), (2, 2), (1, 4)])
def test_a_refresh_that_corrects_takes_a_decode_and_an_encode_a_turn(decoders: str | int, turns: int) -> None:
    made = plan(LENET, 8, 2, "secded-72-64")
    geometry = replace(ROW_MAJOR, cycle_s=2e-9, decoders=decoders)
    schedule = Schedule(horizon_s=1e-3, refresh_interval_s=10e-6, ecc_aware_refresh=True, scrub_interval_s=1e-3)
    layout = PlannedArray(made, geometry, schedule).layout
    hardware = code("secded-72-64").hardware(45e-9)
    both_s = hardware.decode_latency_s + hardware.encode_latency_s
    assert both_s == pytest.approx(0.983e-9, rel=1e-3)
    assert layout.pass_s(0) == pytest.approx(84 * (2e-9 + turns * both_s))
    blind = PlannedArray(made, geometry, replace(schedule, ecc_aware_refresh=False)).layout
    assert blind.pass_s(0) == pytest.approx(84 * 2e-9)
    words = -(-971 // 3)  # of a bank; an access completes one at most
    assert scrub_pass_s(layout) == pytest.approx(2 * 1334 * 2e-9 + words * both_s)


def test_interleaved_words_share_rows_as_blocks_do() -> None:
    made = plan(LENET, 8, 2, "secded-72-64")
    assert PlacedWords(made, replace(ROW_MAJOR, interleave="word"), at_refresh=True).decoders == {"secded-72-64": 4}


def test_codecs_leak_with_their_gates_node_and_periphery() -> None:
    """(72,64) has 368 + 732 GE of 17.4 nW at 45 nm, high performance and room temperature."""
    made = plan(LENET, 8, 2, "secded-72-64")
    schedule = Schedule(horizon_s=1e-3, refresh_interval_s=10e-6, ecc_aware_refresh=True)

    def leakage_w(**technology: object) -> float:
        geometry = replace(ROW_MAJOR, **technology)  # type: ignore[arg-type]
        return PlannedArray(made, geometry, schedule).costs.codec_leakage_w

    hot = leakage_w(periphery="hp", temperature_k=300.0)
    assert hot == pytest.approx(3 * 4 * 1100 * 17.4e-9, rel=1e-3)
    assert leakage_w(periphery="lstp", temperature_k=300.0) < 1e-3 * hot
    assert leakage_w(periphery="hp", temperature_k=400.0) > 2.0 * hot
    assert PlannedArray(ProtectionPlan.unprotected(LENET, 8), ROW_MAJOR, schedule).costs.codec_leakage_w == 0.0
