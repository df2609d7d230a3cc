"""Bits and protection chosen together: the widths of all tensors under one budget of stored bits, and the codes.

A multiple-choice knapsack: items are tensors, options their widths (``WidthTable``).  The codes of the widths chosen
are rounded with their errors made up for (``weights.gptq``) where second moments of a layer's inputs are known, towards
what every code is decoded to on average.  A code of B planes stands in the top planes of the image's format, so a plan
says by ``absent`` which planes there are and everything that reads the image works as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.arrays import Bool, Float32, Float64
from qtaml_hw.channel import FlipChannel
from qtaml_hw.names import Solver
from qtaml_hw.protection import ProtectionPlan
from qtaml_hw.protection.menu import ABSENT
from qtaml_hw.tac.allocation.exact import solve_exactly
from qtaml_hw.tac.allocation.knapsack import Allocation, Knapsack, solve
from qtaml_hw.tac.allocation.spending import Optimum, Planned
from qtaml_hw.tac.allocation.widths import Width, WidthTable
from qtaml_hw.tac.decoding.correction import correction
from qtaml_hw.tac.decoding.side import side_information
from qtaml_hw.tac.decoding.statistics import read_moments
from qtaml_hw.weights import StoredImage, StoredTensor, WeightFormat
from qtaml_hw.weights.gptq import CodeBook, compensated
from qtaml_hw.weights.moments import LayerToRound

Moments = Mapping[str, Float64]
CAPS: Final = (1, 2, 3, 8)  # open planes of a weight at most: the first order likes more of them than the outputs do
NARROWINGS: Final = 8  # of the linear budget, for what tells the tensors apart


@dataclass(frozen=True, eq=False)
class Uncoded:
    """Weights as trained by name, the image that says their order and scales, and moments of their layers' inputs."""

    image: StoredImage
    weights: Mapping[str, Float32]
    moments: Moments


@dataclass(frozen=True, eq=False)
class _Found:
    """A plan, the widths that it consists of by number, and by what table."""

    table: WidthTable
    plan: ProtectionPlan
    chosen: list[int]
    allocation: Allocation


Choose = Callable[[WidthTable, Bool, float], Allocation]


def compensation(table: WidthTable, source: Uncoded) -> Float64:
    """Quadratic error of compensated codes over that of the nearest ones, [T, planes + 1]; 1 where nothing is known.

    At the best steps without flips; the same for every channel and menu.
    """
    credit = np.ones((len(source.image.tensors), source.image.planes + 1))
    for i, t in enumerate(source.image.tensors):
        for planes in {one.stored for one in table.choices} if t.name in source.moments else ():
            book = _book(source.image, planes, (np.zeros(planes), np.zeros(planes)))
            layer = _layer(t, source, table.steps(i, planes, 0.0))
            value = _narrow(source.image, planes).decode_table
            nearest = book.codes[book.nearest(layer.target / layer.step)]
            errors = [
                float(layer.quadratic_error(value[codes] * layer.step).sum())
                for codes in (compensated(layer, book), nearest)
            ]
            credit[i, planes] = errors[0] / errors[1] if errors[1] > 0.0 else 1.0
    return credit


