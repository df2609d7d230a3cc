"""How weights are stored for a reproduction, what their scales cost, and paths over second order and stronger cells."""

from __future__ import annotations

import numpy as np
import pytest

from qtaml_hw.channel import FlipChannel
from qtaml_hw.config import parse_study
from qtaml_hw.reproduce.crossing import Search
from qtaml_hw.reproduce.paths import TAC_LAYER, PlanPath, Policy
from qtaml_hw.reproduce.storage import Storage, shifted
from qtaml_hw.reproduce.trial import AccuracyStore, Trial
from qtaml_hw.study.design.cells.cell import losing
from qtaml_hw.study.design.networks.network import StoredNetwork
from qtaml_hw.tac import Menu
from qtaml_hw.tac.prediction.crossing import Ladder
from qtaml_hw.weights import WeightFormat


def weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    spread = np.exp2(rng.uniform(-6.0, 0.0, (12, 1)))
    first = (rng.normal(size=(12, 50)) * spread).astype(np.float32)
    first[4] = 0.0
    return {"a": first, "b": rng.normal(size=(3, 12)).astype(np.float32)}


@pytest.mark.parametrize("encoding", ["twos_complement", "sign_magnitude"])
def test_shifts_keep_every_channel_within_twice_the_finest_step(encoding: str) -> None:
    given, form = weights(), WeightFormat(8, encoding)  # type: ignore[arg-type]
    image, finest = shifted(given, form), Storage(form.encoding, "per_channel").image(given)
    for one, best in zip(image.tensors, finest.tensors, strict=True):
        ratio = one.scale / best.scale
        alive = np.abs(given[one.name]).max(axis=1) > 0
        assert np.all((ratio[alive] >= 1.0 - 1e-6) & (ratio[alive] < 2.0))
        shifts = np.log2(one.scale[alive].max() / one.scale[alive])
        assert np.allclose(shifts, np.rint(shifts), atol=1e-5)
    decoded = image.decode()
    for name, w in given.items():
        step = {t.name: t.scale for t in image.tensors}[name]
        assert np.all(np.abs(decoded[name] - w) <= 0.5001 * step[:, None])


def test_scales_are_counted() -> None:
    given = weights()
    bits = 8 * (600 + 36)
    costs = {"per_tensor": 0.0, "per_channel": 32 * (15 - 2) / bits, "channel_shift": 4 * 15 / bits}
    for scale, cost in costs.items():
        storage = Storage(scale=scale)  # type: ignore[arg-type]
        assert storage.scale_fraction(storage.image(given)) == pytest.approx(cost)


def test_side_information_holds_the_scales(stored: StoredNetwork) -> None:
    channel = FlipChannel.uniform(0.1, stored.image.planes)
    sides = []
    for scales in (0.0, 0.03):
        search = Search(Trial(stored, channel, 1, AccuracyStore(), scale_fraction=scales), Ladder(3), 2)
        found = search.overheads(PlanPath(stored, channel, TAC_LAYER))
        assert found is not None
        sides.append(found.side)
    assert sides[1] - sides[0] == pytest.approx(0.03)


def test_second_order_plans_keep_the_budget_and_differ(stored: StoredNetwork) -> None:
    channel = FlipChannel.uniform(0.1, stored.image.planes)
    first = PlanPath(stored, channel, Policy("tac", "channel", "first")).plan(0.1)
    second = PlanPath(stored, channel, Policy("second", "channel", "second"))
    assert second.plan(0.1) == second.plan(0.1)
    assert second.plan(0.1).protected_bits_fraction <= 0.1
    assert not np.array_equal(second.plan(0.1).choice, first.choice)


def test_stronger_cells_cost_their_area(stored: StoredNetwork) -> None:
    channel = losing(parse_study("study: default cell"), 0.1, stored.image.planes)
    path = PlanPath(stored, channel, TAC_LAYER, Menu.of(["robust-cell"]))
    plan = path.plan(0.1)
    assert plan.protected_bits_fraction > 0.1
    assert path.overhead(plan) == pytest.approx(0.5 * plan.protected_bits_fraction)
    search = Search(Trial(stored, channel, 1, AccuracyStore()), Ladder(3), 2)
    ideal = search.overheads(PlanPath(stored, channel, TAC_LAYER))
    strong = search.overheads(path)
    assert ideal is not None
    assert strong is not None
    assert strong.value == pytest.approx(0.5 * ideal.value, rel=0.3)
