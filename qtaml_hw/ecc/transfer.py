"""What a decoder does to a data bit, given whether the bit was flipped: the value that every residual is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qtaml_hw.arrays import Float64
from qtaml_hw.names import OnUncorrectable


@dataclass(frozen=True, eq=False)
class Transfer:
    """Conditional behaviour of the decoder per data bit, float64 [k], and per word.

    ``wrong_if_hit``: P(not flagged and the bit wrong after decoding | the bit was flipped); ``wrong_if_clean``: the
    same given that it was not.  ``flagged_if_hit``, ``flagged_if_clean``: P(word flagged | ...).  ``p_due``,
    ``p_sdc``: per word, flagged uncorrectable, and not flagged with at least one data bit wrong.  ``kept``: P(word
    flagged and the bit wrong as the decoder passes it | flipped, or not); None where flagged words stay as read.
    """

    wrong_if_hit: Float64
    wrong_if_clean: Float64
    flagged_if_hit: Float64
    flagged_if_clean: Float64
    p_due: float
    p_sdc: float
    method: str
    kept: tuple[Float64, Float64] | None = None

    def __post_init__(self) -> None:
        arrays = (self.wrong_if_hit, self.wrong_if_clean, self.flagged_if_hit, self.flagged_if_clean)
        for array in (*arrays, *(self.kept or ())):
            array.setflags(write=False)  # results are remembered and shared

    def directional(self, p01: ArrayLike, p10: ArrayLike, policy: OnUncorrectable) -> tuple[Float64, Float64]:
        """Per data bit: P(1 after decoding | stored 0) and P(0 | stored 1), given the bit's own raw p01, p10."""
        p01, p10 = np.asarray(p01, dtype=np.float64), np.asarray(p10, dtype=np.float64)
        up = p01 * self.wrong_if_hit + (1.0 - p01) * self.wrong_if_clean
        down = p10 * self.wrong_if_hit + (1.0 - p10) * self.wrong_if_clean
        if policy == "raw":
            hit, clean = self.kept or (self.flagged_if_hit, 0.0)
            up, down = up + p01 * hit + (1.0 - p01) * clean, down + p10 * hit + (1.0 - p10) * clean
        elif policy == "zero":
            down = down + p10 * self.flagged_if_hit + (1.0 - p10) * self.flagged_if_clean
        elif policy == "sign":  # half of the weights have the other sign: assumed, as a code does not know its planes
            up = up + 0.5 * (p01 * self.flagged_if_hit + (1.0 - p01) * self.flagged_if_clean)
            down = down + 0.5 * (p10 * self.flagged_if_hit + (1.0 - p10) * self.flagged_if_clean)
        return np.clip(up, 0.0, 1.0), np.clip(down, 0.0, 1.0)
