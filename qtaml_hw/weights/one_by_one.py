"""Tensors by name, each made when it is asked for and kept by nobody: a large network never lies there twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

Made = TypeVar("Made")


@dataclass(frozen=True, eq=False)
class OneByOne(Mapping[str, Made]):
    """``make`` gives the tensor that stands at a name's place; ``key`` tells it from others without making it.

    Tensors with equal keys are equal.  Without keys nobody knows before they are made.
    """

    places: Mapping[str, int]
    make: Callable[[int], Made]
    key: Callable[[int], bytes] | None = None

    def __getitem__(self, name: str) -> Made:
        return self.make(self.places[name])

    def __contains__(self, name: object) -> bool:
        return name in self.places

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)
