"""When a stored bit is lost: the laws that the simulated memory ages its cells by.

A cell owns one uniform U (see :mod:`qtaml_hw.faults`).  Under every law it has flipped exactly when U lies below a
threshold; the laws differ in what moves that threshold: the longest interval without a restore (retention), the
leaky time since the cell was written (poisson), or nothing (fixed).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from qtaml_hw.arrays import Bool, Float64, Uint8
from qtaml_hw.channel import Keeping
from qtaml_hw.faults import Bursts, Clusters
from qtaml_hw.names import LeakyState


@runtime_checkable
class RetentionLaw(Protocol):
    """Fixed weak cells: :func:`qtaml_hw.device.population` gives one."""

    @property
    def leaky_state(self) -> LeakyState | None:
        """The value that leaks away, 1 or 0, or both; None when none does (a static cell)."""
        ...

    def flip_probability(self, interval_s: ArrayLike) -> Float64:
        """P(retention time < interval) of a cell that stores the leaky state."""
        ...

    def retention_quantile(self, u: ArrayLike) -> Float64:
        """Inverse of ``flip_probability``: seconds."""
        ...


@dataclass(frozen=True)
class PoissonCells:
    """Memoryless loss of the leaky state at ``rate_per_s`` (1/s): P(lost within t) = 1 - exp(-rate t)."""

    rate_per_s: float
    leaky_state: Literal[0, 1] = 1

    def __post_init__(self) -> None:
        if not (np.isfinite(self.rate_per_s) and self.rate_per_s >= 0.0):
            raise ValueError(f"a loss rate must be finite and not negative; got {self.rate_per_s:g} 1/s")
        if self.leaky_state not in (0, 1):
            raise ValueError(f"leaky_state must be 0 or 1; got {self.leaky_state!r}")


@dataclass(frozen=True, eq=False)
class FixedCells:
    """Probabilities stated by the user, whatever the time: a stored 0 reads 1 with ``p01``, a stored 1 reads 0 with
    ``p10``.

    Scalars or float64 [planes], LSB first.  Parity cells take the value of the top plane, beside which they lie.
    ``structure`` makes neighbours depend on each other (None: independent); it needs bits without ECC words.
    """

    p01: float | Float64
    p10: float | Float64
    structure: Bursts | Clusters | None = None

    def __post_init__(self) -> None:
        for name in ("p01", "p10"):
            p = np.asarray(getattr(self, name), dtype=np.float64)
            if p.ndim > 1 or not (np.all(p >= 0.0) and np.all(p <= 1.0)):
                raise ValueError(f"{name} must be a probability in [0, 1], scalar or per plane; got {p.tolist()}")

    def per_plane(self, planes: int) -> Float64:
        """[2, planes]: row v holds P(flip | stored v)."""
        return np.stack([np.broadcast_to(np.asarray(p, dtype=np.float64), planes) for p in (self.p01, self.p10)])


def leaks(leaky_state: LeakyState | None, written: Uint8) -> Bool:
    """Of bits as written, which ones their cells can lose."""
    lost: Bool = np.isin(written, [state for state in (0, 1) if leaky_state in (state, "both")])
    return lost


CellModel = RetentionLaw | PoissonCells | FixedCells


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of one chip: their model, the one in every phase of the schedule, and those of planes kept otherwise.

    ``phases``: None in it where a phase leaves the model as it is; () takes the cells that the schedule's phases name.
    ``kept``: the same chip's cells under another way of keeping them; None where no such way is known.
    ``of_classes``: the cells of every row class, where they are not the same; ``model`` and ``phases`` are then those
    of the last of them.
    """

    model: CellModel
    phases: tuple[CellModel | None, ...] = ()
    kept: Callable[[Keeping], Cells] | None = None
    of_classes: tuple[Cells, ...] = ()

    def of_class(self, row_class: int) -> Cells:
        """The cells of one row class."""
        return self.of_classes[row_class] if self.of_classes else self

    def same(self, other: Cells) -> bool:
        """Whether all of the other's parts are the very objects of this one's."""
        if self.of_classes or other.of_classes:
            return len(self.of_classes) == len(other.of_classes) and all(
                a.same(b) for a, b in zip(self.of_classes, other.of_classes, strict=True)
            )
        mine, theirs = ((one.model, *one.phases) for one in (self, other))
        return (
            self.kept is other.kept
            and len(mine) == len(theirs)
            and all(a is b for a, b in zip(mine, theirs, strict=True))
        )

    def under(self, keeping: Keeping | None) -> Cells:
        """The cells of a plane that is kept so (None: as the rest).

        Faster refresh leaves cells what they are.  ValueError where nobody said what stronger cells would be.
        """
        if keeping is None or not keeping.more_oxide_m:
            return self
        if self.kept is None:
            raise ValueError("stronger cells are on the plan, and nothing says what they are: give memory.Cells kept")
        return self.kept(keeping)


def as_cells(cell: CellModel | Cells) -> Cells:
    """A chip of these cells.  ValueError that says what a model must offer."""
    return cell if isinstance(cell, Cells) else Cells(check_cell(cell))


def check_cell(cell: object) -> CellModel:
    """The cell model, or a ValueError that says what one must offer."""
    if not isinstance(cell, PoissonCells | FixedCells | RetentionLaw):
        raise ValueError(
            f"a cell model is PoissonCells, FixedCells, or offers leaky_state, flip_probability and retention_quantile "
            f"(device.population does); got {type(cell).__name__}"
        )
    return cell


def check_profile(cell: CellModel) -> RetentionLaw:
    """The cell as one whose rows can be binned; ValueError where no cell is weaker than another."""
    if isinstance(cell, FixedCells | PoissonCells):
        law = "fixed" if isinstance(cell, FixedCells) else "poisson"
        raise ValueError(
            f"retention-aware refresh bins rows by their weakest cell, and under the law {law} no cell is weaker than "
            "another; it needs the law retention"
        )
    return cell
