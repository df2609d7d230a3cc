"""A memory code as a designer asks it: what it leaves of a flip probability, when it hurts, what it costs in logic."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qtaml_hw.ecc.block import BlockCode
from qtaml_hw.ecc.hardware import CodecHardware, codec_hardware
from qtaml_hw.ecc.linear import LinearCode
from qtaml_hw.ecc.residual import Residual, break_even, check_probability, code_residual, code_transfer, scalar_transfer
from qtaml_hw.ecc.transfer import Transfer
from qtaml_hw.names import OnUncorrectable


class Code(BlockCode):
    """A code with its residual channel and its hardware."""

    def residual(
        self,
        p: float,
        p10: float | None = None,
        *,
        ones: float = 0.5,
        parity_p: float | None = None,
        policy: OnUncorrectable | None = None,
    ) -> Residual:
        """What the code leaves of independent flips.

        ``p`` is the raw flip probability of every stored bit, data and check bits alike.  With ``p10`` given, ``p`` is
        p01 and ``ones`` the data's density of ones: a data bit then errs with (1 - ones) p01 + ones p10.  ``parity_p``
        gives check cells another probability (their own ones density is 1/2 for random data).  ``p_due`` and ``p_sdc``
        are probabilities *per word*: flagged uncorrectable, and not flagged with at least one data bit wrong.
        """
        return code_residual(self.transfer, p, p10, ones=ones, parity_p=parity_p, policy=policy or self.policy)

    @abstractmethod
    def transfer(self, p_data: ArrayLike, p_parity: ArrayLike) -> Transfer:
        """Conditional behaviour for per-bit error probabilities (scalars, or [k] and [r])."""

    def word_transfer(self, p: float) -> Transfer:
        """:meth:`transfer` at one probability for all bits, remembered."""
        return self.transfer(check_probability(p, "p"), p)

    @abstractmethod
    def break_even_p(self) -> float:
        """The raw flip probability above which the code makes data worse (0.5 if it never does)."""

    @abstractmethod
    def hardware(self, node_m: float = 45e-9, v_dd_v: float | None = None) -> CodecHardware:
        """Gates, area, energy and delay of encoder and decoder at a node and a supply (None: the node's nominal one).

        The source is named in the result.
        """


@dataclass(frozen=True, eq=False)
class MatrixCode(LinearCode, Code):
    """A :class:`~qtaml_hw.ecc.linear.LinearCode` with its exact residual channel and its synthesised hardware."""

    def transfer(self, p_data: ArrayLike, p_parity: ArrayLike) -> Transfer:
        """Exact conditional behaviour; remembered where all data bits and all check bits are alike."""
        data, parity = np.asarray(p_data, dtype=np.float64), np.asarray(p_parity, dtype=np.float64)
        if data.ndim == parity.ndim == 0:
            return scalar_transfer(self, float(data), float(parity))
        return code_transfer(self, data, parity)

    def break_even_p(self) -> float:
        """As for every code, from the residual's first crossing."""
        return break_even(self.transfer, self.policy)

    def hardware(self, node_m: float = 45e-9, v_dd_v: float | None = None) -> CodecHardware:
        """As for every code: synthesised figures, or the closed form fitted to them."""
        return codec_hardware(self, node_m, v_dd_v)
