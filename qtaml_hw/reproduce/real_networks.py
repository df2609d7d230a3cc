"""Published compact networks with the weights of a folder that the user names; never needed otherwise."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from qtaml_hw.errors import InputError
from qtaml_hw.reproduce.networks import Specimen
from qtaml_hw.workloads import DataSet, load_weights
from qtaml_hw.workloads.published import PUBLISHED


def published(name: str, folder: Path, flip_p: float) -> Specimen:
    """A published network with the weights in ``folder``.

    Raises InputError when its files are not there.
    """
    what = PUBLISHED[name]
    weights = folder / "networks" / f"{what.weights}.safetensors"
    if not weights.is_file():
        raise InputError(f"{name} needs {weights}, which is not there; --data names the folder of the real networks")

    def source() -> tuple[nn.Module, DataSet]:
        module = what.build()
        load_weights(module, weights)
        return module.eval(), what.data(folder)

    return Specimen(name, flip_p, source)
