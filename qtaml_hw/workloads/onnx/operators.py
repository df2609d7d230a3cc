"""The ONNX operators of classifiers, multilayer perceptrons and encoders that are read, a row each."""

from __future__ import annotations

from typing import Final

from qtaml_hw.workloads.onnx.arithmetic import MATH
from qtaml_hw.workloads.onnx.graph import Table
from qtaml_hw.workloads.onnx.layers import LAYERS
from qtaml_hw.workloads.onnx.quantised import QUANTISED
from qtaml_hw.workloads.onnx.shapes import SHAPES

OPS: Final[Table] = {**LAYERS, **SHAPES, **MATH, **QUANTISED}
