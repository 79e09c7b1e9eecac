"""Headers with two voxel sizes: the sidecar tells which is right, or the image is refused."""

from __future__ import annotations

import shlex
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.errors import BadDataError
from ctwml_bids.preprocessing.hounsfield import read_ct
from ctwml_bids.preprocessing.images import load_nifti, read_flair
from ctwml_bids.preprocessing.voxel_size import MEND
from tests.preprocessing.head_phantom import head

SHAPE = (40, 48, 20)
AFFINE = np.diag([4.0, 4.0, 7.0, 1.0])
VALUES = np.random.default_rng(0).normal(100, 10, SHAPE).astype(np.float32)
DISTANCES = {"SlicePositions": (7.0 * np.arange(20)).tolist()}
POINTS = {"ImagePositionPatient": [[0.0, 0.0, 7.0 * k] for k in range(20)]}


def saved(path, pixdim, *, affine=AFFINE, data=VALUES):
    """Save an image whose sform is ``affine`` while pixdim says something else."""
    image = nib.Nifti1Image(data, affine)
    image.set_sform(affine, code=1)
    image.set_qform(None, code=0)
    nib.save(image, path)
    raw = bytearray(path.read_bytes())
    raw[80:92] = np.asarray(pixdim, np.float32).tobytes()
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize(
    "pixdim",
    [(4, 4, 8.2), (4, 4, 7.14), (4, 4, 6.9), (4.7, 4, 7), (4.1, 4.1, 7.2), (4, 3.9, 7)],
    ids=str,
)
@pytest.mark.parametrize("read", [load_nifti, read_flair, read_ct])
def test_a_silent_sidecar_leaves_two_sizes_refused(tmp_path, pixdim, read):
    path = saved(tmp_path / "a.nii", pixdim)
    with pytest.raises(BadDataError, match=r"contradicts itself.*does not say which") as caught:
        read(path)
    for size in (pixdim, (4, 4, 7)):
        assert str([float(edge) for edge in size]) in str(caught.value)
    assert "SpacingBetweenSlices" in str(caught.value)


@pytest.mark.parametrize("thickness", [7.0, 8.2, 3.0])
def test_a_slice_thickness_is_no_distance_and_settles_nothing(tmp_path, thickness):
    """Slices of 7 mm may lie 5 mm apart, on CT above all."""
    with pytest.raises(BadDataError, match="does not say which"):
        read_ct(saved(tmp_path / "a.nii", (4, 4, 8.2)), {"SliceThickness": thickness})


@pytest.mark.parametrize(
    "sidecar",
    [
        {"SpacingBetweenSlices": 7.0},
        {"SpacingBetweenSlices": 7.03, "SliceThickness": 8.2},
        DISTANCES,
        POINTS,
        {"SpacingBetweenSlices": 7.0, **DISTANCES},
    ],
    ids=["spacing", "spacing over thickness", "distances", "points", "both"],
)
def test_an_affine_that_the_sidecar_confirms_is_used_and_told(tmp_path, sidecar):
    loaded = read_flair(saved(tmp_path / "a.nii", (4, 4, 8.2)), sidecar)
    np.testing.assert_allclose(loaded.native.affine, AFFINE)
    np.testing.assert_allclose(loaded.native.voxel_ml, 0.112)
    (said,) = loaded.warnings
    assert "8.2" in said
    assert "The affine's was used" in said


@pytest.mark.parametrize(
    ("pixdim", "sidecar"),
    [
        ((4, 4, 8.2), {"SpacingBetweenSlices": 8.2}),
        ((4, 4, 6.0), {"SlicePositions": (6.0 * np.arange(20)).tolist()}),
        ((4.7, 4.7, 7), {"PixelSpacing": [4.7, 4.7]}),
        ((4.7, 4, 7), {"PixelSpacing": [4.0, 4.7]}),
    ],
    ids=["spacing", "positions", "pixels", "one side of the pixels"],
)
def test_an_affine_that_the_sidecar_contradicts_is_refused_with_the_mend(tmp_path, pixdim, sidecar):
    with pytest.raises(BadDataError, match="pixdim is right") as caught:
        read_flair(saved(tmp_path / "a.nii", pixdim), sidecar)
    assert MEND in str(caught.value)


