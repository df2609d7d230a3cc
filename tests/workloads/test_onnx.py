"""ONNX networks: the outputs of onnx's own reference evaluator, layers that are found as such, clear refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from qtaml_hw.weights.network import fold_batch_norm, stored_names
from qtaml_hw.workloads.load import LoadedNetwork
from qtaml_hw.workloads.model_files import load_model_file
from qtaml_hw.workloads.published import CifarResNet, DsCnn

onnx = pytest.importorskip("onnx", reason="reads .onnx files: pip install 'qtaml-hw[onnx]'")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

rng = np.random.default_rng(4)
Array = np.ndarray


def model(nodes: list[object], constants: dict[str, Array], shape: tuple[object, ...], kind: int = TensorProto.FLOAT):
    """A model of one input ``x`` and the last operator's output."""
    out = nodes[-1].output[0]  # type: ignore[attr-defined]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info(out, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v, k) for k, v in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


def same(model: object, path: Path, x: Array) -> LoadedNetwork:
    """Loaded, and equal to the reference evaluator on x."""
    onnx.save(model, path)
    loaded = load_model_file(path)
    expected = np.concatenate([ReferenceEvaluator(model).run(None, {"x": one[None]})[0] for one in x])
    with torch.inference_mode():
        found = loaded.module(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    return loaded


def f32(*shape: int) -> Array:
    return rng.normal(size=shape).astype(np.float32)


def classifier():
    make = helper.make_node
    constants = {
        "conv.weight": f32(6, 2, 3, 3),
        "conv.bias": f32(6),
        **{f"bn.{n}": f32(6) for n in ("weight", "bias", "mean")},
        "bn.var": np.abs(f32(6)) + 0.5,
        "dw.weight": f32(6, 1, 3, 3),
        "low": np.float32(0.0),
        "high": np.float32(6.0),
        "shape": np.array([1, -1], np.int64),
        "fc.weight": f32(5, 6 * 3),
        "fc.bias": f32(5),
    }
    nodes = [
        make("Conv", ["x", "conv.weight", "conv.bias"], ["a"], pads=[1, 0, 1, 1], strides=[1, 2]),
        make("BatchNormalization", ["a", "bn.weight", "bn.bias", "bn.mean", "bn.var"], ["b"], epsilon=1e-3),
        make("Clip", ["b", "low", "high"], ["c"]),
        make("Conv", ["c", "dw.weight"], ["d"], group=6, pads=[1, 1, 1, 1]),
        make("Add", ["c", "d"], ["e"]),
        make("MaxPool", ["e"], ["p"], kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 1, 0]),
        make("AveragePool", ["p"], ["q"], kernel_shape=[3, 1], strides=[1, 1], pads=[1, 0, 1, 0]),
        make("ReduceMean", ["q", "axis"], ["r"], keepdims=0),
        make("Reshape", ["r", "shape"], ["s"]),
        make("Gemm", ["s", "fc.weight", "fc.bias"], ["y"], transB=1),
    ]
    constants["axis"] = np.array([3], np.int64)
    return model(nodes, constants, (1, 2, 5, 9))


def test_a_classifier(tmp_path: Path) -> None:
    loaded = same(classifier(), tmp_path / "net.onnx", f32(4, 2, 5, 9))
    assert stored_names(loaded.module) == ("conv.weight", "dw.weight", "fc.weight")
    assert (loaded.input_shape, loaded.classes) == ((2, 5, 9), 5)
    folded = fold_batch_norm(loaded.module)
    x = torch.from_numpy(f32(3, 2, 5, 9))
    torch.testing.assert_close(folded(x), loaded.module(x), rtol=1e-4, atol=1e-4)


