"""Contrasts painted on the template's tissues, and real images under a wrong name."""

from __future__ import annotations

import math
import shutil

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids import templates
from ctwml_bids.errors import BadDataError
from ctwml_bids.interfaces.preprocessing import CheckContrast
from ctwml_bids.preprocessing.flair_brain import flair_mask
from ctwml_bids.preprocessing.flair_contrast import flair_contrast, refuse_other_contrast
from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on, resample
from ctwml_bids.preprocessing.images import read_flair
from ctwml_bids.preprocessing.normalisation import compose, nine_parameter
from ctwml_bids.statistics import fit_gates

# Brightness of white matter, grey matter and fluid.
FLAIR, T1W, T2W = (100.0, 115.0, 25.0), (100.0, 82.0, 25.0), (100.0, 125.0, 260.0)


@pytest.fixture(scope="module")
def packaged():
    files = templates.packaged()
    paths = {"gm": files.gm, "wm": files.wm, "ventricles": files.ventricles}
    return {name: nib.load(path) for name, path in (paths | {"brain": files.brain_mask}).items()}


@pytest.fixture(scope="module")
def tissues(packaged):
    return {name: packaged[name] for name in ("gm", "wm", "ventricles")}


@pytest.fixture(scope="module")
def head(packaged):
    """Paint a head, turned and smaller than the template, on 2 × 2 × 4 mm."""
    matrix = compose((0.9, 0.95, 0.85), (5, -10, 20), np.radians((10, 3, -4)))
    affine = np.diag([-2.0, 2.0, 4.0, 1.0])
    affine[:3, 3] = (95, -120, -60)
    grid = Grid((96, 112, 44), affine)
    back = np.linalg.inv(matrix)
    white, grey, brain = (
        resample(np.asarray(packaged[name].dataobj, np.float32), packaged[name].affine, grid, back)
        for name in ("wm", "gm", "brain")
    )

    def paint(levels, *, lesion_share: float = 0.0, lesion: float = 1.0, scale: float = 1.0):
        of_white, of_grey, fluid = levels
        noise = np.random.default_rng(0)
        values = white * of_white + grey * of_grey + np.clip(1 - white - grey, 0, 1) * fluid
        # Lesions take the upper part of the white matter.
        inside = white > 0.5
        height = np.broadcast_to(np.arange(grid.shape[2]), grid.shape)
        lowest = np.quantile(height[inside], 1 - lesion_share)
        values[inside & (height > lowest)] = of_white * lesion
        values = np.where(brain > 0.5, values, 0) + noise.normal(0, 3, grid.shape)
        mask = image_on((brain > 0.5).astype(np.uint8), grid)
        return image_on((scale * values).astype(np.float32), grid), mask, matrix

    return paint


def test_ratios_are_those_that_were_painted_whatever_the_scale(head, tissues):
    first, second = (flair_contrast(*head(FLAIR, scale=s), tissues) for s in (1.0, 1e-4))
    # Both are mixed with what lies beside them.
    assert 1.03 < first["grey_to_white"] < 1.15
    assert 0.25 < first["fluid_to_white"] < 0.55
    for name, value in first.items():
        assert second[name] == pytest.approx(value, abs=0.02)
    refuse_other_contrast(first, "sub-01_FLAIR.nii.gz")


@pytest.mark.parametrize(
    ("levels", "found"),
    [(T1W, "grey matter is darker than white.*T1w"), (T2W, "fluid in the ventricles.*T2w")],
    ids=["T1w", "T2w"],
)
def test_other_contrasts_are_refused_with_what_was_found(head, tissues, levels, found):
    facts = flair_contrast(*head(levels), tissues)
    with pytest.raises(BadDataError, match=rf"sub-01_FLAIR\.nii\.gz.*{found}.*Name the image"):
        refuse_other_contrast(facts, "sub-01_FLAIR.nii.gz")


def test_a_flair_whose_white_matter_is_mostly_lesion_is_told_but_not_refused(head, tissues):
    facts = flair_contrast(*head(FLAIR, lesion_share=0.6, lesion=1.6), tissues)
    assert facts["grey_to_white"] < 0.9
    refuse_other_contrast(facts, "a.nii")
    gate = fit_gates.flair_contrast(facts["grey_to_white"], facts["fluid_to_white"])
    assert gate.status == "warn"


def test_what_cannot_be_seen_refuses_nothing(head, tissues):
    image, mask, matrix = head(T1W)
    empty = image_on(np.zeros(mask.shape, np.uint8), grid_of(mask))
    facts = flair_contrast(image, empty, matrix, tissues)
    assert all(math.isnan(value) for value in facts.values())
    refuse_other_contrast(facts, "a.nii")
    assert fit_gates.flair_contrast(math.nan, math.nan).status == "warn"


@pytest.mark.parametrize("kind", ["FLAIR", "T1w", "T2w"])
def test_real_images_called_flair(bids_real, packaged, tmp_path, kind):
    path = tmp_path / "sub-01_FLAIR.nii.gz"
    shutil.copy(bids_real / f"sub-lj07/anat/sub-lj07_{kind}.nii.gz", path)
    image = read_flair(path).image
    # Already brain-extracted, so that no network is asked.
    mask = flair_mask(image, None).mask
    matrix = nine_parameter(mask, packaged["brain"], seed=1)
    files = templates.packaged()
    image.to_filename(tmp_path / "image.nii")
    mask.to_filename(tmp_path / "mask.nii")
    np.savetxt(tmp_path / "matrix.txt", matrix)
    check = CheckContrast(
        in_file=str(tmp_path / "image.nii"),
        source=str(path),
        mask=str(tmp_path / "mask.nii"),
        guide_to_native=str(tmp_path / "matrix.txt"),
        guide_gm=str(files.gm),
        guide_wm=str(files.wm),
        guide_ventricles=str(files.ventricles),
    )
    if kind == "FLAIR":
        check.run(cwd=str(tmp_path))
    else:
        with pytest.raises(BadDataError, match=f"{path.name}.*as on a {kind} image"):
            check.run(cwd=str(tmp_path))
