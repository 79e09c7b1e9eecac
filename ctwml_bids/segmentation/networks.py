"""Networks by the name that training settings and model cards give them."""

from __future__ import annotations

import copy

from torch import nn

from ctwml_bids.segmentation import plain_unet, uresnet

PLAIN_UNET = "plain-unet"
NAMES = (*uresnet.VARIANTS, PLAIN_UNET)


def build(variant: str, in_channels: int, classes: int) -> nn.Module:
    """Make a network with fresh weights: a uResNet variant, or the plain U-Net."""
    if variant == PLAIN_UNET:
        return plain_unet.PlainUNet(in_channels, classes)
    return uresnet.UResNet(in_channels, classes, variant)


def for_inference(network: nn.Module) -> nn.Module:
    """Return a copy for inference, folded where it can be (see `uresnet.fold`)."""
    if isinstance(network, uresnet.UResNet):
        return uresnet.fold(network)
    return copy.deepcopy(network).eval().requires_grad_(False)


def stride(variant: str) -> int:
    """Return what rows and columns of the input must be multiples of."""
    return plain_unet.STRIDE if variant == PLAIN_UNET else uresnet.STRIDE
