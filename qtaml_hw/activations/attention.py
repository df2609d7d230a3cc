"""Attention as it reads keys and values: in one fused call, or in two products that are written out.

Keys and values are those that the products read, after any rotation of positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, Literal

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

Side = Literal["input", "output", "key", "value"]
SIDES: Final[tuple[Side, Side]] = ("key", "value")
Stretches = Sequence[tuple[int | None, Callable[[], torch.Tensor]]]
"""Ends of rows of queries, ascending, None for all, and what makes the keys or values that the rows before each read:
[N, heads, tokens, width], asked for one after the other."""
PROJECTIONS: Final = (("k_proj", "v_proj"), ("key", "value"))
"""How modules of attention call what projects keys and values."""
_PAIR: Final = 2
_AXES: Final = 4
_FUSED: Final = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
_PRODUCTS: Final = (torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__)


def whole(_: Side, x: torch.Tensor) -> Stretches:
    """Keys or values as they are, for all rows."""
    return ((None, lambda: x),)


def heads_first_to_tokens(x: torch.Tensor) -> torch.Tensor:
    """[N, heads, tokens, width] as it lies in a cache: [N, tokens, heads x width]."""
    return x.transpose(1, 2).flatten(2)


def projections(module: nn.Module) -> tuple[str, str] | None:
    """The names of what projects keys and values in a module of attention; None in another."""
    known = (pair for pair in PROJECTIONS if all(isinstance(getattr(module, name, None), nn.Module) for name in pair))
    return next(known, None)


def attentions(module: nn.Module) -> tuple[str, ...]:
    """Paths of the modules that project keys and values."""
    return tuple(path for path, m in module.named_modules() if projections(m) is not None)


def own_heads(attention: nn.Module, side: Side, x: torch.Tensor) -> int:
    """How many heads of keys or values [N, heads, tokens, width] one stored head serves (grouped queries).

    By what the projection of that side writes of a token, since heads of keys and of values may be of unlike widths;
    one where that is no whole number of heads.
    """
    names, (heads, width) = projections(attention), (x.shape[1], x.shape[3])
    writer = getattr(attention, names[SIDES.index(side)]) if names is not None else None
    stored, rest = divmod(int(getattr(writer, "out_features", heads * width)), width)
    return heads // stored if stored and not rest and heads % stored == 0 else 1


class Attending(TorchFunctionMode):
    """Attention inside a module, with keys and values as ``read`` gives them back.

    A call of fused attention, or the two products of [N, heads, tokens, ...] that it consists of: queries with keys,
    then weights with values.
    """

    def __init__(self, read: Callable[[Side, torch.Tensor], Stretches]) -> None:
        super().__init__()
        self.read, self.products = read, 0

    @contextmanager
    def inside(self, module: nn.Module) -> Iterator[None]:
        """Calls inside that module, as long as the block lasts."""

        def enter(*_: object) -> None:
            self.products = 0
            self.__enter__()  # type: ignore[no-untyped-call]

        def leave(*_: object) -> None:
            self.__exit__(None, None, None)  # type: ignore[no-untyped-call]

        handles = (module.register_forward_pre_hook(enter), module.register_forward_hook(leave, always_call=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if func is functional.scaled_dot_product_attention:
            return self.fused(func, given | dict(zip(_FUSED, args, strict=False)))
        if func in _PRODUCTS and len(args) == _PAIR and all(x.ndim == _AXES for x in args):
            self.products += 1
            return self.product(func, *args)
        return func(*args, **given)

    @property
    def weighs(self) -> bool:
        """Whether the product that runs is that of the weights with the values."""
        return self.products == _PAIR

    def fused(self, func: Any, given: dict[str, Any]) -> torch.Tensor:
        """All of it in one call."""
        read = {side: self.read(side, given[side]) for side in SIDES}
        if all(len(stretches) == 1 for stretches in read.values()):
            return torch.as_tensor(func(**given | {side: stretches[0][1]() for side, stretches in read.items()}))
        return _written_out(given, read)

    def product(self, func: Any, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """One of its products; further ones are none of them."""
        if self.products == 1:
            return _by_rows(func, left, _turned(self.read("key", right.mT)))
        if self.weighs:
            return _by_rows(func, left, self.read("value", right))
        return torch.as_tensor(func(left, right))


def _turned(keys: Stretches) -> Stretches:
    """As the first product has them, tokens last."""
    return [(end, lambda make=make: make().mT) for end, make in keys]  # type: ignore[misc]


def _by_rows(func: Any, left: torch.Tensor, stretches: Stretches) -> torch.Tensor:
    """A product whose rows meet what they read."""
    parts, begin = [], 0
    for end, make in stretches:
        parts.append(func(left[..., begin:end, :], make()))
        begin = end or 0
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-2)


def _written_out(given: Mapping[str, Any], read: Mapping[Side, Stretches]) -> torch.Tensor:
    """Fused attention as its two products."""
    query, mask = given["query"], given.get("attn_mask")

    def product(func: Any, left: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(left @ func(x.repeat_interleave(query.shape[1] // x.shape[1], dim=1)))

    keys, values = (partial(product, func) for func in (lambda x: x.mT, lambda x: x))
    scores = _by_rows(keys, query, read["key"]) * (given.get("scale") or query.shape[-1] ** -0.5)
    if given.get("is_causal"):
        scores = scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), -torch.inf)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype is torch.bool else scores + mask
    return _by_rows(values, scores.softmax(-1), read["value"])


class Watching(Attending):
    """Attention that shows where keys and values are, whether it is two products, and whether each row sees the tokens
    up to its own alone."""

    def __init__(self, read: Callable[[Side, torch.Tensor], Stretches]) -> None:
        super().__init__(read)
        self.known, self.causal = True, False

    def fused(self, func: Any, given: dict[str, Any]) -> torch.Tensor:
        """See :class:`Attending`."""
        tokens, value = given["key"].shape[-2], given["value"]
        identity = torch.eye(tokens, dtype=value.dtype).expand(*value.shape[:-1], tokens)
        self.causal = _looks_back(func(**given | {"value": identity}))
        return super().fused(func, given)

    def product(self, func: Any, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """See :class:`Attending`."""
        if self.weighs:
            self.causal = _looks_back(left)
        self.known = self.known and self.products <= _PAIR and (self.products == 1 or left.shape[-1] == right.shape[-2])
        return super().product(func, left, right)


def _looks_back(weights: torch.Tensor) -> bool:
    """Whether weights of attention [N, heads, rows, tokens] fall on no token behind the row's own."""
    return weights.shape[-1] == weights.shape[-2] > 1 and not bool(weights.triu(1).any())
