"""Inference: the mean and the spread of an ensemble's probabilities of WML and of infarcts."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ctwml_bids.errors import BadDataError
from ctwml_bids.geometry import bounding_box
from ctwml_bids.segmentation import model_store, networks
from ctwml_bids.segmentation.classes import INFARCT, WML, exclusive_masks
from ctwml_bids.segmentation.inputs import with_neighbours
from ctwml_bids.segmentation.islands import outside_white_matter, small_regions
from ctwml_bids.segmentation.model_card import ModelCard
from ctwml_bids.segmentation.precision import choose, cpu_threads, name_of

# Axial slices that pass through a network together; bounds the memory, too.
_TOGETHER = 4
# Voxels of background around their brain: with none the networks see less well along its edge.
_MARGIN = 8

Region = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Ensemble:
    """Networks that were trained alike, folded for inference, and their card."""

    card: ModelCard
    members: tuple[nn.Module, ...]


@dataclass(frozen=True)
class InfarctPrediction:
    """What an ensemble says of infarcts, on the grid of its input.

    Attributes
    ----------
    probability
        Mean probability over the members, float32, (x, y, z); 0 outside the brain and in fluid.
    disagreement
        Population SD over the members, likewise; 0 everywhere with a single member.
    fluid
        Mean infarct probability that was left out because it lies in fluid of the ventricles,
        likewise, but for voxels that would be of WML.
    small
        Mean infarct probability of the regions of the mask that were left out because they are
        small, likewise; 0 everywhere else.
    """

    probability: np.ndarray
    disagreement: np.ndarray
    fluid: np.ndarray
    small: np.ndarray


@dataclass(frozen=True)
class Prediction:
    """What an ensemble says, on the grid of its input.

    Attributes
    ----------
    probability
        Mean WML probability over the members, float32, (x, y, z); 0 outside the brain, in
        fluid and in `islands`.
    disagreement
        Population SD over the members, likewise; 0 everywhere with a single member.
    islands
        Mean WML probability of the small regions that were left out because they lie outside
        the white matter, likewise; 0 everywhere else.
    fluid
        Mean WML probability that was left out because it lies in fluid of the ventricles,
        likewise, but for voxels that would be an infarct's.
    precision
        What the convolutions ran in: "float32" or "bfloat16".
    infarct
        Of infarcts; None where the networks have no such class.
    """

    probability: np.ndarray
    disagreement: np.ndarray
    islands: np.ndarray
    fluid: np.ndarray
    precision: str
    infarct: InfarctPrediction | None = None


def load(folder: Path) -> Ensemble:
    """Load a model; its checksums are verified first.

    Raises
    ------
    NoInputError
        If a file is missing.
    BadDataError
        If a file is damaged, foreign, or does not fit the network that the card names.
    """
    card = model_store.load_card(folder)
    members = []
    for path in (Path(folder) / member.file for member in card.members):
        arrays = model_store.load_weights(path)
        weights = {name: torch.from_numpy(array) for name, array in arrays.items()}
        members.append(_member(card, weights, path))
    return Ensemble(card, tuple(members))


def from_weights(card: ModelCard, weights: Sequence[Mapping[str, Tensor]], source: str) -> Ensemble:
    """Make an ensemble of networks that are in memory; the card's members are not looked at."""
    return Ensemble(card, tuple(_member(card, arrays, source) for arrays in weights))


def _member(card: ModelCard, weights: Mapping[str, Tensor], source: object) -> nn.Module:
    architecture = networks.of_card(card)
    network = architecture.build(card.network["in_channels"], card.network["classes"])
    networks.load(network, weights, source)
    return architecture.for_inference(network)


