"""One fault map of a study as files for other tools: faults by address, the memory image, ECC words, the weights."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from qtaml_hw.arrays import Codes, Uint8
from qtaml_hw.config import Study, takes_study
from qtaml_hw.ecc.rtl import testbench, verilog
from qtaml_hw.ecc.rtl.memh import memh
from qtaml_hw.errors import InputError, unknown
from qtaml_hw.files import claim, write_atomically
from qtaml_hw.memory.ageing.regions import CodeRegion
from qtaml_hw.memory.array import addresses
from qtaml_hw.memory.timeline import Timeline
from qtaml_hw.names import EXPORT_FORMATS, EXPORTS
from qtaml_hw.progress import Progress
from qtaml_hw.records.results import Answer
from qtaml_hw.study.design.design import DesignPoint, prepare
from qtaml_hw.study.design.networks.loaded import Networks

MANIFEST: Final = "manifest.json"


@dataclass(frozen=True, eq=False)
class Exported(Answer):
    """What was written: the manifest, and the paths of all files, itself among them."""

    manifest: dict[str, Any]
    paths: tuple[Path, ...]

    def as_dict(self) -> dict[str, Any]:
        """The manifest with ``files`` as paths; ``words`` and ``check_bits`` are totals."""
        return {**self.manifest, "files": [str(path) for path in self.paths]}


@takes_study
def export(
    study: Study,
    out: str | Path,
    *,
    what: Sequence[str] = EXPORTS,
    formats: Sequence[str] = EXPORT_FORMATS,
    map_index: int = 0,
    check: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Write what the memory of one chip holds at the study's last read-out, before and after decay.

    ``check`` simulates the emitted decoders on the exported words (iverilog) and demands the counts of the record.

    Raises InputError for an unknown ``what`` or format, where tensors stream through the array and have no address,
    where a bench disagrees or iverilog is missing; StoreError when the folder is not ours.
    """
    for given, allowed in ((what, EXPORTS), (formats, EXPORT_FORMATS)):
        for name in given:
            if name not in allowed:
                raise InputError(unknown("value", name, allowed))
    folder = Path(out)
    design = prepare(study, Networks(progress))
    image = _Image(design, design.cell.live(design.chip, study.evaluate.seed, map_index))
    claim(folder)
    names: list[str] = []
    for part in EXPORTS:
        for form in EXPORT_FORMATS:
            if part in what and form in formats:
                for name, content in _WRITERS[part, form](image):
                    write_atomically(folder / name, content)
                    names.append(name)
    manifest = {**image.manifest(map_index), "files": names}
    if check:
        manifest["checked"] = _checked(image, folder, "memory" in what and "memh" in formats)
    write_atomically(folder / MANIFEST, json.dumps(manifest, indent=1) + "\n")
    return Exported(manifest, tuple(folder / name for name in (*names, MANIFEST)))


@dataclass(frozen=True, eq=False)
class _Image:
    """One aged chip with addresses."""

    design: DesignPoint
    timeline: Timeline

    def __post_init__(self) -> None:
        if self.design.chip.layout.residency.streamed.any():
            raise InputError(
                "tensors that stream through the array have no address in it: give the array the capacity of the image"
            )

    @property
    def regions(self) -> tuple[CodeRegion, ...]:
        return self.timeline.stored.regions

    @cached_property
    def words(self) -> list[tuple[Uint8, Uint8]]:
        """Words as written and as held, of every entry with a code."""
        return [self.timeline.stored.words(region) for region in self.regions]

    @cached_property
    def addresses(self) -> addresses.Addresses:
        groups = tuple(region.group for region in self.regions)
        return addresses.Addresses(self.design.chip.layout, groups, tuple(r.code.parity for r in self.regions))

    @cached_property
    def cells(self) -> tuple[Uint8, Uint8]:
        """0/1 [banks, rows, row_bits] as written and as held."""
        stored = self.timeline.stored
        written = [before[:, r.code.k :] for r, (before, _) in zip(self.regions, self.words, strict=True)]
        held = [after[:, r.code.k :] for r, (_, after) in zip(self.regions, self.words, strict=True)]
        return self.addresses.image(stored.written, written), self.addresses.image(stored.held, held)

    def manifest(self, map_index: int) -> dict[str, Any]:
        """What the files hold, and by which rule addresses were given."""
        design, layout, geometry = self.design, self.design.chip.layout, self.design.chip.geometry
        starts = layout.tensor_starts.tolist()
        codes = [
            {
                "entry": region.entry.name,
                "code": region.code.name,
                "n": region.code.n,
                "k": region.code.k,
                "words": region.words,
                "check_bits": region.words * region.code.parity,
            }
            for region in self.regions
        ]
        return {
            "study": design.study.label,
            "identity": design.identity,
            "map": map_index,
            "seed": design.study.evaluate.seed,
            "time_s": self.timeline.sample_times_s[-1],
            "banks": geometry.banks,
            "row_bits": geometry.row_bits,
            "word_bits": geometry.word_bits,
            "planes": layout.planes,
            "format": design.image.format_name,
            "plane_class": layout.class_of_plane.tolist(),
            "first_row_of_class": self.addresses.first_row.tolist(),
            "rows_of_class": self.addresses.rows.tolist(),
            "addresses": " ".join(str(addresses.__doc__).split("\n\n", 1)[1].split()),
            "tensors": [
                {"name": name, "first_weight": first, "weights": last - first}
                for name, first, last in zip(design.image.names, starts[:-1], starts[1:], strict=True)
            ],
            "codes": codes,
            "words": sum(one["words"] for one in codes),
            "check_bits": sum(one["check_bits"] for one in codes),
            "flips_data": int(self.timeline.flips_data[-1]),
            "flips_parity": int(self.timeline.flips_parity[-1]),
            "words_corrected": int(self.timeline.words_corrected[-1]),
            "words_uncorrectable": int(self.timeline.words_uncorrectable[-1]),
        }


