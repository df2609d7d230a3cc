"""Quantised ONNX files: outputs of onnxruntime, the file's own codes stored, several inputs and outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import qtaml_hw as q
from qtaml_hw.errors import InputError
from qtaml_hw.study.design.networks.loaded import load_network
from qtaml_hw.weights.given import stands_for
from qtaml_hw.workloads.load import LoadedNetwork
from qtaml_hw.workloads.model_files import load_model_file

onnx = pytest.importorskip("onnx", reason="reads .onnx files: pip install 'qtaml-hw[onnx]'")
ort = pytest.importorskip("onnxruntime", reason="the peer of the ONNX importer")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

Array = np.ndarray
make = helper.make_node
rng = np.random.default_rng(8)
U, S = np.uint8, np.int8


def save(path: Path, nodes: list[object], constants: dict[str, Array], inputs: dict[str, tuple[object, ...]]) -> Path:
    """A file whose outputs are those of the operators that nothing reads; inputs named i* are int64, others float."""
    read = {name for n in nodes for name in n.input}  # type: ignore[attr-defined]
    last = [name for n in nodes for name in n.output if name not in read]  # type: ignore[attr-defined]
    graph = helper.make_graph(
        nodes,
        "net",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64 if name[0] == "i" else TensorProto.FLOAT, shape)
            for name, shape in inputs.items()
        ],
        [helper.make_empty_tensor_value_info(name) for name in last],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def by_onnxruntime(path: Path, feeds: dict[str, Array], output: str) -> Array:
    """As the file defines it: optimised, some matrix products would quantise their inputs once more."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run([output], feeds)[0])


def codes(*shape: int, kind: type = S) -> Array:
    limits = np.iinfo(kind)
    return rng.integers(limits.min, limits.max, shape, kind, endpoint=True)


def whole(path: Path, x: Array) -> tuple[LoadedNetwork, Array]:
    """The network, and what it makes of samples one by one; codes stand for its weights exactly."""
    net = load_model_file(path)
    parameters = {name: p.numpy() for name, p in net.module.named_parameters()}
    assert all(stands_for(code, parameters[name]) for name, code in net.codes.items())
    with torch.inference_mode():
        return net, net.module(torch.from_numpy(x)).numpy()


def qdq(path: Path, weights: type = S) -> tuple[Path, dict[str, Array]]:
    """Convolution with a scale (and of uint8 a zero point) per channel, pooling, and a matrix [in, out]."""
    steps = rng.uniform(0.01, 0.02, 4).astype(np.float32)
    constants: dict[str, Array] = {
        "sx": np.float32(0.03), "zx": U(117), "sy": np.float32(0.05), "zy": U(9),
        "w": codes(4, 2, 3, 3, kind=weights), "sw": steps,
        "zw": np.zeros(4, S) if weights is S else codes(4, kind=U),
        "v": codes(4, 5, kind=weights), "sv": rng.uniform(0.01, 0.02, 5).astype(np.float32),
        "zv": np.zeros(5, S) if weights is S else codes(5, kind=U),
        "b": rng.integers(-900, 900, 4).astype(np.int32), "sb": np.float32(0.03) * steps,
        "zb": np.zeros(4, np.int32),
    }  # fmt: skip
    nodes = [
        make("QuantizeLinear", ["x", "sx", "zx"], ["xq"]),
        make("DequantizeLinear", ["xq", "sx", "zx"], ["xd"]),
        make("DequantizeLinear", ["w", "sw", "zw"], ["wd"], axis=0),
        make("DequantizeLinear", ["b", "sb", "zb"], ["bd"], axis=0),
        make("Conv", ["xd", "wd", "bd"], ["c"], pads=[1, 1, 1, 1]),
        make("QuantizeLinear", ["c", "sy", "zy"], ["cq"]),
        make("DequantizeLinear", ["cq", "sy", "zy"], ["cd"]),
        make("GlobalAveragePool", ["cd"], ["g"]),
        make("Flatten", ["g"], ["f"]),
        make("DequantizeLinear", ["v", "sv", "zv"], ["vd"], axis=1),
        make("MatMul", ["f", "vd"], ["y"]),
    ]
    return save(path, nodes, constants, {"x": ("n", 2, 6, 6)}), constants


