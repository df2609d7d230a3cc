"""The plain twin of the simulated memory: every bit is aged at every event, one by one, and whole words are decoded.

It shares with the package only the source of randomness (each cell's uniform, and the draw of later lifetimes), the
codes' encode and decode of whole words, and the command log.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from qtaml_hw.arrays import Float64
from qtaml_hw.device import STRATA_EDGES, KeptRanks, RetentionPopulation, charge_population
from qtaml_hw.ecc import Code, Decoded
from qtaml_hw.faults import TENSORS, MapKey, second_uniforms, weak_cells
from qtaml_hw.memory import CommandLog, FixedCells, Memory, PoissonCells
from qtaml_hw.memory.ageing.ageing import EPOCH_SEED
from qtaml_hw.memory.ageing.memoryless import fresh_uniform, lifetime_key
from qtaml_hw.protection import entry as menu_entry


@dataclass(frozen=True)
class UniformLife:
    """Retention times spread evenly over (0, longest_s): P(t_ret < t) = t / longest_s."""

    longest_s: float
    leaky_state: int | None = 1

    def flip_probability(self, interval_s: ArrayLike) -> Float64:
        return np.minimum(np.asarray(interval_s, dtype=np.float64) / self.longest_s, 1.0)

    def retention_quantile(self, u: ArrayLike) -> Float64:
        return np.asarray(u, dtype=np.float64) * self.longest_s


Cell = UniformLife | PoissonCells | FixedCells | RetentionPopulation
STRONGER = 5.0  # stronger cells, where no oxide is behind them, are so many times as long-lived


@cache
def strong(cell: Cell) -> Cell:
    """The stronger cells beside these."""
    if isinstance(cell, RetentionPopulation):
        origin = cell.origin
        return charge_population(replace(origin.cell, t_ox_m=origin.cell.t_ox_m + 0.05e-9), origin.die)
    if isinstance(cell, UniformLife):
        return UniformLife(cell.longest_s * STRONGER, cell.leaky_state)
    if isinstance(cell, PoissonCells):
        return PoissonCells(cell.rate_per_s / STRONGER, cell.leaky_state)
    return FixedCells(np.asarray(cell.p01) / STRONGER, np.asarray(cell.p10) / STRONGER)


@dataclass
class Bit:
    """One stored cell."""

    written: int
    uniforms: list[float]  # of every epoch
    second: float  # what makes the cell weak
    place: tuple[int, int, int, int]  # tensor, bank, class, row
    p: tuple[float, float] = (0.0, 0.0)
    strong: bool = False
    lane: int = 0  # of the rows: their class, or one behind the classes where they are refreshed faster
    value: int = 0
    damage: float = 0.0  # share of the retention time that passed since the last restore
    leaky_since: float = 0.0  # in expected losses
    life: int = 0
    epoch: int = 0
    later_lives: tuple[int, int] = (0, 0)  # (draw key offset is added per epoch) region, key
    lifetime: float = math.inf


@dataclass
class Word:
    """An ECC word: its data bits (None where a shortened word has none) and its check bits."""

    entry: int
    data: list[Bit | None]
    checks: list[Bit]
    home: tuple[int, int, int, int]
    weights: list[tuple[int, int, int] | None] = field(default_factory=list)  # tensor, weight, plane

    @property
    def bits(self) -> list[Bit]:
        return [b for b in self.data if b is not None] + self.checks


class BruteForce:
    """Ages every bit of a tiny memory at every event of a command log."""

    def __init__(
        self, memory: Memory, cell: Cell, seed: int, map_index: int = 0, log: CommandLog | None = None
    ) -> None:
        self.memory, self.cell, self.seed, self.map_index = memory, cell, seed, map_index
        self.log = memory.log if log is None else log
        self.streamed = memory.layout.residency.streamed
        self.epochs = 1 + max([len(w) for w in self.log.write_s] + [len(memory.schedule.sample_times_s)])
        self.seeds = [(seed + e * EPOCH_SEED) % 2**63 if e else seed for e in range(self.epochs)]
        if not isinstance(cell, PoissonCells):
            self.seeds = [seed] * self.epochs
        schedule = memory.schedule
        dark = [p.end_s for p in schedule.phases if not p.powered]
        self.rewrites = sorted({*schedule.reload_times_s, *dark})
        self.stored = [c.copy() for c in memory.codes]
        self.loose: dict[tuple[int, int, int], Bit] = {}
        self.words: list[Word] = []
        self.ideal: set[tuple[int, int, int]] = set()
        self.kept: dict[int, KeptRanks | None] = {}
        self.counts = {"scrub": 0, "refresh": 0, "uncorrectable": 0, "reloaded": 0}
        self._place()
        self.bins = self._bins()

    # ---- rows

    def _row(self, weight: int, row_class: int) -> int:
        """Weights of a bank, counted in order, share the rows that their class needs evenly."""
        if self.memory.schedule.retention_aware is None:
            return 0
        total, bank = int(self.memory.plan.tensor_starts[-1]), self._bank(weight)
        before = sum(self._bank(w) == bank for w in range(weight))
        fullest = max(sum(self._bank(w) == b for w in range(total)) for b in range(self.memory.geometry.banks))
        return before * self._rows_in_use(row_class) // fullest

    def _rows_in_use(self, row_class: int) -> int:
        planes, g = self.memory.planes, self.memory.geometry
        bits = sum(self._class(b) == row_class for b in range(planes)) * int(self.memory.plan.tensor_starts[-1])
        bits += self.memory.plan.parity_bits * (self._class(planes - 1) == row_class)
        bits -= sum(n for (c, _), n in self._fast().items() if c == row_class)
        return math.ceil(math.ceil(bits / g.banks) / g.row_bits)

    def _fast(self) -> dict[tuple[int, float], int]:
        """(class, factor) -> bits in rows that are refreshed so many times as often, in the order of their lanes."""
        plan = self.memory.plan
        found: dict[tuple[int, float], int] = {}
        for g, b in itertools.product(range(plan.groups), range(self.memory.planes)):
            factor = menu_entry(plan.menu[int(plan.choice[g, b])]).refresh_factor
            if factor > 1.0:
                at = self._class(b), factor
                found[at] = found.get(at, 0) + int(plan.starts[g + 1] - plan.starts[g])
        return dict(sorted(found.items()))

    def _lane(self, row_class: int, factor: float) -> int:
        classes = 1 + max(self._class(b) for b in range(self.memory.planes))
        return row_class if factor == 1.0 else classes + list(self._fast()).index((row_class, factor))

    def _bins(self) -> dict[tuple[int, int, int], int]:
        """(bank, class, row) -> every how many ticks it is refreshed: what its weakest cell can wait."""
        aware, schedule = self.memory.schedule.retention_aware, self.memory.schedule
        if aware is None:
            return {}
        classes = 1 + max(self._class(b) for b in range(self.memory.planes))
        given = schedule.refresh_interval_s
        intervals = given if isinstance(given, tuple) else (given,) * classes
        out = {}
        for bank, c in itertools.product(range(self.memory.geometry.banks), range(classes)):
            for row in range(self._rows_in_use(c)):
                lives = [
                    self._life(b, self.cell)
                    for b in self._all() if b.place[1:] == (bank, c, row) and b.lane == c
                ]  # fmt: skip
                waits = [
                    m for m in aware.multiples
                    if intervals[c] is None or all(life >= m * intervals[c] * aware.margin for life in lives)
                ]  # fmt: skip
                out[bank, c, row] = max(waits, default=1)
        return out

    def check_passes(self) -> None:
        """Every pass of the log refreshed the rows that were due, and no tick with rows due is missing."""
        schedule, classes, lanes = self.memory.schedule, self.memory.layout.classes, self.memory.layout.lanes
        for n, refreshed in enumerate(self.log.refresh_rows):
            if n % lanes >= classes:  # all rows of a faster lane, at every tick of its own
                bits = list(self._fast().values())[n % lanes - classes]
                g = self.memory.geometry
                assert set(refreshed.tolist()) <= {math.ceil(math.ceil(bits / g.banks) / g.row_bits)}
        if schedule.retention_aware is None:
            return
        longest = schedule.retention_aware.multiples[-1]
        for g, (ticks, rows) in enumerate(zip(self.log.refresh_tick, self.log.refresh_rows, strict=True)):
            bank, c = divmod(g, lanes)
            if c >= classes:
                continue
            mine = [self.bins[bank, c, r] for r in range(self._rows_in_use(c))]
            mine += [longest] * (int(self.memory.layout.rows_per_group[c]) - len(mine))
            for n, refreshed in zip(ticks.tolist(), rows.tolist(), strict=True):
                assert refreshed == sum(n % every == 0 for every in mine) > 0
            if len(ticks) and not schedule.phases:
                assert set(ticks.tolist()) == {n for n in range(1, ticks[-1] + 1) if any(n % m == 0 for m in mine)}

    # ---- building

    def _uniforms(self, n: int, plane: int, tensor: int) -> list[Float64]:
        out = []
        for seed in self.seeds:
            cells = weak_cells(n, plane, 1.0, MapKey(seed, self.map_index, tensor))
            u = np.ones(n)
            u[cells.position] = cells.u
            out.append(u)
        return out

    def _second(self, n: int, plane: int, tensor: int) -> Float64:
        return second_uniforms(np.arange(n), plane, MapKey(self.seed, self.map_index, tensor))

    def _life(self, bit: Bit, cell: RetentionPopulation | UniformLife) -> float:
        """Seconds that a bit lasts under a condition: at the rank that the same cell has there."""
        rank, usual = bit.uniforms[0], strong(self.cell) if bit.strong else self.cell
        cell = strong(cell) if bit.strong else cell
        if isinstance(cell, RetentionPopulation) and isinstance(usual, RetentionPopulation):
            if id(cell) not in self.kept:
                self.kept[id(cell)] = cell.kept_from(usual)
            kept = self.kept[id(cell)]
            if kept is not None:
                stratum = sum(bit.second >= edge for edge in STRATA_EDGES[1:])
                rank = float(kept.ranks(np.full(len(STRATA_EDGES) - 1, rank))[stratum])
        return float(cell.retention_quantile(rank))

    def _bank(self, weight: int) -> int:
        g = self.memory.geometry
        total = int(self.memory.plan.tensor_starts[-1])
        if g.interleave == "block":
            return weight // max(1, math.ceil(total / g.banks))
        return (weight // max(1, g.word_bits // self.memory.planes)) % g.banks

    def _class(self, plane: int) -> int:
        g = self.memory.geometry
        if g.placement == "row_major":
            return 0
        return g.plane_class[plane] if g.plane_class else plane

    def _p(self, plane: int, cell: Cell | None = None) -> tuple[float, float]:
        own = self.cell if cell is None else cell
        if not isinstance(own, FixedCells):
            return (0.0, 0.0)
        table = own.per_plane(self.memory.planes)
        return float(table[0, plane]), float(table[1, plane])

    def _place(self) -> None:
        plan, planes = self.memory.plan, self.memory.planes
        next_word = [0] * len(plan.menu)
        for t in range(plan.tensors):
            codes = self.memory.codes[t]
            start = int(plan.tensor_starts[t])
            u = [self._uniforms(len(codes), b, t) for b in range(planes)]
            v = [self._second(len(codes), b, t) for b in range(planes)]
            streams: dict[int, list[tuple[int, int]]] = {}
            for w in range(len(codes)):
                g = max(i for i in range(plan.groups) if plan.starts[i] <= start + w)
                for b in reversed(range(planes)):
                    e = int(plan.choice[g, b])
                    item = menu_entry(plan.menu[e])
                    if item.code is not None:
                        streams.setdefault(e, []).append((w, b))
                    elif item.kind == "ideal":
                        self.ideal.add((t, w, b))
                    else:
                        place = (t, self._bank(start + w), self._class(b), self._row(start + w, self._class(b)))
                        better = item.kind == "cell"
                        p = self._p(b, strong(self.cell) if better else self.cell)
                        lane = self._lane(self._class(b), item.refresh_factor)
                        bit = Bit(int(codes[w] >> b) & 1, [x[w] for x in u[b]], v[b][w], place, p, better, lane)
                        self.loose[t, w, b] = bit
            self._place_words(t, u, v, streams, next_word)
        for bit in self._all():
            self._write(bit, 0.0, 0)

    def _place_words(
        self,
        t: int,
        u: list[list[Float64]],
        v: list[Float64],
        streams: dict[int, list[tuple[int, int]]],
        next_word: list[int],
    ) -> None:
        plan, codes = self.memory.plan, self.memory.codes[t]
        start = int(plan.tensor_starts[t])
        counts = {e: math.ceil(len(s) / menu_entry(plan.menu[e]).code.k) for e, s in streams.items()}
        total = sum(counts[e] * menu_entry(plan.menu[e]).code.parity for e in counts)
        parity_u, parity_v = (draw(total, 0, TENSORS["parity"].number(t)) for draw in (self._uniforms, self._second))
        parity_next = 0
        for e in sorted(streams):
            code, stream = menu_entry(plan.menu[e]).code, streams[e]
            for first in range(0, len(stream), code.k):
                part = stream[first : first + code.k]
                w0, b0 = part[0]
                home = (t, self._bank(start + w0), self._class(b0), self._row(start + w0, self._class(b0)))
                data = np.zeros(code.k, dtype=np.uint8)
                bits: list[Bit | None] = [None] * code.k
                for j, (w, b) in enumerate(part):
                    data[j] = (int(codes[w]) >> b) & 1
                    key = next_word[e] * code.n + j
                    mine, lives = [x[w] for x in u[b]], (e, key)
                    bits[j] = Bit(int(data[j]), mine, v[b][w], home, self._p(b), lane=home[2], later_lives=lives)
                checks = []
                for j, value in enumerate(code.encode(data)[code.k :]):
                    key = next_word[e] * code.n + code.k + j
                    p = self._p(self.memory.planes - 1)
                    uniforms, second = [x[parity_next] for x in parity_u], parity_v[parity_next]
                    checks.append(Bit(int(value), uniforms, second, home, p, lane=home[2], later_lives=(e, key)))
                    parity_next += 1
                weights = [(t, *part[j]) if j < len(part) else None for j in range(code.k)]
                self.words.append(Word(e, bits, checks, home, weights))
                next_word[e] += 1

    def _all(self) -> list[Bit]:
        return list(self.loose.values()) + [b for w in self.words for b in w.bits]

    def _load(self, image: int, here: Callable[[tuple[int, int, int, int]], bool]) -> None:
        """From now on these places are meant to hold another image."""
        codes = self.memory.codes if image == 0 else self.memory.updates[image - 1][1]
        for (t, w, b), bit in self.loose.items():
            if here(bit.place):
                bit.written = int(codes[t][w] >> b) & 1
        for word in self.words:
            if not here(word.home):
                continue
            code = menu_entry(self.memory.plan.menu[word.entry]).code
            data = [0 if a is None else int(codes[a[0]][a[1]] >> a[2]) & 1 for a in word.weights]
            for bit, value in zip(word.data, data, strict=True):
                if bit is not None:
                    bit.written = value
            for bit, value in zip(word.checks, code.encode(np.array(data, dtype=np.uint8))[code.k :], strict=True):
                bit.written = int(value)
        for t, stored in enumerate(self.stored):
            start = int(self.memory.plan.tensor_starts[t])
            for w in range(len(stored)):
                if here((t, self._bank(start + w))):
                    stored[w] = codes[t][w]

    def _image(self, time_s: float) -> int:
        return sum(u <= time_s for u, _ in self.memory.updates)

    # ---- one bit

    def _write(self, bit: Bit, time_s: float, epoch: int) -> None:
        """Store what belongs there; a memoryless cell starts its first lifetime."""
        bit.epoch, bit.life, bit.value, bit.damage = epoch, 0, bit.written, 0.0
        if isinstance(self.cell, PoissonCells):
            self._start_life(bit, time_s)

    def _spells(self, start_s: float, end_s: float) -> list[tuple[float, Cell, bool]]:
        """(seconds, cell model, powered) of every piece of a stretch of time."""
        cuts = {start_s, end_s}
        for phase in self.memory.schedule.phases:
            cuts |= {t for t in (phase.start_s, phase.end_s) if start_s < t < end_s}
        edges = sorted(cuts)
        out = []
        for low, high in itertools.pairwise(edges):
            phase = self.memory.schedule.phase_at(0.5 * (low + high))
            cell = self.cell if phase is None or phase.cell is None else phase.cell
            out.append((high - low, cell, phase is None or phase.powered))
        return out

    def _losses(self, time_s: float, bit: Bit) -> float:
        """Expected losses of a memoryless cell from 0 to a time."""
        spells = ((s, strong(c) if bit.strong else c, powered) for s, c, powered in self._spells(0.0, time_s))
        return sum(s * c.rate_per_s if powered else 64.0 for s, c, powered in spells)

    def _start_life(self, bit: Bit, time_s: float) -> None:
        bit.leaky_since = self._losses(time_s, bit)
        u = bit.uniforms[bit.epoch]
        if bit.life:
            region, key = bit.later_lives
            draw = lifetime_key(MapKey(self.seeds[bit.epoch], self.map_index), region)
            u = float(fresh_uniform(draw, np.array([key]), np.array([bit.life]))[0])
        bit.lifetime = -math.log1p(-u) if u < 1.0 else math.inf

    def _age(self, bit: Bit, since_s: float, time_s: float) -> None:
        if isinstance(self.cell, FixedCells):
            bit.value = bit.written ^ (bit.uniforms[0] < bit.p[bit.written])
            return
        if isinstance(self.cell, PoissonCells):
            if bit.value == self.cell.leaky_state and self._losses(time_s, bit) - bit.leaky_since >= bit.lifetime:
                bit.value = 1 - bit.value
                bit.life += 1
            return
        for seconds, cell, powered in self._spells(since_s, time_s):
            bit.damage += seconds / self._life(bit, cell) if powered else math.inf
        if bit.damage > 1.0 and bit.value == self.cell.leaky_state:
            bit.value = 1 - bit.value

    def _set(self, bit: Bit, value: int, time_s: float) -> None:
        """A correction stores this value."""
        if isinstance(self.cell, PoissonCells) and value != bit.value and value == self.cell.leaky_state:
            self._start_life(bit, time_s)
        bit.value = value

    # ---- one word

    def _policy(self, code: Code) -> str:
        chosen = self.memory.schedule.on_uncorrectable
        return code.policy if chosen is None or code.t == 0 else chosen

    def _decode(self, word: Word) -> tuple[Code, Decoded]:
        code = menu_entry(self.memory.plan.menu[word.entry]).code
        stored = np.array(
            [0 if b is None else b.value for b in word.data] + [b.value for b in word.checks], dtype=np.uint8
        )
        return code, code.with_policy("raw").decode(stored)

    def _correct(self, word: Word, kind: str, time_s: float) -> None:
        code, decoded = self._decode(word)
        if bool(decoded.uncorrectable):
            self.counts["uncorrectable"] += 1
            if self._policy(code) == "reload":
                self.counts["reloaded"] += 1
                self._store(word, [0 if b is None else b.written for b in word.data], code, time_s)
        elif bool(decoded.corrected):
            self.counts[kind] += 1
            self._store(word, decoded.data.tolist(), code, time_s)
        for bit in word.bits:
            bit.damage = 0.0

    def _store(self, word: Word, data: list[int], code: Code, time_s: float) -> None:
        data = [0 if b is None else int(d) for b, d in zip(word.data, data, strict=True)]
        for bit, value in zip(word.data, data, strict=True):
            if bit is not None:
                self._set(bit, value, time_s)
        for bit, value in zip(word.checks, code.encode(np.array(data, dtype=np.uint8))[code.k :], strict=True):
            self._set(bit, int(value), time_s)

    # ---- events

    def events(self) -> list[tuple[float, int, str, tuple[int, ...]]]:
        log, schedule, lanes = self.log, self.memory.schedule, self.memory.layout.lanes
        out: list[tuple[float, int, str, tuple[int, ...]]]
        out = [(t * (1 - 1e-9), 0, "sample", (i,)) for i, t in enumerate(schedule.sample_times_s)]
        kind = (2, "correct") if schedule.ecc_aware_refresh else (1, "refresh")
        for g, times in enumerate(log.refresh_s):
            ticks = log.refresh_tick[g].tolist()
            out += [(t, *kind, (g // lanes, g % lanes, n)) for t, n in zip(times.tolist(), ticks, strict=True)]
        if self.memory.geometry.destructive_read:
            reads = zip(log.read_s.tolist(), log.read_tensor.tolist(), log.read_bank.tolist(), strict=True)
            out += [(s, 1, "read", (t, b)) for s, t, b in reads]
        for b in range(self.memory.geometry.banks):
            out += [(t, 2, "scrub", (b,)) for t in log.scrub_s[b].tolist()]
            out += [(t, 3, "write", (b, e + 1)) for e, t in enumerate(log.write_s[b].tolist())]
        previous = 0.0
        for i, s in enumerate(schedule.sample_times_s):
            for t in np.nonzero(self.streamed)[0].tolist():
                out.append((max(s - self.memory.layout.residency.age_s[t], previous), 3, "load", (t, i + 1)))
            previous = s
        return sorted(out, key=lambda e: e[:2])

    def run(self) -> list[dict[str, Any]]:
        samples, now = [], 0.0
        for time_s, _, kind, where in self.events():
            exact = self.memory.schedule.sample_times_s[where[0]] if kind == "sample" else time_s
            for bit in self._all():
                self._age(bit, now, exact)
            now = max(now, exact)
            if kind == "sample":
                samples.append(self._sample())
            elif kind in ("refresh", "correct", "read"):
                self._refresh(kind, where, time_s)
            elif kind == "scrub":
                for word in self.words:
                    if word.home[1] == where[0] and not self.streamed[word.home[0]]:
                        self._correct(word, "scrub", time_s)
            elif kind == "load":
                self._load(self._image(time_s), lambda place, t=where[0]: place[0] == t)
                for bit in self._all():
                    if bit.place[0] == where[0]:
                        self._write(bit, time_s, where[1])
            else:
                image = self._image(self.rewrites[where[1] - 1])
                self._load(image, lambda p, b=where[0]: p[1] == b and not self.streamed[p[0]])
                for bit in self._all():
                    if bit.place[1] == where[0] and not self.streamed[bit.place[0]]:
                        self._write(bit, time_s, where[1])
        return samples

    def _refresh(self, kind: str, where: tuple[int, ...], time_s: float) -> None:
        def here(place: tuple[int, int, int, int], lane: int) -> bool:
            if kind == "read":
                return place[:2] == where and not self.streamed[place[0]]
            every = self.bins.get(place[1:], 1) if lane == place[2] else 1
            return (place[1], lane) == where[:2] and where[2] % every == 0

        for bit in self._all():
            if here(bit.place, bit.lane):
                bit.damage = 0.0
        if kind == "correct":
            for word in self.words:
                if here(word.home, word.home[2]):
                    self._correct(word, "refresh", time_s)

    def _sample(self) -> dict[str, Any]:
        codes = [c.copy() for c in self.stored]
        values = {k: b.value for k, b in self.loose.items()}
        data = sum(b.value != b.written for b in self.loose.values())
        parity = corrected = uncorrectable = 0
        zeroed = []
        for word in self.words:
            data += sum(b is not None and b.value != b.written for b in word.data)
            parity += sum(b.value != b.written for b in word.checks)
            code, decoded = self._decode(word)
            flagged = bool(decoded.uncorrectable)
            corrected += bool(decoded.corrected)
            uncorrectable += flagged
            for j, address in enumerate(word.weights):
                if address is None:
                    continue
                value = int(decoded.data[j])
                if flagged and self._policy(code) == "reload":
                    value = word.data[j].written
                if flagged and self._policy(code) == "zero":
                    value = 0
                    if menu_entry(self.memory.plan.menu[word.entry]).zeroes_weight:
                        zeroed.append(address[:2])
                values[address] = value
        right = [c.copy() for c in self.stored]
        written = {k: b.written for k, b in self.loose.items()}
        for word in self.words:  # a word follows its own bank, which need not be that of all its weights
            written |= {a: b.written for a, b in zip(word.weights, word.data, strict=True) if a is not None}
        for to, bits in ((codes, values), (right, written)):
            for (t, w, b), value in bits.items():
                mask = to[t].dtype.type(1 << b)
                to[t][w] = to[t][w] | mask if value else to[t][w] & ~mask
        for t, w in zeroed:
            codes[t][w] = self.memory.zero_code
        wrong = sum(int(np.unpackbits(c ^ s).sum()) for c, s in zip(codes, right, strict=True))
        return {
            "codes": codes,
            "read": wrong,
            "data": data,
            "parity": parity,
            "corrected": corrected,
            "uncorrectable": uncorrectable,
            "so_far": list(self.counts.values()),
        }
