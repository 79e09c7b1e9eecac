"""Tell from the shape of a brain whether its image says rightly where up and front are.

A brain is flat below and domed above, narrow in front and wide behind; only left and right look
alike. A header whose axes have a wrong sign, or a patient's position that was stated wrongly, turns
the head over, and the template, which knows the shape, then fits better to the head turned back.
Left and right are not told apart here.
"""

from __future__ import annotations

from functools import lru_cache

import nibabel as nib
import numpy as np

from ctwml_bids.preprocessing.blocks import block_mean
from ctwml_bids.preprocessing.grids import grid_of, image_on
from ctwml_bids.preprocessing.nine_parameters import Surface, searched, surface_of
from ctwml_bids.preprocessing.template_pose import template_brain

# Start rotations that are refined: ways up are some mm apart, so few do.
REFINED = 3
# Finer voxels show no more of a shape at this scale, and take seconds.
BLOCK_MM = 2.0
# Ways to turn a head over. The mirror image of each looks the same to this test: a wrong sign of
# the z axis alone, and a turn by 180 degrees about the front-back axis, are one case.
UPRIGHT = "upright"
TURNS = {
    UPRIGHT: np.diag([1.0, 1.0, 1.0]),
    "upside down": np.diag([1.0, 1.0, -1.0]),
    "upside down and back to front": np.diag([1.0, -1.0, -1.0]),
    "back to front": np.diag([1.0, -1.0, 1.0]),
}


def way_up(mask: nib.Nifti1Image) -> dict[str, float | str]:
    """Compare how the template's brain fits a brain mask as it is, and turned over.

    Parameters
    ----------
    mask
        Brain mask in its image's space (RAS mm as the header has it).

    Returns
    -------
    dict
        ``upright_mm``, mean distance between the brain's and the template's surface as the
        header has the head; ``turned_mm``, the least distance with the head turned over;
        ``turned``, how the head lies if that fit is the right one: ``upside down``,
        ``upside down and back to front`` or ``back to front``.

    Raises
    ------
    BadDataError
        If the mask is empty.
    """
    blocks, grid = block_mean(np.asarray(mask.dataobj) > 0, grid_of(mask), BLOCK_MM)
    coarse = image_on((blocks >= 0.5).astype(np.uint8), grid)
    surface = surface_of(coarse, seed=0)
    distances = {name: _distance(surface, matrix) for name, matrix in TURNS.items()}
    upright = distances.pop(UPRIGHT)
    turned = min(distances, key=lambda name: distances[name])
    return {
        "upright_mm": round(upright, 2),
        "turned_mm": round(distances[turned], 2),
        "turned": turned,
    }


def _distance(surface: Surface, matrix: np.ndarray) -> float:
    """Return the mean distance (mm) of a turned brain and the template's after a quick fit."""
    turn = np.eye(4)
    turn[:3, :3] = matrix
    fit = searched(surface.turned(turn), _template_surface(), refined=REFINED)
    # Its last three residuals are no distances: they hold the scales together.
    return float(np.abs(fit.fun[:-3]).mean())


@lru_cache(maxsize=1)
def _template_surface() -> Surface:
    return surface_of(template_brain(), seed=0)
