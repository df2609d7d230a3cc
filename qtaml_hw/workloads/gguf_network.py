"""A language model from a GGUF file: its architecture from the metadata, its weights as the file's own codes.

``transformers`` says what a file's metadata mean as a configuration and builds the module; the ``gguf`` package says
what its tensors are called there.  Files of the Llama architecture keep the rows of queries and keys in another order
(llama.cpp, convert_hf_to_gguf.py: ``permute``), which is undone in the codes.  Frequencies of rotary positions that
were stretched for long texts (Llama 3.1 and later) stand in a file as divisors.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from qtaml_hw.arrays import Int64
from qtaml_hw.weights.image import StoredTensor
from qtaml_hw.workloads.built import put, refuse_unfit, work_out_buffers
from qtaml_hw.workloads.gguf_file import GgufFile, read_gguf
from qtaml_hw.workloads.reading import readable

ROTATED: Final[dict[str, dict[str, str]]] = {
    "llama": {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"},
    "qwen2": {},
    "qwen3": {},
}
"""Architectures that are read -> projections whose rows the file has in another order, and whose heads they are of."""
DIVISORS: Final = "rope_freqs.weight"
"""Tensor [head width / 2] by which llama.cpp divides the frequencies of rotary positions (``rope_factors``)."""


def gguf_model(path: Path) -> tuple[nn.Module, dict[str, StoredTensor]]:
    """The causal language model of a file, with its weights, and the codes that these are, by parameter.

    Raises ValueError, in one line, for what is not read.
    """
    import transformers
    from transformers import modeling_gguf_pytorch_utils as mapping

    configured: Any = transformers.AutoModelForCausalLM
    told_by: Any = mapping.load_gguf_checkpoint
    file = read_gguf(path)
    kind = str(file.metadata.get("general.architecture"))
    if kind not in ROTATED:
        raise ValueError(f"{path}: its architecture is {kind[:60]}, read here are {', '.join(ROTATED)}")
    with readable(path, "GGUF language model"), torch.random.fork_rng(devices=[]):
        told = told_by(str(path), return_tensors=False)["config"]
        if (width := file.metadata.get(f"{kind}.attention.key_length")) is not None:
            told["head_dim"] = int(width)  # which transformers takes to be 128 in Qwen3
        config = transformers.AutoConfig.for_model(**told)
        config.tie_word_embeddings = "output.weight" not in file.tensors
        with torch.device("meta"):  # sizes are what a file says: no memory before its tensors are known to fit
            model = configured.from_config(config, dtype=torch.float32, attn_implementation="eager")
        return _filled(model, file, kind, config)


def _filled(model: Any, file: GgufFile, kind: str, config: Any) -> tuple[nn.Module, dict[str, StoredTensor]]:
    codes: dict[str, StoredTensor] = {}
    model.tie_weights()
    names, problems = _names(model, kind, int(config.num_hidden_layers)), []
    for name, parameter in list(model.named_parameters()):
        own = names[name]
        if own not in file.tensors or file.tensors[own].shape != tuple(parameter.shape):
            found = file.tensors[own].shape if own in file.tensors else "none"
            problems.append(f"{own} is {found}, its metadata make it {tuple(parameter.shape)}")
            continue
        order = _order(name, kind, config, parameter.shape[0])
        if file.tensors[own].type_name == "F32":
            values = file.values(own) if order is None else file.values(own)[order]
        else:
            stored = file.stored(own)
            codes[name] = replace(stored if order is None else _reordered(stored, order), name=name)
            values = codes[name].decode(codes[name].codes)
        put(model, name, torch.from_numpy(np.ascontiguousarray(values)).reshape(parameter.shape))
    placed = {*names.values(), DIVISORS}
    problems += [f"{own} has no place in the network" for own in file.tensors if own not in placed]
    refuse_unfit(problems)
    model.tie_weights()
    work_out_buffers(model, config)
    if DIVISORS in file.tensors:
        _stretch(model, file)
    return model.eval(), codes


def _stretch(model: nn.Module, file: GgufFile) -> None:
    """Divide the frequencies of rotary positions by the file's own numbers."""
    divisors = torch.from_numpy(np.ascontiguousarray(file.values(DIVISORS)))
    frequencies = [own for name, own in model.named_buffers() if name.endswith("inv_freq")]
    shapes = {tuple(own.shape) for own in frequencies} - {tuple(divisors.shape)}
    problems = [f"{DIVISORS} is {tuple(divisors.shape)}, its metadata make it {shape}" for shape in shapes]
    refuse_unfit(problems if bool((divisors > 0.0).all()) else [*problems, f"{DIVISORS} are no divisors"])
    for own in frequencies:
        own /= divisors


def _names(model: nn.Module, kind: str, layers: int) -> dict[str, str]:
    """Names in the file by parameter."""
    table = name_table(kind, layers)
    return {name: str(table.get_name(name, try_suffixes=(".weight", ".bias"))) for name, _ in model.named_parameters()}


def name_table(kind: str, layers: int) -> Any:
    """What the ``gguf`` package calls the tensors of an architecture with so many layers; None of one it does not know.

    Raises ImportError without the package.
    """
    import gguf

    arch = next((key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == kind), None)
    return None if arch is None else gguf.get_tensor_name_map(arch, layers)


def _order(name: str, kind: str, config: Any, rows: int) -> Int64 | None:
    """Rows of the file in the network's order; None where they are the same."""
    heads = next((getattr(config, of) for part, of in ROTATED[kind].items() if f".{part}." in name), None)
    if heads is None:
        return None
    there = np.arange(rows).reshape(int(heads), rows // int(heads) // 2, 2)
    return np.asarray(there.swapaxes(1, 2).reshape(-1), dtype=np.int64)


def _reordered(tensor: StoredTensor, order: Int64) -> StoredTensor:
    """The tensor with its rows in another order: codes, and the parts of scales and minima that belong to them."""

    def rows(array: Any) -> Any:
        return array.reshape(len(order), -1)[order].reshape(-1)

    parts = tuple(replace(part, codes=rows(part.codes)) for part in tensor.parts)
    codes = rows(tensor.codes)
    if not parts:
        return replace(tensor, codes=codes)
    return StoredTensor.made_of(tensor.name, tensor.shape, codes, tensor.format, tensor.layout, parts)
