"""ONNX networks through a table of operators, in plain PyTorch (extra ``onnx``); nothing of the file is executed.

Weights of Conv, Gemm and MatMul with a constant become layers with parameters, named after the weight or the operator;
a constant that several of them use is one parameter.  Other constants stay exact.
"""

from __future__ import annotations

from pathlib import Path

from qtaml_hw.workloads.load import ReadGraph
from qtaml_hw.workloads.onnx.graph import Importer
from qtaml_hw.workloads.onnx.operators import OPS


def read_onnx(path: Path) -> ReadGraph:
    """The network of a .onnx file with one input and one output; the first axis is the batch, however it was exported.

    Raises ValueError with all that is not read at once, for data in other files, and without the package ``onnx``;
    what ``onnx`` raises for a file that is damaged.
    """
    try:
        import onnx
    except ImportError as error:
        raise ValueError("it needs the package onnx: pip install 'qtaml-hw[onnx]'") from error
    importer = Importer(onnx.load(path, load_external_data=False), OPS)
    return ReadGraph(importer.network(), importer.input_shape, importer.input_type)
