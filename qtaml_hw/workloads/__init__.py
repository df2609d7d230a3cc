"""Networks and data sets: the zoo trained on the embedded digits, and loaders for files and users' own models.

Names are loaded on first use: the list of networks needs neither torch nor scikit-learn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtaml_hw._lazy import attach

if TYPE_CHECKING:
    from qtaml_hw.workloads.cache import TrainingRecord, cache_folder, state_digest
    from qtaml_hw.workloads.catalogue import NetworkSpec, Recipe, names, network
    from qtaml_hw.workloads.data import DataSet, array_digest, load_data
    from qtaml_hw.workloads.encoder import load_encoder
    from qtaml_hw.workloads.factory import load_data_factory, load_factory, load_weights
    from qtaml_hw.workloads.files import Preprocessing, from_arrays, load_idx, load_npz, read_idx
    from qtaml_hw.workloads.load import LoadedNetwork, load_network
    from qtaml_hw.workloads.model_files import load_model_file
    from qtaml_hw.workloads.texts import load_texts

_HOMES = {
    "TrainingRecord": "cache",
    "cache_folder": "cache",
    "state_digest": "cache",
    "NetworkSpec": "catalogue",
    "Recipe": "catalogue",
    "names": "catalogue",
    "network": "catalogue",
    "DataSet": "data",
    "array_digest": "data",
    "load_data": "data",
    "load_data_factory": "factory",
    "load_encoder": "encoder",
    "load_factory": "factory",
    "load_weights": "factory",
    "Preprocessing": "files",
    "from_arrays": "files",
    "load_idx": "files",
    "load_npz": "files",
    "read_idx": "files",
    "LoadedNetwork": "load",
    "load_model_file": "model_files",
    "load_network": "load",
    "load_texts": "texts",
}

__all__ = [
    "DataSet",
    "LoadedNetwork",
    "NetworkSpec",
    "Preprocessing",
    "Recipe",
    "TrainingRecord",
    "array_digest",
    "cache_folder",
    "from_arrays",
    "load_data",
    "load_data_factory",
    "load_encoder",
    "load_factory",
    "load_idx",
    "load_model_file",
    "load_network",
    "load_npz",
    "load_texts",
    "load_weights",
    "names",
    "network",
    "read_idx",
    "state_digest",
]

__getattr__, __dir__ = attach(__name__, _HOMES)
