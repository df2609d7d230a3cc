"""Damaged and hostile files of every kind: read, or refused in one line that names the file; never more memory."""

from __future__ import annotations

import gzip
import io
import json
import resource
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import save
from torch import nn

from qtaml_hw.errors import InputError
from qtaml_hw.workloads.encoder import load_encoder
from qtaml_hw.workloads.factory import load_weights
from qtaml_hw.workloads.files import load_npz, read_idx
from qtaml_hw.workloads.model_files import load_model_file
from qtaml_hw.workloads.reading import readable
from qtaml_hw.workloads.shards import open_shards
from qtaml_hw.workloads.texts import load_texts

onnx = pytest.importorskip("onnx", reason="reads .onnx files: pip install 'qtaml-hw[onnx]'")
pytest.importorskip("tflite", reason="reads .tflite files: pip install 'qtaml-hw[tflite]'")
pytest.importorskip("tokenizers", reason="reads tokenizer.json: pip install 'qtaml-hw[text]'")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from tests.workloads.test_encoder import CONFIG, TOKENIZER, bert  # noqa: E402
from tests.workloads.test_tflite import network as tflite_network  # noqa: E402
from tests.workloads.tflite_files import File, table  # noqa: E402

SMALL = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
ODD: tuple[Any, ...] = (None, [], {}, "", "a", -1, 0, 1 << 62, 1e300, True, [[]], ["x"], {"as_int": -1}, "sys.exit")


def short(message: str) -> bool:
    """One line; of weights that do not fit a network, a line for every way in which they do not."""
    return message.count("\n") <= (3 if "does not fit the network" in message else 0)


def onnx_file(nodes: list[Any], constants: dict[str, np.ndarray], shape: tuple[Any, ...] = ("n", 4)) -> bytes:
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v, k) for k, v in constants.items()],
    )
    built = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(built.SerializeToString())


def good_onnx() -> bytes:
    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["a"], transB=1),
        helper.make_node("Reshape", ["a", "s"], ["b"]),
        helper.make_node("Softmax", ["b"], ["y"], axis=-1),
    ]
    return onnx_file(nodes, {"w": np.ones((2, 4), np.float32), "s": np.array([0, -1])})


def good_npz() -> bytes:
    np.savez(content := io.BytesIO(), x=np.ones((300, 2, 2), np.uint8), y=np.arange(300) % 3)
    return content.getvalue()


IDX = struct.pack(">BBBB3I", 0, 0, 8, 3, 40, 2, 2) + bytes(160)
BERT = bert()


def encoder(path: Path) -> object:
    return load_encoder(path.parent, tokens=4)


def tokenizer(path: Path) -> object:
    (path.parent / "lines.txt").write_text("a b\nb c\nc\na\n", encoding="utf-8")
    return load_texts(path.parent / "lines.txt", path.parent, tokens=4)


KINDS: dict[str, tuple[Callable[[], bytes], Callable[[Path], object]]] = {
    "net.onnx": (good_onnx, load_model_file),
    "net.tflite": (tflite_network, load_model_file),
    "set.npz": (good_npz, load_npz),
    "images.idx": (lambda: IDX, read_idx),
    "images.gz": (lambda: gzip.compress(IDX), read_idx),
    "weights.safetensors": (lambda: save(SMALL.state_dict()), lambda path: load_weights(nn.Sequential(*SMALL), path)),
    "shard.safetensors": (lambda: save(SMALL.state_dict()), open_shards),
    "model.safetensors": (lambda: save(BERT.state_dict()), encoder),
    "config.json": (lambda: json.dumps(CONFIG).encode(), encoder),
    "tokenizer.json": (lambda: json.dumps(TOKENIZER).encode(), tokenizer),
}


def mutated(content: bytes, draw: np.random.Generator) -> bytes:
    """Bytes changed, cut out, doubled or put in."""
    found = bytearray(content)
    for _ in range(int(draw.integers(1, 5))):
        at = int(draw.integers(0, len(found) or 1))
        size = int(draw.integers(1, 9))
        how = int(draw.integers(0, 6))
        if how == 0:
            found[at : at + 1] = draw.bytes(1)
        elif how == 1:
            found[at : at + size] = b"\xff" * size
        elif how == 2:
            del found[at : at + size]
        elif how == 3:
            found[at:at] = found[at : at + size]
        elif how == 4:
            found[at:at] = draw.bytes(size)
        else:
            del found[at:]
    return bytes(found)


def changed(told: Any, draw: np.random.Generator) -> Any:
    """JSON values with one of them, anywhere, replaced by an odd one, or taken out."""
    if isinstance(told, dict | list) and told and draw.random() < 0.9:
        keys = list(told) if isinstance(told, dict) else list(range(len(told)))
        key = keys[int(draw.integers(len(keys)))]
        if draw.random() < 0.1:
            del told[key]
        else:
            told[key] = changed(told[key], draw)
        return told
    return ODD[int(draw.integers(len(ODD)))]


def refusal(read: Callable[[Path], object], path: Path) -> str:
    """What a reader says against a file; empty when it takes it."""
    try:
        read(path)
    except ValueError as error:
        return str(error)
    return ""


def refused_or_read(read: Callable[[Path], object], path: Path, content: bytes) -> bool:
    """Whether a file was refused, in one line that names it (or the one beside it that no longer fits)."""
    path.write_bytes(content)
    said = refusal(read, path)
    assert not said or (str(path.parent) in said and short(said)), said
    return bool(said)


