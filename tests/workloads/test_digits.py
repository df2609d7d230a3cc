"""The embedded digits: the split, the values, the digest."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from qtaml_hw.workloads import load_data


def test_the_split_is_fixed_and_whole() -> None:
    data = load_data("digits")
    assert data.train_x.shape == (1297, 1, 8, 8)
    assert data.test_x.shape == (370, 1, 8, 8)
    assert data.calibration_x.shape == (130, 1, 8, 8)
    assert data.train_x.dtype == data.test_x.dtype == data.calibration_x.dtype == np.float32
    assert np.bincount(data.test_y).min() >= 30
    together = np.concatenate([data.train_x, data.test_x, data.calibration_x]).reshape(1797, 64)
    original = (load_digits().data / 16.0).astype(np.float32)
    assert sorted(map(bytes, together)) == sorted(map(bytes, original))
    assert data.digest == "378946ab4b38f63ccee578bd47c505f3afe3c2e481644258e5b3b17134ec0b98"


def test_values_labels_and_calibration() -> None:
    data = load_data()
    assert float(data.train_x.min()) == 0.0
    assert float(data.train_x.max()) == 1.0
    assert (data.input_shape, data.classes) == ((1, 8, 8), 10)
    rest = {x.tobytes() for x in np.concatenate([data.train_x, data.test_x])}
    assert not rest & {x.tobytes() for x in data.calibration_x}
