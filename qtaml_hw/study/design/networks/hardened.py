"""The study's hardening: its network trained to expect faulty weights, and what records say of that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtaml_hw.config import Study
from qtaml_hw.files import cache_folder
from qtaml_hw.hardening import Hardening, fine_tuned, hardened
from qtaml_hw.hardening.method import Store
from qtaml_hw.progress import Progress
from qtaml_hw.study.design.networks.identity import storage_key
from qtaml_hw.study.design.networks.image import FROM_INPUTS, clip_of, stored_as, within_condition
from qtaml_hw.weights import quantise
from qtaml_hw.workloads.data import DataSet
from qtaml_hw.workloads.load import LoadedNetwork


def zoo_network(study: Study, progress: Progress | None) -> LoadedNetwork:
    """The study's network of the zoo, trained as its hardening says."""
    return hardened(str(study.network.name), _method(study), _store(study), storage_key(study), progress)


def own_network(study: Study, loaded: LoadedNetwork, data: DataSet, progress: Progress | None) -> LoadedNetwork:
    """A network that the study brings: as it is, or trained further on the data's training images.

    Raises ValueError where there is nothing to train on, and for a seed that would change nothing.
    """
    if not study.hardening.trained:
        return loaded
    if study.hardening.method == "none":
        raise ValueError("hardening.seed trains another network of the zoo; weights that a study brings have no seed")
    return fine_tuned(loaded, data, _method(study), _store(study), progress)


def trained_files(study: Study) -> list[Path]:
    """Every file in the cache that the study's network of the zoo may be read from."""
    plain = study.hardening.method == "none"
    tag = "" if plain else f"{study.hardening.method}-"
    return sorted((cache_folder() / "networks").glob(f"{study.network.name}-{tag}seed*.safetensors"))


def hardening_facts(study: Study) -> dict[str, Any]:
    """Record fields: the method, and under their names the numbers that are stated for it."""
    section = study.hardening
    stated = {name: value for name, value in section.model_dump(exclude_none=True).items() if name != "method"}
    shown = {} if not section.trained else {f"hardening_{name}": value for name, value in stated.items()}
    if section.method != "bit_error":
        shown.pop("hardening_direction", None)
    return {"hardening": section.method, **shown}


def hardening_warnings(study: Study) -> list[str]:
    """What a reader of the result should know about how the network was trained."""
    section = study.hardening
    if section.sees_codes and study.weights.fold_batch_norm:
        return ["hardening saw the codes of the weights before batch norm was folded; what is stored are others"]
    if study.network.name is None and section.method != "none":
        return [f"the network's weights were trained further for {section.epochs} epochs ({section.method})"]
    return []


def _method(study: Study) -> Hardening:
    return Hardening(**study.hardening.model_dump())


def _store(study: Study) -> Store:
    """Weights to codes as the study stores them; rounding that goes by inputs is replaced by the nearest."""
    rounding = "nearest" if study.weights.rounding in FROM_INPUTS else study.weights.rounding
    form, layout = stored_as(study)
    return lambda weights: within_condition(quantise(weights, form, layout, clip=clip_of(form, rounding)), study)
