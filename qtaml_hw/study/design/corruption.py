"""A user's own module served from the leaking memory for the length of a ``with`` block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from qtaml_hw.accelerator.served import ServedNetwork, serving
from qtaml_hw.config import Study
from qtaml_hw.errors import InputError
from qtaml_hw.study.design.cell import view_cell
from qtaml_hw.study.design.chip import chip_of
from qtaml_hw.study.design.protect import protect
from qtaml_hw.study.design.subject import CALIBRATION_INPUTS, Subject, image_of


@contextmanager
def corrupted(
    model: nn.Module, study: Study, map_index: int = 0, *, calibration: torch.Tensor | None = None
) -> Iterator[nn.Module]:
    """``model`` with its weights as one chip of the study's memory returns them at the last time of ``evaluate.at``.

    Weights of convolutions, linear and attention layers are quantised, stored, aged, corrected and decoded; biases and
    norms stay.  The model's own weights are back on exit.  ``calibration`` are unlabelled inputs [N, ...]: the policies
    tac and oracle and the rounding learned need them; without them the correction ``auto`` is ``none``.  The study's
    network and hardening sections, ``weights.fold_batch_norm`` and ``weights.transforms`` do not apply to a model that
    is already built.

    Raises InputError when the policy or the rounding needs calibration inputs and there are none.
    """
    if calibration is None:
        if study.protection.policy in ("tac", "oracle"):
            raise InputError(f"the policy {study.protection.policy} needs unlabelled inputs: pass calibration=...")
        if study.protection.correction == "auto":
            study = study.with_({"protection.correction": "none"})
    was_training = model.training
    model.eval()
    try:
        weights, image = image_of(model, study, calibration)
        subject = Subject(
            name=type(model).__name__,
            served=ServedNetwork(model),
            image=image,
            weights=weights,
            inputs=torch.empty(0),
            labels=torch.empty(0, dtype=torch.int64),
            calibration=None if calibration is None else calibration[:CALIBRATION_INPUTS],
            classes=0,
            digest="",
        )
        cell = view_cell(study, image.planes)
        protection = protect(study, subject, cell.channel)
        chip = chip_of(study, image, protection.plan)
        timeline = cell.live(chip, study.evaluate.seed, map_index)
        faulty = protection.decoder.decode(timeline.read_out[-1])
    finally:
        model.train(was_training)
    with serving(model, faulty):
        yield model
