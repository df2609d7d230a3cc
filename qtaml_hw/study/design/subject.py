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
from qtaml_hw.accelerator.metric import METRICS, Metric, metric
from qtaml_hw.accelerator.served import ServedNetwork
from qtaml_hw.config import Study
from qtaml_hw.config.sections.accelerator import AcceleratorSection
from qtaml_hw.errors import InputError
from qtaml_hw.progress import Progress
from qtaml_hw.study.design.file_codes import as_in_file
from qtaml_hw.study.design.sources import load_dataset, load_module
from qtaml_hw.study.design.transforming import Stage, rewritten_subject
from qtaml_hw.weights import Clip, GroupKind, ScaleLayout, StoredImage, number_format, quantise
from qtaml_hw.weights.inventory import StoreRule, TensorEntry, inventory
from qtaml_hw.weights.learned import learned_rounding
from qtaml_hw.weights.network import fold_batch_norm, weight_arrays
from qtaml_hw.workloads.factory import user_function

CALIBRATION_INPUTS = 128  # unlabelled inputs for the Jacobian energies: the relative error is reported with the result
PROBES = 16


@dataclass(frozen=True, eq=False)
class Subject:
    """A served network, its stored image, and the inputs it is judged and calibrated on.

    ``inventory`` : every parameter and whether it lives in the memory.  ``label_kinds`` : labels of the whole test set.
    """

    name: str
    served: ServedNetwork
    image: StoredImage
    weights: Mapping[str, NDArray[np.float32]]
    inputs: torch.Tensor
    labels: torch.Tensor
    calibration: torch.Tensor | None
    classes: int
    digest: str
    metric: Metric = METRICS["top1"]
    inventory: tuple[TensorEntry, ...] = ()
    label_kinds: int = 0
    stages: tuple[Stage, ...] = ()
    _damage: dict[bytes, tac.DamageModel] = field(default_factory=dict, init=False, repr=False)
    _layers: dict[tuple[int, int, str], tuple[LayerCost, ...]] = field(default_factory=dict, init=False, repr=False)

    @property
    def images(self) -> int:
        """Test inputs per fault map."""
        return len(self.labels)

    @cached_property
    def _clean_outputs(self) -> NDArray[np.float64]:
        return self.served.outputs(self.weights, self.inputs)

    def score(self, weights: Mapping[str, NDArray[np.float32]]) -> float:
        """The metric's score, 0..1, of the network with these weights.

        Raises ValueError when a user's own metric returns anything else.
        """
        outputs = self.served.outputs(weights, self.inputs)
        clean = self._clean_outputs if self.metric.needs_clean else outputs
        return self.metric(outputs, clean, self.labels.numpy())

    @cached_property
    def clean_score(self) -> float:
        """Score with the weights as trained, in floating point."""
        return self.score(self.weights)

    @cached_property
    def quantised_score(self) -> float:
        """Score with the stored image decoded without any flip."""
        return self.score(self.image.decode())

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
        """The first-order damage model by groups of a kind."""
        return self.damage_at(self.image.group_starts(kind))

    def damage_at(self, starts: NDArray[np.int64]) -> tac.DamageModel:
        """The first-order damage model by groups that begin at ``starts`` [G + 1], summed once."""
        key = starts.tobytes()
        if key not in self._damage:
            self._damage[key] = tac.damage_model(self.image, self.importance, starts)
        return self._damage[key]

    def layers(self, accelerator: AcceleratorSection) -> tuple[LayerCost, ...]:
        """The GEMMs of one inference and what each costs on the array, counted once per array."""
        key = (accelerator.rows, accelerator.columns, accelerator.dataflow)
        if key not in self._layers:
            shape, example = tuple(self.inputs.shape[1:]), torch.zeros_like(self.inputs[:1])
            self._layers[key] = layer_costs(self.served.module, shape, *key, example=example)
        return self._layers[key]

    def calibration_outputs(self, weights: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float64]:
        """Outputs on the calibration inputs, for the choice of corrections.

        Raises ValueError without such inputs.
        """
        if self.calibration is None:
            raise ValueError("outputs are compared on unlabelled calibration inputs, and there are none")
        return self.served.outputs(weights, self.calibration)


def image_of(
    module: nn.Module, study: Study, calibration: torch.Tensor | None = None
) -> tuple[dict[str, NDArray[np.float32]], StoredImage]:
    """A module's stored tensors as trained, and their image in the study's format.

    Raises InputError when the rounding needs unlabelled ``calibration`` inputs [N, ...] and there are none.
    """
    weights, asked = weight_arrays(module, store_rule(study)), study.weights
    form = number_format(asked.format, encoding=asked.encoding, power=asked.power, specials=asked.specials)
    clip: Clip = "peak" if asked.rounding == "nearest" or form.scaling == "none" else "mse"
    image = quantise(weights, form, ScaleLayout.of(asked.scale), clip=clip)
    if asked.rounding != "learned":
        return weights, image
    if calibration is None:
        raise InputError("learned rounding needs unlabelled inputs: pass calibration=...")
    return weights, learned_rounding(image, weights, module, calibration[:CALIBRATION_INPUTS])


def store_rule(study: Study) -> StoreRule | None:
    """Which tensors the study keeps in the memory; None is the default rule."""
    store = study.network.store
    return None if store is None else StoreRule(**{k: v for k, v in store.model_dump().items() if v is not None})


def measure(study: Study) -> Metric:
    """The study's metric, or a user's own function as one.

    Raises ValueError when the function cannot be imported.
    """
    name = study.evaluate.metric
    if ":" not in name:
        return metric(name)
    return Metric(name, name.partition(":")[2], user_function(name, study.folder), needs_clean=True)


def load_subject(study: Study, progress: Progress | None = None) -> Subject:
    """Load, fold, quantise.

    Raises InputError for weights that do not fit, data that do not match, or a norm that cannot be folded.
    """
    data = load_dataset(study)
    loaded = load_module(study, data, progress)
    try:
        module = fold_batch_norm(loaded.module) if study.weights.fold_batch_norm else loaded.module
        weights, image = image_of(module, study, torch.from_numpy(data.calibration_x))
        image = as_in_file(image, weights, loaded.codes, study)
        measured, entries = measure(study), inventory(module, store_rule(study))
    except ValueError as error:
        raise InputError(f"network {loaded.name}: {error}") from error
    if data.classes > loaded.classes:
        raise InputError(
            f"network {loaded.name} has {loaded.classes} outputs, the labels of {data.name} need {data.classes}"
        )
    chosen = data.taken(study.evaluate.images, study.data.take)
    subject = Subject(
        name=loaded.name,
        served=ServedNetwork(module),
        image=image,
        weights=weights,
        inputs=torch.from_numpy(data.test_x[chosen]),
        labels=torch.from_numpy(data.test_y[chosen]),
        calibration=torch.from_numpy(data.calibration_x[:CALIBRATION_INPUTS]),
        classes=loaded.classes,
        digest=f"{loaded.digest}+{data.digest}",
        metric=measured,
        inventory=entries,
        label_kinds=len(np.unique(data.test_y)),
    )
    try:
        return rewritten_subject(subject, study, lambda m: image_of(m, study, subject.calibration))
    except ValueError as error:
        raise InputError(f"network {loaded.name}: {error}") from error
