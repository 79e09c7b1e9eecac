"""The lesion networks, each described by one entry; a new one is an entry and its own module.

Nothing here needs torch until a network is built, so that options and reports read the entries.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctwml_bids.errors import BadDataError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ctwml_bids.segmentation.model_card import ModelCard

_GUERRERO = (
    "Guerrero R, Qin C, Oktay O, et al (2018). White matter hyperintensity and stroke lesion "
    "segmentation and differentiation using convolutional neural networks. NeuroImage: Clinical "
    "17:918–934."
)
_ISENSEE = (
    "Isensee F, Jaeger PF, Kohl SAA, Petersen J, Maier-Hein KH (2021). nnU-Net: a "
    "self-configuring method for deep learning-based biomedical image segmentation. Nature Methods "
    "18:203–211."
)


@dataclass(frozen=True)
class Architecture:
    """A kind of network: how it is built, and what else is to be known of it.

    Attributes
    ----------
    name
        In options, plans and model cards.
    kind, label
        For people: what such networks are called in a methods section, and which one it is.
    citation, reference
        For the methods section: the source as cited, and in full.
    build
        ``build(in_channels, classes)`` makes one with fresh weights: (batch, in_channels, rows,
        columns) → logits (batch, classes, rows, columns).
    stride
        Rows and columns of the input must be multiples of this.
    first, head
        Names of the modules that the input passes first and last, folded or not.
    fold
        Makes a copy for inference of fewer layers that computes the same; None where there is no
        such copy.
    checkpoint_gb
        Disk that a network in training needs: up to three checkpoints at a time, each with 16
        bytes a parameter.
    slowness
        Time of a training step, as a multiple of the default network's, at most.
    """

    name: str
    kind: str
    label: str
    citation: str
    reference: str
    build: Callable[[int, int], nn.Module]
    stride: int
    first: str
    head: str
    fold: Callable[[nn.Module], nn.Module] | None = None
    checkpoint_gb: float = 0.1
    slowness: float = 1.0

    def for_inference(self, network: nn.Module) -> nn.Module:
        """Return a copy of a network for inference, folded where it can be."""
        if self.fold is not None:
            return self.fold(network)
        return copy.deepcopy(network).eval().requires_grad_(False)


def _uresnet(variant: str, citation: str) -> Architecture:
    """Describe one reading of uResNet (`uresnet.VARIANTS`)."""

    def build(in_channels: int, classes: int) -> nn.Module:
        from ctwml_bids.segmentation.uresnet import UResNet

        return UResNet(in_channels, classes, variant)

    def fold(network: nn.Module) -> nn.Module:
        from ctwml_bids.segmentation.uresnet import UResNet, fold

        if not isinstance(network, UResNet):
            raise TypeError(f"{type(network).__name__} is no uResNet.")
        return fold(network)

    return Architecture(
        name=variant,
        kind="uResNet",
        label=f"uResNet ({variant})",
        citation=citation,
        reference=_GUERRERO,
        build=build,
        stride=8,  # three 2×2 poolings
        first="encoder.0",
        head="head",
        fold=fold,
    )


def _plain_unet(in_channels: int, classes: int) -> nn.Module:
    from ctwml_bids.segmentation.plain_unet import PlainUNet

    return PlainUNet(in_channels, classes)


# The first is the default.
_ALL = (
    _uresnet("standard", "Guerrero et al. 2018"),
    _uresnet("wide", 'Guerrero et al. 2018, variant "wide"'),
    _uresnet("dropout", 'Guerrero et al. 2018, variant "dropout"'),
    Architecture(
        name="plain-unet",
        kind="plain U-Net",
        label="plain U-Net",
        citation="after Isensee et al. 2021",
        reference=_ISENSEE,
        build=_plain_unet,
        stride=16,
        first="encoder.0",
        head="head",
        checkpoint_gb=0.4,  # 7.8 million parameters; uResNet has 1.1 to 1.7 million
        slowness=1.5,  # from a tenth less to a half more
    ),
)
ARCHITECTURES = {one.name: one for one in _ALL}
DEFAULT = _ALL[0].name


def of_card(card: ModelCard) -> Architecture:
    """Return the architecture that a model card names, or the default one if it names none.

    Raises
    ------
    BadDataError
        If there is no such architecture.
    """
    variant = card.network.get("variant", DEFAULT)
    if variant not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise BadDataError(f"The model {card.name} is a {variant!r} network; known are {known}.")
    return ARCHITECTURES[variant]


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
