"""Programs of torch.export rebuilt without unpickling: the same outputs, the same layers, refusals."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from qtaml_hw.errors import InputError
from qtaml_hw.weights.network import fold_batch_norm, stored_names
from qtaml_hw.workloads.model_files import load_model_file
from qtaml_hw.workloads.pt2_import import PARTED, SYMBOLIC
from qtaml_hw.workloads.published import CifarResNet

BATCH = {0: torch.export.Dim("batch", min=1, max=64)}


class Tokens(nn.Module):
    """Embedding, attention, norm, a class token."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(11, 8)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8 * 6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.table(x)
        y = torch.cat([self.token.expand(y.shape[0], -1, -1), y], dim=1)
        mixed, _ = self.attention(y, y, y, need_weights=False)
        out: torch.Tensor = self.head(nn.functional.gelu(self.norm(mixed + y)).flatten(1))
        return out


def exported(module: nn.Module, example: torch.Tensor, path: Path, batch: object = BATCH) -> Path:
    torch.export.save(torch.export.export(module.eval(), (example,), dynamic_shapes=(batch,)), path)
    return path


def test_a_residual_network(tmp_path: Path) -> None:
    torch.manual_seed(2)
    module = CifarResNet(1)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2.0)
    loaded = load_model_file(exported(module, torch.randn(2, 3, 16, 16), tmp_path / "net.pt2"))
    x = torch.randn(5, 3, 16, 16)
    with torch.inference_mode():
        torch.testing.assert_close(loaded.module(x), module(x))
        torch.testing.assert_close(fold_batch_norm(loaded.module)(x), module(x), rtol=1e-4, atol=1e-4)
    assert (loaded.input_shape, loaded.classes) == ((3, 16, 16), 10)
    assert [n.replace("_", ".") for n in stored_names(loaded.module)] == list(stored_names(module))


def test_attention_over_tokens(tmp_path: Path) -> None:
    torch.manual_seed(3)
    module = Tokens()
    loaded = load_model_file(exported(module, torch.zeros(2, 5, dtype=torch.int64), tmp_path / "net.pt2"))
    x = torch.randint(0, 11, (4, 5))
    with torch.inference_mode():
        torch.testing.assert_close(loaded.module(x), module(x))
    assert stored_names(loaded.module) == ("attention_in_proj.weight", "attention_out_proj.weight", "head.weight")


def test_a_fixed_batch_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = exported(nn.Sequential(nn.Linear(4, 2)), torch.zeros(2, 4), tmp_path / "net.pt2", None)
    with pytest.raises(ValueError, match=r"export it with dynamic_shapes"):
        load_model_file(path)


def changed(path: Path, name: str, change: object) -> Path:
    """A copy of the archive with one JSON entry changed."""
    other = path.with_name("changed.pt2")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
        for info in old.infolist():
            content = old.read(info)
            if info.filename.endswith(name):
                told = json.loads(content)
                change(told)  # type: ignore[operator]
                content = json.dumps(told).encode()
            new.writestr(info.filename, content)
    return other


def test_nothing_of_a_stranger_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = exported(nn.Sequential(nn.Linear(4, 2)), torch.zeros(2, 4), tmp_path / "net.pt2")

    def never(*_: object, **__: object) -> None:
        raise AssertionError("unpickled")

    monkeypatch.setattr(torch, "load", never)
    monkeypatch.setattr(torch.export, "load", never)
    assert load_model_file(path).classes == 2

    def pickled(told: dict[str, dict[str, dict[str, object]]]) -> None:
        told["config"]["0.weight"]["use_pickle"] = True

    with pytest.raises(ValueError, match=r"0.weight are stored as pickles"):
        load_model_file(changed(path, "model_weights_config.json", pickled))

    def foreign(told: dict[str, dict[str, dict[str, list[dict[str, object]]]]]) -> None:
        told["graph_module"]["graph"]["nodes"][0]["target"] = "os.system"

    with pytest.raises(ValueError, match=r"not read: os.system"):
        load_model_file(changed(path, "models/model.json", foreign))

    def larger(told: dict[str, dict[str, dict[str, dict[str, list[dict[str, int]]]]]]) -> None:
        told["config"]["0.weight"]["tensor_meta"]["sizes"] = [{"as_int": 400}, {"as_int": 4}]

    with pytest.raises(ValueError, match=r"0.weight has not the bytes|is a view"):
        load_model_file(changed(path, "model_weights_config.json", larger))


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + bytes(18), b"not a zip"])
def test_what_is_no_program_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "net.pt2").write_bytes(content)
    with pytest.raises(ValueError, match=r"not a readable .pt2"):
        load_model_file(tmp_path / "net.pt2")


