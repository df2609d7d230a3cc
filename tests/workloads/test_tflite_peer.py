"""TensorFlow Lite files against LiteRT: constants of fewer axes than the image, weights used twice, kept axes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from qtaml_hw.errors import InputError
from qtaml_hw.weights.inventory import inventory
from qtaml_hw.workloads.load import LoadedNetwork
from qtaml_hw.workloads.model_files import load_model_file

pytest.importorskip("tflite", reason="reads .tflite files: pip install 'qtaml-hw[tflite]'")
litert = pytest.importorskip("ai_edge_litert.interpreter", reason="the peer of the TFLite importer")
from tests.workloads.tflite_files import File, table  # noqa: E402

rng = np.random.default_rng(6)
SAME = {"StrideW": 1, "StrideH": 1, "Padding": 0, "DilationWFactor": 1, "DilationHFactor": 1}


def f32(*shape: int) -> np.ndarray:
    return rng.normal(size=shape).astype(np.float32)


def same(content: bytes, folder: Path, images: np.ndarray) -> LoadedNetwork:
    """Loaded, and equal to LiteRT on images [N, height, width, channels], one by one."""
    path = folder / "net.tflite"
    path.write_bytes(content)
    network = load_model_file(path)
    peer = litert.Interpreter(model_path=str(path), num_threads=1)
    peer.allocate_tensors()
    expected = []
    for image in images:
        peer.set_tensor(peer.get_input_details()[0]["index"], image[None])
        peer.invoke()
        expected.append(peer.get_tensor(peer.get_output_details()[0]["index"])[0])
    with torch.inference_mode():
        found = network.module(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())
    return network


@pytest.mark.parametrize("channels", [8, 6])
@pytest.mark.parametrize("shape", ["[C]", "[1,1,C]", "[W,C]", "[1,1,1,C]", "[]"])
def test_constants_meet_the_last_axes_of_an_image(tmp_path: Path, channels: int, shape: str) -> None:
    sides = {"[C]": (channels,), "[1,1,C]": (1, 1, channels), "[W,C]": (8, channels), "[1,1,1,C]": (1, 1, 1, channels)}
    f = File()
    x = f.tensor("x", (1, 8, 8, 3), "float32")
    w, bias, scale, shift, first = (
        f.tensor(name, v.shape, "float32", v)
        for name, v in (
            ("w", f32(channels, 1, 1, 3)),
            ("bias", f32(channels)),
            ("scale", f32(*sides.get(shape, ()))),
            ("shift", f32(*sides.get(shape, ()))),
            ("head", f32(10, 64 * channels)),
        )
    )
    a, b, c, d = (f.tensor(name, (1, 8, 8, channels), "float32") for name in "abcd")
    flat, y = f.tensor("flat", (1, 64 * channels), "float32"), f.tensor("y", (1, 10), "float32")
    flat_shape = f.tensor("flat_shape", (2,), "int32", np.array([1, 64 * channels], np.int32))
    f.op("CONV_2D", (x, w, bias), (a,), table("Conv2DOptions", **SAME))
    f.op("MUL", (a, scale), (b,), table("MulOptions", FusedActivationFunction=0))
    f.op("SUB", (shift, b), (c,), table("SubOptions", FusedActivationFunction=0))
    f.op("ADD", (c, scale), (d,), table("AddOptions", FusedActivationFunction=1))
    f.op("RESHAPE", (d, flat_shape), (flat,), table("ReshapeOptions"))
    f.op("FULLY_CONNECTED", (flat, first, -1), (y,), table("FullyConnectedOptions"))
    same(f.content(x, y), tmp_path, f32(5, 8, 8, 3))


def test_a_weight_used_twice_and_layers_that_keep_their_axes(tmp_path: Path) -> None:
    f = File()
    x = f.tensor("x", (1, 4, 6, 5), "float32")
    constants = {"w": f32(5, 5), "k": f32(5, 3, 3, 5), "bias": f32(5)}
    w, k, bias = (f.tensor(name, v.shape, "float32", v) for name, v in constants.items())
    a, b, c, d = (f.tensor(name, (1, 4, 6, 5), "float32") for name in "abcd")
    flat, y = f.tensor("flat", (1, 120), "float32"), f.tensor("y", (1, 120), "float32")
    flat_shape = f.tensor("flat_shape", (2,), "int32", np.array([1, 120], np.int32))
    for source, result in ((x, a), (a, b)):
        f.op("FULLY_CONNECTED", (source, w, -1), (result,), table("FullyConnectedOptions", KeepNumDims=True))
    for source, result in ((b, c), (c, d)):
        f.op("CONV_2D", (source, k, bias), (result,), table("Conv2DOptions", FusedActivationFunction=1, **SAME))
    f.op("RESHAPE", (d, flat_shape), (flat,), table("ReshapeOptions"))
    f.op("SOFTMAX", (flat,), (y,), table("SoftmaxOptions", Beta=0.5))
    network = same(f.content(x, y), tmp_path, f32(3, 4, 6, 5))
    assert [(e.name, e.values) for e in inventory(network.module)] == [
        ("w.weight", 25),
        ("k.weight", 225),
        ("k.bias", 5),
    ]


def two_inputs(path: Path) -> Path:
    """An image through a convolution and its mean, beside it three numbers through a layer: the scores of both added"""
    f = File()
    image, more = f.tensor("image", (1, 6, 5, 2), "float32"), f.tensor("more", (1, 3), "float32")
    names = ("w", f32(4, 3, 3, 2)), ("b", f32(4)), ("v", f32(4, 3)), ("axes", np.array([1, 2], np.int32))
    w, b, v, axes = (f.tensor(n, a.shape, "int32" if a.dtype == np.int32 else "float32", a) for n, a in names)
    conv, mean = f.tensor("conv", (1, 6, 5, 4), "float32"), f.tensor("mean", (1, 4), "float32")
    full, out = f.tensor("full", (1, 4), "float32"), f.tensor("out", (1, 4), "float32")
    f.op("CONV_2D", (image, w, b), (conv,), table("Conv2DOptions", **SAME))
    f.op("MEAN", (conv, axes), (mean,), table("ReducerOptions", KeepDims=False))
    f.op("FULLY_CONNECTED", (more, v, -1), (full,), table("FullyConnectedOptions"))
    f.op("ADD", (mean, full), (out,), table("AddOptions"))
    path.write_bytes(f.content((image, more), out))
    return path


@pytest.mark.parametrize("order", [("image", "more"), ("more", "image")])
def test_several_inputs_are_parts_of_a_sample(tmp_path: Path, order: tuple[str, str]) -> None:
    path, given = two_inputs(tmp_path / "two.tflite"), {"image": f32(3, 2, 6, 5), "more": f32(3, 3)}
    network = load_model_file(path, shapes={name: given[name].shape[1:] for name in order})
    peer = litert.Interpreter(model_path=str(path), num_threads=1)
    peer.allocate_tensors()
    places = {d["name"]: d["index"] for d in peer.get_input_details()}
    expected = []
    for i in range(3):
        peer.set_tensor(places["image"], given["image"][i : i + 1].transpose(0, 2, 3, 1).copy())
        peer.set_tensor(places["more"], given["more"][i : i + 1])
        peer.invoke()
        expected.append(peer.get_tensor(peer.get_output_details()[0]["index"])[0])
    samples = np.concatenate([given[name].reshape(3, -1) for name in order], axis=1)
    with torch.inference_mode():
        found = network.module(torch.from_numpy(samples)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert network.input_shape == (63,)
    assert len([entry for entry in inventory(network.module) if entry.kind == "weight"]) == 2


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ((63,), r"it has 2 inputs \(image, more\): say what each gets"),
        ({"image": (2, 6, 5), "other": (3,)}, "its inputs are image, more; more, other is not named on both sides"),
        ({"image": (6, 5, 2), "more": (3,)}, r"image is \(2, 6, 5\), samples of it are \(6, 5, 2\)"),
    ],
)
def test_inputs_that_do_not_fit_are_named(tmp_path: Path, shapes: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        load_model_file(two_inputs(tmp_path / "two.tflite"), shapes=shapes)  # type: ignore[arg-type]
