"""One small study on the embedded digits, and its network loaded once for all tests of the chain."""

from __future__ import annotations

import pytest

from qtaml_hw.config import Study, parse_study
from qtaml_hw.study.design.networks import Networks

TEXT = """
study: small
cell: {t_ox: 1.8 nm, temperature: 85 degC}
network: {name: digits-lenet}
data: {name: digits}
protection: {policy: none, correction: none}
evaluate: {at: [1 ms], images: 100, maps: {min: 2, max: 2}}
"""


@pytest.fixture(scope="session")
def small() -> Study:
    return parse_study(TEXT, name="small.yaml")


@pytest.fixture(scope="session")
def networks() -> Networks:
    return Networks()
