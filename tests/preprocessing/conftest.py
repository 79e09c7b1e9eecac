"""Real heads, read and masked once for all tests that look at them."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.preprocessing.blocks import block_mean
from ctwml_bids.preprocessing.brain_border import BrainMask
from ctwml_bids.preprocessing.ct_brain import ct_mask
from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on
from ctwml_bids.preprocessing.hounsfield import read_ct


def real_ct_path(bids_real: Path, subject: str) -> Path:
    return bids_real / subject / "ct" / f"{subject}_ct.nii.gz"


@pytest.fixture(scope="session")
def halved_ct(bids_real) -> Callable[[str], tuple[np.ndarray, Grid]]:
    """Every second pixel of a real CT, and its grid; only to be read."""

    @cache
    def halved(subject: str) -> tuple[np.ndarray, Grid]:
        image = read_ct(real_ct_path(bids_real, subject)).image
        data = np.asarray(image.dataobj)[::2, ::2].copy()
        data.setflags(write=False)
        return data, Grid(data.shape, grid_of(image).affine @ np.diag([2, 2, 1, 1.0]))

    return halved


@pytest.fixture(scope="session")
def real_brain(
    bids_real, one_at_a_time
) -> Callable[[str, float], tuple[nib.Nifti1Image, BrainMask]]:
    """A real CT averaged to pixels of that many mm, and its brain; only to be read."""

    @cache
    def found(subject: str, mm: float) -> tuple[nib.Nifti1Image, BrainMask]:
        with one_at_a_time("real_brain") as base:
            kept = base / f"{subject}_{mm}.npz"
            if not kept.exists():
                image = read_ct(real_ct_path(bids_real, subject)).image
                averaged = image_on(*block_mean(np.asarray(image.dataobj), grid_of(image), mm))
                brain = ct_mask(averaged)
                np.savez(
                    kept,
                    data=np.asarray(averaged.dataobj),
                    mask=np.asarray(brain.mask.dataobj),
                    affine=averaged.affine,
                    facts=json.dumps(brain.facts),
                )
            with np.load(kept, allow_pickle=False) as parts:
                data, mask, affine = parts["data"], parts["mask"], parts["affine"]
                facts = json.loads(str(parts["facts"]))
        data.setflags(write=False)
        mask.setflags(write=False)
        grid = Grid(data.shape, affine)
        return image_on(data, grid), BrainMask(image_on(mask, grid), facts)

    return found
