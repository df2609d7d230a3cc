"""Measured response: what corrupting one layer alone does to the outputs, plane by plane, at the real noise level.

The Jacobian score is first order, and at large flip probabilities the outputs no longer answer in proportion.  Here
every layer is corrupted by itself, with its k top planes protected, and the outputs on unlabelled inputs are compared
with the clean ones (ours, docs/tac.md).  The drop from k to k + 1 protected planes is the measured worth of that plane;
the Jacobian still says where inside the layer it lies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import log_softmax

from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.channel import FlipChannel
from qtaml_hw.tac.worth.alone import Forward, OneLayer, flipped
from qtaml_hw.tac.worth.damage import DamageModel
from qtaml_hw.weights import StoredImage

MeasureName = Literal["divergence", "squared", "disagreement"]
LEAST_SHARE = 1e-9  # of a layer's whole response: what a plane is worth at least, so that no plane is free


def _divergence(clean: Float64, faulty: Float64) -> float:
    """Mean Kullback-Leibler divergence of the softmax outputs, nats."""
    a, b = log_softmax(clean, axis=-1), log_softmax(faulty, axis=-1)
    return float(np.mean(np.sum(np.exp(a) * (a - b), axis=-1)))


def _squared(clean: Float64, faulty: Float64) -> float:
    """Mean squared change of the outputs."""
    return float(np.mean(np.sum((faulty - clean) ** 2, axis=-1)))


def _disagreement(clean: Float64, faulty: Float64) -> float:
    """Share of inputs whose largest output changes."""
    return float(np.mean(np.argmax(clean, axis=-1) != np.argmax(faulty, axis=-1)))


MEASURES: dict[MeasureName, Callable[[Float64, Float64], float]] = {
    "divergence": _divergence,
    "squared": _squared,
    "disagreement": _disagreement,
}


@dataclass(frozen=True, eq=False)
class Response:
    """Distortion [T, B + 1] of tensor t corrupted alone with k top planes protected, and its standard error over maps.

    Column B is 0: everything protected.  ``order`` [B]: the planes from the most significant down.
    """

    values: Float64
    error: Float64
    measure: MeasureName
    maps: int
    order: Int64

    def marginals(self) -> Float64:
        """Worth of every plane [T, B], LSB first: what protecting it saves once all planes above it are protected.

        Made monotone (a plane is worth at most what the one above it is) by pooling adjacent planes, so that planes are
        bought from the top.
        """
        drops = -np.diff(self.values, axis=1)  # column k: protecting plane order[k]
        worth = np.stack([_decreasing(row, LEAST_SHARE * max(float(row.sum()), 1e-300)) for row in drops])
        from_lsb: Float64 = worth[:, np.argsort(self.order)]
        return from_lsb


def _decreasing(drops: Float64, floor: float) -> Float64:
    """The nearest non-increasing sequence (pool adjacent violators), at least ``floor``."""
    blocks: list[tuple[float, int]] = []
    for drop in drops:
        mean, count = float(drop), 1
        while blocks and blocks[-1][0] <= mean:
            before, size = blocks.pop()
            mean, count = (mean * count + before * size) / (count + size), count + size
        blocks.append((mean, count))
    pooled: Float64 = np.concatenate([np.full(count, mean) for mean, count in blocks])
    return np.maximum(pooled, floor)


@dataclass(frozen=True)
class Probe:
    """How responses are measured: over ``maps`` draws; below ``deepest`` protected planes they are extrapolated."""

    measure: MeasureName = "divergence"
    maps: int = 4
    deepest: int = 5
    seed: int = 0


def measured_response(image: StoredImage, forward: Forward, channel: FlipChannel, probe: Probe) -> Response:
    """Corrupt every tensor alone, with 0, 1, 2 ... top planes protected, and compare the outputs.

    ``forward`` maps weights by name to outputs [N, C] on unlabelled inputs.  Beyond ``probe.deepest`` planes
    every further one divides the response by four (docs/theory.md, variance).
    """
    compare = MEASURES[probe.measure]
    alone = OneLayer(image, forward)
    values = np.zeros((probe.maps, len(image.tensors), image.planes + 1))
    for i, tensor in enumerate(image.tensors):
        for draw in range(probe.maps):
            faulty = flipped(tensor.codes, channel, seed=probe.seed, draw=draw, tensor=i)
            for k in range(min(probe.deepest, image.planes - 1) + 1):
                low = tensor.codes.dtype.type(sum(1 << plane for plane in image.plane_order[k:].tolist()))
                codes = tensor.codes ^ ((faulty ^ tensor.codes) & low)
                outputs = alone.outputs(*image.decode_changed(i, codes))
                values[draw, i, k] = compare(alone.reference, np.nan_to_num(outputs))
            for k in range(probe.deepest + 1, image.planes):
                values[draw, i, k] = values[draw, i, k - 1] / 4.0
    spread = values.std(axis=0, ddof=1) if probe.maps > 1 else np.full(values.shape[1:], np.inf)
    return Response(values.mean(axis=0), spread / np.sqrt(probe.maps), probe.measure, probe.maps, image.plane_order)


def refined_damage(damage: DamageModel, tensor_starts: Int64, response: Response, channel: FlipChannel) -> DamageModel:
    """The damage model with every (layer, plane) rescaled to its measured worth; shares inside a layer stay.

    Where the first-order damage of a layer's plane is zero its worth is spread evenly over the layer's weights.
    """
    worth = response.marginals()
    owner = np.searchsorted(tensor_starts, damage.starts[:-1], side="right") - 1
    predicted = damage.distortion(channel.p01, channel.p10)
    total = np.zeros_like(worth)
    np.add.at(total, owner, predicted)
    even = damage.sizes / np.diff(tensor_starts)[owner]
    share = np.divide(
        predicted, total[owner], out=np.repeat(even[:, None], predicted.shape[1], 1), where=total[owner] > 0
    )
    target = share * worth[owner]
    factor = np.divide(target, predicted, out=np.zeros_like(predicted), where=predicted > 0.0)
    return DamageModel(damage.starts, damage.zeros * factor, damage.ones * factor, damage.order)
