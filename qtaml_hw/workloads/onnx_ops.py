"""The ONNX operators of classifiers, multilayer perceptrons and encoders that are read, a row each."""

from __future__ import annotations

from typing import Final

from qtaml_hw.workloads.onnx_graph import Table
from qtaml_hw.workloads.onnx_layers import LAYERS
from qtaml_hw.workloads.onnx_math import MATH
from qtaml_hw.workloads.onnx_shapes import SHAPES

OPS: Final[Table] = {**LAYERS, **SHAPES, **MATH}
