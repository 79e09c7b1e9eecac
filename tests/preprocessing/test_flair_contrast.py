"""Contrasts painted on the template's tissues, and real images under a wrong name."""

from __future__ import annotations

import math
import shutil

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids import templates
from ctwml_bids.interfaces.preprocessing import MeasureContrast
from ctwml_bids.preprocessing.flair_brain import flair_mask
from ctwml_bids.preprocessing.flair_contrast import flair_contrast
from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on, resample
from ctwml_bids.preprocessing.images import read_flair
from ctwml_bids.preprocessing.nine_parameters import compose, nine_parameter
from ctwml_bids.statistics.gates import flair
from ctwml_bids.unit.records import Brain, Head, Maps, Read
from ctwml_bids.unit.work_files import load_facts
from tests.unit.facts import guide_files

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


def judged(facts):
    return flair.flair_contrast(**facts).status


def test_ratios_are_those_that_were_painted_whatever_the_scale(head, tissues):
    first, second = (flair_contrast(*head(FLAIR, scale=s), tissues) for s in (1.0, 1e-4))
    # Both are mixed with what lies beside them.
    assert 1.03 < first["grey_to_white"] < 1.15
    assert 0.25 < first["fluid_to_white"] < 0.55
    for name, value in first.items():
        assert second[name] == pytest.approx(value, abs=0.02)
    assert judged(first) == "pass"


@pytest.mark.parametrize(
    ("levels", "found"),
    [(T1W, "as on a T1w image"), (T2W, "as on a T2w image")],
    ids=["T1w", "T2w"],
)
def test_other_contrasts_fail_and_are_named(head, tissues, levels, found):
    gate = flair.flair_contrast(**flair_contrast(*head(levels), tissues))
    assert gate.status == "fail"
    assert found in gate.message


@pytest.mark.parametrize("levels", [FLAIR, T1W, T2W], ids=["FLAIR", "T1w", "T2w"])
@pytest.mark.parametrize("low", [-300.0, -3000.0, -30000.0])
@pytest.mark.parametrize("count", [1, 40])
def test_bad_voxels_below_change_no_ratio(head, tissues, levels, low, count):
    image, mask, matrix = head(levels)
    plain = flair_contrast(image, mask, matrix, tissues)
    values = np.asarray(image.dataobj).copy()
    values[2, 2:42, 2][:count] = low
    found = flair_contrast(image_on(values, grid_of(image)), mask, matrix, tissues)
    assert found == pytest.approx(plain, abs=0.001)
    assert judged(found) == judged(plain)


def upper_white(image, mask, matrix, packaged, share: float):
    """Mask the upper part of the white matter, where `head` paints lesions."""
    grid = grid_of(image)
    wm = packaged["wm"]
    white = resample(np.asarray(wm.dataobj, np.float32), wm.affine, grid, np.linalg.inv(matrix))
    height = np.broadcast_to(np.arange(grid.shape[2]), grid.shape)
    found = (white > 0.5) & (height > np.quantile(height[white > 0.5], 1 - share))
    return image_on(found.astype(np.uint8), grid)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.45, 0.6, 0.75])
def test_lesions_that_were_found_do_not_count_as_white_matter(head, packaged, tissues, share):
    painted = head(FLAIR, lesion_share=share, lesion=1.6)
    plain = flair_contrast(*head(FLAIR), tissues)
    facts = flair_contrast(*painted, tissues, upper_white(*painted, packaged, share))
    assert facts["grey_to_white"] == pytest.approx(plain["grey_to_white"], abs=0.04)
    assert facts["lesions_to_white"] == pytest.approx(1.6, abs=0.15)
    assert facts["white_left_out"] > share
    assert judged(facts) == "pass"
    gate = flair.flair_contrast(**facts)
    assert "without the lesions found and 6 mm around them" in gate.message


