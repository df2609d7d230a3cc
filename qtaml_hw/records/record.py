"""A record: one design point and one fault map, or the failure of a point; a flat mapping from fields to values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from qtaml_hw.errors import nearest
from qtaml_hw.records.fields import FIELDS, FORMER, NEEDED, REUSED, F

Key = tuple[str, int]
FAILED_MAP = -1
_OF_SCHEMA_1 = FORMER | REUSED
_FITS = {name: row.kind.fits for name, row in FIELDS.items()}


class Record(dict[str, Any]):
    """Fields of the table ``records.fields`` with their values.

    Made of mappings, of which later ones win.  Raises TypeError for a key that is no field.
    """

    def __init__(self, *facts: Mapping[Any, Any]) -> None:
        super().__init__()
        for part in facts:
            self.update(part)
        strangers = [name for name in self if name not in FIELDS]
        if strangers:
            raise TypeError(f"{strangers[0]!r} is no field of a record{nearest(strangers[0], FIELDS)}")

    @classmethod
    def read(cls, stored: Mapping[str, Any], former: bool = False, facts: Mapping[str, Any] | None = None) -> Record:
        """A record from a store, whatever else its writer knew; ``former`` : it has the names of schema 1.

        ``facts`` : what was read of its point before.
        """
        record = cls.__new__(cls)
        record.update(facts or {})
        record.update({_OF_SCHEMA_1.get(name, name): value for name, value in stored.items()} if former else stored)
        return record

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
        return self[F.map_index] >= 0 and self.keys() >= set(NEEDED) and F.score.kind.fits(self[F.score])

    def fit(self, but: Collection[str] = ()) -> None:
        """What must hold of every field, but of those that have been seen to fit.

        Raises ArithmeticError with the field that cannot be.
        """
        for name, value in self.items():
            if name not in but and not FIELDS[name].kind.fits(value):
                raise _impossible(name, value, FIELDS[name].kind.words)

    def check(self, but: Collection[str] = ()) -> None:
        """What must hold of a finished map before it is kept; raises as :meth:`fit`."""
        self.fit(but)
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
