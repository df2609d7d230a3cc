"""A limit on what a model file may ask torch for: the size of every result is known before it is computed."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

MOST_VALUES: Final = 1 << 26
"""Of one value, for one sample: 256 MB; assumed, the first layer of VGG-16 has 3.2 million."""
MOST_IN_ALL: Final = 1 << 29
"""Of all values of one pass, for one sample: 2 GB; assumed."""


class Bounded(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within the block an operation whose result would be larger than the limits is refused, with ValueError."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.made = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        values = _values(func, args, kwargs)
        if not any(told.alias_info for told in func._schema.returns):
            self.made += values
        if values > MOST_VALUES or self.made > MOST_IN_ALL:
            raise ValueError(
                f"it asks for {max(values, self.made)} numbers at once; the limit is {MOST_VALUES} a value"
            )
        return func(*args, **kwargs)


def _values(func: Any, args: Any, kwargs: dict[str, Any]) -> int:
    """How many numbers an operation makes, found out on tensors without storage; 0 where that depends on values."""
    args, kwargs = pytree.tree_map_only(torch.Tensor, _shell, (args, dict(kwargs)))
    if any(told.name == "device" for told in func._schema.arguments):
        kwargs["device"] = torch.device("meta")
    try:
        found = func(*args, **kwargs)
    except (RuntimeError, NotImplementedError):  # what reads values, or does not fit: it says so itself when it runs
        return 0
    return sum(part.numel() for part in pytree.tree_leaves(found) if isinstance(part, torch.Tensor))


def _shell(tensor: torch.Tensor) -> torch.Tensor:
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
