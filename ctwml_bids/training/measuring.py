"""What is measured of a unit's out-of-fold lesions, as the participant level measures its own."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from ctwml_bids.bids import names
from ctwml_bids.modality import MODALITIES
from ctwml_bids.preprocessing.ct_quality import ct_quality
from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on, resample
from ctwml_bids.preprocessing.ventricular_fluid import ventricular_fluid
from ctwml_bids.statistics import regions
from ctwml_bids.statistics.gates.gate import Gate
from ctwml_bids.statistics.gates.lesions import lesion_gates
from ctwml_bids.training.heads import Case, image_on_grid, load_mask
from ctwml_bids.training.setup import Training
from ctwml_bids.unit.modalities import FUNCTIONS


def measure(
    case: Case,
    probability: np.ndarray,
    mask: np.ndarray,
    grid: Grid,
    frame: np.ndarray,
    left_out_ml: float,
    training: Training,
) -> tuple[regions.LesionMeasures, list[Gate]]:
    """Measure a unit's WML in its own image and judge them by the gates.

    Parameters
    ----------
    case, training
        The unit; the training that its networks are of.
    probability, mask
        Of WML, (x, y, z) on `grid`, that of the case's image.
    frame
        4×4, RAS mm, template points → points of the image.
    left_out_ml
        What the networks marked in fluid of the ventricles, mL.
    """
    measures = regions.measure(
        mask,
        affine=grid.affine,
        probability=probability,
        brain=on_grid_of(case.brain, grid),
        ventricles=on_grid_of(ventricle_mask_of(case, training), grid),
        left=regions.left_of_midline(grid.shape, grid.affine, np.linalg.inv(frame)),
    )
    return measures, lesion_gates(measures, left_out_ml, image=case.modality.upper())


def dark_unmarked_ml(
    case: Case, infarcts: np.ndarray | None, grid: Grid, frame: np.ndarray, training: Training
) -> float | None:
    """Measure a CT's dark areas that infarcts do not cover, as the participant level does.

    Another template than the packaged one is taken to lie as that one does, as for the midline.
    """
    if infarcts is None or not MODALITIES[case.modality].is_hounsfield:
        return None
    image = FUNCTIONS[case.modality].read(case.images[case.modality], settled=True).image
    working = grid_of(image)
    brain, ventricles = (
        image_on(on_grid_of(path, working).astype(np.uint8), working)
        for path in (case.own_brain or case.brain, ventricle_mask_of(case, training))
    )
    marked = resample(infarcts.astype(np.float32), grid.affine, working) >= 0.5
    return float(ct_quality(image, brain, ventricles, frame, marked)["dark_unmarked_ml"])


def fluid_on_grid(case: Case, frame: np.ndarray, training: Training) -> np.ndarray:
    """Find fluid on the network's grid: no lesion is there, as at the participant level."""
    image = case.images[case.modality]
    return ventricular_fluid(
        image_on_grid(image, case.modality, frame, training.grid),
        load_mask(ventricle_mask_of(case, training)),
        frame,
        training.grid,
        hounsfield=MODALITIES[case.modality].is_hounsfield,
    )


def ventricle_mask_of(case: Case, training: Training) -> Path:
    """Return the file of the lateral ventricles on the case's image."""
    space = case.modality.upper()
    return training.settings.output_dir / names.ventricle_mask(
        case.subject, case.session, space=space
    )


def on_grid_of(path: Path, grid: Grid) -> np.ndarray:
    """Load a mask on a grid that it should have; one of another grid is looked up at its points."""
    return looked_up(load_mask(path), grid)


def looked_up(mask: nib.Nifti1Image, grid: Grid) -> np.ndarray:
    """Return a mask on a grid, bool: as it is, or looked up at the grid's points."""
    array = np.asarray(mask.dataobj)
    if array.shape == grid.shape and np.allclose(mask.affine, grid.affine, atol=1e-3):
        return array > 0
    return resample(array, mask.affine, grid) >= 0.5
