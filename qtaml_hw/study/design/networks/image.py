"""How a study stores weights: its number format and scales, how they are rounded, and codes that a file brings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import torch
from torch import nn

from qtaml_hw.arrays import Float32
from qtaml_hw.config import Study
from qtaml_hw.config.sections.weights import WeightsSection
from qtaml_hw.errors import InputError
from qtaml_hw.names import CHANNEL_FORMATS, FILE_FORMAT, PLANES
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.study.design.cells.cell import view_cell
from qtaml_hw.study.design.networks.calibration import CALIBRATION_INPUTS
from qtaml_hw.study.design.networks.network import Network
from qtaml_hw.weights import Clip, NumberFormat, StoredImage, StoredTensor, number_format, quantise
from qtaml_hw.weights.cosq import SOURCES, ChannelFormat
from qtaml_hw.weights.derived import Bounded, InPlaceChecks, InvertedBySign
from qtaml_hw.weights.given import given_image, stands_for
from qtaml_hw.weights.gptq import gptq_rounding
from qtaml_hw.weights.inventory import StoreRule
from qtaml_hw.weights.learned import learned_rounding
from qtaml_hw.weights.network import parameter_arrays
from qtaml_hw.weights.scales import Axes, ScaleLayout
from qtaml_hw.weights.within import changed, clipped

Weights = Mapping[str, Float32]
Channels = Mapping[str, Axes | None]
FROM_INPUTS: Final = {"learned": learned_rounding, "gptq": gptq_rounding}
"""Roundings that need unlabelled inputs."""


def weights_alone(study: Study, what: str) -> None:
    """Raises InputError for a study with buffers, where only its weights go through a memory."""
    if study.beside:
        names = ", ".join(one.section.name for one in study.beside)
        raise InputError(
            f"{what} hands on weights and runs no pass whose values buffers ({names}) hold; set buffers to null"
        )


def store_rule(study: Study) -> StoreRule:
    """Which tensors the study keeps in the memory."""
    store = study.network.store
    return StoreRule() if store is None else StoreRule(**store.model_dump(exclude_none=True, exclude={"scales"}))


def stores_scales(study: Study) -> bool:
    """Whether scales lie in the memory with the weights."""
    return study.network.store is not None and study.network.store.scales


def formats_of(study: Study) -> tuple[NumberFormat, ...]:
    """The number formats that the study's weights may take: one, or those made for its flips by kind of weights.

    None are known where the network's file brings its own.
    """
    asked = study.weights
    if asked.format == FILE_FORMAT:
        return ()
    if asked.format not in CHANNEL_FORMATS:
        plain = number_format(asked.format, encoding=asked.encoding, power=asked.power, specials=asked.specials)
        return (_by_rules(plain, asked),)
    channel = view_cell(study, PLANES[asked.format]).channel
    flips = tuple(channel.p01.tolist()), tuple(channel.p10.tolist())
    return tuple(ChannelFormat(*flips, source) for source in SOURCES)


def _by_rules(form: NumberFormat, asked: WeightsSection) -> NumberFormat:
    """The format under the rules that a study states, what is written last on the outside."""
    if asked.bound is not None:
        form = Bounded(form, asked.bound.at, asked.bound.beyond)
    if asked.in_place is not None:
        rule = asked.in_place
        form = InPlaceChecks(form, rule.check, rule.planes, rule.into, rule.reads)
    if asked.invert_planes is not None:
        form = InvertedBySign(form, asked.invert_planes.planes, asked.invert_planes.if_sign)
    return form


def stored_as(study: Study) -> tuple[NumberFormat, ScaleLayout]:
    """The number format of the study's weights (the first that they may take) and what shares a scale.

    Raises InputError where that is up to the network's file.
    """
    found = formats_of(study)
    if not found:
        raise InputError("weights.format: file keeps the codes that a network's file brings; name a number format here")
    return found[0], ScaleLayout.of(study.weights.scale)


def clip_of(form: NumberFormat, rounding: str) -> Clip:
    """Every rounding but the nearest begins at the scales of least squared error, in formats that have scales."""
    if form.scaling == "rms":
        return "mse"
    return "peak" if rounding == "nearest" or form.scaling == "none" else "mse"


def image_of(
    module: nn.Module,
    names: Iterable[str],
    study: Study,
    calibration: torch.Tensor | None = None,
    channels: Channels | None = None,
    codes: Mapping[str, StoredTensor] | None = None,
) -> tuple[dict[str, Float32], StoredImage]:
    """The named tensors of a module as trained, and their image in the study's format; channels: see ``quantise``.

    ``codes``: what the network's file brings, by parameter.  Raises InputError when the rounding needs unlabelled
    ``calibration`` inputs [N, ...] and there are none.
    """
    weights, rounding = parameter_arrays(module, names), study.weights.rounding
    if study.weights.format == FILE_FORMAT:
        return weights, given_image(weights, codes or {})
    layout = ScaleLayout.of(study.weights.scale)
    layout = replace(layout, stored=stores_scales(study) and not layout.step)
    images = [quantise(weights, f, layout, clip=clip_of(f, rounding), channels=channels) for f in formats_of(study)]
    image = min(images, key=lambda one: _squared_error(one, weights)) if len(images) > 1 else images[0]
    if rounding in FROM_INPUTS:
        if calibration is None:
            raise InputError(f"{rounding} rounding needs unlabelled inputs: pass calibration=...")
        image = FROM_INPUTS[rounding](image, weights, module, calibration[:CALIBRATION_INPUTS])
    return weights, within_condition(image, study)


def within_condition(image: StoredImage, study: Study) -> StoredImage:
    """The image clipped to the condition of a code inside the weights, where the study states one."""
    return image if study.weights.within is None else clipped(image)


def condition_facts(study: Study, network: Network, image: StoredImage) -> dict[str, Any]:
    """Record fields: how many weights the condition of a code clips, and the score that this costs without flips."""
    if study.weights.within is None:
        return {}
    form, layout = stored_as(study)
    free = quantise(network.weights, form, layout, clip=clip_of(form, study.weights.rounding))
    cost = network.score(free.decode()) - network.score(image.decode())
    return {"within": study.weights.within, "within_clipped_weights": changed(free, clipped(free)), "within_loss": cost}


def _squared_error(image: StoredImage, weights: Weights) -> float:
    """Summed over all weights, expected over the flips that the format is made for."""
    total = 0.0
    for t in image.tensors:
        step = t.layout.spread(t.scale, t.shape)  # formats made for a channel have no zero points
        total += float(t.format.squared_error(weights[t.name], t.codes.reshape(t.shape), step).sum())
    return total


def image_facts(study: Study, image: StoredImage, plan: ProtectionPlan) -> dict[str, Any]:
    """Record fields: how weights are written, and what that takes beside the bits that a plan stores of them."""
    asked = study.weights
    return {
        "weights_format": image.format_name,
        "scale": asked.scale,
        "rounding": "gptq" if study.protection.chooses_bits else asked.rounding,
        "fold_batch_norm": study.weights.fold_batch_norm,
        "storage_bits_per_weight": (plan.stored_bits + image.metadata_bits) / image.network_weights,
        "metadata_bits_fraction": image.metadata_bits / plan.stored_bits,
        "decode_ge": image.decode_ge,
    }


def as_in_file(image: StoredImage, weights: Weights, codes: Mapping[str, StoredTensor], study: Study) -> StoredImage:
    """The image with the codes and scales that a network's file brings, as the file stores them.

    Where it has codes of the study's own format and the weights are still the file's; else the image as it is.
    """
    if study.weights.rounding != "nearest" or study.weights.format == FILE_FORMAT:
        return image
    return within_condition(
        StoredImage(tuple(_own(t, weights[t.name], codes.get(t.name)) for t in image.tensors)), study
    )


def _own(tensor: StoredTensor, weights: Float32, own: StoredTensor | None) -> StoredTensor:
    if own is None or own.format != tensor.format or not stands_for(own, weights):
        return tensor
    return replace(own, name=tensor.name, shape=tensor.shape)
