"""Commands about models: what of a network is stored, and a large model through the memory tensor after tensor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

import qtaml_hw as q
from qtaml_hw import report
from qtaml_hw.cli.options import (
    Commands,
    FileArgument,
    JsonOption,
    QuietOption,
    SetOption,
    answer,
    answer_lines,
    default_folder,
    listed,
    load,
    say,
    warn,
)
from qtaml_hw.names import EXPORT_FORMATS, EXPORTS
from qtaml_hw.progress import terminal_progress


def tensors(file: FileArgument, overrides: SetOption, as_json: JsonOption = False, quiet: QuietOption = False) -> None:
    """Every parameter of the study's network: its kind and size, and whether it lives in the memory."""
    with terminal_progress(quiet) as progress:
        stored = q.tensors(load(file, overrides), progress=progress).as_dict()
    answer(stored, as_json, lambda: report.tensors_table(stored))


def stream(
    file: FileArgument,
    weights: Annotated[
        Path, typer.Argument(metavar="WEIGHTS", help="a .safetensors file, a folder of shards, or a .gguf file")
    ],
    overrides: SetOption,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="folder for the weights as read")] = None,
    map_index: Annotated[int, typer.Option("--map", min=0, help="fault map (chip)")] = 0,
    device: Annotated[str | None, typer.Option("--device", help="where codes are flipped, e.g. cuda")] = None,
    as_json: JsonOption = False,
) -> None:
    """A model of any size through the memory, tensor after tensor: protected by layer, corrupted, written out."""
    streamed = q.stream(load(file, overrides), weights, out=out, map_index=map_index, device=device).as_dict()
    line = (
        f"{streamed['stored_weights']:,} weights in {len(streamed['stored'])} tensors as {streamed['format']}; "
        f"{100 * streamed['protected_bits_fraction']:.2f} % of the bits protected ({streamed['policy']}); "
        f"{streamed['flips_residual']:,} of {streamed['stored_bits']:,} bits read wrong"
    )
    damage = report.stream_damage(streamed)
    tensors = (("corrupted", streamed["stored"]), ("left exact", streamed["exact"]))
    listed = [f"{title}: {text}" for title, rows in tensors for text in report.tensors_in_short(rows)]
    answer_lines(streamed, as_json, [line, damage, report.stream_cost(streamed), *listed])
    warn(streamed["warnings"])
    for name in streamed["files_not_read"]:
        say(f"not read: {name}")
    for name in streamed["files"]:
        say(f"written: {name}")


def export(
    file: FileArgument,
    overrides: SetOption,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="folder for the files [default: runs/<study>-export]")
    ] = None,
    what: Annotated[str, typer.Option("--what", help="faults, memory, weights: separated by commas")] = ",".join(
        EXPORTS
    ),
    formats: Annotated[str, typer.Option("--format", help="npz, memh: separated by commas")] = ",".join(EXPORT_FORMATS),
    map_index: Annotated[int, typer.Option("--map", min=0, help="fault map (chip)")] = 0,
    check: Annotated[bool, typer.Option("--check", help="simulate the decoders on the words (iverilog)")] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """What one chip's memory holds, before and after decay: for RTL benches ($readmemh) and other tools."""
    study, parts, forms = load(file, overrides), listed(what), listed(formats)
    folder = out or default_folder(f"{study.label}-export")
    with terminal_progress(quiet) as progress:
        done = q.export(study, folder, what=parts, formats=forms, map_index=map_index, check=check, progress=progress)
    found = done.as_dict()
    line = (
        f"{len(found['files'])} files in {folder}: {found['flips_data']:,} data and {found['flips_parity']:,} check "
        f"bits in error, {found['words']:,} words with {found['check_bits']:,} check bits"
    )
    agreed = "; the decoders agree with the record in every word" if check else ""
    answer_lines(found, as_json, [line + agreed])


def price(
    file: FileArgument,
    overrides: SetOption,
    topology: Annotated[
        Path | None, typer.Option("--topology", metavar="CSV", help="layers: a SCALE-Sim convolution or GEMM file")
    ] = None,
    weights: Annotated[int | None, typer.Option("--weights", metavar="N", help="or so many weights, read once")] = None,
    as_json: JsonOption = False,
) -> None:
    """What the study's memory costs without a network: area, energy, refresh, latency for a list of layers."""
    priced = q.price(load(file, overrides), topology=topology, weights=weights)
    found = priced.as_dict()
    answer(found, as_json, lambda: report.price_table(found))
    warn(priced.warnings)
    say(found["note"])


def topology(file: FileArgument, overrides: SetOption, quiet: QuietOption = False) -> None:
    """The products of the study's network, as a GEMM topology of SCALE-Sim on stdout."""
    with terminal_progress(quiet) as progress:
        typer.echo(q.topology(load(file, overrides), progress=progress), nl=False)


COMMANDS: Final[Commands] = {
    "tensors": tensors,
    "stream": stream,
    "export": export,
    "price": price,
    "topology": topology,
}
