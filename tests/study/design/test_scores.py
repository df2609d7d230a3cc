"""A score that is the same whatever happens is refused or said: too few outputs, chance, labels that name no output."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import qtaml_hw as q
from qtaml_hw.config import parse_study
from qtaml_hw.errors import InputError
from qtaml_hw.records.fields import F
from qtaml_hw.records.store import read_records
from qtaml_hw.workloads import load_data

NETS = """
import torch
from torch import nn

class Masked(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 12))
    def forward(self, x):
        return self.net(x).masked_fill(torch.arange(12) >= 10, float("-inf"))

class Log(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    def forward(self, x):
        return torch.log(torch.softmax(1e4 * self.net(x), -1))

def masked():
    return Masked()
def log():
    return Log()
def small(outputs=10):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, outputs))
def threshold(outputs, clean, labels):
    return float(((outputs > 0) == (clean > 0)).mean())
"""
HEAD = """
cell: {preset: sram6t-65nm}
flips: {law: fixed, p: 1 %}
protection: {policy: none, correction: none}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "nets.py").write_text(NETS, encoding="utf-8")
    return tmp_path


def study(folder: Path, network: str, more: str = "", head: str = HEAD, metric: str = "top1") -> q.Study:
    evaluate = f"evaluate: {{metric: '{metric}', images: 300, maps: {{min: 2, max: 2}}}}\n"
    return parse_study(f"{head}network: {network}\n{more}{evaluate}", folder=folder)


ONE = "{factory: 'nets:small', arguments: {outputs: 1}}"
FIVE = "{factory: 'nets:small', arguments: {outputs: 5}}"


@pytest.mark.parametrize(
    ("network", "metric", "least"),
    [(ONE, "agreement", 2), (ONE, "top1", 2), (ONE, "perplexity", 2), (ONE, "embedding_cosine", 2), (FIVE, "top5", 6)],
)
def test_too_few_outputs_for_a_metric_are_refused(folder: Path, network: str, metric: str, least: int) -> None:
    with pytest.raises(InputError, match=rf"^[^\n]*fewer than {least} outputs the metric {metric}[^\n]*own[^\n]*$"):
        q.run(study(folder, network, metric=metric))


def test_one_output_is_judged_by_a_function_of_ones_own(folder: Path) -> None:
    found = q.run(study(folder, ONE, metric="nets:threshold"))
    assert 0.5 < found.accuracy.mean < 1.0
    assert found.clean_accuracy == 1.0
    assert F.same_answer_score not in found.as_dict()


def test_classes_ruled_out_by_minus_infinity_are_no_wrong_answers(folder: Path) -> None:
    data = load_data()
    torch.manual_seed(1)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 12))
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(torch.from_numpy(data.train_x)), torch.from_numpy(data.train_y)).backward()
        optimiser.step()
    save_file({f"net.{key}": value for key, value in net.state_dict().items()}, folder / "w.safetensors")
    right = net(torch.from_numpy(data.test_x[:300]))[:, :10].argmax(1) == torch.from_numpy(data.test_y[:300])
    given = "{factory: 'nets:masked', weights: w.safetensors}"
    for head in (HEAD, HEAD.replace("{policy: none, correction: none}", "{policy: tac, budget: {bits: 5 %}}")):
        found = q.run(study(folder, given, head=head), store=folder / "out")
        assert found.clean_accuracy == pytest.approx(float(right.double().mean()), abs=1e-9)
        assert found.clean_accuracy > 0.85
        assert not found.as_dict()[F.at_chance]
        json.dumps(found.as_dict(), allow_nan=False)
    for line in read_records(folder / "out"):
        json.dumps(dict(line), allow_nan=False)


def test_gradients_that_are_no_numbers_are_said_in_one_line(folder: Path) -> None:
    with pytest.raises(InputError, match=r"^[^\n]*gradients of its outputs are not finite[^\n]*log_softmax[^\n]*$"):
        q.run(study(folder, "{factory: 'nets:log'}"))


def test_a_network_at_chance_is_said_to_be(folder: Path) -> None:
    found = q.run(study(folder, "{factory: 'nets:small'}"))
    labels = load_data().test_y[:300]
    assert found.as_dict()[F.same_answer_score] == np.bincount(labels).max() / 300
    assert found.as_dict()[F.at_chance] is True
    (said,) = [w for w in found.as_dict()["warnings"] if "at chance" in w]
    assert f"one answer to all these inputs has {100 * np.bincount(labels).max() / 300:.1f} %" in said
    trained = q.run(study(folder, "{name: digits-mlp}"))
    assert trained.as_dict()[F.at_chance] is False
    assert not any("at chance" in w for w in trained.as_dict()["warnings"])


@pytest.mark.parametrize(
    ("shift", "network", "said"),
    [
        (1, "digits-mlp", r"labels of set.npz go from 1 to 10, its outputs are counted from 0 to 9; .*subtract 1"),
        (7, "digits-mlp", r"labels of set.npz go from 7 to 16, its outputs are counted from 0 to 9$"),
    ],
)
def test_labels_that_name_no_output_are_refused(folder: Path, shift: int, network: str, said: str) -> None:
    data = load_data()
    np.savez(folder / "set.npz", x=data.test_x[:, 0], y=data.test_y + shift)
    given = study(folder, network, more="data: {npz: set.npz, calibration: 50}\n")
    with pytest.raises(InputError, match=said):
        q.run(given)
    assert q.run(given.with_({"evaluate.metric": "agreement"})).clean_accuracy == 1.0  # reads none of them


def test_labels_counted_from_1_that_fit_are_warned_about(folder: Path) -> None:
    data = load_data()
    chosen = data.test_y < 9
    np.savez(folder / "set.npz", x=data.test_x[chosen, 0], y=data.test_y[chosen] + 1)
    found = q.run(study(folder, "digits-mlp", more="data: {npz: set.npz, calibration: 50}\n"))
    assert found.clean_accuracy < 0.02
    assert any(w.endswith("labels begin at 1, and outputs are counted from 0") for w in found.as_dict()["warnings"])


def test_a_metric_that_may_not_be_used_is_named_as_the_field_that_it_is(folder: Path) -> None:
    with pytest.raises(InputError, match=r"^study:6:20 evaluate\.metric: 'os:system' is of Python's own library"):
        q.run(study(folder, ONE, metric="os:system"))
