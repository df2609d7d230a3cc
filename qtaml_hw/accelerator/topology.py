"""Layers as SCALE-Sim lists them: convolution and GEMM topology files, read and written.

Formats of SCALE-Sim 3.0 (github.com/scalesim-project/SCALE-Sim, topologies/): a heading, then a layer a line, values
separated by commas, with or without a comma at the end.  Padding is part of the stated input size.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qtaml_hw.accelerator.layers import LayerCost
from qtaml_hw.accelerator.systolic import systolic_cost
from qtaml_hw.files import read_at_most

GEMM_HEADING: Final = ("Layer", "M", "N", "K")
CONV_HEADING: Final = (
    "Layer name", "IFMAP Height", "IFMAP Width", "Filter Height", "Filter Width", "Channels", "Num Filter", "Strides",
)  # fmt: skip
MOST_BYTES: Final = 2**24
_LARGEST: Final = 2**31


@dataclass(frozen=True)
class Product:
    """A layer with weights of its own: (m x k) activations by (k x n) weights."""

    name: str
    m: int
    k: int
    n: int

    @property
    def weights(self) -> int:
        """Stored weights."""
        return self.k * self.n


def read_topology(file: str | Path) -> tuple[Product, ...]:
    """The layers of a topology file, told apart by its heading.

    Raises ValueError with the line for a file of neither form, a count that is no positive whole number, a filter
    larger than its input, or no layer at all; OSError when it cannot be read.
    """
    path = Path(file)
    raw = read_at_most(path, MOST_BYTES)
    if raw is None:
        raise ValueError(f"{path}: larger than {MOST_BYTES} bytes, which no list of layers is")
    rows = [
        (number, [cell.strip() for cell in row])
        for number, row in enumerate(csv.reader(io.StringIO(raw.decode("utf-8-sig", "replace"))), 1)
    ]
    rows = [(number, row[:-1] if row[-1] == "" else row) for number, row in rows if any(row)]
    if not rows:
        raise ValueError(f"{path}: the file is empty")
    heading = [cell.lower() for cell in rows[0][1]]
    forms = {tuple(c.lower() for c in GEMM_HEADING): _gemm, tuple(c.lower() for c in CONV_HEADING): _convolution}
    form = next((read for names, read in forms.items() if tuple(heading[: len(names)]) == names), None)
    if form is None:
        allowed = " or ".join(f"'{', '.join(names)}'" for names in (GEMM_HEADING, CONV_HEADING))
        raise ValueError(f"{path}:{rows[0][0]}: the heading is neither {allowed}")
    products, seen = [], dict[str, int]()
    for number, row in rows[1:]:
        try:
            product = form(row)
        except ValueError as error:
            raise ValueError(f"{path}:{number}: {error}") from error
        seen[product.name] = seen.get(product.name, 0) + 1
        again = f"#{seen[product.name]}" if seen[product.name] > 1 else ""
        products.append(Product(product.name + again, product.m, product.k, product.n))
    if not products:
        raise ValueError(f"{path}: no layer under the heading")
    return tuple(products)


def _counts(row: Sequence[str], names: Sequence[str]) -> list[int]:
    """The whole numbers of a line after the layer's name."""
    if len(row) < len(names):
        raise ValueError(f"{len(row)} values where {len(names)} are wanted: {', '.join(names)}")
    found = []
    for name, cell in zip(names[1:], row[1:], strict=False):
        if not (cell.isascii() and cell.isdigit() and 0 < len(cell) < 11 and 0 < int(cell) < _LARGEST):
            raise ValueError(f"{name} must be a whole number from 1 up, below 2^31; got {cell[:40]!r}")
        found.append(int(cell))
    return found


def _gemm(row: Sequence[str]) -> Product:
    m, n, k = _counts(row, GEMM_HEADING)
    return Product(row[0], m, k, n)


def _convolution(row: Sequence[str]) -> Product:
    height, width, filter_height, filter_width, channels, filters, stride = _counts(row, CONV_HEADING)
    if filter_height > height or filter_width > width:
        raise ValueError(f"a filter of {filter_height} x {filter_width} does not fit an input of {height} x {width}")
    pixels = (-(-(height - filter_height + stride) // stride)) * (-(-(width - filter_width + stride) // stride))
    return Product(row[0], pixels, filter_height * filter_width * channels, filters)


def costs_of(products: Iterable[Product], rows: int, columns: int, dataflow: str) -> tuple[LayerCost, ...]:
    """The layers on a systolic array, each with a stored tensor of its own; ValueError as ``systolic_cost``."""
    return tuple(
        LayerCost(p.name, p.name, "linear", p.m, p.k, p.n, 1, systolic_cost(p.m, p.k, p.n, rows, columns, dataflow))
        for p in products
    )


def gemm_topology(layers: Iterable[LayerCost]) -> str:
    """A GEMM topology of a network's products, in the order they run; one that runs several times has as many lines."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(GEMM_HEADING)
    for layer in layers:
        names = [layer.name] if layer.repeats == 1 else [f"{layer.name}.{i}" for i in range(layer.repeats)]
        writer.writerows((name, layer.m, layer.n, layer.k) for name in names)
    return out.getvalue()
