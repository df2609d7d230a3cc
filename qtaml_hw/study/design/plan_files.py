"""Protection plans kept as files: applied to a study's network, and compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from qtaml_hw import protection
from qtaml_hw.config import Study
from qtaml_hw.errors import InputError
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.weights import StoredImage

LARGEST_FILE_BYTES = 256 << 20


def read_plan(path: Path) -> ProtectionPlan:
    """A plan saved by ``allocate --out``.

    Raises InputError with the reason when the file is absent, too large or no plan.
    """
    try:
        too_large = path.stat().st_size > LARGEST_FILE_BYTES
        if not too_large:
            return protection.load_plan(path)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the plan {path}: {error}") from error
    raise InputError(f"{path} is larger than any plan: more than {LARGEST_FILE_BYTES >> 20} MiB")


def plan_text(plan: ProtectionPlan, number_format: str) -> str:
    """A plan's JSON with the name of the number format whose planes it protects, as ``read_plan`` takes it."""
    return json.dumps({"format": number_format, **json.loads(plan.to_json())})


def _planned_format(path: Path) -> str | None:
    """The number format in a plan's file; None in one that names none: of before, or of the scripting face."""
    found = json.loads(path.read_text(encoding="utf-8")).get("format")
    return None if found is None else str(found)


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
    planned = _planned_format(path)
    if planned not in (None, image.format.name):
        raise ValueError(f"the plan {path} is for weights in {planned}; this network stores {image.format.name}")
    return plan


def plan_diff(before: Path, after: Path) -> dict[str, Any]:
    """Two saved plans bit by bit: what changed from which entry to which, per tensor, and the overheads; JSON-able.

    Raises InputError for files that are no plans, or plans of different networks.
    """
    plans = [read_plan(path) for path in (before, after)]
    try:
        found = protection.plan_difference(*plans)
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
