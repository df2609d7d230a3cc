"""A memory code as a designer asks it: what it leaves of a flip probability, when it hurts, what it costs in logic."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

from qtaml_hw.ecc.hardware import CodecHardware, codec_hardware
from qtaml_hw.ecc.linear import LinearCode
from qtaml_hw.ecc.residual import (
    Residual,
    break_even,
    check_probability,
    code_residual,
    code_transfer,
    uniform_transfer,
)
from qtaml_hw.ecc.transfer import Transfer
from qtaml_hw.names import OnUncorrectable


@dataclass(frozen=True, eq=False)
class Code(LinearCode):
    """A :class:`~qtaml_hw.ecc.linear.LinearCode` with its residual channel and its hardware."""

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
        return code_residual(self, p, p10, ones=ones, parity_p=parity_p, policy=policy or self.policy)

    def transfer(self, p_data: ArrayLike, p_parity: ArrayLike) -> Transfer:
        """Exact conditional behaviour for per-bit error probabilities (scalars, or [k] and [r])."""
        return code_transfer(self, p_data, p_parity)

    def word_transfer(self, p: float) -> Transfer:
        """:meth:`transfer` at one probability for all bits, remembered."""
        return uniform_transfer(self, check_probability(p, "p"))

    def break_even_p(self) -> float:
        """The raw flip probability above which the code makes data worse (0.5 if it never does)."""
        return break_even(self)

    def hardware(self, node_m: float = 45e-9, v_dd_v: float | None = None) -> CodecHardware:
        """Gates, area, energy and delay of encoder and decoder at a node and a supply (None: the node's nominal one).

        The source is named in the result.
        """
        return codec_hardware(self, node_m, v_dd_v)
