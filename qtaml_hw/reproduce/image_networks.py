"""Networks of the paper's kind on a user's images in IDX files, as Fashion-MNIST's: trained once, cached."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import torch
from torch import nn

from qtaml_hw.errors import InputError
from qtaml_hw.reproduce.networks import Benchmark
from qtaml_hw.workloads import DataSet, NetworkSpec, Recipe, TrainingRecord, cache_folder, load_idx
from qtaml_hw.workloads.cache import BrokenCacheError, read, write
from qtaml_hw.workloads.training import accuracy, build, train

TRAINING_IMAGES: Final = 20_000
TRAINING_SEED: Final = 2026
FLIP_P: Final = 0.10
FILES: Final = {
    "images": "t10k-images-idx3-ubyte",
    "labels": "t10k-labels-idx1-ubyte",
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
}


def _spec(name: str, title: str, family: str, recipe: Recipe, **arguments: int) -> NetworkSpec:
    about = f"{title} on {TRAINING_IMAGES} training images of 28 x 28 pixels"
    return NetworkSpec(name, title, family, "idx", (1, 28, 28), 10, recipe, 120.0, about, arguments)


SPECS: Final = (
    _spec("images-lenet", "LeNet-like", "lenet", Recipe(epochs=4, batch=128), width=16),
    _spec("images-vgg", "VGG-like", "vgg", Recipe(epochs=3, batch=128, learning_rate=1e-3), width=12, hidden=1024),
    _spec("images-mlp", "MLP 784-1024-1024-10", "mlp", Recipe(epochs=4, batch=128, learning_rate=1e-3), hidden=1024),
)


def idx_files(folder: Path) -> dict[str, Path]:
    """The four files of a folder, plain or compressed; also in its subfolder fashion_mnist.

    Raises InputError with the names that are looked for.
    """
    for place in (folder, folder / "fashion_mnist"):
        compressed = {key: place / f"{name}{end}" for end in ("", ".gz") for key, name in FILES.items()}
        plain = {key: path if path.is_file() else path.with_name(FILES[key]) for key, path in compressed.items()}
        if all(path.is_file() for path in plain.values()):
            return plain
    raise InputError(
        f"{folder} lacks the images as MNIST and Fashion-MNIST are published: {', '.join(FILES.values())} (or .gz)"
    )


def image_networks(folder: Path) -> tuple[Benchmark, ...]:
    """The networks on a folder's images, in the paper's setting; trained when they are first asked for.

    Raises InputError when the folder lacks the files.
    """
    files = idx_files(folder)
    return tuple(Benchmark(spec.name, FLIP_P, partial(_trained, spec, files)) for spec in SPECS)


def _trained(spec: NetworkSpec, files: dict[str, Path]) -> tuple[nn.Module, DataSet]:
    """A network from the cache, or trained now and kept there."""
    try:
        whole = load_idx(
            files["images"],
            files["labels"],
            train_images=files["train_images"],
            train_labels=files["train_labels"],
            name=files["images"].parent.name,
        )
    except ValueError as error:
        raise InputError(str(error)) from error
    data = replace(whole, train_x=whole.train_x[:TRAINING_IMAGES], train_y=whole.train_y[:TRAINING_IMAGES])
    identity = f"{spec.digest(TRAINING_SEED)}-{whole.digest}-{TRAINING_IMAGES}"
    path = cache_folder() / "networks" / f"{spec.name}-{whole.digest[:12]}.safetensors"
    try:
        state, _ = read(path, identity)
        module = build(spec)
        module.load_state_dict(state)
        return module.eval(), data
    except (FileNotFoundError, BrokenCacheError):  # the first time, or written by another version: trained anew
        pass
    start = time.perf_counter()
    module = train(spec, data, TRAINING_SEED)
    seconds = time.perf_counter() - start
    record = TrainingRecord(TRAINING_SEED, accuracy(module, data), seconds, whole.digest, str(torch.__version__))
    write(path, identity, dict(module.state_dict()), record)
    return module, data
