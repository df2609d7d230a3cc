"""The ONNX project's own node and exporter tests, each as a network of one input with the others frozen into it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from qtaml_hw.workloads.onnx.operators import OPS

EXPORTED = ("pytorch-converted", "pytorch-operator", "simple")
LARGEST = 1 << 22  # bytes of a model


@dataclass(frozen=True)
class Case:
    """A test of the suite: its model, with every input but the first a constant, that first input, and its result."""

    name: str
    model: Any
    x: np.ndarray
    expected: np.ndarray


def cases() -> Iterator[Case]:
    """Every case all of whose operators are in the table, and whose inputs are arrays that float32 can hold."""
    for name, model, inputs, outputs in (*_nodes(), *_files()):
        if any(n.op_type not in OPS or n.domain not in ("", "ai.onnx") for n in model.graph.node):
            continue
        if any(n.op_type == "DynamicQuantizeLinear" for n in model.graph.node):
            continue  # a range over all samples there, of each alone here
        known = {entry.name for entry in model.graph.initializer}
        free = [entry for entry in model.graph.input if entry.name not in known]
        arrays = [v for v in inputs if isinstance(v, np.ndarray)]
        if not free or not len(free) == len(inputs) == len(arrays) or not free[0].type.HasField("tensor_type"):
            continue
        if arrays[0].dtype == np.float64 and np.abs(arrays[0]).max(initial=0.0) > np.finfo(np.float32).max:
            continue
        yield Case(name, _frozen(model, free, arrays), arrays[0], outputs[0])


def _frozen(model: Any, free: list[Any], values: list[np.ndarray]) -> Any:
    """The model with the values of all inputs but the first as constants, and its first output alone."""
    frozen = onnx.ModelProto()
    frozen.CopyFrom(model)
    for entry, value in zip(free[1:], values[1:], strict=True):
        frozen.graph.initializer.append(numpy_helper.from_array(value, entry.name))
    kept = [entry for entry in frozen.graph.input if entry.name == free[0].name]
    del frozen.graph.input[:]
    frozen.graph.input.extend(kept)
    del frozen.graph.output[1:]
    return frozen


def _nodes() -> Iterator[tuple[str, Any, list[Any], list[Any]]]:
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = collect_testcases(None)
    for case in found:
        for inputs, outputs in case.data_sets or ():
            yield case.name, case.model, list(inputs), list(outputs)


def _files() -> Iterator[tuple[str, Any, list[Any], list[Any]]]:
    home = Path(onnx.__file__).parent / "backend" / "test" / "data"
    for folder in (f for kind in EXPORTED for f in sorted((home / kind).iterdir())):
        file, tests = folder / "model.onnx", folder / "test_data_set_0"
        if file.is_file() and file.stat().st_size <= LARGEST:
            yield folder.name, onnx.load(file), _arrays(tests, "input"), _arrays(tests, "output")


def _arrays(folder: Path, kind: str) -> list[np.ndarray]:
    found = []
    for place in sorted(folder.glob(f"{kind}_*.pb"), key=lambda p: int(p.stem.split("_")[1])):
        entry = onnx.TensorProto()
        entry.ParseFromString(place.read_bytes())
        found.append(numpy_helper.to_array(entry))
    return found
