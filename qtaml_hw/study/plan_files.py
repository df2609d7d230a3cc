"""Protection plans kept as files: applied to a study's network, and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from qtaml_hw import tac
from qtaml_hw.config import Study
from qtaml_hw.ecc import ProtectionPlan
from qtaml_hw.study.errors import InputError
from qtaml_hw.weights import StoredImage

LARGEST_FILE_BYTES = 256 << 20


def read_plan(path: Path) -> ProtectionPlan:
    """A plan saved by ``allocate --out``.

    Raises InputError with the reason when the file is absent, too large or no plan.
    """
    try:
        too_large = path.stat().st_size > LARGEST_FILE_BYTES
        if not too_large:
            return tac.load_plan(path)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the plan {path}: {error}") from error
    raise InputError(f"{path} is larger than any plan: more than {LARGEST_FILE_BYTES >> 20} MiB")


def study_plan(study: Study, image: StoredImage) -> ProtectionPlan:
    """The plan that a study names, checked against its network.

    Raises InputError when it cannot be read, ValueError when it protects another network or number format.
    """
    path = study.folder / str(study.protection.plan)
    plan = read_plan(path)
    if not np.array_equal(plan.tensor_starts, image.tensor_starts) or plan.planes != image.planes:
        raise ValueError(
            f"the plan {path} is for {plan.tensors} tensors of {plan.weights} weights in {plan.planes} planes; this "
            f"network stores {len(image.tensors)} of {image.weights} in {image.planes}, or lays them out differently"
        )
    return plan


def plan_diff(before: Path, after: Path) -> dict[str, Any]:
    """Two saved plans bit by bit: what changed from which entry to which, per tensor, and the overheads; JSON-able.

    Raises InputError for files that are no plans, or plans of different networks.
    """
    plans = [read_plan(path) for path in (before, after)]
    try:
        found = tac.plan_difference(*plans)
    except ValueError as error:
        raise InputError(str(error)) from error
    stored = plans[0].stored_bits
    return {
        "same": found.same,
        "changes": [{"before": a, "after": b, "bits": bits} for (a, b), bits in found.bits.items()],
        "changed_bits_by_tensor": list(found.by_tensor),
        "changed_bits_fraction": sum(found.bits.values()) / stored,
        "protected_bits_fraction": [bits / stored for bits in found.protected_bits],
        "parity_bits_fraction": [bits / stored for bits in found.parity_bits],
    }
