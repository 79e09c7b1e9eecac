from __future__ import annotations

import json
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.bids.filters import load_filters
from ctwml_bids.bids.selection import geometry, kernel_rank
from ctwml_bids.bids.units import Skipped
from ctwml_bids.preprocessing.enhancement import Vessels
from tests.bids.planned import plan


def taken(raw) -> str:
    (unit,) = plan(raw.root)
    return (unit.ct or unit.flair).name


def ct(raw, name: str, **options) -> None:
    raw.image(f"sub-01/ct/sub-01_{name}_ct.nii.gz", **options)


def test_the_largest_coverage_comes_before_the_kernel(raw):
    ct(raw, "acq-part", shape=(8, 8, 10), sidecar={"ConvolutionKernel": "STANDARD"})
    ct(raw, "acq-whole", shape=(8, 8, 26), sidecar={"ConvolutionKernel": "BONE"})
    assert taken(raw) == "sub-01_acq-whole_ct.nii.gz"
    assert "largest coverage" in plan(raw.root)[0].notes[0]


def test_a_soft_tissue_kernel_comes_before_thin_slices(raw):
    ct(raw, "rec-a", shape=(8, 8, 30), sidecar={"ConvolutionKernel": "H30s"})
    bone = {"ConvolutionKernel": ["H70h", "3"]}
    ct(raw, "rec-b", shape=(8, 8, 150), spacing=(1, 1, 1), sidecar=bone)
    assert taken(raw) == "sub-01_rec-a_ct.nii.gz"
    assert "soft-tissue kernel" in plan(raw.root)[0].notes[0]
    assert "sub-01_rec-b_ct.nii.gz" in plan(raw.root)[0].notes[0]


def test_axial_comes_before_a_coronal_reformat_that_shows_more_air(raw):
    ct(raw, "acq-1", shape=(8, 8, 30), spacing=(1, 1, 5))
    ct(raw, "acq-2", shape=(8, 250, 60), spacing=(1, 1, 3), axes="RSA")
    assert taken(raw) == "sub-01_acq-1_ct.nii.gz"
    assert "axial" in plan(raw.root)[0].notes[0]


def test_an_isotropic_reformat_is_known_by_its_image_type(raw):
    ct(raw, "acq-1", shape=(8, 8, 150), spacing=(1, 1, 1), sidecar={"ImageType": ["X", "MPR"]})
    ct(raw, "acq-2", shape=(8, 8, 30), spacing=(1, 1, 5), sidecar={"ImageType": ["X", "AXIAL"]})
    assert taken(raw) == "sub-01_acq-2_ct.nii.gz"


def test_a_name_that_only_contains_cor_is_no_coronal_reformat(raw):
    ct(raw, "acq-tiltcorrected", shape=(8, 8, 75), spacing=(1, 1, 2))
    ct(raw, "acq-raw", shape=(8, 8, 30), spacing=(1, 1, 5))
    assert taken(raw) == "sub-01_acq-tiltcorrected_ct.nii.gz"


def test_all_else_equal_the_thinnest_slices_are_taken(raw):
    ct(raw, "acq-thick", shape=(8, 8, 30), spacing=(1, 1, 5))
    ct(raw, "acq-thin", shape=(8, 8, 120), spacing=(1, 1, 1.25))
    assert taken(raw) == "sub-01_acq-thin_ct.nii.gz"


def test_a_ct_angiography_down_to_the_neck_does_not_win_over_the_plain_head(raw):
    ct(raw, "acq-head", shape=(8, 8, 30), spacing=(1, 1, 5))
    agent = {"ContrastBolusAgent": "IOHEXOL"}
    ct(raw, "acq-cta", shape=(8, 8, 350), spacing=(1, 1, 1), sidecar=agent)
    assert taken(raw) == "sub-01_acq-head_ct.nii.gz"
    assert "no contrast agent" in plan(raw.root)[0].notes[0]


