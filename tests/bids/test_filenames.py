from __future__ import annotations

import os
import re

import pytest

from ctwml_bids.bids.filenames import (
    contradiction,
    label_of,
    looks_like,
    read_name,
    readable,
    resembles,
)

PLAIN = re.compile("[A-Za-z0-9+]+")
VOCABULARY = {
    "sub": ("subject", PLAIN),
    "ses": ("session", PLAIN),
    "acq": ("acquisition", PLAIN),
    "run": ("run", re.compile(r"\d+")),
    "part": ("part", re.compile("mag|phase|real|imag")),
}


def read(name: str):
    return read_name(name, VOCABULARY)


def test_a_name_is_read_whole():
    name = read("sub-01_ses-B+2_acq-thin_run-02_ct.nii.gz")
    assert name.entities == {"sub": "01", "ses": "B+2", "acq": "thin", "run": "02"}
    assert (name.kind, name.suffix, name.extension) == ("ct", "ct", ".nii.gz")
    assert name.is_exact
    assert name.faults == ()


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ("acq-0.5mm", "acq-0.5mm"),
        ("acq-a-b", "acq-a-b"),
        ("acq-a_b", "'b'"),
        ("ses-2020-01-05", "ses-2020-01-05"),
        ("ses-a_b", "'b'"),
        ("run-1b", "run-1b"),
        ("part-magnitude", "part-magnitude"),
        ("acq-", "acq-"),
        ("Acq-thin", "'Acq-thin'"),
        ("acq-weiß", "acq-weiß"),
        ("acq-thin thick", "acq-thin thick"),
        ("acq-a_acq-b", "acq- stands in it twice"),
        ("acq-\udcff", r"acq-\xff"),
    ],
)
def test_a_label_that_bids_forbids_is_a_fault_and_named(part, told):
    for suffix in ("ct", "CT", "FLAIR"):
        name = read(f"sub-01_{part}_{suffix}.nii.gz")
        assert any(told in fault for fault in name.faults)


@pytest.mark.parametrize(
    ("name", "subject", "session", "told"),
    [
        ("sub-02_ct.nii.gz", "01", None, "it says sub-02"),
        ("sub-1_ct.nii.gz", "01", None, "it says sub-1"),
        ("sub-A1_ct.nii.gz", "a1", None, "it says sub-A1"),
        ("sub-01_ses-2_ct.nii.gz", "01", "1", "it says ses-2"),
        ("sub-01_ses-1_ct.nii.gz", "01", "10", "it says ses-1"),
        ("sub-01_ses-1_ct.nii.gz", "01", None, "it says ses-1 and lies in no folder ses-1"),
        ("sub-01_ct.nii.gz", "01", "1", "it lacks ses-1"),
        ("ct.nii.gz", "01", None, "it lacks sub-01"),
    ],
)
def test_a_name_that_contradicts_its_folders_is_told(name, subject, session, told):
    assert told in contradiction(read(name), subject, session)


def test_a_name_as_its_folders_are_is_no_contradiction():
    assert contradiction(read("sub-01_ct.nii"), "01", None) is None
    assert contradiction(read("sub-01_ses-1_FLAIR.nii.gz"), "01", "1") is None
    assert contradiction(read("ct.json"), "01", "1", complete=False) is None


@pytest.mark.parametrize(
    "words", ["Eq", "Eq_1", "Tilt", "Tilt_1", "Tilt_Eq_1", "eq_1", "Tilt_1_Eq", "1_Tilt"]
)
def test_words_of_dcm2niix_after_the_suffix_say_that_it_is_a_corrected_copy(words):
    for suffix in ("ct", "FLAIR"):
        name = read(f"sub-01_{suffix}_{words}.nii.gz")
        assert name.is_corrected
        assert name.is_copy
        assert not name.is_exact


