"""Dark areas on a head made of the packaged template's own tissues: where a place is, is known."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from ctwml_bids import templates
from ctwml_bids.preprocessing.ct_quality import ct_quality
from ctwml_bids.preprocessing.grids import Grid, image_on, resample
from ctwml_bids.preprocessing.hypodensity import large_dark_areas, not_covered
from ctwml_bids.preprocessing.nine_parameters import compose
from ctwml_bids.statistics.gates.ct import hypodensity
from tests.preprocessing.head_phantom import ellipsoid

GREY_HU, WHITE_HU, FLUID_HU, INFARCT_HU, LESION_HU = 37.0, 29.0, 5.0, 12.0, 17.5
# A head that is smaller than the template, turned and off centre.
POSE = compose(
    np.array([0.9, 0.88, 0.92]), np.array([4.0, -9.0, 6.0]), np.array([0.15, -0.05, 0.1])
)


@pytest.fixture(scope="module")
def anatomy():
    """Grid of a head, and the template's grey and white matter, brain and ventricles on it."""
    files = templates.packaged()
    affine = np.diag([2.0, 2.0, 4.0, 1.0])
    affine[:3, 3] = (-90, -125, -75)
    grid = Grid((92, 110, 42), affine)
    paths = (files.gm, files.wm, files.brain_mask, files.ventricles)
    maps = [
        resample(
            np.asarray(image.dataobj, dtype=np.float32),
            image.affine,
            grid,
            np.linalg.inv(POSE),
            average=True,
        )
        for image in map(nib.load, paths)
    ]
    return grid, *maps[:2], maps[2] > 0.5, maps[3] > 0.5


def place(grid: Grid, centre, radii) -> np.ndarray:
    """Voxels in an ellipsoid given in mm of the template."""
    in_template = Grid(grid.shape, np.linalg.inv(POSE) @ grid.affine)
    return ellipsoid(in_template, np.asarray(radii, dtype=float), centre)


def dark_ml(anatomy, *areas, hu=INFARCT_HU, ventricles=None) -> float:
    """Volume (mL) of large dark areas in the head with ellipsoids of the template made dark."""
    return quality(anatomy, *areas, hu=hu, ventricles=ventricles)["dark_region_ml"]


def quality(anatomy, *areas, hu=INFARCT_HU, ventricles=None, infarcts=None) -> dict:
    """What is measured of that head."""
    grid, grey, white, brain, found = anatomy
    data = FLUID_HU + (GREY_HU - FLUID_HU) * grey + (WHITE_HU - FLUID_HU) * white
    for area in areas:
        data = np.where(place(grid, *area) & (data > hu), hu, data)
    data = np.where(brain, data, 900.0)
    data = data + np.random.default_rng(1).normal(0, 3, grid.shape)
    mask = found if ventricles is None else ventricles
    images = [image_on(array.astype(np.uint8), grid) for array in (brain, mask)]
    return ct_quality(image_on(data.astype(np.float32), grid), *images, POSE, infarcts)


# Centre and half axes in mm of the template.
NORMAL = {
    "nothing": (),
    "wide suprasellar cistern": (((0, -2, -20), (13, 14, 9)),),
    "quadrigeminal and ambient cisterns": (((0, -40, -4), (16, 9, 10)),),
    "mega cisterna magna": (((0, -72, -52), (14, 11, 12)),),
    "wide cerebellopontine angles": (((-20, -28, -36), (9, 6, 8)), ((20, -28, -36), (9, 6, 8))),
    "posterior interhemispheric fissure": (((0, -72, 12), (7, 26, 22)),),
    "frontal interhemispheric fissure": (((0, 45, 20), (7, 25, 25)),),
    "wide Sylvian fissures": (((-44, 2, -2), (7, 20, 9)), ((44, 4, -3), (7, 19, 10))),
    "wide central sulci": (((-34, -24, 58), (6, 14, 12)), ((35, -26, 57), (6, 13, 12))),
    "wide third ventricle": (((0, -14, 4), (7, 14, 12)),),
    "wide fourth ventricle": (((0, -46, -34), (10, 9, 11)),),
    "leukoaraiosis of both sides": (((-26, -18, 30), (9, 34, 9)), ((27, -20, 29), (9, 32, 10))),
}
INFARCTS = {
    "posterior cerebral artery": ((26, -78, 2), (14, 20, 16)),
    "middle cerebral artery, insula": ((-42, 4, 4), (14, 22, 16)),
    "middle cerebral artery, parietal": ((50, -42, 32), (16, 18, 18)),
    "anterior cerebral artery": ((-12, 40, 26), (11, 22, 20)),
    "cerebellum": ((28, -62, -38), (18, 17, 14)),
    "frontal watershed": ((-32, 30, 36), (15, 18, 16)),
    "striatum and capsule": ((26, 6, 4), (13, 20, 14)),
}


