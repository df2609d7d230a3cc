"""A user's module as a plain one, whose layers and weights can be seen; or why that cannot be."""

from __future__ import annotations

from typing import Final

import torch
from torch import nn
from torch.nn.parameter import is_lazy

_WRAPPERS: Final = {
    nn.DataParallel: "module",
    nn.parallel.DistributedDataParallel: "module",
    torch._dynamo.OptimizedModule: "_orig_mod",
}
"""Wrapper -> the attribute that holds the network; torch.compile makes the last one."""
_QUANTISED: Final = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized", "torch.ao.nn.sparse.quantized")


def plain_network(name: str, found: object, input_shape: tuple[int, ...], kind: torch.dtype) -> nn.Module:
    """The network itself, out of wrappers that run it elsewhere or compile it, its lazy layers made.

    Raises ValueError for what is no module, and for networks whose weights lie where nobody can reach them: compiled to
    TorchScript, or quantised by torch.
    """
    if not isinstance(found, nn.Module):
        raise ValueError(f"{name} must return a torch.nn.Module, it returned {type(found).__name__}")
    module = _unwrapped(f"{name} returned", found)
    if _is_lazy(module):
        _make_lazy_layers(name, module, input_shape, kind)
    return module


def built_network(what: str, found: nn.Module) -> nn.Module:
    """The network itself of one that runs already; ``what`` begins the message.

    Raises ValueError as ``plain_network`` does, and for lazy layers that no input has made yet.
    """
    module = _unwrapped(what, found)
    if _is_lazy(module):
        raise ValueError(f"{what} lazy layers that no input has made yet: pass one sample through the model first")
    return module


def _is_lazy(module: nn.Module) -> bool:
    return any(is_lazy(tensor) for tensor in (*module.parameters(), *module.buffers()))


def _unwrapped(what: str, found: nn.Module) -> nn.Module:
    """The network in wrappers that run it elsewhere or compile it.  Raises ValueError as ``plain_network`` does."""
    while attribute := next((a for wrapper, a in _WRAPPERS.items() if isinstance(found, wrapper)), None):
        found = getattr(found, attribute)
    if isinstance(found, torch.jit.ScriptModule):
        raise ValueError(f"{what} TorchScript, which hides its layers; give the module it was made from")
    packed = [path for path, layer in found.named_modules() if type(layer).__module__.startswith(_QUANTISED)]
    if packed:
        raise ValueError(
            f"{what} a network that torch has quantised ({', '.join(packed[:5])}); give the one it was made from, and "
            "say how weights are stored with weights.format"
        )
    return found


def check_parameters(name: str, module: nn.Module) -> None:
    """Raises ValueError with every parameter that has no values, or NaN or an infinity; buffers may, as masks do."""
    empty = [f"{path} {tuple(p.shape)}" for path, p in module.named_parameters() if not p.numel()]
    broken = [path for path, p in module.named_parameters() if not bool(p.float().isfinite().all())]
    problems = (("parameters without values", empty), ("values that are not finite", broken))
    said = "; ".join(f"{what}: {', '.join(paths[:8])}" for what, paths in problems if paths)
    if said:
        raise ValueError(f"{name}: {said}")


def _make_lazy_layers(name: str, module: nn.Module, input_shape: tuple[int, ...], kind: torch.dtype) -> None:
    """One sample of zeros tells lazy layers their sizes; under the fixed random state of a factory."""
    was = module.training
    try:
        with torch.no_grad():
            module.eval()(torch.zeros(1, *input_shape, dtype=kind))
    except (Exception, SystemExit) as error:  # of the user's forward
        text = " ".join(str(error).split())
        raise ValueError(f"{name}: its lazy layers cannot be made from a sample of {input_shape} ({text})") from error
    module.train(was)
