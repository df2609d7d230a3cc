"""A trained network of the zoo, from the cache or trained now."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import nn

from qtaml_hw.config.sections.hardening import DEFAULT_SEED
from qtaml_hw.errors import InputError
from qtaml_hw.files import cache_folder
from qtaml_hw.weights.image import StoredTensor
from qtaml_hw.workloads import cache, training
from qtaml_hw.workloads.cache import TrainingRecord
from qtaml_hw.workloads.catalogue import NetworkSpec, network
from qtaml_hw.workloads.data import InputPart, load_data

_LOG = logging.getLogger(__name__)

_SHIPPED = Path(__file__).parent / "trained"


Shapes = Mapping[str, tuple[int, ...]] | tuple[int, ...]
"""Of one sample: of every input by name, in the order in which a flat sample holds them, or of the one there is."""


@dataclass(frozen=True)
class Product:
    """A matrix product (m x k) by (k x n) of a network that runs elsewhere; weight: the parameter it reads, if any."""

    weight: str | None
    kind: str
    size: tuple[int, int, int]
    repeats: int


@dataclass(frozen=True, eq=False)
class ReadGraph:
    """What a model file holds: a network in eval mode, and what one sample of its input is.

    input_shape: without batch; input_type: float32, or int64 for token numbers; codes: as in ``LoadedNetwork``;
    parts: of a network of several inputs, which lie one after the other in a flat sample.
    """

    module: nn.Module
    input_shape: tuple[int, ...]
    input_type: torch.dtype = torch.float32
    codes: Mapping[str, StoredTensor] = field(default_factory=dict)
    parts: tuple[InputPart, ...] = ()


@dataclass(frozen=True)
class LoadedNetwork:
    """A network ready to be evaluated.

    module: in eval mode, a new one at each load; digest: sha256 (hex) of its state; input_shape: of one sample,
    without batch; classes: number of logits; record: how the weights came to be (None for a user's own network);
    codes: by parameter, the weight as its file stores it: codes, their format, scales.
    """

    name: str
    module: nn.Module
    digest: str
    input_shape: tuple[int, ...]
    classes: int
    record: TrainingRecord | None
    codes: Mapping[str, StoredTensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Variant:
    """Another way to train a network of the zoo.

    tag: how its files in the cache are named; digest: sha256 (hex) of all that sets it apart; practice: makes the
    training's steps anew for each training; epochs: instead of the recipe's.
    """

    tag: str
    digest: str
    practice: Callable[[], training.Practice]
    epochs: int | None = None


def load_network(
    name: str,
    *,
    seed: int = DEFAULT_SEED,
    progress: training.Progress | None = None,
    variant: Variant | None = None,
) -> LoadedNetwork:
    """The trained network of that name: as the package ships it, read from the cache, or trained now and cached.

    Shipped weights (``spec.shipped``) are the same bits on every machine. ``variant`` trains it another way. progress
    is called as progress(epochs done, epochs in all, message) while training. A cache file that is damaged or belongs
    to something else is rebuilt; a cache that cannot be written costs a training each time. Both are logged as
    warnings and said in ``record.notes``. Raises ValueError for an unknown name, and InputError for a shipped file that
    is damaged.
    """
    spec = network(name)
    data = load_data(spec.data)
    identity = f"{spec.digest(seed)}-{data.digest}"
    practice, file = training.PLAIN, f"{name}-seed{seed}-{identity[:12]}.safetensors"
    if variant is not None:
        spec = replace(spec, recipe=replace(spec.recipe, epochs=variant.epochs or spec.recipe.epochs))
        identity, practice = f"{identity}-{variant.digest}", variant.practice()
        file = f"{name}-{variant.tag}-seed{seed}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}.safetensors"
    elif spec.shipped and seed == DEFAULT_SEED:
        return _shipped(spec, identity)
    path = cache_folder() / "networks" / file
    notes: tuple[str, ...] = ()
    try:
        state, record = cache.read(path, identity)
        return _loaded(spec, state, replace(record, cached=True))
    except FileNotFoundError:
        pass
    except (cache.BrokenCacheError, OSError, RuntimeError) as error:  # RuntimeError: other keys than the network has
        notes = (_warn(f"the cached network {path} was not usable and is trained again: {error}"),)
    start = time.perf_counter()
    module = training.train(spec, data, seed, progress, practice)
    seconds = time.perf_counter() - start
    clean = training.accuracy(module, data)
    record = TrainingRecord(seed, clean, seconds, data.digest, str(torch.__version__))
    state = dict(module.state_dict())
    try:
        cache.write(path, identity, state, record)
    except OSError as error:
        notes += (_warn(f"the trained network {name} was not cached: {error}"),)
    return _loaded(spec, state, replace(record, notes=notes))


def _shipped(spec: NetworkSpec, identity: str) -> LoadedNetwork:
    """The weights in the package.  Raises InputError, one line, if they are not those that the catalogue names."""
    path = _SHIPPED / f"{spec.name}.safetensors"
    again = "install the package again (pip install --force-reinstall --no-deps qtaml-hw)"
    try:
        state, record = cache.read(path, identity)
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing: {again}") from error
    except cache.BrokenCacheError as error:
        raise InputError(f"{path} came with the package, and {error}: {again}") from error
    if cache.state_digest(state) != spec.shipped:
        raise InputError(f"{path} does not hold the weights that came with this version: {again}")
    return _loaded(spec, state, replace(record, cached=True))


def _loaded(spec: NetworkSpec, state: Mapping[str, torch.Tensor], record: TrainingRecord) -> LoadedNetwork:
    with torch.random.fork_rng(devices=[]):
        module = training.build(spec)
    module.load_state_dict(state)
    return LoadedNetwork(spec.name, module.eval(), cache.state_digest(state), spec.input_shape, spec.classes, record)


def _warn(message: str) -> str:
    _LOG.warning(message)
    return message
