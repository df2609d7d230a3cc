"""A record: one design point and one fault map, or the failure of a point; a flat mapping from fields to values."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from qtaml_hw.errors import nearest
from qtaml_hw.records.fields import FIELDS, FORMER, NEEDED, REUSED, F

Key = tuple[str, int]
FAILED_MAP = -1
_NAMES = {name: name for name in FIELDS}
_OF_SCHEMA_1 = _NAMES | {former: str(row) for former, row in (FORMER | REUSED).items()}
_NEEDED = frozenset(NEEDED)
_FITS = {name: row.kind.fits for name, row in FIELDS.items()}


class Record(Mapping[str, Any]):
    """Fields of the table ``records.fields`` with their values.

    ``facts`` : what all maps of a point share, one mapping for all of them; ``own`` : the rest.  No field is in both.
    Made of mappings, of which later ones win: then all is its own.  Raises TypeError for a key that is no field.
    """

    __slots__ = ("facts", "own")
    facts: Mapping[str, Any]
    own: dict[str, Any]

    def __init__(self, *parts: Mapping[Any, Any]) -> None:
        self.facts, self.own = {}, {}
        for part in parts:
            self.own.update(part)
        _known(self.own)

    @classmethod
    def of_map(cls, facts: Mapping[str, Any], own: Mapping[str, Any]) -> Record:
        """A fault map of a point whose ``facts`` are fields; raises TypeError for a key of its own that is none."""
        _known(own)
        return cls.read(own, facts=facts)

    @classmethod
    def read(cls, stored: Mapping[str, Any], former: bool = False, facts: Mapping[str, Any] | None = None) -> Record:
        """A record from a store, whatever else its writer knew; ``former`` : it has the names of schema 1.

        ``facts`` : what was read of its point before.
        """
        record = cls.__new__(cls)
        names = _OF_SCHEMA_1 if former else _NAMES  # one text for a name, however many lines spell it
        record.own = {names.get(name, name): value for name, value in stored.items()}
        shared = facts or {}
        alone = shared.keys().isdisjoint(record.own.keys())
        record.facts = shared if alone else {n: value for n, value in shared.items() if n not in record.own}
        return record

    def __getitem__(self, name: str) -> Any:
        own = self.own
        return own[name] if name in own else self.facts[name]

    def __contains__(self, name: object) -> bool:
        return name in self.own or name in self.facts

    def __iter__(self) -> Iterator[str]:
        return chain(self.facts, self.own)

    def items(self) -> ItemsView[str, Any]:
        """Fields and values, those of the point first."""
        return {**self.facts, **self.own}.items()

    def __len__(self) -> int:
        return len(self.facts) + len(self.own)

    def __repr__(self) -> str:
        return f"Record({dict(self)!r})"

    @property
    def key(self) -> Key:
        """What makes a record unique: the design point and the fault map (-1 for a failed point)."""
        return str(self[F.identity]), int(self[F.map_index])

    @property
    def failed(self) -> bool:
        """Whether it says why its point could not be evaluated."""
        return F.error in self

    @property
    def whole(self) -> bool:
        """Whether it is a finished map with all that a summary needs; a store edited by hand may hold others."""
        missing = _NEEDED.difference(self.own).difference(self.facts)
        return self[F.map_index] >= 0 and not missing and F.score.kind.fits(self[F.score])

    def fit(self) -> None:
        """What must hold of every field of its own; what it shares was looked at when that was put together.

        Raises ArithmeticError with the field that cannot be.
        """
        for name, value in self.own.items():
            if not FIELDS[name].kind.fits(value):
                raise _impossible(name, value, FIELDS[name].kind.words)

    def check(self) -> None:
        """What must hold of a finished map before it is kept; raises as :meth:`fit`."""
        self.fit()
        for name in NEEDED:
            if name not in self:
                raise ArithmeticError(f"{name} is missing; the record is not kept")
        for name in (F.flips_raw, F.flips_residual):
            if not 0 <= self[name] <= self[F.stored_bits]:
                raise _impossible(name, self[name], f"0 to stored_bits = {self[F.stored_bits]}")


def unfit(stored: Mapping[str, Any], former: bool = False) -> str | None:
    """Which value of a stored record cannot be, in words; None where all are what their fields may hold."""
    for name, value in stored.items():
        today = _OF_SCHEMA_1.get(name, name) if former else name
        fits = _FITS.get(today)
        if fits is not None and not fits(value):
            return f"{name} = {repr(value)[:60]} cannot be; expected {FIELDS[today].kind.words}"
    return None


def _impossible(name: str, value: object, expected: str) -> ArithmeticError:
    return ArithmeticError(f"{name} = {value!r} cannot be; expected {expected}; the record is not kept")


def _known(names: Iterable[str]) -> None:
    for name in names:
        if name not in FIELDS:
            raise TypeError(f"{name!r} is no field of a record{nearest(name, FIELDS)}")
