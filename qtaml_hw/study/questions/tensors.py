"""Which tensors of a study's network live in the memory, and which stay exact beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtaml_hw.config import Study, takes_study
from qtaml_hw.progress import Progress
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.weights.inventory import TensorEntry


class TensorRows(tuple[dict[str, Any], ...]):
    """One row per parameter, in network order: {name, kind, shape, values, stored, bits, why}."""

    __slots__ = ()

    def as_dict(self) -> dict[str, Any]:
        """tensors[rows], and how many values are stored and how many stay exact."""
        stored = sum(row["values"] for row in self if row["stored"])
        exact = sum(row["values"] for row in self if not row["stored"])
        return {"tensors": list(self), "stored_values": stored, "exact_values": exact}


@takes_study
def tensors(study: Study, *, progress: Progress | None = None) -> TensorRows:
    """Every parameter in network order: its name, kind, shape, count, whether it is stored, in how many bits, and why.

    Raises InputError when the network cannot be loaded, or the store rule names what is not there.
    """
    stored = Networks(progress).load(study)
    return TensorRows(tensor_rows(stored.network.inventory, stored.image.planes))


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
            "why": e.why,
        }
        for e in inventory
    ]
