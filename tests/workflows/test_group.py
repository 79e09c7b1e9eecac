from __future__ import annotations

import csv
import json
from dataclasses import asdict, replace
from html.parser import HTMLParser

import numpy as np
import pytest

from ctwml_bids.bids import names
from ctwml_bids.bids.dataset import write_json, write_text, write_tsv
from ctwml_bids.errors import NoInputError
from ctwml_bids.statistics import quality
from ctwml_bids.statistics.overlap import compare
from ctwml_bids.statistics.regions import left_of_midline, measure
from ctwml_bids.statistics.tables import COLUMNS, unit_rows
from ctwml_bids.workflows.group import run_group

FLAIR = [1.0, 5.0, 12.0, 30.0, 55.0]
CT = [2.0, 4.0, 13.0, 27.0, 50.0]


@pytest.fixture(scope="module")
def parts():
    """Measures and overlap of a small lesion, to be given other volumes."""
    lesions = np.zeros((10, 10, 10), dtype=bool)
    lesions[3:6, 3:6, 3:6] = True
    measures = measure(
        lesions,
        affine=np.eye(4),
        brain=np.ones_like(lesions),
        ventricles=lesions,
        left=left_of_midline(lesions.shape, np.eye(4)),
    )
    return measures, compare(lesions, lesions, affine=np.eye(4))


def add_unit(
    out, parts, subject, ct=None, flair=None, *, session=None, brain_ml=1300, label="", dice=0.5
):
    measures, pair = parts
    volumes = {"ct": ct, "flair": flair}
    found = {
        name: replace(measures, total_ml=value)
        for name, value in volumes.items()
        if value is not None
    }
    gate = quality.brain_volume(brain_ml, image="CT")
    rows = unit_rows(
        found,
        qc=gate.status,
        thresholds={"ct": 0.25, "flair": 0.5},
        models={"ct": "ct-a", "flair": "flair-a"},
        pair=replace(pair, dice=dice) if len(found) == 2 else None,
    )
    table = out / names.stats(subject, session, model_label=label)
    write_tsv(table, rows)
    write_json(names.sidecar(table), {**COLUMNS, "QualityGates": [asdict(gate)]})
    write_text(out / names.report(subject, session, model_label=label), "<p>report</p>")


def add_status(out, subject, state, reason=""):
    status = {"label": f"sub-{subject}", "state": state, "reason": reason}
    write_json(out / names.status(subject, None), status)


def table(path):
    with path.open(encoding="utf-8") as opened:
        return list(csv.DictReader(opened, delimiter="\t"))


def estimates(out):
    return {row["measure"]: row for row in table(out / "group" / "agreement.tsv")}


@pytest.fixture
def cohort(tmp_path, parts):
    for number, (ct, flair) in enumerate(zip(CT, FLAIR, strict=True), start=1):
        add_unit(tmp_path, parts, f"{number:02d}", ct, flair)
        add_status(tmp_path, f"{number:02d}", "done")
    return tmp_path


def test_agreement_is_that_of_the_units_tables(cohort):
    page = run_group(cohort, version="0.1.0")
    found = estimates(cohort)
    slope, intercept = np.polyfit(FLAIR, CT, 1)
    assert float(found["pairs"]["value"]) == 5
    assert float(found["pearson_r"]["value"]) == pytest.approx(np.corrcoef(FLAIR, CT)[0, 1], 1e-5)
    assert float(found["slope"]["value"]) == pytest.approx(slope, 1e-5)
    assert float(found["intercept"]["value"]) == pytest.approx(intercept, 1e-4)
    assert float(found["bias"]["value"]) == pytest.approx(np.mean(np.subtract(CT, FLAIR)), 1e-5)
    assert float(found["mean_dice"]["value"]) == pytest.approx(0.5)
    assert page == cohort / "group.html"
    assert page.read_text().count("data:image/png") == 2


def test_another_models_group_lies_beside_the_first(cohort, parts):
    first = run_group(cohort, version="0.1.0")
    before = first.read_bytes(), (cohort / "group/units.tsv").read_bytes()
    add_unit(cohort, parts, "01", 7.0, 5.0, label="other")
    other = run_group(cohort, version="0.1.0", model_label="other")
    assert other == cohort / "group_desc-other.html"
    assert len(table(cohort / "group/desc-other/units.tsv")) == 1
    assert (first.read_bytes(), (cohort / "group/units.tsv").read_bytes()) == before


def test_one_table_of_all_units_with_described_columns(cohort):
    run_group(cohort, version="0.1.0")
    rows = table(cohort / "group" / "units.tsv")
    described = json.loads((cohort / "group" / "units.json").read_text())
    assert [row["unit"] for row in rows] == [f"sub-0{n}" for n in range(1, 6)]
    assert [float(row["ct_wml_ml"]) for row in rows] == CT
    assert [float(row["flair_wml_ml"]) for row in rows] == FLAIR
    assert list(rows[0]) == list(described)
    assert described["ct_wml_ml"]["Units"] == "mL"


