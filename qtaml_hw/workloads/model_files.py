"""Networks from model files, by the file's ending; each importer and its package is loaded when it is needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from qtaml_hw.workloads.load import LoadedNetwork


def _onnx(path: Path) -> LoadedNetwork:
    from qtaml_hw.workloads.onnx_import import load_onnx

    return load_onnx(path)


def _pt2(path: Path) -> LoadedNetwork:
    from qtaml_hw.workloads.pt2_import import load_pt2

    return load_pt2(path)


def _tflite(path: Path) -> LoadedNetwork:
    from qtaml_hw.workloads.tflite_import import load_tflite

    return load_tflite(path)


READERS: Final[dict[str, Callable[[Path], LoadedNetwork]]] = {".onnx": _onnx, ".tflite": _tflite, ".pt2": _pt2}


def load_model_file(path: str | Path) -> LoadedNetwork:
    """The network in a .onnx, .pt2 or .tflite file, in eval mode; no code of the file is run.

    Raises ValueError for other endings, files that cannot be read, operators that are not read (all at once), and
    packages that are not installed.
    """
    place = Path(path)
    reader = READERS.get(place.suffix)
    if reader is None:
        raise ValueError(f"{place}: a model file ends in {', '.join(READERS)}")
    return reader(place)
