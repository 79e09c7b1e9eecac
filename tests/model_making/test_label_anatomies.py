from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from ctwml_bids.simulation import anatomy as anatomies
from ctwml_bids.simulation import canonical, ct
from ctwml_bids.simulation.individual import Anatomy
from ctwml_bids.simulation.lesions import make_lesions
from model_making import label_maps
from model_making.label_anatomies import make_head, place


@pytest.fixture(scope="module")
def placed(shared_data):
    """The map with most lesions where its file has it: near enough to the template for a look."""
    return place(label_maps.read_label_map(shared_data / "anatomies/anat-15_labels.nii.gz"), [])


@pytest.fixture(scope="module")
def made(placed):
    return make_head(placed)


def test_every_voxel_of_the_grid_finds_its_place_in_the_map(placed):
    index = np.array([60, 120, 130])
    point = np.append(canonical.ORIGIN + index, 1)
    expected = np.linalg.solve(placed.map.affine, point)[:3]
    assert placed.source[:, 60, 120, 130] == pytest.approx(expected, abs=1e-2)


def test_fractions_are_those_of_linear_interpolation(placed):
    mask = placed.map.labels == 4
    expected = ndimage.map_coordinates(mask.astype(np.float32), placed.source, order=1)
    assert np.abs(placed.fraction(4) - expected).max() < 1e-4


def test_lesions_are_white_matter_and_ventricles_hold_horns_and_plexus(made, placed):
    head, lesions = made
    assert lesions.sum() / 1000 == pytest.approx(44.6, rel=0.08)
    assert head.white[ndimage.binary_erosion(lesions)].min() > 0.95
    inside = np.isin(placed.map.labels, label_maps.LATERAL_VENTRICLES).sum()
    assert (head.ventricle_distance < 0).sum() / inside == pytest.approx(1, abs=0.12)
    # Inferior horns are a voxel or two wide: they must not vanish.
    horns = placed.fraction(5, 44) > 0.8
    assert (head.ventricle_distance[horns] < 0.2).mean() > 0.9


def test_labels_hold_skull_scalp_eyes_and_vessels_of_plausible_volume(made):
    counts = np.bincount(made[0].labels.ravel(), minlength=50) / 1000
    bone = counts[[canonical.COMPACT_BONE, canonical.SPONGY_BONE, canonical.PETROUS]].sum()
    assert 350 < bone < 900
    assert 60 < counts[canonical.SKIN] < 400
    assert 8 < counts[[canonical.EYE, canonical.LENS]].sum() < 20
    assert 0.1 < counts[canonical.LENS] < 0.6
    assert 2 < counts[[canonical.BLOOD_SINUS, canonical.ARTERY]].sum() < 60
    assert 80 < counts[canonical.CEREBELLUM] < 220


def test_a_head_that_is_to_have_no_lesions_shows_none_of_its_own(made):
    base, own = made
    rng = np.random.default_rng(4)
    head = anatomies.make_head(rng, 70.0, "F", Anatomy("anat-15", base))
    plain = make_lesions(rng, head, 0.0)
    nothing = np.zeros_like(plain.haze)
    plain = replace(plain, haze=nothing, infarct=nothing, cavity=nothing, calcification=nothing)
    hu = ct.hounsfield(rng, head, plain, ct.draw_settings(rng, 70.0, 0.0))
    thin = (slice(None, None, 2),) * 3
    hu, white = hu[canonical.BRAIN_BOX][thin], head.white[thin]
    there = ndimage.map_coordinates(own.astype(np.float32), head.source, order=1) > 0.5
    around = ndimage.binary_dilation(there, iterations=3) & ~there
    values = [hu[where & (white > 0.97)] for where in (there, around)]
    assert min(map(len, values)) > 500
    assert values[0].mean() == pytest.approx(values[1].mean(), abs=1.0)
