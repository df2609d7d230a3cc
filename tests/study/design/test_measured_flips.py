"""Studies on measured flips: the same code ages, nests, corrects and plans them as those of a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qtaml_hw import retention, run, what_if
from qtaml_hw.config import load_study
from qtaml_hw.errors import InputError
from qtaml_hw.study.design.cells.cell import view_cell
from qtaml_hw.study.design.networks.identity import identity_of
from tests.studies import design, study, text

TABLE = "[[10 us, 1e-7], [20 us, 3e-6], [40 us, 8e-5], [80 us, 1.2e-3], [160 us, 1.1e-2], [320 us, 6e-2]]"
CURVE = f"{{law: curve, points: {TABLE}, temperature: 85 degC}}"


def test_the_measured_table_is_what_retention_answers() -> None:
    answer = retention(study(flips=CURVE, refresh="40 us"))
    assert answer.p10 == pytest.approx(8e-5, rel=1e-9)
    assert answer.p01 == 0.0
    assert (answer.law, answer.gate_share) == ("curve", None)
    named = answer.as_dict()["quantiles_s"]
    assert named["1e-3"] == pytest.approx(40e-6 * 2.0 ** (np.log(1e-3 / 8e-5) / np.log(1.2e-3 / 8e-5)), rel=1e-9)
    assert (named["0.1"], named["0.5"]) == (None, None)
    times = [t for t, _, _ in answer.intervals]
    np.testing.assert_allclose([times[0], times[-1]], [10e-6, 320e-6])  # not beyond the points


def test_flips_of_a_chip_are_those_of_the_curve_and_nested() -> None:
    reads = {}
    for interval in ("40 us", "80 us", "160 us"):
        point = design(flips=CURVE, refresh=interval)
        reads[interval] = np.concatenate([codes.ravel() for codes in point.cell.live(point.chip, 1, 0).read_out[-1]])
        clean = np.concatenate([codes.ravel() for codes in point.image.codes()])
        ones = int(np.unpackbits(clean).sum())
        lost = int(np.unpackbits(clean & ~reads[interval]).sum())
        p = point.cell.channel.p10[0]
        assert abs(lost - p * ones) <= 4.0 * np.sqrt(p * ones)
        assert not np.any(reads[interval] & ~clean)
    assert not np.any(~reads["40 us"] & reads["80 us"])  # a cell that fails sooner fails later too
    assert not np.any(~reads["80 us"] & reads["160 us"])


def test_symmetric_cells_flip_either_way() -> None:
    point = design(flips=f"{CURVE[:-1]}, direction: symmetric}}", refresh="160 us")
    clean = np.concatenate([codes.ravel() for codes in point.image.codes()])
    read = np.concatenate([codes.ravel() for codes in point.cell.live(point.chip, 1, 0).read_out[-1]])
    for written in (clean, ~clean):
        stored, lost = (int(np.unpackbits(x).sum()) for x in (written, written & (clean ^ read)))
        assert abs(lost - 1.1e-2 * stored) <= 4.0 * np.sqrt(1.1e-2 * stored)


def test_words_are_corrected_as_those_of_any_weak_cells() -> None:
    """Both ways of stating cells that fail from the start agree on every word: fixed p, and one wait at that p."""
    coded = {"protection": "{policy: uniform, planes: 2, menu: [secded-72-64]}"}
    curve = run(study(flips=f"{CURVE[:-1]}, direction: symmetric}}", refresh="160 us", **coded))
    fixed = run(study(flips="{law: fixed, p: 0.011}", refresh="160 us", **coded))
    for name in ("flips_raw", "words_corrected", "words_uncorrectable"):
        assert getattr(curve, name) == getattr(fixed, name)


def test_phases_follow_the_temperatures_that_were_measured() -> None:
    rows = ", ".join(
        f"[{t} us, {p}, {c} degC]"
        for c, speed in ((85, 1), (105, 2))
        for t, p in ((10 / speed, 1e-7), (320 / speed, 6e-2))
    )
    flips = f"{{law: curve, points: [{rows}]}}"
    phase = "{{phases: [{{from: 100 us, to: 400 us, temperature: {}}}]}}"
    warm = view_cell(study(flips=flips, refresh="100 us", timeline=phase.format("105 degC")), 8)
    assert float(warm.channel.p10[0]) == pytest.approx(1e-7 * 20.0 ** (np.log(6e5) / np.log(32.0)))  # as 200 us
    with pytest.raises(ValueError, match="between 85 degC and 105 degC"):
        view_cell(study(flips=flips, refresh="100 us", timeline=phase.format("25 degC")), 8)


@pytest.mark.parametrize(("interval", "said"), [("5 us", "cells wait 5 us"), ("400 us", "cells wait 400 us")])
def test_an_interval_beyond_the_points_is_refused_until_a_tail_is_stated(interval: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        run(study(flips=CURVE, refresh=interval))
    answer = view_cell(study(flips=f"{CURVE[:-1]}, tail: lognormal}}", refresh=interval), 8)
    assert 0.0 < float(answer.channel.p10[0]) < 0.1


def test_the_content_of_a_file_is_part_of_the_identity(tmp_path: Path) -> None:
    def identity(content: str) -> str:
        (tmp_path / "retention.csv").write_text(content)
        (tmp_path / "s.yaml").write_text(text(flips="{law: curve, file: retention.csv}", refresh="40 us"))
        return identity_of(load_study(tmp_path / "s.yaml"), "network")

    one = identity("time_us,p\n10,1e-7\n320,0.06\n")
    assert identity("time_us,p\n10,1e-7\n320,0.06\n") == one
    assert identity("time_us,p\n10,1e-7\n320,0.05\n") != one


def test_undervolted_sram_saves_no_cell_twice() -> None:
    """p over v_dd, one direction, nested over the supply; what-if is paired over the same maps."""
    flips = "{law: voltage, v_zero: 0.454 V, decade: 20 mV, direction: 1to0}"
    low = study({"cell.v_dd": "0.50 V"}, cell="{kind: sram6t}", refresh="off", flips=flips)
    view = view_cell(low, 8)
    assert float(view.channel.p10[0]) == pytest.approx(10.0 ** (-(0.50 - 0.454) / 0.020), rel=1e-9)
    assert float(view.channel.p01[0]) == 0.0
    answer = what_if(low, {"cell.v_dd": "0.52 V"})
    assert answer.after.flips_raw < 0.2 * answer.before.flips_raw


def test_points_over_the_supply() -> None:
    flips = "{law: curve, points: [[0.54 V, 4.7e-5], [0.53 V, 1.6e-4]], direction: 1to0}"
    sram = study({"cell.v_dd": "0.54 V"}, cell="{kind: sram6t}", refresh="off", flips=flips)
    assert float(view_cell(sram, 8).channel.p10[0]) == pytest.approx(4.7e-5, rel=1e-9)
    with pytest.raises(ValueError, match="from 530 mV to 540 mV, and the cells are at 1 V"):
        view_cell(sram.with_({"cell.v_dd": "1 V"}), 8)
