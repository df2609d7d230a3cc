"""Programs of torch.export (.pt2) rebuilt from their data: the graph as JSON, the weights as plain bytes.

``torch.export.load`` unpickles parts of such a file (weights_only=False in torch 2.13) and hands its expressions to
sympy, so it can run what a stranger wrote; it is not used.  Read here are the graph's JSON and weights that are stored
raw; pickled weights are refused, sample inputs are never opened, and only ATen operators from a list are built.
"""

from __future__ import annotations

import json
import math
import operator
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch
from torch import fx, nn

from qtaml_hw.workloads.graph import Builder, UnknownOpsError
from qtaml_hw.workloads.load import ReadGraph
from qtaml_hw.workloads.reading import check_members

TYPES: Final = {
    2: torch.int8, 4: torch.int32, 5: torch.int64, 6: torch.float16, 7: torch.float32, 8: torch.float64,
    12: torch.bool, 13: torch.bfloat16,
}  # fmt: skip
"""ScalarType of torch._export.serde.schema."""

LARGEST_JSON: Final = 200_000_000  # bytes
MOST_INPUTS: Final = 64  # arguments of an operator; batch_norm has 9
_ATEN: Final = """
add.Tensor sub.Tensor mul.Tensor div.Tensor mul.Scalar add.Scalar pow.Tensor_Scalar neg.default exp.default
sqrt.default rsqrt.default erf.default relu.default relu_.default relu6.default gelu.default silu.default
silu_.default sigmoid.default tanh.default hardtanh.default hardtanh_.default hardswish.default hardswish_.default
hardsigmoid.default leaky_relu.default elu.default clamp.default clamp_min.default softmax.int log_softmax.int
mean.dim sum.dim_IntList amax.default max_pool2d.default avg_pool2d.default adaptive_avg_pool2d.default
adaptive_avg_pool1d.default matmul.default bmm.default scaled_dot_product_attention.default view.default
reshape.default flatten.using_ints unflatten.int permute.default transpose.int t.default contiguous.default
unsqueeze.default squeeze.dim squeeze.dims select.int slice.Tensor cat.default stack.default split.Tensor
split_with_sizes.default chunk.default expand.default pad.default constant_pad_nd.default ne.Scalar eq.Scalar
to.dtype clone.default alias.default detach.default dropout.default add_.Tensor mul_.Tensor masked_fill.Scalar
layer_norm.default linalg_vector_norm.default clamp_min_.default expand_as.default div_.Tensor
arange.default zeros_like.default ones_like.default cumsum.default index.Tensor embedding.default conv1d.default
conv2d.default conv3d.default linear.default batch_norm.default sym_size.int group_norm.default rsub.Scalar
"""
CALLS: Final = frozenset(f"torch.ops.aten.{name}" for name in _ATEN.split())
EVALUATED: Final = {"train": False, "training": False, "dropout_p": 0.0}
"""Arguments that say whether a program is being trained; a network is served as in evaluation, however exported."""
MOST_PARTS: Final = 1 << 12  # of a tensor that is split
LARGEST_SIDE: Final = 1 << 62  # a number that is computed from sides


def _of_sides(function: Callable[[int, int], int]) -> Callable[[int, int], int]:
    """Arithmetic of sides, and of nothing else: lists would be repeated, numbers could grow without bound."""

    def computed(a: int, b: int) -> int:
        if not (isinstance(a, int) and isinstance(b, int)) or max(abs(a), abs(b)) > LARGEST_SIDE:
            raise ValueError("it computes with what are no sides of tensors")
        return function(a, b)

    return computed


def _split(self: torch.Tensor, split_size: int, dim: int = 0) -> Any:
    if split_size * MOST_PARTS < self.shape[dim]:
        raise ValueError(f"it splits {self.shape[dim]} values by {split_size}")
    return torch.split(self, split_size, dim)


def _chunk(self: torch.Tensor, chunks: int, dim: int = 0) -> Any:
    if chunks > MOST_PARTS:
        raise ValueError(f"it splits a tensor into {chunks}")
    return torch.chunk(self, chunks, dim)


