from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from ctwml_bids.simulation import canonical as c
from ctwml_bids.simulation import ct, flair, individual, own_skull, patterns, scans
from ctwml_bids.simulation.anatomy import make_head
from ctwml_bids.simulation.lesions import make_lesions
from ctwml_bids.simulation.sampling import pose

LOWEST = -76.0


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The template's brain in shells of bone, fat and skin, with lesions of its own."""
    base = c.canonical_head()
    labels = base.labels.copy()
    outside = base.skull_distance
    for code, inner, outer in ((c.COMPACT_BONE, 0, 6), (c.FAT, 6, 10), (c.SKIN, 10, 12)):
        labels[(outside > inner) & (outside <= outer)] = code
    labels[outside > 12] = c.OUTSIDE
    x, y, z = c.coordinates()
    lesions = (np.abs(x - 26) < 6) & (np.abs(y + 20) < 20) & (np.abs(z - 26) < 4)
    path = tmp_path_factory.mktemp("whole") / "anat-x.npz"
    head = replace(base, labels=labels, covered_from=LOWEST)
    individual.write_head(path, head, lesions & (base.white > 0.8))
    return path


@pytest.fixture(scope="module")
def file_from_before(tmp_path_factory):
    """The template's head as files held it without labels outside the brain or lesions."""
    path = tmp_path_factory.mktemp("before") / "sub-x.npz"
    individual.write_head(path, c.canonical_head())
    return path


@pytest.fixture(scope="module")
def anatomy(file):
    draws = (individual.draw_anatomy(np.random.default_rng(i), [file], 1.0) for i in range(20))
    return next(one for one in draws if one.name == "anat-x")


@pytest.fixture(scope="module")
def head(anatomy):
    return make_head(np.random.default_rng(3), 70.0, "F", anatomy)


def test_a_file_gives_back_what_whole_heads_have(file, anatomy):
    assert anatomy.head.covered_from == LOWEST
    lesions = individual.read_lesions(file)
    assert lesions.dtype == bool
    assert 2000 < lesions.sum() < 40 * 12 * 8


def test_a_file_from_before_is_a_procedural_head(file_from_before):
    drawn = individual.draw_anatomy(np.random.default_rng(0), [file_from_before], 1.0)
    assert drawn.head.covered_from is None
    assert individual.read_lesions(file_from_before) is None


def test_such_a_head_shows_its_own_skull_and_scalp(head):
    rng = np.random.default_rng(1)
    lesions = make_lesions(rng, head, 0.0)
    hu = ct.hounsfield(rng, head, lesions, ct.draw_settings(rng, 70.0, 0.0))
    _, _, z = c.coordinates()
    depth = head.skull_distance
    vault = z > 10
    # Between the surfaces of the shells that the labels hold.
    assert np.percentile(hu[vault & (depth > 2) & (depth < 4)], 10) > 700
    assert -130 < np.median(hu[vault & (depth > 7.5) & (depth < 8.5)]) < -40
    assert np.median(hu[vault & (np.abs(depth - 11) < 0.4)]) > -60
    assert (hu[vault & (depth > 15)] == -1000).all()
    settings = flair.draw_settings(rng)
    signal = flair.relative_signal(rng, head, lesions, settings)
    assert np.median(signal[vault & (depth > 2) & (depth < 4)]) < 0.15
    assert abs(np.median(signal[vault & (depth > 7.5) & (depth < 8.5)]) - settings.fat) < 0.3


def test_vessels_and_plexus_stand_out_of_the_fluid():
    labels = np.full((9, 9, 30), c.CEREBRUM, dtype=np.uint8)
    labels[2:7, 2:7, 3:9], labels[2:7, 2:7, 20:26] = c.BLOOD_SINUS, c.CHOROID
    fluid = own_skull.with_vessels(labels, np.full(labels.shape, 5.0), 55.0, 35.0)
    assert fluid[4, 4, 5] == pytest.approx(55, abs=0.5)
    assert fluid[4, 4, 23] == pytest.approx(35, abs=0.5)
    assert fluid[4, 4, 14] == 5


@pytest.mark.parametrize("sagittal", [False, True])
def test_no_scan_goes_below_what_is_known(sagittal):
    low = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        matrix = pose(rng, np.array([0.88, 0.9, 0.92]), 5.0, 20.0)
        grids = [scans.draw_flair_grid(rng, matrix, None, "full", sagittal, covered_from=LOWEST)]
        grids += [
            scans.draw_ct_grid(rng, matrix, given, "full", covered_from=LOWEST)
            for given in (None, (1, 1, 3))
        ]
        foramen = matrix @ [0, -40, LOWEST, 1]
        for scan in grids:
            index = np.linalg.solve(scan.affine, foramen)
            axis = 1 if sagittal and scan is grids[0] else 2
            reach = scan.thickness / scan.spacing[axis] / 2 if axis == 2 else 0.5
            low.append(-reach - index[axis])
    # The lowest slice of a map goes on below it, so that a fraction of a millimetre does no harm.
    assert min(low) > -1
    unlimited = scans.draw_ct_grid(np.random.default_rng(0), np.eye(4), (1, 1, 3), "full")
    assert unlimited.affine[2, 3] < LOWEST - 3


def test_lesions_follow_a_real_pattern_and_keep_the_wanted_volume(file, head):
    own = individual.read_lesions(file)[c.BRAIN_BOX]
    shares = {}
    for share in (0.0, 1.0):
        found = patterns.draw_pattern(np.random.default_rng(8), head, [file], 6.0, share)
        assert (found.distance is None) == (share == 0.0)
        lesions = make_lesions(np.random.default_rng(2), head, 6.0, pattern=found.distance)
        lesions = lesions.lesion > 0.5
        assert lesions.sum() * head.voxel_ml == pytest.approx(6.0, rel=0.03)
        place = own[::-1] if found.name.endswith("mirrored") else own
        near = ndimage.binary_dilation(place, iterations=6)
        shares[share] = (lesions & near).sum() / lesions.sum()
    assert shares[1.0] > 0.6 > 2 * shares[0.0]


def test_patterns_differ_each_time_and_come_only_from_files_that_have_one(
    file_from_before, file, head
):
    one, two = (
        patterns.draw_pattern(np.random.default_rng(seed), head, [file], None, 1.0).distance
        for seed in (1, 2)
    )
    assert np.abs(one - two).mean() > 0.3
    none = patterns.draw_pattern(np.random.default_rng(1), head, [file_from_before], 5, 1.0)
    assert none == patterns.Pattern("none", None)