def test_units_without_lesions_do_not_raise_the_mean_dice(cohort, parts):
    measures, pair = parts
    healthy = replace(pair, dice=1.0, both_empty=True, true_positive_ml=0.0)
    add_unit(cohort, (measures, healthy), "70", 0.0, 0.0, dice=1.0)
    page = run_group(cohort, version="0.1.0").read_text()
    assert float(estimates(cohort)["mean_dice"]["value"]) == pytest.approx(0.5)
    assert "leaves out 1 of them" in page


def test_a_unit_that_failed_quality_control_stays_out_by_name(cohort, parts):
    add_unit(cohort, parts, "66", 500.0, 1.0, brain_ml=300)
    page = run_group(cohort, version="0.1.0").read_text()
    assert estimates(cohort)["pairs"]["value"] == "5"
    assert "sub-66" in page
    assert "300 mL, which no complete adult brain has" in page
    sidecar = json.loads((cohort / "group" / "agreement.json").read_text())
    assert sidecar["Agreement"]["NotCompared"] == {"sub-66": "failed a quality gate"}
    rows = {row["unit"]: row for row in table(cohort / "group" / "units.tsv")}
    assert rows["sub-66"]["in_agreement"] == "no: failed a quality gate"

    run_group(cohort, version="0.1.0", include_failed_qc=True)
    assert estimates(cohort)["pairs"]["value"] == "6"


def test_a_failed_unit_is_named_first_and_its_old_table_is_not_used(cohort):
    add_status(cohort, "02", "failed", "The CT is not in HU.")
    add_status(cohort, "99", "running")
    page = run_group(cohort, version="0.1.0").read_text()
    assert page.index("The CT is not in HU.") < page.index("Agreement of CT with FLAIR")
    assert "sub-99" in page
    assert [row["unit"] for row in table(cohort / "group" / "units.tsv")] == [
        "sub-01",
        "sub-03",
        "sub-04",
        "sub-05",
    ]


def test_without_any_flair_the_page_says_why_nothing_is_compared(tmp_path, parts):
    add_unit(tmp_path, parts, "01", 3.0)
    add_unit(tmp_path, parts, "02", 4.0)
    page = run_group(tmp_path, version="0.1.0").read_text()
    assert "No unit has both a CT and a FLAIR" in page
    assert "data:image/png" not in page
    assert estimates(tmp_path)["slope"]["value"] == "n/a"
    assert [row["flair_wml_ml"] for row in table(tmp_path / "group" / "units.tsv")] == ["n/a"] * 2


def test_two_pairs_are_too_few(tmp_path, parts):
    add_unit(tmp_path, parts, "01", 3.0, 4.0)
    add_unit(tmp_path, parts, "02", 9.0, 8.0)
    assert "at least 3 units" in run_group(tmp_path, version="0.1.0").read_text()


def test_sessions_are_units_of_their_own_and_linked(tmp_path, parts):
    add_unit(tmp_path, parts, "01", 3.0, 4.0, session="a")
    add_unit(tmp_path, parts, "01", 5.0, 4.5, session="b")
    page = run_group(tmp_path, version="0.1.0").read_text()
    rows = table(tmp_path / "group" / "units.tsv")
    assert [(row["participant_id"], row["session_id"]) for row in rows] == [
        ("sub-01", "ses-a"),
        ("sub-01", "ses-b"),
    ]

    class Links(HTMLParser):
        found = ()

        def handle_starttag(self, tag, attrs):
            if tag == "a":
                self.found += (dict(attrs)["href"],)

    links = Links()
    links.feed(page)
    assert links.found == ("sub-01_ses-a.html", "sub-01_ses-b.html")
    assert all((tmp_path / link).is_file() for link in links.found)


def test_tables_of_another_model_are_read_by_its_label_only(cohort, parts):
    add_unit(cohort, parts, "01", 77.0, 1.0, label="local")
    run_group(cohort, version="0.1.0")
    assert len(table(cohort / "group" / "units.tsv")) == 5
    run_group(cohort, version="0.1.0", model_label="local")
    (row,) = table(cohort / "group" / "desc-local" / "units.tsv")
    assert float(row["ct_wml_ml"]) == 77.0


def test_an_unreadable_table_is_named_and_the_others_go_on(cohort):
    broken = cohort / names.stats("03", None)
    broken.write_bytes(b"\xff\xfe\x00nonsense")
    page = run_group(cohort, version="0.1.0").read_text()
    assert "sub-03_desc-wml_stats.tsv cannot be read" in page
    assert estimates(cohort)["pairs"]["value"] == "4"


def test_a_unit_that_is_said_to_be_done_without_a_table_is_named(cohort):
    add_status(cohort, "99", "done")
    page = run_group(cohort, version="0.1.0").read_text()
    assert "sub-99" in page
    assert "its results are gone" in page
    assert len(table(cohort / "group" / "units.tsv")) == 5


def test_no_finished_unit_is_no_input(tmp_path):
    add_status(tmp_path, "07", "failed", "truncated")
    with pytest.raises(NoInputError, match=r"sub-07 \(failed\)") as caught:
        run_group(tmp_path, version="0.1.0")
    assert caught.value.exit_code == 66
    assert not (tmp_path / "group.html").exists()


def test_reasons_are_escaped(cohort):
    add_status(cohort, "98", "failed", "<script>alert(1)</script>")
    page = run_group(cohort, version="0.1.0").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
