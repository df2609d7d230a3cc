"""Networks on a user's IDX images: trained once, read again from the cache, refused with the names of the files."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from qtaml_hw.errors import InputError
from qtaml_hw.reproduce import image_networks
from qtaml_hw.reproduce.image_networks import FILES, idx_files
from qtaml_hw.reproduce.storage import Storage


def write_idx(path: Path, values: np.ndarray) -> None:
    header = struct.pack(">BBBB", 0, 0, 8, values.ndim) + struct.pack(f">{values.ndim}I", *values.shape)
    with (gzip.open if path.suffix == ".gz" else open)(path, "wb") as file:
        file.write(header + values.astype(np.uint8).tobytes())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rng = np.random.default_rng(0)
    place = tmp_path / "fashion_mnist"
    place.mkdir()
    for key, count in (("", 296), ("train_", 120)):
        labels = np.arange(count) % 10
        images = rng.integers(0, 40, (count, 28, 28))
        images[np.arange(count), labels * 2] += 200  # a bright row tells the class
        write_idx(place / f"{FILES[f'{key}images']}.gz", images)
        write_idx(place / FILES[f"{key}labels"], labels)
    monkeypatch.setenv("QTAML_HW_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_a_network_is_trained_once_and_then_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = image_networks.image_networks(folder)[0].stored(40, Storage())
    assert first.image.weights == 16 * 9 + 32 * 16 * 9 + 1568 * 120 + 120 * 84 + 84 * 10
    assert first.network.images == 40
    monkeypatch.setattr(image_networks, "train", lambda *_: pytest.fail("trained again"))
    second = image_networks.image_networks(folder)[0].stored(40, Storage())
    assert second.image.digest == first.image.digest


def test_a_folder_without_the_files_is_refused(folder: Path) -> None:
    assert idx_files(folder)["images"].name == "t10k-images-idx3-ubyte.gz"
    assert idx_files(folder / "fashion_mnist")["labels"].name == "t10k-labels-idx1-ubyte"
    with pytest.raises(InputError, match="train-images-idx3-ubyte"):
        idx_files(folder / "cache")
