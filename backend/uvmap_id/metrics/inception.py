"""Inception v3 as the Inception Score and the FID know it: TensorFlow's network of December 2015, in PyTorch's terms.

It differs from the network of the paper (Szegedy et al. 2016) in three ways: 1008 classes, means over the border's own
pixels only, and a maximum in place of the mean in the last block. Names are those of the published state dictionary.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.weights.tensors import read_tensors

SIDE = 299
CLASSES = 1008
_EPSILON = 1e-3
_COUNTER = "num_batches_tracked"
_REPAIR = "Get it again: uvmap-id weights get inception-v3-fid"


class Convolution(nn.Module):
    """Convolution without a bias, batch norm, ReLU."""

    def __init__(
        self, inner: int, out: int, kernel: int | tuple[int, int], stride: int = 1, padding: int | tuple[int, int] = 0
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inner, out, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=_EPSILON)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H', W')."""
        return functional.relu(self.bn(self.conv(features)), inplace=True)


def row(inner: int, out: int, length: int) -> Convolution:
    """A convolution along the rows."""
    return Convolution(inner, out, (1, length), padding=(0, length // 2))


def column(inner: int, out: int, length: int) -> Convolution:
    """A convolution along the columns."""
    return Convolution(inner, out, (length, 1), padding=(length // 2, 0))


def _mean(features: Tensor) -> Tensor:
    return functional.avg_pool2d(features, 3, stride=1, padding=1, count_include_pad=False)


class BlockA(nn.Module):
    """35 x 35: 1 x 1, 5 x 5, twice 3 x 3, and the mean."""

    def __init__(self, inner: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = Convolution(inner, 64, 1)
        self.branch5x5_1 = Convolution(inner, 48, 1)
        self.branch5x5_2 = Convolution(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = Convolution(inner, 64, 1)
        self.branch3x3dbl_2 = Convolution(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Convolution(96, 96, 3, padding=1)
        self.branch_pool = Convolution(inner, pooled, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) to (N, 224 + pooled, H, W)."""
        wide = self.branch5x5_2(self.branch5x5_1(features))
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(features)))
        return torch.cat([self.branch1x1(features), wide, double, self.branch_pool(_mean(features))], dim=1)


class BlockB(nn.Module):
    """35 x 35 to 17 x 17."""

    def __init__(self, inner: int) -> None:
        super().__init__()
        self.branch3x3 = Convolution(inner, 384, 3, stride=2)
        self.branch3x3dbl_1 = Convolution(inner, 64, 1)
        self.branch3x3dbl_2 = Convolution(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Convolution(96, 96, 3, stride=2)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C + 480, H / 2, W / 2)."""
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(features)))
        return torch.cat([self.branch3x3(features), double, functional.max_pool2d(features, 3, stride=2)], dim=1)


class BlockC(nn.Module):
    """17 x 17: 7 x 7 in two steps, and in four."""

    def __init__(self, inner: int, width: int) -> None:
        super().__init__()
        self.branch1x1 = Convolution(inner, 192, 1)
        self.branch7x7_1 = Convolution(inner, width, 1)
        self.branch7x7_2 = row(width, width, 7)
        self.branch7x7_3 = column(width, 192, 7)
        self.branch7x7dbl_1 = Convolution(inner, width, 1)
        self.branch7x7dbl_2 = column(width, width, 7)
        self.branch7x7dbl_3 = row(width, width, 7)
        self.branch7x7dbl_4 = column(width, width, 7)
        self.branch7x7dbl_5 = row(width, 192, 7)
        self.branch_pool = Convolution(inner, 192, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) to (N, 768, H, W)."""
        once = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(features)))
        twice = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(features)))
        twice = self.branch7x7dbl_5(self.branch7x7dbl_4(twice))
        return torch.cat([self.branch1x1(features), once, twice, self.branch_pool(_mean(features))], dim=1)


class BlockD(nn.Module):
    """17 x 17 to 8 x 8."""

    def __init__(self, inner: int) -> None:
        super().__init__()
        self.branch3x3_1 = Convolution(inner, 192, 1)
        self.branch3x3_2 = Convolution(192, 320, 3, stride=2)
        self.branch7x7x3_1 = Convolution(inner, 192, 1)
        self.branch7x7x3_2 = row(192, 192, 7)
        self.branch7x7x3_3 = column(192, 192, 7)
        self.branch7x7x3_4 = Convolution(192, 192, 3, stride=2)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C + 512, H / 2, W / 2)."""
        small = self.branch3x3_2(self.branch3x3_1(features))
        large = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(features)))
        return torch.cat([small, self.branch7x7x3_4(large), functional.max_pool2d(features, 3, stride=2)], dim=1)


class BlockE(nn.Module):
    """8 x 8: branches that end in a row and a column side by side."""

    def __init__(self, inner: int, *, maximum: bool) -> None:
        super().__init__()
        self._maximum = maximum
        self.branch1x1 = Convolution(inner, 320, 1)
        self.branch3x3_1 = Convolution(inner, 384, 1)
        self.branch3x3_2a = row(384, 384, 3)
        self.branch3x3_2b = column(384, 384, 3)
        self.branch3x3dbl_1 = Convolution(inner, 448, 1)
        self.branch3x3dbl_2 = Convolution(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = row(384, 384, 3)
        self.branch3x3dbl_3b = column(384, 384, 3)
        self.branch_pool = Convolution(inner, 192, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) to (N, 2048, H, W)."""
        once = self.branch3x3_1(features)
        twice = self.branch3x3dbl_2(self.branch3x3dbl_1(features))
        pooled = functional.max_pool2d(features, 3, stride=1, padding=1) if self._maximum else _mean(features)
        branches = [
            *(self.branch1x1(features), self.branch3x3_2a(once), self.branch3x3_2b(once)),
            *(self.branch3x3dbl_3a(twice), self.branch3x3dbl_3b(twice), self.branch_pool(pooled)),
        ]
        return torch.cat(branches, dim=1)


class InceptionV3(nn.Module):
    """Pictures to the scores of 1008 classes, without the bias, as the Inception Score was first computed."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Convolution(32, 32, 3)
        self.Conv2d_2b_3x3 = Convolution(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Convolution(64, 80, 1)
        self.Conv2d_4a_3x3 = Convolution(80, 192, 3)
        self.Mixed_5b = BlockA(192, 32)
        self.Mixed_5c = BlockA(256, 64)
        self.Mixed_5d = BlockA(288, 64)
        self.Mixed_6a = BlockB(288)
        self.Mixed_6b = BlockC(768, 128)
        self.Mixed_6c = BlockC(768, 160)
        self.Mixed_6d = BlockC(768, 160)
        self.Mixed_6e = BlockC(768, 192)
        self.Mixed_7a = BlockD(768)
        self.Mixed_7b = BlockE(1280, maximum=False)
        self.Mixed_7c = BlockE(2048, maximum=True)
        self.fc = nn.Linear(2048, CLASSES)

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, 1008) scores of (N, 3, 299, 299) uint8 sRGB."""
        return functional.linear(self.features(pictures), self.fc.weight).double()

    def features(self, pictures: Tensor) -> Tensor:
        """(N, 2048) of (N, 3, 299, 299) uint8 sRGB; TensorFlow's graph begins with (x - 128) / 128."""
        found = self._stem((pictures.to(self.fc.weight.dtype) - 128) / 128)
        for name, block in self.named_children():
            if name.startswith("Mixed_"):
                found = block(found)
        return found.mean(dim=(2, 3))

    def _stem(self, pictures: Tensor) -> Tensor:
        found = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(pictures)))
        found = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(functional.max_pool2d(found, 3, stride=2)))
        return functional.max_pool2d(found, 3, stride=2)


def load_inception(file: Path) -> InceptionV3:
    """The network with the weights of a file, in evaluation mode.

    Raises:
        UVMapError: weights_missing, weights_incomplete, weights_invalid: the file is not this network's, with the
            tensor that is missing, unknown or of another shape.
    """
    tensors = {name: tensor for name, tensor in read_tensors([file]).items() if not name.endswith(_COUNTER)}
    with torch.device("meta"):
        network = InceptionV3()
    wanted = {name: tensor for name, tensor in network.state_dict().items() if not name.endswith(_COUNTER)}
    for name, tensor in wanted.items():
        if name not in tensors:
            raise _invalid(file, f"it lacks {name}")
        if tensors[name].shape != tensor.shape:
            raise _invalid(file, f"{name} is {tuple(tensors[name].shape)} and not {tuple(tensor.shape)}")
        if not tensors[name].isfinite().all():
            raise _invalid(file, f"{name} holds numbers that are not finite")
    if unknown := sorted(set(tensors) - set(wanted)):
        raise _invalid(file, f"it holds {unknown[0]}, which is no part of it")
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, strict=False, assign=True)
    for name, buffer in list(network.named_buffers()):
        if name.endswith(_COUNTER):
            owner, _, last = name.rpartition(".")
            setattr(network.get_submodule(owner), last, torch.zeros((), dtype=buffer.dtype))
    return network.eval().requires_grad_(False)


def _invalid(file: Path, why: str) -> UVMapError:
    return UVMapError(ErrorCode.WEIGHTS_INVALID, f"{file} is not Inception v3 of the FID: {why}.", _REPAIR)
