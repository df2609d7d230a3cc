"""The passes of one network over the same inputs: what has been computed with the same weights is not computed again.

Chips repeat each other: where no flip is read, where points of a sweep differ in what no cell feels, between two times
at which the same cells are wrong.  Their answers are looked up; and where only later layers differ, the pass begins
with the tensors that the layers before gave last time.  Both are exact: weights are the same when their SHA-256 is, or
that of the codes and tables that they are decoded from, which are a quarter of the bytes.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from secrets import token_bytes
from threading import Lock
from typing import Final

import torch
from torch import nn

from qtaml_hw.accelerator.fused import near, ordinary
from qtaml_hw.accelerator.served import ServedNetwork, Weights
from qtaml_hw.accelerator.steps import GRAPHS, Cut, Graph, Steps
from qtaml_hw.weights.network import call_with
from qtaml_hw.weights.one_by_one import OneByOne

ANSWER_BYTES: Final = 1 << 24
MIDDLE_BYTES: Final = 1 << 26
_SEEN: Final = 1 << 12  # weights up to a cut that are remembered as met
_FACTOR, _OFFSET = 1.0 + 2.0**-5, 2.0**-10  # of parameters: seen in any answer, and far from its largest numbers
_WHOLE: Final = (Cut(0, 0, ()),)  # of a network that is not resumed


@dataclass(eq=False)
class Bounded:
    """Tensors by key, at most ``most`` bytes of them: those that nobody asked for longest go first.

    Threads may share it.
    """

    most: int
    held: OrderedDict[bytes, tuple[torch.Tensor, ...]] = field(default_factory=OrderedDict)
    taken: int = 0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def get(self, key: bytes) -> tuple[torch.Tensor, ...] | None:
        """What is held under a key."""
        with self._lock:
            if key in self.held:
                self.held.move_to_end(key)
            return self.held.get(key)

    def put(self, key: bytes, tensors: Sequence[torch.Tensor]) -> None:
        """Hold tensors under a key, where none are yet, unless they alone are too many."""
        size = sum(t.nbytes for t in tensors)
        with self._lock:
            if size > self.most or key in self.held:
                return
            self.held[key] = tuple(tensors)
            self.taken += size
            while self.taken > self.most:
                self.taken -= sum(t.nbytes for t in self.held.popitem(last=False)[1])


ANSWERS: Final = Bounded(ANSWER_BYTES)
MIDDLES: Final = Bounded(MIDDLE_BYTES)
"""Of all networks of the process together: a sweep over formats loads one for each."""


@dataclass
class Counts:
    """Passes asked for; answered from before; begun in the middle."""

    asked: int = 0
    known: int = 0
    resumed: int = 0


@dataclass(eq=False)
class Passes:
    """A network and its inputs.  Nothing is kept of passes on a device, nor while somebody watches the module's layers,
    who may do anything: values through a buffer differ from pass to pass.  Its own parameters stay as they are.
    ``fused``: by fewer operators where the network allows it (see ``fused``), which changes last digits; and the
    network as it is where somebody watches it, and for weights that ``ordinary`` refuses.
    """

    served: ServedNetwork
    inputs: torch.Tensor
    fused: bool = False
    counts: Counts = field(default_factory=Counts)
    _answers: Bounded = field(default=ANSWERS, repr=False)
    _middles: Bounded = field(default=MIDDLES, repr=False)
    _seen: OrderedDict[bytes, None] = field(default_factory=OrderedDict, repr=False)
    _own: bytes = field(default_factory=lambda: token_bytes(16), init=False, repr=False)  # no others have its keys

    def outputs(self, weights: Weights) -> torch.Tensor:
        """Outputs [N, C] with these weights, as ``ServedNetwork.begun`` gives them: bit for bit, unless fused.

        Nothing is looked up where they take the place of the network's own: to hash them takes as long as a pass.
        """
        self.counts.asked += 1
        if self.served.own is not None or not self._repeatable:
            with self.served.held(weights, self.inputs.device) as held:
                return self.served.begun(held, self.inputs)
        weights = dict(weights) if _key(weights) is None else weights
        steps = self._steps
        chain = self._chain(weights, _WHOLE if steps is None else steps.cuts)
        return self._known(chain[-1], lambda: self._computed(weights, steps, chain))

    def answered(self, weights: Weights, compute: Callable[[Weights], torch.Tensor]) -> torch.Tensor:
        """What was computed with these weights before, or is now with what ``ServedNetwork.held`` makes of them.

        Weights that are made one by one are made once, in the place of the module's own, and told apart there.
        """
        self.counts.asked += 1
        with self.served.held(weights, self.inputs.device) as held:
            if not self._repeatable:
                return compute(held)
            own = dict(self.served.module.named_parameters(remove_duplicate=False))
            there = {name: held[name] if held else own[name].detach() for name in weights}
            return self._known(self._chain(there, _WHOLE)[-1], lambda: compute(held))

    def _chain(self, weights: Weights, cuts: Sequence[Cut]) -> list[bytes]:
        """A digest per cut of all weights that a pass reads up to there; the last is of all there are."""
        found, total, left, key = [], hashlib.sha256(self._own), dict.fromkeys(weights), _key(weights)
        for number, cut in enumerate(cuts):
            for name in [name for name in cut.names if name in left] if number < len(cuts) - 1 else [*left]:
                del left[name]
                if key is not None:
                    total.update(f"{name} key ".encode() + key(name))
                    continue
                own = torch.as_tensor(weights[name]).cpu().contiguous()
                total.update(f"{name} {own.dtype} {tuple(own.shape)} ".encode())
                total.update(own.reshape(-1).view(torch.uint8).numpy().data)
            found.append(total.copy().digest())
        return found

    def _known(self, key: bytes, compute: Callable[[], torch.Tensor]) -> torch.Tensor:
        held = self._answers.get(key)
        if held is not None:
            self.counts.known += 1
            return held[0].clone()
        found = compute()
        self._answers.put(key, (found.clone(),))
        return found

    @property
    def _repeatable(self) -> bool:
        return self.inputs.device.type == "cpu" and not any(_watched(one) for one in self.served.module.modules())

    @property
    def fuses(self) -> bool:
        """Whether passes are those of the fused network."""
        return self.fused and self._repeatable and self._steps is not None and self._steps.graph == "fused"

    @cached_property
    def _steps(self) -> Steps | None:
        """The network's steps, where their answers are its own, with other parameters than it has."""
        return next((steps for graph in GRAPHS[not self.fused :] if (steps := self._tried(graph)) is not None), None)

    def _tried(self, graph: Graph) -> Steps | None:
        module, alike = self.served.module, near if graph == "fused" else _same
        pieces = [*{len(piece): piece for piece in self.served.pieces(self.inputs)}.values()]  # one of every size
        try:
            with torch.inference_mode():  # what a trace has worked out of parameters beforehand stays as it was
                other = {name: p * _FACTOR + _OFFSET for name, p in module.named_parameters() if p.is_floating_point()}
                steps = Steps(module, pieces[0], graph)
                found, _ = call_with(steps, {f"network.{name}": p for name, p in other.items()}, pieces)
                own = [call_with(module, other, piece) for piece in pieces]
        except Exception:  # torch.fx raises whatever the user's forward raises on proxies
            return None
        return steps if all(map(alike, found, own)) else None

    def others(self, weights: Weights, inputs: torch.Tensor) -> torch.Tensor:
        """Outputs for other inputs [N, ...], by the same operators; nothing is kept."""
        found = None
        if self._steps is not None and self.fuses:
            found, _ = self._run(self._steps, weights, self.served.pieces(inputs))
        return self.served.begun(weights, inputs) if found is None else found

    def _computed(self, weights: Weights, steps: Steps | None, chain: Sequence[bytes]) -> torch.Tensor:
        if steps is None:
            return self.served.begun(weights, self.inputs)
        cuts, keys = steps.cuts[:-1], chain[:-1]
        begin, held = next(
            ((i, held) for i in range(len(keys) - 1, -1, -1) if (held := self._middles.get(keys[i])) is not None),
            (-1, None),
        )
        met = [i for i, key in enumerate(keys) if i > begin and key in self._seen]
        keep = met[-1] if met else -1
        self.counts.resumed += held is not None
        pieces = self.served.pieces(self.inputs) if held is None else (piece.clone() for piece in held)
        places = (None if held is None else cuts[begin], cuts[keep] if met else None)
        found, kept = self._run(steps, weights, pieces, *places)
        if met and found is not None:
            self._middles.put(keys[keep], kept)
        self._seen |= dict.fromkeys(keys)
        while len(self._seen) > _SEEN:
            self._seen.popitem(last=False)
        return self.served.begun(weights, self.inputs) if found is None else found

    def _run(
        self, steps: Steps, weights: Weights, pieces: Iterable[torch.Tensor], *places: Cut | None
    ) -> tuple[torch.Tensor | None, list[torch.Tensor]]:
        """Answers by steps, None where those of fused ones may be far from the network's own; and what is kept."""
        parameters = {f"network.{name}": w for name, w in self.served.tensors(weights, self.inputs).items()}
        fused = steps.graph == "fused"
        if fused and not ordinary(parameters.values()):
            return None, []
        with torch.inference_mode():
            answers, kept = call_with(steps, parameters, pieces, *places)
        found = torch.cat(answers)
        return (None if fused and not bool(found.isfinite().all()) else found), kept


def _key(weights: Weights) -> Callable[[str], bytes] | None:
    """What tells tensors apart before they are made, by name, where anything does."""
    if not isinstance(weights, OneByOne) or (key := weights.key) is None:
        return None
    return lambda name: key(weights.places[name])


def _watched(layer: nn.Module) -> bool:
    """Whether somebody has put hooks on a layer, or a function of his own in place of its ``forward``."""
    return bool(layer._forward_hooks or layer._forward_pre_hooks or "forward" in layer.__dict__)


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Equal to the bit, NaN where NaN."""
    return a.shape == b.shape and a.dtype == b.dtype and bool(torch.equal(a.nan_to_num(0.5), b.nan_to_num(0.5)))
