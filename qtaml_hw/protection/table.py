"""The ECC overhead table: what each menu option leaves of a raw flip probability, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np

from qtaml_hw.channel import FlipChannel
from qtaml_hw.ecc.code import Code
from qtaml_hw.ecc.hardware import CodecHardware
from qtaml_hw.ecc.residual import check_probability
from qtaml_hw.protection.menu import entry_at
from qtaml_hw.protection.plan import ProtectionPlan

DEFAULT_P: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 0.05, 0.10)
DEFAULT_CODES: tuple[str, ...] = (
    "secded-8-4",
    "secded-13-8",
    "secded-22-16",
    "secded-39-32",
    "secded-72-64",
    "secded-137-128",
    "dected-45-32",
    "dected-79-64",
    "bch-63-51",
    "bch-63-45",
    "bch-127-64",
    "repeat-3",
    "repeat-5",
    "golay-24-12",
    "parity-zero",
)


@dataclass(frozen=True, kw_only=True)
class EccRow:
    """One option at one raw flip probability; the defaults are those of an option without words and logic.

    ``n``, ``k`` bits; ``parity_fraction`` check bits per data bit; ``p`` raw and ``residual_p`` decoded data bit
    error; ``p_due``, ``p_sdc`` per word; ``break_even_p`` the raw p above which the option makes data worse; gates
    in GE; ``area_m2`` encoder plus decoder; energy and latency of one decode, energy of one encode; ``source`` of the
    hardware figures and method of the residual; ``hurts``: residual_p > p.  A detecting entry is judged by the same
    bit error, zeroed ones counted as errors, although zeroing a weight can be milder than the flip it replaces
    (docs/ecc.md).

    Of a memory and a network, None where they are not known: ``check_cells_m2`` cells that the option adds to a memory
    of ``memory_bits`` data bits, all of them protected; the score, its 95 % interval and its fault maps.
    """

    code: str
    n: int = 1
    k: int = 1
    parity_fraction: float = 0.0
    p: float
    residual_p: float
    p_due: float = 0.0
    p_sdc: float
    break_even_p: float = 0.5
    encoder_ge: float = 0.0
    decoder_ge: float = 0.0
    area_m2: float = 0.0
    decode_energy_j: float = 0.0
    decode_latency_s: float = 0.0
    source: str
    hurts: bool
    node_m: float = 45e-9
    encode_energy_j: float = 0.0
    check_cells_m2: float | None = None
    memory_bits: float | None = None
    score_mean: float | None = None
    score_ci95_low: float | None = None
    score_ci95_high: float | None = None
    maps: int | None = None

    def as_dict(self) -> dict[str, str | int | float | bool | None]:
        """The row as plain values, keys in column order."""
        return asdict(self)


COLUMNS: tuple[str, ...] = tuple(f.name for f in fields(EccRow))


def overhead_table(
    p: Sequence[float] = DEFAULT_P,
    codes: Sequence[str] = DEFAULT_CODES,
    node_m: float = 45e-9,
    of_cell: Callable[[float], FlipChannel] | None = None,
) -> list[EccRow]:
    """One row per option and raw flip probability, options in the order given.

    ``codes`` are menu entry names (codes, ``ideal``, ``shannon``, and with a cell ``robust-cell``, ``refresh-Nx``);
    ``of_cell``: the channel [1 plane] of a cell that loses a balanced bit with a probability.  Raises ValueError
    for an unknown name, a probability outside [0, 1], a node outside 2 to 180 nm, or a name that needs a cell.
    """
    probabilities = [check_probability(value, "p") for value in p]
    channel_at = of_cell or (lambda value: FlipChannel.uniform(value, 1))
    return [_row(name, value, node_m, channel_at) for name in codes for value in probabilities]


def _row(name: str, p: float, node_m: float, channel_at: Callable[[float], FlipChannel]) -> EccRow:
    alike = FlipChannel.uniform(p, 1)
    item = entry_at(name, alike)
    if item.code is None:
        left, source = alike, "unprotected" if item.kind == "none" else item.title
        if item.keeping is not None:
            left = channel_at(p).under(item.keeping)
            source = f"{item.title}; {left.source}"
        elif item.kind == "ideal":
            left = FlipChannel.uniform(0.0, 1)
        residual = 0.5 * float(left.p01[0] + left.p10[0])
        return EccRow(
            code=name if item.floor else item.name,  # p has a column of its own
            parity_fraction=item.floor,
            p=p,
            residual_p=residual,
            p_sdc=residual,
            source=source,
            hurts=residual > p,
            node_m=node_m,
        )
    code = item.code
    decoded, hardware = code.residual(p), code.hardware(node_m)
    return EccRow(
        code=item.name,
        n=code.n,
        k=code.k,
        parity_fraction=code.parity_fraction,
        p=p,
        residual_p=decoded.bit_error,
        p_due=decoded.p_due,
        p_sdc=decoded.p_sdc,
        break_even_p=code.break_even_p(),
        encoder_ge=hardware.encoder_ge,
        decoder_ge=hardware.decoder_ge,
        area_m2=hardware.encoder_area_m2 + hardware.decoder_area_m2,
        decode_energy_j=hardware.decode_energy_j,
        decode_latency_s=hardware.decode_latency_s,
        source=f"{hardware.source}; residual: {decoded.method}",
        hurts=decoded.bit_error > p,
        node_m=node_m,
        encode_energy_j=hardware.encode_energy_j,
    )


@dataclass(frozen=True, kw_only=True)
class LogicCost:
    """One codec: ``ge`` and ``area_m2`` of encoder plus decoder; delay and pipeline cycles of a decode; energy per
    word read (decode), written (encode) and scrubbed (both), the array's own energy not included."""

    ge: float = 0.0
    area_m2: float = 0.0
    decode_latency_s: float = 0.0
    pipeline_cycles: int = 0
    read_energy_j: float = 0.0
    write_energy_j: float = 0.0
    scrub_energy_j: float = 0.0


