"""The small study, and its network loaded once for all tests of the chain."""

from __future__ import annotations

import pytest

from qtaml_hw.config import Study
from qtaml_hw.study.design.networks.loaded import Networks
from tests import studies


@pytest.fixture(scope="session")
def small() -> Study:
    return studies.study()


@pytest.fixture(scope="session")
def networks() -> Networks:
    return studies.NETWORKS