@pytest.mark.parametrize(
    ("pixdim", "sidecar"),
    [
        ((4, 4, 8.2), {"SpacingBetweenSlices": 5.0}),
        (
            (4, 4, 8.2),
            {"SpacingBetweenSlices": 7.0, "SlicePositions": (8.2 * np.arange(20)).tolist()},
        ),
        ((4.7, 4.7, 7), {"SpacingBetweenSlices": 7.0}),
        ((4.7, 4.7, 8.2), {"SpacingBetweenSlices": 7.0, "PixelSpacing": [4.7, 4.7]}),
        ((4.7, 4.7, 7), {"PixelSpacing": [3.0, 3.0]}),
        ((4, 4, 8.2), {"SpacingBetweenSlices": "7 mm"}),
    ],
    ids=["neither", "divided", "another axis", "one each", "other pixels", "text"],
)
def test_a_sidecar_that_does_not_decide_leaves_the_image_refused(tmp_path, pixdim, sidecar):
    with pytest.raises(BadDataError, match=r"contradicts itself.*Volumes would be wrong"):
        read_flair(saved(tmp_path / "a.nii", pixdim), sidecar)


@pytest.mark.parametrize(
    "pixdim", [(4, 4, 7), (4.0000001, 4, 7), (4, 4, 7.06), (4.03, 4, 6.95), (3.97, 4.02, 7.0)]
)
def test_rounding_is_no_contradiction(tmp_path, pixdim):
    assert read_flair(saved(tmp_path / "a.nii", pixdim)).warnings == ()


@pytest.mark.parametrize("degrees", [5, 10, 15, 20, 25])
def test_of_tilted_slices_pixdim_may_be_distance_or_step(tmp_path, degrees):
    tilted = AFFINE.copy()
    tilted[1, 2] = 7.0 * np.tan(np.radians(degrees))
    step = np.linalg.norm(tilted[:3, 2])
    for number, edge in enumerate((7.0, step)):
        path = saved(tmp_path / f"{number}.nii", (4, 4, edge), affine=tilted)
        assert load_nifti(path).shape == SHAPE
    with pytest.raises(BadDataError, match="contradicts itself"):
        load_nifti(saved(tmp_path / "a.nii", (4, 4, 0.9 * 7), affine=tilted))


def test_a_ct_is_settled_by_its_sidecar_too(tmp_path):
    image, _ = head()
    edges = nib.affines.voxel_sizes(image.affine)
    path = saved(
        tmp_path / "a.nii",
        edges * [1, 1, 1.17],
        affine=image.affine,
        data=np.asarray(image.dataobj),
    )
    loaded = read_ct(path, {"SpacingBetweenSlices": float(edges[2])})
    assert loaded.facts["slice_spacing_mm"] == pytest.approx(edges[2])
    assert any("two voxel sizes" in text for text in loaded.warnings)
    with pytest.raises(BadDataError):
        read_ct(path)


def test_what_was_measured_before_is_not_asked_again(tmp_path):
    path = saved(tmp_path / "a.nii", (4, 4, 8.2))
    assert read_flair(path, settled=True).native.voxel_ml == pytest.approx(0.112)


def test_the_command_that_mends_the_header_does(tmp_path):
    path, mended = saved(tmp_path / "a.nii", (4, 4, 8.2)), tmp_path / "b.nii"
    command = shlex.split(MEND)
    assert command[-2:] == ["OLD.nii.gz", "NEW.nii.gz"]
    subprocess.run([sys.executable, *command[1:-2], str(path), str(mended)], check=True)
    loaded = read_flair(mended)
    assert loaded.warnings == ()
    assert loaded.native.spacing == pytest.approx([4, 4, 8.2])
    np.testing.assert_array_equal(np.asarray(nib.load(mended).dataobj), VALUES)
