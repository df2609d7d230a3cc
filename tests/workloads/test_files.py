"""IDX and npz: exact round trips of files written by hand, and one clear message for each way to be wrong."""

from __future__ import annotations

import gzip
import pickle
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from qtaml_hw.workloads import Preprocessing, from_arrays, load_idx, load_npz, read_idx
from qtaml_hw.workloads.data import spread

CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}
RNG = np.random.default_rng(7)
IMAGES = RNG.integers(0, 256, (40, 6, 5), dtype=np.uint8)
LABELS = (np.arange(40) % 4).astype(np.uint8)


def idx(array: npt.NDArray[np.generic], code: str) -> bytes:
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, CODES[code], array.ndim, *array.shape)
    return header + array.astype(f">{code}").tobytes()


def write_pair(folder: Path, images: npt.NDArray[np.generic] = IMAGES, compress: bool = False) -> tuple[Path, Path]:
    pack = gzip.compress if compress else bytes
    (folder / "images").write_bytes(pack(idx(images, "u1")))
    (folder / "labels").write_bytes(pack(idx(LABELS, "u1")))
    return folder / "images", folder / "labels"


@given(
    code=st.sampled_from(sorted(CODES)),
    shape=hnp.array_shapes(min_dims=1, max_dims=4, max_side=5),
    seed=st.integers(0, 99),
)
def test_idx_round_trip(code: str, shape: tuple[int, ...], seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    array = np.random.default_rng(seed).integers(0, 100, shape).astype(code)
    path = tmp_path_factory.getbasetemp() / "array.idx"
    path.write_bytes(idx(array, code))
    assert np.array_equal(read_idx(path), array)
    assert read_idx(path).dtype == np.dtype(code)


@pytest.mark.parametrize("compress", [False, True])
def test_idx_files_become_a_data_set(tmp_path: Path, compress: bool) -> None:
    images, labels = write_pair(tmp_path, compress=compress)
    data = load_idx(images, labels, train_images=images, train_labels=labels, calibration=10)
    assert np.array_equal(data.train_x, IMAGES[:, None].astype(np.float32) / np.float32(255))
    assert np.array_equal(data.train_y, LABELS)
    rest = np.setdiff1d(np.arange(40), spread(40, 10))
    assert np.array_equal(data.test_x, data.train_x[rest])
    assert np.array_equal(data.calibration_x, data.train_x[spread(40, 10)])
    assert (data.name, data.input_shape, data.classes, len(data.calibration_x)) == ("images", (1, 6, 5), 4, 10)


def test_calibration_is_set_aside_evenly_when_there_is_no_training_set(tmp_path: Path) -> None:
    order = np.argsort(LABELS, kind="stable")  # sorted by class, as some files are
    data = from_arrays("sorted", (IMAGES[order], LABELS[order]), calibration=8)
    assert len(data.test_x) + len(data.calibration_x) == 40
    assert np.bincount(data.train_y).tolist() == [2, 2, 2, 2]
    aside = {image.tobytes() for image in data.calibration_x}
    assert not aside & {image.tobytes() for image in data.test_x}


def test_preprocessing_by_channel_and_layout() -> None:
    x = RNG.integers(0, 256, (9, 4, 5, 3), dtype=np.uint8)
    how = Preprocessing(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 1.0), layout="nhwc")
    data = from_arrays("rgb", (x, np.zeros(9, np.int64)), preprocessing=how, calibration=1)
    expected = ((x[1:] / 255.0 - [0.1, 0.2, 0.3]) / [0.5, 0.25, 1.0]).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(data.test_x, expected, rtol=1e-5, atol=1e-6)
    floats = from_arrays("floats", (x.astype(np.float64), np.zeros(9, np.int64)), calibration=1)
    assert floats.test_x.max() > 1.0  # only uint8 is scaled


def test_npz_with_names_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez_compressed(path, images=IMAGES, target=LABELS)
    data = load_npz(path, "images", "target", train_x="images", train_y="target", calibration=8, name="mine")
    assert data.name == "mine"
    assert (len(data.test_x), len(data.train_x), len(data.calibration_x)) == (32, 40, 8)


