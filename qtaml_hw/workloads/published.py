"""Architectures of published compact networks and how their test data are read; weights and data are the user's.

A folder holds ``networks/<weights>.safetensors`` and the data: ResNet-20 and -56 for CIFAR-10 (He et al. 2016), MLPerf
Tiny's ResNet-8 and keyword-spotting DS-CNN, a LeNet; CIFAR-10 as a JPEG copy of its test set (lossy: about ten points
below the published accuracies).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from qtaml_hw.workloads.catalogue import known
from qtaml_hw.workloads.data import DataSet
from qtaml_hw.workloads.files import Preprocessing, from_arrays, load_npz, npz_arrays


class OptionABlock(nn.Module):
    """He's CIFAR block: the shortcut takes every second pixel and pads channels with zeros (option A)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.stride, self.extra = stride, (after - before) // 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        shortcut = x
        if self.stride != 1:
            shortcut = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.extra, self.extra))
        return functional.relu(y + shortcut)


class CifarResNet(nn.Module):
    """He et al. 2016, section 4.2: three stages of n blocks, 16, 32, 64 channels; depth 6 n + 2."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        stages, before = [], 16
        for after in (16, 32, 64):
            strides = [1 if after == before else 2, *[1] * (blocks - 1)]
            stages.append(
                nn.Sequential(*(OptionABlock(before if i == 0 else after, after, s) for i, s in enumerate(strides)))
            )
            before = after
        self.l = nn.Sequential(*stages)
        self.fc = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.l(functional.relu(self.bn1(self.conv1(x))))
        logits: torch.Tensor = self.fc(x.mean((2, 3)))
        return logits


class TinyResNet8(nn.Module):
    """MLPerf Tiny image classification; TensorFlow's "same" padding at stride 2 is one row right and bottom."""

    def __init__(self) -> None:
        super().__init__()
        shapes = [(3, 16, 3, 1), (16, 16, 3, 1), (16, 16, 3, 1), (16, 32, 3, 2), (32, 32, 3, 1), (16, 32, 1, 2)]
        shapes += [(32, 64, 3, 2), (64, 64, 3, 1), (32, 64, 1, 2)]
        self.c = nn.ModuleList(
            nn.Conv2d(a, b, side, stride=s, padding=1 if side == 3 and s == 1 else 0) for a, b, side, s in shapes
        )
        self.b = nn.ModuleList(nn.BatchNorm2d(w, eps=1e-3) for w in (16, 16, 16, 32, 32, 64, 64))
        self.fc = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        c, b, relu = self.c, self.b, functional.relu
        x = relu(b[0](c[0](x)))
        x = relu(x + b[2](c[2](relu(b[1](c[1](x))))))
        x = relu(c[5](x) + b[4](c[4](relu(b[3](c[3](functional.pad(x, (0, 1, 0, 1))))))))
        x = relu(c[8](x) + b[6](c[7](relu(b[5](c[6](functional.pad(x, (0, 1, 0, 1))))))))
        logits: torch.Tensor = self.fc(x.mean((2, 3)))
        return logits


class DsCnn(nn.Module):
    """MLPerf Tiny keyword spotting: batch norms folded, weights are its real int8 codes times their scales."""

    def __init__(self) -> None:
        super().__init__()
        self.c0 = nn.Conv2d(1, 64, (10, 4), stride=2)
        self.dw = nn.ModuleList(nn.Conv2d(64, 64, 3, padding=1, groups=64) for _ in range(4))
        self.pw = nn.ModuleList(nn.Conv2d(64, 64, 1) for _ in range(4))
        self.fc = nn.Linear(64, 12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.c0(functional.pad(x, (1, 1, 4, 5))))
        for dw, pw in zip(self.dw, self.pw, strict=True):
            x = functional.relu(pw(functional.relu(dw(x))))
        logits: torch.Tensor = self.fc(x.mean((2, 3)))
        return logits


class CifarLeNet(nn.Module):
    """LeNet on colour images: two 5x5 convolutions, three linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.max_pool2d(functional.relu(self.conv1(x)), 2)
        x = functional.max_pool2d(functional.relu(self.conv2(x)), 2)
        x = functional.relu(self.fc1(torch.flatten(x, 1)))
        logits: torch.Tensor = self.fc3(functional.relu(self.fc2(x)))
        return logits


def _cifar(preprocessing: Preprocessing) -> Callable[[Path], DataSet]:
    return lambda folder: load_npz(folder / "cifar10_jpeg_test2000.npz", preprocessing=preprocessing, calibration=200)


def _keywords(folder: Path) -> DataSet:
    arrays = npz_arrays(folder / "kws01_mlperf_tiny.npz", ["x", "y"])
    x, y = arrays["x"], arrays["y"].astype(np.int64)
    how = Preprocessing(scale=0.5847029, mean=(83 * 0.5847029,))
    return from_arrays("kws01", (x, y), preprocessing=how, calibration=100)


@dataclass(frozen=True)
class Published:
    """``weights``: file under networks/, without its ending; ``data``: reads the test set of a folder."""

    weights: str
    build: Callable[[], nn.Module]
    data: Callable[[Path], DataSet]


_IMAGENET = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), layout="nhwc")
PUBLISHED = {
    "lenet-cifar": Published(
        "lenet_cifar10", CifarLeNet, _cifar(Preprocessing(mean=(0.5,), std=(0.5,), layout="nhwc"))
    ),
    "dscnn": Published("dscnn_mlperf_tiny_kws", DsCnn, _keywords),
    "resnet8": Published("resnet8_mlperf_tiny_cifar10", TinyResNet8, _cifar(Preprocessing(scale=1.0, layout="nhwc"))),
    "resnet20": Published("resnet20_cifar10", lambda: CifarResNet(3), _cifar(_IMAGENET)),
    "resnet56": Published("resnet56_cifar10", lambda: CifarResNet(9), _cifar(_IMAGENET)),
}


def build(name: str) -> nn.Module:
    """An untrained network of that name: the factory of a study file, with the name as its argument.

    Raises ValueError with the names there are.
    """
    return PUBLISHED[known(name, PUBLISHED, "published network")].build()
