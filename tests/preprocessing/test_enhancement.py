"""Vessels of a skull drawn by hand, and of real CT without a contrast agent."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.preprocessing.enhancement import vessels


def head(*, vessel: float = 55.0, noise: float = 4.0, seed: int = 0) -> np.ndarray:
    """Draw a vault of 7 mm bone over brain, with sagittal sinus and arteries, 1 × 1 × 5 mm."""
    x, y = np.indices((180, 210)) - np.array([90, 105])[:, None, None] + 0.5
    hu = np.full((180, 210, 24), -1000.0)
    for k in range(24):
        size = np.sqrt(max(1 - ((k - 8) / 17) ** 2, 0.05))
        radius = np.hypot(x / (70 * size), y / (86 * size))
        hu[radius < 1.1, k] = 900
        hu[radius < 1, k] = 32
        # The sinus behind, 8 mm wide and next to bone; two arteries of 4 mm.
        hu[(np.hypot(x, y + 86 * size - 5) < 5) & (radius < 1), k] = vessel
        for side in (-30, 30):
            hu[(np.hypot(x - side * size, y - 20) < 2), k] = vessel
    return hu + np.random.default_rng(seed).normal(0, noise, hu.shape)


@pytest.fixture
def written(tmp_path):
    def write(hu: np.ndarray, spacing=(1.0, 1.0, 5.0), name: str = "ct.nii.gz"):
        path = tmp_path / name
        nib.Nifti1Image(hu.astype(np.int16), np.diag([*spacing, 1.0])).to_filename(path)
        return path

    return write


@pytest.mark.parametrize("vessel", [110.0, 150.0, 250.0, 380.0])
def test_vessels_with_an_agent_are_seen(written, vessel):
    assert vessels(written(head(vessel=vessel))).enhanced is True


@pytest.mark.parametrize("noise", [2.0, 8.0, 15.0])
@pytest.mark.parametrize("blood", [45.0, 55.0, 65.0])
def test_blood_is_no_agent(written, blood, noise):
    assert vessels(written(head(vessel=blood, noise=noise))).enhanced is False


def test_a_haemorrhage_and_calcifications_are_no_agent(written):
    hu = head()
    hu[100:130, 100:140, 8:14] = 70
    hu[88:93, 95:100, 10:12] = 220
    hu[60:64, 80:86, 9:12] = hu[116:120, 80:86, 9:12] = 160
    assert vessels(written(hu)).enhanced is False


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_any_order_of_the_axes_gives_the_same(tmp_path, order):
    hu = head(vessel=140)
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for column, axis in enumerate(order):
        affine[axis, column] = (1.0, 1.0, 5.0)[axis]
    path = tmp_path / "ct.nii"
    nib.Nifti1Image(hu.transpose(order).astype(np.int16), affine).to_filename(path)
    assert vessels(path).enhanced is True


@pytest.mark.parametrize(
    "values",
    [np.zeros((180, 210, 24)), head() + 1024, np.where(head() > 100, 0, head()), head()[:8, :8]],
    ids=["nothing", "not in HU", "no skull", "a corner"],
)
def test_what_is_no_ct_of_a_head_is_not_known(written, values):
    assert vessels(written(values)) is None


def test_real_ct_without_an_agent(shared_data):
    plain = shared_data / "bids-real" / "sub-dv01" / "ct" / "sub-dv01_ct.nii.gz"
    assert vessels(plain).enhanced is False
    tilted = shared_data / "awkward" / "ge01_tilted_variable-spacing_ct.nii.gz"
    assert vessels(tilted).enhanced is False
