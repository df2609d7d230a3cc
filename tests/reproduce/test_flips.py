"""The fast path of stated flip probabilities is the simulated memory's, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from qtaml_hw import memory
from qtaml_hw.channel import FlipChannel
from qtaml_hw.faults import MAPS
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.reproduce.flips import FixedFlips, protected_mask
from qtaml_hw.tac import DrawnFlips
from qtaml_hw.weights import StoredImage, quantise


def small_image() -> StoredImage:
    rng = np.random.default_rng(5)
    return quantise(
        {"a": rng.normal(size=(7, 50)).astype(np.float32), "b": rng.normal(size=(3, 90)).astype(np.float32)}
    )


@pytest.mark.parametrize("direction", ["symmetric", "1to0"])
def test_it_equals_the_timeline_under_the_fixed_law(direction: str) -> None:
    image = small_image()
    starts = image.group_starts("word")
    choice = np.random.default_rng(1).integers(0, 2, (starts.size - 1, 8)).astype(np.uint8)
    plan = ProtectionPlan(starts, image.tensor_starts, "word", "test", ("none", "ideal"), choice)
    channel = FlipChannel.uniform(0.1, 8, direction=direction)
    schedule = memory.Schedule(horizon_s=1e-3, refresh_interval_s=None, sample_times_s=(1e-3,))
    chip = memory.Memory(tuple(image.codes()), 8, plan, memory.ArrayGeometry(), schedule)
    fast = FixedFlips(image, channel, seed=9)
    for index in (0, 4):
        timeline = chip.run(memory.FixedCells(channel.p01, channel.p10), seed=9, map_index=index)
        slow = timeline.read_out[-1]
        assert all(np.array_equal(a, b) for a, b in zip(fast.read(plan, index), slow, strict=True))
        assert any(np.any(a != b) for a, b in zip(slow, image.codes(), strict=True))
    drawn = DrawnFlips(image, channel, seed=9).read(plan, 2)
    planned = fast.read(plan, MAPS["planning"].number(2))
    assert all(np.array_equal(a, b) for a, b in zip(drawn, planned, strict=True))


def test_masks_follow_groups_and_planes() -> None:
    plan = ProtectionPlan.uniform_msb([0, 3, 5], 8, 2, "ideal")
    assert protected_mask(plan).tolist() == [0b11000000] * 5
    with pytest.raises(ValueError, match="only ideal protection is a mask; the plan's menu also has secded-72-64"):
        protected_mask(ProtectionPlan.uniform_msb([0, 3], 8, 1, "secded-72-64"))
