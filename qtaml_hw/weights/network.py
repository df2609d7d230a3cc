"""From a torch module to the weights that live in the memory, with batch norm folded only when asked."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx, nn
from torch.func import functional_call
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from qtaml_hw.weights.inventory import StoreRule, inventory

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.modules.batchnorm._BatchNorm,)


def stored_names(
    module: nn.Module, rule: StoreRule | None = None, multiplied: Collection[str] | None = None
) -> tuple[str, ...]:
    """Names of the parameters that live in the weight memory, in network order (see ``inventory``).

    By default what matrix products multiply with; biases, norms and embeddings stay in registers or buffers of the
    accelerator and are not corrupted.
    """
    return tuple(entry.name for entry in inventory(module, rule, multiplied) if entry.stored)


def weight_arrays(module: nn.Module, rule: StoreRule | None = None) -> dict[str, NDArray[np.float32]]:
    """The stored parameters as float32 arrays (copies), by name."""
    return {name: w.copy() for name, w in parameter_arrays(module, stored_names(module, rule)).items()}


def parameter_arrays(module: nn.Module, names: Iterable[str]) -> dict[str, NDArray[np.float32]]:
    """The named parameters as float32 arrays, which nobody writes: a parameter that is one already shares its memory.

    Raises ValueError for complex ones.
    """
    parameters = dict(module.named_parameters(remove_duplicate=False))
    chosen = {name: parameters[name] for name in names}
    unreal = [name for name, parameter in chosen.items() if parameter.is_complex()]
    if unreal:
        raise ValueError(f"weights are real numbers, and these are complex: {', '.join(unreal[:8])}")
    return {name: p.detach().to("cpu", torch.float32).numpy() for name, p in chosen.items()}


def call_with(module: nn.Module, parameters: Mapping[str, torch.Tensor], *inputs: Any) -> Any:
    """The module's answer when the named parameters are replaced, wherever it holds them; it is left as it was.

    torch's own ``functional_call`` with ``tie_weights`` loses the parameters of a layer that stands in two places.
    """
    own = dict(module.named_parameters(remove_duplicate=False))
    new = {id(own[name]): tensor for name, tensor in parameters.items()}
    everywhere = {
        f"{path}.{name}".lstrip("."): new[id(parameter)]
        for path, layer in module.named_modules()
        for name, parameter in layer.named_parameters(recurse=False, remove_duplicate=False)
        if id(parameter) in new
    }
    return functional_call(module, everywhere, inputs, tie_weights=False)


def fold_batch_norm(module: nn.Module) -> nn.Module:
    """A copy in eval mode whose batch norms are folded into the convolution or linear layer before them.

    Folding changes the stored weights and with them the layer scores, which is why it is a stated choice.

    Raises ValueError when the module cannot be traced by torch.fx, or a batch norm follows anything else.
    """
    folded = copy.deepcopy(module).eval()
    try:
        graph = fx.Tracer().trace(folded)
    except Exception as error:  # fx raises whatever the user's forward raises on proxies
        raise ValueError(
            f"batch norm cannot be folded: torch.fx cannot trace {type(module).__name__} ({error})"
        ) from error
    modules = dict(folded.named_modules())
    for node in graph.nodes:
        norm = modules.get(str(node.target)) if node.op == "call_module" else None
        if not isinstance(norm, _NORMS):
            continue
        source = node.args[0]
        layer = modules.get(str(source.target)) if source.op == "call_module" else None
        if len(source.users) != 1 or not isinstance(layer, (*_CONVOLUTIONS, nn.Linear)):
            raise ValueError(f"batch norm {node.target!r} does not directly follow a convolution or linear layer")
        fused = fuse_linear_bn_eval(layer, norm) if isinstance(layer, nn.Linear) else fuse_conv_bn_eval(layer, norm)
        _replace(folded, str(source.target), fused)
        _replace(folded, str(node.target), nn.Identity())
    return folded


def _replace(root: nn.Module, path: str, new: nn.Module) -> None:
    parent, _, leaf = path.rpartition(".")
    setattr(root.get_submodule(parent), leaf, new)
