"""A folder of append-only JSON lines: one line per design point and fault map, and nothing finished is ever lost.

Every writer owns one shard file, so two writers never share a line.  A line is handed to the system whole before the
next map starts, so that a killed process loses nothing finished, and synced to disk at most a second later and at the
end, so that a power cut costs a second.  A line torn by a crash or a full disk is dropped when read, and its map is
done again.  No file time or wall clock decides anything: a record is found by what it is.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from qtaml_hw._collection import without_collection
from qtaml_hw.errors import StoreError
from qtaml_hw.files import claim, new_shard, release
from qtaml_hw.records.fields import F
from qtaml_hw.records.record import Key, Record, unfit

SCHEMA_VERSION = 2
READABLE = (1, SCHEMA_VERSION)  # records of schema 1 have the names of ``records.fields.FORMER``
SYNC_SECONDS = 1.0
_MOST_NAMED = 5
_MAP, _MAP_START = b',"map_index":', b'{"map_index":'
_BUFFER = 1 << 20  # a line is some thousand bytes long
_MOST_HEADS = 64  # points whose facts are kept while a file is read: as many as one writer works on at a time


@dataclass(frozen=True)
class Dropped:
    """A line that is no whole record of this version: where it is, and why it does not count."""

    path: Path
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path.name}:{self.line}: {self.reason}"


def read_shard(path: Path) -> tuple[list[Record], list[Dropped]]:
    """The whole records of one file, and the lines of it that are none (torn, foreign, of another version).

    Records of one point share their facts: what is the same for all maps of a point is read once.
    """
    found, dropped, heads = list[Record](), list[Dropped](), _Heads()
    with path.open("rb", buffering=_BUFFER) as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                dropped.append(Dropped(path, number, "the line was never finished"))
            elif line.strip():
                record = _read_line(line, heads)
                if isinstance(record, str):
                    dropped.append(Dropped(path, number, record))
                else:
                    found.append(record)
    return found, dropped


@dataclass(frozen=True)
class _Facts:
    """Fields that were read and checked; ``former`` : whether their writer had the names of schema 1."""

    values: dict[str, Any]
    former: bool


@dataclass(eq=False)
class _Heads:
    """First parts of lines as they were read, and the last of them: most lines begin as the one before."""

    known: dict[bytes, _Facts | str] = field(default_factory=dict)
    last: bytes = _MAP
    facts: _Facts | str = ""

    def split(self, line: bytes) -> bytes | None:
        """What of a line is behind its first part, whose ``facts`` are then known; None of a line without parts."""
        if line.startswith(self.last):
            return line[len(self.last) :]
        head, mark, tail = line.rpartition(_MAP)
        if not mark:
            return None
        if head not in self.known:
            if len(self.known) >= _MOST_HEADS:
                self.known.clear()
            self.known[head] = _facts(_parsed(head + b"}"))
        self.last, self.facts = head + mark, self.known[head]
        return tail


def _read_line(line: bytes, heads: _Heads) -> Record | str:
    """The record of a line, or why it is none.

    A writer puts what differs between the maps of a point last, from ``map_index`` on.  Where both parts of a line are
    objects of their own, together they are what the whole line is, and the first part is read once for all maps.
    """
    tail = heads.split(line)
    if tail is not None:
        facts, found = heads.facts, _parsed(_MAP_START + tail)
        if isinstance(facts, _Facts) and isinstance(found, dict) and F.schema not in found:
            return unfit(found, facts.former) or _keyed(Record.read(found, facts.former, facts.values))
    whole = _facts(_parsed(line))
    return whole if isinstance(whole, str) else _keyed(Record.read(whole.values))


def _parsed(text: bytes) -> Any:
    """The JSON value of a text that is finite numbers and UTF-8; None where it is none."""
    try:
        return _JSON.decode(text.decode())
    except (ValueError, RecursionError):  # no JSON, or the line was not split at its top level
        return None


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is no number of a record")


_JSON = json.JSONDecoder(parse_constant=_refused)


def _facts(value: Any) -> _Facts | str:
    """The fields behind a value under today's names, or why there are none."""
    if not isinstance(value, dict):
        return "no whole record: torn by a crash, or damaged" if value is None else "not a record"
    former = value.get(F.schema) == READABLE[0]
    if wrong := unfit(value, former):
        return wrong
    version = value.pop(F.schema, None)
    if version not in READABLE or isinstance(version, bool):
        return f"schema version {str(version)[:20]}, not {SCHEMA_VERSION}"
    return _Facts(Record.read(value, former).own, former)


