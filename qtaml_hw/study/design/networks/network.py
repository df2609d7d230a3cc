"""A network with its weights as trained and the inputs it is judged on; with its image, it is what a study stores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import torch

from qtaml_hw import tac
from qtaml_hw.accelerator.fused import TOLERANCE
from qtaml_hw.accelerator.layers import LayerCost, layer_costs
from qtaml_hw.accelerator.metric import IGNORED, METRICS, Metric, Tokens
from qtaml_hw.accelerator.passes import Passes
from qtaml_hw.accelerator.place import titled
from qtaml_hw.accelerator.served import ServedNetwork, on_host
from qtaml_hw.arrays import Bool, Float32, Float64, Int64
from qtaml_hw.channel import FlipChannel
from qtaml_hw.config.sections.accelerator import AcceleratorSection
from qtaml_hw.records.interval import t_interval
from qtaml_hw.records.measure import MEASURES, PLAIN
from qtaml_hw.study.design.networks.calibration import Calibration
from qtaml_hw.weights import StoredImage
from qtaml_hw.weights.inventory import TensorEntry
from qtaml_hw.workloads.data import Windows

VALUES_AT_ONCE: Final = 1 << 22  # logits of a language model that are held at a time
TOKEN_VALUES_AT_ONCE: Final = 1 << 20  # of them, those that a metric looks at together

EXACT_SHARE: Final = 0.05  # of the matrix weights: from here on a reader must know that they are not in the memory


@dataclass(frozen=True, eq=False)
class Network:
    """A served network, its stored tensors as trained, and the labelled inputs on which a metric judges it.

    ``classes`` : outputs; ``digest`` : of the weights as loaded, the data, and the files and code that they come from;
    ``inventory`` : every parameter and whether it lives in the memory; ``label_kinds`` : labels of the whole test set;
    ``windows`` : what windows of a language model stand for; ``fused`` : whether passes may be by fewer operators.
    """

    name: str
    served: ServedNetwork
    weights: Mapping[str, Float32]
    inputs: torch.Tensor
    labels: torch.Tensor
    classes: int
    digest: str
    metric: Metric = METRICS["top1"]
    inventory: tuple[TensorEntry, ...] = ()
    label_kinds: int = 0
    windows: Windows | None = None
    fused: bool = False
    _layers: dict[tuple[int, int, str], tuple[LayerCost, ...]] = field(default_factory=dict, init=False, repr=False)

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return self.inputs.device

    @property
    def images(self) -> int:
        """Test inputs per fault map."""
        return len(self.labels)

    @property
    def of_tokens(self) -> Tokens | None:
        """How the metric is measured of windows of tokens; None for all but language models."""
        return None if self.windows is None else self.metric.tokens

    def begun(self, weights: Mapping[str, Float32 | torch.Tensor]) -> torch.Tensor:
        """Outputs where the inputs are, which a GPU may still be at; of a language model what is kept of each token."""
        if self.of_tokens is None:
            return self.passes.outputs(weights)
        return self.passes.answered(weights, lambda given: torch.from_numpy(self._of_tokens(given)))

    def _outputs(self, weights: Mapping[str, Float32 | torch.Tensor]) -> Float64:
        """Outputs for all inputs, or what the metric keeps of each token of a language model."""
        return on_host(self.begun(weights))

    def _of_tokens(self, held: Mapping[str, Float32 | torch.Tensor]) -> Float64:
        batch = max(1, VALUES_AT_ONCE // (int(self.inputs.shape[1]) * self.classes))
        parts = []
        for start in range(0, self.images, batch):
            some = slice(start, start + batch)
            parts.append(self._kept(self.served.begun(held, self.inputs[some]), self.labels[some].numpy()))
        return np.concatenate(parts)

    def _kept(self, outputs: torch.Tensor, labels: Int64) -> Float64:
        """What the metric keeps of every token [N, T] of outputs [N, T, V], some tokens at a time."""
        assert self.of_tokens is not None
        found, at_once = np.empty(labels.shape), max(1, TOKEN_VALUES_AT_ONCE // self.classes)
        for i, of_window in enumerate(outputs):
            for start in range(0, labels.shape[1], at_once):
                some = slice(start, start + at_once)
                found[i, some] = self.of_tokens.kept(on_host(of_window[some]), labels[i, some])
        return found

    @cached_property
    def passes(self) -> Passes:
        """Its passes over all inputs."""
        return Passes(self.served, self.inputs, self.fused)

    @property
    def graph(self) -> str:
        """The operators that passes are by, as ``evaluate.compile`` calls them."""
        return "fused" if self.windows is None and self.passes.fuses else "exact"

    @cached_property
    def _clean_outputs(self) -> Float64:
        return self._outputs(self.weights)

    def score(self, weights: Mapping[str, Float32]) -> float:
        """The metric's score, 0..1, of the network with these weights.

        Raises ValueError when a user's own metric returns anything else.
        """
        return self.judged(self._outputs(weights))

    def judged(self, outputs: Float64) -> float:
        """The metric's score of outputs [N, ...], or of what it keeps of each token; ValueError as ``score``."""
        clean = self._clean_outputs if self.metric.needs_clean else outputs
        how, labels = self.of_tokens, self.labels.numpy()
        if how is None:
            return self.metric(outputs, clean, labels)
        return float(how.score(outputs, clean, labels) ** self._tokens_per_byte)

    @cached_property
    def clean_right(self) -> Bool | None:
        """Which inputs the clean network answers right, [images]; None where the score is no share of images."""
        if self.metric.right is None or self.windows is not None:
            return None
        return self.metric.right(self._clean_outputs, self._clean_outputs, self.labels.numpy())

    def right(self, weights: Mapping[str, Float32 | torch.Tensor], chosen: Int64) -> Bool:
        """Which of some inputs, [chosen], are answered right with these weights.

        Raises ValueError where the score is no share of images.
        """
        if self.clean_right is None or self.metric.right is None:
            raise ValueError(f"metric {self.metric.name} counts no images")
        outputs = on_host(self.passes.others(weights, self.inputs[torch.from_numpy(chosen)]))
        clean = self._clean_outputs[chosen] if self.metric.needs_clean else outputs
        return self.metric.right(outputs, clean, self.labels.numpy()[chosen])

    @property
    def tokens(self) -> int:
        """Tokens that are judged."""
        return int((self.labels != IGNORED).sum())

    @property
    def _tokens_per_byte(self) -> float:
        """The exponent from a mean over tokens to one over bytes; 1 where the metric is per token."""
        per_byte = self.of_tokens is not None and self.of_tokens.per_byte and self.windows is not None
        return self.tokens / int(self.windows.judged_bytes.sum()) if per_byte and self.windows is not None else 1.0

    @cached_property
    def clean_score(self) -> float:
        """Score with the weights as trained, in floating point."""
        return self.judged(self._clean_outputs)

    @cached_property
    def same_answer_score(self) -> float | None:
        """The best score of one answer to all these inputs; None where nobody knows (a user's own metric)."""
        if self.of_tokens is not None:
            same = self.of_tokens.same_answer(self._clean_outputs, self.labels.numpy())
            return float(same**self._tokens_per_byte)
        ask = self.metric.same_answer
        return None if ask is None else min(ask(self._clean_outputs, self.labels.numpy()), 1.0)

    @property
    def _log_score_halfwidth(self) -> float | None:
        """Half of the 95 % interval of the clean log score over other texts; None where fewer than two are judged.

        A ratio of sums over texts, tokens (or bytes) below: Student's interval of its residuals (Cochran, Sampling
        Techniques, 3rd ed. 1977, section 6.4).
        """
        if self.windows is None or self.of_tokens is None or self.metric.needs_clean:
            return None
        places = np.unique(self.windows.text, return_inverse=True)[1]
        sums = np.bincount(places, self._clean_outputs.sum(axis=-1))
        below = np.bincount(places, (self.labels.numpy() != IGNORED).sum(axis=-1))
        if self.of_tokens.per_byte:
            below = np.bincount(places, self.windows.judged_bytes)
        if sums.size < 2 or not np.isfinite(sums).all():
            return None
        left = sums - sums.sum() / below.sum() * below
        return t_interval(left.tolist()).halfwidth * sums.size / float(below.sum())

    @property
    def at_chance(self) -> bool:
        """Whether the clean score is no better than that, within two standard deviations of a share of so many inputs.

        Then it cannot show what faults do, and a share of it is nothing to keep.
        """
        same = self.same_answer_score
        if same is None:
            return False
        spread = 2.0 * math.sqrt(same * (1.0 - same) / self.labels.numel()) if self.metric.counts else 0.0
        return self.clean_score <= same + spread

    def layers(self, accelerator: AcceleratorSection) -> tuple[LayerCost, ...]:
        """The GEMMs of one inference and what each costs on the array, counted once per array."""
        key = (accelerator.rows, accelerator.columns, accelerator.dataflow)
        if key not in self._layers:
            shape, example = tuple(self.inputs.shape[1:]), torch.zeros_like(self.inputs[:1])
            self._layers[key] = layer_costs(self.served.module, shape, *key, example=example, stored=self.weights)
        return self._layers[key]

    @property
    def facts(self) -> dict[str, Any]:
        """Record fields: what the network is, and how well it does with its weights as trained."""
        return {
            "network": self.name,
            **self._judged,
            "images": self.images,
            "exact_parameters": self.exact_parameters,
            "clean_score": self.clean_score,
            "device": titled(self.device),
            **({"graph": self.graph} if self.fused else {}),
            **({} if self.same_answer_score is None else {"same_answer_score": self.same_answer_score}),
            "at_chance": self.at_chance,
        }

    @property
    def _judged(self) -> dict[str, Any]:
        """Record fields: classes of images, or tokens and texts of a language model."""
        if self.windows is None:
            return {"classes": self.classes}
        texts = len(np.unique(self.windows.text))
        known = {"vocabulary": self.classes, "tokens": self.tokens, "texts": texts}
        spread = self._log_score_halfwidth
        return known if spread is None else {**known, "log_score_halfwidth": spread}

    def measured(self, score: float) -> dict[str, Any]:
        """Record fields of any metric but accuracy: its value in its own unit; None is no finite number."""
        metric = self.metric
        if metric.name == "top1":
            return {}
        read = MEASURES.get(metric.name)
        value, clean = (s if read is None else read.value(s) for s in (score, self.clean_score))
        return {
            "metric": metric.name,
            "metric_title": metric.title,
            "metric_value": value if math.isfinite(value) else None,
            "clean_metric_value": clean if math.isfinite(clean) else None,
        }

    def warnings(self, asked: int, take: str) -> list[str]:
        """What was asked for and is not there: images, classes (``take: first``), a score above chance, weights."""
        missing = self._missing_images(asked, take)
        return [*missing, *self._chance_warning(), *self._exact_warning(), *self._graph_warning()]

    def _missing_images(self, asked: int, take: str) -> list[str]:
        if self.windows is not None:
            return [f"{asked} windows are asked for, the texts have {self.images}"] if asked > self.images else []
        if asked > self.images:
            return [f"{asked} images are asked for, the test set has {self.images}"]
        seen = len(set(self.labels.flatten().tolist()))
        if take == "first" and 2 * seen <= self.label_kinds:
            shown = f"{seen} of {self.label_kinds} classes"
            return [f"the first {self.images} images show {shown}; 'data.take: spread' spreads them"]
        return []

    def _graph_warning(self) -> list[str]:
        if not self.fused or self.graph == "fused":
            return []
        return [
            "passes are not fused but exact: that is for networks of convolutions on a processor that torch.fx can "
            f"trace, and whose outputs it changes by less than {TOLERANCE:g} of the largest"
        ]

    def _chance_warning(self) -> list[str]:
        if not self.at_chance:
            return []
        if self.windows is not None:
            read = MEASURES.get(self.metric.name, PLAIN)
            one, clean = (f"{read.show(s)}{read.suffix}" for s in (self.same_answer_score or 0.0, self.clean_score))
            title = read.title.lower()
            return [f"the clean network is at chance: its {title} is {clean}, that of one answer to all tokens {one}"]
        hint = "; labels begin at 1, and outputs are counted from 0" if int(self.labels.min()) == 1 else ""
        return [
            f"the clean {self.metric.title.lower()} of {100 * self.clean_score:.1f} % is at chance: one answer to all "
            f"these inputs has {100 * (self.same_answer_score or 0.0):.1f} %, so it cannot show what faults do{hint}"
        ]

    def _exact_warning(self) -> list[str]:
        exact, stored = self.exact_parameters.get("weight", 0), sum(e.values for e in self.inventory if e.stored)
        share = exact / (exact + stored) if exact else 0.0
        if share < EXACT_SHARE:
            return []
        return [
            f"{100 * share:.1f} % of the matrix weights stay exact, beside the memory: no flip reaches them, and their "
            "storage and reads are not priced; `qtaml-hw tensors` says why of each"
        ]

    @property
    def exact_parameters(self) -> dict[str, int]:
        """Parameters beside the memory, which no flip reaches, counted by kind."""
        exact = [entry for entry in self.inventory if not entry.stored]
        return {kind: sum(e.values for e in exact if e.kind == kind) for kind in sorted({e.kind for e in exact})}


