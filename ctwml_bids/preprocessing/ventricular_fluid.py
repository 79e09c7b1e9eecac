"""What is fluid in the ventricles on the network's grid, and so no lesion."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from scipy import ndimage

from ctwml_bids.preprocessing.distances import dilated
from ctwml_bids.preprocessing.grids import Grid
from ctwml_bids.preprocessing.normalisation import to_grid

# The ventricles fill this share of a voxel or more. What they fill less may be a cap or rim.
LEAST_SHARE = 0.5
# On CT a ventricle's border is uncertain where white matter beside it is nearly as dark as fluid.
# So near it (mm) fluid is, averaged over this distance (SD, mm) within the ventricles, no more
# than so many HU above their median. Leukoaraiosis reads 17.5 ± 4.7 HU, CSF 5.
NEAR_BORDER_MM = 3.5
AVERAGED_MM = 2.5
ABOVE_MEDIAN_HU = 2.0
# Ventricles so wide that a ball of this radius (mm) fits leave no doubt: there, up to their border
# as far as this from such a ball, all is fluid.
WIDE_MM, BESIDE_WIDE_MM = 9.0, 2.0
# Air, bone and calcified choroid plexus count as this much (HU).
HU_LIMITS = (-20.0, 60.0)


def ventricular_fluid(
    array: np.ndarray,
    ventricles: nib.Nifti1Image,
    template_to_native: np.ndarray,
    grid: Grid,
    *,
    hounsfield: bool,
) -> np.ndarray:
    """Find the voxels that are surely fluid of the ventricles.

    Parameters
    ----------
    array
        The image on the network's grid, (x, y, z): HU of a CT, intensity of a FLAIR.
    ventricles
        Mask of the ventricles found on that image (`ct_ventricles`, `flair_ventricles`), in the
        image's own space.
    template_to_native
        4×4, RAS mm: points of the grid's space → points of the image.
    grid
        The network's.
    hounsfield
        Whether ``array`` is a CT's. Ventricles of a FLAIR are dark by how they are found, and
        lesions beside them bright.

    Returns
    -------
    numpy.ndarray
        bool, (x, y, z).
    """
    share = to_grid(ventricles, template_to_native, grid, fill=0.0)
    fluid = share >= LEAST_SHARE
    if not hounsfield or not fluid.any():
        return fluid
    hu = np.clip(array, *HU_LIMITS)
    sigma = AVERAGED_MM / grid.spacing
    weight = ndimage.gaussian_filter(fluid.astype(np.float32), sigma)
    mean = ndimage.gaussian_filter(np.where(fluid, hu, 0).astype(np.float32), sigma)
    dark = mean < (np.median(hu[fluid]) + ABOVE_MEDIAN_HU) * weight
    depth = ndimage.distance_transform_edt(fluid, grid.spacing)
    wide = dilated(depth > WIDE_MM, WIDE_MM + BESIDE_WIDE_MM, grid.spacing)
    return fluid & (dark | (depth > NEAR_BORDER_MM) | wide)
