from __future__ import annotations

import ants
import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine

from ctwml_bids.errors import BadDataError
from ctwml_bids.preprocessing import transforms
from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on, resample
from ctwml_bids.preprocessing.nine_parameters import compose


@pytest.fixture
def matrix() -> np.ndarray:
    return compose([1.1, 0.9, 1.05], [12.0, -7.0, 4.0], np.deg2rad([10, -6, 14]))


def oblique_image(seed: int, spacing: tuple[float, float, float], flip: bool) -> nib.Nifti1Image:
    rng = np.random.default_rng(seed)
    affine = compose([-spacing[0] if flip else spacing[0], *spacing[1:]], [0, 0, 0], [0.1, 0.2, 0])
    # All images lie about the same point, so that they overlap.
    affine[:3, 3] = np.array([30.0, -20.0, 10.0]) - affine[:3, :3] @ [6.5, 5.0, 4.0]
    return image_on(rng.random((14, 11, 9)).astype(np.float32), Grid((14, 11, 9), affine))


def test_ants_reads_the_transform_that_we_write(tmp_path, matrix):
    path = tmp_path / "x.txt"
    transforms.write_itk(path, matrix)
    transform = ants.read_transform(str(path), precision="double")
    point = np.array([20.0, -30.0, 40.0])
    lps = transform.apply_to_point(tuple(point * [-1, -1, 1]))
    assert np.allclose(np.array(lps) * [-1, -1, 1], apply_affine(matrix, point), atol=1e-4)
    assert np.allclose(transforms.from_ants_transform(transform), matrix, atol=1e-9)
    assert np.allclose(transforms.read_itk(path), matrix, atol=1e-12)


def test_we_read_the_transform_that_ants_writes_about_a_centre(tmp_path, matrix):
    transform = ants.create_ants_transform(
        "AffineTransform",
        precision="double",
        matrix=matrix[:3, :3],
        translation=(3, 4, 5),
        center=(30, -20, 10),
    )
    path = tmp_path / "ants.txt"
    ants.write_transform(transform, str(path))
    point = np.array([20.0, -30.0, 40.0])
    expected = np.array(transform.apply_to_point(tuple(point * [-1, -1, 1]))) * [-1, -1, 1]
    assert np.allclose(apply_affine(transforms.read_itk(path), point), expected, atol=1e-4)


def test_euler_transforms_of_ants_become_rigid_matrices():
    transform = ants.create_ants_transform(
        "Euler3DTransform",
        precision="double",
        parameters=[0.1, -0.2, 0.15, 3, 4, 5],
        fixed_parameters=[10, 20, 30, 0],
    )
    matrix = transforms.from_ants_transform(transform)
    assert np.allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-5)
    expected = np.array(transform.apply_to_point((-7.0, 8.0, 9.0))) * [-1, -1, 1]
    assert np.allclose(apply_affine(matrix, [7.0, -8.0, 9.0]), expected, atol=1e-3)


@pytest.mark.parametrize("flip", [False, True])
def test_ants_resamples_with_our_file_as_we_do(tmp_path, flip):
    reference = oblique_image(1, (1.0, 1.2, 2.0), flip)
    moving = oblique_image(2, (1.1, 0.9, 1.5), not flip)
    matrix = compose([1, 1, 1], [1.0, -0.5, 0.7], [0.02, -0.03, 0.05])
    transforms.write_itk(tmp_path / "x.txt", matrix)
    warped = ants.apply_transforms(
        transforms.to_ants(reference),
        transforms.to_ants(moving),
        [str(tmp_path / "x.txt")],
        interpolator="linear",
    )
    theirs = warped.numpy()
    ours = resample(moving.get_fdata(), moving.affine, grid_of(reference), matrix)
    # Both sample the same points; only voxels at the image's end are treated differently.
    both = (ours != 0) & (theirs != 0)
    assert both.sum() > 200
    assert np.percentile(np.abs(ours - theirs)[both], 90) < 1e-3


@pytest.mark.parametrize("flip", [False, True])
def test_ants_has_an_image_from_us_as_it_reads_it_from_a_file(tmp_path, flip):
    image = oblique_image(3, (0.5, 0.6, 4.0), flip)
    there = transforms.to_ants(image)
    image.to_filename(tmp_path / "image.nii.gz")
    read_by_ants = ants.image_read(str(tmp_path / "image.nii.gz"))
    assert np.allclose(there.direction, read_by_ants.direction, atol=1e-5)
    assert np.allclose(there.origin, read_by_ants.origin, atol=1e-4)
    assert np.allclose(there.numpy(), read_by_ants.numpy())


def test_sheared_images_never_reach_ants():
    affine = np.diag([1.0, 1.0, 5.0, 1.0])
    affine[1, 2] = 1.5
    with pytest.raises(BadDataError, match="sheared"):
        transforms.to_ants(nib.Nifti1Image(np.zeros((4, 4, 4), np.float32), affine))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n",
        "#Insight Transform File V1.0\nTransform: DisplacementFieldTransform_double_3_3\n",
        "#Insight Transform File V1.0\nTransform: AffineTransform_double_3_3\nParameters: 1 0\n"
        "FixedParameters: 0 0 0\n",
    ],
)
def test_files_that_are_no_itk_affine_are_refused(tmp_path, text):
    (tmp_path / "x.txt").write_text(text)
    with pytest.raises(BadDataError, match=r"x\.txt"):
        transforms.read_itk(tmp_path / "x.txt")


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "0", "1e-9"])
def test_a_map_that_cannot_be_inverted_is_refused(tmp_path, number):
    path = tmp_path / "a.txt"
    transforms.write_itk(path, np.eye(4))
    path.write_text(path.read_text().replace("Parameters: 1 ", f"Parameters: {number} "))
    with pytest.raises(BadDataError, match=r"a\.txt.*cannot be inverted"):
        transforms.read_itk(path)
