from __future__ import annotations

import numpy as np
import pytest

from ctwml_bids.geometry import itk_text, nifti, ras_to_lps, shear, voxel_volume_ml

TILTED = np.array([[0.5, 0, 0, 10], [0, 0.5, 2, -20], [0, 0, 4, 5], [0, 0, 0, 1.0]])


def test_itk_text_turns_x_and_y_round():
    matrix = np.eye(4)
    matrix[:3, 3] = 1, 2, 3
    assert "Parameters: 1 0 0 0 1 0 0 0 1 -1 -2 3" in itk_text(matrix).replace("-0 ", "0 ")


def test_itk_text_keeps_every_digit():
    matrix = np.eye(4)
    matrix[:3] = np.random.default_rng(0).normal(0, 30, (3, 4))
    line = next(line for line in itk_text(matrix).splitlines() if line.startswith("Parameters: "))
    numbers = np.array(line.split()[1:], dtype=float).reshape(4, 3)
    written = np.eye(4)
    written[:3, :3], written[:3, 3] = numbers[:3], numbers[3]
    np.testing.assert_array_equal(ras_to_lps(written), matrix)


def test_shear_does_not_change_a_voxels_volume():
    assert voxel_volume_ml(TILTED) == pytest.approx(0.5 * 0.5 * 4 / 1000)
    assert voxel_volume_ml(np.diag([-1.0, 1, 1, 1])) == pytest.approx(0.001)


def test_shear_is_the_cosine_between_axes_whatever_the_spacing():
    assert shear(TILTED) == pytest.approx(2 / np.hypot(2, 4))
    turned = np.array([[0.6, -1.6, 0, 0], [0.8, 1.2, 0, 0], [0, 0, 5, 0], [0, 0, 0, 1]])
    assert shear(turned) == pytest.approx(0, abs=1e-12)


def test_only_a_grid_without_shear_is_stated_twice():
    straight = nifti(np.zeros((2, 3, 4), np.uint8), np.diag([-1.0, 2, 3, 1]))
    np.testing.assert_allclose(straight.get_qform(coded=True)[0], straight.affine)
    tilted = nifti(np.zeros((2, 3, 4), np.uint8), TILTED)
    np.testing.assert_allclose(tilted.get_sform(), TILTED)
    assert tilted.get_qform(coded=True)[0] is None
    assert tilted.header.get_xyzt_units()[0] == "mm"
