"""ONNX files run as they are deployed, by onnxruntime: their initialisers are the weights, and are replaced.

A session is made for every set of weights from a file that holds them, so that whatever it folds in advance, it folds
of these.  (Values that are handed over beside a file are ignored where constants behind a Cast or DequantizeLinear were
folded before.)
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from qtaml_hw.weights.given import given_integers
from qtaml_hw.weights.image import StoredTensor
from qtaml_hw.workloads.data import InputPart
from qtaml_hw.workloads.graph import chosen_output
from qtaml_hw.workloads.load import Product, ReadGraph, Shapes
from qtaml_hw.workloads.onnx.graph import FLOATS, WORDS, input_parts, leading_to

OPERANDS: Final = {
    "Conv": (0, 1), "ConvInteger": (0, 1), "QLinearConv": (0, 3), "Gemm": (0, 1), "MatMul": (0, 1),
    "MatMulInteger": (0, 1), "QLinearMatMul": (0, 3),
}  # fmt: skip
"""Operators that are matrix products: which inputs are multiplied."""


class DeployedNetwork(nn.Module):
    """A file and its session; parameters are its matrices, floats or codes, by their names in the file."""

    def __init__(self, model: Any, output: str, parts: tuple[InputPart, ...]) -> None:
        from onnx import numpy_helper

        super().__init__()
        self.model, self.output, self.parts = model, output, parts
        kinds = {entry.name: entry.type.tensor_type.elem_type for entry in model.graph.input}
        self.types = [numpy_type(kinds[part.name]) for part in parts]
        nodes, used = leading_to(model.graph, output)
        self.alone = any(node.op_type == "DynamicQuantizeLinear" for node in model.graph.node)
        self.parameter_kinds: dict[str, str] = {}
        self.entries: dict[str, Any] = {}
        self.stored: dict[str, StoredTensor] = {}
        multiplied = {name for name in self._weights(nodes) if name is not None}
        for entry in model.graph.initializer:
            if entry.name not in used or len(entry.dims) < 2 or entry.data_type not in (*FLOATS, 2, 3):
                continue
            name = re.sub(r"\W+", "_", entry.name, flags=re.ASCII)
            values = np.array(numpy_helper.to_array(entry))
            if entry.data_type in WORDS:
                self.stored[name] = given_integers(name, values.shape, values, np.ones(1, np.float32))
            self.entries[name] = entry
            self.parameter_kinds[name] = "weight" if entry.name in multiplied else "embedding"
            self.register_parameter(name, nn.Parameter(torch.from_numpy(values.astype(np.float32)), False))
        self._session: tuple[bytes, Any] = (b"", None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The judged output [N, ...] of samples [N, ...].

        One sample at a time where ranges are measured at run time, as the importer takes them: over a batch they are
        those of all its samples, and no sample's output would be its own.
        """
        session = self._current()
        parts = [self._run(session, some, [self.output])[0] for some in (torch.split(x, 1) if self.alone else (x,))]
        return torch.from_numpy(np.concatenate(parts))

    def products(self, x: torch.Tensor) -> list[Product]:
        """The matrix products of one pass, by the shapes that onnxruntime computes."""
        from onnx import helper

        nodes = [n for n in leading_to(self.model.graph, self.output)[0] if n.op_type in OPERANDS]
        wanted = {name for n in nodes for name in (n.input[OPERANDS[n.op_type][0]], n.input[OPERANDS[n.op_type][1]])}
        wanted |= {n.output[0] for n in nodes}
        computed = {name for n in self.model.graph.node for name in n.output}
        watched = type(self.model)()
        watched.CopyFrom(self.model)
        there = {entry.name for entry in watched.graph.output}
        names = sorted(wanted & computed)
        watched.graph.output.extend(helper.make_empty_tensor_value_info(n) for n in names if n not in there)
        shapes = {entry.name: tuple(entry.dims) for entry in self.model.graph.initializer}
        shapes |= {part.name: (1, *part.shape) for part in self.parts}
        found = self._run(session_of(watched.SerializeToString()), x, names)
        shapes |= {name: value.shape for name, value in zip(names, found, strict=True)}
        own = {entry.name: name for name, entry in self.entries.items()}
        return [_product(n, shapes, own.get(str(w))) for n, w in zip(nodes, self._weights(nodes), strict=True)]

    def _weights(self, nodes: Iterable[Any]) -> list[str | None]:
        """The initialiser behind the second operand of every matrix product, through operators on constants."""
        makers = {name: n for n in self.model.graph.node for name in n.output}
        constants = {entry.name for entry in self.model.graph.initializer}

        def behind(name: str) -> str | None:
            while name not in constants:
                if name not in makers or not makers[name].input:
                    return None
                name = makers[name].input[0]
            return name

        return [behind(n.input[OPERANDS[n.op_type][1]]) for n in nodes if n.op_type in OPERANDS]

    def _current(self) -> Any:
        """The session of the weights as they are now."""
        state, arrays = hashlib.sha256(), {}
        for name in self.entries:
            arrays[name] = np.ascontiguousarray(getattr(self, name).detach().cpu().numpy())
            state.update(arrays[name].data)
        if state.digest() != self._session[0]:
            self._session = state.digest(), session_of(self._with(arrays))
        return self._session[1]

    def _with(self, arrays: dict[str, np.ndarray]) -> bytes:
        """The file with these weights in it."""
        from onnx import numpy_helper

        for name, entry in self.entries.items():
            kind = numpy_helper.to_array(entry).dtype
            values = arrays[name]
            if entry.data_type in WORDS:
                limits = np.iinfo(kind)
                values = np.clip(np.rint(values), limits.min, limits.max)
            entry.CopyFrom(numpy_helper.from_array(values.astype(kind), entry.name))
        return bytes(self.model.SerializeToString())

    def _run(self, session: Any, x: torch.Tensor, names: list[str]) -> list[np.ndarray]:
        whole, feeds, first = x.detach().cpu().numpy(), {}, 0
        for part, kind in zip(self.parts, self.types, strict=True):
            own = whole if len(self.parts) == 1 else whole[:, first : first + part.values]
            feeds[part.name] = own.reshape(-1, *part.shape).astype(kind)
            first += part.values
        found: list[np.ndarray] = session.run(names, feeds)
        return found


