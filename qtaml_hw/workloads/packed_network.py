"""A language model from a folder of packed weights: GPTQ, AWQ, compressed-tensors, with the folder's own codes.

``transformers`` says what config.json means and builds the module; none of the packages that run such weights is used.
Tensors in float16 and bfloat16 are codes of the folder too, of a number format without scales.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from qtaml_hw.arrays import Int64
from qtaml_hw.weights.given import given_floats
from qtaml_hw.weights.image import StoredTensor
from qtaml_hw.workloads.built import configured, put, refuse_unfit, work_out_buffers
from qtaml_hw.workloads.packed import HALVES, read_quantised_folder
from qtaml_hw.workloads.reading import readable


def packed_model(folder: Path) -> tuple[nn.Module, dict[str, StoredTensor]]:
    """The causal language model of a folder, with its weights, and the codes that these are, by parameter.

    Raises InputError, in one line, for what is not read.
    """
    import transformers

    kind: Any = transformers.AutoModelForCausalLM
    with readable(folder, "folder of packed weights"), torch.random.fork_rng(devices=[]):
        read = read_quantised_folder(folder)
        found = read.tensors
        config = configured(folder, len(found))
        if hasattr(config, "quantization_config"):
            del config.quantization_config  # read here, not by the packages that it names
        with torch.device("meta"):  # sizes are what a file says: no memory before its tensors are known to fit
            model = kind.from_config(config, dtype=torch.float32, attn_implementation="eager")
        model.tie_weights()
        _check(model, found)
        codes: dict[str, StoredTensor] = {}
        for name, _ in list(model.named_parameters()):
            own = _own(name, found.pop(name))
            if isinstance(own, StoredTensor):
                codes[name], own = own, torch.from_numpy(own.decode(own.codes))
            put(model, name, own.float())
            if name in read.orders:
                _reorder_inputs(model.get_submodule(name.rpartition(".")[0]), read.orders[name])
        model.tie_weights()
        work_out_buffers(model, config)
    return model.eval(), codes


def _reorder_inputs(layer: nn.Module, order: Int64) -> None:
    """Let a layer take its inputs in the order in which its weight holds them.  Raises ValueError for other layers."""
    if not isinstance(layer, nn.Linear):
        raise ValueError(f"activation order is read of linear layers, not of {type(layer).__name__}")
    places = torch.from_numpy(order)

    def turned(_: nn.Module, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (args[0].index_select(-1, places.to(args[0].device)), *args[1:])

    layer.register_forward_pre_hook(turned)


def _own(name: str, tensor: StoredTensor | torch.Tensor) -> StoredTensor | torch.Tensor:
    """A tensor as codes, where the folder has some."""
    if isinstance(tensor, StoredTensor) or tensor.dtype not in HALVES:
        return tensor
    patterns = tensor.contiguous().view(torch.int16).numpy().view(np.uint16)
    return given_floats(name, patterns, HALVES[tensor.dtype])


def _check(model: nn.Module, found: dict[str, StoredTensor | torch.Tensor]) -> None:
    """Raises ValueError with what is missing, of another shape, no real numbers, or would be left out."""
    wanted = {name: tuple(p.shape) for name, p in model.named_parameters()}
    problems = [f"there is no {name}" for name in wanted if name not in found]
    for name, tensor in found.items():
        if name not in wanted:
            problems += [] if _left_out(model, name, tensor) else [f"{name} has no place in the network"]
        elif tuple(tensor.shape) != wanted[name]:
            problems.append(f"{name} is {tuple(tensor.shape)}, the network has {wanted[name]}")
        elif isinstance(tensor, torch.Tensor) and not _real(tensor):
            problems.append(f"{name} is of {str(tensor.dtype).removeprefix('torch.')} or not finite")
    refuse_unfit(problems)


def _real(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() and bool(tensor.float().isfinite().all())


def _left_out(model: nn.Module, name: str, tensor: StoredTensor | torch.Tensor) -> bool:
    """Whether a tensor changes nothing: a buffer, another name of a tied one, or zeros, as GPTQ writes for no bias."""
    if isinstance(tensor, StoredTensor):
        return False
    known = {n for n, _ in model.named_parameters(remove_duplicate=False)} | {n for n, _ in model.named_buffers()}
    return name in known or name.endswith("inv_freq") or not bool(tensor.any())
