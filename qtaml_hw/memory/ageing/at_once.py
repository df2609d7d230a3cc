"""A fault map flipped at once: every cell under a menu entry flips alike, and words are read but never rewritten.

The engine flips whole tensors, the same cells bit for bit as when weak cells are listed plane by plane (a cell flips
when its U is below the threshold); what lies in words is then decoded, and the rest is read as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from qtaml_hw.arrays import Codes, Float64
from qtaml_hw.faults import TENSORS, MapKey, RowKeys, flip_end_to_end
from qtaml_hw.memory.ageing.alike import Levels
from qtaml_hw.memory.ageing.kernels import BitErrors
from qtaml_hw.memory.ageing.laid_out import EndToEnd, LaidOut
from qtaml_hw.memory.ageing.tally import Tally
from qtaml_hw.memory.ageing.words import WordCounts, WordOutcome, read_words


def flip_at_once(laid_out: LaidOut, levels: Levels, key: MapKey, tally: Tally) -> None:
    """Every sample of one fault map, added to its tally."""
    for sample in range(laid_out.samples):
        found: dict[int, list[BitErrors]] = {region.index: [] for region in laid_out.regions}
        for run in laid_out.runs:
            data = _Drawn(run.codes, key.of(run.first))
            checks = _Drawn(run.checks, key.of(TENSORS["parity"].number(run.first)))
            for i, tensor in enumerate(run.tensors):
                for entry, mask in laid_out.entry_masks[tensor].items():
                    flips = data.flips(i, levels.of_entry.get(entry, levels.words)[sample]) & mask
                    if entry in found:
                        lost = checks.flips(i, levels.checks[sample]).view(np.bool_)
                        found[entry].append(laid_out.region(entry).errors(tensor, flips, lost))
                    else:
                        tally.read_otherwise(tensor, sample, flips)
        for region in laid_out.regions:
            read = read_words(region.code, BitErrors.together(found[region.index]), sample, WordCounts())
            tally.words(region, WordOutcome([read], WordCounts()), laid_out.samples, laid_out.reload_word_s(region))


@dataclass(frozen=True, eq=False)
class _Drawn:
    """Flips of cells under a key, that of the first array; of equal probabilities they are drawn once."""

    arrays: EndToEnd
    key: MapKey
    _known: dict[bytes, Codes] = field(default_factory=dict)

    def flips(self, index: int, p: Float64) -> Codes:
        """Of one array: the bits that flip with ``p`` [bits or more, 2]."""
        own, (cells, starts) = p.tobytes(), (self.arrays.cells, self.arrays.starts)
        if own not in self._known:
            up, down = p[: 8 * cells.itemsize].T
            self._known[own] = cells.copy()
            flip_end_to_end(self._known[own], starts, up, down, RowKeys(self.key, len(starts) - 1))
            self._known[own] ^= cells
        return self._known[own][starts[index] : starts[index + 1]]
