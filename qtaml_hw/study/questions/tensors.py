"""Which tensors of a study's network live in the memory, and which stay exact beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtaml_hw.config import Study
from qtaml_hw.progress import Progress
from qtaml_hw.study.design.networks import Networks
from qtaml_hw.weights.inventory import TensorEntry


def tensors(study: Study, *, progress: Progress | None = None) -> list[dict[str, Any]]:
    """Every parameter in network order: its name, kind, shape, count, whether it is stored, and in how many bits.

    Raises InputError when the network cannot be loaded, or the store rule names what is not there.
    """
    stored = Networks(progress).load(study)
    return tensor_rows(stored.network.inventory, stored.image.planes)


def tensor_rows(inventory: Sequence[TensorEntry], planes: int) -> list[dict[str, Any]]:
    """The same of a network that is loaded, for weights of so many planes."""
    return [
        {
            "name": e.name,
            "kind": e.kind,
            "shape": list(e.shape),
            "values": e.values,
            "stored": e.stored,
            "bits": e.values * planes if e.stored else 0,
        }
        for e in inventory
    ]