def test_what_is_marked_on_a_t1w_image_is_white_matter_and_stays(head, packaged, tissues):
    image, mask, matrix = head(T1W, lesion_share=0.5, lesion=1.06)
    lesions = upper_white(image, mask, matrix, packaged, 0.5)
    with_lesions = flair_contrast(image, mask, matrix, tissues, lesions)
    assert with_lesions["lesions_to_white"] < 1.15
    assert with_lesions["white_left_out"] == 0
    before = flair_contrast(image, mask, matrix, tissues)
    assert with_lesions["grey_to_white"] == before["grey_to_white"]
    assert judged(with_lesions) == "fail"


def test_where_lesions_leave_no_white_matter_nothing_fails(head, packaged, tissues):
    painted = head(FLAIR, lesion_share=1.0, lesion=1.6)
    facts = flair_contrast(*painted, tissues, upper_white(*painted, packaged, 1.0))
    assert math.isnan(facts["grey_to_white"])
    assert judged(facts) == "warn"


def test_real_lesions_of_50_ml_leave_grey_brighter_than_white(bids_real, packaged, tissues):
    image = read_flair(bids_real / "sub-lj19/anat/sub-lj19_FLAIR.nii.gz").image
    lesions = nib.load(
        bids_real
        / "derivatives/reference/sub-lj19/anat"
        / "sub-lj19_space-FLAIR_label-WMH_desc-expert_mask.nii.gz"
    )
    mask = flair_mask(image, None).mask
    matrix = nine_parameter(mask, packaged["brain"], seed=1)
    before, after = (flair_contrast(image, mask, matrix, tissues, m) for m in (None, lesions))
    assert after["lesions_to_white"] > 1.25
    assert 1.04 < after["grey_to_white"] < 1.12
    assert after["grey_to_white"] > before["grey_to_white"] + 0.02
    assert judged(after) == "pass"


def test_a_flair_with_lesions_in_much_of_its_white_matter_is_told_but_does_not_fail(head, tissues):
    facts = flair_contrast(*head(FLAIR, lesion_share=0.6, lesion=1.6), tissues)
    assert facts["grey_to_white"] < 0.9
    assert judged(facts) == "warn"


def test_what_cannot_be_seen_fails_nothing(head, tissues):
    image, mask, matrix = head(T1W)
    empty = image_on(np.zeros(mask.shape, np.uint8), grid_of(mask))
    facts = flair_contrast(image, empty, matrix, tissues)
    assert all(math.isnan(value) for value in facts.values())
    assert judged(facts) == "warn"


@pytest.fixture(scope="module")
def pose_of_lj07(bids_real, packaged):
    """The template's pose in a head of which all images lie on one grid."""
    image = read_flair(bids_real / "sub-lj07/anat/sub-lj07_FLAIR.nii.gz").image
    return nine_parameter(flair_mask(image, None).mask, packaged["brain"], seed=1)


@pytest.mark.parametrize("kind", ["FLAIR", "T1w", "T2w"])
def test_real_images_called_flair(bids_real, pose_of_lj07, tmp_path, kind):
    path = tmp_path / "sub-01_FLAIR.nii.gz"
    shutil.copy(bids_real / f"sub-lj07/anat/sub-lj07_{kind}.nii.gz", path)
    image = read_flair(path).image
    # Already brain-extracted, so that no network is asked.
    mask = flair_mask(image, None).mask
    matrix = pose_of_lj07
    image.to_filename(tmp_path / "image.nii")
    mask.to_filename(tmp_path / "mask.nii")
    np.savetxt(tmp_path / "matrix.txt", matrix)
    no_lesions = nib.Nifti1Image(np.zeros(mask.shape, np.uint8), mask.affine)
    no_lesions.to_filename(tmp_path / "lesions.nii")
    path, brain, matrix, lesions = (
        str(tmp_path / name) for name in ("image.nii", "mask.nii", "matrix.txt", "lesions.nii")
    )
    own = Brain(brain, brain, matrix)
    node = MeasureContrast(
        head=Head(Read(path, path, matrix), own, own, matrix, matrix, brain, matrix),
        lesions=Maps(lesions, lesions, lesions),
        guide=guide_files(),
    )
    facts = load_facts(node.run(cwd=str(tmp_path)).outputs.found)
    assert judged(facts) == ("pass" if kind == "FLAIR" else "fail")
