"""Networks and data sets named by a study, loaded; relative paths are meant from the study file's folder."""

from __future__ import annotations

import numpy as np

from qtaml_hw.config import Study
from qtaml_hw.errors import InputError
from qtaml_hw.progress import Progress
from qtaml_hw.study.design.networks.hardened import own_network, zoo_network
from qtaml_hw.workloads.data import DataSet, load_data
from qtaml_hw.workloads.encoder import load_encoder
from qtaml_hw.workloads.factory import load_data_factory, load_factory
from qtaml_hw.workloads.files import Preprocessing, load_idx, load_inputs, load_npz
from qtaml_hw.workloads.language import load_language_model
from qtaml_hw.workloads.load import LoadedNetwork
from qtaml_hw.workloads.model_files import load_model_file
from qtaml_hw.workloads.texts import BUILT_IN, load_texts
from qtaml_hw.workloads.tokenizers_of import tokenizer_of
from qtaml_hw.workloads.windows import DESCRIPTIONS, load_windows

CALIBRATION_WINDOWS = 8  # of a language model, whose Jacobian goes through the logits of every token


def load_dataset(study: Study) -> DataSet:
    """The study's labelled images.

    Raises InputError when a file cannot be read or does not hold images and labels.
    """
    data = study.data
    how = None if data.preprocessing is None else Preprocessing(**data.preprocessing.model_dump())
    try:
        if data.idx is not None:
            files = {key: study.folder / path for key, path in data.idx.model_dump(exclude_none=True).items()}
            return load_idx(
                files.pop("images"), files.pop("labels"), **files, preprocessing=how, calibration=data.calibration
            )
        if data.npz is not None:
            arrays = data.npz.model_dump()
            path, inputs = study.folder / arrays.pop("path"), arrays.pop("inputs")
            if inputs is not None:
                return load_inputs(path, inputs, arrays["y"], calibration=data.calibration)
            return load_npz(path, **arrays, preprocessing=how, calibration=data.calibration)
        if data.texts is not None and study.network.encoder is not None:
            encoder = study.network.encoder
            texts = data.texts if data.texts == BUILT_IN else study.folder / data.texts
            folder = study.folder / encoder.folder
            return load_texts(texts, folder, tokens=encoder.tokens, calibration=data.calibration)
        if data.texts is not None and study.network.language is not None:
            texts = data.texts if data.texts == DESCRIPTIONS else study.folder / data.texts
            encode = tokenizer_of(study.folder / study.network.language)
            most = min(data.calibration, CALIBRATION_WINDOWS)
            return load_windows(texts, encode, tokens=data.tokens, stride=data.stride, calibration=most)
        if data.factory is not None:
            return load_data_factory(data.factory, folder=study.folder, allow_code=study.allow_code)
        return load_data(str(data.name))
    except ValueError as error:
        raise InputError(f"data: {error}") from error


def _users_network(study: Study, data: DataSet) -> LoadedNetwork:
    """A network that does not come with the product. Raises ValueError with the reason."""
    network = study.network
    if network.encoder is not None:
        how = network.encoder
        return load_encoder(study.folder / how.folder, tokens=how.tokens, pooling=how.pooling)
    if network.language is not None:
        return load_language_model(study.folder / network.language, tokens=study.data.tokens)
    if network.file is not None:
        shapes = {part.name: part.shape for part in data.parts} or data.input_shape
        return load_model_file(study.folder / network.file, network.output, shapes, study.evaluate.runtime)
    return load_factory(
        str(network.factory),
        None if network.weights is None else study.folder / network.weights,
        input_shape=data.input_shape,
        arguments=network.arguments,
        folder=study.folder,
        keys=network.keys,
        tokens=data.test_x.dtype == np.int64,
        allow_code=study.allow_code,
    )


def load_module(study: Study, data: DataSet, progress: Progress | None) -> LoadedNetwork:
    """The study's network with its trained weights, in eval mode.

    Raises InputError when weights do not fit, or the network does not take the data's images.
    """
    network = study.network
    try:
        if network.name is not None:
            loaded = zoo_network(study, progress)
        else:
            loaded = own_network(study, _users_network(study, data), data, progress)
    except ValueError as error:
        raise InputError(f"network: {error}") from error
    if tuple(loaded.input_shape) != data.input_shape:
        raise InputError(
            f"network {loaded.name} takes inputs of shape {tuple(loaded.input_shape)}, "
            f"the data set {data.name} has {data.input_shape}"
        )
    return loaded
