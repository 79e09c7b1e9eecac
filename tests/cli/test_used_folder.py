"""An output folder that another run has used."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

import pytest

from ctwml_bids.bids.status import UnitStatus, write_status
from ctwml_bids.errors import CannotCreateError
from ctwml_bids.run.preflight import Ready
from ctwml_bids.run.provenance import check_same_run, write_record


def with_done_unit(ready, started, label=""):
    write_record(ready, started, {})
    path = ready.settings.output_dir / f"logs/sub-01/status{label and '_desc-' + label}.json"
    write_status(path, UnitStatus("sub-01", "done", model_label=label))


def changed(ready, **fields):
    return Ready(replace(ready.settings, **fields), cards=ready.cards)


def test_another_preprocessing_in_the_same_folder_is_refused_with_what_differs(ready):
    with_done_unit(ready, datetime(2026, 1, 1))
    check_same_run(ready)
    check_same_run(changed(ready, nprocs=7, output_spaces=("CT",)))
    with pytest.raises(CannotCreateError, match="random_seed: 1 before, 2 now"):
        check_same_run(changed(ready, random_seed=2))
    with pytest.raises(CannotCreateError, match="normalisation"):
        check_same_run(changed(ready, normalisation="syn", desc="other"))


def test_another_model_needs_a_label(ready):
    with_done_unit(ready, datetime(2026, 1, 1))
    members = (replace(ready.cards["ct"].members[0], sha256="0" * 64),)
    other = Ready(
        ready.settings, cards={**ready.cards, "ct": replace(ready.cards["ct"], members=members)}
    )
    with pytest.raises(CannotCreateError, match="--desc"):
        check_same_run(other)
    labelled = changed(other, desc="other")
    check_same_run(labelled)
    with_done_unit(labelled, datetime(2026, 1, 2), "other")
    check_same_run(labelled)
    check_same_run(ready)


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0.dev0"])
def test_a_folder_of_another_version_is_refused_with_what_to_do(ready, version):
    with_done_unit(ready, datetime(2026, 1, 1))
    record = ready.settings.output_dir / "logs/settings.json"
    former = json.loads(record.read_text())
    former["preprocessing"]["version"] = version
    record.write_text(json.dumps(former))
    with pytest.raises(CannotCreateError, match=rf"version: '{version}' before, .*output folder"):
        check_same_run(ready)


def test_a_model_that_tells_infarcts_apart_is_another_model(ready):
    with_done_unit(ready, datetime(2026, 1, 1))
    three = replace(
        ready.cards["ct"],
        network={**ready.cards["ct"].network, "classes": 3},
        classes=("background", "WML", "infarct"),
        infarct_threshold=0.5,
    )
    other = Ready(ready.settings, cards={**ready.cards, "ct": three})
    with pytest.raises(CannotCreateError, match=r"model_ct: .*--desc LABEL to keep both"):
        check_same_run(other)
    check_same_run(changed(other, desc="infarcts"))


def test_a_folder_in_which_nothing_finished_may_be_used_otherwise(ready):
    write_record(ready, datetime(2026, 1, 1), {})
    check_same_run(changed(ready, random_seed=2))
