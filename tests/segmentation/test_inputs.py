"""What a lesion network sees of a head."""

from __future__ import annotations

import numpy as np
import pytest

from ctwml_bids.segmentation.inputs import network_channels


def _head() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    image = rng.normal(32, 5, (20, 20, 4)).astype(np.float32)
    image[:2] = 900  # skull that the mask's edge takes in
    image[-1] = -900  # an air cell
    return image, np.ones(image.shape, bool)


def test_bone_and_air_in_the_mask_do_not_reach_the_statistics_of_ct():
    image, mask = _head()
    zscore, hu = network_channels(image, mask, ("zscore", "hu"))
    brain = image[2:-1]
    assert (zscore[:2] == -3).all()
    assert (hu[-1] == -3).all()
    wanted = np.clip((brain - brain.mean()) / brain.std(), -3, 3)
    np.testing.assert_allclose(zscore[2:-1], wanted, atol=1e-3)


def test_flair_keeps_its_whole_mask_and_far_values_do_not_set_its_mean_and_sd():
    image, mask = _head()
    (zscore,) = network_channels(image, mask, ("zscore",))
    assert (zscore[:2] == 3).all()
    tissue = image[2:-1]
    expected = np.clip((tissue - tissue.mean()) / tissue.std(), -3, 3)
    assert zscore[2:-1] == pytest.approx(expected, abs=1e-3)


def test_outside_the_mask_is_background():
    image, mask = _head()
    mask[5:9] = False
    assert (network_channels(image, mask, ("zscore", "hu"))[:, 5:9] == -3).all()
