"""Data sets from a user's files: IDX (MNIST's format) and npz, never pickled objects."""

from __future__ import annotations

import gzip
import io
import math
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from qtaml_hw.errors import nearest
from qtaml_hw.workloads.data import CALIBRATION_IMAGES, DataSet, Images, InputPart, Labels, data_set, spread
from qtaml_hw.workloads.reading import check_members, readable, unpacked_limit

Raw = npt.NDArray[Any]

_IDX_TYPES: Final = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_LAYOUTS: Final = ("nchw", "nhwc")


@dataclass(frozen=True)
class Preprocessing:
    """From stored images to what the network takes: x = (image x scale - mean) / std.

    scale: None means 1/255 for uint8 images and 1 for all others; mean, std: one value, or one per channel;
    layout: order of the axes of four-dimensional images, nchw or nhwc. Images [N, height, width] get one channel.
    """

    scale: float | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    layout: str = "nchw"

    def __post_init__(self) -> None:
        if self.layout not in _LAYOUTS:
            raise ValueError(f"layout must be one of {', '.join(_LAYOUTS)}, got {self.layout!r}")
        if any(not s > 0 for s in self.std):
            raise ValueError(f"std must be above 0, got {self.std}")


def load_idx(
    images: str | Path,
    labels: str | Path,
    *,
    train_images: str | Path | None = None,
    train_labels: str | Path | None = None,
    preprocessing: Preprocessing | None = None,
    calibration: int = CALIBRATION_IMAGES,
    name: str | None = None,
) -> DataSet:
    """A DataSet from IDX files (plain or gzip), as MNIST and Fashion-MNIST are published.

    images, labels: the test set. ``calibration`` evenly spaced images of it are set aside: they are never judged, and
    a training pair does not hold them. Without such a pair they are the whole training set too.
    Raises ValueError for a file that is missing, not IDX, truncated, or does not fit the others.
    """
    test = (read_idx(images), read_idx(labels))
    train = None
    if train_images is not None and train_labels is not None:
        train = (read_idx(train_images), read_idx(train_labels))
    elif train_images is not None or train_labels is not None:
        raise ValueError("training images and training labels go together: one of the two IDX files is missing")
    return from_arrays(name or Path(images).name, test, train, preprocessing, calibration)


def load_npz(
    path: str | Path,
    x: str = "x",
    y: str = "y",
    *,
    train_x: str | None = None,
    train_y: str | None = None,
    preprocessing: Preprocessing | None = None,
    calibration: int = CALIBRATION_IMAGES,
    name: str | None = None,
) -> DataSet:
    """A DataSet from an npz archive: x, y (and train_x, train_y) are the names of its arrays.

    The split is that of ``load_idx``. Raises ValueError for a file that is missing, not npz or damaged, an array that
    is not in it, and arrays of pickled objects, which are never loaded.
    """
    if (train_x is None) != (train_y is None):
        raise ValueError("training images and training labels go together: one of the two array names is missing")
    wanted = [key for key in (x, y, train_x, train_y) if key is not None]
    arrays = npz_arrays(Path(path), wanted)
    train = (arrays[train_x], arrays[train_y]) if train_x is not None and train_y is not None else None
    return from_arrays(name or Path(path).name, (arrays[x], arrays[y]), train, preprocessing, calibration)


def load_inputs(
    path: str | Path, inputs: Mapping[str, str], y: str = "y", *, calibration: int = CALIBRATION_IMAGES
) -> DataSet:
    """A DataSet from an npz archive that has the array of every input of a network, by the input's name.

    Of any shape [N, ...], taken as they are; see ``from_inputs``.  Raises ValueError as ``load_npz`` does.
    """
    arrays = npz_arrays(Path(path), [*inputs.values(), y])
    return from_inputs(Path(path).name, {n: arrays[a] for n, a in inputs.items()}, arrays[y], calibration)


def from_arrays(
    name: str,
    test: tuple[Raw, Raw],
    train: tuple[Raw, Raw] | None = None,
    preprocessing: Preprocessing | None = None,
    calibration: int = CALIBRATION_IMAGES,
) -> DataSet:
    """A DataSet from raw images and labels, checked; see ``load_idx`` for the split. ValueError if they do not fit."""
    how = preprocessing or Preprocessing()
    x, y = _images(name, test[0], how), _labels(name, test[1])
    _same_count(name, x, y)
    given = None
    if train is not None:
        given = _images(name, train[0], how), _labels(name, train[1])
        _same_count(name, *given)
        if given[0].shape[1:] != x.shape[1:]:
            raise ValueError(f"{name}: training images are {given[0].shape[1:]}, test images {x.shape[1:]}")
    return _held_out(name, x, y, given, calibration)


