"""Commands about models: what of a network is stored, and a large model through the memory tensor after tensor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qtaml_hw.cli.options import FileArgument, JsonOption, QuietOption, SetOption, print_json, say


def add_model_commands(app: typer.Typer) -> None:
    """Put these commands beside those of one study."""
    app.command()(tensors)
    app.command()(stream)


def tensors(file: FileArgument, overrides: SetOption, as_json: JsonOption = False, quiet: QuietOption = False) -> None:
    """Every parameter of the study's network: its kind and size, and whether it lives in the memory."""
    import qtaml_hw as q
    from qtaml_hw.progress import terminal_progress

    with terminal_progress(quiet) as progress:
        rows = q.tensors(q.load(file, overrides), progress=progress)
    stored = sum(row["values"] for row in rows if row["stored"])
    exact = sum(row["values"] for row in rows if not row["stored"])
    if as_json:
        print_json({"tensors": rows, "stored_values": stored, "exact_values": exact})
        return
    from qtaml_hw.report.console import show, table

    cells = []
    for row in rows:
        shape = " x ".join(map(str, row["shape"]))
        where = f"{row['bits']:,} bits" if row["stored"] else "no, exact"
        cells.append((row["name"], row["kind"], shape, f"{row['values']:,}", where))
    show(table(["Tensor", "Kind", "Shape", "Values", "Stored"], cells))
    typer.echo(f"stored: {stored:,} values; exact, beside the memory: {exact:,}")


def stream(
    file: FileArgument,
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="a .safetensors file, or a folder of shards")],
    overrides: SetOption,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="folder for the weights as read")] = None,
    map_index: Annotated[int, typer.Option("--map", min=0, help="fault map (chip)")] = 0,
    device: Annotated[str | None, typer.Option("--device", help="where codes are flipped, e.g. cuda")] = None,
    as_json: JsonOption = False,
) -> None:
    """A model of any size through the memory, tensor after tensor: protected by layer, corrupted, written out."""
    import qtaml_hw as q

    found = q.stream(q.load(file, overrides), weights, out=out, map_index=map_index, device=device).as_dict()
    if as_json:
        print_json(found)
        return
    typer.echo(
        f"{found['stored_weights']:,} weights in {len(found['stored'])} tensors as {found['format']}; "
        f"{100 * found['protected_bits_fraction']:.2f} % of the bits protected ({found['policy']}); "
        f"{found['flips_residual']:,} of {found['stored_bits']:,} bits read wrong"
    )
    for name in found["files"]:
        say(f"written: {name}")
