"""Where values lie: first fit by address over their lifetimes, the same cells used again.

Values are placed in the order they are written, each at the lowest address at which as many words are free until its
last read; its check cells lie behind it.  Tokens that are yet to come have their place from the first token on.  What
does not fit lies in the store behind the array, as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from qtaml_hw.memory.buffers.values import Value


@dataclass(frozen=True)
class Placement:
    """A value and its first word; None: it lies in the store behind the array."""

    value: Value
    address: int | None

    @property
    def end(self) -> int:
        """Behind its last word and its check cells; 0 in the store behind."""
        return 0 if self.address is None else self.address + self.value.room


@dataclass(frozen=True)
class Span:
    """Words up to ``end``, whose rows are refreshed as those of class ``number`` where no value lies on them."""

    end: int
    number: int = 0


@dataclass(frozen=True)
class Part:
    """Banks for the values with these indices, of the class ``number``."""

    banks: int
    members: tuple[int, ...]
    number: int = 0


@dataclass(frozen=True)
class Allocation:
    """Values in the order they were given, and the words that the array has, in ``spans`` from the first on."""

    places: tuple[Placement, ...]
    words: int
    spans: tuple[Span, ...] = ()

    @property
    def stretches(self) -> tuple[tuple[int, int], ...]:
        """(words, class) of every span; of the only one where there are none."""
        ends = self.spans or (Span(max(self.words, 1)),)
        begins = (0, *(one.end for one in ends))
        return tuple((one.end - begin, one.number) for begin, one in zip(begins, ends, strict=False))

    def number_at(self, address: int) -> int:
        """The class of the span that a word lies in."""
        return next((one.number for one in self.spans if address < one.end), 0)

    @property
    def inside(self) -> tuple[Placement, ...]:
        """Values that lie in the array."""
        return tuple(place for place in self.places if place.address is not None)

    @property
    def spilled(self) -> tuple[Value, ...]:
        """Values that lie in the store behind it."""
        return tuple(place.value for place in self.places if place.address is None)

    @property
    def batch(self) -> int:
        """Inferences whose values lie there together."""
        return max((place.value.batch for place in self.places), default=1)

    @property
    def used(self) -> int:
        """Words that any value takes: the most at a time, with the gaps that first fit leaves."""
        return max((place.end for place in self.places), default=0)


def allocate(values: Sequence[Value], capacity_words: int | None = None, *, backing: bool = False) -> Allocation:
    """Place values in an array of ``capacity_words`` (None: as many as they need).

    Raises ValueError with the words when a value does not fit and there is no store behind the array.
    """
    order = sorted(range(len(values)), key=lambda i: (values[i].written_at_s, i))
    placed = dict[int, Placement]()
    for i in order:
        value = values[i]
        live = sorted(
            (p.address, p.end)
            for p in placed.values()
            if p.address is not None and p.value.ends_s > value.written_at_s and value.ends_s > p.value.written_at_s
        )
        at = 0
        for begin, end in live:
            if at + value.room <= begin:
                break
            at = max(at, end)
        fits = capacity_words is None or at + value.room <= capacity_words
        if not fits and not backing:
            raise ValueError(
                f"{value.name} takes {value.room} words of {value.bits} bit and the buffer of {capacity_words} words "
                f"has no room for it while it lives (it would end at word {at + value.room}); give the array more "
                "capacity, or a store behind it: 'backing: {bandwidth: 10 GB/s}'"
            )
        placed[i] = Placement(value, at if fits else None)
    found = Allocation(tuple(placed[i] for i in range(len(values))), capacity_words or 0)
    return found if capacity_words is not None else Allocation(found.places, found.used)


def allocate_parts(
    values: Sequence[Value], parts: Sequence[Part], capacity_words: int | None = None, *, backing: bool = False
) -> Allocation:
    """The same in parts of the array, as large as their shares of its banks; without ``capacity_words`` every bank is
    as large as the part needs that needs the largest.

    Raises ValueError where a value does not fit, and for values that no bank is left for.
    """
    banks, placed, spans = sum(part.banks for part in parts), dict[int, Placement](), list[Span]()
    members = [[values[i] for i in part.members] for part in parts]
    for part, own in zip(parts, members, strict=True):
        if own and not part.banks:
            raise ValueError(f"partitions take all {banks} banks of the array, and {own[0].name} is in none of them")
    words = capacity_words
    if words is None:
        each = (-(-allocate(own).used // part.banks) for part, own in zip(parts, members, strict=True) if part.banks)
        words = banks * max(each)
    begin = first = 0
    for part, own in zip(parts, members, strict=True):
        first += part.banks
        end = bank_begin(words, first, banks)
        for i, place in zip(part.members, allocate(own, end - begin, backing=backing).places, strict=True):
            placed[i] = replace(place, address=None if place.address is None else begin + place.address)
        spans += [Span(end, part.number)] if part.banks else []
        begin = end
    return Allocation(tuple(placed[i] for i in range(len(values))), words, tuple(spans))


def bank_begin(words: int, bank: int, banks: int) -> int:
    """The first word of a bank; banks are runs of words."""
    return -(-words * bank // banks)