def from_inputs(name: str, inputs: Mapping[str, Raw], labels: Raw, calibration: int = CALIBRATION_IMAGES) -> DataSet:
    """A DataSet of a network's inputs by name [N, ...]; those of several lie one after the other in flat samples.

    Whole numbers stay so where all inputs are.  Split as ``load_idx`` does.  Raises ValueError if they do not fit, or
    whole numbers beside real ones are too large for float32.
    """
    y = _labels(name, labels)
    for key, array in inputs.items():
        if array.ndim < 2 or 0 in array.shape or array.dtype.kind not in "uifb":
            raise ValueError(f"{name}: the input {key!r} must be numbers [N, ...], got {array.dtype} {array.shape}")
        _same_count(f"{name}: {key}", array, y)
    kind = np.int64 if all(array.dtype.kind in "uib" for array in inputs.values()) else np.float32
    parts = [array.astype(kind) for array in inputs.values()]
    for key, part in zip(inputs, parts, strict=True):
        if not np.isfinite(part).all() or (inputs[key].dtype.kind in "ui" and np.any(part != inputs[key])):
            raise ValueError(f"{name}: the input {key!r} holds values that {np.dtype(kind)} does not hold")
    x = parts[0] if len(parts) == 1 else np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)
    told = tuple(InputPart(key, tuple(part.shape[1:])) for key, part in zip(inputs, parts, strict=True))
    return replace(_held_out(name, x, y, None, calibration), parts=told)


def _held_out(name: str, x: Images, y: Labels, given: tuple[Images, Labels] | None, calibration: int) -> DataSet:
    """Evenly spaced samples set aside for calibration, the rest judged."""
    if calibration < 1:
        raise ValueError(f"calibration must be at least 1 image, got {calibration}")
    if len(x) <= calibration:
        raise ValueError(
            f"{name}: {len(x)} images are too few to set {calibration} aside for calibration; "
            "give a smaller calibration (data.calibration)"
        )
    aside = spread(len(x), calibration)
    rest = np.setdiff1d(np.arange(len(x)), aside)
    return data_set(name, given or (x[aside], y[aside]), (x[rest], y[rest]), x[aside])


def read_idx(path: str | Path) -> Raw:
    """The array in an IDX file, plain or gzip (format: yann.lecun.com/exdb/mnist). ValueError if it is not one."""
    with readable(path, "IDX file"):
        return _idx(_content(Path(path)))


def _idx(content: bytes) -> Raw:
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _IDX_TYPES:
        raise ValueError("it must begin with two zero bytes and a known element type")
    kind, dimensions = np.dtype(_IDX_TYPES[content[2]]), content[3]
    start = 4 + 4 * dimensions
    if dimensions == 0 or len(content) < start:
        raise ValueError("its header is truncated")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    expected = math.prod(shape) * kind.itemsize
    if len(content) - start != expected:
        raise ValueError(f"its header promises {shape} ({expected} bytes), the file holds {len(content) - start}")
    return np.frombuffer(content, kind, offset=start).reshape(shape).astype(kind.newbyteorder("="))


def _content(path: Path) -> bytes:
    raw = path.read_bytes()
    if raw[:2] != b"\x1f\x8b":
        return raw
    limit = unpacked_limit(len(raw))
    with gzip.open(io.BytesIO(raw)) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"its {len(raw)} bytes become more than {limit}, which are not unpacked")
    return content


def npz_arrays(path: Path, wanted: list[str]) -> dict[str, Raw]:
    """Arrays of an npz archive by name; pickled ones are never loaded.  ValueError if it is none or lacks one."""
    with readable(path, "npz archive"):
        with zipfile.ZipFile(path) as archive:
            check_members(archive, path.stat().st_size)
        with np.load(path, allow_pickle=False) as arrays:
            missing = [key for key in wanted if key not in arrays.files]
            if missing:
                raise ValueError(_no_such_array(missing[0], arrays.files))
            return {key: np.asarray(arrays[key]) for key in wanted}


def _no_such_array(key: str, there: list[str]) -> str:
    return f"there is no array {key!r} (there are: {', '.join(there) or 'none'}){nearest(key, there)}"


def _images(name: str, raw: Raw, how: Preprocessing) -> Images:
    if raw.ndim not in (3, 4) or raw.dtype.kind not in "uif":
        raise ValueError(
            f"{name}: images must be numbers [N, height, width] or four-dimensional, got {raw.dtype} {raw.shape}"
        )
    if 0 in raw.shape:
        raise ValueError(f"{name}: there are no images (shape {raw.shape})")
    x = raw[:, None] if raw.ndim == 3 else raw
    if raw.ndim == 4 and how.layout == "nhwc":
        x = x.transpose(0, 3, 1, 2)
    for label, values in (("mean", how.mean), ("std", how.std)):
        if len(values) not in (1, x.shape[1]):
            raise ValueError(f"{name}: {label} has {len(values)} values, the images have {x.shape[1]} channels")
    mean, std = (np.asarray(v, dtype=np.float32).reshape(1, -1, 1, 1) for v in (how.mean, how.std))
    scaled: Images = x.astype(np.float32)
    if how.scale is not None:
        scaled *= np.float32(how.scale)
    elif raw.dtype == np.uint8:
        scaled /= np.float32(255.0)
    scaled -= mean
    scaled /= std
    out: Images = np.ascontiguousarray(scaled)
    if not np.isfinite(out).all():
        raise ValueError(f"{name}: the images hold values that are not finite")
    return out


def _labels(name: str, raw: Raw) -> Labels:
    if raw.ndim != 1 or raw.dtype.kind not in "ui":
        raise ValueError(f"{name}: labels must be whole numbers [N], got {raw.dtype} {raw.shape}")
    if len(raw) and int(raw.min()) < 0:
        raise ValueError(f"{name}: labels must be >= 0, the smallest is {int(raw.min())}")
    return raw.astype(np.int64)


def _same_count(name: str, x: Images, y: Labels) -> None:
    if len(x) != len(y):
        raise ValueError(f"{name}: {len(x)} images but {len(y)} labels")
