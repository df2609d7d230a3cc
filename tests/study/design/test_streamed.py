"""A model streamed through the memory: the same codes, flips and weights as the whole image, bit for bit."""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from qtaml_hw import cli, tac
from qtaml_hw.config import Study, parse_study
from qtaml_hw.errors import InputError
from qtaml_hw.faults import flip_bits
from qtaml_hw.study.design.cells.cell import view_cell
from qtaml_hw.study.design.protection.price import Pricing, SideStorage
from qtaml_hw.study.design.protection.protect import side_bits
from qtaml_hw.study.design.streamed import tensor as streamed_tensor
from qtaml_hw.study.design.streamed.model import stream
from qtaml_hw.study.questions.price import price
from qtaml_hw.weights import ScaleLayout, number_format, quantise
from qtaml_hw.workloads.shards import Slot, open_shards


def study(**changes: object) -> Study:
    base = parse_study("study: s\ncell: {preset: gain-cell-65nm}\nflips: {law: fixed, p: 0.02}\nrefresh: off\n")
    return base.with_({key.replace("__", "."): value for key, value in changes.items()}) if changes else base


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    place = tmp_path / "model"
    place.mkdir()
    first = {"embed.weight": torch.randn(50, 16), "a.weight": 3.0 * torch.randn(40, 16), "a.bias": torch.randn(40)}
    second = {"b.weight": torch.randn(8, 40).to(torch.bfloat16), "c.weight": torch.randn(24, 8, 3, 3).half()}
    save_file(first, place / "model-1.safetensors")
    save_file({**second, "steps": torch.arange(5)}, place / "model-2.safetensors")
    return place


def arrays(folder: Path) -> dict[str, np.ndarray]:
    """The stored tensors in file order, float32."""
    found = {n: t for f in sorted(folder.glob("*.safetensors")) for n, t in load_file(f).items()}
    order = [slot.name for shard in open_shards(folder) for slot in shard.slots]
    return {n: found[n].float().numpy() for n in order if found[n].ndim > 1 and n != "embed.weight"}


@pytest.mark.parametrize("form", ["int8", "uint4"])
@pytest.mark.parametrize("scale", ["per_tensor", "per_channel", "group-32", "per_channel_log8", "group-16-e4m3"])
@pytest.mark.parametrize("device", [None, "cpu"])
def test_a_stream_is_the_whole_image_bit_for_bit(folder: Path, form: str, scale: str, device: str | None) -> None:
    seen: dict[str, np.ndarray] = {}
    given = study(weights__format=form, weights__scale=scale)
    found = stream(given, folder, each=lambda name, w: seen.update({name: w}), map_index=2, device=device)
    image = quantise(arrays(folder), number_format(form), ScaleLayout.of(scale))
    assert found.image.metadata_bits == image.metadata_bits
    assert list(seen) == [t.name for t in image.tensors]
    flips, cells = 0, [0.02] * image.planes + [0.0] * (8 - image.planes)
    for i, t in enumerate(image.tensors):
        codes = flip_bits(t.codes, cells, cells, seed=given.evaluate.seed, map_index=2, tensor=i)
        flips += int(np.unpackbits(codes ^ t.codes).sum())
        np.testing.assert_array_equal(seen[t.name], t.decode(codes))
    assert found.flips == flips
    assert abs(flips - 0.02 * image.stored_bits) < 5.0 * np.sqrt(0.02 * 0.98 * image.stored_bits)


@pytest.mark.parametrize("form", ["int8", "uint4"])
@pytest.mark.parametrize("policy", ["uniform", "magnitude"])
def test_a_streamed_plan_is_the_plan_of_the_whole_image(folder: Path, policy: str, form: str) -> None:
    given = study(
        weights__format=form,
        weights__scale="per_channel",
        protection={"policy": policy, "budget": {"bits": "12 %"}, "menu": ["ideal"]},
    )
    found = stream(given, folder)
    image = quantise(arrays(folder), number_format(form), "per_channel")
    menu = tac.Menu.of(["ideal"])
    prices = tac.bit_prices(menu, image, 0.12)
    from qtaml_hw.channel import FlipChannel

    channel = FlipChannel.uniform(0.02, image.planes)
    damage = tac.damage_model(image, tac.magnitude_importance(image), image.tensor_starts)
    np.testing.assert_allclose(found.image.damage().ones, damage.ones, rtol=1e-5)
    if policy == "uniform":
        expected = tac.plan_uniform(image, channel, menu, prices)
    else:
        expected = tac.plan_by_damage(damage, channel, menu, prices, image=image, kind="layer", policy="magnitude").plan
    np.testing.assert_array_equal(found.plan.choice, expected.choice)
    assert 0.0 < found.plan.protected_bits_fraction <= 0.12