@pytest.mark.parametrize(
    "name",
    [
        "sub-01_ct_1.nii.gz",
        "sub-01_cta.nii.gz",
        "sub-01_ct (1).nii.gz",
        "sub-01_FLAIR copy.nii.gz",
        "sub-01_flair.nii.gz",
        "sub-01_Ct.nii",
        "sub-01_ct.NII.GZ",
    ],
)
def test_other_names_that_are_nearly_right_are_copies_not_corrected_ones(name):
    assert read(name).is_copy
    assert not read(name).is_corrected


@pytest.mark.parametrize(
    "name",
    [
        "sub-01_T1w.nii.gz",
        "sub-01_acq-ct_T1w.nii.gz",
        "._sub-01_ct.nii.gz",
        "sub-01_ct.nii.gz.bak",
        "sub-01_direct.nii.gz",
        "sub-01_ct.png",
    ],
)
def test_what_is_no_ct_or_flair_by_its_name_is_not_read(name):
    assert read(name) is None


def test_a_mask_of_a_flair_is_no_copy_of_it():
    assert not read("sub-01_FLAIR_mask.nii.gz").is_copy


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("sub-01", "01"),
        ("sub-AB+7", "AB+7"),
        ("sub-AB-7", None),
        ("sub-AB_7", None),
        ("sub-", None),
        ("sub-01.old", None),
        ("sub-Ä1", None),
        ("Sub-01", None),
        ("sub_01", None),
        ("sub01", None),
        ("subject-01", None),
    ],
)
def test_a_folder_of_a_subject_has_a_label_or_only_looks_like_one(name, label):
    assert looks_like("sub", name)
    assert label_of("sub", name) == label


@pytest.mark.parametrize("name", ["derivatives", "subcortical", "substudy", "code", "mysub-01"])
def test_other_folders_do_not_look_like_subjects(name):
    assert not looks_like("sub", name)


def test_bytes_that_are_no_text_are_shown_by_their_codes():
    assert readable(os.fsdecode(b"sub-\xff\n1")) == r"sub-\xff\n1"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("sub-01_FLAIR_heudiconv123.nii.gz", "flair"),
        ("sub-01_FLAIR__dup-01.nii.gz", "flair"),
        ("sub-01_FLAIR_run-2.nii.gz", "flair"),
        ("sub-01_FLAIR_acq-x.nii", "flair"),
        ("sub-01_FLAIR-1.nii.gz", "flair"),
        ("sub-01_FLAIR_Crop_1.nii.gz", "flair"),
        ("sub-01_FLAIR_t2.nii.gz", "flair"),
        ("sub-01_T2FLAIR.nii.gz", "flair"),
        ("sub-01_T2-FLAIR.nii.gz", "flair"),
        ("sub-01_t2-flair.nii.gz", "flair"),
        ("sub-01_acq-FLAIR.nii.gz", "flair"),
        ("sub-01_FLAIR_acq-ct.nii.gz", "flair"),
        ("sub-01_3dFlair2_ce-x.nii.gz", "flair"),
        ("sub-01_CT-1.nii.gz", "ct"),
        ("sub-01_ct_crop.nii.gz", "ct"),
        ("sub-01_acq-FLAIR_T2w.nii.gz", None),
        ("sub-01_FLAIR_T1w.nii.gz", None),
        ("sub-ct_acq-ct_T1w.nii.gz", None),
        ("sub-01_cta.nii.gz", None),
        ("sub-01_project.nii.gz", None),
    ],
)
def test_other_names_tell_a_kind_by_their_last_word_of_one(name, kind):
    assert resembles(name) == kind


@pytest.mark.parametrize("name", ["FLAIR1", "FLAIR2", "FLAIR12", "ct1", "CT2", "ct03", "flair1"])
def test_a_number_after_the_suffix_makes_a_copy(name):
    read = read_name(f"sub-01_{name}.nii.gz", {})
    assert read.kind == name.rstrip("0123456789").lower()
    assert read.is_copy
    assert not read.is_exact
