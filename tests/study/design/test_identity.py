"""What a result is stored under holds all that it depends on: an edited forward, metric, graph, config or data set is
a new point, and nothing that was computed before is handed out for it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import qtaml_hw as q
from qtaml_hw.config import load_study, parse_study
from qtaml_hw.files import SMALL_BYTES, stamp
from qtaml_hw.study.design.networks.identity import Digests, identity_of, stamps
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.study.design.networks.outside import outside_digest
from qtaml_hw.study.run.evaluate import identify
from qtaml_hw.workloads import load_data

NETS = """
from torch import nn
import parts

def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), parts.middle(), nn.Linear(32, 10))

def score(outputs, clean, labels):
    return float((outputs.argmax(-1) == labels).mean())

def data():
    from qtaml_hw.workloads import load_data
    found = load_data()
    return found
"""
PARTS = "from torch import nn\ndef middle():\n    return nn.ReLU()\n"
STUDY = """
study: stale
cell: {preset: sram6t-65nm}
flips: {law: fixed, p: 2 %}
protection: {policy: none, correction: none}
network: {factory: "nets:build", weights: w.safetensors}
data: digits
evaluate: {images: 300, maps: {min: 2, max: 2}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project: a factory whose activation is a neighbour's, its trained weights, a metric, a study."""
    place = tmp_path / "project"
    place.mkdir()
    (place / "nets.py").write_text(NETS, encoding="utf-8")
    (place / "parts.py").write_text(PARTS, encoding="utf-8")
    (place / "s.yaml").write_text(STUDY, encoding="utf-8")
    torch.manual_seed(1)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    data = load_data()
    x, y = torch.from_numpy(data.train_x), torch.from_numpy(data.train_y)
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimiser.step()
    save_file(net.state_dict(), place / "w.safetensors")
    return place


def changed(file: Path, old: str, new: str) -> None:
    """Edited within one tick of the clock and to the same size where the words allow it."""
    before = file.stat()
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def identity(study: q.Study) -> str:
    return identity_of(study, Networks().load(study).network.digest)


def test_an_edited_forward_is_another_network_in_the_same_folder(folder: Path) -> None:
    relu = q.run(load_study(folder / "s.yaml"), store=folder / "out")
    changed(folder / "parts.py", "ReLU", "Tanh")
    tanh = q.run(load_study(folder / "s.yaml"), store=folder / "out")
    fresh = q.run(load_study(folder / "s.yaml"), store=folder / "new")
    assert (tanh.accuracy, tanh.clean_accuracy) == (fresh.accuracy, fresh.clean_accuracy)
    assert tanh.clean_accuracy != relu.clean_accuracy
    changed(folder / "parts.py", "Tanh", "ReLU")
    again = q.run(load_study(folder / "s.yaml"), store=folder / "out")
    assert (again.accuracy, again.clean_accuracy) == (relu.accuracy, relu.clean_accuracy)


def test_an_edited_metric_is_measured(folder: Path) -> None:
    study = load_study(folder / "s.yaml").with_({"evaluate.metric": "nets:score"})
    whole = q.run(study, store=folder / "out")
    changed(folder / "nets.py", ".mean())", ".mean() * 0.5)")
    half = q.run(study, store=folder / "out")
    assert half.accuracy.mean == pytest.approx(whole.accuracy.mean / 2, abs=1e-12)
    zoo = parse_study("network: digits-mlp\nevaluate: {metric: 'nets:score', images: 50}\n", folder=folder)
    before = identity(zoo)
    changed(folder / "nets.py", "* 0.5", "* 0.7")
    assert identity(zoo) != before


@pytest.mark.parametrize(
    ("edit", "same"),
    [
        (lambda f: changed(f / "nets.py", "found = load_data()", "found = load_data()  # again"), False),
        (lambda f: (f / "unrelated.py").write_text("import nets"), True),
        (lambda f: (f / "s.yaml").write_text(STUDY.replace("study: stale", "study: another # comment")), True),
        (lambda f: (f / "parts.py").touch(), True),
        (lambda f: changed(f / "parts.py", "nn.ReLU()", "nn.ReLU(inplace=True)"), False),
    ],
)
def test_what_is_used_counts_and_nothing_else(folder: Path, edit: Callable[[Path], object], same: bool) -> None:
    values = {"data.factory": "nets:data", "data.name": None}
    before = identity(load_study(folder / "s.yaml").with_(values))
    edit(folder)
    assert (identity(load_study(folder / "s.yaml").with_(values)) == before) is same


def test_a_project_is_the_same_wherever_it_lies(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "elsewhere")
    assert identity(load_study(tmp_path / "elsewhere" / "s.yaml")) == identity(load_study(folder / "s.yaml"))


def test_studies_of_the_product_alone_name_nothing_outside() -> None:
    assert outside_digest(parse_study("network: digits-lenet\ndata: digits\n")) == ""


def test_another_graph_with_the_same_weights_is_another_network(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="reads .onnx files")
    rng = np.random.default_rng(0)
    first, last = (rng.normal(size=shape).astype(np.float32) for shape in ((64, 32), (32, 10)))
    study = parse_study(
        "cell: {preset: sram6t-65nm}\nflips: {law: fixed, p: 1 %}\nprotection: {policy: none, correction: none}\n"
        "network: {file: net.onnx}\nevaluate: {images: 50, maps: {min: 2, max: 2}}\n",
        folder=tmp_path,
    )

    def written(activation: str) -> None:
        make, values = onnx.helper.make_node, onnx.helper.make_tensor_value_info
        nodes = [make("Flatten", ["x"], ["f"]), make("MatMul", ["f", "a"], ["h"]), make(activation, ["h"], ["g"])]
        nodes.append(make("MatMul", ["g", "b"], ["y"]))
        weights = [onnx.numpy_helper.from_array(w, n) for w, n in ((first, "a"), (last, "b"))]
        ends = (values(name, onnx.TensorProto.FLOAT, shape) for name, shape in (("x", (1, 1, 8, 8)), ("y", (1, 10))))
        graph = onnx.helper.make_graph(nodes, "net", *([end] for end in ends), weights)
        onnx.save(
            onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)]), tmp_path / "net.onnx"
        )

    written("Relu")
    relu = q.run(study, store=tmp_path / "out")
    written("Tanh")
    tanh, fresh = (q.run(study, store=tmp_path / name) for name in ("out", "new"))
    assert tanh.accuracy == fresh.accuracy
    assert tanh.clean_accuracy != relu.clean_accuracy


