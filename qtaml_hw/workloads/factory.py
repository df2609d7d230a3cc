"""A user's own network or data set: factory functions of theirs, and safetensors files with weights."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from qtaml_hw.config.sections.hardening import DEFAULT_SEED
from qtaml_hw.workloads.cache import State, state_digest
from qtaml_hw.workloads.data import DataSet
from qtaml_hw.workloads.files import from_arrays
from qtaml_hw.workloads.load import LoadedNetwork
from qtaml_hw.workloads.own_code import called, load_function
from qtaml_hw.workloads.plain import check_parameters, plain_network
from qtaml_hw.workloads.reading import in_words, readable

_MOST_KEYS: Final = 4  # of a mismatch that are named


def load_factory(
    factory: str,
    weights: str | Path | None = None,
    *,
    input_shape: tuple[int, ...],
    arguments: Mapping[str, Any] | None = None,
    folder: str | Path | None = None,
    keys: Mapping[str, str] | None = None,
    tokens: bool = False,
    allow_code: Collection[str] = (),
) -> LoadedNetwork:
    """The network that ``package.module:function`` builds, with the weights of a safetensors file.

    input_shape: of one sample, without batch; a sample of zeros is passed through as a check. arguments: keywords for
    the function. folder: searched first for the module (a study's own folder; None: the current one). allow_code:
    installed packages whose code may be run. Without weights the network is as the
    function leaves it, under a fixed random state. keys: see ``load_weights``. tokens: inputs are
    token numbers (int64), not float32. Importing runs the user's code.
    Raises ValueError with one message for anything that does not fit; all keys of the weights at once.
    """
    function, kind = user_function(factory, folder, allow_code), torch.int64 if tokens else torch.float32
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(DEFAULT_SEED)
        module = plain_network(factory, function(**dict(arguments or {})), input_shape, kind)
    if weights is not None:
        load_weights(module, weights, keys)
    check_parameters(factory, module)
    classes = output_width(factory, module.eval(), input_shape, kind)
    return LoadedNetwork(factory, module, state_digest(module.state_dict()), tuple(input_shape), classes, None)


def load_data_factory(
    factory: str,
    *,
    arguments: Mapping[str, Any] | None = None,
    folder: str | Path | None = None,
    allow_code: Collection[str] = (),
) -> DataSet:
    """The data set that ``package.module:function`` returns: a DataSet, or a pair of arrays (images, labels).

    A pair is split as ``load_idx`` does. arguments, folder and allow_code: see ``load_factory``. Raises ValueError with
    one message for anything that does not fit.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(DEFAULT_SEED)
        found = user_function(factory, folder, allow_code)(**dict(arguments or {}))
    if isinstance(found, DataSet):
        return found
    if isinstance(found, tuple) and len(found) == 2 and all(isinstance(part, np.ndarray) for part in found):
        return from_arrays(factory, found)
    raise ValueError(f"{factory} must return a DataSet or arrays (images, labels), it returned {type(found).__name__}")


def user_function(name: str, folder: str | Path | None = None, allow_code: Collection[str] = ()) -> Callable[..., Any]:
    """The function ``package.module:function`` of a user; ``folder`` is searched first. Importing runs their code.

    Raises ValueError when its code may not be run, the module cannot be imported or has no such function; and so does
    the function for whatever it raises itself.
    """
    return partial(called, name, load_function(name, folder, allow_code))


def load_weights(module: nn.Module, weights: str | Path, keys: Mapping[str, str] | None = None) -> None:
    """Put a safetensors file's tensors into the module, in the module's own types.

    keys: how keys of the file begin -> how they begin in the network, such as {"module.": ""}; the longest beginning
    that fits counts, keys that none fits stay.

    Raises ValueError if the file is missing or not safetensors, or lists every key that is missing, unexpected, of
    another shape, not finite, or whole numbers for real ones (codes whose scale is not here); 8-bit floats are taken
    at their values. Batch-norm step counters may be missing: inference does not read them.
    """
    path = Path(weights)
    with readable(path, "safetensors file"):
        found: State = load_file(path)
    try:
        found = renamed(found, keys or {})
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    fill(module, found, str(path))


def fill(module: nn.Module, found: State, origin: str) -> None:
    """Put tensors into the module, in the module's own types; ``origin`` names where they come from in messages.

    Raises ValueError as ``load_weights`` does.
    """
    check_fits(module, found, origin)
    module.load_state_dict({key: found.get(key, tensor) for key, tensor in module.state_dict().items()})


def check_fits(module: nn.Module, found: State, origin: str) -> None:
    """Raises ValueError as ``load_weights`` does; the module may be one without memory."""
    problems = _problems(found, module.state_dict())
    if problems:
        raise ValueError("\n  ".join([f"{origin} does not fit the network:", *problems]))


def renamed(found: State, keys: Mapping[str, str]) -> State:
    """The tensors with the beginnings of their names replaced (see ``load_weights``).

    Raises ValueError for beginnings that no name has, and names that become one.
    """
    unused = [start for start in keys if not any(name.startswith(start) for name in found)]
    if unused:
        shown = ", ".join(list(found)[:5])
        raise ValueError(f"no key begins with {', '.join(map(repr, unused))} (the first keys are: {shown})")
    out: State = {}
    clashes = []
    for name, tensor in found.items():
        start = max((k for k in keys if name.startswith(k)), key=len, default=None)
        new = name if start is None else keys[start] + name[len(start) :]
        if new in out:
            clashes.append(new)
        out[new] = tensor
    if clashes:
        raise ValueError(f"two keys become one under the mapping: {', '.join(clashes)}")
    return out


def _problems(found: State, wanted: Mapping[str, torch.Tensor]) -> list[str]:
    missing = [key for key in wanted if key not in found and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in found if key not in wanted]
    both = [key for key in wanted if key in found]
    shapes = [
        f"{key} is {tuple(found[key].shape)}, the network has {tuple(wanted[key].shape)}"
        for key in both
        if found[key].shape != wanted[key].shape
    ]
    whole = [
        f"{key} is {str(found[key].dtype).removeprefix('torch.')}"
        for key in both
        if wanted[key].is_floating_point() and not found[key].is_floating_point()
    ]
    broken = [key for key in both if found[key].is_floating_point() and not bool(found[key].float().isfinite().all())]
    return [
        f"{what}: {_few(keys)}"
        for what, keys in (
            ("missing keys", missing),
            ("unexpected keys", unexpected),
            ("other shapes", shapes),
            ("codes without their scale where real numbers are needed", whole),
            ("values that are not finite", broken),
        )
        if keys
    ]


def _few(keys: list[str]) -> str:
    """The first keys, and how many more there are."""
    shown = ", ".join(keys[:_MOST_KEYS])
    return f"{shown} and {len(keys) - _MOST_KEYS} more (of {len(keys)})" if len(keys) > _MOST_KEYS else shown


def output_width(name: str, module: nn.Module, input_shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> int:
    """Number of logits (or of values in an embedding), from one sample of zeros.

    Raises ValueError when the module does not take the sample or returns anything but a tensor [batch, ..., width].
    """
    try:
        with torch.inference_mode():
            out = module(torch.zeros(1, *input_shape, dtype=dtype))
    except (Exception, SystemExit) as error:
        raise ValueError(
            f"{name}: the network does not take an input of shape {(1, *input_shape)} ({in_words(error)})"
        ) from error
    if not isinstance(out, torch.Tensor) or out.ndim not in (2, 3) or out.shape[0] != 1:
        shape = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
        raise ValueError(f"{name}: the network must return logits [batch, classes], for one sample it returned {shape}")
    return int(out.shape[-1])
