"""Tiny .tflite files built with the flatbuffers builder, for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
import tflite

TYPES = {"int8": tflite.TensorType.INT8, "int32": tflite.TensorType.INT32, "float32": tflite.TensorType.FLOAT32}
Options = Callable[[flatbuffers.Builder], tuple[int, int]]


@dataclass
class File:
    """Tensors and operators, added in order; ``content`` is the file."""

    builder: flatbuffers.Builder = field(default_factory=lambda: flatbuffers.Builder(4096))
    tensors: list[int] = field(default_factory=list)
    buffers: list[int] = field(default_factory=list)
    ops: list[tuple[int, Sequence[int], Sequence[int], Options | None]] = field(default_factory=list)

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        kind: str = "int8",
        values: np.ndarray | None = None,
        scale: Sequence[float] = (),
        zero: Sequence[int] = (),
        axis: int = 0,
    ) -> int:
        b = self.builder
        data = b.CreateNumpyVector(np.frombuffer(values.tobytes(), np.uint8)) if values is not None else None
        tflite.BufferStart(b)
        if data is not None:
            tflite.BufferAddData(b, data)
        self.buffers.append(tflite.BufferEnd(b))
        title, sides = b.CreateString(name), b.CreateNumpyVector(np.array(shape, np.int32))
        quantised = None
        if len(scale):
            steps = b.CreateNumpyVector(np.array(scale, np.float32))
            zeros = b.CreateNumpyVector(np.array(zero or [0] * len(scale), np.int64))
            tflite.QuantizationParametersStart(b)
            tflite.QuantizationParametersAddScale(b, steps)
            tflite.QuantizationParametersAddZeroPoint(b, zeros)
            tflite.QuantizationParametersAddQuantizedDimension(b, axis)
            quantised = tflite.QuantizationParametersEnd(b)
        tflite.TensorStart(b)
        tflite.TensorAddShape(b, sides)
        tflite.TensorAddType(b, TYPES[kind])
        tflite.TensorAddBuffer(b, len(self.buffers))  # buffer 0 is empty
        tflite.TensorAddName(b, title)
        if quantised is not None:
            tflite.TensorAddQuantization(b, quantised)
        self.tensors.append(tflite.TensorEnd(b))
        return len(self.tensors) - 1

    def op(self, name: str, inputs: Sequence[int], outputs: Sequence[int], options: Options | None = None) -> None:
        self.ops.append((getattr(tflite.BuiltinOperator, name), inputs, outputs, options))

    def content(self, source: int | Sequence[int], result: int) -> bytes:
        b = self.builder
        numbers = sorted({code for code, *_ in self.ops})
        codes = []
        for number in numbers:
            tflite.OperatorCodeStart(b)
            tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(number, 127))
            tflite.OperatorCodeAddBuiltinCode(b, number)
            codes.append(tflite.OperatorCodeEnd(b))
        built = []
        for code, inputs, outputs, options in self.ops:
            into, out = (b.CreateNumpyVector(np.array(v, np.int32)) for v in (inputs, outputs))
            kind, table = options(b) if options is not None else (0, None)
            tflite.OperatorStart(b)
            tflite.OperatorAddOpcodeIndex(b, numbers.index(code))
            tflite.OperatorAddInputs(b, into)
            tflite.OperatorAddOutputs(b, out)
            if table is not None:
                tflite.OperatorAddBuiltinOptionsType(b, kind)
                tflite.OperatorAddBuiltinOptions(b, table)
            built.append(tflite.OperatorEnd(b))
        ends = [b.CreateNumpyVector(np.atleast_1d(np.array(i, np.int32))) for i in (source, result)]
        parts = [_vector(b, items) for items in (self.tensors, built)]
        tflite.SubGraphStart(b)
        tflite.SubGraphAddTensors(b, parts[0])
        tflite.SubGraphAddInputs(b, ends[0])
        tflite.SubGraphAddOutputs(b, ends[1])
        tflite.SubGraphAddOperators(b, parts[1])
        graph = tflite.SubGraphEnd(b)
        tflite.BufferStart(b)
        empty = tflite.BufferEnd(b)
        vectors = [_vector(b, items) for items in (codes, [graph], [empty, *self.buffers])]
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, 3)
        tflite.ModelAddOperatorCodes(b, vectors[0])
        tflite.ModelAddSubgraphs(b, vectors[1])
        tflite.ModelAddBuffers(b, vectors[2])
        b.Finish(tflite.ModelEnd(b), b"TFL3")
        return bytes(b.Output())


def _vector(b: flatbuffers.Builder, items: Sequence[int]) -> int:
    b.StartVector(4, len(items), 4)
    for item in reversed(items):
        b.PrependUOffsetTRelative(item)
    return b.EndVector()


def table(name: str, **values: Any) -> Options:
    """Options of an operator: the schema's table and its fields."""

    def build(b: flatbuffers.Builder) -> tuple[int, int]:
        getattr(tflite, f"{name}Start")(b)
        for key, value in values.items():
            getattr(tflite, f"{name}Add{key}")(b, value)
        return getattr(tflite.BuiltinOptions, name), getattr(tflite, f"{name}End")(b)

    return build
