"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from qtaml_hw.errors import StoreError


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