@pytest.mark.parametrize("name", NORMAL)
def test_fluid_where_anatomy_has_it_passes(anatomy, name):
    assert hypodensity(dark_ml(anatomy, *NORMAL[name], hu=FLUID_HU)).status == "pass"


@pytest.mark.parametrize("name", INFARCTS)
def test_an_infarct_of_any_territory_is_found(anatomy, name):
    grid, _, _, brain, ventricles = anatomy
    true_ml = np.count_nonzero(place(grid, *INFARCTS[name]) & brain & ~ventricles) * grid.voxel_ml
    found = dark_ml(anatomy, INFARCTS[name])
    assert hypodensity(found).status == "warn"
    assert 0.3 * true_ml < found < 1.1 * true_ml


def test_leukoaraiosis_on_one_side_alone_is_no_infarct(anatomy):
    side = (((-26, -18, 30), (9, 34, 9)),)
    assert dark_ml(anatomy, *side, hu=LESION_HU) == 0


def test_wide_ventricles_pass_even_where_their_mask_misses_them(anatomy):
    grid = anatomy[0]
    horns = (((-20, -10, 16), (14, 45, 14)), ((20, -10, 16), (14, 45, 14)))
    none = np.zeros(grid.shape, dtype=bool)
    assert hypodensity(dark_ml(anatomy, *horns, hu=FLUID_HU)).status == "pass"
    assert hypodensity(dark_ml(anatomy, *horns, hu=FLUID_HU, ventricles=none)).status == "pass"


def test_an_infarct_is_found_beside_wide_fissures(anatomy):
    areas = (*NORMAL["wide Sylvian fissures"], INFARCTS["middle cerebral artery, parietal"])
    assert hypodensity(dark_ml(anatomy, *areas)).status == "warn"


def test_a_huge_infarct_fails(anatomy):
    assert hypodensity(dark_ml(anatomy, ((46, -8, 14), (34, 58, 44)))).status == "fail"


def test_what_is_found_lies_where_the_infarct_is(anatomy):
    grid, grey, white, brain, ventricles = anatomy
    infarct = place(grid, *INFARCTS["cerebellum"])
    hu = np.where(infarct, INFARCT_HU, np.where(grey + white > 0.5, 32.0, FLUID_HU))
    hu = ndimage.gaussian_filter(hu.astype(np.float32), 2.0 / grid.spacing)
    found = large_dark_areas(hu, brain, ventricles, tissue_hu=32.0, grid=grid, guide_to_ct=POSE)
    assert found.any()
    assert np.mean(infarct[found]) > 0.9


def test_of_two_infarcts_only_the_one_that_no_mask_covers_is_left(anatomy):
    grid = anatomy[0]
    marked, missed = INFARCTS["cerebellum"], INFARCTS["middle cerebral artery, parietal"]
    centre, radii = marked
    # A mask of four fifths of the size: outlines never agree.
    mask = place(grid, centre, tuple(0.8 * radius for radius in radii))
    both = quality(anatomy, marked, missed, infarcts=mask)
    alone = quality(anatomy, missed, infarcts=mask)
    assert both["dark_unmarked_ml"] == pytest.approx(alone["dark_unmarked_ml"], rel=0.05)
    assert 5 < both["dark_unmarked_ml"] < 0.7 * both["dark_region_ml"]
    assert quality(anatomy, marked, infarcts=mask)["dark_unmarked_ml"] == 0
    nothing = np.zeros(grid.shape, bool)
    found = quality(anatomy, marked, infarcts=nothing)
    assert found["dark_unmarked_ml"] == found["dark_region_ml"] > 5
    assert "dark_unmarked_ml" not in quality(anatomy, marked)


def test_mask_and_what_it_leaves_of_dark_areas_have_the_volume_of_their_union():
    areas, mask = np.zeros((2, 12, 12, 12), dtype=bool)
    areas[1:5, 1:5, 1:5] = areas[7:11, 7:11, 7:11] = True
    mask[1:2, 1:5, 1:5] = True  # a quarter of the first
    mask[7:10, 7:11, 7:11] = True  # three quarters of the second
    left = not_covered(areas, mask)
    assert left.sum() == 3 * 16
    first = areas & (np.arange(12) < 6)
    assert left.sum() + mask.sum() == (first | mask).sum()
