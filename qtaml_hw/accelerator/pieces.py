"""How many inputs go through a network at a time on a processor: as many as stay in its caches."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from qtaml_hw.weights.effective import evaluating

MOST: Final = 512
TENSOR_BYTES: Final = 1 << 22  # of the largest tensor of a piece; from 2 to 6 MiB all measured networks are alike
_THRESHOLD_BYTES: Final = 31 << 20  # just below what glibc's thresholds grow to by themselves at most


def fitting(module: nn.Module, inputs: torch.Tensor) -> int:
    """Inputs at a time, 1 to ``MOST``, of which no tensor of a pass takes more than ``TENSOR_BYTES``.

    inputs: [N, ...]; found by watching passes of two and of three of them, so that nothing is counted but what grows
    with the batch.  The same number on every machine; ``MOST`` for fewer than three inputs, and for inputs that the
    network does not take.
    """
    if len(inputs) < 3:
        return MOST
    try:
        two, three = (_sizes(module, inputs[:count]) for count in (2, 3))
    except (RuntimeError, TypeError, ValueError, IndexError, AssertionError):
        return MOST
    each = max((b - a for a, b in zip(two, three, strict=False)), default=0)
    return min(MOST, max(1, TENSOR_BYTES // max(each, 1)))


@cache
def keep_freed_memory() -> None:
    """Let this process keep pages that a pass frees for the next one, up to some 60 MB.

    glibc gives the memory of a large freed tensor back to the system at once, and the next tensor is zeroed page by
    page: half of a small network's time.  Its thresholds grow with the largest block that was ever freed (mallopt(3),
    M_MMAP_THRESHOLD), so one is allocated, never touched, and freed; other allocators take no notice.
    """
    torch.empty(_THRESHOLD_BYTES, dtype=torch.uint8)


def _sizes(module: nn.Module, sample: torch.Tensor) -> list[int]:
    """Bytes of the largest tensor that every operator of a pass gives, in their order."""
    watch = _Sizes()
    with evaluating(module), torch.no_grad(), watch:
        module(sample)
    return watch.bytes


class _Sizes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Collects what ``_sizes`` gives."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes: list[int] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """torch's own switch: nothing is compiled here, and loading the compiler would cost two seconds."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        self.bytes.append(max((x.nbytes for x in tree_leaves(found) if isinstance(x, torch.Tensor)), default=0))
        return found
