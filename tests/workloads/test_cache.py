"""The cache: hits are exact, broken or foreign files are rebuilt with a word, writes are whole or nothing."""

from __future__ import annotations

import dataclasses
import logging
import os
import threading
from pathlib import Path

import pytest
import torch

from qtaml_hw.errors import InputError
from qtaml_hw.workloads import TrainingRecord, cache_folder, catalogue, load, load_data, load_network, state_digest
from qtaml_hw.workloads import cache as cache_module
from qtaml_hw.workloads.cache import BrokenCacheError, read, write
from qtaml_hw.workloads.catalogue import Recipe
from qtaml_hw.workloads.training import accuracy

RECORD = TrainingRecord(seed=3, clean_accuracy=0.9, seconds=1.5, data_digest="d", torch_version="t")


def state(fill: float, size: int = 1000) -> dict[str, torch.Tensor]:
    return {"w": torch.full((size,), fill), "steps": torch.tensor(int(fill)), "t": torch.arange(6.0).reshape(2, 3).T}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> str:
    """A network that trains in a fraction of a second, under a name of the zoo."""
    spec = dataclasses.replace(
        catalogue.network("digits-mlp"), recipe=Recipe(epochs=1, batch=256), arguments={"hidden": 8}
    )
    monkeypatch.setitem(catalogue.ZOO, "digits-mlp", spec)
    return "digits-mlp"


def test_a_round_trip_is_exact(tmp_path: Path) -> None:
    write(tmp_path / "a" / "n.safetensors", "id", state(1.5), RECORD)
    found, record = read(tmp_path / "a" / "n.safetensors", "id")
    assert state_digest(found) == state_digest(state(1.5))
    assert record == RECORD


def test_the_state_digest_sees_values_names_shapes_and_types() -> None:
    a = {"w": torch.zeros(4)}
    others = [{"v": torch.zeros(4)}, {"w": torch.zeros(2, 2)}, {"w": torch.zeros(4).int()}, {"w": torch.ones(4)}]
    assert len({state_digest(s) for s in [a, *others]}) == 5
    assert state_digest({"b": torch.ones(2), "a": torch.zeros(2)}) == state_digest(
        {"a": torch.zeros(2), "b": torch.ones(2)}
    )


def test_the_second_load_reads_the_first(tiny: str, caplog: pytest.LogCaptureFixture) -> None:
    first, second = load_network(tiny), load_network(tiny)
    assert first.record is not None
    assert second.record == dataclasses.replace(first.record, cached=True)
    assert not first.record.cached
    assert first.digest == second.digest == state_digest(second.module.state_dict())
    assert first.module is not second.module
    assert not caplog.records
    assert load_network(tiny, seed=1).digest != first.digest


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def _flip_one_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def _foreign(path: Path) -> None:
    write(path, "another identity", state(0.0), RECORD)


def _other_keys(path: Path) -> None:
    identity = cache_module._header_metadata(path.read_bytes())["identity"]
    write(path, identity, state(0.0), RECORD)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _text(path: Path) -> None:
    path.write_bytes(b"this is no network at all, it only is as long as one would be")


def _a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("harm", [_truncate, _flip_one_bit, _foreign, _other_keys, _empty, _text])
def test_a_cache_file_that_cannot_be_trusted_is_rebuilt_with_a_word(
    tiny: str, cache: Path, caplog: pytest.LogCaptureFixture, harm: object
) -> None:
    first = load_network(tiny)
    (path,) = (cache / "networks").iterdir()
    assert callable(harm)
    harm(path)
    with caplog.at_level(logging.WARNING):
        again = load_network(tiny)
    assert again.digest == first.digest
    assert again.record is not None
    (note,) = again.record.notes
    assert "trained again" in note
    assert note in caplog.text
    third = load_network(tiny)
    assert third.record is not None
    assert third.record.cached
    assert third.record.notes == ()


