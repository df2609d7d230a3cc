"""Families of plans of several memories, merged one memory after the other without those that no budget is spent on.

A family of every memory together is a family of them all, and there are as many as the product of those of the
memories.  Each has a frontier: after its decoders the steps of the hull in buying order, of which every vertex is a
plan and no plan is below the lines between (Sinha and Zoltners 1979, see :mod:`qtaml_hw.tac.allocation.knapsack`).
Frontiers add by merging their steps.  A family is left out where at every budget some other one has a vertex as low as
its line: whatever else the budget is spent on, that plan can take its place, so the best plan is never lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qtaml_hw.arrays import Bool, Float64, Int64
from qtaml_hw.tac.allocation.families import Family


@dataclass(frozen=True, eq=False)
class Frontier:
    """What plans of a family of each of some memories, ``parts``, cost and leave.

    ``cost``, ``left`` float64 [S]: after each step in falling worth, the decoders first; both strictly monotonous.
    """

    parts: tuple[Family, ...]
    cost: Float64
    left: Float64

    @classmethod
    def of(cls, family: Family) -> Frontier:
        """Of one memory."""
        steps = family.path.steps
        free = int(np.count_nonzero(steps.cost == 0.0))  # the first in buying order
        unprotected = family.rest + float(family.path.damage[:, 0].sum()) - float(steps.saved[:free].sum())
        cost = family.fixed + np.concatenate([[0.0], np.cumsum(steps.cost[free:])])
        return cls((family,), cost, unprotected - np.concatenate([[0.0], np.cumsum(steps.saved[free:])]))

    def with_(self, other: Frontier) -> Frontier:
        """Of the memories of both."""
        cost, saved = (
            np.concatenate([np.diff(a), np.diff(b)]) for a, b in ((self.cost, other.cost), (-self.left, -other.left))
        )
        order = np.argsort(-saved / cost, kind="stable")
        costs = self.cost[0] + other.cost[0] + np.concatenate([[0.0], np.cumsum(cost[order])])
        left = self.left[0] + other.left[0] - np.concatenate([[0.0], np.cumsum(saved[order])])
        return Frontier((*self.parts, *other.parts), costs, left)

    def bound(self, budgets: Float64) -> Float64:
        """Damage below which no plan goes within budgets [E], without end below its decoders."""
        return np.where(budgets < self.cost[0], np.inf, np.interp(budgets, self.cost, self.left))


def merged(memories: Sequence[Sequence[Family]], most: float) -> tuple[Family, ...]:
    """Families of all memories together, one of each, of which some is best at every budget up to ``most``."""
    kept = [Frontier.of(one) for one in memories[0]]
    for families in memories[1:]:
        own = [Frontier.of(one) for one in families]
        kept = _needed([one.with_(other) for one in kept for other in own], most)
    return tuple(Family.joined(one.parts) for one in kept)


def _needed(frontiers: Sequence[Frontier], most: float) -> list[Frontier]:
    """Those whose line is somewhere below all vertices at lower cost, or that have the lowest vertex."""
    cost = np.concatenate([one.cost for one in frontiers])
    left = np.concatenate([one.left for one in frontiers])
    owner = np.repeat(np.arange(len(frontiers)), [one.cost.size for one in frontiers])
    order = np.lexsort((left, cost))
    order = order[cost[order] <= most]
    lowest = np.minimum.accumulate(left[order])
    steps: Bool = np.diff(lowest, prepend=np.inf) < 0.0
    at, level = cost[order][steps], lowest[steps]  # the front of all vertices, from left to right
    found: Int64 = owner[order][steps]
    needed = set(found.tolist())
    ends = np.append(at[1:], most)  # a line is lowest where the next vertex begins
    needed |= {i for i, one in enumerate(frontiers) if i not in needed and (one.bound(ends) < level).any()}
    return [frontiers[i] for i in sorted(needed)]
