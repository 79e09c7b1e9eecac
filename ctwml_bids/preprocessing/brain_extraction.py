"""Brain masks of CT and FLAIR; the methods are in a module each."""

from __future__ import annotations

from ctwml_bids.preprocessing.brain_masks import BrainMask
from ctwml_bids.preprocessing.ct_brain import ct_mask
from ctwml_bids.preprocessing.flair_brain import flair_mask

__all__ = ["BrainMask", "ct_mask", "flair_mask"]
