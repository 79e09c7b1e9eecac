"""Tags, words and labels for and against a contrast agent, as they are met in data sets."""

from __future__ import annotations

import pytest

from ctwml_bids.bids.contrast import tagged

AGENT, SERIES, VOLUME = "ContrastBolusAgent", "SeriesDescription", "ContrastBolusVolume"
ROUTE, STUDY = "ContrastBolusRoute", "StudyDescription"

WITH_WORDS = """
CTA | CT Angio 0.6 | HEAD C+ | Kopf mit KM | crâne avec injection | W/ CONTRAST | CECT | HEAD POST
Perfusion | venöse Phase | arterial | DELAYED | +C | HEAD W | W IV, NO ORAL CONTRAST | TT-angio
cráneo con contraste | postcontrast 5mm | IV | Schaedel KM | Brain post contrast | CONTRAST
post contrast brain window | enhanced sharp | Contrast Detail | KM, jodallergie | acq_KM_0_6
con cte | c/ contraste | CE CT | Head CE | kontrastlı | с контрастом | C plus
"""
WITHOUT_WORDS = """
HEAD W/O | CT HEAD WO CONTRAST | NCCT | NECT | non-con | Kopf nativ | ohne KM | sans injection
HEAD C- | unenhanced | non-enhanced | NO IV CONTRAST | PRE | natiivi | sin contraste | senza mdc
oral contrast only | contrast: none | plain | KM-frei | KMfrei | kontrastmittelfrei | frei von KM
sine contrast | contrast-free | w/out contrast | no contrast window | KM 0 | contrast: 0 ml
contrast 0.0 | No contrast (allergy) | s/ contraste | Contrast: N
sin cte | kontrastsız | без контраста
"""
WORDS_OF_NEITHER = """
HEAD | Head 5.0 H31s | W/WO CONTRAST | with and without contrast | pre and post contrast
HEAD POST FOSSA | POST-OP | C-SPINE | CT HEAD W/ C SPINE | edge enhanced | no injury
mit und ohne KM | +/- contrast | high contrast | without tilt | alternative | Head contrast window
Contrast 40 Window | HiContrast | HICONTRAST | low-contrast | enhanced resolution
contrast resolution | resolution enhanced | no contrast allergy | allergic to iodine | with 0.6 mm
virtual non contrast | Virtual Non-Contrast | virtual unenhanced
"""
WITH = [
    *({AGENT: value} for value in ("OMNIPAQUE 350", "APPLIED", "80 ML", "80 mL", ["Iohexol", ""])),
    *({AGENT: f"Ultravist 300{rest}"} for rest in ("", "/80 ml", ", no allergy", " / 90 mL, 0 mL")),
    *({VOLUME: value} for value in (80, "90 ml", [0, 60])),
    {AGENT: "IV & ORAL"},
    {"ContrastBolusIngredient": "IODINE"},
    {ROUTE: "Intravenous route"},
    {"ContrastBolusStartTime": "10:21:00.5"},
    {SERIES: "Head 1.0", "ProtocolName": "CTA Head"},
]
WITHOUT = [
    *({AGENT: value} for value in ("NO CONTRAST", "without", "None", "0 ml", "0 mL", "0.0 cc")),
    *({AGENT: value} for value in ("ORAL", "none given", "contrast 0 ml", "None, 0 mL")),
    {VOLUME: 0},
    {ROUTE: "ORAL", AGENT: "Omnipaque", VOLUME: 450},
    {SERIES: "NCCT", "ProtocolName": "CTA Head"},
    {STUDY: "CT HEAD WITHOUT CONTRAST"},
]
NEITHER = [
    {},
    *({AGENT: value} for value in ("NA", "N/A", "", None, "unknown", "W/WO")),
    *(
        {AGENT: value}
        for value in ("no allergy", "NKDA", "no allergies to contrast", "high contrast")
    ),
    *({AGENT: value} for value in ("Deidentified", "De-Identified", "REMOVED", "[redacted]")),
    *(
        {AGENT: value}
        for value in ("anonymized", "XX", "xxx-xxx", "***", "#", "...", "not recorded")
    ),
    {SERIES: "Head 1.0", STUDY: "CT HEAD W WO CONTRAST"},
]
ANSWERS = (
    (True, WITH, WITH_WORDS),
    (False, WITHOUT, WITHOUT_WORDS),
    (None, NEITHER, WORDS_OF_NEITHER),
)
LABELS = {
    True: "ce-omnipaque acq-CTA acq-postcontrast desc-venous ce-gadolinium rec-cect acq-KM0p6 "
    "acq-CE rec-Cplus",
    False: "ce-none ce-nativ acq-headWO rec-noncon acq-NoContrast desc-pre acq-noCE rec-Cminus",
    None: "ce-na acq-head rec-soft acq-cor desc-thin run-1",
}


