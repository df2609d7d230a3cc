"""What a long-block decoder leaves, by simulation: counts of frames, their exact intervals, a table and a cache.

Every count is a function of (code, p, seed, frames): words of a seed are drawn batch after batch, so that more frames
continue those before.  A table of measurements comes with the package; others are kept in the cache folder under a key
of all that decides them, batch by batch, so that a run that is cut short goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from importlib import resources
from math import exp, log
from typing import Final

import numpy as np
from scipy.special import betaincinv

from qtaml_hw.ecc.min_sum import DECODER, LANES, Decoder
from qtaml_hw.ecc.tanner import TannerGraph
from qtaml_hw.errors import StoreError
from qtaml_hw.files import cache_folder, write_atomically

FRAMES: Final = 10_000
FAILURES: Final = 30  # from here on the frame error is known to a third of itself
SEED: Final = 2026
BATCHES_KEPT: Final = 32  # between two writes of the cache
_SETTING: Final = ("code", "decoder", "p", "seed", "data_bits")
TABLE: Final = "ldpc_measured.json"


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Frames of one code decoded at one flip probability of every bit.

    ``flagged`` : frames that no code word was found for; ``silent`` : that ended in a wrong one, data bits wrong.
    Data bits still wrong, by whether they had been flipped: ``*_hit``, ``*_clean``.  ``data_bits`` : of a frame.
    """

    code: str
    decoder: str
    p: float
    seed: int
    data_bits: int
    frames: int = 0
    flagged: int = 0
    silent: int = 0
    flagged_hit: int = 0
    flagged_clean: int = 0
    silent_hit: int = 0
    silent_clean: int = 0

    @property
    def failed(self) -> int:
        """Frames that did not come out right."""
        return self.flagged + self.silent

    @property
    def frame_error(self) -> float:
        """Share of frames that failed."""
        return self.failed / self.frames

    @property
    def frame_ci95(self) -> tuple[float, float]:
        """Clopper and Pearson's exact 95 % interval of the frame error (Biometrika 26, 1934)."""
        bad, all_ = self.failed, self.frames
        low = 0.0 if bad == 0 else float(betaincinv(bad, all_ - bad + 1, 0.025))
        return low, 1.0 if bad == all_ else float(betaincinv(bad + 1, all_ - bad, 0.975))

    @property
    def bit_error(self) -> float:
        """Share of data bits wrong after decoding."""
        wrong = self.flagged_hit + self.flagged_clean + self.silent_hit + self.silent_clean
        return wrong / (self.frames * self.data_bits)

    @property
    def bit_ci95(self) -> tuple[float, float]:
        """The frame error's interval times the share of bits wrong in a failed frame (p where none has failed)."""
        share = self.bit_error / self.frame_error if self.failed else self.p
        low, high = self.frame_ci95
        return share * low, share * high

    def per_failure(self) -> Failure:
        """What a failed frame looks like; one that was never seen is taken to be flagged and left as it was read."""
        if not self.failed:
            return Failure(1.0, 1.0, 0.0, 0.0, 0.0)
        hit, clean = (self.failed * self.data_bits * share for share in (self.p, 1.0 - self.p))
        return Failure(
            self.flagged / self.failed,
            min(self.flagged_hit / hit, 1.0),
            min(self.flagged_clean / clean, 1.0),
            min(self.silent_hit / hit, 1.0),
            min(self.silent_clean / clean, 1.0),
        )


@dataclass(frozen=True)
class Failure:
    """Of failed frames: the share flagged; P(data bit wrong, flagged), P(wrong, not flagged), given flipped or not."""

    flagged: float
    flagged_if_hit: float
    flagged_if_clean: float
    silent_if_hit: float
    silent_if_clean: float


def simulate(found: Measurement, graph: TannerGraph, batches: int) -> Measurement:
    """A measurement with further batches of 64 frames."""
    decoder, first = Decoder(graph), found.frames // LANES
    counts = np.zeros(6, dtype=np.int64)
    for batch in range(first, first + batches):
        rng = np.random.default_rng([found.seed, batch])
        errors = rng.random((graph.n, LANES), dtype=np.float32) < np.float32(found.p)
        left, iterations = decoder.run(errors)
        wrong, hit = left[: graph.k], errors[: graph.k]
        flagged = iterations < 0
        silent = wrong.any(axis=0) & ~flagged
        counts += [flagged.sum(), silent.sum(), *((wrong & which)[:, of].sum()
                   for of in (flagged, silent) for which in (hit, ~hit))]  # fmt: skip
    names = ("flagged", "silent", "flagged_hit", "flagged_clean", "silent_hit", "silent_clean")
    more = {name: getattr(found, name) + int(n) for name, n in zip(names, counts, strict=True)}
    return replace(found, frames=found.frames + batches * LANES, **more)


def measure(
    code: str, graph: TannerGraph, p: float, *, frames: int = FRAMES, failures: int = FAILURES, seed: int = SEED
) -> Measurement:
    """Decode frames at ``p`` until so many are done, or have failed; what the cache holds counts.

    Whatever cannot be kept in the cache is measured again next time.
    """
    found = Measurement(code=code, decoder=DECODER, p=p, seed=seed, data_bits=graph.k)
    path = cache_folder() / "ldpc" / f"{code}-{_key(found, graph)}.json"
    try:
        kept = Measurement(**json.loads(path.read_text(encoding="utf-8")))
        if all(getattr(kept, name) == getattr(found, name) for name in _SETTING):
            found = kept
    except (OSError, ValueError, TypeError):
        pass  # nothing there, or nothing that can be trusted
    while found.frames < frames and found.failed < failures:
        missing = -(-(frames - found.frames) // LANES)
        found = simulate(found, graph, min(missing, BATCHES_KEPT if found.frames else 1))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, json.dumps(asdict(found)))
        except (OSError, StoreError):
            continue
    return found


def _key(what: Measurement, graph: TannerGraph) -> str:
    """What a measurement is known by: the graph, the decoder, p and the seed."""
    total = hashlib.sha256(f"{what.decoder} {what.p!r} {what.seed}".encode())
    total.update(graph.starts.tobytes())
    total.update(graph.bits.tobytes())
    return total.hexdigest()[:16]


@lru_cache(maxsize=1)
def _table() -> tuple[Measurement, ...]:
    text = resources.files("qtaml_hw.ecc").joinpath(TABLE).read_text(encoding="utf-8")
    rows = [Measurement(**row) for row in json.loads(text)["rows"]]
    return tuple(sorted((row for row in rows if row.decoder == DECODER), key=lambda row: row.p))


def shipped(code: str) -> tuple[Measurement, ...]:
    """The measurements of a code that come with the package, by rising p."""
    return tuple(row for row in _table() if row.code == code)


def bound_at(p: float, rows: Sequence[Measurement]) -> tuple[float, Measurement] | None:
    """An upper bound of the frame error at ``p`` from measurements by rising p, and the one that failures are like.

    Between two measured p the upper ends of their intervals are interpolated in the logarithm of both; below the least
    that of the least holds.  None above the largest: nothing is extrapolated.
    """
    above = next((i for i, row in enumerate(rows) if row.p >= p * (1.0 - 1e-9)), None)
    if above is None:
        return None
    high = rows[above].frame_ci95[1]
    if above == 0 or rows[above].p <= p * (1.0 + 1e-9):
        return high, rows[above]
    below = rows[above - 1]
    share = (log(p) - log(below.p)) / (log(rows[above].p) - log(below.p))
    return exp((1.0 - share) * log(below.frame_ci95[1]) + share * log(high)), rows[above]
