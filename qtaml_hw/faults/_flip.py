"""Flip the bits of stored codes: the call that the rest of the house uses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qtaml_hw.arrays import Int64, Uint8
from qtaml_hw.faults._chunks import Program, Scratch, flip_part, flip_rows, program, scratch
from qtaml_hw.faults._notice import compile_notice
from qtaml_hw.faults._rates import GroupRates, group_rates, plane_probabilities
from qtaml_hw.faults._streams import CHUNK_BYTES
from qtaml_hw.faults.keys import MapKey, RowKeys

CODE_TYPES = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.uint32))


def flip_bits(
    codes: NDArray[Any],
    p01: ArrayLike,
    p10: ArrayLike,
    *,
    seed: int,
    map_index: int = 0,
    tensor: int = 0,
    out: NDArray[Any] | None = None,
    threads: int = 1,
) -> NDArray[Any]:
    """:func:`flip`, the key's three numbers said one by one."""
    return flip(codes, p01, p10, MapKey(seed, map_index, tensor), out=out, threads=threads)


def flip(
    codes: NDArray[Any],
    p01: ArrayLike,
    p10: ArrayLike,
    key: MapKey,
    *,
    out: NDArray[Any] | None = None,
    threads: int = 1,
) -> NDArray[Any]:
    """Flip every stored bit with its probability; flips are nested over p and independent of ``threads``.

    A cell (one bit of one weight) owns one virtual uniform U, a function of (seed, map_index, tensor, plane, weight
    index) alone, and flips iff U < p, where p is ``p10`` if it stores 1 and ``p01`` if it stores 0.  The probability
    is exact to float64 rounding.  The low eight planes of a wide code flip as those of an 8-bit code would.

    Parameters
    ----------
    codes : uint8, uint16 or uint32 array of any shape; weights count in C order.
    p01, p10 : probability of reading 1 where 0 is stored, and 0 where 1 is stored; one number, or one per plane,
        least significant first.
    key : seed, fault map and tensor.
    out : where the corrupted codes go; ``codes`` itself flips in place.  A new array if left out.
    threads : threads over chunks of 65,536 weights; the result does not depend on it.

    Raises
    ------
    ValueError : another dtype, a probability outside [0, 1], a wrong number of planes, a key that is not a whole
        number, or an ``out`` that does not fit.
    """
    if threads < 1:
        raise ValueError(f"threads must be at least 1; got {threads}")
    if codes.dtype not in CODE_TYPES:
        raise ValueError(
            f"codes must be uint8, uint16 or uint32 (bit patterns, not signed values); got {codes.dtype}; "
            "for int8 values pass codes.view(numpy.uint8)"
        )
    result = _result(codes, out)
    flip_in_place(result, p01, p10, key, threads)
    return result


def flip_each(codes: NDArray[Any], p01: ArrayLike, p10: ArrayLike, keys: RowKeys) -> None:
    """Flip rows of codes [N, M] where they lie, each as :func:`flip` does under its own key: many short draws at once.

    Raises ValueError for codes that are not C-contiguous rows, another number of keys, and what :func:`flip` refuses.
    """
    RowRates.of(p01, p10, 8 * codes.dtype.itemsize).flip(codes, keys, scratch())


def flip_end_to_end(codes: NDArray[Any], starts: Int64, p01: ArrayLike, p10: ArrayLike, keys: RowKeys) -> None:
    """Flip tensors that lie end to end, codes ``starts[i]`` .. ``starts[i + 1] - 1`` in C order, as :func:`flip_each`.

    ``starts`` int64 [keys + 1], ascending.  Raises ValueError for codes that are not C-contiguous, starts that do not
    fit them, and what :func:`flip` refuses.
    """
    RowRates.of(p01, p10, 8 * codes.dtype.itemsize).flip_end_to_end(codes, starts, keys, scratch())


