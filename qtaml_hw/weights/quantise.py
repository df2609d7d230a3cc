"""From weights to codes: the step of every scale, and the nearest code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final, Literal

import numpy as np

from qtaml_hw.arrays import Float32
from qtaml_hw.weights.floats import FloatFormat
from qtaml_hw.weights.formats import NumberFormat, UnsignedFormat, WeightFormat
from qtaml_hw.weights.grids import GRIDS
from qtaml_hw.weights.image import StoredImage, StoredTensor
from qtaml_hw.weights.parts import ScalePart
from qtaml_hw.weights.scales import PER_TENSOR, Axes, Granularity, ScaleLayout

Clip = Literal["peak", "mse"]
CLIP_RATIOS: Final = np.exp2(-np.arange(61) / 10.0).astype(np.float32)  # of the unclipped step, down to 1/64
LEAST_STEP: Final = float(np.finfo(np.float32).eps)  # of weights that are all zero, as torch's observers take it
HOPELESS: Final = 4.0  # times the least error so far, in every scale: smaller steps only clip more


def quantise(
    tensors: Mapping[str, Float32],
    format: NumberFormat | None = None,
    granularity: Granularity | ScaleLayout = "per_tensor",
    *,
    clip: Clip = "peak",
    channels: Mapping[str, Axes | None] | None = None,
) -> StoredImage:
    """Quantise weight tensors to the nearest value of a format, int8 by default; vectors get one scale each.

    The step is ||W||_inf / largest over the weights of a scale (docs/theory.md, stored weight), their mean magnitude
    for binary weights, or for unsigned levels their range, zero included, over the highest level, with a whole zero
    point beside it.  All-zero weights of a scale get the smallest step of their tensor: a flip there costs no more
    than elsewhere (``filled``).  ``clip="mse"`` searches each scale's step of least squared error below that.
    channels: where tensors have them that do not lie as [out, in, ...].

    Raises ValueError for values that are not finite, and for scales of a format that has its own range.
    """
    format = WeightFormat() if format is None else format
    layout = granularity if isinstance(granularity, ScaleLayout) else ScaleLayout.of(granularity)
    if format.scaling == "none" and (layout != PER_TENSOR or clip != "peak"):
        raise ValueError(f"{format.name} weights carry their own exponent: there is no scale to share or to clip")
    stored = []
    for name, tensor in tensors.items():
        w = np.asarray(tensor, dtype=np.float32)
        if not np.all(np.isfinite(w)):
            raise ValueError(f"{name}: weights must be finite; {int(np.sum(~np.isfinite(w)))} are NaN or infinite")
        plain = replace(PER_TENSOR, stored=layout.stored)
        own = layout.turned((channels or {}).get(name)) if w.ndim > 1 or layout.step else plain
        scale = own.rounded(full_step(w, format, own))
        zero = zero_points(own.reduce(np.minimum, w), scale, format) if format.scaling == "range" else None
        if clip == "mse" and not own.step:
            scale = own.rounded(clipped_step(w, format, own, scale, zero))
        codes = format.encode(in_steps(w, scale, format, own, zero)).reshape(-1)
        parts = scale_parts(scale, zero, format, own) if layout.stored else ()
        stored.append(StoredTensor(name, tuple(w.shape), codes, format, scale, own, zero=zero, parts=parts))
    return StoredImage(tuple(stored))


def scale_parts(scale: Float32, zero: Float32 | None, form: NumberFormat, layout: ScaleLayout) -> tuple[ScalePart, ...]:
    """Our own scales as codes: bfloat16, or eight bits on a grid; whole zero points."""
    if form.scaling == "none" or layout.step:
        return ()
    if layout.grid:
        parts = [*GRIDS[layout.grid].parts(scale)]
    else:
        parts = [ScalePart("scale", (scale.view(np.uint32) >> 16).astype(np.uint16), FloatFormat("bfloat16"))]
    if zero is not None:
        parts.append(ScalePart("zero", zero.astype(np.uint8), UnsignedFormat(form.bits)))
    return tuple(parts)


def in_steps(
    w: Float32, scale: Float32, form: NumberFormat, layout: ScaleLayout, zero: Float32 | None = None
) -> Float32:
    """Weights in steps from the zero point [scales], clipped to the range of the format."""
    steps: Float32 = w / layout.spread(scale, w.shape)
    if zero is not None:
        steps = steps + layout.spread(zero, w.shape)
    return np.clip(steps, form.lowest, form.largest)


def zero_points(least: Float32, scale: Float32, form: NumberFormat) -> Float32:
    """The level of every scale that stands for zero: a whole one, so that zero is stored exactly.

    ``least`` [scales]: the least weight of each.
    """
    zero: Float32 = np.clip(np.rint(-np.minimum(least, np.float32(0.0)) / scale), form.lowest, form.largest)
    return zero


def full_step(w: Float32, form: NumberFormat, layout: ScaleLayout) -> Float32:
    """The step of every scale [scales] at which nothing is clipped; of binary weights the mean magnitude; or stated.

    Where the root mean square sets it, twice that: the searched steps lie around it.
    """
    if form.scaling == "none":
        return np.ones(1, dtype=np.float32)
    if layout.step:
        return np.full(1, layout.step, dtype=np.float32)
    magnitude = np.abs(w)
    if form.scaling == "mean":
        mean = layout.reduce(np.add, magnitude.astype(np.float64)) / layout.reduce(np.add, np.ones(w.shape))
        return np.where(mean == 0.0, LEAST_STEP, mean).astype(np.float32)  # no code of binary weights is zero
    if form.scaling == "range":
        span = layout.reduce(np.maximum, np.maximum(w, 0.0)) - layout.reduce(np.minimum, np.minimum(w, 0.0))
        return peak_step(span, form)
    if form.scaling == "rms":
        squares = layout.reduce(np.add, magnitude.astype(np.float64) ** 2) / layout.reduce(np.add, np.ones(w.shape))
        return filled(2.0 * form.step_of_rms * np.sqrt(squares))
    return peak_step(layout.reduce(np.maximum, magnitude), form)


def peak_step(peak: Float32, form: NumberFormat) -> Float32:
    """The step of every scale [scales] at which weights of a largest magnitude ``peak`` [scales] are not clipped."""
    return filled(peak / np.float32(form.largest))


def filled(step: Float32) -> Float32:
    """Steps [scales] of one tensor; those of all-zero weights are the smallest of the others, or nearly zero."""
    there = step[step > 0.0]
    return np.where(step > 0.0, step, there.min() if there.size else LEAST_STEP).astype(np.float32)


def clipped_step(
    w: Float32, form: NumberFormat, layout: ScaleLayout, full: Float32, zero: Float32 | None = None
) -> Float32:
    """The step of least squared error of every scale [scales], of those on a geometric grid below the full one."""
    best, least = full, np.full(full.shape, np.inf)
    for candidate in _candidates(full, layout):
        steps, step = in_steps(w, candidate, form, layout, zero), layout.spread(candidate, w.shape)
        aim = w if zero is None else w + layout.spread(zero, w.shape) * step
        lost = form.squared_error(aim, form.encode(steps), step)
        error = layout.reduce(np.add, lost)
        best, least = np.where(error < least, candidate, best), np.minimum(error, least)
        if np.all(error > HOPELESS * least):
            break
    return best


def _candidates(full: Float32, layout: ScaleLayout) -> Iterator[Float32]:
    for ratio in CLIP_RATIOS:
        yield layout.rounded(full * ratio)