@pytest.mark.parametrize("policy", ["none", "uniform"])
def test_a_stream_costs_what_a_run_of_the_same_image_does(folder: Path, policy: str) -> None:
    budget = {} if policy == "none" else {"budget": {"bits": "12 %"}, "menu": ["secded-72-64"]}
    given = study(weights__scale="group-32", protection={"policy": policy, **budget})
    found = stream(given, folder)
    image = quantise(arrays(folder), None, "group-32")
    side = SideStorage(image.metadata_bits, found.image.decode_ge)
    cell = view_cell(given, 8)
    cost = Pricing.of(given, image.names, image, cell, side).cost(found.plan, side_bits(found.plan, ("none",)))
    told = found.as_dict()
    for name, value in {**cost.areas, **cost.energies}.items():
        assert told[name] == (pytest.approx(value) if value is not None else None)
    assert told["refresh_bandwidth_share"] == 0.0
    assert told["energy_per_inference_j"] > told["weight_read_energy_j"] > 0.0
    assert told["stored_bits_per_weight"] >= 8.0 + image.metadata_bits / image.weights


def test_refresh_takes_the_share_of_a_memory_of_so_many_weights(tmp_path: Path) -> None:
    save_file({"a.weight": torch.randn(256, 256)}, tmp_path / "m.safetensors")
    given = study(refresh__interval="40 us")
    share = stream(given, tmp_path).as_dict()["refresh_bandwidth_share"]
    assert share == pytest.approx(price(given, weights=256 * 256).as_dict()["refresh_bandwidth_share"], rel=1e-12)
    assert 0.0 < share < 0.1


