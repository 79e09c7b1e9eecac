"""Which voxel is a WML, which an infarct."""

from __future__ import annotations

import numpy as np
import pytest

from ctwml_bids.segmentation.classes import exclusive_masks


def test_no_voxel_is_in_two_masks_and_the_larger_ratio_wins():
    rng = np.random.default_rng(0)
    wml, infarct, _ = rng.dirichlet([1, 1, 1], size=1000).T
    is_wml, is_infarct = exclusive_masks(wml, 0.25, infarct, 0.4)
    both = (wml > 0.25) & (infarct > 0.4)
    assert 20 < both.sum() < 980
    assert not (is_wml & is_infarct).any()
    np.testing.assert_array_equal(is_wml | is_infarct, (wml > 0.25) | (infarct > 0.4))
    np.testing.assert_array_equal(is_wml[both], wml[both] / 0.25 >= infarct[both] / 0.4)
    alone = ~both
    np.testing.assert_array_equal(is_wml[alone], wml[alone] > 0.25)
    np.testing.assert_array_equal(is_infarct[alone], infarct[alone] > 0.4)


def test_an_infarct_below_its_threshold_takes_nothing_from_wml():
    # 0.3 is three times WML's threshold, 0.49 below the infarct's.
    is_wml, is_infarct = exclusive_masks(np.array([0.3, 0.05]), 0.1, np.array([0.49, 0.45]), 0.5)
    assert is_wml.tolist() == [True, False]
    assert not is_infarct.any()


def test_equal_ratios_are_wml_and_a_threshold_itself_is_no_lesion():
    is_wml, is_infarct = exclusive_masks(
        np.array([0.5, 0.25, 0.25]), 0.25, np.array([0.5, 0.25, 0.26]), 0.25
    )
    assert is_wml.tolist() == [True, False, False]
    assert is_infarct.tolist() == [False, False, True]


def test_without_an_infarct_class_the_threshold_alone_decides():
    wml = np.array([0.2, 0.3])
    is_wml, is_infarct = exclusive_masks(wml, 0.25)
    assert is_wml.tolist() == [False, True]
    assert is_infarct is None
    with pytest.raises(ValueError, match="threshold"):
        exclusive_masks(wml, 0.25, wml)
