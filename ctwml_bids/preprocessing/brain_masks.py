"""What a brain extraction returns, for CT and for FLAIR."""

from __future__ import annotations

from dataclasses import dataclass, field

import nibabel as nib


@dataclass(frozen=True)
class BrainMask:
    """A brain mask and what was noticed while making it.

    The mask is parenchyma with ventricles and sulci, cerebellum included, and the brainstem
    down to the foramen magnum.

    Attributes
    ----------
    mask
        uint8, 1 inside, on the grid of the image it was made from.
    facts
        JSON-able numbers and strings for quality control and provenance.
    """

    mask: nib.Nifti1Image
    facts: dict = field(default_factory=dict)
