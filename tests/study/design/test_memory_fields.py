"""What a study file says of the array, refresh, phases and updates, seen in the numbers of a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qtaml_hw as q
from qtaml_hw.config import Study, StudyError, parse_study
from qtaml_hw.memory import layer_reads, refresh_pass
from qtaml_hw.records.fields import F
from qtaml_hw.study.design.cells.array import check_arrays, geometry_of
from qtaml_hw.study.design.design import DesignPoint, prepare
from qtaml_hw.study.design.networks.loaded import Networks

THICK = {"cell.t_ox": "2.2 nm"}  # p10 = 7e-4 after 10 us
WIDE = {"array.placement": "plane_separated", "array.plane_class": [0, 0, 0, 0, 0, 0, 1, 1]}
SECDED = {"protection.policy": "uniform", "protection.planes": 2, "protection.menu": ["secded-72-64"]}


def point(study: Study, networks: Networks, *changes: dict[str, Any]) -> DesignPoint:
    merged = {path: value for change in (THICK, *changes) for path, value in change.items()}
    return prepare(study.with_(merged), networks)


def plane_errors(design: DesignPoint, planes: slice) -> tuple[int, int]:
    """(ones lost, ones) of some planes in fault map 0."""
    timeline = design.cell.live(design.chip, 7, 0)
    lost = ones = 0
    for read, codes in zip(timeline.read_out[-1], design.image.codes(), strict=True):
        for plane in range(8)[planes]:
            ones += int(np.count_nonzero(codes >> plane & 1))
            lost += int(np.count_nonzero((read ^ codes) >> plane & 1))
    return lost, ones


def close(found: tuple[int, int], p: float) -> bool:
    lost, ones = found
    return abs(lost - ones * p) < 4 * np.sqrt(ones * p * (1 - p)) + 1


def test_top_planes_in_rows_of_their_own_are_refreshed_more_often(small: Study, networks: Networks) -> None:
    plain = point(small, networks)
    classes = point(small, networks, WIDE, {"refresh.interval": ["40 us", "10 us"]})
    p = classes.protection.channel.p10
    assert p[7] == p[6] == plain.protection.channel.p10[0]
    assert p[0] > 50 * p[7]
    assert close(plane_errors(classes, slice(0, 6)), p[0])
    assert close(plane_errors(classes, slice(6, 8)), p[7])
    saved = classes.facts["refresh_energy_j"] / plain.facts["refresh_energy_j"]
    assert saved == pytest.approx(6 / 8 / 4 + 2 / 8, rel=0.03)  # whole rows of each class
    never = point(small, networks, WIDE, {"refresh.interval": ["off", "10 us"]})
    assert close(plane_errors(never, slice(0, 6)), never.protection.channel.p10[0])
    assert never.protection.channel.p10[0] > 0.99


def test_words_in_neighbouring_banks_are_read_in_parallel(small: Study, networks: Networks) -> None:
    chips = [point(small, networks, {"array.interleave": i}).chip for i in ("block", "word")]
    block, word = (layer_reads(chip.layout, chip.schedule, chip.log).read_s for chip in chips)
    assert block.sum() > 2 * word.sum()
    largest, cycle_s = int(np.argmax(chips[1].layout.bank_words.sum(axis=1))), chips[1].layout.cycle_s
    accesses = -(-chips[1].codes[largest].size // 8)  # eight weights of a word
    assert word[largest] == pytest.approx(-(-accesses // 8) * cycle_s, rel=0.02)  # over eight banks


def test_rows_refreshed_together_shorten_the_pass(small: Study, networks: Networks) -> None:
    one, four = (point(small, networks, {"array.rows_refreshed_together": n}).chip for n in (1, 4))
    share = [float(c.log.bank_busy_s.sum()) for c in (one, four)]
    rows = int(one.layout.rows_per_group[0])
    passes = one.log.refreshes
    assert share[0] - share[1] == pytest.approx(passes * (rows - -(-rows // 4)) * one.layout.cycle_s)


def test_staggered_banks_are_refreshed_one_after_another(small: Study, networks: Networks) -> None:
    log = point(small, networks, {"refresh.mode": "staggered"}).chip.log
    firsts = [float(times[0]) for times in log.refresh_s]
    np.testing.assert_allclose(firsts, 10e-6 * np.arange(1, 9) / 8, rtol=1e-9)


def test_a_network_larger_than_the_array_is_streamed(small: Study, networks: Networks) -> None:
    store = {"bandwidth": "8 Gbit/s", "latency": "1 us"}
    whole, tiled = point(small, networks), point(small, networks, {"array.capacity": "16 KB", "array.backing": store})
    streamed = tiled.chip.layout.residency.streamed
    bits = 8 * np.array([codes.size for codes in tiled.image.codes()])[streamed]
    assert streamed.any()
    load_s = len(bits) * 1e-6 + bits.sum() / 8e9
    longer = tiled.chip.log.inference_s[0] - whole.chip.log.inference_s[0]
    assert longer == pytest.approx(load_s, rel=0.05)
    assert tiled.record(0)[F.score] > 0.9


def test_flagged_words_are_passed_zeroed_or_fetched(small: Study, networks: Networks) -> None:
    store = {"array.backing": {"bandwidth": "10 GB/s", "latency": "100 ns"}}
    heavy = {"cell.t_ox": "1.85 nm", "refresh.ecc_aware": False}
    left, runs = {}, {}
    for policy in ("raw", "zero", "reload"):
        design = point(small, networks, SECDED, store, heavy, {"array.on_uncorrectable": policy})
        runs[policy] = design.cell.live(design.chip, 7, 0)
        left[policy] = int(runs[policy].flips_read[-1])
    assert int(runs["raw"].words_uncorrectable[-1]) > 20
    assert left["reload"] < left["raw"] < left["zero"]
    flagged, cycle_s = int(runs["reload"].words_uncorrectable[-1]), design.chip.layout.cycle_s
    assert runs["reload"].reload.wait_s[-1] == pytest.approx(flagged * (100e-9 + 64 / 8e10 + 2 * cycle_s))


def test_strong_rows_are_refreshed_less_often_and_nothing_more_is_lost(small: Study, networks: Networks) -> None:
    fast = {"refresh.interval": "4 us"}
    plain = point(small, networks, fast)
    aware = point(small, networks, fast, {"refresh.retention_aware": {"multiples": [2]}})
    records = [d.record(0) for d in (plain, aware)]
    assert records[0]["flips_raw"] == records[1]["flips_raw"]
    p = float(plain.cell.model.flip_probability(8e-6))
    bits, rows = aware.facts["stored_bits"], 8 * int(aware.chip.layout.rows_per_group[0])
    strong = (1 - p) ** (bits / rows)
    saved = aware.facts["refresh_energy_j"] / plain.facts["refresh_energy_j"]
    assert 0.5 < saved < 0.95
    assert saved == pytest.approx(1 - strong / 2, abs=8 / rows)
    energy = [d.cell.live(d.chip, 7, 0).energy_j["refresh"] for d in (plain, aware)]
    assert energy[1] / energy[0] == pytest.approx(saved, abs=4 * 0.25 / np.sqrt(rows))


def test_phases_change_retention_and_stop_refresh(small: Study, networks: Networks) -> None:
    def flips(*phases: dict[str, str], at: list[str]) -> tuple[list[int], float]:
        design = point(small, networks, {"timeline.phases": list(phases), "evaluate.at": at})
        return design.cell.live(design.chip, 7, 0).flips_data.tolist(), float(design.cell.channel.p10[0])

    hot = {"label": "hot", "from": "200 us", "to": "600 us", "temperature": "105 degC"}
    cold = {"label": "cold", "from": "200 us", "to": "600 us", "temperature": "25 degC"}
    low = {"label": "low", "from": "200 us", "to": "600 us", "v_dd": "0.9 V"}
    idle = {"label": "idle", "from": "200 us", "to": "280 us", "refresh": "off"}
    at = ["150 us", "500 us", "1 ms"]
    ones = sum(int(np.unpackbits(c).sum()) for c in point(small, networks).image.codes())
    usual, p = flips(at=at)
    assert usual[0] == usual[1] == usual[2]
    heated, p_hot = flips(hot, at=at)
    assert heated[0] == usual[0] < heated[1] == heated[2]  # a refresh keeps what was lost in the heat
    assert p_hot > 5 * p
    assert close((heated[2], ones), p_hot)
    assert flips(cold, at=at)[0] == usual
    assert flips(low, at=at)[0][2] > usual[2]
    slept, p_slept = flips(idle, at=at)
    assert close((slept[1], ones), p_slept)
    hotter = point(small, networks, {"cell.temperature": "105 degC"})
    assert p_hot == pytest.approx(float(hotter.cell.channel.p10[0]), rel=1e-6)


def test_an_update_writes_what_was_lost_anew(small: Study, networks: Networks) -> None:
    idle = {"from": "200 us", "to": "300 us", "refresh": "off", "inferences": "off"}
    study = {"timeline.phases": [idle], "evaluate.at": ["150 us", "400 us", "1 ms"], "timeline.updates": "500 us"}
    design = point(small, networks, study)
    flips = design.cell.live(design.chip, 7, 0).flips_data.tolist()
    assert flips[0] == flips[2] < flips[1] / 100
    assert [len(times) for times in design.chip.log.write_s] == [1] * 8


def test_lost_power_is_reloaded(small: Study, networks: Networks) -> None:
    dark = {"label": "off", "from": "200 us", "to": "300 us", "powered": "off"}
    design = point(small, networks, {"timeline.phases": [dark], "evaluate.at": ["150 us", "1 ms"]})
    flips = design.cell.live(design.chip, 7, 0).flips_data.tolist()
    assert flips[0] == flips[1]
    assert all(times.tolist() == [300e-6] for times in design.chip.log.write_s)


def test_every_die_has_its_own_cells_in_every_phase(small: Study, networks: Networks) -> None:
    hot = {"label": "hot", "from": "200 us", "to": "600 us", "temperature": "105 degC"}
    design = point(small, networks, {"timeline.phases": [hot], "cell.sigma_v_th_die": "20 mV"})
    flips = [int(design.cell.live(design.chip, 7, i).flips_data[-1]) for i in range(4)]
    assert max(flips) > 1.3 * min(flips)
    usual = point(small, networks, {"cell.sigma_v_th_die": "20 mV"})
    assert flips[2] > 1.3 * int(usual.cell.live(usual.chip, 7, 2).flips_data[-1])
    assert flips[2] == int(design.cell.live(design.chip, 7, 2).flips_data[-1])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"refresh.interval": "40 ns"}, r"refresh takes \d+% of every bank's time .*at least \d+ banks \(now 8\)"),
        (
            {"array.banks": 1, "array.word_bits": 8, "accelerator.inferences_per_second": 50_000},
            r"would be used \d{3}% of the time \(refresh \d\.\d%, inference reads \d{3}\.\d%",
        ),
        ({"array.capacity": "16 KB"}, r"the image needs 248256 bits.*the array has 131072.*array\.backing\.bandwidth"),
        ({"array.capacity": "16 KB", "array.backing": {"bandwidth": "1 MB/s"}}, r"streaming takes 0\.0\d+ s per inf"),
    ],
)
def test_what_needs_the_network_is_refused_before_the_first_map(
    small: Study, networks: Networks, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(q.InputError, match=words):
        point(small, networks, change)


def test_validate_finds_a_refresh_pass_that_is_too_long_without_the_network() -> None:
    sweep = "sweep: {grid: {refresh.interval: [150 us, 40 us, 20 us]}}"
    text = f"array: {{capacity: 4 MB, banks: 1}}\nrefresh: 150 us\n{sweep}\n"
    study = parse_study(text, name="f.yaml")
    with pytest.raises(StudyError) as found:
        check_arrays(study.points())
    first, second = found.value.errors
    assert (first.line, second.line) == (3, 3)
    pass_s = refresh_pass(geometry_of(study), 4 * 8192 * 1024, 1.0).pass_s  # one bank of 4 MB
    for message, interval in ((first.message, 40e-6), (second.message, 20e-6)):
        assert f"'interval={interval * 1e6:g} us': refresh takes {pass_s / interval:.0%} of every bank" in message
        assert f"({pass_s * 1e6:.4g} us of every {interval * 1e6:g} us; rows per class [32768]" in message
        assert f"at least {int(np.ceil(pass_s / interval))} banks (now 1)" in message
    check_arrays(study.with_({"array.banks": 8, "sweep": None}).points())


def test_rows_follow_the_planes_of_the_format() -> None:
    text = (
        "array: {capacity: 4 MB, placement: plane_separated}\nweights: {format: int16}\n"
        f"refresh: {{interval: [{', '.join(['100 us'] * 16)}]}}"
    )
    check_arrays(parse_study(text).points())
    with pytest.raises(StudyError, match="8 intervals are given, one per row class; array has 16"):
        parse_study(text.replace(", 100 us" * 8, "", 1))
