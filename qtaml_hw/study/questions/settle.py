"""Which of many designs of known cost are worth measuring, until it is settled which good ones nothing beats.

Costs are known of every design; whether it is good takes a measurement.  A design need not be measured

- when a good one costs no more in anything: it cannot better the front;
- when a kin of no more predicted harm is bad: kin differ in the flip probability alone, and their masks are nested;
- when one of its family is bad whose predicted harm is smaller by a margin: prediction is to first order, so designs
  of one family (the same codes) are ordered by it but for a factor.  The margin grows where measurements contradict it,
  and when nothing else is left to measure the nearest design that each family's margin ruled out is measured as well.

What is measured next is what is expected to settle most designs for the effort.  Nothing is taken to be good unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from qtaml_hw.arrays import Bool, Float64, Int64

MARGIN: Final = float(np.log(2.0))  # of predicted harm within a family, as ``search`` takes it; assumed, and audited
SAME: Final = 1e-9  # relative: costs that are one
_MOST_WEIGHED: Final = 400  # open designs whose worth is worked out; of more, so many are looked at
_SPREAD: Final = 0.7  # of the logarithm of harm around an edge, as far as guessing what a measurement gives goes
_SHORT: Final = 0.3  # effort of showing that a design is bad, a good one's being 1


@dataclass(frozen=True, eq=False)
class Designs:
    """N designs: ``costs`` [N, C], ``harm`` [N], the logarithm of predicted loss, numbers of ``kin``, ``family``."""

    costs: Float64
    harm: Float64
    kin: Int64
    family: Int64

    def beaten_by(self, one: int) -> Bool:
        """Which designs ``one`` costs no more than in anything; itself left out."""
        beaten: Bool = (self.costs[one] <= self.costs * (1.0 + SAME)).all(axis=1)
        beaten[one] = False
        return beaten


@dataclass(eq=False)
class Settling:
    """What is known so far: verdicts of measured designs, and what they settle; ``failed`` could not be measured.

    ``audited`` : designs that the margin had ruled out and that were measured all the same; ``misjudged`` : those of
    them that were good.
    """

    designs: Designs
    good: list[int] = field(default_factory=list)
    bad: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    audited: list[int] = field(default_factory=list)
    misjudged: list[int] = field(default_factory=list)
    _margin: dict[int, float] = field(default_factory=dict)

    def tell(self, design: int, is_good: bool | None) -> None:
        """What measuring a design gave; None where it could not be measured, which says nothing of others."""
        {True: self.good, False: self.bad, None: self.failed}[is_good].append(design)
        family, harm = self.designs.family, self.designs.harm
        if is_good:
            worse = [harm[design] - harm[one] for one in self.bad if family[one] == family[design]]
            if max(worse, default=-1.0) >= self.margin(design):
                self._margin[int(family[design])] = max(worse) + MARGIN
                self.misjudged += [design] if design in self.audited else []

    def margin(self, design: int) -> float:
        """By how much more harm a design of the family is taken to be bad."""
        return self._margin.get(int(self.designs.family[design]), MARGIN)

    @property
    def front(self) -> list[int]:
        """Good designs that no good one beats, in the order of the first cost."""
        costs = self.designs.costs
        kept = [
            one
            for one in self.good
            if not any(
                (costs[other] <= costs[one] * (1.0 + SAME)).all() and (costs[other] < costs[one] * (1.0 - SAME)).any()
                for other in self.good
            )
        ]
        return sorted(kept, key=lambda one: tuple(costs[one]))

    @property
    def beaten(self) -> Bool:
        """Designs that a good one settles, [N]."""
        found = np.zeros(len(self.designs.harm), dtype=np.bool_)
        for one in self.good:
            found |= self.designs.beaten_by(one)
        return found

    @property
    def hopeless(self) -> Bool:
        """Designs that are bad by a bad kin, [N]."""
        found = np.zeros(len(self.designs.harm), dtype=np.bool_)
        for one in self.bad:
            found |= (self.designs.kin == self.designs.kin[one]) & (self.designs.harm >= self.designs.harm[one])
        return found

    @property
    def unlikely(self) -> Bool:
        """Designs that are bad by the margin of their family, [N]."""
        found = np.zeros(len(self.designs.harm), dtype=np.bool_)
        for one in self.bad:
            far = self.designs.harm >= self.designs.harm[one] + self.margin(one)
            found |= (self.designs.family == self.designs.family[one]) & far
        return found

    @property
    def undecided(self) -> Bool:
        """Designs that only the margin of their family, or nothing, settles, [N]."""
        measured = np.zeros(len(self.designs.harm), dtype=np.bool_)
        measured[[*self.good, *self.bad, *self.failed]] = True
        found: Bool = ~(measured | self.beaten | self.hopeless)
        return found

    @property
    def left(self) -> int:
        """How many nothing settles."""
        return int((self.undecided & ~self.unlikely).sum())

    def wanted(self, count: int) -> list[int]:
        """Designs to measure next, at most ``count`` at a time; none when it is settled."""
        undecided, unlikely = self.undecided, self.unlikely
        still_open = np.flatnonzero(undecided & ~unlikely)
        if still_open.size:
            return self._worthiest(still_open, count)
        return self._audit(np.flatnonzero(undecided & unlikely), count)

    def _worthiest(self, open_: Int64, count: int) -> list[int]:
        """Those that are expected to settle most of the open ones, one after another."""
        chosen: list[int] = []
        chance = self._chance()
        while open_.size and len(chosen) < count:
            looked = open_[np.unique(np.linspace(0, open_.size - 1, min(open_.size, _MOST_WEIGHED)).astype(np.intp))]
            worth = np.array([self._worth(int(one), open_, float(chance[one])) for one in looked])
            best = int(looked[np.lexsort((self.designs.harm[looked], -worth))[0]])
            chosen.append(best)
            left = ~(self.designs.beaten_by(best) if chance[best] >= 0.5 else self._ruled_out(best))
            left[best] = False
            open_ = open_[left[open_]]
        return chosen

    def _ruled_out(self, one: int) -> Bool:
        """What a design that turns out bad would settle."""
        d = self.designs
        kin = (d.kin == d.kin[one]) & (d.harm >= d.harm[one])
        found: Bool = kin | ((d.family == d.family[one]) & (d.harm >= d.harm[one] + self.margin(one)))
        return found

    def _worth(self, one: int, open_: Int64, chance: float) -> float:
        settled = chance * self.designs.beaten_by(one)[open_].sum() + (1.0 - chance) * self._ruled_out(one)[open_].sum()
        return float((1.0 + settled) / (chance + (1.0 - chance) * _SHORT))

    def _chance(self) -> Float64:
        """A guess of how likely each design is good, [N], for the order of measurements and nothing else."""
        d = self.designs
        pooled, chance = _edge(d.harm[self.good], d.harm[self.bad]), np.full(len(d.harm), 0.5)
        for family in np.unique(d.family):
            good, bad = ([one for one in told if d.family[one] == family] for told in (self.good, self.bad))
            edge = _edge(d.harm[good], d.harm[bad])
            edge = pooled if edge is None else edge
            if edge is not None:
                mine = d.family == family
                chance[mine] = 1.0 / (1.0 + np.exp(np.clip((d.harm[mine] - edge) / _SPREAD, -50.0, 50.0)))
        return chance

    def _audit(self, ruled_out: Int64, count: int) -> list[int]:
        """The nearest of every family that the margin alone rules out, one each."""
        known = {int(self.designs.family[one]) for one in self.audited}
        asked: list[int] = []
        for one in ruled_out[np.argsort(self.designs.harm[ruled_out], kind="stable")].tolist():
            if int(self.designs.family[one]) not in known and len(asked) < count:
                known.add(int(self.designs.family[one]))
                asked.append(one)
        self.audited += asked
        return asked


def _edge(good: Float64, bad: Float64) -> float | None:
    """Where good turns bad, by those measured; None without any."""
    if not (good.size or bad.size):
        return None
    if not bad.size:
        return float(good.max()) + 2.0 * _SPREAD
    return float(bad.min()) - 2.0 * _SPREAD if not good.size else 0.5 * float(good.max() + bad.min())


def settle(
    designs: Designs,
    judge: Callable[[Sequence[int]], Sequence[bool | None]],
    at_once: int = 1,
    heard: Callable[[Settling], None] = lambda _: None,
) -> Settling:
    """Measure until the front is settled; ``judge`` measures the designs of these numbers and says which are good."""
    found = Settling(designs)
    while asked := found.wanted(at_once):
        for design, verdict in zip(asked, judge(asked), strict=True):
            found.tell(design, verdict)
        heard(found)
    return found
