"""Files that are written whole or not at all, in folders of ours, and what tells whether one is as it was."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from qtaml_hw.errors import StoreError

SMALL_BYTES: Final = 2**20  # up to here a file is known by its content: reading it costs less than a doubt
MARKER: Final = ".qtaml-hw"
"""The file that says whose a folder is; stores from before it are known by their records."""
DIGESTS: Final = "digests.json"
"""The file that remembers what networks are known by, so that a store is read without loading them."""
_RECORDS, _RECORD = re.compile(r"records-[0-9a-f]{12}\.jsonl"), b'{"schema":'
_NOBODYS = (".DS_Store", ".gitignore", ".gitkeep")  # a folder with no more than these is empty
_MOST_NAMED = 5


def new_shard(folder: Path) -> Path:
    """The name of a new file of records, that no other writer has."""
    return folder / f"records-{uuid.uuid4().hex[:12]}.jsonl"


def claim(folder: Path) -> bool:
    """Make a folder, or an empty one, ours to write results to; what is ours already stays so. Whether it was made.

    Results replace files of their names, so that a folder with anything else in it is refused: nobody's study, model or
    figures are lost to a mistyped ``--out``.

    Raises StoreError when it is somebody else's, or cannot be made.
    """
    try:
        made = not folder.is_dir()
        folder.mkdir(parents=True, exist_ok=True)
        names = sorted({path.name for path in folder.iterdir()} - {*_NOBODYS})
        if names and MARKER not in names and not any(map(_holds_records, folder.glob("*.jsonl"))):
            more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
            raise StoreError(
                f"{folder} holds what qtaml-hw did not write ({', '.join(names[:_MOST_NAMED])}{more}), "
                "and results could replace it: give a new or an empty folder"
            )
        if MARKER not in names:
            (folder / MARKER).write_text("Results of qtaml-hw: a command with this folder as --out may replace them.\n")
        return made
    except OSError as error:
        raise StoreError(f"cannot write results to {folder}: {error.strerror}") from error


def release(folder: Path) -> None:
    """Take away a folder that ``claim`` made, as long as there is no more in it than what is known of networks."""
    if {path.name for path in folder.iterdir()} <= {MARKER, DIGESTS}:
        for name in (MARKER, DIGESTS):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()


def _holds_records(path: Path) -> bool:
    """Whether a file is one of records, by its name (before there are any) or its first bytes."""
    if _RECORDS.fullmatch(path.name):
        return True
    with path.open("rb") as file:
        return file.read(len(_RECORD)) == _RECORD


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of ``path`` when the block ends well; until then, and otherwise, nothing changes.

    It is written beside ``path``, with the mode that any new file gets (0644 under a umask of 022), synced to disk and
    renamed: a reader sees the old file or the new one, whole. Raises OSError.
    """
    beside = path.with_name(f".{path.name}-{uuid.uuid4().hex[:12]}.tmp")
    try:
        with beside.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, content: str | bytes) -> None:
    """A file of results or beside them, whole or not at all. Raises StoreError when it cannot be written."""
    try:
        with replacing(path) as file:
            file.write(content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}") from error


def read_at_most(path: Path, most_bytes: int) -> bytes | None:
    """A file's bytes; None where it has more, of which no more are read. Raises OSError."""
    with path.open("rb") as file:
        raw = file.read(most_bytes + 1)
    return raw if len(raw) <= most_bytes else None


def content_digest(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stamp(path: Path) -> list[int | str] | None:
    """What a file is known by: size and content; of a large one size, times of both kinds and inode; None without one.

    A file that is replaced by one of equal size and time of modification has another inode, or another time of change.
    """
    try:
        found = path.stat()
        if found.st_size <= SMALL_BYTES:
            return [found.st_size, content_digest(path)]
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def cache_folder() -> Path:
    """``$QTAML_HW_CACHE``, or the platform's cache folder for this program."""
    given = os.environ.get("QTAML_HW_CACHE")
    if given:
        return Path(given).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "qtaml_hw"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "qtaml_hw" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qtaml_hw"
