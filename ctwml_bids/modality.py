"""The two modalities as plain data; `unit.modalities` has the functions that serve them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Modality:
    """What is fixed of a kind of image.

    Attributes
    ----------
    name
        In settings, columns and ``desc-``; in upper case in ``space-`` and in sentences.
    suffixes
        Of file names.
    is_hounsfield
        Whether its values are HU.
    fill
        Value of what lies outside the image: air on CT, in HU.
    channels
        What the shipped networks see of it (`segmentation.inputs`).
    model
        The shipped model that segments it unless another is asked for.
    """

    name: str
    suffixes: tuple[str, ...]
    is_hounsfield: bool
    fill: float
    channels: tuple[str, ...]
    model: str


CT = Modality("ct", ("ct", "CT"), True, -1000.0, ("zscore", "hu"), "ct-sim7")
FLAIR = Modality("flair", ("FLAIR",), False, 0.0, ("zscore",), "flair-sim5")
MODALITIES = {modality.name: modality for modality in (CT, FLAIR)}
# Their names, in the order in which a unit's images come everywhere.
IMAGES = tuple(MODALITIES)
# Of a pair, by name.
OTHER = {CT.name: FLAIR.name, FLAIR.name: CT.name}