def predict(
    ensemble: Ensemble,
    channels: np.ndarray,
    *,
    white_matter: np.ndarray | None = None,
    fluid: np.ndarray | None = None,
    device: str = "cpu",
    threads: int = 1,
    precision: str = "auto",
) -> Prediction:
    """Segment one head.

    Axial slices pass whole through every network, a few at a time, cropped to their brain with a
    margin and padded with the background to the multiples that the network needs, each with as
    many neighbours above and below as the card says. The same input and number of threads give
    the same result. In bfloat16 the probabilities differ from float32 by some thousandths
    (``benchmarks/inference_precision.py``).

    Parameters
    ----------
    ensemble
        From `load`.
    channels
        (channels, x, y, z) float32 as the card names them; the background outside the brain.
    white_matter
        Where white matter may be, on the same grid (`normalisation.white_matter_on_grid`); needed
        where the card has an `island_share`.
    fluid
        Where fluid of the ventricles surely is, bool, on the same grid (`ventricular_fluid`): no
        lesion is there. None: nothing is known of it.
    device
        "cpu", "cuda" or "cuda:N".
    threads
        CPU threads.
    precision
        "auto" (bfloat16 where the device has it), "float32" or "bfloat16".

    Raises
    ------
    BadDataError
        If the channels are not those of the card, or there is no brain in them.
    ValueError
        If the card needs the white matter, and it is not given.
    """
    card = ensemble.card
    if card.island_share is not None and white_matter is None:
        raise ValueError(f"The model {card.name} needs the template's white matter.")
    if channels.ndim != 4 or channels.shape[0] != len(card.channels):
        raise BadDataError(
            f"The model {card.name} takes the channels {', '.join(card.channels)} on a 3D grid; "
            f"the array has the shape {channels.shape}."
        )
    inside: np.ndarray = np.any(channels > card.background, axis=0)
    if not inside.any():
        raise BadDataError("There is no brain in the input of the network.")
    box = bounding_box(inside)
    around = ((_MARGIN, _MARGIN), (_MARGIN, _MARGIN), (0, 0))
    brain = np.pad(inside[box], around)
    head = np.pad(channels[(slice(None), *box)], ((0, 0), *around), constant_values=card.background)
    head = with_neighbours(head, card.context, card.background)
    architecture = networks.of_card(card)
    parts = [
        (region, _padded_slices(head[(slice(None), *region)], card.background, architecture.stride))
        for region in _regions(brain)
    ]
    dtype = choose(precision, device)
    # (members, lesion classes, x, y, z)
    members = np.zeros(
        (len(ensemble.members), len(card.classes) - 1, *brain.shape), dtype=np.float32
    )
    with cpu_threads(threads), torch.inference_mode():
        for found, network in zip(members, ensemble.members, strict=True):
            network = _on_device(network, architecture, device, dtype)
            _segment(network, parts, found, device, card.flip)
    members = members[:, :, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    means, spreads = np.zeros((2, members.shape[1], *inside.shape), dtype=np.float32)
    means[:, *box], spreads[:, *box] = members.mean(axis=0), members.std(axis=0)
    means[:, ~inside] = spreads[:, ~inside] = 0
    probability, disagreement = means[WML - 1], spreads[WML - 1]
    in_fluid, infarct = np.zeros_like(probability), None
    if card.has_infarcts:
        infarct = InfarctPrediction(
            means[INFARCT - 1],
            spreads[INFARCT - 1],
            fluid=np.zeros_like(probability),
            small=np.zeros_like(probability),
        )
    if fluid is not None:
        in_fluid[fluid] = _without_infarcts(card, probability, infarct)[fluid]
        if infarct is not None:
            is_wml, _ = _masks(card, probability, infarct)
            left_out = fluid & ~is_wml
            infarct.fluid[left_out] = infarct.probability[left_out]
        means[:, fluid] = spreads[:, fluid] = 0
    voxel_ml = float(np.prod(card.grid_spacing_mm)) / 1000
    _, is_infarct = _masks(card, probability, infarct)
    if infarct is not None and is_infarct is not None and card.infarct_least_ml is not None:
        small = small_regions(is_infarct, card.infarct_least_ml, voxel_ml)
        infarct.small[small] = infarct.probability[small]
        infarct.probability[small] = infarct.disagreement[small] = 0
    islands = np.zeros_like(probability)
    if card.island_share is not None and white_matter is not None:
        outside = outside_white_matter(
            _without_infarcts(card, probability, infarct),
            white_matter,
            share=card.island_share,
            threshold=card.threshold,
            voxel_ml=voxel_ml,
        )
        islands[outside] = probability[outside]
        probability[outside] = disagreement[outside] = 0
    return Prediction(probability, disagreement, islands, in_fluid, name_of(dtype), infarct)


def masks(card: ModelCard, said: Prediction) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the masks of WML and of infarcts by the card's thresholds (`exclusive_masks`)."""
    return _masks(card, said.probability, said.infarct)


def _masks(
    card: ModelCard, probability: np.ndarray, infarct: InfarctPrediction | None
) -> tuple[np.ndarray, np.ndarray | None]:
    return exclusive_masks(
        probability,
        card.threshold,
        None if infarct is None else infarct.probability,
        card.infarct_threshold,
    )


def _without_infarcts(
    card: ModelCard, probability: np.ndarray, infarct: InfarctPrediction | None
) -> np.ndarray:
    """Return the WML probability without the voxels that are an infarct's."""
    _, is_infarct = _masks(card, probability, infarct)
    return probability if is_infarct is None else np.where(is_infarct, 0, probability)


def _regions(brain: np.ndarray) -> Iterator[Region]:
    """Yield a few slices at a time, cropped to their brain with the margin; ``brain`` has room."""
    for first in range(0, brain.shape[2], _TOGETHER):
        part = slice(first, min(first + _TOGETHER, brain.shape[2]))
        if brain[:, :, part].any():
            x, y, _ = bounding_box(brain[:, :, part])
            yield (
                slice(x.start - _MARGIN, x.stop + _MARGIN),
                slice(y.start - _MARGIN, y.stop + _MARGIN),
                part,
            )


def _padded_slices(channels: np.ndarray, background: float, stride: int) -> Tensor:
    """(channels, x, y, z) → (z, channels, x, y), x and y padded at their ends to multiples."""
    pad = [(0, 0), *((0, -extent % stride) for extent in channels.shape[1:3]), (0, 0)]
    padded = np.pad(channels, pad, constant_values=background)
    return torch.from_numpy(np.ascontiguousarray(padded.transpose(3, 0, 1, 2), dtype=np.float32))


def _on_device(
    network: nn.Module, architecture: networks.Architecture, device: str, dtype: torch.dtype
) -> nn.Module:
    """Return a copy of a network on the device, its convolutions in ``dtype``.

    Input, first element, logits and softmax are in float32 whatever the convolutions between them
    run in: these two ends cost a hundredth of the work and most of the rounding.
    """
    # A copy: Module.to works in place, and a return from bfloat16 would not restore the weights.
    network = copy.deepcopy(network)
    # torch's own annotation of Module.to leaves memory_format out.
    network.to(device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if dtype is not torch.float32:
        first, head = (network.get_submodule(n) for n in (architecture.first, architecture.head))
        first.float().register_forward_hook(lambda _, __, x: x.to(dtype))
        head.float().register_forward_pre_hook(lambda _, x: x[0].float())
    return network


def _segment(
    network: nn.Module,
    parts: Sequence[tuple[Region, Tensor]],
    found: np.ndarray,
    device: str,
    flip: bool,
) -> None:
    """Write one network's probability of each lesion class, (lesion classes, x, y, z).

    With ``flip`` it is averaged with the mirror image's.
    """
    for region, slices in parts:
        x = slices.to(device, memory_format=torch.channels_last)
        probability = network(x).softmax(1)[:, 1:]
        if flip:
            mirrored = network(x.flip(2)).softmax(1)[:, 1:].flip(2)
            probability = (probability + mirrored) / 2
        rows, columns, _ = (part.stop - part.start for part in region)
        # (z, class, x, y) → (class, x, y, z), padding cut off
        inside = probability[:, :, :rows, :columns].cpu().numpy()
        found[:, *region] = inside.transpose(1, 2, 3, 0)