def test_every_file_of_an_encoders_folder_counts(tmp_path: Path) -> None:
    place = tmp_path / "encoder"
    (place / "1_Pooling").mkdir(parents=True)
    (place / ".cache").mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "1_Pooling/config.json", ".cache/x.json"):
        (place / name).write_text('{"hidden_act": "gelu"}', encoding="utf-8")
    text = "network: {encoder: {folder: encoder}}\ndata: {texts: sentences}\nevaluate: {metric: embedding_cosine}\n"
    study = parse_study(text, folder=tmp_path)
    digests = [outside_digest(study)]
    for name in ("config.json", "1_Pooling/config.json", "tokenizer.json"):
        changed(place / name, "gelu", "relu")
        digests.append(outside_digest(study))
    assert len(set(digests)) == 4
    changed(place / ".cache" / "x.json", "gelu", "relu")
    assert outside_digest(study) == digests[-1]


@pytest.mark.parametrize("size", [SMALL_BYTES // 2, 2 * SMALL_BYTES])
def test_a_file_of_equal_size_and_time_is_not_taken_for_the_old_one(tmp_path: Path, size: int) -> None:
    file = tmp_path / "data"
    file.write_bytes(b"a" * size)
    before, known = file.stat(), stamp(file)
    assert stamp(file) == known
    (tmp_path / "new").write_bytes(b"b" * size)
    os.utime(tmp_path / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
    (tmp_path / "new").replace(file)
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert stamp(file) != known


def test_data_that_are_replaced_are_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.random((200, 8, 8)).astype(np.float32), rng.integers(0, 10, 200)
    np.savez(tmp_path / "set.npz", x=x, y=y)
    study = parse_study(
        "network: digits-mlp\ndata: {npz: {path: set.npz}, calibration: 50}\nevaluate: {images: 50}\n", folder=tmp_path
    )
    book, before = Digests(tmp_path), (tmp_path / "set.npz").stat()
    first = identify(study, book, Networks())
    assert Digests(tmp_path).find(study) is not None
    np.savez(tmp_path / "set.npz", x=x, y=(y + 1) % 10)
    os.utime(tmp_path / "set.npz", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (tmp_path / "set.npz").stat().st_size == before.st_size
    assert Digests(tmp_path).find(study) is None
    assert identify(study, Digests(tmp_path), Networks()) != first


def test_a_finished_study_of_a_model_file_is_known_without_reading_it(tmp_path: Path) -> None:
    study = parse_study("network: {file: net.onnx}\n", folder=tmp_path)
    (tmp_path / "net.onnx").write_bytes(b"never opened")
    Digests(tmp_path).keep(study, "digest", stamps([tmp_path / "net.onnx"]))
    assert Digests(tmp_path).find(study) == "digest"
    written = json.loads((tmp_path / "digests.json").read_text(encoding="utf-8"))
    assert [len(known) for entry in written.values() for known in entry["files"].values()] == [2]
    (tmp_path / "net.onnx").write_bytes(b"never OPENED")
    assert Digests(tmp_path).find(study) is None


HAMMING = [[1, 1, 0, 1, 1, 0, 0], [1, 0, 1, 1, 0, 1, 0], [0, 1, 1, 1, 0, 0, 1]]


def test_the_content_of_a_code_on_the_menu_counts(tmp_path: Path) -> None:
    def written(rows: list[list[int]]) -> None:
        (tmp_path / "mycode.json").write_text(json.dumps({"parity_check": rows}), encoding="utf-8")

    study = parse_study(
        "cell: {preset: sram6t-65nm}\nflips: {law: fixed, p: 1 %}\nnetwork: digits-mlp\n"
        "protection: {policy: uniform, planes: 2, correction: none, menu: [mycode.json]}\n"
        "evaluate: {images: 50, maps: {min: 2, max: 2}}\n",
        folder=tmp_path,
    )
    written(HAMMING)
    with_hamming = q.run(study, store=tmp_path / "out").as_dict()
    stated = parse_study("protection: {policy: uniform, planes: 2, menu: [hamming-7-4]}\n" + _rest(study)).points()[0]
    assert with_hamming["parity_bits_fraction"] == q.run(stated.study).as_dict()["parity_bits_fraction"]
    assert with_hamming["words_corrected"] > 0
    written([[*row, 0] for row in HAMMING] + [[0, 0, 0, 0, 1, 1, 1, 1]])  # an overall parity bit more: eight bits
    again = q.run(study, store=tmp_path / "out").as_dict()
    assert again["identity"] != with_hamming["identity"]
    assert again["parity_bits_fraction"] > with_hamming["parity_bits_fraction"]
    unused = study.with_({"protection.policy": "none", "protection.planes": None})
    before = identity_of(unused, "digest")
    written(HAMMING)
    assert identity_of(unused, "digest") == before


def test_a_code_behind_a_saved_plan_counts(tmp_path: Path) -> None:
    code, plan = tmp_path / "mycode.json", tmp_path / "plan.json"
    code.write_text(json.dumps({"parity_check": HAMMING}), encoding="utf-8")
    plan.write_text(json.dumps({"menu": ["none", str(code)]}), encoding="utf-8")
    study = parse_study("protection: {plan: plan.json}\n", folder=tmp_path)
    before = identity_of(study, "digest")
    assert identity_of(study, "digest") == before
    code.write_text(json.dumps({"parity_check": HAMMING[::-1]}), encoding="utf-8")
    assert identity_of(study, "digest") != before
    for damaged in (b"", b"[]", b'{"menu": 3}', b'{"menu": [3]}', b"\xff"):
        plan.write_bytes(damaged)
        assert len(identity_of(study, "digest")) == 32


def test_the_content_of_files_that_a_buffer_names_counts(tmp_path: Path) -> None:
    files = {"mycode.json": json.dumps({"parity_check": HAMMING}), "curve.csv": "time,p\n1 us,1e-6\n1 ms,1e-2\n"}
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    study = parse_study(
        "buffers:\n  - {name: a, contents: activations, flips: {law: curve, file: curve.csv},\n"
        "     protection: {policy: uniform, planes: 2, menu: [mycode.json]}}\n",
        folder=tmp_path,
    )
    found = {identity_of(study, "digest")}
    for name, content in files.items():
        (tmp_path / name).write_text(content + "\n", encoding="utf-8")
        found.add(identity_of(study, "digest"))
    assert len(found) == 1 + len(files)


def _rest(study: q.Study) -> str:
    return (
        "cell: {preset: sram6t-65nm}\nflips: {law: fixed, p: 1 %}\nnetwork: digits-mlp\n"
        f"evaluate: {{images: {study.evaluate.images}, maps: {{min: 2, max: 2}}}}\n"
    )
