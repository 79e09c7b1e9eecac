"""What maps of a class of lesions are called, in names and in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from ctwml_bids.bids import names


@dataclass(frozen=True)
class LesionMaps:
    """Names and words of one class.

    Attributes
    ----------
    name
        Names its maps.
    plural
        What its masks show, as at the beginning of a sentence.
    probability
        What its other maps are of, within a sentence.
    """

    name: Callable[..., PurePosixPath]
    plural: str
    probability: str


OF_WML = LesionMaps(names.wml, "White matter lesions", "probability of white matter lesion")
OF_INFARCTS = LesionMaps(names.infarct, "Infarcts", "probability of infarct")
