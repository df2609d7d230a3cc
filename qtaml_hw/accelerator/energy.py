"""Energy of one inference: multipliers, weight reads, codecs, refresh and leakage.

The buffers of activations are left out: no protection policy changes them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Final

from qtaml_hw.errors import unknown

if TYPE_CHECKING:
    from qtaml_hw.accelerator.layers import LayerCost

_HOROWITZ_V: Final = 0.9
_HOROWITZ: Final = "M. Horowitz, ISSCC 2014, doi:10.1109/ISSCC.2014.6757323, fig. 1.1.9: 45 nm, 0.9 V"


@dataclass(frozen=True)
class MacEnergy:
    """One multiply-accumulate at a node and a supply: energy_j = multiply_j + add_j, and where they come from."""

    name: str
    multiply_j: float
    add_j: float
    source: str
    node_m: float = 45e-9
    v_dd_v: float = _HOROWITZ_V

    @property
    def energy_j(self) -> float:
        return self.multiply_j + self.add_j

    def at(self, v_dd_v: float) -> MacEnergy:
        """The same at another supply: energy ~ V^2."""
        factor = (v_dd_v / self.v_dd_v) ** 2
        return replace(self, multiply_j=self.multiply_j * factor, add_j=self.add_j * factor, v_dd_v=v_dd_v)


MAC_ENERGIES: Final[dict[str, MacEnergy]] = {
    m.name: m
    for m in (
        MacEnergy("horowitz-45nm-int8", 0.2e-12, 0.03e-12, f"{_HOROWITZ}; 8-bit multiply and 8-bit add"),
        MacEnergy("horowitz-45nm-int8-acc32", 0.2e-12, 0.1e-12, f"{_HOROWITZ}; 8-bit multiply and 32-bit add"),
        MacEnergy("horowitz-45nm-fp16", 1.1e-12, 0.4e-12, f"{_HOROWITZ}; 16-bit floating point"),
        MacEnergy("horowitz-45nm-fp32", 3.7e-12, 0.9e-12, f"{_HOROWITZ}; 32-bit floating point"),
    )
}


@dataclass(frozen=True)
class WeightMemory:
    """What the energy of an inference needs to know of the weight memory (all values in SI).

    word_bits: bits per access; read_energy_j: of one access; bits_per_weight: stored bits read per weight, parity
    included; decode_energy_per_weight_j: of the decoders; both one figure for all weights, or by name of the stored
    tensor (a tensor without a name there lies elsewhere); refresh_w, leakage_w: drawn all the time.
    """

    word_bits: int
    read_energy_j: float
    bits_per_weight: float | Mapping[str, float] = 8.0
    decode_energy_per_weight_j: float | Mapping[str, float] = 0.0
    refresh_w: float = 0.0
    leakage_w: float = 0.0

    def __post_init__(self) -> None:
        for entry in fields(self):
            given = getattr(self, entry.name)
            least = "above 0" if entry.name in ("word_bits", "bits_per_weight") else ">= 0"
            for value in given.values() if isinstance(given, Mapping) else (given,):
                if not math.isfinite(value) or value < 0 or (value == 0 and least == "above 0"):
                    raise ValueError(f"{entry.name} must be {least} and finite, got {value}")

    def read_j(self, layer: LayerCost) -> float:
        """Energy of reading the stored weights of a layer, whole words."""
        bits = layer.weight_reads * _of(self.bits_per_weight, layer.weight)
        return math.ceil(bits / self.word_bits) * self.read_energy_j

    def decode_j(self, layer: LayerCost) -> float:
        """Energy of decoding what is read for a layer."""
        return layer.weight_reads * _of(self.decode_energy_per_weight_j, layer.weight)


def _of(figure: float | Mapping[str, float], weight: str | None) -> float:
    """The figure of a tensor; 0 where a layer reads none of this memory."""
    if weight is None:
        return 0.0
    return figure.get(weight, 0.0) if isinstance(figure, Mapping) else figure


@dataclass(frozen=True)
class EnergySplit:
    """Energy of one inference in joules, by where it goes, and the seconds it was charged for."""

    mac_j: float
    weight_read_j: float
    codec_j: float
    refresh_j: float
    leakage_j: float
    seconds: float

    @property
    def total_j(self) -> float:
        return self.mac_j + self.weight_read_j + self.codec_j + self.refresh_j + self.leakage_j


def mac_energy(name: str) -> MacEnergy:
    """The preset of that name; ValueError with the names there are."""
    found = MAC_ENERGIES.get(name)
    if found is None:
        raise ValueError(unknown("MAC energy", name, MAC_ENERGIES))
    return found


def energy_per_inference(
    costs: Iterable[LayerCost],
    memory: WeightMemory,
    *,
    clock_hz: float,
    mac: str | MacEnergy = "horowitz-45nm-int8",
    inferences_per_second: float | None = None,
) -> EnergySplit:
    """Where the energy of one inference goes.

    costs: of the layers on the array. Weight reads are whole words per layer, from the weight memory alone (products of
    two activations read none). Refresh and leakage are charged for the time of one inference: cycles / clock_hz, or
    1 / inferences_per_second when a rate is given, since an idle memory leaks and refreshes too.
    Raises ValueError for a clock that is not above 0, or a rate the array cannot keep.
    """
    layers = tuple(costs)
    if not (clock_hz > 0 and math.isfinite(clock_hz)):
        raise ValueError(f"clock_hz must be above 0 and finite, got {clock_hz}")
    latency_s = sum(c.cycles for c in layers) / clock_hz
    seconds = latency_s if inferences_per_second is None else _period_s(inferences_per_second, latency_s)
    preset = mac if isinstance(mac, MacEnergy) else mac_energy(mac)
    return EnergySplit(
        mac_j=sum(c.macs for c in layers) * preset.energy_j,
        weight_read_j=sum(memory.read_j(c) for c in layers),
        codec_j=sum(memory.decode_j(c) for c in layers),
        refresh_j=memory.refresh_w * seconds,
        leakage_j=memory.leakage_w * seconds,
        seconds=seconds,
    )


def _period_s(inferences_per_second: float, latency_s: float) -> float:
    if not (inferences_per_second > 0 and math.isfinite(inferences_per_second)):
        raise ValueError(f"inferences_per_second must be above 0 and finite, got {inferences_per_second}")
    if inferences_per_second * latency_s > 1.0:
        raise ValueError(
            f"{inferences_per_second:g} inferences per second do not fit: one takes {latency_s:.3g} s on this array, "
            f"at most {1.0 / latency_s:.4g} per second; use a faster clock, a larger array or a lower rate"
        )
    return 1.0 / inferences_per_second
