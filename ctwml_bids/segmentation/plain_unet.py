"""A plain 2D U-Net as nnU-Net builds it (Isensee et al. 2021), to compare uResNet with.

Two 3×3 convolutions a level, each with a norm and a leaky ReLU; strided convolutions down,
transposed ones up, skips concatenated. Batch norm stands in for nnU-Net's instance norm: patches
are smaller than the slices that are segmented, and an instance's statistics differ between both.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

WIDTHS = (32, 64, 128, 256, 512)
_SLOPE = 0.01  # of the leaky ReLU


class PlainUNet(nn.Module):
    """(batch, in_channels, rows, columns) → logits (batch, classes, rows, columns).

    Rows and columns must be multiples of 16.

    Parameters
    ----------
    in_channels, classes
        Number of input images and of output classes (background first).
    """

    def __init__(self, in_channels: int = 1, classes: int = 2):
        super().__init__()
        inputs = (in_channels, *WIDTHS[:-1])
        self.encoder = nn.ModuleList(
            _pair(i, o, stride=1 if level == 0 else 2)
            for level, (i, o) in enumerate(zip(inputs, WIDTHS, strict=True))
        )
        deepest_first = list(zip(WIDTHS[:0:-1], WIDTHS[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(i, o, 2, stride=2) for i, o in deepest_first)
        self.decoder = nn.ModuleList(_pair(2 * o, o, stride=1) for _, o in deepest_first)
        self.head = nn.Conv2d(WIDTHS[0], classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of every class at every pixel."""
        skips = []
        for level in self.encoder:
            x = level(x)
            skips.append(x)
        for up, level, skip in zip(self.up, self.decoder, reversed(skips[:-1]), strict=True):
            x = level(torch.cat([up(x), skip], dim=1))
        return self.head(x)


def _pair(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        *_convolution(in_channels, out_channels, stride), *_convolution(out_channels, out_channels)
    )


def _convolution(in_channels: int, out_channels: int, stride: int = 1) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(_SLOPE, inplace=True),
    )
