"""Deterministic training of a zoo network: one code path, no global state left behind."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from qtaml_hw._threads import single_thread
from qtaml_hw.workloads.catalogue import NetworkSpec, Recipe
from qtaml_hw.workloads.data import DataSet

Progress = Callable[[int, int, str], None]
"""Called as progress(epochs done, epochs in all, what is happening)."""


def plain_loss(module: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross entropy of the network as it is."""
    return functional.cross_entropy(module(images), labels)


def unnoticed(epoch: int, epochs: int) -> None:
    """Does the same in every epoch."""


def unchanged(module: nn.Module) -> None:
    """Leaves the weights as the optimiser made them."""


@dataclass(frozen=True)
class Practice:
    """What a training step minimises, what is done to the weights after it, and what an epoch begins with."""

    loss: Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor] = plain_loss
    after_step: Callable[[nn.Module], None] = unchanged
    before_epoch: Callable[[int, int], None] = unnoticed


PLAIN = Practice()


def build(spec: NetworkSpec) -> nn.Module:
    """An untrained network of the zoo, initialised from torch's current generator."""
    family = importlib.import_module(f"qtaml_hw.workloads.families.{spec.family}")
    module: nn.Module = family.build(spec.input_shape[0], spec.input_shape[1], spec.classes, **spec.arguments)
    return module


def train(
    spec: NetworkSpec, data: DataSet, seed: int, progress: Progress | None = None, practice: Practice = PLAIN
) -> nn.Module:
    """A trained network in eval mode. The same seed gives the same weights on one machine and torch version.

    Runs on one thread, so that the summation order does not depend on the number of cores; the callers' thread
    count and random state are restored.
    """
    with single_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return fit(build(spec), spec.recipe, data, seed, progress, practice)


def fit(
    module: nn.Module,
    recipe: Recipe,
    data: DataSet,
    seed: int,
    progress: Progress | None = None,
    practice: Practice = PLAIN,
) -> nn.Module:
    """The module itself, trained further from the weights it has, in eval mode; torch's random state is used."""
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.from_numpy(data.train_x), torch.from_numpy(data.train_y)
    steps = -(-len(y) // recipe.batch)
    optimiser = torch.optim.AdamW(
        module.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, foreach=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.learning_rate, total_steps=recipe.epochs * steps)
    start = time.perf_counter()
    module.train()
    for epoch in range(recipe.epochs):
        practice.before_epoch(epoch, recipe.epochs)
        order = torch.randperm(len(y), generator=generator)
        total = 0.0
        for batch in torch.split(order, recipe.batch):
            images = _shifted(x[batch], recipe.shift, generator)
            loss = practice.loss(module, images, y[batch])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            practice.after_step(module)
            schedule.step()
            total += loss.item() * len(batch)
        if progress is not None:
            message = f"loss {total / len(y):.4f}, {time.perf_counter() - start:.1f} s"
            progress(epoch + 1, recipe.epochs, message)
    return module.eval()


def _shifted(images: torch.Tensor, shift: int, generator: torch.Generator) -> torch.Tensor:
    """The batch [N, C, H, W] moved by up to ``shift`` pixels in each direction, zeros coming in."""
    if shift == 0:
        return images
    down, right = (int(s) for s in torch.randint(-shift, shift + 1, (2,), generator=generator))
    padded = functional.pad(images, (shift, shift, shift, shift))
    height, width = images.shape[2:]
    return padded[:, :, shift + down : shift + down + height, shift + right : shift + right + width]


def accuracy(module: nn.Module, data: DataSet, batch: int = 500) -> float:
    """Share of test images that the network classifies rightly, 0..1."""
    module.eval()
    x, y = torch.from_numpy(data.test_x), torch.from_numpy(data.test_y)
    with torch.inference_mode():
        found = torch.cat([module(images).argmax(1) for images in torch.split(x, batch)])
    return int((found == y).sum()) / len(y)
