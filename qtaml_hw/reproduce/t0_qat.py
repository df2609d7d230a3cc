"""Training with noise of fixed amplitude (T0-QAT): its own linear regression over many seeds, then images."""

from __future__ import annotations

from pathlib import Path

from qtaml_hw.progress import Progress
from qtaml_hw.reproduce.result import ReproductionResult
from qtaml_hw.reproduce.t0_qat_images import FULL, QUICK, image_rows
from qtaml_hw.reproduce.t0_qat_regression import READ_NOISE, regression_rows
from qtaml_hw.reproduce.trial import AccuracyStore

SEEDS, QUICK_SEEDS = 200, 64


def t0_qat_result(quick: bool, folder: Path | None, kept: AccuracyStore, progress: Progress) -> ReproductionResult:
    """Table 1 of the document beside ours; hardened networks on images beside TAC without retraining.

    No ``folder`` of data is needed.
    """
    seeds = QUICK_SEEDS if quick else SEEDS
    progress(0, 1, f"linear regression, {seeds} seeds")
    rows = regression_rows(seeds)
    efforts = QUICK if quick else FULL
    rows += image_rows(efforts, kept, progress)
    counts = "; ".join(f"{e.network} {len(e.seeds)} training seeds, {e.maps} fault maps" for e in efforts)
    images = (
        f"images: {counts}; int8 per tensor, "
        "symmetric flips, ideal protection by TAC by layer; intervals over training seeds, differences paired",
        "the amplitude 10.67 leaves a convolutional network at chance: on images xi's scaling is set anew (deviation "
        "0.05), as it would be for any amplitude; strengths were chosen on another training seed",
    )
    return ReproductionResult("t0-qat", tuple(rows), (*notes(seeds), *images))


def notes(seeds: int) -> tuple[str, ...]:
    """What holds for every row."""
    return (
        "J. Pascher, T0-QAT: xi-Aware Quantization-Aware Training (repository T0-Time-Mass-Duality); one run there, "
        f"{seeds} seeds here, both methods on the same data and start",
        "noise: a standard deviation of xi * scaling = 4/3e-4 * 80,000 = 10.67 on every weight and the bias, drawn anew"
        " each epoch, as in its listing; xi is a tunable amplitude, and no physical claim is made for it",
        "not in the document, chosen here: features and true weights N(0, 1), target noise 0.1, a baseline without "
        f"noise, and 'quantised': one draw of weight noise of standard deviation {READ_NOISE:.3f} (set by the "
        "published drop of the standard method), or rounding to 2, 3, 4 bits",
    )
