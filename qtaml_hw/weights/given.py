"""Stored tensors whose codes, scales and zero points or minima a file gives: nothing is quantised by us.

``StoredTensor`` is the value: a reader makes one per weight, with the number format of the file's word, and hands them
on by the name of the network's parameter (``codes`` of ``workloads.load.ReadGraph``).  Read without a flip it is the
file's own network, to the bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.arrays import Float32
from qtaml_hw.weights.floats import FloatFormat
from qtaml_hw.weights.formats import NumberFormat, UnsignedFormat, WeightFormat
from qtaml_hw.weights.image import StoredImage, StoredTensor
from qtaml_hw.weights.scales import PER_TENSOR, ScaleLayout


def given_integers(
    name: str,
    shape: tuple[int, ...],
    levels: NDArray[Any],
    scale: Float32,
    layout: ScaleLayout = PER_TENSOR,
    *,
    bits: int = 8,
    zero: Float32 | None = None,
    minimum: Float32 | None = None,
) -> StoredTensor:
    """A weight = scale x (level - zero) + minimum of integer ``levels`` [weights], of any shape in the order of C.

    Signed arrays are two's complement codes of ``bits`` planes, unsigned ones are their levels.  ``scale``, ``zero``,
    ``minimum`` float32 [scales] of ``layout``.  Raises ValueError for levels outside the range of the planes.
    """
    signed = np.issubdtype(levels.dtype, np.signedinteger)
    form: NumberFormat = WeightFormat(bits) if signed else UnsignedFormat(bits)
    flat = np.ascontiguousarray(levels).reshape(-1)
    codes = form.encode(flat.astype(np.float32))
    return StoredTensor(name, shape, codes, form, scale, layout, zero=zero, minimum=minimum)


def given_floats(name: str, values: NDArray[Any], layout: str = "float16") -> StoredTensor:
    """A weight in two bytes without a scale: float16, or with ``layout`` bfloat16 the uint16 patterns of one."""
    codes = np.ascontiguousarray(values).view(np.uint16).reshape(-1).copy()
    return StoredTensor(name, tuple(values.shape), codes, FloatFormat(layout), np.ones(1, np.float32))


def given_image(weights: Mapping[str, Float32], codes: Mapping[str, StoredTensor]) -> StoredImage:
    """The image of what a file stores: ``weights`` as the network holds them, the file's ``codes`` by name.

    Raises ValueError with every weight that the file has no codes for, or that is no longer what they stand for.
    """
    none = [name for name in weights if name not in codes]
    if none:
        shown = ", ".join(none[:5]) + (", ..." if len(none) > 5 else "")
        raise ValueError(
            f"weights.format: file needs codes of the file for every stored tensor, and it brings none for {shown}: "
            "name a number format, or leave these out by network.store.exclude"
        )
    changed = [name for name, w in weights.items() if not stands_for(codes[name], w)]
    if changed:
        raise ValueError(f"these weights are no longer what the file's codes stand for: {', '.join(changed[:5])}")
    return StoredImage(tuple(codes[name] for name in weights))


def stands_for(tensor: StoredTensor, weights: Float32) -> bool:
    """Whether the codes decode to these weights exactly."""
    return tensor.weights == weights.size and np.array_equal(
        tensor.decode(tensor.codes).reshape(weights.shape), weights
    )
