"""The functions that serve each modality."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import nibabel as nib
import numpy as np

from ctwml_bids.preprocessing.brain_border import BrainMask
from ctwml_bids.preprocessing.ct_brain import ct_mask
from ctwml_bids.preprocessing.flair_brain import flair_mask
from ctwml_bids.preprocessing.flair_ventricles import flair_ventricles
from ctwml_bids.preprocessing.hounsfield import read_ct
from ctwml_bids.preprocessing.images import LoadedImage, read_flair
from ctwml_bids.preprocessing.ventricles import ct_ventricles

Image = nib.Nifti1Image


@dataclass(frozen=True)
class Functions:
    """How an image of a modality is read, and what is found on it.

    Attributes
    ----------
    read
        As `read_ct`.
    find_brain
        Image, threads → brain mask.
    find_ventricles
        As `ct_ventricles`.
    """

    read: Callable[..., LoadedImage]
    find_brain: Callable[[Image, int], BrainMask]
    find_ventricles: Callable[[Image, Image, np.ndarray, Image], Image]


def _ct_brain(image: Image, threads: int) -> BrainMask:
    return ct_mask(image)


def _flair_brain(image: Image, threads: int) -> BrainMask:
    # It imports torch, which takes seconds.
    from ctwml_bids.segmentation import brain_network

    return flair_mask(image, brain_network.predictor(threads=threads))


FUNCTIONS = {
    "ct": Functions(read_ct, _ct_brain, ct_ventricles),
    "flair": Functions(read_flair, _flair_brain, flair_ventricles),
}
