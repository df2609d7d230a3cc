"""GPTQ, AWQ and compressed-tensors folders against weights that were packed value by value."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from qtaml_hw.errors import InputError
from qtaml_hw.weights.image import StoredTensor
from qtaml_hw.workloads.packed import read_quantised_folder

rng = np.random.default_rng(6)
OUT, IN, GROUP, BITS = 16, 32, 8, 4
AWQ = (0, 2, 4, 6, 1, 3, 5, 7)


def packed(levels: np.ndarray, order: tuple[int, ...] = tuple(range(8))) -> torch.Tensor:
    """Levels [rows, columns] of 4 bits into words along the columns, one at a time; place i holds column order[i]."""
    rows, columns = levels.shape
    words = [[0] * -(-columns // 8) for _ in range(rows)]
    for r in range(rows):
        for c in range(0, columns, 8):
            for place, column in enumerate(order):
                level = int(levels[r, c + column]) if c + column < columns else 0
                words[r][c // 8] |= level << (4 * place)
    return torch.from_numpy(np.array(words, np.uint32).view(np.int32).copy())


def parts(groups: int = IN // GROUP) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Levels and zero points, uint4, and scales in float16: [out, in], [out, groups] twice."""
    levels, zeros = rng.integers(0, 16, (OUT, IN)), rng.integers(0, 15, (OUT, groups))
    return levels, zeros, rng.uniform(0.01, 0.1, (OUT, groups)).astype(np.float16)


def meant(levels: np.ndarray, zeros: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """scale x (level - zero), weight by weight."""
    size, out = levels.shape[1] // scales.shape[1], np.empty(levels.shape, np.float32)
    for o, i in np.ndindex(*levels.shape):
        out[o, i] = np.float32(scales[o, i // size]) * np.float32(levels[o, i] - zeros[o, i // size])
    return out


def read(folder: Path, tensors: dict[str, torch.Tensor], **settings: object) -> dict[str, StoredTensor | torch.Tensor]:
    save_file({name: t.contiguous() for name, t in tensors.items()}, folder / "model.safetensors")
    if settings:
        (folder / "config.json").write_text(json.dumps({"quantization_config": settings}))
    return read_quantised_folder(folder).tensors


def same(found: object, levels: np.ndarray, expected: np.ndarray) -> None:
    assert isinstance(found, StoredTensor)
    np.testing.assert_array_equal(found.codes.reshape(levels.shape), levels)
    np.testing.assert_array_equal(found.decode(found.codes), expected)


def gptq(levels: np.ndarray, zeros: np.ndarray, scales: np.ndarray) -> dict[str, torch.Tensor]:
    return {
        "a.qweight": packed(levels).T,
        "a.qzeros": packed(zeros.T),
        "a.scales": torch.from_numpy(scales.T.copy()),
        "a.g_idx": torch.arange(IN, dtype=torch.int32) // GROUP,
        "norm.weight": torch.ones(3),
    }


def test_gptq(tmp_path: Path) -> None:
    levels, zeros, scales = parts()
    found = read(tmp_path, gptq(levels, zeros, scales), quant_method="gptq")
    assert found.keys() == {"a.weight", "norm.weight"}
    same(found["a.weight"], levels, meant(levels, zeros + 1, scales))
    v2 = read(tmp_path, gptq(levels, zeros, scales), quant_method="gptq", checkpoint_format="gptq_v2")
    same(v2["a.weight"], levels, meant(levels, zeros, scales))
    assert isinstance(found["a.weight"], StoredTensor)
    assert found["a.weight"].scale_bits == OUT * (IN // GROUP) * (16 + 4)


def test_awq(tmp_path: Path) -> None:
    levels, zeros, scales = parts()
    tensors = {
        "b.qweight": packed(levels.T, AWQ),
        "b.qzeros": packed(zeros.T, AWQ),
        "b.scales": torch.from_numpy(scales.T.copy()),
    }
    same(read(tmp_path, tensors, quant_method="awq")["b.weight"], levels, meant(levels, zeros, scales))


def test_float32_scales_are_two_codes_each(tmp_path: Path) -> None:
    levels, zeros, scales = parts()
    exact = scales.astype(np.float32) * np.float32(1.0001)
    tensors = gptq(levels, zeros, scales) | {"a.scales": torch.from_numpy(exact.T.copy())}
    found = read(tmp_path, tensors)["a.weight"]
    same(found, levels, meant(levels, zeros + 1, exact))
    assert isinstance(found, StoredTensor)
    assert found.scale_bits == OUT * (IN // GROUP) * (32 + 4)


@pytest.mark.parametrize("groups", [1, IN // GROUP])
@pytest.mark.parametrize("asymmetric", [False, True])
def test_compressed_tensors(tmp_path: Path, groups: int, asymmetric: bool) -> None:
    levels, zeros, scales = parts(groups)
    tensors = {
        "c.weight_packed": packed(levels),
        "c.weight_scale": torch.from_numpy(scales).bfloat16(),
        "c.weight_shape": torch.tensor([OUT, IN]),
    }
    if asymmetric:
        tensors["c.weight_zero_point"] = packed(zeros.T).T
    rounded = torch.from_numpy(scales).bfloat16().float().numpy()
    expected = meant(levels, zeros if asymmetric else np.full_like(zeros, 8), rounded)
    same(read(tmp_path, tensors)["c.weight"], levels, expected)


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    tensors = gptq(*parts())
    turned = {**tensors, "a.g_idx": torch.zeros(IN, dtype=torch.int32)}
    short = {**tensors, "a.scales": tensors["a.scales"][:3]}
    wide = {**tensors, "a.scales": tensors["a.scales"].double()}
    lacking = {name: t for name, t in tensors.items() if name != "a.qzeros"}
    for given, said in (
        (turned, "a.weight: its 32 inputs do not fall into 4 groups of one size"),
        (short, r"a.weight: its 32 inputs do not fall|a.weight: scales \(16, 3\) and zero points do not fit"),
        (wide, "a.weight: scales are float64"),
        (lacking, "a. lacks qzeros"),
    ):
        with pytest.raises(InputError, match=said):
            read(tmp_path, given)
