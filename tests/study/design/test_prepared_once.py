"""What a point takes of its cell and its network is computed once, and let go with what it was computed for."""

from __future__ import annotations

import gc
import sys
import weakref
from typing import Any

import numpy as np
import pytest

from qtaml_hw import device
from qtaml_hw.config import Study
from qtaml_hw.study.design.cells import cell
from qtaml_hw.study.design.design import prepare
from qtaml_hw.study.design.networks.loaded import Networks
from qtaml_hw.weights.transforms_planes import inverted


@pytest.fixture
def temperatures_k(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The temperature of every population of charge cells that is computed from now on."""
    cell._population.cache_clear()
    asked: list[float] = []
    module = sys.modules["qtaml_hw.device.population"]
    real = module.charge_population  # type: ignore[attr-defined]

    def counted(asked_for: Any, die: Any = None) -> Any:
        asked.append(asked_for.temperature_k)
        return real(asked_for, die)

    monkeypatch.setattr(module, "charge_population", counted)
    monkeypatch.setattr(device, "charge_population", counted)
    return asked


@pytest.mark.parametrize("law", ["retention", "poisson"])
def test_a_point_computes_its_population_once(
    small: Study, networks: Networks, temperatures_k: list[float], law: str
) -> None:
    design = prepare(small.with_({"flips.law": law, "refresh.interval": "20 us"}), networks)
    assert temperatures_k == [358.15]
    design.record(0)
    assert temperatures_k == [358.15]


def test_phases_and_profiled_rows_take_the_same_populations(
    small: Study, networks: Networks, temperatures_k: list[float]
) -> None:
    hot = {"label": "hot", "from": "200 us", "to": "600 us", "temperature": "105 degC"}
    changes = {"timeline.phases": [hot], "refresh.interval": "10 us", "refresh.retention_aware": {"multiples": [2, 4]}}
    design = prepare(small.with_(changes), networks)
    assert temperatures_k == pytest.approx([358.15, 378.15])
    schedule = design.chip.schedule
    assert schedule.phases[0].cell is design.cell.cells.phases[0]
    assert schedule.retention_aware is not None
    assert schedule.retention_aware.cell is design.cell.cells
    assert design.cell.model is design.cell.population


def test_an_inverted_image_has_damage_of_its_own_and_the_same_weights(small: Study, networks: Networks) -> None:
    stored = networks.load(small)
    image, seen = stored.image, stored.calibration
    other = inverted(image, [255] * len(image.tensors))
    before, after = seen.damage(image, "layer"), seen.damage(other, "layer")
    assert seen.damage(image, "layer") is before
    np.testing.assert_allclose(after.ones, before.zeros, rtol=1e-12)
    np.testing.assert_allclose(after.zeros, before.ones, rtol=1e-12)
    assert stored.network.score(other.decode()) == stored.quantised_score


def test_damage_is_let_go_with_its_image(small: Study, networks: Networks) -> None:
    stored = networks.load(small)
    image = inverted(stored.image, [1] * len(stored.image.tensors))
    stored.calibration.damage(image, "layer")
    left = weakref.ref(image)
    del image
    gc.collect()
    assert left() is None
