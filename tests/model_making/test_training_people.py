"""Who is in the training heads and how they are scanned."""

from __future__ import annotations

import numpy as np
import pytest

from model_making.training_people import draw_person, draw_scans


@pytest.fixture(scope="module")
def people():
    return [draw_person(np.random.default_rng([seed, 11])) for seed in range(3000)]


def test_four_in_ten_have_no_lesion_and_half_of_these_are_old(people):
    free = np.array([person["age"] for person in people if person.get("lesion_ml") == 0])
    assert len(free) / len(people) == pytest.approx(0.4, abs=0.03)
    assert 18 <= free.min() < 19
    assert (free < 45).mean() == pytest.approx(0.35, abs=0.04)
    assert (free > 65).mean() == pytest.approx(0.45, abs=0.04)


def test_lesions_reach_from_next_to_nothing_to_128_ml(people):
    volumes = np.array([person.get("lesion_ml", np.nan) for person in people])
    volumes = volumes[np.nan_to_num(volumes) > 0]
    assert volumes.min() < 0.2
    assert 120 < volumes.max() <= 128
    assert {person["fazekas"] for person in people if "lesion_ml" not in person} == {1, 2, 3}


def test_some_of_the_old_have_wide_ventricles_with_and_without_lesions(people):
    old = [person for person in people if person["age"] > 55]
    wide = [person for person in old if "ventricles_ml" in person]
    assert len(wide) / len(old) == pytest.approx(0.08, abs=0.02)
    assert not any("ventricles_ml" in person for person in people if person["age"] <= 55)
    assert all(100 <= person["ventricles_ml"] <= 250 for person in wide)
    assert 0.2 < np.mean([person.get("lesion_ml") == 0 for person in wide]) < 0.6


def test_scans_span_thin_and_thick_slices_gaps_and_windows():
    scans = [draw_scans(np.random.default_rng(seed)) for seed in range(2000)]
    apart = np.array([scan["ct_spacing"][2] for scan in scans])
    assert (apart.min(), apart.max()) == (1.5, 10.0)
    assert np.mean(["ct_window" in scan for scan in scans]) == pytest.approx(0.1, abs=0.02)
    gaps = np.array([scan["ct_gap"] for scan in scans])
    assert (gaps > 0).mean() == pytest.approx(0.3, abs=0.04)
    assert 0.29 < gaps.max() <= 0.3
    axial = [scan for scan in scans if not scan["sagittal"]]
    assert len(axial) / len(scans) == pytest.approx(0.85, abs=0.03)
    apart = np.array([scan["flair_spacing"][2] for scan in axial])
    assert apart.min() < 3.1
    assert apart.max() > 9.8
    assert np.mean((apart >= 4) & (apart <= 6)) > 0.45