def series(words: str) -> list[dict]:
    return [
        {SERIES: text.strip()} for line in words.splitlines() for text in line.split("|") if text
    ]


@pytest.mark.parametrize(
    ("sidecar", "given"),
    [
        (sidecar, given)
        for given, sidecars, words in ANSWERS
        for sidecar in [*sidecars, *series(words)]
    ],
    ids=str,
)
def test_what_a_sidecar_says(sidecar, given):
    answer = tagged(sidecar, "sub-01_ct.nii.gz")
    assert answer.given is given
    assert not answer.disputed
    if given is not None:
        assert answer.reason.split(" says ")[0] in sidecar


@pytest.mark.parametrize("slices", ["0.6 mm", "0,75", "0.625mm", "0.6 B30s", "5.0", "0_6", "10mm"])
@pytest.mark.parametrize(
    ("text", "given"),
    [(s[SERIES], given) for given, _, words in ANSWERS for s in series(words)],
)
def test_a_slice_thickness_after_it_changes_nothing(text, given, slices):
    assert tagged({SERIES: f"{text} {slices}"}, "sub-01_ct.nii.gz").given is given


@pytest.mark.parametrize(
    "text",
    [
        "CONTRAST 0.6",
        "KM 0.75",
        "KM-0.6",
        "KM:0.6",
        "Head C+0.6mm",
        "KM (0.6)",
        "KM0.6",
        "KM 0.6/0.4",
    ],
)
def test_a_slice_thickness_is_no_amount_of_0(text):
    assert tagged({SERIES: text}, "sub-01_ct.nii.gz").given is True


@pytest.mark.parametrize(
    ("label", "given"),
    [(label, given) for given, labels in LABELS.items() for label in labels.split()],
)
def test_what_a_name_says(label, given):
    assert tagged({}, f"sub-01_ses-cta_{label}_ct.nii.gz").given is given


@pytest.mark.parametrize(
    ("sidecar", "name"),
    [
        ({AGENT: "OMNIPAQUE", SERIES: "HEAD W/O"}, "sub-01_ct.nii.gz"),
        ({AGENT: "Iohexol", VOLUME: 0}, "sub-01_ct.nii.gz"),
        ({AGENT: "Ultravist 300 / 0 ml"}, "sub-01_ct.nii.gz"),
        ({AGENT: "Iohexol 0.0 mL IV"}, "sub-01_ct.nii.gz"),
        ({AGENT: "NONE", SERIES: "CTA"}, "sub-01_ct.nii.gz"),
        ({VOLUME: 80}, "sub-01_acq-nativ_ct.nii.gz"),
        ({SERIES: "Kopf nativ"}, "sub-01_ce-iomeron_ct.nii.gz"),
        ({ROUTE: "IV", "ImageComments": "non contrast"}, "sub-01_ct.nii.gz"),
    ],
)
def test_fields_that_contradict_each_other_leave_it_open_and_both_are_named(sidecar, name):
    answer = tagged(sidecar, name)
    assert answer.given is None
    assert answer.disputed
    assert answer.reason.count(" says ") == 2


def test_of_a_free_text_only_the_words_that_say_it_are_shown():
    comment = {"ImageComments": "Mr Smith, born 1940, NATIVE scan"}
    assert tagged(comment, "sub-01_ct.nii.gz").reason == 'ImageComments says "native"'