def test_no_text_of_a_file_becomes_code(tmp_path: Path) -> None:
    """The name of an argument was put into generated source as it stood."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    path = exported(network, torch.zeros(2, 2, 2), tmp_path / "net.pt2")
    trace = tmp_path / "it_ran"

    def named(text: str) -> object:
        def change(told: dict[str, dict[str, dict[str, list[dict[str, list[dict[str, str]]]]]]]) -> None:
            nodes = told["graph_module"]["graph"]["nodes"]
            next(n for n in nodes if "flatten" in str(n["target"]))["inputs"][1]["name"] = text

        return change

    for text in (f"start_dim = open({str(trace)!r}, 'w') and 1 or 1) #", "class", "no_such_argument", ""):
        with pytest.raises(InputError, match=r"changed.pt2: not a readable .pt2 network \(flatten.using_ints has no"):
            load_model_file(changed(path, "models/model.json", named(text)))
    assert not trace.exists()


class Dropping(nn.Module):
    """Every way to drop values while training, and a batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.drop = nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.drop(self.norm(self.first(x))).unsqueeze(1)
        y = nn.functional.scaled_dot_product_attention(y, y, y, dropout_p=0.3 if self.training else 0.0)
        out: torch.Tensor = self.head(nn.functional.dropout(y.squeeze(1), 0.5, training=self.training))
        return out


def test_a_program_exported_while_training_is_served_as_in_evaluation(tmp_path: Path) -> None:
    torch.manual_seed(5)
    module = Dropping()
    module.norm.running_mean.normal_()
    torch.export.save(
        torch.export.export(module.train(), (torch.randn(4, 6),), dynamic_shapes=(BATCH,)), tmp_path / "net.pt2"
    )
    loaded, x = load_model_file(tmp_path / "net.pt2"), torch.randn(5, 6)
    with torch.inference_mode():
        torch.testing.assert_close(loaded.module(x), module.eval()(x))
        assert torch.equal(loaded.module(x), loaded.module(x))


def test_compressed_programs_are_refused(tmp_path: Path) -> None:
    path = exported(nn.Sequential(nn.Linear(4, 2)), torch.zeros(2, 4), tmp_path / "net.pt2")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "packed.pt2", "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
    with pytest.raises(InputError, match=r"it is compressed, which torch.export.save never does"):
        load_model_file(tmp_path / "packed.pt2")


def test_sides_and_parts_cannot_grow_without_bound() -> None:
    side = SYMBOLIC["_operator.mul"](1 << 40, 1 << 40)
    with pytest.raises(ValueError, match="no sides of tensors"):
        SYMBOLIC["_operator.mul"](side, 2)
    with pytest.raises(ValueError, match="no sides of tensors"):
        SYMBOLIC["_operator.mul"]([0], 1 << 40)
    assert SYMBOLIC["_operator.floordiv"](-7, 2) == -4
    with pytest.raises(ValueError, match="it splits 1048576 values by 1"):
        PARTED["split.Tensor"](torch.zeros(1 << 20), 1)
    with pytest.raises(ValueError, match="it splits a tensor into"):
        PARTED["chunk.default"](torch.zeros(8), 1 << 20)
    assert [len(part) for part in PARTED["split.Tensor"](torch.zeros(5), 2)] == [2, 2, 1]
