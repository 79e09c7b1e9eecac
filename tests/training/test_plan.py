"""A plan is read as it was written, and by no training with other settings or subjects."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ctwml_bids.errors import CannotCreateError, InvalidInputError
from ctwml_bids.training.plan import Plan, PlannedCase, check_cases, read_plan, write_plan
from tests.training.test_cross_validation import RECIPE

PLAN = Plan(
    cases={
        "sub-1": PlannedCase("sub-1", "a", None, 2.5),
        "sub-2_ses-a": PlannedCase("sub-2", "b", 3, 0.0),
    },
    stratified_by="lesion volume",
    splits=({"sub-1": 0, "sub-2": 1},),
    left_out={"sub-3": "it has no CT"},
)
# As former versions wrote it.
WRITTEN = {
    "protocol": RECIPE.to_record(),
    "cases": {
        "sub-1": {"subject": "sub-1", "identity": "a", "fazekas": None, "lesion_ml": 2.5},
        "sub-2_ses-a": {"subject": "sub-2", "identity": "b", "fazekas": 3, "lesion_ml": 0.0},
    },
    "stratified_by": "lesion volume",
    "splits": [{"sub-1": 0, "sub-2": 1}],
    "left_out": {"sub-3": "it has no CT"},
}


def test_a_plan_is_written_as_before_and_read_again(tmp_path):
    assert read_plan(tmp_path, RECIPE) is None
    write_plan(tmp_path, RECIPE, PLAN)
    # The order of the fields counts.
    assert json.dumps(json.loads((tmp_path / "plan.json").read_text())) == json.dumps(WRITTEN)
    again = read_plan(tmp_path, RECIPE)
    assert again.cases == PLAN.cases
    check_cases(tmp_path, again, PLAN)
    train_on, left_out = again.labels(RECIPE.cross_validation[1])
    assert (train_on, left_out) == (["sub-1"], ["sub-2_ses-a"])
    assert again.labels(RECIPE.final[0]) == (["sub-1", "sub-2_ses-a"], [])
    assert again.unit_without("sub-2_ses-a", 1) == RECIPE.cross_validation[1]


def test_a_plan_of_other_settings_is_refused_with_what_differs(tmp_path):
    write_plan(tmp_path, RECIPE, PLAN)
    with pytest.raises(CannotCreateError, match=r"folds: 2 before, 3 now; version: '1' before"):
        read_plan(tmp_path, replace(RECIPE, folds=3, version="2"))


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", json.dumps(WRITTEN | {"cases": {"sub-1": {"subject": "sub-1"}}})],
)
def test_a_plan_that_cannot_be_read_says_what_to_do(tmp_path, content):
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(InvalidInputError, match=r"remove .* to begin anew"):
        read_plan(tmp_path, RECIPE)
