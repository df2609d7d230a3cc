"""Studies on users' own models: key mapping, store rules, metrics, sorted files, texts; as a study file says it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import qtaml_hw as q
from qtaml_hw.config import StudyError, load_study, parse_study
from qtaml_hw.errors import InputError
from qtaml_hw.records.fields import F
from qtaml_hw.records.summary import summarise
from qtaml_hw.report import stored_line
from qtaml_hw.study.design.networks.loaded import Networks, load_network
from qtaml_hw.study.run.evaluate import evaluate
from qtaml_hw.study.run.task import Task

SOURCE = """
import numpy as np
import torch
from torch import nn

def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.LayerNorm(12), nn.ReLU(), nn.Linear(12, 4))

class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(9, 6), nn.Linear(6, 9)
    def forward(self, x):
        return self.head(self.table(x))

def words():
    return Words()

def tokens():
    from qtaml_hw.workloads.data import data_set
    x = np.random.default_rng(0).integers(0, 9, (40, 5))
    return data_set("tokens", (x[:8], x[:8]), (x, np.roll(x, 1, axis=1)), x[:8])

def mine(outputs, clean, labels):
    return float(1.0 / (1.0 + np.abs(outputs - clean).mean()))

class Last(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer, self.head = layer, nn.Linear(8, 4)
    def forward(self, x):
        return self.head(self.layer(x[:, 0])[0][:, -1])

class Conv1D(nn.Module):  # as GPT-2 keeps its matrices: [in, out]
    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(inputs, outputs) / 4), nn.Parameter(torch.zeros(outputs))
    def forward(self, x):
        return torch.addmm(self.bias, x.flatten(1), self.weight)

class Fixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("matrix", torch.randn(16, 12))
    def forward(self, x):
        return x.flatten(1) @ self.matrix

def lstm():
    return Last(nn.LSTM(4, 8, batch_first=True))

def gru():
    return Last(nn.GRU(4, 8, batch_first=True))

def gpt():
    return nn.Sequential(Conv1D(16, 12), nn.ReLU(), nn.Linear(12, 4))

def fixed():
    return nn.Sequential(Fixed(), nn.ReLU(), nn.Linear(12, 4))

def transposed():
    return nn.Sequential(nn.ConvTranspose2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 4))

def pruned():
    layer = torch.nn.utils.prune.l1_unstructured(nn.Linear(16, 12), "weight", 0.75)
    return nn.Sequential(nn.Flatten(), layer, nn.ReLU(), nn.Linear(12, 4))

def too_much(outputs, clean, labels):
    return 7.0
"""
HEAD = """
cell: {preset: gain-cell-65nm}
flips: {law: fixed, p: 0.03}
refresh: off
evaluate: {images: 40, maps: {min: 2, max: 2}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own_models.py").write_text(SOURCE)
    sys.modules.pop("own_models", None)
    rng = np.random.default_rng(2)
    x = rng.normal(size=(400, 4, 4)).astype(np.float32)
    np.savez(tmp_path / "set.npz", x=x, y=np.repeat(np.arange(4), 100))
    torch.manual_seed(4)
    net = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(16, 12), torch.nn.LayerNorm(12), torch.nn.ReLU(), torch.nn.Linear(12, 4)
    )
    save_file({f"module.net.{n}": t for n, t in net.state_dict().items()}, tmp_path / "w.safetensors")
    return tmp_path


def study(
    folder: Path, network: str, data: str = "{npz: set.npz, calibration: 40}", more: dict[str, object] | None = None
) -> q.Study:
    (folder / "s.yaml").write_text(f"{HEAD}network: {network}\ndata: {data}\n")
    found = load_study(folder / "s.yaml")
    return found.with_(more) if more else found


OWN = '{factory: "own_models:build", weights: w.safetensors, keys: {module.net.: ""}}'


