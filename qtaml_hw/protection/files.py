"""Plans as files: JSON with the number format whose planes are protected, read back and held against an image."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from qtaml_hw.arrays import Int64
from qtaml_hw.errors import InputError, StoreError
from qtaml_hw.files import write_atomically
from qtaml_hw.protection.plan import ProtectionPlan

LARGEST_FILE_BYTES = 256 << 20


def save_plan(plan: ProtectionPlan, path: Path, number_format: str | None = None) -> None:
    """Write a plan as JSON, with the name of its number format where that is known.

    Raises StoreError when the file cannot be written, or there is one that is no plan.
    """
    if os.path.lexists(path):
        try:
            load_plan(path)
        except InputError as error:
            raise StoreError(f"{path} is no plan, and is not replaced by one: give another name") from error
    named = {} if number_format is None else {"format": number_format}
    write_atomically(path, json.dumps({**named, **json.loads(plan.to_json())}))


def load_plan(path: Path) -> ProtectionPlan:
    """A plan written by :func:`save_plan`.

    Raises InputError (a ValueError) with the reason when the file is absent, too large or no plan.
    """
    try:
        too_large = path.stat().st_size > LARGEST_FILE_BYTES
        if not too_large:
            return ProtectionPlan.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the plan {path}: {error}") from error
    raise InputError(f"{path} is larger than any plan: more than {LARGEST_FILE_BYTES >> 20} MiB")


def planned_format(path: Path) -> str | None:
    """The number format that a plan's file names; None where it names none."""
    named = json.loads(path.read_text(encoding="utf-8")).get("format")
    return None if named is None else str(named)


def plan_for(path: Path, tensor_starts: Int64, planes: int, number_format: str) -> ProtectionPlan:
    """The plan in a file, for an image of these tensors [T + 1] in ``planes`` planes of a number format.

    Raises InputError when it cannot be read, ValueError when it protects another network or number format.
    """
    plan = load_plan(path)
    if not np.array_equal(plan.tensor_starts, tensor_starts) or plan.planes != planes:
        raise ValueError(
            f"the plan {path} is for {plan.tensors} tensors of {plan.weights} weights in {plan.planes} planes; this "
            f"network stores {len(tensor_starts) - 1} of {tensor_starts[-1]} in {planes}, or lays them out differently"
        )
    named = planned_format(path)
    if named not in (None, number_format):
        raise ValueError(f"the plan {path} is for weights in {named}; this network stores {number_format}")
    return plan
