"""What ONNX files may say and older readers passed over: equal to onnxruntime, stored once, or refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from qtaml_hw.errors import InputError
from qtaml_hw.weights.inventory import inventory
from qtaml_hw.weights.network import fold_batch_norm
from qtaml_hw.workloads.load import LoadedNetwork
from qtaml_hw.workloads.model_files import load_model_file

onnx = pytest.importorskip("onnx", reason="reads .onnx files: pip install 'qtaml-hw[onnx]'")
ort = pytest.importorskip("onnxruntime", reason="the peer of the ONNX importer")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

Array = np.ndarray
make = helper.make_node
rng = np.random.default_rng(11)


def f32(*shape: int) -> Array:
    return rng.normal(size=shape).astype(np.float32)


def model(nodes: list[Any], constants: dict[str, Array], shape: tuple[Any, ...], opset: int) -> Any:
    """A model of one float input ``x`` whose output is the last operator's."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v, k) for k, v in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def loaded(built: Any, folder: Path) -> LoadedNetwork:
    onnx.save(built, folder / "net.onnx")
    return load_model_file(folder / "net.onnx")


def same(built: Any, folder: Path, x: Array) -> LoadedNetwork:
    """Loaded, and equal to onnxruntime on a batch."""
    network = loaded(built, folder)
    session = ort.InferenceSession(built.SerializeToString(), providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        found = network.module(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(found, session.run(None, {"x": x})[0], rtol=1e-4, atol=1e-5)
    return network


def headed(nodes: list[Any], last: str, inputs: int) -> tuple[list[Any], dict[str, Array]]:
    """Nodes, then flattened and classified."""
    return [*nodes, make("Flatten", [last], ["flat"]), make("Gemm", ["flat", "head"], ["y"])], {"head": f32(inputs, 3)}


@pytest.mark.parametrize(
    ("opset", "attributes"), [(11, {}), (11, {"axis": 2}), (9, {"axis": -1}), (13, {}), (13, {"axis": 1})]
)
def test_softmax_as_its_opset_defines_it(tmp_path: Path, opset: int, attributes: dict[str, int]) -> None:
    nodes, constants = headed([make("Softmax", ["x"], ["s"], **attributes)], "s", 2 * 4 * 3)
    if opset < 11:
        constants["zero"], nodes[-1] = np.zeros(3, np.float32), make("Gemm", ["flat", "head", "zero"], ["y"])
    same(model(nodes, constants, ("n", 2, 4, 3), opset), tmp_path, 3 * f32(5, 2, 4, 3))


def test_pad_of_old_opsets_has_its_value_in_an_attribute(tmp_path: Path) -> None:
    pads = [0, 0, 1, 2, 0, 0, 0, 1]
    nodes, constants = headed([make("Pad", ["x"], ["p"], pads=pads, value=0.5)], "p", 2 * 5 * 6)
    constants["zero"], nodes[-1] = np.zeros(3, np.float32), make("Gemm", ["flat", "head", "zero"], ["y"])
    same(model(nodes, constants, ("n", 2, 4, 3), 10), tmp_path, f32(5, 2, 4, 3))


def test_a_gemm_adds_what_is_computed_and_a_clip_minds_computed_bounds(tmp_path: Path) -> None:
    nodes = [
        make("Gemm", ["x", "a"], ["left"], alpha=0.5),
        make("Gemm", ["x", "b", "left"], ["sum"], transB=1, beta=2.0),
        make("ReduceMean", ["sum"], ["low"], axes=[1]),
        make("Clip", ["left", "", "zero"], ["below"]),
        make("Sub", ["sum", "low"], ["middle"]),
        make("Clip", ["middle", "floor", "top"], ["clipped"]),
        make("Add", ["clipped", "below"], ["z"]),
        make("Gemm", ["z", "c", "row"], ["y"]),
    ]
    constants = {
        "a": f32(6, 4),
        "b": f32(4, 6),
        "c": f32(4, 3),
        "row": f32(1, 3),
        "zero": np.float32(0.0),
        "one": np.float32(1.0),
        "half": np.float32(0.5),
    }
    bounds = [make("Add", ["one", "half"], ["top"]), make("Neg", ["half"], ["floor"])]
    network = same(model([*bounds, *nodes], constants, ("n", 6), 13), tmp_path, f32(5, 6))
    assert dict(network.module.named_parameters())["c.bias"].shape == (3,)


def test_whole_numbers_are_divided_towards_zero(tmp_path: Path) -> None:
    nodes = [
        make("Cast", ["x"], ["whole"], to=TensorProto.INT64),
        make("Div", ["whole", "three"], ["third"]),
        make("Cast", ["third"], ["y"], to=TensorProto.FLOAT),
    ]
    built = model(nodes, {"three": np.array([3, -3, 2], np.int64)}, ("n", 3), 13)
    same(built, tmp_path, np.array([[7.0, 7.0, -7.0], [-8.0, 8.0, 5.0]], np.float32))


@pytest.mark.parametrize("sides", [(6,), (3, 4), (2, 3, 2)])
def test_pools_of_one_two_and_three_axes(tmp_path: Path, sides: tuple[int, ...]) -> None:
    rank = len(sides)
    nodes = [
        make("Conv", ["x", "w"], ["c"], pads=[1] * 2 * rank),
        make("MaxPool", ["c"], ["m"], kernel_shape=[2] * rank, pads=[1] * rank + [0] * rank, strides=[1] * rank),
        make("AveragePool", ["m"], ["a"], kernel_shape=[2] * rank, pads=[0] * rank + [1] * rank, strides=[1] * rank),
        make("GlobalAveragePool", ["a"], ["g"]),
    ]
    nodes, constants = headed(nodes, "g", 5)
    same(model(nodes, constants | {"w": f32(5, 2, *[3] * rank)}, ("n", 2, *sides), 13), tmp_path, f32(4, 2, *sides))


def test_flatten_before_and_after_its_axis(tmp_path: Path) -> None:
    nodes = [
        make("Flatten", ["x"], ["rows"], axis=-1),
        make("Gemm", ["rows", "w"], ["z"]),
        make("Reshape", ["z", "shape"], ["y"]),
    ]
    constants = {"w": f32(3, 2), "shape": np.array([-1, 8], np.int64)}
    same(model(nodes, constants, ("n", 2, 2, 3), 13), tmp_path, f32(5, 2, 2, 3))


def test_a_constant_that_several_operators_use_is_stored_once(tmp_path: Path) -> None:
    twice = [make("Gemm", ["x", "w"], ["a"]), make("Relu", ["a"], ["r"]), make("Gemm", ["r", "w"], ["b"])]
    nodes, constants = headed([*twice, make("Gemm", ["b", "w"], ["c"])], "c", 6)
    network = same(model(nodes, constants | {"w": f32(6, 6)}, ("n", 6), 13), tmp_path, f32(5, 6))
    assert [(entry.name, entry.values) for entry in inventory(network.module)] == [
        ("w.weight", 36),
        ("head.weight", 18),
    ]
    with torch.no_grad():
        dict(network.module.named_parameters())["w.weight"].zero_()
    assert not network.module(torch.ones(1, 6)).any()


def test_a_constant_that_is_used_as_it_lies_and_turned_is_stored_once(tmp_path: Path) -> None:
    """A tied autoencoder, in both orders of its layers."""
    for first in (0, 1):
        nodes = [
            make("Gemm", ["x", "w", "b"], ["a"], transB=first),
            make("Tanh", ["a"], ["t"]),
            make("Gemm", ["t", "w", "c"], ["u"], transB=1 - first),
            make("MatMul", ["u", "w" if not first else "v"], ["y"]),
        ]
        sides = (6, 4) if not first else (4, 6)
        constants = {"w": f32(*sides), "b": f32(4), "c": f32(6), "v": f32(6, 3)}
        network = same(model(nodes, constants, ("n", 6), 13), tmp_path, f32(5, 6))
        assert [e.values for e in inventory(network.module) if e.kind == "weight"] == [24] + [18] * first


def test_a_table_that_is_also_the_output_layer_is_stored_once(tmp_path: Path) -> None:
    nodes = [
        make("Cast", ["x"], ["token"], to=TensorProto.INT64),
        make("Gather", ["table", "token"], ["e"]),
        make("Transpose", ["table"], ["turned"], perm=[1, 0]),
        make("MatMul", ["e", "turned"], ["y"]),
    ]
    built = model(nodes, {"table": f32(7, 4)}, ("n", 3), 13)
    network = same(built, tmp_path, rng.integers(0, 7, (5, 3)).astype(np.float32))
    assert [entry.values for entry in inventory(network.module)] == [28]


@pytest.mark.parametrize("name", ["class", "if", "None", "1", "a.b/c:d", "__import__('os')", "forward", "graph", "ß²"])
def test_names_of_a_file_never_become_code(tmp_path: Path, name: str) -> None:
    nodes = [
        make("Conv", ["x", f"{name}.weight"], ["c"]),
        make("BatchNormalization", ["c", name, "b", "m", "v"], ["n"]),
        make("Add", ["n", f"{name}+"], ["s"]),
    ]
    nodes, constants = headed(nodes, "s", 4)
    constants |= {f"{name}.weight": f32(4, 2, 1, 1), name: f32(4), "b": f32(4), "m": f32(4), f"{name}+": f32(4, 1, 1)}
    built = model(nodes, constants | {"v": np.abs(f32(4)) + 0.5}, ("n", 2, 1, 1), 13)
    x = f32(3, 2, 1, 1)
    network = same(built, tmp_path, x)
    folded = fold_batch_norm(network.module)
    torch.testing.assert_close(folded(torch.from_numpy(x)), network.module(torch.from_numpy(x)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("node", "opset", "said"),
    [
        (make("LeakyRelu", ["x"], ["y"], alpha=0.1, slope=2.0), 16, "attribute 'slope' of LeakyRelu 'y'"),
        (make("Pad", ["x", "pads", "one", "axes"], ["y"]), 18, "input 3 of Pad 'y'"),
        (make("Pad", ["x", "pads"], ["y"], value=0.5), 18, "attribute 'value' of Pad 'y'"),
        (make("Slice", ["x", "axes", "axes", "moved"], ["y"]), 13, "input 3 of Slice 'y', which is computed"),
        (make("Add", ["x", "one"], ["y"], axis=1), 6, "attribute 'axis' of Add 'y'"),
        (make("Clip", ["x"], ["y"]), 5, "Clip 'y' as opset 1 defines it"),
        (make("Dropout", ["x", "one", "yes"], ["y"]), 13, "Dropout 'y' in training mode"),
    ],
)
def test_what_is_not_read_is_named(tmp_path: Path, node: Any, opset: int, said: str) -> None:
    constants = {
        "pads": np.array([0, 0, 0, 0], np.int64),
        "axes": np.array([1], np.int64),
        "one": np.float32(1.0),
        "yes": np.array(True),
    }
    nodes = [make("Shape", ["x"], ["moved"]), node]
    with pytest.raises(InputError, match=r"net.onnx: not a readable .onnx network \(not read: ") as error:
        loaded(model(nodes, constants, ("n", 2), opset), tmp_path)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_everything_that_is_not_read_is_said_at_once(tmp_path: Path) -> None:
    nodes = [make("Add", ["x", "x"], ["a"], axis=1), make("Elu", ["a"], ["b"], beta=1.0), make("Relu", ["b"], ["y"])]
    with pytest.raises(InputError, match=r"attribute 'axis' of Add 'a'; attribute 'beta' of Elu 'b'"):
        loaded(model(nodes, {}, ("n", 2), 6), tmp_path)


def test_data_in_other_files_are_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even as the value of a Constant, which the package onnx reads from the folder one happens to be in."""
    (tmp_path / "secret.bin").write_bytes(np.ones((2, 3), np.float32).tobytes())
    monkeypatch.chdir(tmp_path)
    outside = TensorProto(data_type=TensorProto.FLOAT, dims=[2, 3], name="w", data_location=TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value="secret.bin")
    inside = model([make("Constant", [], ["w"], value=outside), make("Gemm", ["x", "w"], ["y"])], {}, ("n", 2), 13)
    beside = model([make("Gemm", ["x", "w"], ["y"])], {}, ("n", 2), 13)
    beside.graph.initializer.append(outside)
    for built in (inside, beside):
        (tmp_path / "net.onnx").write_bytes(built.SerializeToString())
        with pytest.raises(InputError, match=r"the data of 'w' lie in another file"):
            load_model_file(tmp_path / "net.onnx")


def test_samples_that_do_not_stand_for_themselves_are_refused(tmp_path: Path) -> None:
    mixed = [make("Softmax", ["x"], ["y"], axis=0)]
    with pytest.raises(InputError, match="depends on the other samples of its batch"):
        loaded(model(mixed, {}, ("n", 4), 13), tmp_path)
    single = [make("Concat", ["x", "c"], ["z"], axis=1), make("Relu", ["z"], ["y"])]
    with pytest.raises(InputError, match="it takes one sample only; export it with a batch of any size"):
        loaded(model(single, {"c": f32(1, 2)}, (1, 4), 13), tmp_path)
