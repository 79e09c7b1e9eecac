"""What a user reads of a training while it runs."""

from __future__ import annotations

import math

import pytest

from ctwml_bids.run.pace import Pace, duration

ROW = {"step": 500, "loss": 0.0312, "dice": 0.714, "steps_per_second": 2.0}


def test_a_line_says_loss_dice_and_time_left_of_one_and_of_all():
    pace = Pace(networks=3, steps=1000)
    pace.begin("repeat-01_fold-02")
    line = pace.line(ROW)
    assert line.startswith("repeat-01_fold-02  step 500/1000, loss 0.0312, Dice 0.71, 2 steps/s")
    # 500 steps here and twice 1000 steps, at two a second.
    assert "4 min left (21 min for 3 networks)" in line
    pace.end()
    assert "for 2 networks" in pace.line(ROW)


def test_patches_without_lesions_have_no_dice_and_no_error():
    assert "Dice nan" in Pace(1, 10).line({**ROW, "step": 5, "dice": math.nan})


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(45, "45 s"), (89, "89 s"), (720, "12 min"), (12_240, "3.4 h"), (200_000, "2.3 days")],
)
def test_times_are_written_for_people(seconds, text):
    assert duration(seconds) == text