PARTED: Final[dict[str, Callable[..., Any]]] = {"split.Tensor": _split, "chunk.default": _chunk}
SYMBOLIC: Final[dict[str, Callable[..., Any]]] = {
    **{f"_operator.{name}": _of_sides(getattr(operator, name)) for name in ("mul", "add", "sub", "floordiv")},
    "_operator.getitem": operator.getitem,
}


def read_pt2(path: Path) -> ReadGraph:
    """The network of a .pt2 file with one input and one output, exported with a batch of any size.

    Raises ValueError for pickled weights, all operators that are not read at once, and a program of a fixed batch;
    what ``zipfile`` and ``json`` raise for a file that is damaged.
    """
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
            raise ValueError("it is compressed, which torch.export.save never does")
        check_members(archive, size)
        program = _Program(archive, size)
        return ReadGraph(program.network(), program.input_shape, program.input_type)


class _Program:
    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        self.archive, self.builder, self.left = archive, Builder(), size
        names = [n for n in archive.namelist() if n.endswith("/models/model.json")]
        if len(names) != 1:
            raise ValueError(
                "it holds no program 'model' in the format of torch 2.8 and newer; save it again with those"
            )
        self.root = names[0].removesuffix("models/model.json")
        module = self._json("models/model.json")["graph_module"]
        self.graph, self.signature = module["graph"], module["signature"]
        missing = [n["target"] for n in self.graph["nodes"] if n["target"] not in CALLS | SYMBOLIC.keys()]
        if missing:
            raise UnknownOpsError((t.removeprefix("torch.ops.") for t in missing), (c[15:] for c in CALLS))
        self.state = self._state()
        inputs = [
            spec["user_input"]["arg"]["as_tensor"]["name"]
            for spec in self.signature["input_specs"]
            if "user_input" in spec
        ]
        outputs = [
            spec["user_output"]["arg"]["as_tensor"]["name"]
            for spec in self.signature["output_specs"]
            if "user_output" in spec
        ]
        if len(inputs) != 1 or len(outputs) != 1:
            raise ValueError(f"it has {len(inputs)} inputs and {len(outputs)} outputs, one each is read")
        self.input, self.output = inputs[0], outputs[0]
        told = self.graph["tensor_values"][self.input]
        if "as_int" in told["sizes"][0]:
            raise ValueError(
                "its batch has a fixed size; export it with dynamic_shapes=({0: torch.export.Dim('batch')},)"
            )
        self.input_shape = tuple(int(side["as_int"]) for side in told["sizes"][1:])
        self.input_type = torch.int64 if TYPES[told["dtype"]] == torch.int64 else torch.float32

    def _json(self, name: str) -> Any:
        info = self.archive.getinfo(self.root + name)
        if info.file_size > LARGEST_JSON:
            raise ValueError(f"{name} has {info.file_size} bytes")
        return json.loads(self.archive.read(info))

    def _state(self) -> dict[str, tuple[str, torch.Tensor]]:
        """Graph name -> (name in the state, tensor) of every parameter, buffer and constant."""
        raw: dict[str, torch.Tensor] = {}
        for kind, folder in (("weights", "data/weights/"), ("constants", "data/constants/")):
            told = self._json(f"{folder}model_{kind}_config.json")["config"]
            pickled = [name for name, entry in told.items() if entry["use_pickle"]]
            if pickled:
                raise ValueError(f"{', '.join(pickled)} are stored as pickles, which can run code; they are not read")
            raw |= {
                name: self._tensor(folder + entry["path_name"], name, entry["tensor_meta"])
                for name, entry in told.items()
            }
        found = {}
        for spec in self.signature["input_specs"]:
            for kind, key in (
                ("parameter", "parameter_name"),
                ("buffer", "buffer_name"),
                ("tensor_constant", "tensor_constant_name"),
            ):
                if kind in spec:
                    found[spec[kind]["arg"]["name"]] = (spec[kind][key], raw[spec[kind][key]])
        return found

    def _tensor(self, file: str, name: str, told: Any) -> torch.Tensor:
        sizes, strides = ([int(side["as_int"]) for side in told[key]] for key in ("sizes", "strides"))
        kind = TYPES[told["dtype"]]
        values = math.prod(sizes)
        plain = [math.prod(sizes[i + 1 :]) for i in range(len(sizes))]
        if int(told["storage_offset"]["as_int"]) or any(
            s != p for s, p, n in zip(strides, plain, sizes, strict=True) if n > 1
        ):
            raise ValueError(f"{name} is a view of a larger tensor; save a copy of it")
        if self.archive.getinfo(self.root + file).file_size != values * kind.itemsize:
            raise ValueError(f"{name} has not the bytes of its shape {sizes}")
        self.left -= values * kind.itemsize
        if self.left < 0:
            raise ValueError("its weights are more than the file is long")
        content = bytearray(self.archive.read(self.root + file))
        return (
            torch.frombuffer(content, dtype=kind).reshape(sizes).clone() if values else torch.zeros(sizes, dtype=kind)
        )

    def network(self) -> nn.Module:
        values = self.builder.values
        self.builder.input(self.input)
        for told in self.graph["nodes"]:
            if len(told["inputs"]) > MOST_INPUTS:
                raise ValueError(f"{told['target']} has {len(told['inputs'])} arguments")
            arguments = {one["name"]: self.argument(one["arg"]) for one in told["inputs"]}
            result = self.built(told["target"], {one["name"]: one["arg"] for one in told["inputs"]}, arguments)
            for number, out in enumerate(told["outputs"]):
                if "as_tensors" in out:
                    for i, part in enumerate(out["as_tensors"]):
                        values[part["name"]] = self.builder.item(result, i)
                    continue
                name = out["as_tensor"]["name"] if "as_tensor" in out else next(iter(out.values()))["as_name"]
                values[name] = result if len(told["outputs"]) == 1 else self.builder.item(result, number)
        return self.builder.finish(values[self.output])

    def argument(self, told: dict[str, Any]) -> Any:
        """An argument of the graph as torch takes it; tensors of the state become nodes only where they are used so."""
        kind, value = next(iter(told.items()))
        if kind == "as_tensor":
            return _Name(value["name"])
        if kind == "as_tensors":
            return [_Name(one["name"]) for one in value]
        if kind == "as_optional_tensors":
            return [None if "as_none" in one else _Name(one["as_tensor"]["name"]) for one in value]
        if kind in ("as_sym_int", "as_sym_float", "as_sym_bool"):
            return (
                self.argument({"as_tensor": {"name": value["as_name"]}})
                if "as_name" in value
                else next(iter(value.values()))
            )
        if kind == "as_sym_ints":
            return [self.argument({"as_sym_int": one}) for one in value]
        if kind == "as_scalar_type":
            return TYPES[value]
        if kind == "as_none":
            return None
        if kind in ("as_int", "as_ints", "as_float", "as_floats", "as_bool", "as_bools", "as_string"):
            return value
        if kind in ("as_device", "as_layout", "as_memory_format"):
            return _Leave
        raise ValueError(f"an argument of kind {kind} is not read")

    def node(self, value: Any) -> Any:
        """The node of a name; what the state holds becomes a constant of the network."""
        if isinstance(value, list):
            return [self.node(one) for one in value]
        if not isinstance(value, _Name):
            return value
        if value.name not in self.builder.values:
            name, tensor = self.state[value.name]
            self.builder.values[value.name] = self.builder.constant(name, tensor)
        return self.builder.values[value.name]

    def built(self, target: str, told: dict[str, Any], given: dict[str, Any]) -> fx.Node:
        """A layer where the weight is a parameter, else the call itself, as in evaluation."""
        name = target.removeprefix("torch.ops.aten.")
        if target in SYMBOLIC:
            return self.builder.call(SYMBOLIC[target], *(self.node(value) for value in given.values()))
        packet, overload = name.split(".")
        function = getattr(getattr(torch.ops.aten, packet), overload)
        known = {argument.name for argument in function._schema.arguments}
        if not given.keys() <= known:
            raise ValueError(f"{name} has no argument {min(given.keys() - known)[:60]!r}")
        weight, maker = given.get("weight"), LAYERS.get(name)
        if maker is not None and isinstance(weight, _Name) and weight.name in self.state:
            key, tensor = self.state[weight.name]
            layer = maker(self, tensor, given)
            layer.weight = self.builder.parameter(key, lambda: tensor)
            source = given["indices"] if "indices" in given else given["input"]
            return self.builder.layer(key.removesuffix(".weight").removesuffix("_weight"), layer, self.node(source))[0]
        arguments = {name: self.node(value) for name, value in given.items() if value is not _Leave}
        evaluated = {key: value for key, value in EVALUATED.items() if key in known}
        return self.builder.call(PARTED.get(name, function), **arguments | evaluated)

    def held(self, value: Any) -> torch.Tensor | None:
        """A tensor of the state, for a layer; None where it is left out."""
        return self.state[value.name][1] if isinstance(value, _Name) else None