_Files = list[tuple[str, str | bytes]]


def _npz(arrays: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _faults_npz(image: _Image) -> _Files:
    """Every stored bit in error, by what it is and where it lies."""
    stored, starts = image.timeline.stored, image.design.chip.layout.tensor_starts
    flips = [held ^ written for held, written in zip(stored.held, stored.written, strict=True)]
    found = [np.nonzero((f[:, None] >> np.arange(stored.laid_out.planes, dtype=f.dtype)) & 1) for f in flips]
    tensor = np.repeat(np.arange(len(found)), [len(weight) for weight, _ in found])
    weight, plane = (np.concatenate(parts).astype(np.int64) for parts in zip(*found, strict=True))
    bank, row, column = image.addresses.data(weight + starts[tensor], plane)
    columns: dict[str, Any] = {"tensor": tensor, "weight": weight, "plane": plane}
    columns |= {"bank": bank, "row": row, "column": column}
    for number, region in enumerate(image.regions):
        word, position = stored.errors_of(region)
        check = position >= region.code.k
        word, index = word[check], position[check] - region.code.k
        place = image.addresses.check(number, word, index)
        for name, values in zip(("word", "check_bit", "bank", "row", "column"), (word, index, *place), strict=True):
            columns[f"{region.entry.name}.{name}"] = values
    return [("faults.npz", _npz(columns))]


def _by_bank(image: _Image, kind: str, cells: Uint8) -> _Files:
    """An image as accesses, a file a bank, rows ascending and in each row its words."""
    width = image.design.chip.geometry.word_bits
    return [(f"bank{b}.{kind}.memh", memh(rows.reshape(-1, width))) for b, rows in enumerate(cells)]


def _faults_memh(image: _Image) -> _Files:
    written, held = image.cells
    return _by_bank(image, "flips", written ^ held)


def _memory_npz(image: _Image) -> _Files:
    written, held = image.cells
    arrays: dict[str, Any] = {"written": np.packbits(written, axis=2, bitorder="little")}
    arrays["held"] = np.packbits(held, axis=2, bitorder="little")
    for region, (before, after) in zip(image.regions, image.words, strict=True):
        arrays |= {f"{region.entry.name}.written": before, f"{region.entry.name}.held": after}
    return [("memory.npz", _npz(arrays))]


def _memory_memh(image: _Image) -> _Files:
    """Banks, and of every code its words, decoder and bench."""
    written, held = image.cells
    files = _by_bank(image, "written", written) + _by_bank(image, "held", held)
    for region, (before, after) in zip(image.regions, image.words, strict=True):
        code = region.code.with_policy("raw") if region.code.policy == "reload" else region.code
        tag, out = verilog.identifier(code), code.decode(after)
        expected = np.concatenate([out.data, np.stack([out.corrected, out.uncorrectable], axis=1)], axis=1)
        files += [(f"words_{tag}.written.memh", memh(before)), (f"words_{tag}.held.memh", memh(after))]
        files += [(f"words_{tag}.expected.memh", memh(expected.astype(np.uint8)))]
        try:
            rtl = verilog.encoder(code) + "\n" + verilog.decoder(code)
        except ValueError:  # a code whose decoder is no combinational circuit of ours: its words stand alone
            continue
        files += [(f"{tag}.v", rtl), (f"{tag}_image_bench.v", testbench.image_bench(code, region.words))]
    return files


def _named(image: _Image, kind: str) -> dict[str, Codes]:
    codes = image.timeline.stored.written if kind == "written" else image.timeline.read_out[-1]
    return dict(zip(image.design.image.names, codes, strict=True))


def _weights_npz(image: _Image) -> _Files:
    kinds = ("written", "read")
    return [("weights.npz", _npz({f"{k}.{name}": c for k in kinds for name, c in _named(image, k).items()}))]


def _weights_memh(image: _Image) -> _Files:
    """Codes of every tensor, a weight a line."""
    files: _Files = []
    for kind in ("written", "read"):
        for number, (name, codes) in enumerate(_named(image, kind).items()):
            digits, safe = -(-image.design.chip.planes // 4), re.sub(r"[^\w.-]", "_", name)
            files.append(
                (f"weights_{number:03d}_{safe}.{kind}.memh", "".join(f"{code:0{digits}x}\n" for code in codes.tolist()))
            )
    return files


_WRITERS: Final[dict[tuple[str, str], Callable[[_Image], _Files]]] = {
    ("faults", "npz"): _faults_npz,
    ("faults", "memh"): _faults_memh,
    ("memory", "npz"): _memory_npz,
    ("memory", "memh"): _memory_memh,
    ("weights", "npz"): _weights_npz,
    ("weights", "memh"): _weights_memh,
}


def _checked(image: _Image, folder: Path, written: bool) -> dict[str, int]:
    """Sums over the simulated decoders, which must be what the record says."""
    if not written:
        raise InputError("the check simulates decoders on the memory image: export memory as memh")
    sums = dict.fromkeys(("words", "corrected", "uncorrectable", "failures"), 0)
    for region in image.regions:
        try:
            found = testbench.run_image_bench(region.code, folder)
        except (ValueError, RuntimeError) as error:
            raise InputError(f"the check could not be made: {error}") from error
        sums = {name: sums[name] + count for name, count in found.items()}
    counts = (int(image.timeline.words_corrected[-1]), int(image.timeline.words_uncorrectable[-1]), 0)
    if (sums["corrected"], sums["uncorrectable"], sums["failures"]) != counts:
        raise InputError(f"the simulated decoders found {sums}; the record says corrected, uncorrectable: {counts[:2]}")
    return sums
