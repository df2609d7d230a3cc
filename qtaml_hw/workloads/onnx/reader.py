"""ONNX networks through a table of operators, in plain PyTorch (extra ``onnx``); nothing of the file is executed.

Weights of Conv, Gemm and MatMul with a constant become layers with parameters, named after the weight or the operator;
a constant that several of them use is one parameter.  Other constants stay exact.
"""

from __future__ import annotations

from pathlib import Path

from qtaml_hw.workloads.graph import sample_shape
from qtaml_hw.workloads.load import ReadGraph, Shapes
from qtaml_hw.workloads.onnx.graph import Importer
from qtaml_hw.workloads.onnx.operators import OPS


def read_onnx(path: Path, output: str | None = None, shapes: Shapes | None = None) -> ReadGraph:
    """The network of a .onnx file; the first axis of every input is the batch, however it was exported.

    output: the one that is judged, of several; shapes: of one sample of an input, where the file leaves sides open.
    Raises ValueError with all that is not read at once, for data in other files, and without the package ``onnx``;
    what ``onnx`` raises for a file that is damaged.
    """
    try:
        import onnx
    except ImportError as error:
        raise ValueError("it needs the package onnx: pip install 'qtaml-hw[onnx]'") from error
    importer = Importer(onnx.load(path, load_external_data=False), OPS, output, shapes)
    module = importer.network()
    parts = importer.parts if len(importer.parts) > 1 else ()
    return ReadGraph(module, sample_shape(importer.parts), importer.input_type, importer.codes(module), parts)
