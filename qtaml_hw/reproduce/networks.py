"""The networks of a reproduction, stored in a stated way and judged on stated images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from qtaml_hw.accelerator.served import ServedNetwork
from qtaml_hw.errors import InputError
from qtaml_hw.reproduce.storage import Storage
from qtaml_hw.study.design.networks.calibration import CALIBRATION_INPUTS, Calibration
from qtaml_hw.study.design.networks.network import Network, StoredNetwork
from qtaml_hw.weights.network import fold_batch_norm, weight_arrays
from qtaml_hw.workloads import DataSet, load_data, load_network, load_weights, network, state_digest
from qtaml_hw.workloads.published import PUBLISHED

__all__ = ["Benchmark", "Storage", "published", "zoo"]


@dataclass(frozen=True)
class Benchmark:
    """A network by name and where it comes from; ``flip_p`` is the flip probability it is judged at."""

    name: str
    flip_p: float
    source: Callable[[], tuple[nn.Module, DataSet]]

    def stored(self, images: int, storage: Storage) -> StoredNetwork:
        """The network stored so, judged on ``images`` test images spread evenly over the test set."""
        module, data = self.source()
        digest = state_digest(dict(module.state_dict()))
        if storage.fold_batch_norm:
            module = fold_batch_norm(module)
        weights = weight_arrays(module)
        count = min(images, len(data.test_y))
        chosen = np.unique(np.linspace(0, len(data.test_y) - 1, count).astype(np.int64))
        network = Network(
            name=self.name,
            served=ServedNetwork(module, batch=256),
            weights=weights,
            inputs=torch.from_numpy(data.test_x[chosen]),
            labels=torch.from_numpy(data.test_y[chosen]),
            classes=data.classes,
            digest=f"{digest}+{data.digest}+{count}",
        )
        image, seen = storage.image(weights), torch.from_numpy(data.calibration_x[:CALIBRATION_INPUTS])
        return StoredNetwork(network, image, Calibration(network.served, image.names, seen))


def zoo(name: str, flip_p: float) -> Benchmark:
    """A network that comes with the product; trained on first use."""

    def source() -> tuple[nn.Module, DataSet]:
        return load_network(name).module, load_data(network(name).data)

    return Benchmark(name, flip_p, source)


def published(name: str, folder: Path, flip_p: float) -> Benchmark:
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

    return Benchmark(name, flip_p, source)
