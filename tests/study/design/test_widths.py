"""Studies whose policy chooses the bits of weights: budgets kept, growth of the record, accuracy, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qtaml_hw as q
from qtaml_hw.config import StudyError
from qtaml_hw.errors import InputError
from qtaml_hw.records.fields import F
from tests import studies

FIXED = {"flips": "{law: fixed, p: 0.10}", "refresh": "off"}
MENUS = [["ideal"], ["shannon"], ["secded-39-32"], ["secded-8-4", "repeat-3"]]
GROWTH = {"area_m2": F.area_m2, "energy_j": F.energy_per_inference_j}


def protection(policy: str = "joint", bits: float = 8.0, menu: str = "shannon") -> str:
    return f"{{policy: {policy}, budget: {{stored_bits: {bits}}}, menu: [{menu}], correction: planes}}"


@st.composite
def asked(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "array.banks": draw(st.sampled_from([1, 3, 8])),
        "array.word_bits": draw(st.sampled_from([64, 256])),
        "array.placement": draw(st.sampled_from(["row_major", "plane_separated"])),
        "array.interleave": draw(st.sampled_from(["block", "word"])),
        "cell.t_ox": draw(st.sampled_from(["1.8 nm", "1.9 nm"])),
        "refresh.interval": draw(st.sampled_from(["7 us", "20 us"])),
        "scrub.interval": draw(st.sampled_from(["off", "1 ms"])),
        "weights.encoding": draw(st.sampled_from(["twos_complement", "offset_binary"])),
        "protection.policy": draw(st.sampled_from(["joint", "uniform"])),
        "protection.menu": draw(st.sampled_from(MENUS)),
        "protection.correction": "planes",
        "protection.budget": {"stored_bits": draw(st.floats(2.5, 12.0))},
    }  # fmt: skip


@settings(max_examples=12, deadline=None)
@given(asked())
def test_a_record_stores_no_more_than_its_budget_and_grows_by_what_is_spent(changes: dict[str, Any]) -> None:
    """Fixed weak cells of the law retention, which lose ones alone; growth is over int8 with nothing protected."""
    found = studies.design(changes).facts
    assert found[F.stored_bits_per_weight] <= changes["protection.budget"]["stored_bits"] * (1 + 1e-12)
    assert (found["budget_kind"], found["budget"]) == ("stored_bits", changes["protection.budget"]["stored_bits"])
    assert (found["rounding"], found["scale"]) == ("gptq", "per_channel_log8")
    same = {k: v for k, v in changes.items() if not k.startswith("protection")}
    bare = studies.design({**same, "protection.policy": "none", "protection.correction": "planes"}).facts
    for name, field in GROWTH.items():
        assert found["spent"][name] == pytest.approx(found[field] - bare[field], rel=1e-6, abs=1e-19)
    assert found["spent"]["bits"] == found["protected_bits_fraction"]
    assert found["spent"]["parity"] == found["parity_bits_fraction"]


def test_the_bits_of_a_record_are_counted_by_hand() -> None:
    """Data and check bits by layer, 8 bits a scale and 8 a tensor, which width a layer has, what open planes count."""
    found = studies.design(**FIXED, protection=protection(bits=5.0, menu="ideal-1")).facts
    layers = found["layers"]
    data = sum(t["weights"] * t["stored_planes"] for t in layers)
    check = sum(t["weights"] * t["protected_planes"] for t in layers)
    scales = 8 * (sum(t.shape[0] for t in studies.design(**FIXED).image.tensors) + len(layers))
    patterns = len({(t["stored_planes"], t["protected_planes"]) for t in layers})
    side = 5 * (patterns - 1).bit_length() + 32 * (any(t["stored_planes"] > t["protected_planes"] for t in layers))
    total = found[F.stored_bits_per_weight] * sum(t["weights"] for t in layers)
    assert total == pytest.approx(data + check + scales + side)


def test_eight_stored_bits_keep_a_network_that_int8_loses() -> None:
    lost = studies.design(**FIXED)
    kept = studies.design(**FIXED, protection=protection())
    ahead = [d.record(0)[F.score] for d in (lost, kept)]
    clean = kept.facts["clean_score"]
    assert ahead[0] < 0.7 * clean
    assert ahead[1] > 0.95 * clean
    assert kept.facts[F.stored_bits_per_weight] <= 8.0
    assert kept.facts["predicted_distortion"] >= kept.facts["lower_bound"] > 0.0


def test_without_flips_a_record_is_the_network_of_its_widths() -> None:
    found = studies.design(flips="{law: fixed, p: 0}", refresh="off", protection=protection(bits=4.0))
    assert found.record(0)[F.score] == found.facts[F.quantised_score]
    planes = {t["stored_planes"] for t in found.facts["layers"]}
    assert max(planes) < 8
    for tensor, layer in zip(found.image.tensors, found.facts["layers"], strict=True):
        assert not (tensor.codes & ((1 << (8 - layer["stored_planes"])) - 1)).any()


def test_allocate_says_what_the_record_says(tmp_path: Path) -> None:
    asked = studies.study(**FIXED, protection=protection(bits=6.0, menu="ideal"))
    found, facts = q.allocate(asked), studies.design(**FIXED, protection=protection(bits=6.0, menu="ideal")).facts
    told = found.as_dict()
    assert told["stored_bits_per_weight"] == facts[F.stored_bits_per_weight] <= 6.0
    assert [g["stored_planes"] for g in told["groups"]] == [t["stored_planes"] for t in facts["layers"]]
    assert told["spent"] == facts["spent"]
    found.save(tmp_path / "plan.json")
    with pytest.raises(InputError, match="its codes come from the policy joint"):
        studies.design(**FIXED, protection=f"{{plan: {tmp_path / 'plan.json'}}}")


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"protection": "{policy: joint, budget: {bits: 5 %}}"}, "spends stored_bits.*got bits"),
        ({"protection": "{policy: tac, budget: {stored_bits: 9}}"}, "joint and uniform choose; tac adds.*use parity"),
        ({"protection": "{policy: joint, correction: shrink}"}, "rounded for the correction planes, .*; got shrink"),
        ({"protection": "{policy: uniform, group: word, budget: {stored_bits: 9}}"}, "chosen by layer; got group word"),
        ({"protection": "{policy: joint}", "weights": "{format: int8, encoding: gray}"}, "got int8 in gray"),
        ({"protection": "{policy: joint}", "weights": "{format: e4m3}"}, "got e4m3"),
        ({"protection": "{policy: joint}", "weights": "{transforms: invert_planes}"}, "chooses the codes themselves"),
    ],
)
def test_what_does_not_go_together_is_refused(sections: dict[str, str], said: str) -> None:
    with pytest.raises(StudyError, match=said):
        studies.study(**sections)


@pytest.mark.parametrize(
    ("bits", "menu", "said"),
    [
        (8.0, "robust-cell", "cannot price robust-cell"),
        (1.5, "shannon", r"a budget of 1\.5 stored bits per weight buys no weights"),
    ],
)
def test_what_cannot_be_paid_is_one_line(bits: float, menu: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        studies.design(protection=protection(bits=bits, menu=menu))
