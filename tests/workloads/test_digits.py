"""The embedded digits: the split, the values, the digest."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from qtaml_hw.workloads import load_data


def test_the_split_is_fixed_and_whole() -> None:
    data = load_data("digits")
    assert data.train_x.shape == (1297, 1, 8, 8)
    assert data.test_x.shape == (500, 1, 8, 8)
    assert data.train_x.dtype == data.test_x.dtype == data.calibration_x.dtype == np.float32
    assert np.bincount(data.test_y).tolist() == [50] * 10
    together = np.concatenate([data.train_x, data.test_x]).reshape(1797, 64)
    original = (load_digits().data / 16.0).astype(np.float32)
    assert sorted(map(bytes, together)) == sorted(map(bytes, original))
    assert data.digest == "37e230ef82d8a6e1e25e8c30734491a88838351fc4ac577ee8a5299b7844a39f"


def test_values_labels_and_calibration() -> None:
    data = load_data()
    assert float(data.train_x.min()) == 0.0
    assert float(data.train_x.max()) == 1.0
    assert (data.input_shape, data.classes) == ((1, 8, 8), 10)
    assert np.array_equal(data.calibration_x, data.train_x[:256])
    assert np.bincount(data.train_y[:256], minlength=10).min() >= 10