@dataclass(frozen=True, eq=False)
class Stage:
    """A network before or after a step: its scores without faults, and the damage that flips do, by layer.

    ``output_change``: largest change of an output by the step, relative to the largest output.
    """

    step: str
    clean_score: float
    quantised_score: float
    damage: tac.DamageModel
    output_change: float = 0.0

    def distortion(self, channel: FlipChannel) -> float:
        """Predicted output distortion with nothing protected."""
        return float(self.damage.distortion(channel.p01, channel.p10).sum())


@dataclass(frozen=True, eq=False)
class StoredNetwork:
    """A network, the image of its weights, and the inputs that tell what they are worth.

    ``stages``: the network before and after each step that rewrote it; empty without steps.
    """

    network: Network
    image: StoredImage
    calibration: Calibration
    stages: tuple[Stage, ...] = ()

    @cached_property
    def quantised_score(self) -> float:
        """Score with the image decoded without any flip; planes stored inverted do not change it."""
        if self.network.weights is self.network.served.own:  # what the codes stand for, to the bit
            return self.network.clean_score
        return self.network.score(self.image.decode())

    def placed(self, device: torch.device) -> StoredNetwork:
        """The network computing on a device; its module is moved there."""
        network, seen = self.network, self.calibration
        if device == network.device:
            return self
        module, inputs = network.served.module.to(device), network.inputs.to(device)
        served = ServedNetwork(module)
        moved = None if seen.inputs is None else seen.inputs.to(device)
        calibration = Calibration(served, seen.names, moved)
        return replace(self, network=replace(network, served=served, inputs=inputs), calibration=calibration)

    def stage(self, step: str, output_change: float = 0.0) -> Stage:
        """The network as it is now, after a step."""
        damage = self.calibration.damage(self.image, "layer")
        return Stage(step, self.network.clean_score, self.quantised_score, damage, output_change)
