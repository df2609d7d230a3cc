"""The one door: a reproduction by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from qtaml_hw._threads import single_thread
from qtaml_hw.errors import InputError, unknown
from qtaml_hw.progress import Progress, silent
from qtaml_hw.reproduce.claims import paper_result
from qtaml_hw.reproduce.compact import compact_result
from qtaml_hw.reproduce.distortion import distortion_result
from qtaml_hw.reproduce.published import published_result
from qtaml_hw.reproduce.result import ReproductionResult
from qtaml_hw.reproduce.t0_qat import t0_qat_result
from qtaml_hw.reproduce.theorems import theorems_result
from qtaml_hw.reproduce.trial import AccuracyStore, accuracy_store

COMPUTED: Final[Mapping[str, Callable[[bool, Progress], ReproductionResult]]] = {
    "theorems": theorems_result,
    "distortion": distortion_result,
}
"""From (quick, progress)."""
MEASURED: Final[Mapping[str, Callable[[bool, Path | None, AccuracyStore, Progress], ReproductionResult]]] = {
    "paper": paper_result,
    "compact": compact_result,
    "t0-qat": t0_qat_result,
}
"""From (quick, folder of data, accuracies that are kept, progress)."""
PUBLISHED: Final = "published"
NAMES: Final = (*COMPUTED, *MEASURED, PUBLISHED)


def reproduce(
    name: str,
    quick: bool = False,
    data: Path | None = None,
    store: Path | None = None,
    progress: Progress = silent,
    *,
    designs: Sequence[str] = (),
    overrides: Sequence[str] = (),
) -> ReproductionResult:
    """Re-run a published result; ``store`` keeps every measured accuracy, and a second run continues from it.

    ``designs``, ``overrides`` : of ``published``, which designs (none: all), and values that are set in their studies.

    Raises InputError for an unknown name, a missing data folder or an unusable store.
    """
    if name == PUBLISHED:
        with single_thread():
            return published_result(designs, quick, overrides, store, progress)
    if designs or overrides:
        raise InputError(f"designs and --set are for {PUBLISHED}; {name} has neither")
    if name in COMPUTED:
        with single_thread():
            return COMPUTED[name](quick, progress)
    if name in MEASURED:
        with single_thread(), accuracy_store(store) as kept:
            return MEASURED[name](quick, data, kept, progress)
    raise InputError(unknown("reproduction", name, NAMES))