class _Leave:
    """An argument that only says where or how a tensor lies."""


class _Name:
    """A value of the graph by its name."""

    def __init__(self, name: str) -> None:
        self.name = name


def _with_bias(at: _Program, layer: Any, given: dict[str, Any]) -> Any:
    bias = at.held(given.get("bias"))
    if bias is not None:
        layer.bias = nn.Parameter(bias, requires_grad=False)
    return layer


def _conv(kind: Any) -> Callable[[_Program, torch.Tensor, dict[str, Any]], Any]:
    def make(at: _Program, weight: torch.Tensor, given: dict[str, Any]) -> Any:
        groups = given.get("groups", 1)
        how = {key: given[key] for key in ("stride", "padding", "dilation") if key in given}
        how = {
            key: value if isinstance(value, str) else tuple(value) * (1 if len(value) > 1 else weight.ndim - 2)
            for key, value in how.items()
        }
        layer = kind(
            weight.shape[1] * groups, weight.shape[0], tuple(weight.shape[2:]), groups=groups,
            bias=at.held(given.get("bias")) is not None, **how,
        )  # fmt: skip
        return _with_bias(at, layer, given)

    return make


def _linear(at: _Program, weight: torch.Tensor, given: dict[str, Any]) -> Any:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=at.held(given.get("bias")) is not None)
    return _with_bias(at, layer, given)


