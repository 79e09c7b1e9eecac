from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.group.summary import GroupOptions, run_group
from ctwml_bids.templates import packaged
from tests.group.cohorts import (
    SETTINGS,
    add_mask,
    add_out_of_fold,
    add_people,
    add_unit,
    table,
)

# The template where these lesions lie; one test takes the whole.
GRID = nib.load(packaged().t1w).slicer[50:130, 80:170, 80:150]
# A FLAIR of 2 × 2 × 4 mm that is shifted against the template, by no whole voxels.
NATIVE = np.diag([2.0, 2.0, 4.0, 1.0])
NATIVE[:3, 3] = (-80, -100, -40)
TO_IMAGE = np.eye(4)
TO_IMAGE[:3, 3] = (5.3, 0.2, 10.4)
VOXEL_ML = 0.016


def native_mask(low=30, high=40):
    mask = np.zeros((80, 90, 40), bool)
    mask[low:high, 40:50, 20:23] = True
    return mask


def add(out, subject, group, mask=None, *, wml_ml=None):
    mask = native_mask() if mask is None else mask
    ml = round(mask.sum() * VOXEL_ML, 4) if wml_ml is None else wml_ml
    add_unit(out, subject, flair=ml)
    add_mask(out, subject, mask, NATIVE, template_to_image=TO_IMAGE)
    people = [
        {"participant_id": f"sub-{s}", "fazekas": g}
        for s, g in sorted({**groups_of(out), subject: group}.items())
    ]
    add_people(out, people)


def groups_of(out):
    path = out / "participants.tsv"
    lines = path.read_text().splitlines()[1:] if path.is_file() else []
    return {line.split("\t")[0][4:]: int(line.split("\t")[1]) for line in lines}


def run(out, t1w=None):
    if t1w is None:
        t1w = out / "t1w.nii"
        nib.save(GRID, t1w)
    options = GroupOptions(draws=0)
    return run_group(out, version="0.1.0", options=options, find_template=lambda _: t1w).read_text()


def path_of(out, name, image="flair"):
    stem = f"space-{SETTINGS['template']}_label-WML_desc-{image}{name}_frequency"
    return out / f"group/maps/{stem}.nii.gz"


def share(out, name):
    image = nib.load(path_of(out, name))
    return np.asarray(image.dataobj), image.affine


@pytest.fixture
def three(tmp_path):
    add(tmp_path, "01", 1)
    add(tmp_path, "02", 2)
    add(tmp_path, "03", 2, native_mask(36, 46))
    return tmp_path


def test_maps_are_shares_of_units_on_the_templates_grid(three):
    run(three)
    found, affine = share(three, "All")
    assert found.shape == GRID.shape
    assert np.allclose(affine, GRID.affine)
    assert np.allclose(np.unique(np.round(found * 3, 4)), [0, 1, 2, 3])
    second, _ = share(three, "Fazekas2")
    assert second.max() == 1.0
    assert not path_of(three, "Fazekas3").exists()


def test_lesions_lie_where_the_transform_puts_them(three):
    run(three)
    found, affine = share(three, "Fazekas01")
    where = np.argwhere(found > 0) @ affine[:3, :3].T + affine[:3, 3]
    # Voxels 30–39 of 2 mm from −80: −20 to −2 mm in the image, 5.3 mm less in the template.
    assert where.min(axis=0) == pytest.approx((-25.5, -20.5, 28), abs=1.5)
    assert where.max(axis=0) == pytest.approx((-6.5, -1.5, 40), abs=1.5)
    assert np.count_nonzero(found) / 1000 == pytest.approx(300 * VOXEL_ML, rel=0.1)


def test_a_mask_in_the_templates_space_is_taken_as_it_is(three):
    mask = np.zeros(GRID.shape, bool)
    mask[40, 50, 60] = True
    add_mask(three, "01", mask, GRID.affine, space=SETTINGS["template"])
    run(three)
    assert np.argwhere(share(three, "Fazekas01")[0]).tolist() == [[40, 50, 60]]


