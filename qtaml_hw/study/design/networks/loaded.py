"""The networks of a run's studies: each loaded, folded, rewritten and quantised once in this process."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from qtaml_hw.accelerator.layers import multiplied
from qtaml_hw.accelerator.metric import IGNORED, METRICS, Metric, metric
from qtaml_hw.accelerator.place import place
from qtaml_hw.accelerator.served import ServedNetwork
from qtaml_hw.config import Study, StudyError
from qtaml_hw.config.outside import lacking
from qtaml_hw.config.place import said_at
from qtaml_hw.errors import InputError
from qtaml_hw.names import FILE_FORMAT
from qtaml_hw.progress import Progress
from qtaml_hw.study.design.networks.calibration import CALIBRATION_INPUTS, Calibration
from qtaml_hw.study.design.networks.image import as_in_file, formats_of, image_of, store_rule, stores_scales
from qtaml_hw.study.design.networks.network import Network, StoredNetwork
from qtaml_hw.study.design.networks.outside import outside_digest
from qtaml_hw.study.design.networks.sources import load_dataset, load_module
from qtaml_hw.study.design.networks.transforms import rewritten_network
from qtaml_hw.weights.effective import make_effective
from qtaml_hw.weights.inventory import inventory
from qtaml_hw.weights.network import fold_batch_norm
from qtaml_hw.workloads.data import DataSet, Windows
from qtaml_hw.workloads.factory import user_function
from qtaml_hw.workloads.load import LoadedNetwork


@dataclass(eq=False)
class Networks:
    """Networks already loaded in this process, by what they are made of; owned by the run that uses them."""

    progress: Progress | None = None
    _loaded: dict[str, StoredNetwork] = field(default_factory=dict)

    def load(self, study: Study) -> StoredNetwork:
        """The study's network, loaded at most once.

        Raises InputError for weights that do not fit, data that do not match, or a norm that cannot be folded.
        """
        sections = (study.network, study.data, study.weights, study.hardening)
        evaluate = study.evaluate
        judged = (str(evaluate.images), evaluate.metric, evaluate.device, evaluate.compile, str(study.folder))
        written = (form.name for form in formats_of(study))  # which may depend on the flips
        key = "|".join([*(s.model_dump_json() for s in sections), *judged, *written])
        if key not in self._loaded:
            self._loaded[key] = load_network(study, self.progress)
        return self._loaded[key]


def load_network(study: Study, progress: Progress | None = None) -> StoredNetwork:
    """Load, fold, quantise, rewrite.

    Raises InputError for weights that do not fit, data that do not match, a norm that cannot be folded, or a
    device that is not there; StudyError for files and functions that the study names and that are not there.
    """
    if absent := list(lacking(study)):
        raise StudyError(absent)
    outside = outside_digest(study)  # before anything is read: a file that changes meanwhile is another one next time
    judge, device = metric_of(study), place(study.evaluate.device)
    data = load_dataset(study)
    loaded = load_module(study, data, progress)
    try:
        _check_judged(study, judge, loaded, data)
        return rewritten_network(_stored(study, loaded, data, outside, judge), study).placed(device)
    except StudyError:
        raise
    except ValueError as error:
        raise InputError(f"network {loaded.name}: {error}") from error


def _check_judged(study: Study, judge: Metric, loaded: LoadedNetwork, data: DataSet) -> None:
    """The metric must be able to tell one network from another, and labels that it reads must be numbers of outputs.

    Raises ValueError with what to do.
    """
    outputs = loaded.classes
    if data.windows is not None and judge.tokens is None:
        told = ", ".join(name for name, one in METRICS.items() if one.tokens is not None)
        raise ValueError(f"a language model is judged by its next tokens: evaluate.metric may be {told}")
    if judge.tokens is not None and judge.tokens.per_byte and data.windows is None:
        raise ValueError(f"{judge.name} counts bytes of texts: give a language model and data.texts")
    if outputs < judge.least_outputs:
        raise ValueError(
            f"with fewer than {judge.least_outputs} outputs the metric {judge.name} is the same whatever happens, and "
            f"there are {outputs}; measure it by a function of your own, such as a threshold or a distance "
            "(evaluate.metric: 'package.module:function')"
        )
    if judge.needs_clean and not study.hardening.trained:
        return
    labels = np.unique(np.concatenate([data.test_y.reshape(-1), data.train_y.reshape(-1)]))
    labels = labels[labels != IGNORED] if judge.tokens is not None else labels
    if labels.size and not 0 <= labels[0] <= labels[-1] < outputs:
        hint = "; they seem to be counted from 1: subtract 1" if labels[0] == 1 and labels[-1] == outputs else ""
        raise ValueError(
            f"the labels of {data.name} go from {labels[0]} to {labels[-1]}, its outputs are counted "
            f"from 0 to {outputs - 1}{hint}"
        )


def metric_of(study: Study) -> Metric:
    """The study's metric, or a user's own function as one.

    Raises InputError when the function cannot be imported.
    """
    name = study.evaluate.metric
    if ":" not in name:
        return metric(name)
    try:
        function = user_function(name, study.folder, study.allow_code)
    except ValueError as error:
        raise InputError(f"evaluate.metric: {error}") from error
    return Metric(name, name.partition(":")[2], function, needs_clean=True)


def _stored(study: Study, loaded: LoadedNetwork, data: DataSet, outside: str, judge: Metric) -> StoredNetwork:
    """The network as loaded and its image, before any step rewrites it; outside: see ``outside_digest``."""
    module = make_effective(loaded.module)
    module = fold_batch_norm(module) if study.weights.fold_batch_norm else module
    channels = multiplied(module, torch.from_numpy(data.test_x[:1]))
    with said_at(study, "network.store"):
        found = inventory(module, store_rule(study), channels)
    names = [entry.name for entry in found if entry.stored]
    weights, image = image_of(module, names, study, torch.from_numpy(data.calibration_x), channels, loaded.codes)
    own_names = image.names
    image = as_in_file(image, weights, loaded.codes, study)
    image = image.with_stored_scales() if stores_scales(study) else image
    codes_tell = data.windows is not None and study.weights.format == FILE_FORMAT  # of a language model: all
    own = image.decoded() if codes_tell else None
    chosen = data.taken(study.evaluate.images, study.data.take)
    inputs = torch.from_numpy(data.test_x[chosen])
    network = Network(
        name=loaded.name,
        served=ServedNetwork(module, own=own) if data.windows else ServedNetwork.in_caches(module, inputs),
        weights=weights if own is None else own,
        inputs=inputs,
        labels=torch.from_numpy(data.test_y[chosen]),
        classes=loaded.classes,
        digest="+".join(part for part in (loaded.digest, data.digest, outside) if part),
        metric=judge,
        inventory=found,
        label_kinds=len(np.unique(data.test_y)),
        fused=study.evaluate.compile == "fused",
        windows=data.windows and Windows(data.windows.text[chosen], data.windows.judged_bytes[chosen]),
    )
    gradients = study.evaluate.runtime == "torch"
    seen = torch.from_numpy(data.calibration_x[:CALIBRATION_INPUTS]) if gradients else None
    calibration = Calibration(network.served, own_names, seen)
    return StoredNetwork(network, image, calibration)
