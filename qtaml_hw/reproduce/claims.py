"""The abstract's claims, each with a verdict, around the measured overheads."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from qtaml_hw.accelerator.served import serving
from qtaml_hw.progress import Progress, silent
from qtaml_hw.reproduce.image_networks import image_networks
from qtaml_hw.reproduce.networks import Storage
from qtaml_hw.reproduce.paper import (
    FULL,
    NETWORKS,
    QUICK,
    Effort,
    channel_of,
    claim_rows,
    reproduce_networks,
    rho_rows,
)
from qtaml_hw.reproduce.paths import TAC_CHANNEL, TAC_LAYER, TAC_WORD, PlanPath
from qtaml_hw.reproduce.result import ReproductionResult, Row
from qtaml_hw.reproduce.theorems import LARGEST_Z, theorems_result
from qtaml_hw.reproduce.trial import AccuracyStore
from qtaml_hw.study.design.networks.network import StoredNetwork
from qtaml_hw.tac import ProtectedImage


def paper_result(quick: bool, folder: Path | None, kept: AccuracyStore, progress: Progress) -> ReproductionResult:
    """Every claim of the abstract on five networks, or on networks trained on the IDX files of ``folder``.

    Raises InputError when the folder lacks them.
    """
    effort = QUICK if quick else FULL
    networks = NETWORKS if folder is None else image_networks(folder)
    measured = reproduce_networks(networks, effort, kept, progress)
    summary = claim_rows(measured.main)
    for policy in (TAC_LAYER, TAC_CHANNEL, TAC_WORD):
        summary += rho_rows(measured.main, policy, "networks at their own p")
        if measured.others:
            summary += rho_rows([*measured.main, *measured.others], policy, "(network, p) pairs that need protection")
    summary += [theorem_row(), overhead_row(networks[2].stored(64, Storage()))]
    return ReproductionResult("paper", (*summary, *measured.rows), notes(effort))


def notes(effort: Effort) -> tuple[str, ...]:
    """What holds for every row."""
    return (
        "overhead: protected bits over stored bits, protected bits error-free (the paper's accounting; not buildable)",
        f"{effort.maps} fault maps shared by all policies, {effort.images} test images at most; the budget "
        f"at which an isotonic fit over a ladder of {effort.per_octave} per octave keeps 95 % of clean; "
        "intervals from resampling maps and images, paired for ratios; a plateau decides where they span a factor of 2",
        "Uniform-MSP between two integers protects one more plane of layers in network order and stops at the first "
        "that it cannot pay whole; the integer-only variant is shown beside it",
        "no label and no gradient step enters a plan: sensitivities come from 128 unlabelled inputs, "
        "neither trained on nor judged",
    )


def theorem_row() -> Row:
    """The distribution theorems in one line."""
    rows = theorems_result(True, silent).rows
    failed = sum("FAILS" in row.verdict for row in rows)
    word = "holds" if failed == 0 else "FAILS"
    return Row(
        "distribution theorems that miss Monte Carlo",
        0.0,
        float(failed),
        None,
        f"{word}: {len(rows)} figures, |z| < {LARGEST_Z:g}",
    )


def overhead_row(stored: StoredNetwork) -> Row:
    """Operations of one inference with corrected weights beside those of the plain network."""
    channel = channel_of(0.10, stored.image.planes)
    plan = PlanPath(stored, channel, TAC_LAYER).plan(0.05)
    weights = ProtectedImage(stored.image, plan, channel).decoder("offset").decode(stored.image.codes())
    plain = _operations(stored)
    with serving(stored.network.served.module, weights):
        served = _operations(stored)
    word = "holds" if served == plain else "FAILS"
    what = f"operations per inference with TAC over without, correction folded: {stored.network.name}"
    return Row(what, 1.0, served / plain, None, f"{word}: {served:,} against {plain:,} operations")


def _operations(stored: StoredNetwork) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        stored.network.served.module(stored.network.inputs[:1])
    return int(counter.get_total_flops())
