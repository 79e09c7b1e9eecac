from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from ctwml_bids.reports.html import decimal, number, short
from ctwml_bids.reports.methods import methods
from ctwml_bids.reports.subject import Figure, SubjectReport, model_sentence, render_subject
from ctwml_bids.segmentation.networks import ARCHITECTURES, DEFAULT
from ctwml_bids.statistics.columns import report_labels

NETWORKS = dict.fromkeys(("ct", "flair"), ARCHITECTURES[DEFAULT])
VOID = {"meta", "img", "input", "br", "link"}
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

OF_IMAGE, OF_PAIR = report_labels()


class Page(HTMLParser):
    """Collects tags, and finds out whether they nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def gate(name, status, value=1.0):
    return {
        "name": name,
        "value": value,
        "unit": "mL",
        "status": status,
        "limits": "warn above 5",
        "message": f"{name} was measured.",
    }


def image_row(image, ml):
    names = ("wml_percent", "lesion_median_ml", "lesion_largest_ml", "periventricular_ml")
    names += ("speck_ml", "deep_ml", "left_ml", "right_ml", "brain_ml", "ventricle_ml")
    row = dict.fromkeys(names, 1.5) | {"periventricular_ml": "n/a", "lesion_count": 3}
    return row | {"image": image, "wml_ml": ml, "threshold": 0.25, "model": "ct-a", "dice": "n/a"}


PAIR = {
    "image": "pair",
    "dice": 0.613,
    "true_positive_ml": 3.0,
    "ct_only_ml": 1.0,
    "flair_only_ml": 2.0,
    "h95_mm": "n/a",
    "avd_percent": 12.0,
    "lesion_recall": 0.5,
    "lesion_f1": 0.4,
}


CARD = {
    "name": "ct-a",
    "version": "1.2",
    "threshold": 0.25,
    "infarct_threshold": None,
    "members": [{"file": "a", "sha256": "abc123"}],
    "training": {"data": "simulated heads", "command": "python -m train"},
    "never_trained_on": ["sub-ge01"],
}


@pytest.fixture
def report():
    return SubjectReport(
        unit="sub-01_ses-a",
        version="0.1.0",
        created="2026-01-01T00:00:00+00:00",
        rows=(image_row("ct", 12.34), image_row("flair", 10.1), PAIR),
        gates=(gate("CT brain volume", "pass"), gate("CT coverage", "warn")),
        measures=OF_IMAGE,
        pair_measures=OF_PAIR,
        methods=methods(version="0.1.0", networks=NETWORKS),
        figures=(
            Figure("Lesions on CT", "What to see.", "Axial CT slices", PNG),
            Figure("In turn", "Moves?", "CT and FLAIR", PNG, PNG, ("FLAIR", "CT")),
        ),
        images=({"Image": "CT", "File": "bids:raw:sub-01/ct/sub-01_ct.nii.gz"},),
        notes=("Took the largest coverage.",),
        warnings=("Uneven slices.",),
        lesions=tuple(
            {
                "image": "ct",
                "lesion": n,
                "volume_ml": 1 / n,
                "x_mm": 1.0,
                "y_mm": -2.0,
                "z_mm": 3.0,
                "ventricle_distance_mm": "n/a",
            }
            for n in range(1, 41)
        ),
        models={model_sentence("ct", CARD): "models/ct-a/card.json"},
        files={"CT": {"lesions": "sub-01/anat/lesions.nii.gz"}},
        group="group.html",
        settings={"random_seed": 1},
        software={"antspyx": "0.6.3"},
    )


def test_the_page_is_whole_and_says_what_it_should(report):
    page = Page(render_subject(report))
    assert page.open == []
    for words in (
        "sub-01_ses-a",
        "12.3 mL",
        "0.61",
        "CT coverage was measured.",
        "Took the largest coverage.",
        "Uneven slices.",
        "ct-a (version 1.2) gives a probability above 0.25; it was trained on simulated heads.",
        "antspyx",
        "Pitkänen J",
        "For research use only",
        "15 smaller lesions",
    ):
        assert words in page.text, words


def test_it_needs_nothing_from_outside_and_runs_nothing(report):
    text = render_subject(report)
    page = Page(text)
    of = [(k, v) for _, a in page.tags for k, v in a.items() if k in ("src", "href", "action")]
    assert all(v.startswith("data:image/png;base64,") for k, v in of if k != "href")
    linked = {v for k, v in of if k == "href" and not v.startswith("#")}
    assert linked == {"models/ct-a/card.json", "sub-01/anat/lesions.nii.gz", "group.html"}
    assert not re.search(r"https?://|@import|url\(", text)
    assert not any(tag in ("script", "link", "iframe", "object") for tag, _ in page.tags)
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)


def test_whatever_the_data_holds_is_escaped(report):
    evil = '<b onclick="x()">"\'&</b>'
    report = replace(
        report,
        unit=evil,
        notes=(evil,),
        warnings=(evil,),
        gates=({**gate("g", "warn"), "message": evil, "name": evil},),
        images=({evil: evil},),
        models={evil: evil},
        files={evil: {evil: evil}},
        settings={"x": evil},
        figures=(Figure(evil, evil, evil, PNG, PNG, (evil, evil)),),
    )
    page = Page(render_subject(report))
    assert page.open == []
    assert not any(tag == "b" and attrs for tag, attrs in page.tags)
    assert evil in page.text
    assert any(attrs.get("alt", "").startswith(evil) for _, attrs in page.tags)


@pytest.mark.parametrize(
    ("worst", "word"), [("pass", "Pass"), ("warn", "Look first"), ("fail", "Failed")]
)
def test_the_verdict_is_the_worst_gate_and_comes_first(report, worst, word):
    text = render_subject(replace(report, gates=(gate("a", "pass"), gate("b", worst))))
    page = Page(text)
    assert ("section", f"verdict {worst}") in [(t, a.get("class")) for t, a in page.tags]
    assert page.text.index(word) < page.text.index("12.3 mL")


def test_every_picture_has_words_and_every_control_a_label(report):
    page = Page(render_subject(report))
    assert all(attrs.get("alt") for tag, attrs in page.tags if tag == "img")
    labels = {attrs["for"] for tag, attrs in page.tags if tag == "label"}
    controls = {attrs["id"] for tag, attrs in page.tags if tag == "input"}
    assert labels == controls
    assert len(controls) == 3
    assert page.tags[0] == ("html", {"lang": "en"})


def test_the_page_names_a_model_and_leaves_its_card_to_the_file(report):
    text = render_subject(report)
    assert not [words for words in ("abc123", "python -m train", "sub-ge01") if words in text]
    three = model_sentence("flair", {**CARD, "infarct_threshold": 0.4, "training": {}})
    assert three == (
        "Lesions on FLAIR are where the model ct-a (version 1.2) gives a probability above 0.25 "
        "(infarcts: 0.4)."
    )


def test_what_scrolls_can_be_reached_by_keyboard_and_has_a_name(report):
    page = Page(render_subject(report))
    boxes = [attrs for _, attrs in page.tags if "scroll" in attrs.get("class", "").split()]
    assert len(boxes) == 7
    assert all(box["tabindex"] == "0" and box["aria-label"] for box in boxes)
    tables = sum(tag == "table" for tag, _ in page.tags)
    assert len(boxes) == tables + len(report.figures)


def test_sections_that_the_navigation_names_are_there(report):
    page = Page(render_subject(report))
    ids = {attrs.get("id") for _, attrs in page.tags}
    links = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
    within = {link[1:] for link in links if link.startswith("#")}
    assert len(within) == 8
    assert within <= ids


def test_what_is_technical_is_closed_but_for_pictures_that_a_gate_asks_for(report):
    asked = Figure("Asked", "What to see.", "Slices", PNG, answers=("CT coverage",))
    other = Figure("Other", "What to see.", "Slices", PNG, answers=("CT brain volume",))
    text = render_subject(replace(report, figures=(other, asked, *report.figures)))
    assert "<details open><summary>Asked" in text
    assert "<details><summary>Other" in text
    assert text.count("<details open>") == 1
    for words in ("All gates", "Settings and software", "Text that may be copied"):
        assert f"<details><summary>{words}" in text
    assert text.index("Lesions on CT</h3>") < text.index("Asked") > text.index("In turn</h3>")
    assert "details:not([open]) { display: none; }" in text[text.index("@media print") :]


def test_ct_alone_shows_no_pair_and_no_flair(report):
    page = Page(render_subject(replace(report, rows=report.rows[:1], figures=())))
    assert "Dice" not in page.text.split("Methods")[0]
    assert "White matter lesions on FLAIR" not in page.text


def test_a_dice_of_two_empty_masks_says_so(report):
    pair = {**PAIR, "dice": 1.0, "both_empty": True}
    page = Page(render_subject(replace(report, rows=(*report.rows[:2], pair))))
    assert "(no lesion on either)" in page.text
    assert "(no lesion on either)" not in Page(render_subject(report)).text


def test_no_lesion_is_said(report):
    assert "No lesion was found." in Page(render_subject(replace(report, lesions=()))).text


@pytest.mark.parametrize(
    ("value", "written"),
    [("n/a", "–"), (float("nan"), "–"), (None, "–"), (3, "3"), (-1.26, "−1.3"), ("x", "x")],
)
def test_numbers_for_people(value, written):
    assert number(value) == written


@pytest.mark.parametrize(
    ("value", "written"), [(1376.8, "1377"), (31.24, "31.2"), (0.962, "0.96"), (0, "0")]
)
def test_short_numbers(value, written):
    assert short(value) == written


def test_no_number_is_a_signed_zero_and_none_changes_its_value():
    rng = np.random.default_rng(0)
    values = np.concatenate([[0.0, -0.0], rng.normal(size=2000) * 10.0 ** rng.uniform(-9, 6, 2000)])
    for value in map(float, values):
        written = [(short(value), 2)]
        for digits in range(4):
            written += [(decimal(value, digits, sign=sign), digits) for sign in (False, True)]
            written.append((number(value, digits), digits))
        for text, digits in written:
            read = float(text.replace("−", "-"))
            assert read or text[0] == "0", (value, text)
            assert abs(read - value) <= max(0.5 * 10.0**-digits, 0.005 * abs(value)) * 1.001


def test_a_fazekas_group_is_stated_first_with_the_cohort_it_comes_from(report):
    sentence = "Fazekas group 0-1 by the lesion volume on CT. The thresholds are from Helsinki."
    stated = {"ct": {"group": "0-1", "sentence": sentence}}
    page = Page(render_subject(replace(report, fazekas=stated)))
    assert page.open == []
    assert page.text.index(sentence) < page.text.index("Quality gates")
    assert "0–1 Fazekas group by volume, on CT" in page.text
    assert "Fazekas" not in Page(render_subject(report)).text


def test_infarcts_have_their_volume_and_the_limits_say_where_they_are_told_apart(report):
    ct, flair, pair = report.rows
    neither = Page(render_subject(report)).text
    assert "nfarcts" in neither
    assert "do not tell them from infarcts, oedema" in neither
    assert "Infarcts on" not in neither
    one = Page(render_subject(replace(report, rows=(ct | {"infarct_ml": 7.25}, flair, pair)))).text
    assert "7.2 mL Infarcts on CT" in one
    assert "do not tell them from infarcts (on FLAIR), oedema" in one
    rows = tuple(row | {"infarct_ml": 0.0} for row in (ct, flair))
    both = Page(render_subject(replace(report, rows=(*rows, pair)))).text
    assert "0.0 mL Infarcts on FLAIR" in both
    assert "do not tell them from oedema" in both
