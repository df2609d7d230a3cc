"""A folder of append-only JSON lines: one line per design point and fault map, and nothing finished is ever lost.

Every writer owns one shard file, so two writers never share a line.  A line is written whole and synced before the next
map starts; a line torn by a crash or a full disk is the last of its shard and is dropped when read.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from qtaml_hw.study.errors import InputError

SCHEMA_VERSION = 1
Record = dict[str, Any]
Key = tuple[str, int]


class StoreError(InputError):
    """The output folder cannot be used; the message says why and what is safe."""


def record_key(record: Record) -> Key:
    """What makes a record unique: the design point and the fault map (-1 for a failed point)."""
    return str(record["identity"]), int(record["map_index"])


def _lines(path: Path) -> Iterator[Record]:
    data = path.read_bytes()
    for line in data.split(b"\n")[:-1]:  # what follows the last newline is empty or torn
        try:
            record = json.loads(line)
        except ValueError:
            continue  # torn by a crash and closed later by a newline: its map is simply not finished
        if not isinstance(record, dict) or not {"identity", "map_index"} <= record.keys():
            continue
        if record.pop("schema", None) == SCHEMA_VERSION:
            yield record


def read_records(folder: Path) -> list[Record]:
    """All finished records of a store, merged by key, sorted by key; order of shards and writers does not matter.

    A failed point (map_index -1) is dropped once any map of it is finished.

    Raises StoreError when the folder cannot be read.
    """
    found: dict[Key, Record] = {}
    try:
        for path in sorted(folder.glob("*.jsonl")):
            for record in _lines(path):
                found.setdefault(record_key(record), record)
    except OSError as error:
        raise StoreError(f"cannot read the store {folder}: {error.strerror}") from error
    finished = {identity for identity, index in found if index >= 0}
    return [found[key] for key in sorted(found) if key[1] >= 0 or key[0] not in finished]


@dataclass
class ShardWriter:
    """The one writer of a new shard in a store; use as a context manager.

    Raises StoreError when the folder cannot be made or written, or the disk is full.
    """

    folder: Path
    _handle: int = field(default=-1, init=False)
    _good: int = field(default=0, init=False)
    _path: Path = field(default=Path(), init=False)

    def __enter__(self) -> ShardWriter:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._path = self.folder / f"records-{uuid.uuid4().hex[:12]}.jsonl"
            self._handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        except OSError as error:
            raise StoreError(f"cannot write results to {self.folder}: {error.strerror}") from error
        return self

    def append(self, record: Record) -> None:
        """Write one record and sync it to disk."""
        line = json.dumps({"schema": SCHEMA_VERSION, **record}, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        try:
            view = memoryview(line)
            while view:
                view = view[os.write(self._handle, view) :]
            os.fsync(self._handle)
        except OSError as error:
            os.ftruncate(self._handle, self._good)
            raise StoreError(
                f"cannot append to {self._path}: {error.strerror}; finished maps are kept, "
                "run the same command again to continue"
            ) from error
        self._good += len(line)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._handle)
        if self._good == 0:
            self._path.unlink(missing_ok=True)