def test_an_encoder_block_over_tokens(tmp_path: Path) -> None:
    make, width, heads, tokens = helper.make_node, 8, 2, 5
    constants = {
        "table": f32(11, width),
        "place": f32(tokens, width),
        **{f"{n}.weight": f32(width, width) for n in "qkvo"},
        "norm": f32(width),
        "shift": f32(width),
        "up": f32(width, 12),
        "down": f32(12, width),
        "split": np.array([0, 0, heads, width // heads], np.int64),
        "join": np.array([0, 0, width], np.int64),
        "root": np.float32(np.sqrt(width / heads)),
        "half": np.float32(0.5),
        "one": np.float32(1.0),
        "sqrt2": np.float32(np.sqrt(2.0)),
        "first": np.array(0, np.int64),
    }
    nodes = [make("Gather", ["table", "x"], ["t"]), make("Add", ["t", "place"], ["e"])]
    for n, order in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        nodes += [
            make("MatMul", ["e", f"{n}.weight"], [f"{n}0"]),
            make("Reshape", [f"{n}0", "split"], [f"{n}1"]),
            make("Transpose", [f"{n}1"], [f"{n}2"], perm=order),
        ]
    nodes += [
        make("MatMul", ["q2", "k2"], ["s0"]),
        make("Div", ["s0", "root"], ["s1"]),
        make("Softmax", ["s1"], ["s2"], axis=-1),
        make("MatMul", ["s2", "v2"], ["c0"]),
        make("Transpose", ["c0"], ["c1"], perm=[0, 2, 1, 3]),
        make("Reshape", ["c1", "join"], ["c2"]),
        make("MatMul", ["c2", "o.weight"], ["c3"]),
        make("Add", ["c3", "e"], ["r"]),
        make("LayerNormalization", ["r", "norm", "shift"], ["n"], axis=-1),
        make("MatMul", ["n", "up"], ["u"]),
        make("Div", ["u", "sqrt2"], ["g0"]),
        make("Erf", ["g0"], ["g1"]),
        make("Add", ["g1", "one"], ["g2"]),
        make("Mul", ["u", "g2"], ["g3"]),
        make("Mul", ["g3", "half"], ["g"]),
        make("MatMul", ["g", "down"], ["d"]),
        make("Gather", ["d", "first"], ["y"], axis=1),
    ]
    built = model(nodes, constants, ("batch", tokens), TensorProto.INT64)
    loaded = same(built, tmp_path / "net.onnx", rng.integers(0, 11, (3, tokens)))
    assert stored_names(loaded.module) == ("q.weight", "k.weight", "v.weight", "o.weight", "up.weight", "down.weight")
    assert (loaded.input_shape, loaded.classes) == ((tokens,), width)


@pytest.mark.parametrize(
    ("op", "attributes", "more"),
    [
        ("Relu", {}, {}),
        ("LeakyRelu", {"alpha": 0.2}, {}),
        ("Elu", {"alpha": 0.7}, {}),
        ("HardSwish", {}, {}),
        ("HardSigmoid", {"alpha": 0.3}, {}),
        ("Gelu", {"approximate": "tanh"}, {}),
        ("Sigmoid", {}, {}),
        ("Tanh", {}, {}),
        ("Exp", {}, {}),
        ("Neg", {}, {}),
        ("GlobalAveragePool", {}, {}),
        ("Squeeze", {}, {"axes": np.array([1])}),
        ("Unsqueeze", {}, {"axes": np.array([-1, 1])}),
        ("Pad", {}, {"pads": np.array([0, 0, 1, 0, 0, 0, 2, 3]), "value": np.float32(0.5)}),
        ("Slice", {}, {"starts": np.array([1]), "ends": np.array([9]), "axes": np.array([3]), "steps": np.array([2])}),
        ("Pow", {}, {"c": np.float32(2.0)}),
        ("Sub", {}, {"c": f32(6)}),
        ("ReduceSum", {"keepdims": 0}, {"axes": np.array([2, 3])}),
        ("Softmax", {"axis": 1}, {}),
        ("Transpose", {"perm": [0, 2, 3, 1]}, {}),
        ("Flatten", {"axis": 1}, {}),
    ],
)
def test_single_operators(tmp_path: Path, op: str, attributes: dict[str, object], more: dict[str, Array]) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node(op, ["a", *more], ["b"], **attributes),
        helper.make_node("Flatten", ["b"], ["y"], axis=1),
    ]
    same(model(nodes, {"w": f32(1, 2, 1, 1), **more}, (1, 2, 4, 6)), tmp_path / "net.onnx", f32(1, 2, 4, 6))


def test_operators_that_are_not_read_are_listed_at_once(tmp_path: Path) -> None:
    nodes = [helper.make_node("Cos", ["x"], ["a"]), helper.make_node("Det", ["a"], ["y"])]
    onnx.save(model(nodes, {}, (1, 2, 2)), tmp_path / "net.onnx")
    with pytest.raises(ValueError, match=r"not read: Cos, Det \(read are: Abs"):
        load_model_file(tmp_path / "net.onnx")


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(classifier().SerializeToString()[:-200])
    with pytest.raises(ValueError, match=r"not a readable .onnx network"):
        load_model_file(path)


@pytest.mark.parametrize("name", ["dscnn", "resnet", "encoder"])
@pytest.mark.filterwarnings("ignore")
def test_what_torchs_exporter_writes(tmp_path: Path, name: str) -> None:
    torch.manual_seed(1)
    block = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    module, shape = {
        "dscnn": (DsCnn(), (1, 49, 10)),
        "resnet": (CifarResNet(1), (3, 32, 32)),
        "encoder": (nn.Sequential(block, nn.Flatten(), nn.Linear(80, 3)), (5, 16)),
    }[name]
    module.eval()
    path = tmp_path / "net.onnx"
    try:
        torch.onnx.export(
            module, (torch.randn(1, *shape),), path, dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "batch"}}
        )
    except (TypeError, RuntimeError, ModuleNotFoundError) as error:
        pytest.skip(f"this torch has no exporter without onnxscript ({error})")
    loaded, x = load_model_file(path), torch.randn(4, *shape)
    with torch.inference_mode():
        torch.testing.assert_close(loaded.module(x), module(x), rtol=1e-4, atol=1e-5)
