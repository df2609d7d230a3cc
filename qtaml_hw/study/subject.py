"""The network under study: loaded once, quantised once, measured clean once, and shared by every point that uses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from qtaml_hw import tac
from qtaml_hw.accelerator.layers import LayerCost, layer_costs
from qtaml_hw.accelerator.served import ServedNetwork
from qtaml_hw.config import Study
from qtaml_hw.config.accelerator import AcceleratorSection
from qtaml_hw.study.errors import InputError
from qtaml_hw.study.progress import Progress
from qtaml_hw.study.sources import load_dataset, load_module
from qtaml_hw.weights import GroupKind, StoredImage, WeightFormat, quantise
from qtaml_hw.weights.network import fold_batch_norm, weight_arrays

CALIBRATION_INPUTS = 128  # unlabelled inputs for the Jacobian energies: the relative error is reported with the result
PROBES = 16


@dataclass(frozen=True, eq=False)
class Subject:
    """A served network, its stored image, and the inputs it is judged and calibrated on."""

    name: str
    served: ServedNetwork
    image: StoredImage
    weights: Mapping[str, NDArray[np.float32]]
    inputs: torch.Tensor
    labels: torch.Tensor
    calibration: torch.Tensor | None
    classes: int
    digest: str
    _damage: dict[GroupKind, tac.DamageModel] = field(default_factory=dict, init=False, repr=False)
    _layers: dict[tuple[int, int, str], tuple[LayerCost, ...]] = field(default_factory=dict, init=False, repr=False)

    @property
    def images(self) -> int:
        """Test images per fault map."""
        return int(self.labels.numel())

    @cached_property
    def clean_correct(self) -> int:
        """Right answers with the weights as trained, in floating point."""
        return self.served.correct(self.weights, self.inputs, self.labels)

    @cached_property
    def quantised_correct(self) -> int:
        """Right answers with the stored image decoded without any flip."""
        return self.served.correct(self.image.decode(), self.inputs, self.labels)

    @cached_property
    def sensitivity(self) -> tac.Sensitivity | None:
        """Jacobian energies of the logits on the calibration inputs; None without such inputs."""
        if self.calibration is None:
            return None
        names = [t.name for t in self.image.tensors]
        return tac.jacobian_energy(self.served.module, names, self.calibration, probes=PROBES)

    @property
    def importance(self) -> NDArray[np.float64]:
        """The Jacobian energies as an array [weights].

        Raises ValueError without calibration inputs.
        """
        if self.sensitivity is None:
            raise ValueError("Jacobian energies need unlabelled calibration inputs")
        return self.sensitivity.values

    def damage(self, kind: GroupKind) -> tac.DamageModel:
        """The first-order damage model by groups of a kind, summed once."""
        if kind not in self._damage:
            self._damage[kind] = tac.damage_model(self.image, self.importance, self.image.group_starts(kind))
        return self._damage[kind]

    def layers(self, accelerator: AcceleratorSection) -> tuple[LayerCost, ...]:
        """The GEMMs of one inference and what each costs on the array, counted once per array."""
        key = (accelerator.rows, accelerator.columns, accelerator.dataflow)
        if key not in self._layers:
            self._layers[key] = layer_costs(self.served.module, tuple(self.inputs.shape[1:]), *key)
        return self._layers[key]

    def calibration_outputs(self, weights: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float64]:
        """Outputs on the calibration inputs, for the choice of corrections.

        Raises ValueError without such inputs.
        """
        if self.calibration is None:
            raise ValueError("outputs are compared on unlabelled calibration inputs, and there are none")
        return self.served.outputs(weights, self.calibration)


def image_of(module: nn.Module, study: Study) -> tuple[dict[str, NDArray[np.float32]], StoredImage]:
    """A module's stored weights as trained, and their image in the study's format."""
    weights = weight_arrays(module)
    return weights, quantise(weights, WeightFormat(8, study.weights.encoding), study.weights.scale)


def load_subject(study: Study, progress: Progress | None = None) -> Subject:
    """Load, fold, quantise.

    Raises InputError for weights that do not fit, data that do not match, or a norm that cannot be folded.
    """
    data = load_dataset(study)
    loaded = load_module(study, data, progress)
    try:
        module = fold_batch_norm(loaded.module) if study.weights.fold_batch_norm else loaded.module
        weights, image = image_of(module, study)
    except ValueError as error:
        raise InputError(f"network {loaded.name}: {error}") from error
    if data.classes > loaded.classes:
        raise InputError(
            f"network {loaded.name} has {loaded.classes} outputs, the labels of {data.name} need {data.classes}"
        )
    count = min(study.evaluate.images, len(data.test_y))
    return Subject(
        name=loaded.name,
        served=ServedNetwork(module),
        image=image,
        weights=weights,
        inputs=torch.from_numpy(data.test_x[:count]),
        labels=torch.from_numpy(data.test_y[:count]),
        calibration=torch.from_numpy(data.calibration_x[:CALIBRATION_INPUTS]),
        classes=loaded.classes,
        digest=f"{loaded.digest}+{data.digest}",
    )


@dataclass(eq=False)
class Workshop:
    """Subjects already loaded in this process, by what they are made of; owned by the run that uses them."""

    progress: Progress | None = None
    _subjects: dict[str, Subject] = field(default_factory=dict)

    def subject(self, study: Study) -> Subject:
        """The study's network, loaded at most once."""
        sections = (study.network, study.data, study.weights)
        key = "|".join([*(s.model_dump_json() for s in sections), str(study.evaluate.images), str(study.folder)])
        if key not in self._subjects:
            self._subjects[key] = load_subject(study, self.progress)
        return self._subjects[key]
