"""The hardening section from the file to the records: what runs, what is refused, what is part of a result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qtaml_hw.config import Study, StudyError, parse_study
from qtaml_hw.errors import InputError
from qtaml_hw.study.design.networks.identity import network_key
from qtaml_hw.verbs import run

HARDENED = "hardening: {method: noise, amplitude: 0.02, epochs: 1, clip: 0.5}"
REST = """
cell: {t_ox: 1.8 nm, temperature: 85 degC}
flips: {law: fixed, p: 1 %}
evaluate: {at: [1 ms], images: 50, maps: {min: 2, max: 2}}
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QTAML_HW_CACHE", str(tmp_path))
    return tmp_path


def study(text: str) -> Study:
    return parse_study(f"{REST}{text}\n", name="hardened.yaml")


def test_a_hardened_network_is_trained_kept_and_told(cache: Path) -> None:
    found = run(study(HARDENED))
    assert len(list((cache / "networks").glob("digits-lenet-noise-*.safetensors"))) == 1
    facts = found.as_dict()
    assert facts["hardening"] == "noise"
    assert (facts["hardening_amplitude"], facts["hardening_clip"], facts["hardening_epochs"]) == (0.02, 0.5, 1)
    assert "hardening_p" not in facts


def test_the_default_is_no_part_of_an_identity_and_every_other_value_is() -> None:
    plain = study("")
    assert plain.identity() == study("hardening: {method: none}").identity()
    others = [
        "{method: qat}",
        "{method: none, seed: 7}",
        "{method: noise, amplitude: 0.1}",
        "{method: noise, amplitude: 0.2}",
        "{method: relative_noise, amplitude: 0.1}",
        "{method: bit_error, p: 1 %}",
        "{method: bit_error, p: 1 %, direction: 1to0}",
        "{method: bit_error, p: 1 %, clip: 0.2}",
    ]
    found = [plain, *(study(f"hardening: {text}") for text in others)]
    assert len({one.identity() for one in found}) == len({network_key(one) for one in found}) == len(found)


def test_the_number_format_decides_the_weights_only_where_training_sees_codes() -> None:
    def keys(method: str) -> set[str]:
        texts = (f"hardening: {method}\nweights: {{encoding: {e}}}" for e in ("twos_complement", "offset_binary"))
        return {network_key(study(text)) for text in texts}

    assert len(keys("{method: bit_error, p: 1 %}")) == 2
    assert len(keys("{method: noise, amplitude: 0.1}")) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{method: noise}", "noise needs amplitude"),
        ("{method: bit_error}", "bit_error needs p, such as 'p: 1 %'"),
        ("{method: qat, amplitude: 0.1}", "amplitude is for noise and relative_noise"),
        ("{method: qat, direction: 1to0}", "direction is for bit_error"),
        ("{method: none, epochs: 3}", "name a method"),
        ("{method: bit_error, p: 60 %}", "at most"),
        ("{method: noisy}", "hardening.method"),
        ("{method: noise, amplitude: -1}", "amplitude"),
    ],
)
def test_bad_values_are_refused_with_their_reason(text: str, message: str) -> None:
    with pytest.raises(StudyError) as caught:
        study(f"hardening: {text}")
    assert message in str(caught.value)


NETWORK = """
import torch
def build():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
"""


def own(folder: Path, hardening: str) -> Study:
    (folder / "hardened_nets.py").write_text(NETWORK)
    draw = np.random.default_rng(1)
    x, y = draw.normal(size=(60, 1, 4, 4)).astype(np.float32), draw.integers(0, 3, 60)
    np.savez(folder / "mine.npz", x=x, y=y, train_x=x, train_y=y)
    data = "npz: {path: mine.npz, train_x: train_x, train_y: train_y}, calibration: 20"
    text = f"network: {{factory: 'hardened_nets:build'}}\ndata: {{{data}}}\nhardening: {hardening}\n"
    (folder / "own.yaml").write_text(REST + text)
    return parse_study((folder / "own.yaml").read_text(), name=str(folder / "own.yaml"), folder=folder)


def test_a_network_of_ones_own_is_trained_further(tmp_path: Path) -> None:
    found = run(own(tmp_path, "{method: qat, epochs: 2}"))
    assert any("trained further for 2 epochs" in text for text in found.warnings)


@pytest.mark.parametrize(
    ("hardening", "message"),
    [
        ("{method: qat}", "how many epochs"),
        ("{method: none, seed: 4}", "have no seed"),
    ],
)
def test_what_a_network_of_ones_own_cannot_do_is_said(tmp_path: Path, hardening: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(own(tmp_path, hardening))
