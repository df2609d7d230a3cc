"""Hardened networks: those of the zoo trained from the start and cached, a user's own trained further."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch

from qtaml_hw._threads import single_thread
from qtaml_hw.hardening.method import Hardening, Store
from qtaml_hw.hardening.steps import practice
from qtaml_hw.weights.effective import computed_layers
from qtaml_hw.workloads.cache import state_digest
from qtaml_hw.workloads.catalogue import Recipe
from qtaml_hw.workloads.data import DataSet
from qtaml_hw.workloads.load import LoadedNetwork, Variant, load_network
from qtaml_hw.workloads.training import Progress, fit

FINE_TUNING_RATE = 3e-4  # peak of the cycle: a tenth of what the zoo's networks are trained with from the start


def hardened(
    name: str, hardening: Hardening, store: Store, storage: str, progress: Progress | None = None
) -> LoadedNetwork:
    """A network of the zoo trained by a method, from the cache or now.

    store: writes weights into the memory (methods that train through codes); storage: names that format, in words
    that differ whenever the codes do.  Raises ValueError for an unknown network.
    """
    if hardening.method == "none" and hardening.epochs is None:
        return load_network(name, seed=hardening.seed, progress=progress)
    variant = Variant(hardening.method, hardening.digest(storage), lambda: practice(hardening, store), hardening.epochs)
    return load_network(name, seed=hardening.seed, progress=progress, variant=variant)


def fine_tuned(
    loaded: LoadedNetwork, data: DataSet, hardening: Hardening, store: Store, progress: Progress | None = None
) -> LoadedNetwork:
    """A user's network trained further on the data's training images by a method; nothing is cached.

    AdamW with a one-cycle rate of at most 3e-4, batches of 64, cross entropy; the given module is left as it is.
    Raises ValueError without training images or ``hardening.epochs``, and for layers that compute their weights.
    """
    if hardening.epochs is None:
        raise ValueError("a network of your own has no recipe: state for how many epochs it is trained")
    if len(data.train_y) == 0:
        raise ValueError(f"hardening trains, and the data set {data.name} has no training images")
    computed = computed_layers(loaded.module)
    if computed:
        raise ValueError(
            f"hardening trains the weights that are stored, and {', '.join(computed[:5])} computes its own from others "
            "(pruning, weight or spectral norm, a parametrisation): make them plain parameters first"
        )
    recipe = Recipe(hardening.epochs, learning_rate=FINE_TUNING_RATE)
    with single_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(hardening.seed)
        module = fit(copy.deepcopy(loaded.module), recipe, data, hardening.seed, progress, practice(hardening, store))
    return replace(loaded, module=module, digest=state_digest(module.state_dict()))