@pytest.fixture
def measured(monkeypatch):
    """Say what images show, by a word in their name; returns the names of those looked at."""
    asked = []

    def look(path):
        asked.append(path.name)
        hu = 180.0 if "bright" in path.name else 55.0
        return Vessels((hu, hu))

    monkeypatch.setattr("ctwml_bids.preprocessing.enhancement.vessels", look)
    return asked


@pytest.mark.parametrize(
    ("taken_says", "other_says"),
    [
        ({"ContrastBolusAgent": "NO CONTRAST"}, {"ContrastBolusAgent": "OMNIPAQUE"}),
        ({"ContrastBolusAgent": "without"}, {"SeriesDescription": "CTA"}),
        ({"ContrastBolusVolume": 0}, {"ContrastBolusVolume": 70}),
        ({"SeriesDescription": "Kopf nativ"}, {"SeriesDescription": "Kopf mit KM"}),
        # Known to be without before not known, and that before known to be with.
        ({"SeriesDescription": "NCCT"}, {}),
        ({"ContrastBolusAgent": "NA"}, {"SeriesDescription": "CTA"}),
    ],
)
def test_tags_decide_before_thinner_slices(raw, taken_says, other_says):
    ct(raw, "acq-1", shape=(8, 8, 30), spacing=(1, 1, 5), sidecar=taken_says)
    ct(raw, "acq-2", shape=(8, 8, 150), spacing=(1, 1, 1), sidecar=other_says)
    assert taken(raw) == "sub-01_acq-1_ct.nii.gz"
    note = plan(raw.root)[0].notes[0]
    assert "no contrast agent" in note
    assert " says " in note


@pytest.mark.parametrize(
    "sidecar",
    [
        {},
        {"ContrastBolusAgent": "NA"},
        {"SeriesDescription": "W/WO"},
        {"ContrastBolusAgent": "OMNIPAQUE", "SeriesDescription": "HEAD W/O"},
        {"ContrastBolusAgent": "Iohexol", "ContrastBolusVolume": 0},
    ],
    ids=str,
)
def test_the_image_decides_where_tags_are_silent_or_disagree(raw, measured, sidecar):
    ct(raw, "acq-dark", shape=(8, 8, 30), spacing=(1, 1, 5), sidecar=sidecar)
    ct(raw, "acq-bright", shape=(8, 8, 150), spacing=(1, 1, 1), sidecar=sidecar)
    assert taken(raw) == "sub-01_acq-dark_ct.nii.gz"
    assert "reaches 180 HU, as vessels with an agent do" in plan(raw.root)[0].notes[0]


def test_images_are_looked_at_only_as_far_as_it_can_decide(raw, measured):
    ct(raw, "rec-dark", sidecar={"ConvolutionKernel": "H30s"})
    ct(raw, "rec-brightbone", sidecar={"ConvolutionKernel": "H70h"})
    assert taken(raw) == "sub-01_rec-dark_ct.nii.gz"
    assert measured == ["sub-01_rec-dark_ct.nii.gz"]
    assert "soft-tissue kernel" in plan(raw.root)[0].notes[0]


TIME = {"AcquisitionTime": "13:45:02.150000", "AcquisitionNumber": 2}
SERIES = {"SeriesInstanceUID": "1.2.3"}
DISPUTED = {"ContrastBolusAgent": "OMNIPAQUE", "SeriesDescription": "HEAD W/O"}


@pytest.mark.parametrize(
    ("dark", "bright"),
    [
        (TIME, TIME),
        (SERIES, SERIES),
        # Each reconstruction is a series of its own.
        ({**TIME, "SeriesNumber": 3, **SERIES}, {**TIME, "SeriesInstanceUID": "1.2.4"}),
        ({**TIME, "StudyInstanceUID": "1.2"}, {**TIME, "StudyInstanceUID": "1.2"}),
        ({"AcquisitionTime": TIME["AcquisitionTime"]}, TIME),
        ({**TIME, "SeriesDescription": "NCCT"}, TIME),
        (TIME, {**TIME, "SeriesDescription": "CTA"}),
    ],
    ids=str,
)
def test_reconstructions_of_one_acquisition_are_not_looked_at(raw, measured, dark, bright):
    ct(raw, "rec-dark", shape=(8, 8, 30), spacing=(1, 1, 5), sidecar=dark)
    ct(raw, "rec-bright", shape=(8, 8, 150), spacing=(1, 1, 1), sidecar=bright)
    assert taken(raw) == "sub-01_rec-bright_ct.nii.gz"
    assert measured == []
    notes = " ".join(plan(raw.root)[0].notes)
    assert "thinnest slices" in notes
    assert ("warning" in notes) == ("CTA" in str(bright))


