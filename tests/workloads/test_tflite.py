"""TensorFlow Lite files: their own codes to the bit, outputs as a naive NHWC computation, clear refusals."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
import torch

from qtaml_hw.config import parse_study
from qtaml_hw.study.design.networks.loaded import load_network
from qtaml_hw.workloads.load import LoadedNetwork
from qtaml_hw.workloads.model_files import load_model_file

pytest.importorskip("tflite", reason="reads .tflite files: pip install 'qtaml-hw[tflite]'")
from tests.workloads.tflite_files import File, table

rng = np.random.default_rng(5)
CONV = rng.integers(-127, 128, (4, 3, 3, 2)).astype(np.int8)
DEPTH = rng.integers(-127, 128, (1, 3, 3, 4)).astype(np.int8)
FULL = rng.integers(-127, 128, (3, 16)).astype(np.int8)
CONV_SCALE = [0.01, 0.02, 0.005, 0.03]
DEPTH_SCALE = [0.02, 0.01, 0.03, 0.004]
BIAS = rng.integers(-500, 500, 4).astype(np.int32)
SOURCE = """
import numpy as np
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(300, 2, 7, 6)).astype(np.float32), np.arange(300) % 3
"""


def network() -> bytes:
    """conv (same, stride 2, relu6), depthwise (same) added to it, padded, pooled, flattened, classified."""
    f = File()
    x = f.tensor("x", (1, 7, 6, 2), scale=[0.02])
    conv = f.tensor("conv/w", CONV.shape, values=CONV, scale=CONV_SCALE)
    bias = f.tensor("conv/b", (4,), "int32", BIAS, [0.02 * s for s in CONV_SCALE])
    y = f.tensor("y", (1, 4, 3, 4), scale=[0.02])
    depth = f.tensor("depth/w", DEPTH.shape, values=DEPTH, scale=DEPTH_SCALE, axis=3)
    z = f.tensor("z", (1, 4, 3, 4), scale=[0.02])
    s = f.tensor("s", (1, 4, 3, 4), scale=[0.02])
    rows = f.tensor("rows", (4, 2), "int32", np.array([[0, 0], [0, 0], [1, 0], [0, 0]], np.int32))
    padded = f.tensor("padded", (1, 4, 4, 4), scale=[0.02])
    pooled = f.tensor("pooled", (1, 2, 2, 4), scale=[0.02])
    shape = f.tensor("shape", (2,), "int32", np.array([1, 16], np.int32))
    flat = f.tensor("flat", (1, 16), scale=[0.02])
    full = f.tensor("full/w", FULL.shape, values=FULL, scale=[0.01])
    logits = f.tensor("logits", (1, 3), scale=[0.1])
    out = f.tensor("out", (1, 3), scale=[1 / 256], zero=[-128])
    same = {"Padding": 0, "DilationWFactor": 1, "DilationHFactor": 1}
    f.op(
        "CONV_2D",
        (x, conv, bias),
        (y,),
        table("Conv2DOptions", StrideW=2, StrideH=2, FusedActivationFunction=3, **same),
    )
    f.op(
        "DEPTHWISE_CONV_2D",
        (y, depth, -1),
        (z,),
        table("DepthwiseConv2DOptions", StrideW=1, StrideH=1, DepthMultiplier=1, **same),
    )
    f.op("ADD", (y, z), (s,), table("AddOptions", FusedActivationFunction=1))
    f.op("PAD", (s, rows), (padded,), table("PadOptions"))
    pool = {"StrideW": 2, "StrideH": 2, "FilterWidth": 2, "FilterHeight": 2, "Padding": 1}
    f.op("AVERAGE_POOL_2D", (padded,), (pooled,), table("Pool2DOptions", **pool))
    f.op("RESHAPE", (pooled, shape), (flat,), table("ReshapeOptions"))
    f.op("FULLY_CONNECTED", (flat, full, -1), (logits,), table("FullyConnectedOptions"))
    f.op("SOFTMAX", (logits,), (out,), table("SoftmaxOptions", Beta=1.0))
    return f.content(x, out)


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedNetwork:
    path = tmp_path / "tiny.tflite"
    path.write_bytes(network())
    return load_model_file(path)


def naive(x: np.ndarray) -> np.ndarray:
    """The same in NHWC, pixel by pixel."""
    kernel = CONV * np.array(CONV_SCALE)[:, None, None, None]
    padded = np.pad(x, ((1, 1), (0, 1), (0, 0)))  # 7 -> 4 rows: 2 in all; 6 -> 3 columns: 1, right
    y = np.zeros((4, 3, 4))
    for r in range(4):
        for c in range(3):
            patch = padded[2 * r : 2 * r + 3, 2 * c : 2 * c + 3]
            y[r, c] = (kernel * patch).sum(axis=(1, 2, 3)) + BIAS * 0.02 * np.array(CONV_SCALE)
    y = np.clip(y, 0.0, 6.0)
    depth, around = DEPTH[0] * np.array(DEPTH_SCALE), np.pad(y, ((1, 1), (1, 1), (0, 0)))
    z = np.zeros_like(y)
    for r in range(4):
        for c in range(3):
            z[r, c] = (depth * around[r : r + 3, c : c + 3]).sum(axis=(0, 1))
    s = np.pad(np.maximum(y + z, 0.0), ((0, 0), (1, 0), (0, 0)))
    pooled = s.reshape(2, 2, 2, 2, 4).mean(axis=(1, 3)).reshape(-1)
    logits = (FULL * 0.01) @ pooled
    e = np.exp(logits - logits.max())
    return e / e.sum()


def test_outputs_are_those_of_the_graph(loaded: LoadedNetwork) -> None:
    images = rng.normal(size=(5, 7, 6, 2)).astype(np.float32)
    with torch.inference_mode():
        found = loaded.module(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
    np.testing.assert_allclose(found.numpy(), [naive(x.astype(float)) for x in images], rtol=1e-4, atol=1e-6)
    assert (loaded.input_shape, loaded.classes) == ((2, 7, 6), 3)


def test_the_memory_holds_the_codes_of_the_file(loaded: LoadedNetwork, tmp_path: Path) -> None:
    (tmp_path / "tflite_data.py").write_text(SOURCE)
    text = "cell: {preset: gain-cell-65nm}\nnetwork: {file: tiny.tflite}\ndata: {factory: 'tflite_data:data'}\n"
    (tmp_path / "s.yaml").write_text(text)
    from qtaml_hw.config import load_study

    stored_network = load_network(load_study(tmp_path / "s.yaml"))
    stored = {t.name: t for t in stored_network.image.tensors}
    assert list(stored) == ["conv_w.weight", "depth_w.weight", "full_w.weight"]
    for name, codes, scale in (
        ("conv_w.weight", CONV, CONV_SCALE),
        ("depth_w.weight", DEPTH, DEPTH_SCALE),
        ("full_w.weight", FULL, [0.01]),
    ):
        np.testing.assert_array_equal(stored[name].codes.view(np.int8), codes.reshape(-1))
        np.testing.assert_array_equal(stored[name].scale, np.array(scale, np.float32))
    decoded = stored_network.image.decode()
    assert all(np.array_equal(decoded[name], stored_network.network.weights[name]) for name in stored)
    assert stored_network.network.clean_score == stored_network.quantised_score
    costs = stored_network.network.layers(parse_study("cell: {preset: gain-cell-65nm}").accelerator)
    assert costs[0].weight == "conv_w.weight"


def test_operators_that_are_not_read_are_listed_at_once(tmp_path: Path) -> None:
    f = File()
    x, y, z = (f.tensor(n, (1, 4)) for n in "xyz")
    f.op("COS", (x,), (y,))
    f.op("CUMSUM", (y,), (z,))
    (tmp_path / "odd.tflite").write_bytes(f.content(x, z))
    with pytest.raises(ValueError, match=r"not read: COS, CUMSUM \(read are: ADD"):
        load_model_file(tmp_path / "odd.tflite")


def test_zero_points_of_weights_are_kept(tmp_path: Path) -> None:
    f = File()
    x, y = f.tensor("x", (1, 16)), f.tensor("y", (1, 3))
    w = f.tensor("w", FULL.shape, values=FULL, scale=[0.01], zero=[3])
    f.op("FULLY_CONNECTED", (x, w, -1), (y,), table("FullyConnectedOptions"))
    (tmp_path / "odd.tflite").write_bytes(f.content(x, y))
    loaded = load_model_file(tmp_path / "odd.tflite")
    (code,) = loaded.codes.values()
    np.testing.assert_array_equal(code.codes.view(np.int8), FULL.reshape(-1))
    np.testing.assert_array_equal(code.zero, [3.0])
    (weight,) = loaded.module.parameters()
    np.testing.assert_array_equal(code.decode(code.codes), weight.detach().numpy())


def test_damaged_files_are_refused_in_words(tmp_path: Path) -> None:
    content, path = network(), tmp_path / "bad.tflite"
    draw = np.random.default_rng(8)
    for _ in range(150):
        damaged = bytearray(content)
        for at in draw.integers(0, len(content), 6):
            damaged[at] = int(draw.integers(0, 256))
        path.write_bytes(damaged[: int(draw.integers(4, len(content) + 1))])
        with contextlib.suppress(ValueError):
            load_model_file(path)
    with pytest.raises(ValueError, match="not a readable"):
        load_model_file(tmp_path / "none.tflite")
    with pytest.raises(ValueError, match="ends in"):
        load_model_file(tmp_path / "net.pkl")
