"""Numbers and labels as people read them. Labels come from study files: untrusted text, made plain here."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from qtaml_hw.records.kinds import is_number

if TYPE_CHECKING:  # of a table without intervals nothing heavier than rich is imported
    pass

NOTHING: Final = "–"
INFINITE: Final = "inf"
_SUPERSCRIPT: Final = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_LONGEST: Final = 300


def plain(text: object, longest: int = _LONGEST) -> str:
    """One line of printable text: control and escape characters removed, cut at ``longest`` characters."""
    words = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return words if len(words) <= longest else words[: longest - 1] + "…"


_MICRO: Final = re.compile(r"(?<![\w.])(\d[\d.]*(?:e[+-]?\d+)?) ?u(?=(?:s|m|m2|J|W|A|V|F)\b)")


def spelled(text: object, longest: int = _LONGEST) -> str:
    """One line of plain text with its units as tables spell them: ``5 us`` and ``5us`` are ``5 µs``."""
    return plain(_MICRO.sub(r"\1 µ", str(text)), longest)


def plain_lines(text: str) -> str:
    """Several lines of printable text: control and escape characters replaced, line breaks and indents kept."""
    return "\n".join("".join(c if c.isprintable() else " " for c in line) for line in text.splitlines())


def power_of_ten(exponent: int) -> str:
    """``10⁻³`` for -3."""
    return f"10{str(exponent).translate(_SUPERSCRIPT)}"


def number(value: Any, digits: int = 3) -> str:
    """``digits`` significant digits; powers of ten outside 0.001 .. 100,000; a dash for nothing."""
    if not is_number(value):
        return NOTHING
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    if -4 < exponent < 5:
        decimals = max(digits - 1 - exponent, 0)
        shown = f"{value:,.{decimals}f}"
        return shown.rstrip("0").rstrip(".") if "." in shown else shown
    mantissa = f"{value / 10.0**exponent:.{digits - 1}f}".rstrip("0").rstrip(".")
    return f"{mantissa}×{power_of_ten(exponent)}"


def percent(share: Any, decimals: int = 1) -> str:
    """A share as a number in percent, without the sign; small shares keep two significant digits."""
    if not is_number(share):
        return NOTHING
    shown = 100.0 * float(share)
    if shown and abs(shown) < 10.0 ** (1 - decimals):
        return number(shown, 2)
    return f"{shown:.{decimals}f}"


def share_of_cells(share: float) -> str:
    """``5 %``, and ``1 ppm`` below 0.01 %."""
    return f"{number(100 * share, 2)} %" if share >= 1e-4 else f"{number(1e6 * share, 2)} ppm"


def retention_basis(law: str | None) -> str:
    """What retention times under a law of flips stand on."""
    return "as measured" if law == "curve" else "modelled"


def sentence(text: str) -> str:
    """`` Refresh interval 10 us.`` to follow another sentence; nothing of nothing."""
    return f" {text[0].upper()}{text[1:]}." if text else ""


def listed(parts: Sequence[str]) -> str:
    """``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


_FEW_NAMES: Final = 4


def touching(warning: str, labels: Sequence[str], total: int) -> str:
    """A warning with the points that it touches: all of them, or those by name."""
    text = plain(warning, 500)
    if len(labels) == total:
        return text if total == 1 else f"{text} (all {total} points)"
    names = [f"“{spelled(label, 60)}”" for label in labels[:_FEW_NAMES]]
    more = f" and {len(labels) - _FEW_NAMES} more" if len(labels) > _FEW_NAMES else ""
    return f"{text} ({len(labels)} of {count(total, 'point')}: {', '.join(names)}{more})"


def count(value: Any, noun: str) -> str:
    """``1 map``, ``16 maps``."""
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {noun}s"


@dataclass(frozen=True)
class Scale:
    """A unit to show values in: shown = SI / factor."""

    factor: float
    unit: str

    def show(self, value_si: Any, digits: int = 3) -> str:
        """The number in this unit, without the unit."""
        return number(value_si / self.factor, digits) if is_number(value_si) else NOTHING


_PREFIXES: Final = {
    "J": ((1.0, "J"), (1e-3, "mJ"), (1e-6, "µJ"), (1e-9, "nJ"), (1e-12, "pJ"), (1e-15, "fJ")),
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"), (1e-12, "ps")),
    "W": ((1.0, "W"), (1e-3, "mW"), (1e-6, "µW"), (1e-9, "nW")),
    "m2": ((1e-6, "mm²"), (1e-12, "µm²")),
    "m": ((1.0, "m"), (1e-3, "mm"), (1e-6, "µm"), (1e-9, "nm")),
    "Hz": ((1e9, "GHz"), (1e6, "MHz"), (1e3, "kHz"), (1.0, "Hz")),
}
_LEAST: Final = {"m2": 0.01}


def scale(values: Iterable[Any], si: str) -> Scale:
    """The prefix in which the median of the values (zeros aside) reads well; one unit for a whole column or axis."""
    found = sorted(abs(float(v)) for v in values if is_number(v) and v != 0)
    steps = _PREFIXES[si]
    if not found:
        return Scale(*steps[0])
    middle = found[len(found) // 2]
    least = _LEAST.get(si, 1.0)
    return Scale(*next((step for step in steps if middle >= least * step[0] * (1 - 1e-12)), steps[-1]))
