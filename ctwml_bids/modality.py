"""The two modalities as plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Modality:
    """What is fixed of a kind of image.

    Attributes
    ----------
    name
        In settings, columns and ``desc-``.
    fill
        Value of what lies outside the image: air on CT, in HU.
    channels
        What the shipped networks see of it (`segmentation.inputs`).
    """

    name: str
    fill: float
    channels: tuple[str, ...]


CT = Modality("ct", fill=-1000.0, channels=("zscore", "hu"))
FLAIR = Modality("flair", fill=0.0, channels=("zscore",))
MODALITIES = {modality.name: modality for modality in (CT, FLAIR)}