def folder_of(tmp_path: Path) -> Path:
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_bytes(KINDS[name][0]())
    return tmp_path


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", KINDS)
def test_damaged_bytes(tmp_path: Path, name: str) -> None:
    make, read = KINDS[name]
    content, path, draw = make(), folder_of(tmp_path) / name, np.random.default_rng(23)
    assert not refused_or_read(read, path, content)
    refused = sum(refused_or_read(read, path, mutated(content, draw)) for _ in range(120))
    assert refused > 20  # the rest changed what a network computes, or what nobody reads


def test_damaged_values_in_the_json_of_weights_and_encoders(tmp_path: Path) -> None:
    draw, folder = np.random.default_rng(25), folder_of(tmp_path)
    for name in ("config.json", "tokenizer.json"):
        content = KINDS[name][0]()
        for _ in range(80):
            told = json.dumps(changed(json.loads(content), draw)).encode()
            refused_or_read(KINDS[name][1], folder / name, told)
        (folder / name).write_bytes(content)
    content = KINDS["shard.safetensors"][0]()
    (length,) = struct.unpack("<Q", content[:8])
    for _ in range(150):
        told = json.dumps(changed(json.loads(content[8 : 8 + length]), draw)).encode()
        whole = struct.pack("<Q", len(told)) + told + content[8 + length :]
        for name in ("shard.safetensors", "weights.safetensors"):
            refused_or_read(KINDS[name][1], folder / name, whole)


@pytest.mark.parametrize(
    "error", [RecursionError(), StopIteration("x"), OverflowError("a\nb"), SystemExit(3), MemoryError()]
)
def test_whatever_a_reader_raises_is_one_line(error: BaseException) -> None:
    said = rf"^net.x: not a readable file \({type(error).__name__}[^\n]*\)$"
    with pytest.raises(InputError, match=said), readable("net.x", "file"):
        raise error
    with pytest.raises(KeyboardInterrupt), readable("net.x", "file"):
        raise KeyboardInterrupt


def nested(depth: int) -> bytes:
    return b'{"config": ' + b"[" * depth + b"]" * depth + b"}"


def zipped(**members: bytes) -> bytes:
    with zipfile.ZipFile(content := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return content.getvalue()


def array(values: bytes, count: int) -> bytes:
    np.lib.format.write_array_header_1_0(
        out := io.BytesIO(), {"descr": "|u1", "fortran_order": False, "shape": (count,)}
    )
    return out.getvalue() + values


def padded_tflite() -> bytes:
    f = File()
    x, y = f.tensor("x", (1, 4), "float32"), f.tensor("y", (1, 1 << 30), "float32")
    rows = f.tensor("rows", (2, 2), "int32", np.array([[0, 0], [0, 1 << 30]], np.int32))
    f.op("PAD", (x, rows), (y,), table("PadOptions"))
    return f.content(x, y)


def doubled(times: int) -> bytes:
    nodes = [helper.make_node("Concat", [f"v{i}"] * 4, [f"v{i + 1}"], axis=1) for i in range(times)]
    return onnx_file(
        [helper.make_node("Relu", ["x"], ["v0"]), *nodes, helper.make_node("Relu", [f"v{times}"], ["y"])], {}
    )


def of_constants(*nodes: Any, **constants: np.ndarray) -> bytes:
    return onnx_file([*nodes, helper.make_node("Gemm", ["x", "big"], ["y"])], constants)


SIDES = np.array([1 << 20, 1 << 20])
BOMBS: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "npz member": ("set.npz", lambda: zipped(**{"x.npy": array(bytes(1 << 28), 1 << 28)}), "are not unpacked"),
    "npz header": ("set.npz", lambda: zipped(**{"x.npy": array(b"", 1 << 40), "y.npy": b""}), "not a readable npz"),
    "gzip": ("images.gz", lambda: gzip.compress(bytes(1 << 28)), "are not unpacked"),
    "nested json": ("config.json", lambda: nested(100_000), "RecursionError"),
    "sizes of an encoder": (
        "config.json",
        lambda: json.dumps({**CONFIG, "vocab_size": 10_000_000, "hidden_size": 65_536}).encode(),
        "does not fit the network",
    ),
    "constant of a shape": (
        "net.onnx",
        lambda: of_constants(helper.make_node("ConstantOfShape", ["s"], ["big"]), s=SIDES),
        "the limit is",
    ),
    "broadcast constants": (
        "net.onnx",
        lambda: of_constants(
            helper.make_node("Add", ["a", "b"], ["big"]),
            a=np.ones((1 << 16, 1), np.float32),
            b=np.ones((1, 1 << 16), np.float32),
        ),
        "the limit is",
    ),
    "values that double": ("net.onnx", lambda: doubled(40), "the limit is"),
    "rows of a pad": (
        "net.onnx",
        lambda: onnx_file([helper.make_node("Pad", ["x", "p"], ["y"])], {"p": np.array([0, 0, 0, 1 << 33])}),
        "the limit is",
    ),
    "rows of a TFLite pad": ("net.tflite", padded_tflite, "the limit is"),
    "inputs of an operator": (
        "net.onnx",
        lambda: onnx_file([helper.make_node("Concat", ["x"] * 500_000, ["y"], axis=1)], {}),
        "input 4096 of Concat|more than 200000 inputs",
    ),
}


def most_memory() -> int:
    """Bytes that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@pytest.mark.parametrize("bomb", BOMBS)
def test_small_files_do_not_ask_for_much_memory(tmp_path: Path, bomb: str) -> None:
    name, make, said = BOMBS[bomb]
    content, folder = make(), folder_of(tmp_path)
    (folder / name).write_bytes(content)
    before = most_memory()
    with pytest.raises(InputError if "encoder" not in bomb else ValueError, match=said) as error:
        KINDS[name][1](folder / name)
    assert short(str(error.value))
    assert len(str(error.value)) < 2000 or "encoder" in bomb
    assert most_memory() - before < 500 << 20
