"""What figures of a cohort show, told from their SVG, whose text is text."""

from __future__ import annotations

import io
import re
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image

from ctwml_bids.reports import plots, plots_groups
from ctwml_bids.reports.frequency import frequency_figure
from ctwml_bids.statistics.agreement import agreement

FLAIR = np.array([1.0, 5.0, 9.0, 14.0, 20.0, 41.0])
CT = np.array([2.0, 4.0, 9.0, 15.0, 18.0, 40.0])
GROUPS = np.array([0, 0, 1, 1, 2, 2])
FOUND = asdict(agreement(CT, FLAIR))
UNDEFINED = asdict(agreement(CT[:2], FLAIR[:2]))


def text_of(drawing):
    return " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", drawing.svg.decode()))


def drawings():
    return {
        "2a": plots_groups.dice_by_volume(FLAIR, CT / 50, GROUPS),
        "2b": plots_groups.correct_and_incorrect(FLAIR, CT / 2, CT / 3, CT / 4),
        "3a": plots.scatter(FLAIR, CT, FOUND),
        "3b": plots.bland_altman(FLAIR, CT, FOUND),
        "4a": plots_groups.volume_by_group(
            CT, GROUPS, image="CT", top_ml=45, thresholds=(7.0, 15.5)
        ),
    }


DRAWINGS = drawings()


@pytest.mark.parametrize("name", DRAWINGS)
def test_axes_have_units_and_the_png_is_a_picture(name):
    assert "(mL)" in text_of(DRAWINGS[name])
    picture = Image.open(io.BytesIO(DRAWINGS[name].png))
    assert min(picture.size) > 500


def test_the_scatter_names_its_lines_and_the_correlation():
    text = text_of(DRAWINGS["3a"])
    assert f"least squares: {FOUND['slope']['value']:.2f} x" in text
    assert f"Deming: {FOUND['deming_slope']['value']:.2f} x" in text
    assert f"r = {FOUND['pearson']['value']:.2f}, n = 6" in text


def test_lines_that_are_undefined_are_not_drawn():
    text = text_of(plots.scatter(FLAIR[:2], CT[:2], UNDEFINED))
    assert "identity" in text
    assert "Deming" not in text
    assert "bias" not in text_of(plots.bland_altman(FLAIR[:2], CT[:2], UNDEFINED))


def test_bland_altman_names_bias_and_limits():
    text = text_of(DRAWINGS["3b"])
    for key, name in (
        ("bias", "bias"),
        ("lower_limit", "lower limit"),
        ("upper_limit", "upper limit"),
    ):
        value = f"{FOUND[key]['value']:+.1f}".replace("-", "−")
        assert f"{name} {value}" in text


def test_groups_are_named_with_their_sizes_and_thresholds_with_their_values():
    text = text_of(DRAWINGS["4a"])
    assert text.count("(n = 2)") == 3
    assert "7.0" in text
    assert "15.5" in text


def test_groups_that_nobody_is_in_are_not_drawn():
    text = text_of(plots_groups.volume_by_group(CT[:2], GROUPS[:2], image="CT", top_ml=45))
    assert "Fazekas 0–1" in text
    assert "Fazekas 2" not in text


def test_groups_and_series_can_be_told_apart_in_grey():
    """Shape and lightness differ, not colour alone."""
    for styles in (plots.GROUP_STYLE.values(), plots_groups.AGREED):
        markers = [style[0] for style in styles]
        levels = sorted(
            np.dot([int(style[1][k : k + 2], 16) for k in (1, 3, 5)], (0.299, 0.587, 0.114))
            for style in styles
            if style[0] != "x"
        )
        assert len(set(markers)) == len(markers)
        assert min(np.diff(levels)) > 50


def test_the_same_data_give_the_same_bytes():
    again = drawings()
    assert all(again[name].svg == DRAWINGS[name].svg for name in DRAWINGS)


def test_ten_thousand_points_make_no_svg_of_many_megabytes():
    rng = np.random.default_rng(0)
    many = rng.gamma(1, 15, 10_000)
    drawing = plots.scatter(many, many, asdict(agreement(many, many + rng.normal(0, 1, 10_000))))
    assert len(drawing.svg) < 1_000_000


def test_frequency_maps_say_percent_and_stand_over_the_template():
    background = np.ones((40, 50, 80), np.float32)
    share = np.zeros_like(background)
    share[18:22, 20:30, 40:60] = 0.5
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = (-20, -25, -30)
    drawing = frequency_figure([("All (n = 4)", share)], background, affine)
    assert "units with a lesion (%)" in text_of(drawing)
    assert "z +24 mm" in text_of(drawing)
    empty = frequency_figure([("All (n = 4)", 0 * share)], background, affine)
    pixels = [
        np.asarray(Image.open(io.BytesIO(d.png)).convert("RGB"), int) for d in (drawing, empty)
    ]
    assert np.abs(pixels[0] - pixels[1]).max() > 100
