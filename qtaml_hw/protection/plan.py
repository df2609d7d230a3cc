"""ProtectionPlan: a choice from the menu for every group of weights and bit plane; knows its overhead and residual."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qtaml_hw.arrays import Bool, Float64, Int64, Uint8
from qtaml_hw.channel import FlipChannel
from qtaml_hw.ecc.code import Code
from qtaml_hw.names import GroupKind
from qtaml_hw.protection.layout import WordLayout
from qtaml_hw.protection.menu import ABSENT, MenuEntry
from qtaml_hw.protection.menu import entry as menu_entry


def _frozen(array: NDArray[np.generic]) -> NDArray[np.generic]:
    array = array.copy()
    array.setflags(write=False)
    return array


def _others(code: Code, held: Int64, p: Float64) -> dict[int, float]:
    """Mean error probability of the bits that share a word with a bit of each plane, by plane that is held at all.

    ``held`` int64 [B]: data bits of each plane under the code; ``p`` [B]: how they err.  Words are average ones of n
    bits at the mean of all planes; check cells lie by the word's first data bit, so with one data bit they are its own.
    """
    planes = np.flatnonzero(held)
    if planes.size == 0 or code.k == 1:
        return {int(plane): float(p[plane]) for plane in planes}
    mean = float((held * p).sum() / held.sum())
    others = np.clip((code.n * mean - p[planes]) / (code.n - 1), p[planes].min(), p[planes].max())
    return dict(zip(planes.tolist(), others.tolist(), strict=True))


@dataclass(frozen=True, eq=False)
class ProtectionPlan:
    """A protection choice per (group, plane).

    Parameters
    ----------
    starts : int64 [G+1], group g = global weight indices starts[g] : starts[g+1]; contiguous, never across tensors.
    tensor_starts : int64 [T+1], global weight indices of the tensors; a subset of ``starts``.
    group_kind : layer | channel | word | row (of the memory).
    policy : the policy that made the plan (a label).
    menu : names of menu entries; menu[0] is ``none``.
    choice : uint8 [G, B], index into ``menu``, plane 0 = LSB.  A plane under ``absent`` is not stored; all groups of a
        tensor store the same planes.

    Raises
    ------
    ValueError : shapes or orders that do not fit, an unknown menu entry, a choice outside the menu, a tensor whose
    groups store different planes, or none.
    """

    starts: Int64
    tensor_starts: Int64
    group_kind: GroupKind
    policy: str
    menu: tuple[str, ...]
    choice: Uint8

    def __post_init__(self) -> None:
        starts = np.asarray(self.starts, dtype=np.int64)
        tensors = np.asarray(self.tensor_starts, dtype=np.int64)
        choice = np.asarray(self.choice)
        for name, edges in (("starts", starts), ("tensor_starts", tensors)):
            if edges.ndim != 1 or edges.size < 2 or edges[0] != 0 or np.any(np.diff(edges) <= 0):
                raise ValueError(
                    f"{name} must rise strictly from 0 and hold at least one interval, got {edges.tolist()[:8]}"
                )
        if not np.isin(tensors, starts).all() or starts[-1] != tensors[-1]:
            raise ValueError(
                "groups must not straddle tensors: every tensor start must be a group start, with one common end"
            )
        if self.group_kind not in ("layer", "channel", "word", "row"):
            raise ValueError(f"group kind {self.group_kind!r} is unknown; allowed: layer, channel, word, row")
        if not self.menu or self.menu[0] != "none":
            raise ValueError(f"menu[0] must be 'none', got {self.menu!r}")
        if choice.ndim != 2 or len(choice) != starts.size - 1 or not 1 <= choice.shape[1] <= 64:
            raise ValueError(f"choice must be [groups, planes] = [{starts.size - 1}, B], got {choice.shape}")
        if choice.size and (int(choice.min()) < 0 or int(choice.max()) >= len(self.menu)):
            raise ValueError(f"choices must be 0 .. {len(self.menu) - 1} (the menu), got {int(choice.max())}")
        object.__setattr__(self, "menu", tuple(menu_entry(name).name for name in self.menu))
        object.__setattr__(self, "starts", _frozen(starts))
        object.__setattr__(self, "tensor_starts", _frozen(tensors))
        object.__setattr__(self, "choice", _frozen(choice.astype(np.uint8)))
        self._check_stored()

    # ---- constructors

    @classmethod
    def unprotected(cls, tensor_starts: Sequence[int] | Int64, planes: int) -> ProtectionPlan:
        """One group per tensor, nothing protected."""
        edges = np.asarray(tensor_starts, dtype=np.int64)
        return cls(edges, edges, "layer", "none", ("none",), np.zeros((edges.size - 1, planes), dtype=np.uint8))

    @classmethod
    def uniform_msb(cls, tensor_starts: Sequence[int] | Int64, planes: int, k: int, entry: str) -> ProtectionPlan:
        """The ``k`` most significant planes of every tensor under one entry; ValueError unless 0 <= k <= planes."""
        if not 0 <= k <= planes:
            raise ValueError(f"cannot protect {k} of {planes} planes")
        edges = np.asarray(tensor_starts, dtype=np.int64)
        choice = np.zeros((edges.size - 1, planes), dtype=np.uint8)
        choice[:, planes - k :] = 1
        return cls(edges, edges, "layer", "uniform", ("none", entry), choice)

    def limited(self, absent: Bool) -> ProtectionPlan:
        """The plan without the planes that a tensor does not have, bool [T, B]; itself where all are there."""
        if not absent.any():
            return self
        owner = np.searchsorted(self.tensor_starts, self.starts[:-1], side="right") - 1
        names = self.menu if ABSENT in self.menu else (*self.menu, ABSENT)
        choice = np.where(absent[owner], names.index(ABSENT), self.choice).astype(np.uint8)
        return replace(self, menu=names, choice=choice)

    def _check_stored(self) -> None:
        """ValueError unless every tensor stores some planes, the same in all of its groups."""
        stored = self._stored
        first = self.stored_planes[np.searchsorted(self.tensor_starts, self.starts[:-1], side="right") - 1]
        if not stored.all() and not (np.array_equal(stored, first) and stored.any(axis=1).all()):
            raise ValueError("planes are stored, or not, by whole tensors, and every weight has one plane at least")

    # ---- counts

    @cached_property
    def _stored(self) -> Bool:
        """bool [G, B]: planes of each group that have cells."""
        absent = [index for index, item in enumerate(self.entries) if item.kind == "absent"]
        return np.asarray(~np.isin(self.choice, absent))

    @cached_property
    def stored_planes(self) -> Bool:
        """bool [T, B]: planes of each tensor that have cells."""
        return np.asarray(self._stored[np.searchsorted(self.starts, self.tensor_starts[:-1])])

    @property
    def groups(self) -> int:
        """Number of groups G."""
        return int(self.starts.size - 1)

    @property
    def planes(self) -> int:
        """Bit planes B per weight."""
        return int(self.choice.shape[1])

    @property
    def tensors(self) -> int:
        """Number of tensors T."""
        return int(self.tensor_starts.size - 1)

    @property
    def weights(self) -> int:
        """Number of weights."""
        return int(self.starts[-1])

    @property
    def stored_bits(self) -> int:
        """Data bits stored: weights times the planes that their tensors store."""
        return int(np.diff(self.tensor_starts) @ self.stored_planes.sum(axis=1))

    @cached_property
    def entries(self) -> tuple[MenuEntry, ...]:
        """The menu as entries."""
        return tuple(menu_entry(name) for name in self.menu)

    @property
    def codes(self) -> tuple[Code, ...]:
        """The codes that some plane is protected by, each once, in menu order."""
        used = [self.entries[index] for index in np.unique(self.choice).tolist()]
        return tuple(item.code for item in used if item.code is not None)

    def planes_protected(self) -> Int64:
        """int64 [G]: how many stored planes of each group have an entry other than ``none``."""
        counted: Int64 = ((self.choice != 0) & self._stored).sum(axis=1, dtype=np.int64)
        return counted

    @cached_property
    def protected_bits(self) -> int:
        """Data bits stored under any entry other than ``none``."""
        return int((self.planes_protected() * np.diff(self.starts)).sum())

    @property
    def protected_bits_fraction(self) -> float:
        """Protected bits / stored data bits (the accounting of ideal protection)."""
        return self.protected_bits / self.stored_bits

    @cached_property
    def parity_bits(self) -> int:
        """Check bits stored, whole words counted per tensor and entry."""
        paid = [index for index, item in enumerate(self.entries) if item.parity_per_bit > 0.0]
        return sum(self.layout(tensor, index).parity_bits for tensor in range(self.tensors) for index in paid)

    @property
    def parity_bits_fraction(self) -> float:
        """Check bits / stored data bits."""
        return self.parity_bits / self.stored_bits

    def bits_by_entry(self) -> dict[str, int]:
        """Data bits under each menu entry."""
        sizes = np.repeat(np.diff(self.starts), self.planes)
        counts = np.bincount(self.choice.ravel(), sizes.astype(np.float64), minlength=len(self.menu))
        return {name: round(float(count)) for name, count in zip(self.menu, counts, strict=True)}

    @cached_property
    def patterns(self) -> tuple[int, ...]:
        """How many different rows of ``choice`` the groups of each tensor have."""
        groups = map(self.tensor_groups, range(self.tensors))
        return tuple(len(np.unique(self.choice[a:b], axis=0)) if b > a + 1 else 1 for a, b in groups)

    @cached_property
    def all_patterns(self) -> int:
        """How many different rows of ``choice`` all groups have."""
        return len(np.unique(self.choice, axis=0))

    # ---- where things are

    def tensor_groups(self, tensor: int) -> tuple[int, int]:
        """(first, last + 1) group of a tensor."""
        first, last = np.searchsorted(self.starts, self.tensor_starts[tensor : tensor + 2])
        return int(first), int(last)

    def layout(self, tensor: int, entry: int) -> WordLayout:
        """The ECC words of one tensor and one menu entry, both by index; ValueError where there is none."""
        if not 0 <= tensor < self.tensors:
            raise ValueError(f"tensor {tensor} does not exist; the plan has tensors 0 .. {self.tensors - 1}")
        if not 0 <= entry < len(self.menu):
            raise ValueError(f"menu entry {entry} does not exist; the plan's menu has 0 .. {len(self.menu) - 1}")
        first, last = self.tensor_groups(tensor)
        starts = self.starts[first : last + 1] - self.tensor_starts[tensor]
        item = self.entries[entry]
        return WordLayout(starts, self.choice[first:last] == entry, item.code, item.floor)

    # ---- what is left of a channel

    def residual(self, channel: FlipChannel, ones: ArrayLike | None = None) -> tuple[Float64, Float64]:
        """p01, p10 float64 [G, B] after protection.

        A plane keeps its own p01, p10; the other bits of its word err with what they are on average: the mean over the
        tensor's data bits under the same entry, itself left out (``ones`` float64 [B]: density of ones per plane, 1/2
        by default).  Exact where planes are alike; where they differ it stands for the sum over every word's own
        pattern of planes (``tests/ecc/test_plan.py``).  Where dies differ it is the mean over them.
        ValueError when the channel has another number of planes.
        """
        if channel.planes != self.planes:
            raise ValueError(f"the channel has {channel.planes} planes, the plan {self.planes}")
        density = np.broadcast_to(np.asarray(0.5 if ones is None else ones, dtype=np.float64), (self.planes,))
        return channel.mean_of_dies(lambda die: self._residual_of_die(die, density))

    def _residual_of_die(self, channel: FlipChannel, density: Float64) -> tuple[Float64, Float64]:
        mean = (1.0 - density) * channel.p01 + density * channel.p10
        p01 = np.tile(channel.p01, (self.groups, 1))
        p10 = np.tile(channel.p10, (self.groups, 1))
        for index, item in enumerate(self.entries):
            if item.kind == "none":
                continue
            if item.code is None:
                chosen = self.choice == index
                if chosen.any():
                    up, down = item.residuals(channel)
                    p01, p10 = np.where(chosen, up, p01), np.where(chosen, down, p10)
                continue
            if all(np.all(p == p[0]) for p in (channel.p01, channel.p10, mean)):  # every word is: the rest err alike
                chosen = self.choice == index
                p01[chosen], p10[chosen] = item.word_channel(channel.p01[0], channel.p10[0], float(mean[0]))
                continue
            known = dict[tuple[float, float, float], tuple[Float64, Float64]]()  # tensors are mostly alike
            for tensor in range(self.tensors):
                first, last = self.tensor_groups(tensor)
                chosen = self.choice[first:last] == index
                if not chosen.any():
                    continue
                held = np.diff(self.starts[first : last + 1]) @ chosen
                for plane, others in _others(item.code, held, mean).items():
                    key = (float(channel.p01[plane]), float(channel.p10[plane]), others)
                    if key not in known:
                        known[key] = item.word_channel(*key)
                    p01[first:last, plane][chosen[:, plane]] = known[key][0]
                    p10[first:last, plane][chosen[:, plane]] = known[key][1]
        return p01, p10

    # ---- as text

    def to_json(self) -> str:
        """The plan as JSON text; :meth:`from_json` reads it back."""
        return json.dumps(
            {
                "starts": self.starts.tolist(),
                "tensor_starts": self.tensor_starts.tolist(),
                "group_kind": self.group_kind,
                "policy": self.policy,
                "menu": list(self.menu),
                "choice": self.choice.tolist(),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> ProtectionPlan:
        """A plan from its JSON text; ValueError with the missing or wrong field."""
        try:
            raw = json.loads(text)
            return cls(
                np.array(raw["starts"], dtype=np.int64),
                np.array(raw["tensor_starts"], dtype=np.int64),
                raw["group_kind"],
                str(raw["policy"]),
                tuple(raw["menu"]),
                np.array(raw["choice"]),
            )
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"not a protection plan: {error}") from error

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ProtectionPlan):
            return NotImplemented
        return (self.group_kind, self.policy, self.menu) == (other.group_kind, other.policy, other.menu) and all(
            np.array_equal(a, b)
            for a, b in (
                (self.starts, other.starts),
                (self.tensor_starts, other.tensor_starts),
                (self.choice, other.choice),
            )
        )

    __hash__ = None  # type: ignore[assignment]
