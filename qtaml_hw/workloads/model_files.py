"""Networks from model files, by the file's ending; each importer and its package is loaded when it is needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import torch

from qtaml_hw.errors import InputError
from qtaml_hw.workloads.bounded import Bounded
from qtaml_hw.workloads.cache import state_digest
from qtaml_hw.workloads.factory import output_width
from qtaml_hw.workloads.load import LoadedNetwork, ReadGraph, Shapes
from qtaml_hw.workloads.reading import in_words, readable


def _onnx(path: Path, output: str | None, shapes: Shapes | None) -> ReadGraph:
    from qtaml_hw.workloads.onnx.reader import read_onnx

    return read_onnx(path, output, shapes)


def _tflite(path: Path, output: str | None, shapes: Shapes | None) -> ReadGraph:
    from qtaml_hw.workloads.tflite.network import read_tflite_network

    return read_tflite_network(path, output, shapes)


def _deployed(path: Path, output: str | None, shapes: Shapes | None) -> ReadGraph:
    from qtaml_hw.workloads.onnx.deployed import read_deployed

    return read_deployed(path, output, shapes)


READERS: Final[dict[str, Callable[[Path, str | None, Shapes | None], ReadGraph]]] = {".onnx": _onnx, ".tflite": _tflite}
ALIKE: Final = 1e-3  # of the largest output: rounding differs between batches of another size


def load_model_file(
    path: str | Path, output: str | None = None, shapes: Shapes | None = None, runtime: str = "torch"
) -> LoadedNetwork:
    """The network in a .onnx or .tflite file, in eval mode; no code of the file is run.

    output: the one that is judged, of several; shapes: of one sample of every input by name, or of the one there is,
    where a file leaves sides open.  A network of several inputs takes flat samples that hold them one after the other.
    runtime: ``onnxruntime`` runs a .onnx file as it is deployed.

    Raises InputError, one line that names the file: other endings, files that cannot be read, all that is not read of
    a graph at once, packages that are not installed, and networks whose samples do not stand for themselves.
    """
    place = Path(path)
    reader = READERS.get(place.suffix)
    reader = _deployed if runtime == "onnxruntime" and place.suffix == ".onnx" else reader
    if reader is None:
        raise InputError(f"{place}: a model file ends in {', '.join(READERS)}")
    with readable(place, f"{place.suffix} network"):
        with Bounded():
            graph = reader(place, output, shapes)
        with Bounded():
            width = output_width(place.name, graph.module, graph.input_shape, graph.input_type)
        _check_samples(graph)
        codes = {f"{name} codes": torch.from_numpy(code.codes.copy()) for name, code in graph.codes.items()}
        digest = state_digest({**graph.module.state_dict(), **codes})
    return LoadedNetwork(place.name, graph.module, digest, graph.input_shape, width, None, graph.codes)


def _check_samples(graph: ReadGraph) -> None:
    """Two samples together must give what each gives alone: then the first axis is the batch in the whole graph."""
    draw, shape = torch.Generator().manual_seed(1), (2, *graph.input_shape)
    whole = graph.input_type == torch.int64
    x = torch.randint(0, 2, shape, generator=draw) if whole else torch.rand(shape, generator=draw)
    try:
        with torch.inference_mode(), Bounded():
            alone = torch.cat([graph.module(x[:1]), graph.module(x[1:])])
            together = graph.module(x)
    except Exception as error:  # of torch, in words that name no file
        raise ValueError(f"it takes one sample only; export it with a batch of any size ({in_words(error)})") from error
    room = ALIKE * float(alone.nan_to_num(0.0, 0.0, 0.0).abs().max())
    if together.shape != alone.shape or not torch.allclose(together, alone, rtol=0.0, atol=room, equal_nan=True):
        raise ValueError("what it makes of a sample depends on the other samples of its batch")
