"""Files that are written whole or not at all, and what tells whether one is still as it was."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from qtaml_hw.errors import StoreError

SMALL_BYTES: Final = 2**20  # up to here a file is known by its content: reading it costs less than a doubt


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
