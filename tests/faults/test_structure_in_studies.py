"""Dependent flips as a study states them: the probability stays, the counts have the dispersion that was asked for."""

from __future__ import annotations

import numpy as np
import pytest

from qtaml_hw.config import Study, StudyError, parse_study
from qtaml_hw.errors import InputError
from qtaml_hw.faults import Bursts, Clusters, MapKey, flip_bits, flip_structured
from qtaml_hw.memory import ArrayGeometry, FixedCells, Schedule, simulate
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.study.design.design import prepare
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.study.design.streamed.model import stream

TEXT = """
study: structure
cell: {{preset: gain-cell-65nm}}
flips: {{law: fixed, p: 0.02{structure}}}
refresh: off
network: {{name: digits-lenet}}
data: {{name: digits}}
protection: {{{protection}}}
evaluate: {{images: 20, maps: {{min: 2, max: 2}}}}
"""
CLUSTERED = ", structure: {kind: clustered, weights: 256, dispersion: 20}"
CODES = np.random.default_rng(7).integers(0, 256, 256 * 1024, dtype=np.uint8)
BARE = ProtectionPlan.unprotected(np.array([0, CODES.size]), 8)
ONCE = Schedule(horizon_s=1e-3, sample_times_s=(1e-3,))


def study(structure: str, protection: str = "policy: none") -> Study:
    return parse_study(TEXT.format(structure=structure, protection=protection))


def flips_of(structure: Bursts | Clusters | None, p: float, map_index: int = 0) -> np.ndarray:
    timeline = simulate(
        [CODES], 8, BARE, FixedCells(p, p, structure), ArrayGeometry(), ONCE, seed=3, map_index=map_index
    )
    flips = timeline.read_out[-1][0] ^ CODES
    assert timeline.flips_raw[-1] == np.bitwise_count(flips).sum()
    return flips


@pytest.mark.parametrize("structure", [Bursts(16), Bursts(16, 128), Clusters(256, 6.0)])
def test_the_memory_flips_what_the_engine_says(structure: Bursts | Clusters) -> None:
    expected = flip_structured(CODES, 0.03, 0.03, structure, MapKey(3, 2))
    assert np.array_equal(flips_of(structure, 0.03, 2), expected ^ CODES)
    assert not np.array_equal(expected, flip_bits(CODES, 0.03, 0.03, seed=3, map_index=2))


@pytest.mark.parametrize(
    ("structure", "window", "dispersion"),
    [(Bursts(16), 1024, 16 * 0.97), (Clusters(256, 6.0), 256, 6.0), (None, 256, 0.97)],
)
def test_counts_have_the_stated_mean_and_dispersion(
    structure: Bursts | Clusters | None, window: int, dispersion: float
) -> None:
    p, maps = 0.03, 3
    counts = np.concatenate(
        [
            (flips_of(structure, p, m) >> plane & 1).reshape(-1, window).sum(axis=1)
            for m in range(maps)
            for plane in range(8)
        ]
    )
    cells = counts.size * window
    assert abs(counts.sum() - cells * p) < 5 * np.sqrt(dispersion * cells * p)
    samples = counts[: counts.size // 64 * 64].reshape(64, -1)
    spread = (samples.var(axis=1) / samples.mean(axis=1)).std() / 8
    assert abs(counts.var() / counts.mean() - dispersion) < 5 * spread


def test_a_point_with_clusters_runs_and_says_so() -> None:
    networks = Networks()
    plain = prepare(study(""), networks)
    design = prepare(study(CLUSTERED), networks)
    assert "flip_structure" not in plain.facts
    facts = {key: design.facts[key] for key in ("flip_structure", "flip_structure_weights", "flip_dispersion", "p01")}
    assert facts == {"flip_structure": "clustered", "flip_structure_weights": 256, "flip_dispersion": 20.0, "p01": 0.02}
    bits, flips = design.facts["stored_bits"], sum(design.record(m)["flips_raw"] for m in range(3))
    assert abs(flips - 3 * 0.02 * bits) < 5 * np.sqrt(20 * 3 * bits * 0.02)
    kept = prepare(study(CLUSTERED, "policy: uniform, menu: [ideal], budget: {bits: 25 %}"), networks)
    read, stored = kept.chip.run(kept.cell.model, seed=1).read_out[-1], kept.image.codes()
    assert all(not np.any((r ^ s) >> 6) for r, s in zip(read, stored, strict=True))
    assert any(np.any((r ^ s) & 63) for r, s in zip(read, stored, strict=True))


def test_independence_spelt_out_is_no_other_study() -> None:
    assert study("").identity() == study(", structure: {kind: iid}").identity()
    assert study("").identity() != study(CLUSTERED).identity()


@pytest.mark.parametrize(
    ("structure", "protection", "message"),
    [
        (", structure: {kind: row_burst}", "policy: none", "row_burst takes length; given: none"),
        (", structure: {kind: clustered, length: 4}", "policy: none", "clustered takes dispersion and weights"),
        (", structure: {kind: clustered, weights: 8, dispersion: 9}", "policy: none", "reach a dispersion below 7.84"),
        (", structure: {kind: row_burst, length: 1}", "policy: none", "2"),
        (", structure: {kind: diagonal}", "policy: none", "diagonal"),
        (CLUSTERED, "policy: uniform, menu: [secded-72-64], budget: {bits: 20 %}", "ECC words"),
    ],
)
def test_bad_structures_are_refused(structure: str, protection: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        study(structure, protection)


def test_streamed_models_refuse_dependent_flips() -> None:
    with pytest.raises(InputError, match="independent flips"):
        stream(study(CLUSTERED), "no-such-folder")


def test_dependent_flips_need_their_law() -> None:
    text = "study: s\ncell: {preset: gain-cell-65nm}\nflips: {law: poisson, structure: {kind: row_burst, length: 4}}\n"
    with pytest.raises(StudyError, match="structure is stated for the laws fixed and voltage only"):
        parse_study(text)


def test_words_that_correct_do_not_take_dependent_flips() -> None:
    plan = ProtectionPlan.uniform_msb([0, CODES.size], 8, 8, "secded-72-64")
    with pytest.raises(ValueError, match="without ECC words"):
        simulate([CODES], 8, plan, FixedCells(0.01, 0.01, Bursts(4)), ArrayGeometry(), ONCE, seed=1)