@dataclass(frozen=True, eq=False)
class JointProblem:
    """Widths of an image's tensors, a budget of stored bits in all, and the moments that codes are rounded by.

    ``budget_bits`` : data, check bits, scales and what tells tensors and corrections apart.  ``source`` : what is
    rounded.  ``credit``: see ``compensation``; None where nothing is compensated.
    """

    table: WidthTable
    budget_bits: float
    source: Uncoded
    credit: Float64 | None = None
    policy: str = "joint"
    solver: Solver = "exact"

    def best(self, agreement: Callable[[Planned], float]) -> Planned:
        """Of the best plans by widths, with 1, 2, ... open planes at most, the one whose outputs agree best.

        Both with what compensated rounding saves and without: the one trusts it in full, the other not at all; and the
        best plan with one width everywhere.  Raises ValueError when the budget does not pay the fewest planes.
        """
        return self._chosen([*self._found(self._best), *self._found(self._one_for_all)], agreement)

    def uniform(self, agreement: Callable[[Planned], float]) -> Planned:
        """The same with one width everywhere."""
        return self._chosen(self._found(self._one_for_all), agreement)

    def planned(self, cap: int) -> Planned:
        """The plan of least predicted distortion with at most ``cap`` open planes per weight, its image with it."""
        return self._coded(self._fitting(self.table, cap, self._best))

    def _found(self, choose: Choose) -> list[_Found]:
        tables = [self.table] if self.credit is None else [replace(self.table, credit=self.credit), self.table]
        least = [self.table.bits[:, self._open(cap)].min(axis=1).sum() for cap in CAPS]
        most = self.budget_bits - self.table.image.metadata_bits
        caps = [cap for cap, bits in zip(CAPS, least, strict=True) if bits <= most]
        return [self._fitting(table, cap, choose) for table in tables for cap in caps or CAPS[-1:]]

    def _open(self, cap: int) -> Bool:
        """Choices with at most so many open planes."""
        return np.array([one.open <= cap for one in self.table.choices])

    def _chosen(self, found: Sequence[_Found], agreement: Callable[[Planned], float]) -> Planned:
        distinct = {one.plan.choice.tobytes(): one for one in reversed(found)}
        planned = [self._coded(one) for one in distinct.values()]
        return planned[0] if len(planned) == 1 else max(planned, key=agreement)

    def total_bits(self, plan: ProtectionPlan) -> float:
        """All bits that a plan of the image stores: data, check bits, scales, side information."""
        return float(plan.stored_bits + plan.parity_bits) + self._beside(plan)

    def _beside(self, plan: ProtectionPlan) -> float:
        """Bits of scales and side information."""
        side = side_information(plan, "planes")
        return float(side.class_bits + side.correction_bits + self.table.image.metadata_bits)

    def _fitting(self, table: WidthTable, cap: int, choose: Choose) -> _Found:
        """The plan whose true cost fits: the linear budget gives way to what tells the tensors apart."""
        allowed = self._open(cap)
        beside = float(table.image.metadata_bits)
        for _ in range(NARROWINGS):
            allocation = choose(table, allowed, self.budget_bits - beside)
            chosen = np.flatnonzero(allowed)[allocation.choice].tolist()
            plan = self._plan(chosen)
            if self.total_bits(plan) <= self.budget_bits:
                return _Found(table, plan, chosen, allocation)
            beside = self._beside(plan)  # more than was left for it
        raise ValueError(f"no plan of {self.budget_bits / table.image.weights:.4g} bits per weight was found")

    def _best(self, table: WidthTable, allowed: Bool, limit: float) -> Allocation:
        damage, cost = table.damage[:, allowed], table.bits[:, allowed].astype(np.float64)
        # the knapsack's first option is the cheapest one, and costs are what is paid beyond it
        order = np.lexsort((damage, cost), axis=1)
        damage, cost = np.take_along_axis(damage, order, axis=1), np.take_along_axis(cost, order, axis=1)
        least = float(cost[:, 0].sum())
        self._check(least, limit)
        problem = Knapsack(damage, cost - cost[:, :1], limit - least)
        found = solve_exactly(problem) if self.solver == "exact" else solve(problem)
        choice = np.take_along_axis(order, found.choice[:, None].astype(np.intp), axis=1)[:, 0]
        return replace(found, choice=choice.astype(np.uint8), spent=found.spent + least)

    def _one_for_all(self, table: WidthTable, allowed: Bool, limit: float) -> Allocation:
        damage, cost = table.damage[:, allowed].sum(axis=0), table.bits[:, allowed].sum(axis=0)
        self._check(float(cost.min()), limit)
        best = int(np.argmin(np.where(cost <= limit, damage, np.inf)))
        choice = np.full(len(table.image.tensors), best, dtype=np.uint8)
        return Allocation(choice, float(damage[best]), float(damage[best]), float(cost[best]))

    def _check(self, least: float, limit: float) -> None:
        if least > limit:
            weights, beside = self.table.image.weights, self.budget_bits - limit
            raise ValueError(
                f"a budget of {self.budget_bits / weights:.4g} stored bits per weight buys no weights: the fewest "
                f"planes and their scales take {(least + beside) / weights:.4g}"
            )

    def _plan(self, chosen: list[int]) -> ProtectionPlan:
        table, edges = self.table, self.table.image.tensor_starts
        names = (*table.menu.names, ABSENT)
        choice = np.stack([_planes(table.choices[c], table.image.planes, len(names) - 1) for c in chosen])
        return ProtectionPlan(edges, edges, "layer", self.policy, names, choice)

    def _coded(self, found: _Found) -> Planned:
        table, allocation = found.table, found.allocation
        steps = {
            t.name: table.steps(i, table.choices[c].stored, float(table.noise[c]))
            for i, (t, c) in enumerate(zip(table.image.tensors, found.chosen, strict=True))
        }
        image = coded(self.source, found.plan, table.channel, steps)
        left, least = allocation.predicted_distortion, allocation.lower_bound
        return Planned(found.plan, Optimum(left, least, allocation.spent, "stored bits"), image)


