"""Long-block codes: irregular repeat-accumulate LDPC codes of 1,024 to 16,384 bits, decoded by iteration.


Their residual channel is measured, not computed (:mod:`qtaml_hw.ecc.measured`); plans go by the upper end of the frame
error's 95 % interval.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from qtaml_hw.arrays import Int64, Uint8, Uint64
from qtaml_hw.ecc import codec, measured, min_sum
from qtaml_hw.ecc.capacity import capacity
from qtaml_hw.ecc.code import Code
from qtaml_hw.ecc.errors import ErrorOutcome, syndrome_errors
from qtaml_hw.ecc.hardware import CodecHardware
from qtaml_hw.ecc.iterative_hardware import iterative_hardware
from qtaml_hw.ecc.measured import Measurement
from qtaml_hw.ecc.tanner import TannerGraph, accumulate_graph
from qtaml_hw.ecc.transfer import Transfer
from qtaml_hw.names import LDPC_BITS, LDPC_RATES, OnUncorrectable

_BREAK_EVEN_STEPS: Final = 12  # in p, from the p where capacity is the rate


@dataclass(frozen=True, eq=False)
class LdpcCode(Code):
    """A repeat-accumulate code by its graph; see :class:`~qtaml_hw.ecc.block.BlockCode`.

    ``t`` = 1: single errors are corrected for certain (tests); how many more, is a matter of chance.
    """

    name: str
    graph: TannerGraph
    policy: OnUncorrectable = "raw"
    family: str = "ldpc"
    t: int = 1
    whole: ClassVar[bool] = True

    @property
    def k(self) -> int:
        """Data bits per block."""
        return self.graph.k

    @property
    def parity(self) -> int:
        """Check bits per block."""
        return self.graph.checks

    def with_policy(self, policy: OnUncorrectable) -> Self:
        """The same code under another decoder policy."""
        return replace(self, policy=policy)

    # ---- words

    def _check_limbs(self, data: Uint64) -> Uint64:
        return codec.pack(min_sum.encode(self.graph, codec.unpack(data, self.k)))

    def _correct(self, data: Uint64, syndromes: Uint64) -> Uint8:
        # an error confined to the check bits lies as far from every code word as the word itself from its own
        outcome = self._left(*syndrome_errors(syndromes, self.k, self.parity))
        limb, bit = outcome.positions // 64, (outcome.positions % 64).astype(np.uint64)
        np.bitwise_xor.at(data, (outcome.word_ids, limb), np.uint64(1) << bit)
        status = np.zeros(len(data), dtype=np.uint8)
        status[outcome.corrected_words] = codec.CORRECTED
        status[outcome.uncorrectable_words] = codec.UNCORRECTABLE
        return status

    def _left(self, word_ids: Int64, positions: Int64) -> ErrorOutcome:
        words, first = np.unique(word_ids, return_index=True)
        ends = np.append(first, word_ids.size)
        decoder = min_sum.Decoder(self.graph)
        left: list[tuple[Int64, Int64]] = []
        iterations = np.empty(words.size, dtype=np.int64)
        for start in range(0, words.size, min_sum.LANES):
            end = min(start + min_sum.LANES, words.size)
            mine = slice(ends[start], ends[end])
            errors = np.zeros((self.n, min_sum.LANES), dtype=bool)
            errors[positions[mine], np.searchsorted(words[start:end], word_ids[mine])] = True
            wrong, taken = decoder.run(errors)
            lanes, at = np.nonzero(wrong[: self.k, : end - start].T)
            left.append((words[start:end][lanes], at.astype(np.int64)))
            iterations[start:end] = taken[: end - start]
        none = np.empty(0, dtype=np.int64)
        return ErrorOutcome(
            np.concatenate([none, *(ids for ids, _ in left)]),
            np.concatenate([none, *(at for _, at in left)]),
            words[iterations > 0],
            words[iterations < 0],
        )

    # ---- what is left of flips

    def measured(self, p: float, frames: int = measured.FRAMES, failures: int = measured.FAILURES) -> Measurement:
        """Frame and bit error at ``p`` with their intervals: decodes until so many frames are done, or have failed.

        Kept in the cache folder.  Raises ValueError unless 0 < p < 1.
        """
        if not 0.0 < p < 1.0:
            raise ValueError(f"a measurement needs a flip probability between 0 and 1, got {p!r}")
        return measured.measure(self.name, self.graph, float(p), frames=frames, failures=failures)

    def transfer(self, p_data: ArrayLike, p_parity: ArrayLike) -> Transfer:
        """Conditional behaviour at the mean p of a block's bits, by the upper end of the frame error's 95 % interval.

        From the table that comes with the package within the p that it covers, else measured now (:meth:`measured`).
        """
        means = [float(np.asarray(p, dtype=np.float64).mean()) for p in (p_data, p_parity)]
        if not all(0.0 <= p <= 1.0 for p in means):
            raise ValueError("error probabilities must be in [0, 1]")
        return _transfer(self.name, self.k, (self.k * means[0] + self.parity * means[1]) / self.n)

    def break_even_p(self) -> float:
        """The first of twelve p from the rate's own on, C(p) = k/n, where 64 blocks come out worse than they were."""
        return _break_even(self.name)

    def hardware(self, node_m: float = 45e-9, v_dd_v: float | None = None) -> CodecHardware:
        """A row-layered decoder with its memory (:mod:`qtaml_hw.ecc.iterative_hardware`): modelled, largely assumed."""
        return iterative_hardware(self.graph, node_m, v_dd_v)