@dataclass(frozen=True, kw_only=True)
class PlanRow:
    """One menu entry in one tensor (bank) of a plan, as it is stored.

    Bits are counts; ``parity_of_protected`` and ``parity_of_all`` are fractions; ``raw_p`` and ``residual_p`` means
    over the protected bits, ``raw_source`` where raw_p comes from; ``p_due``, ``p_sdc`` per word; ``logic`` one codec;
    ``lsb2_saved_per_parity_bit`` the weight variance removed, in LSB^2, per check bit (inf where no check bit is paid).
    """

    tensor: int
    entry: str
    data_bits: int
    words: int
    parity_bits: int
    parity_of_protected: float
    parity_of_all: float
    raw_p: float
    raw_source: str
    residual_p: float
    p_due: float
    p_sdc: float
    method: str
    logic: LogicCost
    lsb2_saved_per_parity_bit: float
    hurts: bool


def plan_table(
    plan: ProtectionPlan, channel: FlipChannel, node_m: float = 45e-9, clock_hz: float = 500e6
) -> list[PlanRow]:
    """One row per tensor and menu entry in use, one codec per row; ValueError when planes do not fit."""
    p01, p10 = plan.residual(channel)
    after, before = 0.5 * (p01 + p10), 0.5 * (channel.p01 + channel.p10)
    gain = 4.0 ** np.arange(plan.planes) * (before * (1.0 - before) - after * (1.0 - after))
    rows: list[PlanRow] = []
    for tensor in range(plan.tensors):
        first, last = plan.tensor_groups(tensor)
        sizes = np.diff(plan.starts[first : last + 1])[:, None]
        for index, item in enumerate(plan.entries):
            bits = (plan.choice[first:last] == index) * sizes
            if item.kind in ("none", "absent") or not bits.any():
                continue
            total = int(bits.sum())
            share = bits / total
            layout = plan.layout(tensor, index)
            raw, left = float((share * before).sum()), float((share * after[first:last]).sum())
            saved = float((bits * gain[first:last]).sum())
            p_due, p_sdc, method = (0.0, left, item.title) if item.code is None else _word_stats(item.code, raw)
            parity = layout.parity_bits
            rows.append(
                PlanRow(
                    tensor=tensor,
                    entry=item.name,
                    data_bits=total,
                    words=layout.n_words,
                    parity_bits=parity,
                    parity_of_protected=parity / total,
                    parity_of_all=parity / plan.stored_bits,
                    raw_p=raw,
                    raw_source=channel.source,
                    residual_p=left,
                    p_due=p_due,
                    p_sdc=p_sdc,
                    method=method,
                    logic=LogicCost() if item.code is None else _logic(item.code.hardware(node_m), clock_hz),
                    lsb2_saved_per_parity_bit=saved / parity if parity else float("inf"),
                    hurts=left > raw,
                )
            )
    return rows


def _word_stats(code: Code, p: float) -> tuple[float, float, str]:
    transfer = code.word_transfer(p)
    return transfer.p_due, transfer.p_sdc, transfer.method


def _logic(hardware: CodecHardware, clock_hz: float) -> LogicCost:
    return LogicCost(
        ge=hardware.encoder_ge + hardware.decoder_ge,
        area_m2=hardware.encoder_area_m2 + hardware.decoder_area_m2,
        decode_latency_s=hardware.decode_latency_s,
        pipeline_cycles=hardware.pipeline_cycles(clock_hz),
        read_energy_j=hardware.decode_energy_j,
        write_energy_j=hardware.encode_energy_j,
        scrub_energy_j=hardware.decode_energy_j + hardware.encode_energy_j,
    )
