"""What every action of the memory costs in energy: the array from the cost model, the codec from its hardware."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from qtaml_hw.arrays import Float64, Int64
from qtaml_hw.ecc.hardware import GATE_LEAKAGE_W, TABLE_NODE_M
from qtaml_hw.memory.array.cost import array_cost
from qtaml_hw.memory.array.geometry import ArrayGeometry
from qtaml_hw.memory.array.layout import ArrayLayout
from qtaml_hw.memory.array.words import PlacedWords
from qtaml_hw.memory.traffic.commands import CommandLog
from qtaml_hw.memory.traffic.schedule import SAMPLE_LEAD, Schedule

ACTIONS = ("read", "write", "refresh", "scrub", "decode", "encode", "backing", "leakage", "codec_leakage")
_GATE_REFERENCE = (2**23, 64)  # bits and access of the SRAM whose leakage scales that of gates: 1 MB
BEFORE_S = -1e-15  # a time at which only the first write has happened
BACKING_J_PER_BIT = 30e-12  # DRAM, 1.3-2.6 nJ per 64 bits: M. Horowitz, "Computing's energy problem", ISSCC 2014, 10


@dataclass(frozen=True)
class EnergyCosts:
    """Joules per action of one bank, watts of all banks.

    ``read_j``, ``write_j`` per access word; ``refresh_row_j`` per row (``class_row_j`` where classes differ);
    ``decode_j``, ``encode_j`` per ECC word, by name of the menu entry; ``leakage_w`` of all banks (subthreshold and
    gate), ``codec_leakage_w`` of all codecs.
    """

    read_j: float
    write_j: float
    refresh_row_j: float
    leakage_w: float
    decode_j: Mapping[str, float]
    encode_j: Mapping[str, float]
    source: str
    backing_j_per_bit: float = BACKING_J_PER_BIT
    codec_leakage_w: float = 0.0
    class_row_j: tuple[float, ...] = ()

    def row_j(self, row_class: int) -> float:
        """Energy of refreshing a row of a class; of every class the same unless they have cells of their own."""
        return self.class_row_j[row_class] if len(self.class_row_j) > 1 else self.refresh_row_j


def energy_costs(layout: ArrayLayout, words: PlacedWords) -> EnergyCosts:
    """Costs of an image's array: CACTI power laws per bank, codec energies of the plan's codes at the same node.

    Rows of a memory whose cost model has no refresh (SRAM) cost a read and a write of every word of the row.
    """
    geometry = layout.geometry
    bank = geometry.bank_cost(layout.stored_bits, layout.class_bits)
    row_j = tuple(_row_j(layout, geometry.of_class(c)) for c in range(len(geometry.of_classes) or 1))
    codecs = {entry.name: entry.code.hardware(geometry.node_m, geometry.v_dd_v) for entry in words.entries}
    gate_w = gate_leakage_w(geometry.node_m, geometry.periphery, geometry.temperature_k, geometry.v_dd_v)
    gates = sum(words.decoders[name] * (one.encoder_ge + one.decoder_ge) for name, one in codecs.items())
    return EnergyCosts(
        read_j=bank.read_energy_j,
        write_j=bank.write_energy_j,
        refresh_row_j=row_j[-1],
        class_row_j=row_j,
        leakage_w=geometry.banks * (bank.leakage_w + bank.gate_leakage_w),
        decode_j={name: hardware.decode_energy_j for name, hardware in codecs.items()},
        encode_j={name: hardware.encode_energy_j for name, hardware in codecs.items()},
        codec_leakage_w=geometry.banks * gates * gate_w,
        source="; ".join([bank.source, *dict.fromkeys(h.source for h in codecs.values())]),
    )


def _row_j(layout: ArrayLayout, geometry: ArrayGeometry) -> float:
    """Energy of refreshing one row, in an array of one kind of cells."""
    bank = geometry.bank_cost(layout.stored_bits)
    if bank.refresh_energy_j > 0.0:
        return bank.refresh_energy_j / int(layout.rows_per_lane.sum())
    return geometry.row_bits // geometry.word_bits * (bank.read_energy_j + bank.write_energy_j)


@lru_cache(maxsize=256)
def gate_leakage_w(node_m: float, periphery: str, temperature_k: float, v_dd_v: float | None) -> float:
    """Leakage of one gate equivalent of a codec, watt.

    Synthesis is of the 45 nm high-performance library at 25 degC; elsewhere a gate is taken to follow what CACTI's
    SRAM leaks at the node, device class, temperature and supply over what it leaks there (assumed).
    """
    own = array_cost(*_GATE_REFERENCE, node_m, "sram", periphery, temperature_k, v_dd_v)
    there = array_cost(*_GATE_REFERENCE, TABLE_NODE_M, "sram", "hp", 300.0)
    return GATE_LEAKAGE_W * own.leakage_w / there.leakage_w


@dataclass(frozen=True, eq=False)
class EnergyMeter:
    """Adds up what a command log spent.

    ``words`` int64 [tensors] of ECC words by menu entry.  The first write of the whole image is counted, and so is
    its way from the backing store.  A scrub and an ECC-aware refresh decode and encode every ECC word.
    ``phase_leakage``, ``phase_actions`` : leakage, and energy of what the array and its codecs do, in each phase over
    that outside (empty: the same); the way from the backing store costs the same everywhere.
    """

    layout: ArrayLayout
    schedule: Schedule
    words: Mapping[str, Int64]
    costs: EnergyCosts
    phase_leakage: tuple[float, ...] = ()
    phase_actions: tuple[float, ...] = ()

    def between(self, log: CommandLog, edges_s: Sequence[float]) -> dict[str, Float64]:
        """Joules by action between ascending times [n+1]: float64 [n]; an action counts when it starts.

        The first write belongs to the time before 0; what starts at an edge belongs to what follows it, at the last
        edge to what precedes it.
        """
        ends = [_just_before(t) for t in edges_s[:-1]]
        spent = [self.spent(log, t) for t in (*ends, edges_s[-1])]
        for s, t in zip(spent, edges_s, strict=True):
            s |= self._leaked(t)
        return {a: np.diff([s[a] for s in spent]) for a in ACTIONS}

    def spent(self, log: CommandLog, until_s: float) -> dict[str, float]:
        """Joules by action of the commands that started up to a time, and leakage up to it."""
        energy = self._spent_alike(log, until_s)
        for phase, factor in zip(self.schedule.phases, self.phase_actions, strict=False):
            if factor != 1.0 and phase.start_s < until_s:
                end_s = until_s if until_s < phase.end_s else _just_before(phase.end_s)
                at_end, at_start = (self._spent_alike(log, t) for t in (end_s, _just_before(phase.start_s)))
                for action in ACTIONS:
                    if action not in ("backing", "leakage", "codec_leakage"):
                        energy[action] += (factor - 1.0) * (at_end[action] - at_start[action])
        return energy

    def _spent_alike(self, log: CommandLog, until_s: float) -> dict[str, float]:
        """The same, as if actions cost the same in every phase."""
        layout, costs, log = self.layout, self.costs, log.until(until_s)
        reads = np.zeros(layout.bank_words.shape, dtype=np.int64)
        np.add.at(reads, (log.read_tensor, log.read_bank), 1)
        rewrites = np.array([1 + len(times) for times in log.write_s])
        written = rewrites * (~layout.residency.streamed)[:, None]  # [tensors, banks]
        written += np.bincount(log.load_tensor, minlength=len(written))[:, None]
        image_writes = written.mean(axis=1)
        energy = dict.fromkeys(ACTIONS, 0.0)
        per_inference = self.schedule.reads_of(len(reads))
        energy["read"] = float(per_inference @ (reads * layout.bank_words).sum(axis=1)) * costs.read_j
        energy["write"] = float((written * layout.bank_words).sum()) * costs.write_j
        energy["refresh"] = sum(
            int(rows.sum()) * costs.row_j(layout.class_of_lane(place % layout.lanes))
            for place, rows in enumerate(log.refresh_rows)
        )
        energy["backing"] = float((image_writes * layout.data_bits).sum()) * costs.backing_j_per_bit
        energy |= self._leaked(until_s)
        scrubs = log.scrubs / layout.geometry.banks
        corrections = scrubs + (self._refreshes_of_words(log) if self.schedule.ecc_aware_refresh else 0.0)
        images_read = per_inference * reads.sum(axis=1) / np.maximum((layout.bank_words > 0).sum(axis=1), 1)
        energy["scrub"] = layout.corrections.scrub_accesses * scrubs * (costs.read_j + costs.write_j)
        for name, per_tensor in self.words.items():
            total = float(per_tensor.sum())
            energy["decode"] += (float((per_tensor * images_read).sum()) + total * corrections) * costs.decode_j[name]
            energy["encode"] += (float((per_tensor * image_writes).sum()) + total * corrections) * costs.encode_j[name]
        return energy

    def _refreshes_of_words(self, log: CommandLog) -> float:
        """How often the rows that may hold words were refreshed, the mean over them; faster rows hold none."""
        layout, lanes = self.layout, self.layout.lanes
        refreshed = sum(int(n.sum()) for place, n in enumerate(log.refresh_rows) if place % lanes < layout.classes)
        return refreshed / max(layout.geometry.banks * int(layout.rows_per_group.sum()), 1)

    def _leaked(self, until_s: float) -> dict[str, float]:
        """Joules leaked by array and codecs up to a time."""
        time_s = self._leaking_s(until_s)
        return {"leakage": self.costs.leakage_w * time_s, "codec_leakage": self.costs.codec_leakage_w * time_s}

    def _leaking_s(self, until_s: float) -> float:
        """Time up to a time, at the leakage outside the phases."""
        phases, factors = self.schedule.phases, self.phase_leakage or (1.0,) * len(self.schedule.phases)
        more = sum(
            ((factor if p.powered else 0.0) - 1.0) * max(0.0, min(p.end_s, until_s) - p.start_s)
            for p, factor in zip(phases, factors, strict=True)
        )
        return max(until_s, 0.0) + more


def _just_before(time_s: float) -> float:
    """A time that commands of that instant come after; only the first write comes before 0."""
    return time_s * (1.0 - SAMPLE_LEAD) if time_s > 0.0 else BEFORE_S
