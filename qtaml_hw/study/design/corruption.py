"""A user's own module served from the leaking memory for the length of a ``with`` block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from qtaml_hw.accelerator.layers import multiplied
from qtaml_hw.accelerator.served import ServedNetwork, serving
from qtaml_hw.config import Study, takes_study
from qtaml_hw.errors import InputError
from qtaml_hw.study.design.contents import Contents
from qtaml_hw.study.design.networks.calibration import CALIBRATION_INPUTS, Calibration
from qtaml_hw.study.design.networks.image import image_of, weights_alone
from qtaml_hw.weights.effective import effective, evaluating
from qtaml_hw.weights.network import stored_names
from qtaml_hw.workloads.plain import built_network


@takes_study
@contextmanager
def corrupted(
    model: nn.Module, study: Study, map_index: int = 0, *, calibration: torch.Tensor | None = None
) -> Iterator[nn.Module]:
    """``model`` with its weights as one chip of the study's memory returns them at the last time of ``evaluate.at``.

    Weights of matrix products are quantised, stored, aged, corrected and decoded, those that the model computes from
    others (parametrisations) as the product; biases and norms stay.  The model is as it was on exit, to the bit.
    ``calibration`` are unlabelled inputs [N, ...]: the policies tac and oracle and the roundings learned and gptq need
    them; without them the correction ``auto`` is ``none``, and kinds of layers tell what is multiplied, where
    otherwise a forward pass does.  The study's network and hardening sections, ``weights.fold_batch_norm`` and
    ``weights.transforms`` do not apply to a model that is already built.

    Raises InputError when the policy or the rounding needs calibration inputs and there are none and for a study with
    buffers, and ValueError for a
    model whose weights cannot be reached: TorchScript, quantised by torch, lazy layers that no input has made yet.
    """
    weights_alone(study, "corrupted")
    if calibration is None:
        if study.protection.row.needs == "calibration":
            raise InputError(f"the policy {study.protection.policy} needs unlabelled inputs: pass calibration=...")
        if study.protection.correction == "auto":
            study = study.with_({"protection.correction": "none"})
    if study.weights.transforms:
        study = study.with_({"weights.transforms": []})
    inner = built_network("the model has", model)
    with effective(inner), evaluating(inner):
        seen = None if calibration is None else multiplied(inner, calibration[:1])
        names = stored_names(inner, multiplied=seen)
        _, image = image_of(inner, names, study, calibration, seen)
        inputs = None if calibration is None else calibration[:CALIBRATION_INPUTS]
        contents = Contents.of(study, image, Calibration(ServedNetwork(inner), image.names, inputs))
        timeline = contents.cell.live(contents.chip(study), study.evaluate.seed, map_index)
        faulty = contents.protection.decoder.decode(timeline.read_out[-1])
    with serving(inner, faulty):
        yield model