def test_keys_are_renamed_by_how_they_begin(folder: Path) -> None:
    stored = load_network(study(folder, OWN))
    assert [t.name for t in stored.image.tensors] == ["1.weight", "4.weight"]
    with pytest.raises(InputError, match=r"(?s)missing keys: 1.weight.*unexpected keys: module.net.1.bias"):
        load_network(study(folder, '{factory: "own_models:build", weights: w.safetensors}'))
    with pytest.raises(InputError, match=r"no key begins with 'net.' \(the first keys are: module.net"):
        load_network(study(folder, OWN.replace("module.net.", "net.")))
    both = '{module.net.: "", "module.net.4": "1"}'
    with pytest.raises(InputError, match=r"two keys become one under the mapping: 1.bias"):
        load_network(study(folder, OWN.replace('{module.net.: ""}', both)))


def test_what_is_stored_is_said_and_listed(folder: Path) -> None:
    given = study(folder, OWN, more={"network.store.biases": True, "network.store.norms": True})
    rows = q.tensors(given)
    assert [r["name"] for r in rows if r["stored"]] == [
        "1.weight",
        "1.bias",
        "2.weight",
        "2.bias",
        "4.weight",
        "4.bias",
    ]
    assert sum(r["bits"] for r in rows) == 8 * (16 * 12 + 12 + 24 + 48 + 4)
    stored = load_network(given.with_({"weights.scale": "per_channel"}))
    assert [t.scale.size for t in stored.image.tensors] == [12, 1, 1, 1, 4, 1]
    point = given.points()[0]
    records = evaluate(Task(0, point, "i", {}), Networks(), lambda record: None)
    assert len(records) == 2
    assert records[0]["exact_parameters"] == {}
    plain = evaluate(Task(0, study(folder, OWN).points()[0], "i", {}), Networks(), lambda record: None)
    assert plain[0]["exact_parameters"] == {"bias": 16, "norm": 24}
    with pytest.raises(StudyError, match=r"network\.store: store: no parameter matches '7.\*'"):
        q.tensors(study(folder, OWN, more={"network.store.exclude": "7.*"}))


@pytest.mark.parametrize(
    ("factory", "stored", "exact"),
    [
        ("lstm", {"layer.weight_ih_l0": 128, "layer.weight_hh_l0": 256, "head.weight": 32}, {"bias": 68}),
        ("gru", {"layer.weight_ih_l0": 96, "layer.weight_hh_l0": 192, "head.weight": 32}, {"bias": 52}),
        ("gpt", {"0.weight": 192, "2.weight": 48}, {"bias": 4, "other": 12}),
        ("transposed", {"0.weight": 18, "2.weight": 288}, {"bias": 6}),
        ("pruned", {"1.weight": 192, "3.weight": 48}, {"bias": 16}),
    ],
)
def test_matrices_are_stored_whatever_their_class(
    folder: Path, factory: str, stored: dict[str, int], exact: dict[str, int]
) -> None:
    given = study(folder, f'{{factory: "own_models:{factory}"}}')
    point = given.points()[0]
    record = evaluate(Task(0, point, "i", {}), Networks(), lambda record: None)[0]
    assert "error" not in record, record
    assert {layer["name"]: layer["weights"] for layer in record[F.layers]} == stored
    assert record[F.exact_parameters] == exact
    assert sum(record[F.layer_table]["weight_reads"]) >= sum(stored.values())
    assert not [w for w in record[F.warnings] if "matrix weights" in w]
    assert stored_line(record).endswith("exact matrix weights 0.0 %")


def test_exact_matrices_are_said_and_their_reads_are_not_the_memorys(folder: Path) -> None:
    given = study(folder, OWN, more={"network.store.include": "4.weight"})
    found = q.run(given, store=folder / "out")
    assert found.summary.facts[F.layer_table]["weight_reads"] == [0, 48]
    mac_j = found.mac_energy_j / (192 + 48)
    first, second = found.summary.facts[F.layer_table]["energy_j"]
    assert first == pytest.approx(192 * mac_j, rel=1e-4)
    assert found.weight_read_energy_j == pytest.approx(second - 48 * mac_j, rel=1e-4)
    assert stored_line(found.summary.facts) == "stored 48 of 280 parameters; exact matrix weights 80.0 %"
    assert any(w.startswith("80.0 % of the matrix weights stay exact") for w in found.summary.facts[F.warnings])
    why = {row["name"]: row["why"] for row in q.tensors(given)}
    assert why["1.weight"] == "linear layer; left out by network.store.include"
    assert why["2.weight"] == "scale or shift of a norm; network.store.norms is off"


