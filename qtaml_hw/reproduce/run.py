"""The one door: a reproduction by name."""

from __future__ import annotations

from pathlib import Path

from qtaml_hw._threads import single_thread
from qtaml_hw.errors import InputError, unknown
from qtaml_hw.progress import Progress, silent
from qtaml_hw.reproduce.claims import paper_result
from qtaml_hw.reproduce.compact import compact_result
from qtaml_hw.reproduce.distortion import distortion_result
from qtaml_hw.reproduce.result import ReproductionResult
from qtaml_hw.reproduce.t0_qat import t0_qat_result
from qtaml_hw.reproduce.theorems import reproduce_theorems
from qtaml_hw.reproduce.trial import accuracy_store

NAMES = ("theorems", "paper", "compact", "distortion", "t0-qat")


def reproduce(
    name: str,
    quick: bool = False,
    data: Path | None = None,
    store: Path | None = None,
    progress: Progress = silent,
) -> ReproductionResult:
    """Re-run a published result; ``store`` keeps every measured accuracy, and a second run continues from it.

    Raises InputError for an unknown name, a missing data folder or an unusable store.
    """
    if name not in NAMES:
        raise InputError(unknown("reproduction", name, NAMES))
    if name == "theorems":
        return reproduce_theorems(quick, progress)
    if name == "distortion":
        with single_thread():
            return distortion_result(quick, progress)
    with single_thread(), accuracy_store(store) as kept:
        if name == "t0-qat":
            return t0_qat_result(quick, kept, progress)
        if name == "compact":
            return compact_result(quick, data, kept, progress)
        return paper_result(quick, kept, progress, data)
