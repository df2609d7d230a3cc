"""Codes of the user's own: a parity-check matrix from a JSON or alist file, brought to systematic form.

JSON: ``{"name": "mine", "t": 1, "parity_check": [[1, 0, ...], ...]}`` (rows of H; ``t`` optional).
alist: D. MacKay's sparse format (n m / max weights / column weights / row weights / 1-based row indices per column
...).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from qtaml_hw.ecc.code import MatrixCode
from qtaml_hw.ecc.cosets import TABLE_LIMIT
from qtaml_hw.ecc.matrices import BitMatrix
from qtaml_hw.ecc.weight_distribution import minimum_distance

MAX_BITS = 1024


def from_parity_check(h: BitMatrix, name: str, t: int | None = None) -> MatrixCode:
    """A systematic code with the check matrix ``h``, 0/1 [r, n].

    The last r columns become the check bits if they are independent; otherwise other columns are taken and the data
    bits keep their order.  ``t`` is the number of errors to correct per word; by default what the minimum distance
    allows.  Raises ValueError for dependent rows, more than 18 check bits, or a t that the
    distance does not allow.
    """
    h = np.asarray(h)
    if h.ndim != 2 or not np.isin(h, (0, 1)).all() or not 1 <= h.shape[0] < h.shape[1] <= MAX_BITS:
        raise ValueError(f"a parity-check matrix is 0/1 of shape [r, n], 1 <= r < n <= {MAX_BITS}; got shape {h.shape}")
    if h.shape[0] > TABLE_LIMIT:
        raise ValueError(
            f"codes from a file may have up to {TABLE_LIMIT} check bits (syndrome table), got {h.shape[0]}"
        )
    parity = _systematic(h.astype(np.uint8))
    distance = minimum_distance(h)
    allowed = (distance - 1) // 2
    if t is not None and not 0 <= t <= allowed:
        raise ValueError(
            f"code {name!r} has distance {distance}, so it corrects up to {allowed} errors per word, not {t}"
        )
    return MatrixCode(name, "user", parity, allowed if t is None else t, distance)


def _systematic(h: BitMatrix) -> BitMatrix:
    """The parity matrix [k, r] of the row space of ``h``, pivots taken from the last columns first."""
    work = h.copy()
    pivots: list[int] = []
    for column in range(work.shape[1] - 1, -1, -1):
        row = len(pivots)
        ones = np.nonzero(work[row:, column])[0]
        if ones.size == 0:
            continue
        work[[row, row + ones[0]]] = work[[row + ones[0], row]]
        others = np.nonzero(work[:, column])[0]
        work[others[others != row]] ^= work[row]
        pivots.append(column)
        if len(pivots) == work.shape[0]:
            break
    if len(pivots) < work.shape[0]:
        raise ValueError(f"the rows of the parity-check matrix are dependent: rank {len(pivots)} of {work.shape[0]}")
    data = [column for column in range(work.shape[1]) if column not in pivots]
    order = np.argsort(pivots)  # check bit i belongs to the i-th pivot column from the left
    return np.ascontiguousarray(work[order][:, data].T)


def load_code(path: str | Path) -> MatrixCode:
    """A code from a ``.json`` or ``.alist`` file; ValueError naming the file for anything that is not one."""
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read the code file {file}: {error}") from error
    try:
        if file.suffix.lower() == ".json":
            raw = json.loads(text)
            return from_parity_check(np.array(raw["parity_check"]), str(raw.get("name", file.stem)), raw.get("t"))
        if file.suffix.lower() == ".alist":
            return from_parity_check(parse_alist(text), file.stem)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ValueError(
            f"{file}: {error if not isinstance(error, KeyError) else f'the key {error} is missing'}"
        ) from error
    raise ValueError(f"{file}: a code file is .json or .alist")


def parse_alist(text: str) -> BitMatrix:
    """The 0/1 matrix [m, n] of an alist text; ValueError where counts and lists disagree."""
    lines = [[int(token) for token in line.split()] for line in text.splitlines() if line.strip()]
    if len(lines) < 4 or len(lines[0]) != 2:
        raise ValueError("not an alist: the first line holds n and m, then maxima, column weights, row weights, lists")
    n, m = lines[0]
    if len(lines) < 4 + n or len(lines[2]) != n or len(lines[3]) != m:
        raise ValueError(f"not an alist of n = {n}, m = {m}: weight lines or column lists are missing")
    h = np.zeros((m, n), dtype=np.uint8)
    for column in range(n):
        rows = [row for row in lines[4 + column] if row != 0]
        if len(rows) != lines[2][column] or not all(1 <= row <= m for row in rows):
            raise ValueError(
                f"alist column {column + 1} announces {lines[2][column]} ones in rows 1 .. {m}, lists {rows}"
            )
        h[np.array(rows, dtype=np.int64) - 1, column] = 1
    if h.sum(axis=1).tolist() != lines[3]:
        raise ValueError("alist row weights disagree with the column lists")
    return h