@pytest.mark.parametrize("weights", [S, U])
def test_a_graph_of_quantize_and_dequantize(tmp_path: Path, weights: type) -> None:
    path, constants = qdq(tmp_path / "net.onnx", weights)
    x = rng.normal(size=(7, 2, 6, 6)).astype(np.float32)
    net, found = whole(path, x)
    np.testing.assert_allclose(found, by_onnxruntime(path, {"x": x}, "y"), rtol=1e-5, atol=1e-5)
    conv, matrix = net.codes["wd" if "wd" in net.codes else "wd.weight"], net.codes["vd.weight"]
    view = np.uint8 if weights is U else np.int8
    np.testing.assert_array_equal(conv.codes.view(view), constants["w"].reshape(-1))
    np.testing.assert_array_equal(matrix.codes.view(view).reshape(5, 4), constants["v"].T)
    np.testing.assert_array_equal(matrix.scale, constants["sv"])
    assert (conv.zero is None) == (weights is S)


def test_graphs_of_whole_numbers(tmp_path: Path) -> None:
    constants: dict[str, Array] = {
        "sx": np.float32(0.02), "zx": U(120), "w": codes(3, 2, 3, 3), "sw": np.float32([0.01, 0.02, 0.03]),
        "zw": np.zeros(3, S), "sy": np.float32(0.3), "zy": U(128), "b": rng.integers(-900, 900, 3).astype(np.int32),
        "m": codes(48, 6, kind=U), "sm": np.float32(0.01), "zm": U(100), "so": np.float32(0.7), "zo": U(131),
    }  # fmt: skip
    nodes = [
        make("QuantizeLinear", ["x", "sx", "zx"], ["q"]),
        make("QLinearConv", ["q", "sx", "zx", "w", "sw", "zw", "sy", "zy", "b"], ["c"]),
        make("Flatten", ["c"], ["f"]),
        make("QLinearMatMul", ["f", "sy", "zy", "m", "sm", "zm", "so", "zo"], ["y"]),
    ]
    path = save(tmp_path / "net.onnx", nodes, constants, {"x": ("n", 2, 6, 6)})
    x = rng.normal(size=(9, 2, 6, 6)).astype(np.float32)
    net, found = whole(path, x)
    np.testing.assert_array_equal(found, by_onnxruntime(path, {"x": x}, "y"))
    assert {name: code.format.name for name, code in net.codes.items()} == {
        "w.weight": "int8/twos_complement",
        "m.weight": "uint8",
    }