def test_the_digest_follows_the_content(tmp_path: Path) -> None:
    first = from_arrays("a", (IMAGES, LABELS), calibration=4)
    assert from_arrays("b", (IMAGES.copy(), LABELS), calibration=4).digest == first.digest
    changed = IMAGES.copy()
    changed[3, 2, 1] ^= 1
    assert from_arrays("a", (changed, LABELS), calibration=4).digest != first.digest


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable IDX file"),
        (b"PK\x03\x04 something else", "not a readable IDX file"),
        (b"\0\0\x08\x03\0\0\0\x01", "header is truncated"),
        (idx(IMAGES, "u1")[:-1], r"promises \(40, 6, 5\) \(1200 bytes\), the file holds 1199"),
        (idx(IMAGES, "u1") + b"\0", "the file holds 1201"),
        (gzip.compress(idx(IMAGES, "u1"))[:-9], "not a readable IDX file"),
        (struct.pack(">BBBB4I", 0, 0, 8, 4, 2**32 - 1, 2**32 - 1, 2**32 - 1, 9), "promises"),
    ],
)
def test_a_broken_idx_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "brøken.idx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"brøken.idx: .*{message}"):
        read_idx(path)


def test_missing_files_and_halves(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nothing: not a readable IDX file .*No such file"):
        read_idx(tmp_path / "nothing")
    with pytest.raises(ValueError, match=r"nothing.npz: not a readable npz archive .*No such file"):
        load_npz(tmp_path / "nothing.npz")
    images, labels = write_pair(tmp_path)
    with pytest.raises(ValueError, match="go together"):
        load_idx(images, labels, train_images=images)
    with pytest.raises(ValueError, match="labels must be whole numbers"):
        load_idx(images, images)


class Payload:
    """Would leave a trace if it were ever unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('unpickled')",))


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "evil.npz"
    np.savez(path, x=IMAGES, y=np.array([Payload()], dtype=object))
    with pytest.raises(ValueError, match=r"evil.npz: not a readable npz archive .*allow_pickle"):
        load_npz(path)
    path.write_bytes(pickle.dumps([1, 2, 3]))
    with pytest.raises(ValueError, match="not a readable npz archive"):
        load_npz(path)


def test_a_wrong_array_name_is_answered_with_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, images=IMAGES, labels=LABELS)
    with pytest.raises(ValueError, match=r"no array 'image' \(there are: images, labels\); did you mean 'images'"):
        load_npz(path, "image", "labels")


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (IMAGES, LABELS[:-1], "40 images but 39 labels"),
        (IMAGES, LABELS.astype(np.float32), "labels must be whole numbers"),
        (IMAGES, LABELS.astype(np.int8) - 1, "labels must be >= 0, the smallest is -1"),
        (IMAGES[0], LABELS, "images must be numbers"),
        (IMAGES[:0], LABELS[:0], "there are no images"),
        (np.full((40, 2, 2), np.nan), LABELS, "not finite"),
        (IMAGES[:4], LABELS[:4], "too few to set 8 aside"),
    ],
)
def test_arrays_that_do_not_fit(x: npt.NDArray[np.generic], y: npt.NDArray[np.generic], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_arrays("set", (x, y), calibration=8)


def test_preprocessing_is_checked() -> None:
    with pytest.raises(ValueError, match="layout must be one of"):
        Preprocessing(layout="chw")
    with pytest.raises(ValueError, match="std must be above 0"):
        Preprocessing(std=(0.0,))
    with pytest.raises(ValueError, match="mean has 3 values, the images have 1 channels"):
        from_arrays("set", (IMAGES, LABELS), preprocessing=Preprocessing(mean=(0.1, 0.2, 0.3)), calibration=8)
    other = from_arrays("set", (IMAGES, LABELS), calibration=8)
    assert other.classes == 4
    with pytest.raises(ValueError, match=r"training images are \(1, 6, 4\), test images \(1, 6, 5\)"):
        from_arrays("set", (IMAGES, LABELS), (IMAGES[:, :, :4], LABELS))
    with pytest.raises(ValueError, match="calibration must be at least 1"):
        from_arrays("set", (IMAGES, LABELS), calibration=0)
