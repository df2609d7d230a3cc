"""On a GPU: the same flips, codes and weights bit for bit, scores within a stated tolerance of the processor's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from qtaml_hw.faults import MapKey, flip_bits
from qtaml_hw.faults.torch_twin import flip_torch
from qtaml_hw.study.design.design import DesignPoint
from qtaml_hw.study.design.streamed.model import stream
from qtaml_hw.study.run.evaluate import prepare_point
from tests import studies

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")

POINTS: dict[str, dict[str, str]] = {
    "nothing protected": {"flips": "{law: fixed, p: 0.02}", "refresh": "off"},
    "rare": {"flips": "{law: fixed, p: 1e-5}", "refresh": "off"},
    "retention": {"refresh": "off"},
    "words": {"protection": "{policy: uniform, planes: 2, menu: [secded-72-64], correction: none}"},
    "by sensitivity": {"protection": "{policy: tac, budget: {bits: 10 %}, menu: [ideal], correction: auto}"},
    "matched channels": {"protection": "{policy: none, correction: calibrate}", "refresh": "off"},
    "wide codes": {"weights": "{format: float16}", "flips": "{law: fixed, p: 1e-3}", "refresh": "off"},
}
COUNTED = ("flips_raw", "flips_parity", "flips_residual", "words_corrected", "words_uncorrectable", "identity")


def both(sections: dict[str, str]) -> tuple[DesignPoint, DesignPoint]:
    here, there = (studies.design({"evaluate.device": device}, **sections) for device in ("cpu", "cuda"))
    return here, there


@pytest.mark.parametrize("sections", POINTS.values(), ids=POINTS)
def test_a_record_is_that_of_the_processor(sections: dict[str, str]) -> None:
    here, there = both(sections)
    assert there.facts["device"].startswith("cuda")
    for index in range(3):
        mine, theirs = here.record(index), there.record(index)
        assert {k: mine[k] for k in COUNTED} == {k: theirs[k] for k in COUNTED}
        assert abs(mine["correct"] - theirs["correct"]) <= 1  # of 100 images


def test_outputs_differ_by_the_order_of_sums_alone() -> None:
    here, there = both(POINTS["nothing protected"])
    codes = here.cell.live(here.chip, 1, 0).read_out[-1]
    mine, theirs = (one._begun(codes).cpu().double().numpy() for one in (here, there))
    assert np.abs(mine - theirs).max() <= 1e-4 * np.abs(mine).max()


def test_decoded_weights_are_the_same_bits() -> None:
    _, there = both(POINTS["by sensitivity"])
    codes = there.cell.live(there.chip, 1, 0).read_out[-1]
    weights = there.protection.decoder.decode(codes)
    for name, found in there.protection.decoder.tensors(codes, torch.device("cuda")).items():
        np.testing.assert_array_equal(found.cpu().numpy(), weights[name])


def test_sensitivity_is_that_of_the_processor() -> None:
    networks = studies.NETWORKS
    found = [networks.load(studies.study({"evaluate.device": d})).calibration for d in ("cpu", "cuda")]
    mine, theirs = (one.importance for one in found)
    assert np.abs(mine - theirs).max() <= 1e-3 * mine.max()


def test_maps_begun_ahead_are_those_of_one_at_a_time() -> None:
    study = studies.study({"evaluate.device": "cuda"}, **POINTS["nothing protected"])
    point = prepare_point(study.points()[0], 0, studies.NETWORKS)
    assert point.ahead
    assert [dict(point.record(i))["score"] for i in (0, 1)] == [point.design.record(i)["score"] for i in (0, 1)]


@pytest.mark.parametrize("p", [0.5, 0.02, 1e-4, 1e-6])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_flips_of_many_chunks_are_the_engines(p: float, dtype: type) -> None:
    codes = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, 3_000_001, dtype=dtype)
    expected = flip_bits(codes, p, p, seed=3, map_index=2, tensor=1)
    got = flip_torch(torch.from_numpy(codes).cuda(), p, p, MapKey(3, 2, 1))
    assert np.array_equal(got.cpu().numpy(), expected)


def test_a_stream_is_that_of_the_processor(tmp_path: Path) -> None:
    torch.manual_seed(3)
    save_file({"a.weight": torch.randn(400, 160), "b.weight": torch.randn(80, 400)}, tmp_path / "m.safetensors")
    study, seen = studies.study(**POINTS["nothing protected"]), dict[str, list[np.ndarray]]()
    for device in (None, "cuda"):
        stream(study, tmp_path, each=lambda name, w: seen.setdefault(name, []).append(w), device=device)
    for one, two in seen.values():
        np.testing.assert_array_equal(one, two)
