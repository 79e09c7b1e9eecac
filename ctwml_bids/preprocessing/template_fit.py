"""How well the template's brain, carried by nine parameters, fits the native brain."""

from __future__ import annotations

import nibabel as nib
import numpy as np

from ctwml_bids.preprocessing.grids import grid_of, resample
from ctwml_bids.preprocessing.nine_parameters import decompose


def template_fit(
    mask: nib.Nifti1Image, template_mask: nib.Nifti1Image, template_to_native: np.ndarray
) -> tuple[np.ndarray, dict]:
    """Carry the template's brain mask to the native image and compare.

    Parameters
    ----------
    mask
        Native brain mask.
    template_mask
        Brain mask of the template.
    template_to_native
        4×4, RAS mm (`nine_parameter`).

    Returns
    -------
    numpy.ndarray
        bool, the template's brain on the native grid. Where the image ends so does the template:
        a cut brain is no misfit.
    dict
        ``dice`` of both masks, on the native grid; ``scales``, three, along the template's axes:
        native over template; ``rotations_degrees``.
    """
    carried = resample(
        np.asarray(template_mask.dataobj, dtype=np.float32),
        template_mask.affine,
        grid_of(mask),
        np.linalg.inv(template_to_native),
    )
    template, native = carried >= 0.5, np.asarray(mask.dataobj) > 0
    both = 2 * int(np.count_nonzero(template & native))
    total = np.count_nonzero(template) + np.count_nonzero(native)
    scales, _, rotations, _ = decompose(template_to_native)
    return template, {
        "dice": round(float(both) / np.maximum(total, 1), 4),
        "scales": [round(float(scale), 3) for scale in scales],
        "rotations_degrees": [round(float(angle), 1) for angle in np.degrees(rotations)],
    }
