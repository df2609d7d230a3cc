"""Scales in eight bits: microscaling formats against ml_dtypes and plain loops, grids, and their names in a study."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from qtaml_hw.config import StudyError, parse_study
from qtaml_hw.names import PLANES, SHARED_FORMATS
from qtaml_hw.study.design.networks.image import stored_as
from qtaml_hw.weights import ScaleLayout, number_format, quantise
from qtaml_hw.weights.grids import GRIDS
from qtaml_hw.weights.parts import product

PEER = {
    "e2m1": ml_dtypes.float4_e2m1fn,
    "e2m3": ml_dtypes.float6_e2m3fn,
    "e3m2": ml_dtypes.float6_e3m2fn,
    "e4m3": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
}
E4M3 = sorted({float(v) for v in np.arange(256, dtype=np.uint8).view(ml_dtypes.float8_e4m3fn) if v > 0})


def weights(columns: int = 100) -> np.ndarray:
    """Rows of very unlike size; a run of a row is all zero."""
    draw = np.random.default_rng(5)
    w = draw.standard_t(3, size=(6, columns)) * np.exp2(draw.integers(-9, 9, size=(6, 1)))
    w[2, :32] = 0.0
    return w.astype(np.float32)


def runs(w: np.ndarray, size: int) -> list[np.ndarray]:
    """The weights of every scale, row by row, the last of a row shorter."""
    return [row[i : i + size] for row in w for i in range(0, row.size, size)]


def least_power(x: float) -> float:
    """The least power of two that is not below x."""
    power = 2.0**-127
    while power < x:
        power *= 2.0
    return power


def twin_scales(peaks: list[float], largest: float, grid: str) -> list[float]:
    """Least numbers of the grid at which nothing is clipped, one run at a time; of zeros the least of the others."""
    steps = [float(np.float32(peak) / np.float32(largest)) for peak in peaks]
    steps = [step or min(s for s in steps if s) for step in steps]
    if grid == "e8m0":
        return [least_power(step) for step in steps]
    octave = least_power(max(steps) / E4M3[-1])
    return [octave * next(v for v in E4M3 if v * octave >= step) for step in steps]


@pytest.mark.parametrize("name", SHARED_FORMATS)
def test_shared_formats_are_those_of_plain_loops_and_ml_dtypes(name: str) -> None:
    form, layout = stored_as(parse_study(f"weights: {{format: {name}}}\n"))
    elements = SHARED_FORMATS[name][0]
    w, peer = weights(), PEER[elements]
    tensor = quantise({"w": w}, form, layout).tensors[0]
    blocks = runs(w, layout.group)
    scales = twin_scales([float(np.abs(b).max()) for b in blocks], float(ml_dtypes.finfo(peer).max), layout.grid)
    assert tensor.scale.tolist() == scales
    steps = np.repeat(np.array(scales, dtype=np.float32), [b.size for b in blocks])
    expected = (w.reshape(-1) / steps).astype(peer).astype(np.float32) * steps
    assert np.array_equal(tensor.decode(tensor.codes).reshape(-1), expected)
    assert PLANES[name] == form.bits == number_format(elements).bits
    assert layout.bits(w.shape) == 8 * len(blocks) + (8 if name == "nvfp4" else 0)


def test_stored_exponents_are_e8m0_of_ml_dtypes() -> None:
    scale = quantise({"w": weights()}, number_format("e2m1"), ScaleLayout.of("group-32-e8m0")).tensors[0].scale
    (part,) = GRIDS["e8m0"].parts(scale)
    assert np.array_equal(part.codes.view(ml_dtypes.float8_e8m0fnu).astype(np.float32), scale)


@pytest.mark.parametrize("grid", GRIDS)
@given(scale=arrays(np.float32, 9, elements=st.floats(2.0**-20, 2.0**20, width=32)))
def test_grids_round_up_stay_and_are_the_product_of_their_codes(grid: str, scale: np.ndarray) -> None:
    most = {"log8": 2 ** (1 / 16), "e8m0": 2.0, "e4m3": 1.125}[grid]
    found = GRIDS[grid].rounded(scale)
    assert np.all(found >= scale * (1 - 1e-5))
    near = scale > found.max() * 2.0**-14  # of e4m3, what is no subnormal number
    assert np.all(found[near] <= scale[near] * most * (1 + 1e-5))
    assert np.array_equal(GRIDS[grid].rounded(found), found)
    assert np.array_equal(product(GRIDS[grid].parts(found), "scale", 9), found)


@pytest.mark.parametrize("grid", ["e8m0", "e4m3"])
def test_a_searched_clip_stays_on_the_grid_and_leaves_no_more_error(grid: str) -> None:
    w, form, layout = weights(), number_format("e2m1"), ScaleLayout("per_group", 16, grid=grid)
    peak, searched = (quantise({"w": w}, form, layout, clip=clip) for clip in ("peak", "mse"))
    assert np.array_equal(GRIDS[grid].rounded(searched.tensors[0].scale), searched.tensors[0].scale)
    left = [float(((image.decode()["w"].astype(np.float64) - w) ** 2).sum()) for image in (peak, searched)]
    assert left[1] < left[0]


@pytest.mark.parametrize("size", [1, 7, 16, 48, 4096])
def test_groups_have_any_size(size: int) -> None:
    study = parse_study(f"weights: {{format: int4, scale: group-{size}}}\n")
    w = weights()
    scale = quantise({"w": w}, *stored_as(study)).tensors[0].scale
    peaks = [float(np.abs(b).max()) for b in runs(w, size)]
    assert scale.size == len(peaks)
    there = np.array(peaks) > 0.0
    np.testing.assert_allclose(scale[there], np.array(peaks)[there] / 7.0, rtol=2**-7)


@pytest.mark.parametrize(
    ("weights_section", "message"),
    [
        ("{format: mxfp4, scale: per_channel}", "mxfp4 is e2m1 with scale group-32-e8m0; leave out scale"),
        ("{format: mxfp4, scale: per_tensor}", "mxfp4 is e2m1 with scale group-32-e8m0; leave out scale"),
        ("{scale: group-0}", "'group-0' is no group; write group-N"),
        ("{scale: group-32-e9m0}", "'group-32-e9m0' is no group; write group-N"),
        ("{format: mxfp5}", "nvfp4, cosq, file; did you mean 'mxfp8'"),
        ("{format: bfloat16, scale: group-32-e8m0}", "has its own exponent and no scale"),
    ],
)
def test_what_is_no_format_or_group_is_refused(weights_section: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        parse_study(f"weights: {weights_section}\n")


def test_both_spellings_are_one_study() -> None:
    short = parse_study("weights: {format: nvfp4}\n")
    long = parse_study("weights: {format: e2m1, scale: group-16-e4m3}\n")
    assert short.weights == long.weights
    assert short.with_({"weights.format": "int8"}).weights.scale == "per_tensor"
