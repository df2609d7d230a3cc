"""ONNX networks through a table of operators, in plain PyTorch (extra ``onnx``); nothing of the file is executed.

Weights of Conv, Gemm and MatMul with a constant become layers with parameters, named after the weight or the operator;
other constants stay exact.
"""

from __future__ import annotations

from pathlib import Path

from qtaml_hw.workloads.cache import state_digest
from qtaml_hw.workloads.factory import output_width
from qtaml_hw.workloads.graph import UnknownOpsError
from qtaml_hw.workloads.load import LoadedNetwork
from qtaml_hw.workloads.onnx_graph import Importer
from qtaml_hw.workloads.onnx_ops import OPS


def load_onnx(path: str | Path) -> LoadedNetwork:
    """The network of a .onnx file with one input and one output; the first axis is the batch, however it was exported.

    Raises ValueError for a file that cannot be read, all operators that are not read at once, external data, and
    without the package ``onnx``.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise ValueError("a .onnx file needs the package onnx: pip install 'qtaml-hw[onnx]'") from error
    place = Path(path)
    try:
        model = onnx.load(place, load_external_data=False)
        importer = Importer(model.graph, OPS)
        missing = [
            node.op_type for node in model.graph.node if node.op_type not in OPS or node.domain not in ("", "ai.onnx")
        ]
        if missing:
            raise UnknownOpsError(missing, OPS)
        module = importer.network()
    except UnknownOpsError:
        raise
    except (OSError, DecodeError, ValueError, KeyError, IndexError, TypeError, RuntimeError, AttributeError) as error:
        raise ValueError(f"{place}: not a .onnx network that can be read ({error})") from error
    shape, kind = importer.input_shape, importer.input_type
    width = output_width(place.name, module, shape, kind)
    return LoadedNetwork(place.name, module, state_digest(module.state_dict()), shape, width, None)