def _planes(width: Width, planes: int, absent: int) -> list[int]:
    """Menu entry of every plane, LSB first, of an image's format of so many planes."""
    return [absent] * (planes - width.stored) + [0] * width.open + [width.entry] * width.protected


def coded(source: Uncoded, plan: ProtectionPlan, channel: FlipChannel, steps: Mapping[str, Float32]) -> StoredImage:
    """The image of a plan by layer: codes of as many planes as each tensor stores, at these steps [scales] by name.

    A code is rounded to for what it is decoded to on average (correction ``planes``) under the plan's residual flips.
    """
    p01, p10 = plan.residual(channel)
    tensors = []
    for i, t in enumerate(source.image.tensors):
        planes = int(plan.stored_planes[i].sum())
        low = source.image.planes - planes
        group = plan.tensor_groups(i)[0]
        book = _book(source.image, planes, (p01[group, low:], p10[group, low:]))
        place = _rounded(t, source, steps[t.name], book)
        codes = (place.astype(t.codes.dtype) << t.codes.dtype.type(low)).reshape(-1)
        scale = (steps[t.name] * np.float32(2.0**-low)).astype(np.float32)
        tensors.append(replace(t, codes=codes, scale=scale))
    return replace(source.image, tensors=tuple(tensors))


def _book(image: StoredImage, planes: int, flips: tuple[Float64, Float64]) -> CodeBook:
    """All codes of so many planes, by the mean of what each is decoded to."""
    form = _narrow(image, planes)
    table = correction("planes", form, *flips, np.ones(1 << planes)).table
    means = read_moments(table, *flips).mean
    order = np.argsort(means, kind="stable")
    return CodeBook(order.astype(form.code_dtype), means[order])


def _narrow(image: StoredImage, planes: int) -> WeightFormat:
    """The image's encoding with so many planes."""
    assert isinstance(image.format, WeightFormat)
    return WeightFormat(planes, image.format.encoding)


def _layer(tensor: StoredTensor, source: Uncoded, step: Float32) -> LayerToRound:
    weight = np.asarray(source.weights[tensor.name], dtype=np.float32).reshape(tensor.shape)
    spread = np.broadcast_to(tensor.layout.spread(step, tensor.shape), tensor.shape)
    return LayerToRound.stepped(weight, spread, source.moments[tensor.name])


def _rounded(tensor: StoredTensor, source: Uncoded, step: Float32, book: CodeBook) -> NDArray[Any]:
    """Codes of one tensor, in the book's own planes."""
    if tensor.name in source.moments:
        return compensated(_layer(tensor, source, step), book)
    spread = np.broadcast_to(tensor.layout.spread(step, tensor.shape), tensor.shape)
    weight = np.asarray(source.weights[tensor.name], dtype=np.float64).reshape(tensor.shape)
    return np.asarray(book.codes[book.nearest(weight / spread)])