def test_ranges_that_are_measured_at_run_time(tmp_path: Path) -> None:
    constants = {"w": codes(700, 5, kind=U), "zw": codes(5, kind=U), "sw": np.float32(0.004)}
    nodes = [
        make("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        make("MatMulInteger", ["q", "w", "z", "zw"], ["i"]),
        make("Cast", ["i"], ["f"], to=TensorProto.FLOAT),
        make("Mul", ["s", "sw"], ["k"]),
        make("Mul", ["f", "k"], ["y"]),
    ]
    path = save(tmp_path / "net.onnx", nodes, constants, {"x": ("n", 700)})
    x = rng.normal(size=(5, 700)).astype(np.float32)
    net, found = whole(path, x)
    alone = np.concatenate([by_onnxruntime(path, {"x": one[None]}, "y") for one in x])
    np.testing.assert_allclose(found, alone, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(net.codes["w.weight"].codes.reshape(5, 700), constants["w"].T)
    np.testing.assert_array_equal(net.codes["w.weight"].zero, constants["zw"])


def two_inputs(path: Path) -> Path:
    """Codes behind a Cast and a product, an embedding and a mask; two outputs, the second by an unread operator."""
    constants = {
        "table": codes(9, 4), "st": np.float32(0.02), "w": codes(4, 3), "sw": np.float32([[0.01, 0.02, 0.03]]),
        "axes": np.array([2]),
    }  # fmt: skip
    nodes = [
        make("Cast", ["table"], ["tf"], to=TensorProto.FLOAT),
        make("Mul", ["tf", "st"], ["t"]),
        make("Gather", ["t", "ids"], ["e"]),
        make("Unsqueeze", ["mask", "axes"], ["m"]),
        make("Mul", ["e", "m"], ["em"]),
        make("ReduceMean", ["em"], ["r"], axes=[1], keepdims=0),
        make("Cast", ["w"], ["wf"], to=TensorProto.FLOAT),
        make("Mul", ["wf", "sw"], ["wr"]),
        make("MatMul", ["r", "wr"], ["y"]),
        make("Cos", ["r"], ["other"]),
    ]
    return save(path, nodes, constants, {"ids": ("n", "tokens"), "mask": ("n", "tokens")})


def test_several_inputs_and_outputs(tmp_path: Path) -> None:
    path = two_inputs(tmp_path / "net.onnx")
    ids, mask = rng.integers(0, 9, (6, 5)), (rng.random((6, 5)) < 0.7).astype(np.float32)
    shapes = {"mask": (5,), "ids": (5,)}
    net = load_model_file(path, "y", shapes)
    with torch.inference_mode():
        found = net.module(torch.from_numpy(np.concatenate([mask, ids.astype(np.float32)], 1))).numpy()
    np.testing.assert_allclose(found, by_onnxruntime(path, {"ids": ids, "mask": mask}, "y"), rtol=1e-5, atol=1e-6)
    assert {code.format.name for code in net.codes.values()} == {"int8/twos_complement"}
    for output, given, said in (
        (None, shapes, r"it has 2 outputs \(y, other\): name one \(network.output\)"),
        ("z", shapes, "'z' is none of them"),
        ("other", shapes, "not read: Cos"),
        ("y", {"ids": (5,)}, "mask is not named on both sides"),
        ("y", {**shapes, "ids": (5, 1)}, r"'ids' has the shape \[0, 0\], samples of it are \(5, 1\)"),
        ("y", None, "all sides but the batch must be stated"),
        ("y", (5,), r"it has 2 inputs \(ids, mask\): say what each gets"),
    ):
        with pytest.raises(InputError, match=said):
            load_model_file(path, output, given)


def test_a_study_of_a_files_own_codes(tmp_path: Path) -> None:
    two_inputs(tmp_path / "net.onnx")
    ids, mask = rng.integers(0, 9, (40, 5)), (rng.random((40, 5)) < 0.7).astype(np.float32)
    np.savez(tmp_path / "set.npz", a=ids, b=mask, y=np.zeros(40, np.int64))
    (tmp_path / "s.yaml").write_text("""
cell: {preset: gain-cell-65nm}
flips: {law: fixed, p: 0.01}
refresh: off
weights: {format: file}
network: {file: net.onnx, output: y}
data: {npz: {path: set.npz, inputs: {ids: a, mask: b}}, calibration: 10}
evaluate: {metric: agreement, images: 30, maps: {min: 2, max: 2}}
""")
    study = q.load(tmp_path / "s.yaml")
    stored = load_network(study)
    (tensor,) = stored.image.tensors
    file = {i.name: numpy_helper.to_array(i) for i in onnx.load(tmp_path / "net.onnx").graph.initializer}
    np.testing.assert_array_equal(tensor.codes.view(S).reshape(3, 4), file["w"].T)
    np.testing.assert_array_equal(tensor.scale, file["sw"].reshape(-1))
    assert stored.quantised_score == 1.0
    flipped = stored.image.decode([codes ^ 128 for codes in stored.image.codes()])
    assert stored.network.score(flipped) < 1.0
    assert 0.0 <= q.run(study).accuracy.mean < 1.0
    with_scales = study.with_({"network.store.scales": True})
    beside = load_network(with_scales)  # its float32 scales in the same memory: the file's own network without a flip
    assert beside.quantised_score == 1.0
    assert [t.format.bits for t in beside.image.tensors] == [8, 16, 16]
    assert q.run(with_scales).stored_bits == q.run(study).stored_bits + 32 * tensor.scale.size
