"""Networks by the name that training settings and model cards give them."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from torch import Tensor, nn

from ctwml_bids.errors import BadDataError
from ctwml_bids.segmentation import plain_unet, uresnet

PLAIN_UNET = "plain-unet"
NAMES = (*uresnet.VARIANTS, PLAIN_UNET)


def build(variant: str, in_channels: int, classes: int) -> nn.Module:
    """Make a network with fresh weights: a uResNet variant, or the plain U-Net."""
    if variant == PLAIN_UNET:
        return plain_unet.PlainUNet(in_channels, classes)
    return uresnet.UResNet(in_channels, classes, variant)


def load(network: nn.Module, weights: Mapping[str, Tensor], source: object) -> None:
    """Put weights into a network; counters of batches, which decide nothing, may be missing.

    Raises
    ------
    BadDataError
        If they do not fit; the message names their ``source``.
    """
    try:
        missing, unexpected = network.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise BadDataError(f"{source} does not fit the network of its card: {error}") from error
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise BadDataError(
            f"{source} does not fit the network of its card: "
            f"{len(missing)} arrays are missing, {len(unexpected)} unknown."
        )


def for_inference(network: nn.Module) -> nn.Module:
    """Return a copy for inference, folded where it can be (see `uresnet.fold`)."""
    if isinstance(network, uresnet.UResNet):
        return uresnet.fold(network)
    return copy.deepcopy(network).eval().requires_grad_(False)


def stride(variant: str) -> int:
    """Return what rows and columns of the input must be multiples of."""
    return plain_unet.STRIDE if variant == PLAIN_UNET else uresnet.STRIDE