def test_a_new_unit_is_added_without_reading_the_others_again(three, monkeypatch):
    run(three)
    before = np.rint(share(three, "All")[0] * 3)
    read = []
    original = nib.load
    monkeypatch.setattr(nib, "load", lambda path, *a: read.append(str(path)) or original(path, *a))
    add(three, "04", 3, native_mask(36, 46))
    run(three)
    masks = [path.split("/")[-1] for path in read if "_mask" in path]
    assert masks == ["sub-04_space-FLAIR_label-WML_desc-flair_mask.nii.gz"]
    again = np.rint(share(three, "All")[0] * 4)
    assert (again - before).min() == 0
    assert (again - before).max() == 1


def test_a_changed_mask_or_rating_makes_its_maps_anew(three):
    run(three)
    add(three, "03", 3, native_mask(10, 12))
    run(three)
    units = json.loads(path_of(three, "Fazekas2").with_suffix("").with_suffix(".json").read_text())
    assert list(units["Units"]) == ["sub-02"]
    assert share(three, "Fazekas2")[0].max() == 1.0
    assert share(three, "All")[0].max() == pytest.approx(2 / 3)


def test_a_missing_mask_is_named_and_the_others_are_counted(three):
    path = three / "sub-02/anat/sub-02_space-FLAIR_label-WML_desc-flair_mask.nii.gz"
    path.unlink()
    page = run(three)
    assert "lack 1 masks that are not in the output folder (sub-02 FLAIR)" in page
    assert share(three, "All")[0].max() == 1.0


def test_a_mask_of_another_shape_is_named_with_both_numbers(three):
    add_mask(three, "02", native_mask()[:, :, :21], NATIVE, template_to_image=TO_IMAGE)
    page = run(three)
    assert "the mask (shape (80, 90, 21)) holds 1.60 mL, but its table says 4.8 mL" in page
    assert "sub-02 is in no lesion map of FLAIR" in page


def test_a_template_mask_of_another_shape_is_named(three):
    add_mask(three, "01", np.ones((5, 5, 5)), GRID.affine, space=SETTINGS["template"])
    page = run(three)
    assert f"the mask has the shape (5, 5, 5), the template {GRID.shape}" in page


def test_out_of_fold_lesions_are_mapped_where_their_volumes_are_used(three):
    """The participant level's mask would show what a network learnt of this very subject."""
    seen = native_mask(30, 32)
    add_out_of_fold(three, "01", "flair", seen.sum() * VOXEL_ML)
    add_mask(three, "01", seen, NATIVE, kind="cvmask", template_to_image=TO_IMAGE)
    everything = np.ones(GRID.shape, bool)
    add_mask(three, "01", everything, GRID.affine, space=SETTINGS["template"])
    page = run(three)
    assert "in no lesion map" not in page
    assert "The FLAIR lesions of 1 of 3 units are out-of-fold: from networks that were not" in page
    found, _ = share(three, "Fazekas01")
    assert np.count_nonzero(found) / 1000 == pytest.approx(seen.sum() * VOXEL_ML, rel=0.3)
    rows = {row["unit"]: row["out_of_fold"] for row in table(three / "group/units.tsv")}
    assert rows == {"sub-01": "flair", "sub-02": "n/a", "sub-03": "n/a"}


def test_a_missing_transform_is_named(three):
    (three / f"sub-01/anat/sub-01_from-FLAIR_to-{SETTINGS['template']}_mode-image_xfm.txt").unlink()
    page = run(three)
    assert "sub-01 is in no lesion map of FLAIR" in page


def test_units_without_any_lesion_count_as_units(three):
    add(three, "05", 1, np.zeros((80, 90, 40), bool))
    run(three)
    assert share(three, "All")[0].max() == pytest.approx(3 / 4)


def test_the_figure_of_the_maps_is_on_the_page_and_beside_it(three):
    page = run(three, packaged().t1w)
    assert "Where lesions lie on FLAIR" in page
    assert (three / "group/figures/figure-maps_flair.svg").is_file()
    assert not (three / "group/figures/figure-maps_ct.svg").exists()