def _keyed(record: Record) -> Record | str:
    """The record, if it says which point and which map it is of."""
    known = all(row.kind.fits(record.get(row)) for row in (F.identity, F.map_index))
    return record if known else "without identity or map_index"


def _json(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, allow_nan=False, separators=(",", ":")).encode()


def shards(folder: Path) -> list[Path]:
    """The record files of a store, in the order of their names."""
    return sorted(folder.glob("*.jsonl"))


@dataclass(frozen=True)
class Content:
    """A store as it was read: finished records merged by key and sorted by it, and what did not count.

    ``repeated`` : lines that another line had finished before.  A failed point (map_index -1) is dropped from the
    records once any map of it is finished.
    """

    records: list[Record]
    dropped: list[Dropped]
    repeated: int

    @property
    def complaint(self) -> str | None:
        """The broken lines in one sentence for whoever reads the store; None when every line is whole."""
        if not self.dropped:
            return None
        count, listed = len(self.dropped), "; ".join(map(str, self.dropped[:_MOST_NAMED]))
        more = f"; and {count - _MOST_NAMED} more" if count > _MOST_NAMED else ""
        lines = f"{count} broken line{'s' * (count != 1)} skipped"
        return f"{lines}: {listed}{more} (a map that stands nowhere else counts as not done)"


def read_store(folder: Path) -> Content:
    """Everything in a store; the order of shards and writers does not matter.

    Raises StoreError when the folder cannot be read.
    """
    found, dropped, repeated = dict[Key, Record](), list[Dropped](), 0
    try:
        with without_collection():
            for path in shards(folder):
                records, lost = read_shard(path)
                dropped += lost
                for record in records:
                    key = record.key
                    repeated += key in found and key[1] >= 0
                    found.setdefault(key, record)
    except OSError as error:
        raise StoreError(f"cannot read the store {folder}: {error.strerror}") from error
    finished = {identity for identity, index in found if index >= 0}
    kept = [found[key] for key in sorted(found) if key[1] >= 0 or key[0] not in finished]
    return Content(kept, dropped, repeated)


def read_records(folder: Path) -> list[Record]:
    """The finished records of a store, sorted by identity and map.

    Raises StoreError when the folder cannot be read.
    """
    return read_store(folder).records


@dataclass
class ShardWriter:
    """The one writer of a new shard in a store; use as a context manager. Nothing written leaves nothing behind.

    ``failures`` : whether points that failed are kept, so that a report can name them.

    Raises StoreError when the folder is not ours, cannot be made or written, or the disk is full.
    """

    folder: Path
    failures: bool = True
    _handle: int = field(default=-1, init=False)
    _good: int = field(default=0, init=False)
    _path: Path = field(default=Path(), init=False)
    _synced: float = field(default=-1e9, init=False)
    _made: bool = field(default=False, init=False)
    _facts: Mapping[str, Any] | None = field(default=None, init=False, repr=False)
    _head: bytes = field(default=b"", init=False, repr=False)  # the facts as text: written once for all maps of a point

    def __enter__(self) -> ShardWriter:
        try:
            self._made = claim(self.folder)
            self._path = new_shard(self.folder)
            self._handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
        except OSError as error:
            raise StoreError(f"cannot write results to {self.folder}: {error.strerror}") from error
        return self

    def append(self, record: Record) -> None:
        """Write one record whole; it is synced to disk within ``SYNC_SECONDS`` of the next one, or at the end."""
        if F.error in record and not self.failures:
            return
        if record.facts is not self._facts:
            self._facts, self._head = record.facts, _json({F.schema: SCHEMA_VERSION, **record.facts})[:-1]
        line = b"%b,%b\n" % (self._head, _json(record.own)[1:])
        try:
            view = memoryview(line)
            while view:
                view = view[os.write(self._handle, view) :]
        except OSError as error:
            os.ftruncate(self._handle, self._good)
            raise self._broken(error) from error
        self._good += len(line)
        if time.monotonic() - self._synced >= SYNC_SECONDS:
            self._sync()

    def _sync(self) -> None:
        try:
            os.fsync(self._handle)
        except OSError as error:
            raise self._broken(error) from error
        self._synced = time.monotonic()

    def _broken(self, error: OSError) -> StoreError:
        return StoreError(
            f"cannot append to {self._path}: {error.strerror}; finished maps are kept, "
            "run the same command again to continue"
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._good:
                self._sync()
        finally:
            os.close(self._handle)
        if not self._good:
            self._path.unlink(missing_ok=True)
            if self._made:
                release(self.folder)
        if self._good == 0:
            self._path.unlink(missing_ok=True)