@dataclass(frozen=True, eq=False)
class RowRates:
    """Probabilities of flips made ready once for many draws of rows: a program for every byte of a code."""

    programs: tuple[Program, ...]
    idle: bool

    @classmethod
    def of(cls, p01: ArrayLike, p10: ArrayLike, planes: int) -> RowRates:
        """For codes of 8, 16 or 32 planes.  Raises ValueError as :func:`flip` does for probabilities."""
        up, down = plane_probabilities(p01, p10, planes)
        groups = [group_rates(up[at : at + 8], down[at : at + 8]) for at in range(0, planes, 8)]
        return cls(tuple(program(rates) for rates in groups), all(rates.idle for rates in groups))

    def flip(self, codes: NDArray[Any], keys: RowKeys, work: Scratch) -> None:
        """:func:`flip_each` at these rates, in the work space of a thread.

        Raises ValueError as it does for codes and keys.
        """
        if codes.ndim != 2 or keys.rows != len(codes):
            raise ValueError(f"needs rows of codes and a key for each; got shape {codes.shape} and {keys.rows} keys")
        self.flip_end_to_end(codes, np.arange(len(codes) + 1) * codes.shape[1], keys, work)

    def flip_end_to_end(self, codes: NDArray[Any], starts: Int64, keys: RowKeys, work: Scratch) -> None:
        """:func:`flip_end_to_end` at these rates, in the work space of a thread.

        Raises ValueError as it does for codes and starts.
        """
        if codes.dtype not in CODE_TYPES or not codes.flags.c_contiguous:
            raise ValueError(
                f"needs C-contiguous uint8, uint16 or uint32; got {codes.dtype} of strides {codes.strides}"
            )
        if len(starts) != keys.rows + 1 or starts[0] < 0 or starts[-1] > codes.size or np.any(np.diff(starts) < 0):
            raise ValueError(f"{keys.rows} tensors within {codes.size} codes cannot start at {starts.tolist()}")
        if self.idle or not codes.size:
            return
        tensors = np.uint64(keys.first.tensor), np.uint64(keys.step)
        flat = codes.reshape(-1).view(np.uint8)
        with compile_notice(flip_rows):
            flip_rows(flat, starts * codes.itemsize, self.programs, keys.of_map, tensors, work)


def error_masks(n_weights: int, p: ArrayLike, key: MapKey, *, bits: int = 8, threads: int = 1) -> NDArray[Any]:
    """Error patterns without data, for linear codes: bit b of entry i is 1 where that cell flips with probability p.

    ``p`` is one probability or ``bits`` of them; the result is uint8, uint16 or uint32 [n_weights] by ``bits``, the
    exclusive or of :func:`flip`'s output with its input at ``p01 = p10 = p``.
    Raises ValueError for other widths, a negative count, or what :func:`flip` refuses.
    """
    by_width = {8 * dtype.itemsize: dtype for dtype in CODE_TYPES}
    if bits not in by_width:
        raise ValueError(f"bits must be one of {sorted(by_width)}; got {bits}")
    if n_weights < 0:
        raise ValueError(f"n_weights must not be negative; got {n_weights}")
    masks = np.zeros(n_weights, dtype=by_width[bits])
    flip_in_place(masks, p, p, key, threads)
    return masks


def flip_in_place(codes: NDArray[Any], p01: ArrayLike, p10: ArrayLike, key: MapKey, threads: int = 1) -> None:
    """Flip C-contiguous codes where they lie, one byte group after another; groups without flips are not read."""
    stride = codes.dtype.itemsize
    up, down = plane_probabilities(p01, p10, 8 * stride)
    flat = codes.reshape(-1).view(np.uint8)
    keys = [key.group(group) for group in range(stride)]
    for group in range(stride):
        rates = group_rates(up[8 * group : 8 * group + 8], down[8 * group : 8 * group + 8])
        if not rates.idle and flat.size:
            _run(flat, stride, group, keys[group], rates, threads)


def _run(flat: Uint8, stride: int, group: int, key: np.uint64, rates: GroupRates, threads: int) -> None:
    chunks = -(-flat.size // (stride * CHUNK_BYTES))
    workers = max(1, min(threads, chunks))
    edges = [chunks * i // workers for i in range(workers + 1)]
    todo = program(rates)

    def part(worker: int) -> None:
        flip_part(flat, (stride, group), (edges[worker], edges[worker + 1]), key, todo)

    with compile_notice(flip_part):
        if workers == 1:
            part(0)
        else:
            with ThreadPoolExecutor(workers) as pool:
                list(pool.map(part, range(workers)))


def _result(codes: NDArray[Any], out: NDArray[Any] | None) -> NDArray[Any]:
    """The array to flip: a copy of the codes, or ``out`` filled with them."""
    if out is None:
        return np.array(codes, order="C")
    if out.dtype != codes.dtype or out.shape != codes.shape:
        raise ValueError(
            f"out must have the codes' dtype and shape, {codes.dtype} {codes.shape}; got {out.dtype} {out.shape}"
        )
    if not (out.flags.c_contiguous and out.flags.writeable and out.flags.aligned):
        raise ValueError("out must be C-contiguous, aligned and writeable")
    if out is not codes and np.shares_memory(out, codes) and not _same_memory(out, codes):
        raise ValueError("out overlaps codes without being the same array")
    if not _same_memory(out, codes):
        np.copyto(out, codes)
    return out


def _same_memory(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return a.ctypes.data == b.ctypes.data and a.strides == b.strides