def test_reads_are_bounded_whatever_the_tensor_holds(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    read = Slot.read

    def watched(slot: Slot, first: int = 0, count: int | None = None) -> np.ndarray:
        asked.append(slot.values - first if count is None else count)
        return read(slot, first, count)

    monkeypatch.setattr(Slot, "read", watched)
    monkeypatch.setattr(streamed_tensor, "BLOCK_VALUES", 80)
    few = stream(study(weights__scale="group-32"), folder).flips
    assert max(asked) == 80  # two rows of 40; one of 72
    monkeypatch.setattr(streamed_tensor, "BLOCK_VALUES", 1 << 20)
    assert stream(study(weights__scale="group-32"), folder).flips == few


@pytest.mark.parametrize(
    "name", ["token_embd.weight", "wte.weight", "transformer.wpe.weight", "position_embd.weight", "embd.weight"]
)
def test_tables_are_told_by_the_names_of_gguf_and_gpt(tmp_path: Path, name: str) -> None:
    save_file({name: torch.randn(30, 16), "a.weight": torch.randn(16, 16)}, tmp_path / "m.safetensors")
    found = stream(study(), tmp_path)
    assert [t.name for t in found.image.tensors] == ["a.weight"]
    assert found.taken_for[name].kind == "embedding"


def test_written_shards_keep_types_names_and_what_is_not_stored(folder: Path, tmp_path: Path) -> None:
    found = stream(study(), folder, out=tmp_path / "out")
    assert [f.name for f in found.files] == ["model-1.safetensors", "model-2.safetensors"]
    for file in found.files:
        before, after = load_file(folder / file.name), load_file(file)
        assert {n: (t.dtype, t.shape) for n, t in before.items()} == {n: (t.dtype, t.shape) for n, t in after.items()}
        for name in ("embed.weight", "a.bias", "steps"):
            if name in before:
                assert torch.equal(before[name], after[name])
    assert set(found.passed_through) == {"embed.weight", "a.bias", "steps"}
    assert not torch.equal(load_file(found.files[1])["b.weight"], load_file(folder / "model-2.safetensors")["b.weight"])
    seen: dict[str, np.ndarray] = {}
    stream(study(), folder, each=lambda name, w: seen.update({name: w}))
    written = load_file(found.files[1])["b.weight"]
    assert torch.equal(written, torch.from_numpy(seen["b.weight"]).to(torch.bfloat16))


def test_store_rule_and_refusals(folder: Path, tmp_path: Path) -> None:
    only = stream(
        study(network={"name": "digits-lenet", "store": {"include": ["a.*", "embed*"], "embeddings": True}}), folder
    )
    assert [t.name for t in only.image.tensors] == ["a.weight", "embed.weight"]
    for text, change in {
        "needs the network": {"protection": {"policy": "tac", "budget": {"bits": "5 %"}}},
        "no parameter matches 'z\\*'": {"network": {"name": "digits-lenet", "store": {"exclude": ["z*"]}}},
    }.items():
        with pytest.raises(InputError, match=text):
            stream(study(**change), folder)
    with pytest.raises(InputError, match="write to another folder"):
        stream(study(), folder, out=folder)
    with pytest.raises(InputError, match=r"no .safetensors file") as raised:
        stream(study(), tmp_path)
    assert str(raised.value).count(str(tmp_path)) == 1
    with pytest.raises(InputError, match=r"x.gguf: there is no such file or folder$"):
        stream(study(), tmp_path / "x.gguf")


@pytest.mark.parametrize(("part", "settings"), [("a.qweight", ""), ("a.weight_packed", ""), ("a.weight", "gptq")])
def test_scales_of_packed_codes_are_not_taken_for_the_weights(tmp_path: Path, part: str, settings: str) -> None:
    codes = torch.zeros(4, 8, dtype=torch.int32)
    save_file({part: codes, "a.scales": torch.ones(4, 8, dtype=torch.float16)}, tmp_path / "model.safetensors")
    if settings:
        (tmp_path / "config.json").write_text(json.dumps({"quantization_config": {"quant_method": settings}}))
    with pytest.raises(InputError, match="its weights are packed, and streamed as their own codes: write weights"):
        stream(study(), tmp_path)


@pytest.mark.parametrize("device", ["tpu", "meta", "cuda:99", ""])
def test_a_device_that_is_not_there_is_said(
    folder: Path, tmp_path: Path, device: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "s.yaml", tmp_path / "out"
    file.write_text("flips: {law: fixed, p: 0.02}\nrefresh: off\n")
    arguments = ["qtaml-hw", "stream", str(file), str(folder), "--out", str(out), f"--device={device}"]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert f"error: device {device!r} cannot be used on this machine, cpu" in capsys.readouterr().err
    assert not out.exists()


def header(folder: Path, entry: dict[str, object], data: bytes = bytes(16)) -> Path:
    text = json.dumps({"w": entry}).encode()
    path = folder / "bad.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"dtype": "F32", "shape": [4], "data_offsets": [0, 64]}, "outside the file"),
        ({"dtype": "F32", "shape": [5], "data_offsets": [0, 16]}, "16 bytes, not those of"),
        ({"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]}, "needs a dtype"),
        ({"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "leave gaps"),
        ({"dtype": "F32", "shape": [True], "data_offsets": [0, 4]}, "needs a dtype"),
    ],
)
def test_damaged_headers_are_refused(tmp_path: Path, entry: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        open_shards(header(tmp_path, entry))


@pytest.mark.parametrize("content", [b"", b"\x00" * 7, struct.pack("<Q", 1 << 60), struct.pack("<Q", 2) + b"[]"])
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "no.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        open_shards(path)


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"weights__transforms": "equalise"}, "equalise"), ({"hardening__method": "qat"}, "hardening")],
)
def test_steps_that_need_the_network_are_refused(folder: Path, changes: dict[str, object], named: str) -> None:
    with pytest.raises(InputError, match=f"without {named}: these need the network"):
        stream(study(**changes), folder)


def test_values_of_buffers_are_no_part_of_a_stream(folder: Path, tmp_path: Path) -> None:
    beside = study().with_({"buffers": [{"name": "act", "contents": "activations"}]})
    with pytest.raises(InputError, match=r"stream hands on weights .*\(act\) hold"):
        stream(beside, folder, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert stream(beside.with_({"buffers": None}), folder).flips == stream(study(), folder).flips
