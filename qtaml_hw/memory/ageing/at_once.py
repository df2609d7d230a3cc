"""A fault map flipped at once: every cell under a menu entry flips alike, and words are read but never rewritten.

The engine flips whole tensors, the same cells bit for bit as when weak cells are listed plane by plane (a cell flips
when its U is below the threshold); what lies in words is then decoded, and the rest is read as it is.
"""

from __future__ import annotations

import numpy as np

from qtaml_hw.arrays import Codes, Float64, Int64
from qtaml_hw.faults import TENSORS, MapKey, flip
from qtaml_hw.memory.ageing.alike import Levels
from qtaml_hw.memory.ageing.kernels import bits_of_words
from qtaml_hw.memory.ageing.laid_out import LaidOut
from qtaml_hw.memory.ageing.tally import Tally
from qtaml_hw.memory.ageing.words import WordCounts, WordOutcome, read_words


def flip_at_once(laid_out: LaidOut, levels: Levels, key: MapKey, tally: Tally) -> None:
    """Every sample of one fault map, added to its tally."""
    for sample in range(laid_out.samples):
        found: dict[int, list[Int64]] = {region.index: [] for region in laid_out.regions}
        for tensor, codes in enumerate(laid_out.codes):
            drawn: dict[bytes, Codes] = {}
            for entry, mask in laid_out.entry_masks[tensor].items():
                p = levels.of_entry.get(entry, levels.words)
                flips = _flips(codes, p[sample], key.of(tensor), drawn) & mask
                if entry in found:
                    found[entry].append(_word_errors(laid_out, entry, tensor, flips))
                else:
                    tally.read_otherwise(tensor, sample, flips)
            checks = laid_out.check_bits[tensor]
            if checks.size:
                p = np.zeros((8, 2))
                p[0] = levels.checks[sample]
                lost = np.flatnonzero(_flips(checks, p, key.of(TENSORS["parity"].number(tensor)), {}))
                for region in laid_out.regions:
                    found[region.index].append(region.parity_cells(tensor, lost)[1])
        for region in laid_out.regions:
            keys = np.sort(np.concatenate(found[region.index]), kind="stable")  # of a few ascending runs
            read = read_words(region.code, region.word_bits, keys, sample, WordCounts())
            tally.words(region, WordOutcome([read], WordCounts()), laid_out.samples, laid_out.reload_word_s(region))


def _flips(codes: Codes, p: Float64, key: MapKey, drawn: dict[bytes, Codes]) -> Codes:
    """Bits that flip with ``p`` [bits or more, 2], of equal probabilities drawn once."""
    own, p = p.tobytes(), p[: 8 * codes.itemsize]
    if own not in drawn:
        drawn[own] = flip(codes, p[:, 0], p[:, 1], key) ^ codes
    return drawn[own]


def _word_errors(laid_out: LaidOut, entry: int, tensor: int, flips: Codes) -> Int64:
    """Keys (word * n + position) of the data bits in error of an entry's words in one tensor, ascending."""
    region = laid_out.region(entry)
    plan = laid_out.plan
    first, last = plan.tensor_groups(tensor)
    starts = plan.starts[first : last + 1] - plan.tensor_starts[tensor]
    index = bits_of_words(flips, starts, plan.choice[first:last] == entry)
    code = region.code
    keys: Int64 = (index // code.k + region.word_starts[tensor]) * code.n + index % code.k
    return keys