@pytest.mark.parametrize(
    ("dark", "bright"),
    [
        (TIME, {**TIME, "AcquisitionTime": "13:49:40.150000"}),
        (TIME, {**TIME, "AcquisitionNumber": 3}),
        ({**SERIES, **TIME}, {**SERIES, "AcquisitionTime": "13:45:09.1"}),
        ({"AcquisitionNumber": 1}, {"AcquisitionNumber": 1}),
        ({"StudyInstanceUID": "1"}, {"StudyInstanceUID": "1"}),
        ({**TIME, "StudyInstanceUID": "1"}, {**TIME, "StudyInstanceUID": "2"}),
        *(({"AcquisitionTime": t}, {"AcquisitionTime": t}) for t in ("", "00:00:00.000000", "n/a")),
    ],
    ids=str,
)
def test_what_may_be_two_acquisitions_is_looked_at(raw, measured, dark, bright):
    ct(raw, "acq-dark", shape=(8, 8, 30), spacing=(1, 1, 5), sidecar=dark)
    ct(raw, "acq-bright", shape=(8, 8, 150), spacing=(1, 1, 1), sidecar=bright)
    assert taken(raw) == "sub-01_acq-dark_ct.nii.gz"
    assert "as vessels with an agent do" in plan(raw.root)[0].notes[0]


def test_one_time_does_not_make_one_acquisition_of_a_head_and_a_neck(raw, measured):
    ct(raw, "acq-dark", shape=(8, 8, 30), spacing=(1, 1, 5), sidecar=TIME)
    ct(raw, "acq-bright", shape=(8, 8, 350), spacing=(1, 1, 1), sidecar=TIME)
    assert taken(raw) == "sub-01_acq-dark_ct.nii.gz"


def test_one_acquisition_with_tags_that_disagree_is_looked_at_once(raw, measured):
    ct(raw, "rec-dark", shape=(8, 8, 30), spacing=(1, 1, 5), sidecar={**TIME, **DISPUTED})
    ct(raw, "rec-bright", shape=(8, 8, 150), spacing=(1, 1, 1), sidecar=TIME)
    assert taken(raw) == "sub-01_rec-bright_ct.nii.gz"
    assert measured == ["sub-01_rec-bright_ct.nii.gz"]
    assert "was taken with a contrast agent" in " ".join(plan(raw.root)[0].notes)


@pytest.mark.parametrize(
    ("sidecar", "warned", "looked_at"),
    [
        ({}, False, 0),
        ({"SeriesDescription": "NCCT"}, False, 0),
        ({"SeriesDescription": "CTA"}, True, 0),
        ({"ContrastBolusAgent": "Omnipaque"}, True, 0),
        ({"ContrastBolusAgent": "Omnipaque", "SeriesDescription": "W/O"}, True, 1),
    ],
    ids=str,
)
def test_the_only_ct_runs_and_its_contrast_agent_is_warned_of(
    raw, measured, sidecar, warned, looked_at
):
    ct(raw, "acq-bright", sidecar=sidecar)
    assert taken(raw) == "sub-01_acq-bright_ct.nii.gz"
    assert len(measured) == looked_at
    said = "warning: sub-01_acq-bright_ct.nii.gz was taken with a contrast agent"
    assert (said in " ".join(plan(raw.root)[0].notes)) == warned


