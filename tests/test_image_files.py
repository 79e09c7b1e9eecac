from __future__ import annotations

import gzip

import nibabel as nib
import numpy as np

from ctwml_bids.image_files import load_nifti


def test_a_large_mask_may_be_all_background(tmp_path):
    header = nib.Nifti1Header()
    header.set_data_dtype(np.uint8)
    header.set_data_shape((512, 512, 1100))
    header["vox_offset"] = 352
    path = tmp_path / "mask.nii.gz"
    with gzip.open(path, "wb", compresslevel=6) as out:
        out.write(header.binaryblock + bytes(4))
        for _ in range(1100):
            out.write(bytes(512 * 512))
    assert path.stat().st_size < 512 * 512 * 1100 / 400
    assert load_nifti(path).shape == (512, 512, 1100)