@lru_cache(maxsize=32)
def long_block(n: int, rate: float) -> LdpcCode:
    """The code ``ldpc-N-R``: blocks of ``n`` bits, the nearest number of data bits to ``rate`` n.

    Raises ValueError for sizes and rates that are not offered.
    """
    if not (LDPC_BITS[0] <= n <= LDPC_BITS[1] and LDPC_RATES[0] <= rate <= LDPC_RATES[1]):
        raise ValueError(
            f"ldpc codes have {LDPC_BITS[0]} to {LDPC_BITS[1]} bits and rates of {LDPC_RATES[0]} to {LDPC_RATES[1]}; "
            f"got ldpc-{n}-{rate:g}"
        )
    return LdpcCode(f"ldpc-{n}-{rate:g}", accumulate_graph(n, round(n * rate)))


def _named(name: str) -> LdpcCode:
    _, n, rate = name.split("-")
    return long_block(int(n), float(rate))


@lru_cache(maxsize=4096)
def _transfer(name: str, k: int, p: float) -> Transfer:
    if p == 0.0:
        return _of_shares(k, measured.Failure(0.0, 0.0, 0.0, 0.0, 0.0), 0.0, "no flips")
    found = measured.bound_at(p, measured.shipped(name))
    if found is None:
        row = _named(name).measured(min(p, 0.5))
        found = row.frame_ci95[1], row
    bound, row = found
    tag = f"decoded at p = {row.p:.4g}, {row.failed} of {row.frames} frames wrong; upper end of 95 %"
    return _of_shares(k, row.per_failure(), bound, tag)


def _of_shares(k: int, failure: measured.Failure, bound: float, method: str) -> Transfer:
    """The transfer where a share ``bound`` of the frames fails, as ``failure`` says."""
    due, sdc = bound * failure.flagged, bound * (1.0 - failure.flagged)
    return Transfer(
        np.full(k, bound * failure.silent_if_hit),
        np.full(k, bound * failure.silent_if_clean),
        np.full(k, due),
        np.full(k, due),
        due,
        sdc,
        method,
        (np.full(k, bound * failure.flagged_if_hit), np.full(k, bound * failure.flagged_if_clean)),
    )


@lru_cache(maxsize=32)
def _break_even(name: str) -> float:
    code = _named(name)
    limit = float(brentq(lambda p: capacity(p, p) - code.k / code.n, 1e-9, 0.5 - 1e-9))
    for p in np.linspace(limit, 0.49, _BREAK_EVEN_STEPS):
        blank = Measurement(code=name, decoder=min_sum.DECODER, p=float(p), seed=measured.SEED, data_bits=code.k)
        if measured.simulate(blank, code.graph, 1).bit_error > p:
            return float(p)
    return 0.5
