"""The page of a unit that failed."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ctwml_bids import errors
from ctwml_bids.reports.failed import FailedReport, as_read, render_failed
from tests.reports.test_subject import PNG, Page

REPORT = FailedReport(
    unit="sub-01_ses-a",
    version="0.2.0",
    created="2026-01-01T00:00:00+00:00",
    step="read_ct",
    reason="sub-01_ct.nii.gz: 1 of 64 voxels are NaN. Replace them.",
    error="BadDataError",
    exit_code=65,
    images=({"Image": "CT", "File": "sub-01_ct.nii.gz", "Could be read": "the header alone"},),
    notes=("Took the largest coverage.",),
    files={"Crash files": {"crash-1.txt": "logs/sub-01/crash-1.txt"}},
)


def test_the_page_says_what_was_found_the_file_and_the_remedy():
    page = Page(render_failed(REPORT))
    assert page.open == []
    for words in (
        "Not measured. The step read_ct failed, so this unit has no results.",
        "sub-01_ct.nii.gz: 1 of 64 voxels are NaN. Replace them.",
        "BadDataError, exit code 65",
        "Correct or replace the file that is named",
        "docs/faq.md , under exit code 65",
        "the header alone",
        "Took the largest coverage.",
        "crash-1.txt",
    ):
        assert words in page.text, words
    before = Page(render_failed(replace(REPORT, has_results=True))).text
    assert "those of an earlier one that are still in the folder do not count" in before


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errors.CannotCreateError.exit_code, "can be written"),
        (errors.InputOutputError.exit_code, "Make room"),
        (errors.TemporaryError.exit_code, "more memory"),
        (1, "please report it"),
    ],
)
def test_the_remedy_is_that_of_the_error(code, words):
    assert words in Page(render_failed(replace(REPORT, exit_code=code))).text


def test_whatever_the_message_holds_is_escaped():
    evil = '<b onclick="x()">"\'&</b>'
    figure = as_read("CT", np.zeros((4, 4, 4)), (1.0, 1.0, 1.0))
    page = Page(
        render_failed(
            replace(
                REPORT,
                unit=evil,
                reason=evil,
                images=({"File": evil},),
                figures=(replace(figure, png=PNG),),
                notes=(evil,),
                files={evil: {evil: evil}},
            )
        )
    )
    assert page.open == []
    assert evil in page.text
    assert not any(tag == "b" for tag, _ in page.tags)


@pytest.mark.parametrize(
    ("shape", "spacing"),
    [((1, 1, 1), (1.0, 1.0, 1.0)), ((40, 50, 3), (0.5, 300.0, 1.0)), ((60, 60, 60), (0, 0, 0))],
)
def test_an_image_of_any_shape_and_header_is_shown(shape, spacing):
    array = np.full(shape, np.nan)
    picture = Image.open(io.BytesIO(as_read("FLAIR", array, spacing).png))
    assert max(picture.size) < 2000


def test_the_patients_right_is_on_the_left_and_the_front_at_the_top():
    array = np.zeros((60, 60, 1))
    array[40:, 45:] = 100.0
    png = as_read("FLAIR", array, (3.0, 3.0, 3.0)).png
    grey = np.asarray(Image.open(io.BytesIO(png)).convert("L"), float)[:120, :120]
    rows, columns = np.nonzero(grey > 128)
    assert (rows.max() < 40, columns.max() < 50) == (True, True)