def test_a_flair_before_gadolinium_comes_before_a_thinner_one_after_it(raw):
    flair = "sub-01/anat/sub-01_{}_FLAIR.nii.gz"
    raw.image(flair.format("acq-pre"), shape=(8, 8, 30), spacing=(1, 1, 5))
    raw.image(flair.format("ce-gadolinium"), shape=(8, 8, 150), spacing=(1, 1, 1))
    assert taken(raw) == "sub-01_acq-pre_FLAIR.nii.gz"


def test_equal_cts_are_skipped_and_the_named_filter_settles_it(raw, tmp_path):
    ct(raw, "run-1")
    ct(raw, "run-2")
    (skipped,) = plan(raw.root)
    assert isinstance(skipped, Skipped)
    assert "sub-01_run-1_ct.nii.gz, sub-01_run-2_ct.nii.gz" in skipped.reason
    remedy = skipped.reason.partition("for instance ")[2]
    (tmp_path / "filter.json").write_text(json.dumps(json.loads(remedy)))
    (unit,) = plan(raw.root, filters=load_filters(tmp_path / "filter.json"))
    assert unit.ct.name == "sub-01_run-1_ct.nii.gz"


def test_flairs_are_chosen_by_coverage_then_slices_else_not(raw):
    flair = "sub-01/anat/sub-01_acq-{}_FLAIR.nii.gz"
    raw.image(flair.format("a"), shape=(8, 8, 30), spacing=(1, 1, 5))
    raw.image(flair.format("b"), shape=(8, 8, 150), spacing=(1, 1, 1))
    raw.image(flair.format("c"), shape=(8, 8, 50), spacing=(1, 1, 1))
    assert taken(raw) == "sub-01_acq-b_FLAIR.nii.gz"
    raw.image(flair.format("d"), shape=(8, 8, 150), spacing=(1, 1, 1))
    (skipped,) = plan(raw.root)
    assert isinstance(skipped, Skipped)
    assert "acq-b" in skipped.reason
    assert "acq-d" in skipped.reason
    assert "acq-a" not in skipped.reason


def test_a_tilted_scan_is_axial_and_as_high_as_its_slices(shared_data):
    seen = geometry(shared_data / "awkward" / "ge01_tilted_variable-spacing_ct.nii.gz")
    upright = geometry(shared_data / "bids-real" / "sub-ge01" / "ct" / "sub-ge01_ct.nii.gz")
    assert seen.axial
    assert upright.axial
    assert 80 < seen.coverage_mm < 250
    assert 3.5 < seen.spacing_mm < 7.5


@pytest.mark.parametrize(
    "kernel",
    ["STANDARD", "STD+", "SOFT", "H30s", "H31f", "J40s", "Hr38f", "Hc40", "FC21", "FC26", "FC68",
     "UB", ["J40s", "3"]],
)  # fmt: skip
def test_soft_tissue_kernels_are_known(kernel):
    assert kernel_rank(kernel) == 0


@pytest.mark.parametrize(
    "kernel",
    ["BONE", "BONEPLUS", "Bone Plus", "EDGE", "LUNG", "H60s", "H70h", "Hr59", "B70f", "FC30",
     "FC81", "YC", ["J70h", "2"]],
)  # fmt: skip
def test_bone_and_lung_kernels_are_known(kernel):
    assert kernel_rank(kernel) == 2


@pytest.mark.parametrize("kernel", [None, "", [], "house special", 7])
def test_other_kernels_stand_between(kernel):
    assert kernel_rank(kernel) == 1


def test_planning_needs_pybids_only_when_a_data_set_is_searched():
    code = "import sys, ctwml_bids.bids.query; sys.exit('bids' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("gap", [0.4, 0.5, 0.6, 0.8, 0.9])
def test_thin_overlapping_slices_count_by_their_distance(tmp_path, gap):
    image = nib.Nifti1Image(np.zeros((64, 64, 80), np.uint8), np.diag([1.0, 1.0, gap, 1.0]))
    nib.save(image, tmp_path / "a.nii")
    seen = geometry(tmp_path / "a.nii")
    assert seen.spacing_mm == pytest.approx(gap)
    assert seen.axial
