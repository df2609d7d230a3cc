"""Data sets as arrays: the embedded digits, and what every loader returns."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from qtaml_hw.workloads.catalogue import known

Images = npt.NDArray[Any]  # float32, or int64 token numbers
Labels = npt.NDArray[np.int64]

CALIBRATION_IMAGES: Final = 256
DIGITS_CALIBRATION: Final = 130  # of the 500 digits that are not trained on: as many as sensitivities look at


@dataclass(frozen=True, eq=False)
class Windows:
    """What test windows of texts stand for: int64 [N] the number of the text, and UTF-8 bytes of the judged tokens."""

    text: npt.NDArray[np.int64]
    judged_bytes: npt.NDArray[np.int64]


@dataclass(frozen=True)
class InputPart:
    """One input of a network: its name, and the shape of one sample of it, without batch."""

    name: str
    shape: tuple[int, ...]

    @property
    def values(self) -> int:
        """Numbers in one sample."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class DataSet:
    """Images and labels, split once and for all.

    train_x, test_x, calibration_x: float32 [N, channels, height, width], or int64 [N, tokens] for texts; train_y,
    test_y: int64 [N], or [N, tokens] where every token has a label.
    calibration_x: inputs without labels that plans, corrections and predictions look at; held out: neither
    trained on nor judged (a network is surer of its training images than of any others).
    digest: sha256 (hex) of all arrays, part of a result's identity.
    parts: which input of the network gets which part of a sample, where the data say so: several lie one after the
    other in flat samples.  windows: of texts in windows of tokens.
    """

    name: str
    train_x: Images
    train_y: Labels
    test_x: Images
    test_y: Labels
    calibration_x: Images
    digest: str
    parts: tuple[InputPart, ...] = ()
    windows: Windows | None = None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample, without the batch."""
        return tuple(self.test_x.shape[1:])

    def taken(self, wanted: int, how: str = "first") -> npt.NDArray[np.int64]:
        """Numbers of at most ``wanted`` test samples: the ``first`` ones, or ``spread`` evenly (for sorted files)."""
        there = len(self.test_y)
        return np.arange(min(wanted, there)) if how == "first" else spread(there, wanted)

    @property
    def classes(self) -> int:
        """Largest label + 1."""
        return 1 + int(max(self.test_y.max(initial=0), self.train_y.max(initial=0)))


def spread(count: int, wanted: int) -> npt.NDArray[np.int64]:
    """Indices of ``wanted`` evenly spaced samples, all of them if there are fewer: sorted files stay representative."""
    return np.unique(np.linspace(0, count - 1, min(wanted, count)).astype(np.int64))


def data_set(
    name: str,
    train: tuple[Images, Labels],
    test: tuple[Images, Labels],
    calibration_x: Images,
    windows: Windows | None = None,
) -> DataSet:
    """A DataSet out of its parts, with the digest computed."""
    train_x, train_y = train
    test_x, test_y = test
    parts = (train_x, train_y, test_x, test_y, calibration_x)
    return DataSet(name, train_x, train_y, test_x, test_y, calibration_x, array_digest(*parts), windows=windows)


def array_digest(*arrays: npt.NDArray[np.generic]) -> str:
    """sha256 (hex) over type, shape and bytes of the arrays, in order."""
    state = hashlib.sha256()
    for array in arrays:
        state.update(f"{array.dtype.str}{array.shape}".encode())
        state.update(np.ascontiguousarray(array).tobytes())
    return state.hexdigest()


def digits() -> DataSet:
    """scikit-learn's digits: 1797 images of 8 x 8, 16 grey levels scaled to 0..1 (UCI ML repository, Alpaydin and
    Kaynak 1998, doi:10.24432/C50P49). 1297 images for training, 50 per class held out: 370 for test, 130 for
    calibration; no network needed.

    The split orders each class by a hash of the image number, so it is the same with every numpy.
    """
    from sklearn.datasets import load_digits

    bundle = load_digits()
    x = (bundle.images[:, None] / 16.0).astype(np.float32)
    y = bundle.target.astype(np.int64)
    order = sorted(range(len(y)), key=lambda i: hashlib.sha256(f"digits {i}".encode()).digest())
    seen = np.zeros(10, dtype=np.int64)
    held: list[int] = []
    train: list[int] = []
    for i in order:
        (held if seen[y[i]] < 50 else train).append(i)
        seen[y[i]] += 1
    test, aside = held[:-DIGITS_CALIBRATION], held[-DIGITS_CALIBRATION:]
    return data_set("digits", (x[train], y[train]), (x[test], y[test]), x[aside])


EMBEDDED: Final[dict[str, Callable[[], DataSet]]] = {"digits": digits}


def load_data(name: str = "digits") -> DataSet:
    """The embedded data set of that name; ValueError with the names there are."""
    return EMBEDDED[known(name, EMBEDDED, "data set")]()