def test_a_matrix_that_is_a_buffer_is_said(folder: Path) -> None:
    given = study(folder, '{factory: "own_models:fixed"}')
    rows = {row["name"]: row for row in q.tensors(given)}
    assert (rows["0.matrix"]["stored"], rows["0.matrix"]["values"]) == (False, 192)
    assert "a buffer" in rows["0.matrix"]["why"]
    assert load_network(given).network.exact_parameters == {"bias": 4, "weight": 192}


def test_sorted_files_are_spread_or_warned_about(folder: Path) -> None:
    first, spread = study(folder, OWN), study(folder, OWN, more={"data.take": "spread"})
    assert first.identity() != spread.identity()
    assert "take" not in first.resolved()["data"]
    assert load_network(first).network.labels.unique().tolist() == [0]
    assert torch.bincount(load_network(spread).network.labels).tolist() == [10, 10, 10, 10]
    records = evaluate(Task(0, first.points()[0], "i", {}), Networks(), lambda record: None)
    assert "the first 40 images show 1 of 4 classes; 'data.take: spread' spreads them" in records[0]["warnings"]


@pytest.mark.parametrize("name", ["agreement", "embedding_cosine", "own_models:mine"])
def test_other_metrics_are_named_in_the_record(folder: Path, name: str) -> None:
    given = study(folder, OWN, more={"evaluate.metric": name})
    records = evaluate(Task(0, given.points()[0], "i", {}), Networks(), lambda record: None)
    for record in records:
        assert record["metric"] == name
        assert record["metric_value"] == record[F.score]
        assert record["clean_metric_value"] == record[F.clean_score] == 1.0
    (found,) = summarise(records)
    assert found.facts["metric"] == name
    assert "metric_value" not in found.facts
    assert given.identity() != study(folder, OWN).identity()
    assert "metric" not in study(folder, OWN).resolved()["evaluate"]


def test_perplexity_of_tokens(folder: Path) -> None:
    given = study(
        folder, '{factory: "own_models:words"}', '{factory: "own_models:tokens"}', {"evaluate.metric": "perplexity"}
    )
    (record, _) = evaluate(Task(0, given.points()[0], "i", {}), Networks(), lambda record: None)
    assert record["metric_value"] == pytest.approx(1.0 / record[F.score])
    assert 1.0 < record["clean_metric_value"] < 60.0


def test_a_metric_out_of_bounds_fails_its_point(folder: Path) -> None:
    given = study(folder, OWN, more={"evaluate.metric": "own_models:too_much"})
    (record,) = evaluate(Task(0, given.points()[0], "i", {}), Networks(), lambda record: None)
    assert "must be from 0 (worst) to 1 (best), it is 7.0" in record["error"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("network: {file: net.pkl}", "it ends in .onnx, .tflite"),
        ("network: {file: net.pt2}", "is not read: write it with torch.onnx.export"),
        ("network: {file: a.onnx, name: digits-lenet}", "exactly one of name, factory, file, encoder"),
        ("network: {file: a.onnx, weights: w.safetensors}", "weights goes with a factory"),
        ('network: {factory: "a:b", keys: {a: b}}', "keys renames what a weights file holds"),
        ("network: {name: digits-lenet, store: {biases: maybe}}", "network.store.biases"),
        ("network: {encoder: {folder: f}}", "an encoder reads texts"),
        ("data: {texts: sentences}", "texts are for an encoder"),
        ("network: {encoder: {folder: f}}\ndata: {texts: a.csv}", "neither a .txt file"),
        ("evaluate: {metric: 'a b:c'}", "write it as 'package.module:function'"),
        ("data: {name: digits, take: last}", "data.take"),
    ],
)
def test_bad_values_are_refused(text: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        parse_study(f"cell: {{preset: gain-cell-65nm}}\n{text}\n")