def test_a_cache_that_cannot_be_written_costs_a_training_not_the_run(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("QTAML_HW_CACHE", str(blocked))
    loaded = load_network(tiny)
    assert loaded.record is not None
    assert any("was not cached" in note for note in loaded.record.notes)


def test_a_folder_in_the_place_of_the_file(tiny: str, cache: Path) -> None:
    load_network(tiny)
    (path,) = (cache / "networks").iterdir()
    _a_folder(path)
    loaded = load_network(tiny)
    assert loaded.record is not None
    assert len(loaded.record.notes) == 2


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "n.safetensors"
    write(path, "id", state(1.0), RECORD)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(path, "id", state(2.0), RECORD)
    assert [p.name for p in tmp_path.iterdir()] == ["n.safetensors"]
    assert float(read(path, "id")[0]["w"][0]) == 1.0


def test_writers_at_once_never_show_a_reader_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "n.safetensors"
    write(path, "id", state(0.0, 50_000), RECORD)

    def writer(fill: float) -> None:
        for _ in range(15):
            write(path, "id", state(fill, 50_000), RECORD)

    threads = [threading.Thread(target=writer, args=(float(i),)) for i in (1, 2)]
    for thread in threads:
        thread.start()
    reads = 0
    while any(thread.is_alive() for thread in threads):
        read(path, "id")  # raises if a file is ever torn or mixed
        reads += 1
    for thread in threads:
        thread.join()
    assert reads > 0
    assert [p.name for p in tmp_path.iterdir()] == ["n.safetensors"]


def test_the_reasons_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "n.safetensors"
    with pytest.raises(FileNotFoundError):
        read(path, "id")
    write(path, "id", state(1.0), RECORD)
    with pytest.raises(BrokenCacheError, match="another recipe, seed or data set"):
        read(path, "other")
    _flip_one_bit(path)
    with pytest.raises(BrokenCacheError, match="do not match their sha256"):
        read(path, "id")
    _truncate(path)
    with pytest.raises(BrokenCacheError, match="damaged"):
        read(path, "id")


def test_where_the_cache_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("QTAML_HW_CACHE", str(tmp_path / "ändere"))
    assert cache_folder() == tmp_path / "ändere"
    monkeypatch.delenv("QTAML_HW_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "Local"))
    places = {"linux": ".cache/qtaml_hw", "darwin": "Library/Caches/qtaml_hw", "win32": "Local/qtaml_hw/Cache"}
    for platform, place in places.items():
        monkeypatch.setattr("qtaml_hw.files.sys.platform", platform)
        assert cache_folder() == tmp_path / place
    monkeypatch.setattr("qtaml_hw.files.sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "qtaml_hw"


SHIPPED = sorted(name for name in catalogue.names() if catalogue.network(name).shipped)


def test_two_networks_come_trained_in_three_megabytes() -> None:
    assert SHIPPED == ["digits-lenet", "digits-resnet"]
    folder = Path(load.__file__).parent / "trained"
    assert sorted(file.stem for file in folder.iterdir()) == SHIPPED
    assert sum(file.stat().st_size for file in folder.iterdir()) < 3e6


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_network_needs_no_training_and_keeps_its_word(name: str, cache: Path) -> None:
    trained: list[int] = []
    loaded = load_network(name, progress=lambda done, of, what: trained.append(done))
    assert not trained
    assert not list(cache.iterdir())
    assert loaded.digest == catalogue.network(name).shipped
    assert loaded.record is not None
    assert accuracy(loaded.module, load_data()) == pytest.approx(loaded.record.clean_accuracy, abs=1.5 / 370)
    assert loaded.record.clean_accuracy > 0.97


def test_a_shipped_file_that_was_changed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = Path(load.__file__).parent / "trained" / "digits-lenet.safetensors"
    monkeypatch.setattr(load, "_SHIPPED", tmp_path)
    with pytest.raises(InputError, match="missing: install the package again"):
        load_network("digits-lenet")
    (tmp_path / there.name).write_bytes(there.read_bytes()[:5000])
    with pytest.raises(
        InputError, match=r"came with the package, and it is damaged .*: install the package again"
    ) as said:
        load_network("digits-lenet")
    assert "\n" not in str(said.value)
    state, record = read(there, _identity())
    state = {key: tensor * 0.5 for key, tensor in state.items()}
    write(tmp_path / there.name, _identity(), state, record)
    with pytest.raises(InputError, match="does not hold the weights that came with this version"):
        load_network("digits-lenet")


def _identity() -> str:
    return f"{catalogue.network('digits-lenet').digest(2026)}-{load_data().digest}"