def session_of(content: bytes) -> Any:
    """A session of onnxruntime on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = 1, 1, 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def numpy_type(kind: int) -> Any:
    """The NumPy type of an input."""
    from onnx import helper

    return helper.tensor_dtype_to_np_dtype(kind)


def _product(node: Any, shapes: dict[str, tuple[int, ...]], weight: str | None) -> Product:
    """Sizes of one matrix product (m x k) by (k x n), run so many times."""
    first, second = (shapes[node.input[i]] for i in OPERANDS[node.op_type])
    out = shapes[node.output[0]]
    if "Conv" in node.op_type:
        groups = next((a.i for a in node.attribute if a.name == "group"), 1)
        size = (math.prod(out[2:]) * out[0], math.prod(second[1:]), second[0] // groups)
        kind = "conv" if groups == 1 else "depthwise" if second[1] == 1 else "grouped"
        return Product(weight, kind, size, groups)
    if weight is not None or len(second) == 2:
        return Product(weight, "linear", (math.prod(out[:-1]), first[-1], out[-1]), 1)
    return Product(None, "attention", (out[-2], first[-1], out[-1]), math.prod(out[:-2]))


def read_deployed(path: Path, output: str | None = None, shapes: Shapes | None = None) -> ReadGraph:
    """An ONNX file as onnxruntime runs it, whatever its operators.

    Raises ValueError for inputs and outputs as ``read_onnx`` does, and without the packages.
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise ValueError("it needs onnx and onnxruntime: pip install 'qtaml-hw[onnxruntime]'") from error
    model = onnx.load(path, load_external_data=False)
    if any(entry.external_data for entry in model.graph.initializer):
        raise ValueError("its data lie in another file; save it with its data inside")
    known = {entry.name for entry in model.graph.initializer}
    entries = [entry for entry in model.graph.input if entry.name not in known]
    parts = input_parts(entries, shapes)
    module = DeployedNetwork(model, chosen_output([entry.name for entry in model.graph.output], output), parts)
    whole = all(np.issubdtype(kind, np.integer) for kind in module.types)
    shape = parts[0].shape if len(parts) == 1 else (sum(part.values for part in parts),)
    kept = parts if len(parts) > 1 else ()
    return ReadGraph(module.eval(), shape, torch.int64 if whole else torch.float32, module.stored, kept)
