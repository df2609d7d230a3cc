"""What is true of every file that is read: any failure is one line that names it, and nothing swells without bound."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from qtaml_hw.errors import InputError

LONGEST_REASON: Final = 500  # characters of a message
PACKED: Final = 32
"""Times that a compressed file may grow, beside ``ROOM``.  Images and labels grow less than tenfold, deflate's limit is
1032 (zlib.net/zlib_tech.html); assumed."""
ROOM: Final = 1 << 24  # bytes that any compressed file may have unpacked; assumed


@contextmanager
def readable(place: str | Path, kind: str) -> Iterator[None]:
    """Whatever goes wrong in the block becomes an InputError of one line: which file, what it should be, and why not.

    Readers of damaged files raise almost anything, a panic of a compiled library included; the user's Ctrl-C passes.
    """
    try:
        yield
    except InputError:
        raise
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # pyo3's PanicException and SystemExit are no Exception
        raise InputError(f"{place}: not a readable {kind} ({in_words(error)})") from error


def in_words(error: BaseException) -> str:
    """An exception as one line, not too long; its kind where it says nothing or was not meant for users."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    text = " ".join(said.split())
    if not isinstance(error, ValueError | OSError) or not text:
        text = f"{type(error).__name__}: {text}".removesuffix(": ")
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]} ..."


def unpacked_limit(packed: int) -> int:
    """Bytes that a compressed file of so many bytes may become."""
    return ROOM + PACKED * packed


def check_members(archive: zipfile.ZipFile, size: int) -> None:
    """Refuse a zip archive of ``size`` bytes whose members become more than ``unpacked_limit``.  Raises ValueError."""
    whole = sum(info.file_size for info in archive.infolist())
    if whole > unpacked_limit(size):
        raise ValueError(f"its {size} bytes become {whole}: more than {unpacked_limit(size)} are not unpacked")
