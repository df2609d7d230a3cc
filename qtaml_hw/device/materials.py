"""Gate dielectrics: sourced material files and the stacks of layers made of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final, Literal

import numpy as np
import yaml
from numpy.typing import ArrayLike

from qtaml_hw.arrays import Float64
from qtaml_hw.errors import unknown
from qtaml_hw.limits import INTERFACE_SHARE, STACKS, stack_complaint
from qtaml_hw.units import parse

Carrier = Literal["electron", "hole"]

SIO2_PERMITTIVITY: Final = 3.9  # the reference of the equivalent oxide thickness, by definition
_THICKEST_LAYER_M: Final = 200e-9  # the thick tail of the thickest high-k film; anything above is a wrong unit


@dataclass(frozen=True)
class Material:
    """One dielectric: relative permittivity (1), barrier heights in eV, tunnelling masses in units of m0, sources.

    ``trap_share`` (1) weighs the current by way of traps in the middle of the film (``current.passed``).
    ``illustrative`` marks data that differ widely between films: good for trends, not for absolute currents.
    """

    name: str
    relative_permittivity: float
    electron_barrier_ev: float
    electron_mass_ratio: float
    hole_barrier_ev: float
    hole_mass_ratio: float
    trap_share: float
    illustrative: bool
    sources: tuple[tuple[str, str], ...]

    def barrier_ev(self, carrier: Carrier) -> float:
        """Barrier height seen by the carrier, in eV."""
        return self.electron_barrier_ev if carrier == "electron" else self.hole_barrier_ev

    def mass_ratio(self, carrier: Carrier) -> float:
        """Tunnelling mass of the carrier in units of the electron mass."""
        return self.electron_mass_ratio if carrier == "electron" else self.hole_mass_ratio


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer of a gate stack: material and physical thickness in metres (a number or an array of candidates)."""

    material: Material
    thickness_m: ArrayLike

    def __post_init__(self) -> None:
        thickness = np.asarray(self.thickness_m, dtype=np.float64)
        if not np.all((thickness > 0.0) & (thickness <= _THICKEST_LAYER_M)):
            raise ValueError(
                f"layer thickness {self.thickness_m!r} m of {self.material.name} "
                f"is outside (0, {_THICKEST_LAYER_M:g}] m"
            )

    @property
    def eot_m(self) -> Float64:
        """The SiO2 thickness with the same capacitance per area."""
        return np.asarray(self.thickness_m, dtype=np.float64) * SIO2_PERMITTIVITY / self.material.relative_permittivity


@dataclass(frozen=True, eq=False)
class Stack:
    """A gate dielectric as layers, first the one at the emitter of the tunnelling carriers (the channel)."""

    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        if not self.layers:
            raise ValueError("a gate stack needs at least one layer")

    @property
    def trap_share(self) -> float:
        """Of the layer with most traps."""
        return max(layer.material.trap_share for layer in self.layers)

    @property
    def thickness_m(self) -> Float64:
        """Physical thickness."""
        return sum((np.asarray(layer.thickness_m) for layer in self.layers), np.zeros(()))

    @property
    def eot_m(self) -> Float64:
        """Equivalent oxide thickness: the SiO2 thickness with the same capacitance per area."""
        return sum((layer.eot_m for layer in self.layers), np.zeros(()))

    def scaled(self, factor: ArrayLike) -> Stack:
        """Every layer thinner or thicker by the same factor (any shape)."""
        return Stack(tuple(Layer(layer.material, np.asarray(layer.thickness_m) * factor) for layer in self.layers))

    def with_axis(self) -> Stack:
        """The same stack with a last axis of length one, ready to broadcast against energies."""
        return Stack(tuple(Layer(layer.material, np.asarray(layer.thickness_m)[..., None]) for layer in self.layers))


_MATERIALS: Final = ("sio2", "sion", "si3n4", "hfo2", "al2o3")


@cache
def material(name: str) -> Material:
    """A material of ``qtaml_hw/device/materials``. Raises ValueError for an unknown name."""
    if name not in _MATERIALS:
        raise ValueError(unknown("material", name, _MATERIALS))
    text = resources.files("qtaml_hw.device").joinpath("materials", f"{name}.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.safe_load(text)
    entries = {key: entry for key, entry in data.items() if isinstance(entry, dict)}
    return Material(
        name=data["name"],
        relative_permittivity=float(entries["relative_permittivity"]["value"]),
        electron_barrier_ev=parse(entries["electron_barrier"]["value"], "electronvolt"),
        electron_mass_ratio=float(entries["electron_mass_ratio"]["value"]),
        hole_barrier_ev=parse(entries["hole_barrier"]["value"], "electronvolt"),
        hole_mass_ratio=float(entries["hole_mass_ratio"]["value"]),
        trap_share=float(entries["trap_share"]["value"]) if "trap_share" in entries else 0.0,
        illustrative=bool(data["illustrative"]),
        sources=tuple((key, str(entry["source"])) for key, entry in entries.items()),
    )


def named_stack(name: str, t_ox_m: ArrayLike, t_interface_m: float | None = None) -> Stack:
    """The stack of that name: ``t_ox_m`` is the physical thickness of a single layer, the EOT of a bilayer.

    A bilayer is an interface layer of SiO2, ``t_interface_m`` or half of the EOT (``limits.INTERFACE_SHARE``), and as
    much high-k as fills the EOT; ``Stack.thickness_m`` says how thick all of it is.
    Raises ValueError for an unknown name, a bilayer thinner than its interface layer, or one of a single layer.
    """
    if name not in STACKS:
        raise ValueError(unknown("gate stack", name, tuple(STACKS)))
    dielectric, bilayer = STACKS[name]
    main = material(dielectric)
    complaint = stack_complaint(name, float(np.min(t_ox_m)), t_interface_m)
    if complaint is not None:
        raise ValueError(complaint)
    if not bilayer:
        return Stack((Layer(main, t_ox_m),))
    eot_m = np.asarray(t_ox_m, dtype=np.float64)
    interface_m = INTERFACE_SHARE * eot_m if t_interface_m is None else np.asarray(t_interface_m)
    rest_m = (eot_m - interface_m) * main.relative_permittivity / SIO2_PERMITTIVITY
    return Stack((Layer(material("sio2"), interface_m), Layer(main, rest_m)))
