from __future__ import annotations

import nibabel as nib
import numpy as np

from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on
from ctwml_bids.unit.measuring import on_native
from ctwml_bids.unit.reporting import _brain


def test_a_tilted_ct_is_shown_with_the_same_brain_from_work_files_and_from_derivatives(tmp_path):
    """A work mask lies on an upright grid, the derivative on the scan's tilted one."""
    tilted = np.diag([1.0, 1.0, 4.0, 1.0])
    tilted[1, 2] = 1.2
    nib.save(nib.Nifti1Image(np.zeros((40, 40, 10), np.int16), tilted), tmp_path / "ct.nii")
    upright = Grid((40, 52, 10), np.diag([1.0, 1.0, 4.0, 1.0]))
    x, y, z = np.indices(upright.shape)
    ball = (x - 20) ** 2 + (y - 25) ** 2 + (4 * (z - 5)) ** 2 < 14**2
    nib.save(image_on(ball.astype(np.uint8), upright), tmp_path / "work.nii")
    native = grid_of(nib.load(tmp_path / "ct.nii"))
    written = on_native(str(tmp_path / "work.nii"), native).astype(np.uint8)
    nib.save(image_on(written, native), tmp_path / "derivative.nii")
    raw = str(tmp_path / "ct.nii")
    work, derivative = (
        _brain(str(tmp_path / name), raw, upright) for name in ("work.nii", "derivative.nii")
    )
    np.testing.assert_array_equal(work, derivative)
    assert 2 * np.sum(work & ball) / (work.sum() + ball.sum()) > 0.95
