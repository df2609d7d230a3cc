"""Cells and channels of plane classes put side by side in one memory."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from qtaml_hw.channel import FlipChannel, Keeping
from qtaml_hw.config import Study
from qtaml_hw.errors import InputError
from qtaml_hw.memory import Cells


def side_by_side(cells: Sequence[Cells]) -> Cells:
    """The cells of a chip by class; ``model`` and ``phases`` are those of the top plane's."""
    return Cells(cells[-1].model, cells[-1].phases, cells[-1].kept, tuple(cells))


def by_plane(channels: Sequence[FlipChannel], members: Sequence[Sequence[int]]) -> FlipChannel:
    """The channel whose planes take those of their class.

    Dies of classes that differ from die to die are the same chips: their Gauss rules are walked together.
    """
    p01, p10 = np.zeros((2, channels[0].planes))
    for channel, planes in zip(channels, members, strict=True):
        p01[planes], p10[planes] = channel.p01[planes], channel.p10[planes]
    rules = {len(channel.dies) for channel in channels} - {0}
    dies: tuple[tuple[float, FlipChannel], ...] = ()
    if len(rules) == 1:
        own = [channel.dies or ((1.0, channel),) * max(rules) for channel in channels]
        shares = [share for share, _ in next(channel.dies for channel in channels if channel.dies)]
        dies = tuple((s, by_plane([of[n][1] for of in own], members)) for n, s in enumerate(shares))

    def kept(keeping: Keeping) -> FlipChannel:
        return by_plane([one if one.kept is None else one.under(keeping) for one in channels], members)

    source = "; ".join(f"planes {list(planes)}: {one.source}" for one, planes in zip(channels, members, strict=True))
    laws = {channel.law for channel in channels}
    return FlipChannel(p01, p10, laws.pop() if len(laws) == 1 else "retention", source, dies, cache(kept))


def one_cell(study: Study, question: str) -> None:
    """Raises InputError for a study whose planes are in several kinds of cells."""
    if study.by_plane:
        names = ", ".join(f"classes[{n}].study ({one.name})" for n, one in enumerate(study.classes))
        raise InputError(f"{question} is asked of one cell, and this study has several: ask {names} in Python")