def _layer_norm(at: _Program, weight: torch.Tensor, given: dict[str, Any]) -> Any:
    layer = nn.LayerNorm(tuple(weight.shape), eps=given.get("eps", 1e-5), bias=at.held(given.get("bias")) is not None)
    return _with_bias(at, layer, given)


def _embedding(at: _Program, weight: torch.Tensor, given: dict[str, Any]) -> Any:
    return nn.Embedding(weight.shape[0], weight.shape[1])


class _BatchNorm(nn.modules.batchnorm._BatchNorm):
    """Takes inputs of any rank."""

    def _check_input_dim(self, input: torch.Tensor) -> None:
        """Nothing: the graph was checked when it was exported."""


def _batch_norm(at: _Program, weight: torch.Tensor, given: dict[str, Any]) -> Any:
    layer = _BatchNorm(weight.numel(), eps=given.get("eps", 1e-5))
    layer.load_state_dict({key: at.held(given[key]) for key in ("bias", "running_mean", "running_var")}, strict=False)
    return layer


LAYERS: Final[dict[str, Callable[[_Program, torch.Tensor, dict[str, Any]], Any]]] = {
    "conv1d.default": _conv(nn.Conv1d),
    "conv2d.default": _conv(nn.Conv2d),
    "conv3d.default": _conv(nn.Conv3d),
    "linear.default": _linear,
    "layer_norm.default": _layer_norm,
    "embedding.default": _embedding,
    "batch_norm.default": _batch_norm,
}
"""Operators that are layers of their own."""
