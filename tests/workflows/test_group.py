from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from ctwml_bids.bids import names
from ctwml_bids.errors import BadDataError, InvalidInputError, NoInputError, NothingMatchedError
from ctwml_bids.statistics.fazekas import Thresholds
from ctwml_bids.statistics.thresholds import ThresholdSet
from ctwml_bids.workflows.fazekas import read_thresholds
from ctwml_bids.workflows.group import GroupOptions, Sources, run_group
from tests.workflows.cohorts import (
    HASHES,
    SETTINGS,
    add_people,
    add_status,
    add_unit,
    big_cohort,
    estimates,
    table,
)

FLAIR = [1.0, 5.0, 12.0, 30.0, 55.0]
CT = [2.0, 4.0, 13.0, 27.0, 50.0]


def run(out, **options):
    sources = {
        key: options.pop(key)
        for key in ("participants_file", "fazekas_file", "fazekas_column")
        if key in options
    }
    chosen = GroupOptions(sources=Sources(**sources), draws=200, **options)
    return run_group(out, version="0.1.0", options=chosen)


def page_of(out, **options):
    return run(out, **options).read_text()


@pytest.fixture
def cohort(tmp_path):
    for number, (ct, flair) in enumerate(zip(CT, FLAIR, strict=True), start=1):
        add_unit(tmp_path, f"{number:02d}", ct, flair)
    return tmp_path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A cohort like the paper's, summarised once; only to be read."""
    out = big_cohort(tmp_path_factory.mktemp("cohort"), 60)
    run(out)
    return out


def test_agreement_is_that_of_the_units_tables_in_flair_space(cohort):
    page = run(cohort)
    found = estimates(cohort)
    slope, intercept = np.polyfit(FLAIR, CT, 1)
    assert float(found["pairs"]["value"]) == 5
    assert float(found["pearson_r"]["value"]) == pytest.approx(np.corrcoef(FLAIR, CT)[0, 1], 1e-5)
    assert float(found["slope"]["value"]) == pytest.approx(slope, 1e-5)
    assert float(found["intercept"]["value"]) == pytest.approx(intercept, 1e-4)
    assert float(found["bias"]["value"]) == pytest.approx(np.mean(np.subtract(CT, FLAIR)), 1e-5)
    assert page == cohort / "group.html"


def test_ct_is_compared_by_its_volume_in_flair_space_not_in_its_own(cohort):
    add_unit(cohort, "01", CT[0], FLAIR[0], cells={"ct": {"wml_ml": 44.0}})
    run(cohort)
    (row,) = [row for row in table(cohort / "group/units.tsv") if row["unit"] == "sub-01"]
    assert (row["ct_wml_ml"], row["ct_in_flair_ml"]) == ("44", "2")
    assert float(estimates(cohort)["bias"]["value"]) == pytest.approx(-1.4)


def test_another_models_group_lies_beside_the_first(cohort):
    first = run(cohort)
    before = first.read_bytes(), (cohort / "group/units.tsv").read_bytes()
    add_unit(cohort, "01", 7.0, 5.0, label="other")
    other = run(cohort, model_label="other")
    assert other == cohort / "group_desc-other.html"
    (row,) = table(cohort / "group/desc-other/units.tsv")
    assert row["ct_wml_ml"] == "7"
    assert (first.read_bytes(), (cohort / "group/units.tsv").read_bytes()) == before


def test_every_table_describes_its_columns(whole):
    tables = sorted(path.stem for path in (whole / "group").glob("*.tsv"))
    assert tables == [
        "agreement",
        "confusion",
        "demographics",
        "excluded",
        "measures",
        "units",
    ]
    for name in tables:
        header = (whole / f"group/{name}.tsv").read_text().splitlines()[0].split("\t")
        described = json.loads((whole / f"group/{name}.json").read_text())
        assert header == [key for key in described if key in header]
        assert all(described[column]["Description"] for column in header)


def test_everything_is_given_by_group_scanner_thickness_and_days(whole):
    for name in ("agreement", "measures", "confusion", "demographics"):
        parts = {(row["by"], row["stratum"]) for row in table(whole / f"group/{name}.tsv")}
        assert {("all", "all"), ("fazekas", "3"), ("ct_scanner", "GE Optima")} <= parts
        assert {("ct_slice_thickness", "over 4 mm"), ("days", "over 7 to 42 days")} <= parts
    scanners = {s: estimates(whole, "ct_scanner", s) for s in ("GE Optima", "Siemens Somatom")}
    assert sum(int(found["pairs"]["value"]) for found in scanners.values()) == 60
    assert all(0 < float(found["mean_dice"]["value"]) < 1 for found in scanners.values())


def test_measures_of_a_group_are_those_of_its_units(whole):
    rows = table(whole / "group/units.tsv")
    third = [float(row["h95_mm"]) for row in rows if row["fazekas_group"] == "3"]
    (found,) = [
        row
        for row in table(whole / "group/measures.tsv")
        if (row["by"], row["stratum"], row["measure"]) == ("fazekas", "3", "h95_mm")
    ]
    assert (int(found["count"]), float(found["mean"])) == (len(third), np.mean(third))


def test_table_1_has_all_and_each_group(whole):
    rows = table(whole / "group/demographics.tsv")
    assert [row["stratum"] for row in rows[:4]] == ["all", "0-1", "2", "3"]
    assert [row["subjects"] for row in rows[:4]] == ["60", "20", "20", "20"]
    ages = [float(row["age"]) for row in table(whole / "group/units.tsv")]
    assert float(rows[0]["age_mean"]) == pytest.approx(np.mean(ages), rel=1e-5)


def test_the_papers_figures_are_there_as_svg_and_png(whole):
    stems = {path.stem for path in (whole / "group/figures").glob("*.svg")}
    assert {stem.split("_")[0] for stem in stems} == {
        f"figure-{number}" for number in ("2a", "2b", "3a", "3b", "4a", "4b")
    }
    for stem in stems:
        assert (whole / f"group/figures/{stem}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (whole / f"group/figures/{stem}.svg").read_text()
    page = (whole / "group.html").read_text()
    assert page.count("data:image/png") == 6


def test_the_page_needs_nothing_from_elsewhere(whole):
    page = (whole / "group.html").read_text()
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page)
    assert "<script src" not in page


def test_every_figure_has_its_sentence_with_the_tables_numbers(whole):
    page, found = (whole / "group.html").read_text(), estimates(whole)
    r = float(found["pearson_r"]["value"])
    assert f"correlated with r = {r:.2f} (95% CI" in page
    assert f"CI {float(found['mean_dice']['bootstrap_low']):.2f} to" in page
    share = 100 * float(found["fazekas_share_right_ct"]["value"])
    assert f"estimated correctly from the CT volume in {share:.0f}%" in page
    assert "10-fold cross-validation" in page


def test_the_page_has_the_measures_by_group(whole):
    page = (whole / "group.html").read_text()
    rows = [row for row in table(whole / "group/units.tsv") if row["fazekas_group"] == "2"]
    dice = [float(row["dice"]) for row in rows]
    assert f"{np.mean(dice):.2f} ± {np.std(dice, ddof=1):.2f} (n = 20)" in page


def test_confusion_counts_sum_to_the_rated_units_and_give_the_share_right(whole):
    rows = [
        r for r in table(whole / "group/confusion.tsv") if (r["by"], r["image"]) == ("all", "ct")
    ]
    counts = np.array([[int(row[f"estimated_{g}"]) for g in ("0-1", "2", "3")] for row in rows])
    assert counts.sum() == 60
    share = float(estimates(whole)["fazekas_share_right_ct"]["value"])
    assert np.trace(counts) / 60 == pytest.approx(share, abs=1e-5)


def test_thresholds_are_saved_with_their_provenance_and_read_back(whole):
    path = whole / "group/fazekas_thresholds.json"
    found = read_thresholds(str(path))
    assert set(found.thresholds) == {"ct", "flair"}
    assert "60 units of 60 subjects" in found.cohort
    assert "participants.tsv, column fazekas" in found.cohort
    assert found.models == {"ct": "ct-a", "flair": "flair-a"}
    assert found.state("ct", 0.0)["group"] == "0-1"


def test_the_same_units_give_the_same_tables_and_figures(whole):
    names_ = ["group/agreement.tsv", "group/figures/figure-3a_scatter.svg"]
    before = [(whole / name).read_bytes() for name in names_]
    run(whole)
    assert [(whole / name).read_bytes() for name in names_] == before


def test_units_without_lesions_do_not_raise_the_mean_dice_and_are_counted(cohort):
    run(cohort)
    before = estimates(cohort)["mean_dice"]["value"]
    add_unit(cohort, "70", 0.0, 0.0)
    page = page_of(cohort)
    assert estimates(cohort)["mean_dice"]["value"] == before
    assert estimates(cohort)["both_empty"]["value"] == "1"
    assert "1 unit without a lesion on either image" in page


def test_a_unit_that_failed_quality_control_stays_out_by_name(cohort):
    add_unit(cohort, "66", 500.0, 1.0, qc="fail")
    page = page_of(cohort)
    assert estimates(cohort)["pairs"]["value"] == "5"
    assert page.index("300 mL, which no complete adult brain has") < page.index('id="cohort"')
    sidecar = json.loads((cohort / "group/agreement.json").read_text())
    assert sidecar["Agreement"]["NotCompared"] == {"sub-66": "failed a quality gate"}
    (row,) = table(cohort / "group/excluded.tsv")
    assert (row["unit"], row["why"]) == ("sub-66", "quality")
    run(cohort, include_failed_qc=True)
    assert estimates(cohort)["pairs"]["value"] == "6"


def test_excluded_units_are_named_and_take_part_in_nothing(cohort):
    add_unit(cohort, "08", 3.0, 3.0, session="a")
    add_unit(cohort, "08", 3.5, 3.0, session="b")
    page = page_of(cohort, exclude=("sub-02", "sub-08_ses-b"))
    rows = {row["unit"]: row for row in table(cohort / "group/units.tsv")}
    assert rows["sub-02"]["included"] == "no: excluded by name"
    assert rows["sub-08_ses-a"]["included"] == "yes"
    assert estimates(cohort)["pairs"]["value"] == "5"
    listed = table(cohort / "group/excluded.tsv")
    assert [(row["unit"], row["why"]) for row in listed] == [
        ("sub-02", "excluded"),
        ("sub-08_ses-b", "excluded"),
    ]
    assert "sub-02, sub-08_ses-b" in page


def test_excluding_who_is_not_there_is_an_error_that_names_who_is(cohort):
    with pytest.raises(NothingMatchedError, match=r"sub-77.*sub-01, sub-02") as caught:
        run(cohort, exclude=("sub-77",))
    assert caught.value.exit_code == 18
    with pytest.raises(NothingMatchedError, match="leaves no unit"):
        run(cohort, exclude=tuple(f"sub-0{n}" for n in range(1, 6)))


def test_a_failed_unit_is_named_first_and_its_old_table_is_not_used(cohort):
    add_status(cohort, "02", "failed", "The CT is not in HU.")
    add_status(cohort, "99", "running")
    page = page_of(cohort)
    assert page.index("The CT is not in HU.") < page.index('id="cohort"')
    units = [row["unit"] for row in table(cohort / "group/units.tsv")]
    assert units == ["sub-01", "sub-03", "sub-04", "sub-05"]
    listed = {row["unit"]: row["why"] for row in table(cohort / "group/excluded.tsv")}
    assert listed == {"sub-02": "unfinished", "sub-99": "unfinished"}


def test_outliers_come_before_the_results_and_at_the_top_of_the_table(tmp_path):
    for number in range(20):
        add_unit(tmp_path, f"{number:02d}", 10.0 + number % 3, 10.0 + number)
    add_unit(tmp_path, "15", 90.0, 25.0)
    page = page_of(tmp_path)
    assert page.index("sub-15") < page.index('id="cohort"')
    assert "CT measures 65.0 mL more than FLAIR" in page
    body = page[page.index("<tbody>", page.index('id="table"')) :]
    assert body.index("sub-15") < body.index("sub-00")


def test_units_that_do_not_line_up_are_not_compared(cohort):
    add_unit(cohort, "66", 10.0, 10.0, pair=False, qc="fail")
    run(cohort, include_failed_qc=True)
    rows = {row["unit"]: row for row in table(cohort / "group/units.tsv")}
    assert rows["sub-66"]["in_agreement"] == "no: CT and FLAIR do not line up"


def test_without_any_flair_volumes_and_fazekas_stay_and_agreement_says_why_not(tmp_path):
    for number in range(12):
        add_unit(tmp_path, f"{number:02d}", 1.0 + number)
    add_people(
        tmp_path,
        [{"participant_id": f"sub-{n:02d}", "fazekas": 2 + n // 6} for n in range(12)],
    )
    page = page_of(tmp_path)
    assert page.count("No unit has both a CT and a FLAIR") == 4
    assert "No unit has both a volume and a Fazekas rating" in page
    assert float(estimates(tmp_path)["fazekas_share_right_ct"]["value"]) > 0.5
    assert estimates(tmp_path)["slope"]["value"] == "n/a"
    drawn = {path.stem for path in (tmp_path / "group/figures").glob("*.svg")}
    assert drawn == {"figure-4a_fazekas-ct"}


def test_a_figure_that_is_no_longer_made_is_removed(cohort):
    run(cohort)
    assert (cohort / "group/figures/figure-3a_scatter.svg").is_file()
    run(cohort, exclude=tuple(f"sub-0{n}" for n in range(2, 6)))
    for number in range(1, 6):
        add_unit(cohort, f"{number:02d}", 3.0)
    run(cohort)
    assert not (cohort / "group/figures/figure-3a_scatter.svg").exists()


def test_two_pairs_are_too_few(tmp_path):
    add_unit(tmp_path, "01", 3.0, 4.0)
    add_unit(tmp_path, "02", 9.0, 8.0)
    assert "at least 3 units" in page_of(tmp_path)


def test_without_ratings_the_page_says_how_to_give_them(cohort):
    add_people(cohort, [{"participant_id": "sub-01", "age": 70}])
    page = page_of(cohort)
    assert "participants.tsv has none with a column fazekas" in page
    assert "--fazekas-file" in page
    assert not (cohort / "group/fazekas_thresholds.json").exists()


def test_one_fazekas_group_only_gives_no_thresholds_and_says_so(tmp_path):
    for number in range(12):
        add_unit(tmp_path, f"{number:02d}", 1.0 + number, 2.0 + number)
    people = [{"participant_id": f"sub-{n:02d}", "fazekas": 2} for n in range(12)]
    add_people(tmp_path, people)
    assert "All 12 rated units are in Fazekas group 2" in page_of(tmp_path)
    assert not (tmp_path / "group/fazekas_thresholds.json").exists()


def test_fewer_than_ten_rated_units_give_no_thresholds_and_say_so(cohort):
    people = [
        {"participant_id": f"sub-0{n}", "fazekas": (0, 1, 2, 3, 3)[n - 1]} for n in range(1, 6)
    ]
    add_people(cohort, people)
    assert "5 subjects have a volume and a Fazekas rating" in page_of(cohort)
    assert float(estimates(cohort)["spearman_fazekas_ct"]["value"]) > 0.9


def test_old_thresholds_do_not_outlive_the_ratings(tmp_path):
    out = big_cohort(tmp_path, 12)
    run(out)
    assert (out / "group/fazekas_thresholds.json").is_file()
    (out / "participants.tsv").unlink()
    run(out)
    assert not (out / "group/fazekas_thresholds.json").exists()


def test_thresholds_of_another_cohort_are_judged_and_not_saved_as_ours(tmp_path):
    out = big_cohort(tmp_path, 30)
    theirs = ThresholdSet("x", "the cohort of Helsinki", {"ct": Thresholds(1e-6, 2e-6)})
    page = page_of(out, thresholds=theirs)
    assert "thresholds from the cohort of Helsinki" in page
    share = float(estimates(out)["fazekas_share_right_ct"]["value"])
    assert share == pytest.approx(10 / 30, abs=0.04)
    assert {row["fazekas_from_ct"] for row in table(out / "group/units.tsv")} <= {"3", "0-1"}


def test_units_of_different_settings_are_refused_with_what_differs(cohort):
    other = {**HASHES, "preprocessing": "c" * 64}
    add_unit(cohort, "04", 1.0, 1.0, hashes=other, settings={**SETTINGS, "normalisation": "syn"})
    with pytest.raises(InvalidInputError) as caught:
        run(cohort)
    text = str(caught.value)
    assert caught.value.exit_code == 16
    assert "sub-04" in text
    assert "normalisation: 'nine' of most, 'syn' here" in text
    assert not (cohort / "group.html").exists()
    run(cohort, exclude=("sub-04",))
    assert estimates(cohort)["pairs"]["value"] == "4"
    add_unit(cohort, "04", 1.0, 1.0, session="a", hashes=other)
    run(cohort, exclude=("sub-04",))
    assert estimates(cohort)["pairs"]["value"] == "4"


def test_units_of_another_model_are_refused_by_its_name(cohort):
    add_unit(
        cohort,
        "02",
        1.0,
        hashes={**HASHES, "segmentation": "d" * 64},
        models={"ct": "ct-mine"},
    )
    with pytest.raises(InvalidInputError, match="model for CT: 'ct-a' of most, 'ct-mine' here"):
        run(cohort)


def test_text_where_a_number_belongs_names_the_unit_its_table_and_the_column(cohort):
    add_unit(cohort, "03", 1.0, 1.0, cells={"ct": {"wml_ml": "much"}})
    page = page_of(cohort)
    assert "sub-03/anat/sub-03_desc-wml_stats.tsv cannot be read: wml_ml of ct is" in page
    assert "much" in page
    assert estimates(cohort)["pairs"]["value"] == "4"


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("fazekas", "severe", r"line 3: the fazekas of sub-02: 'severe' is no Fazekas grade"),
        ("age", "old", r"line 3: the age of sub-02 is 'old', not a number of years"),
    ],
)
def test_text_in_a_table_of_people_is_refused_with_its_line(cohort, column, value, said):
    people = [{"participant_id": f"sub-0{n}", "age": 70, "fazekas": 2} for n in (1, 2, 3)]
    people[1][column] = value
    add_people(cohort, people)
    with pytest.raises(BadDataError, match=said) as caught:
        run(cohort)
    assert caught.value.exit_code == 65


def test_duplicated_participants_are_refused_with_their_lines(cohort):
    people = [{"participant_id": f"sub-0{n}", "fazekas": 2} for n in (1, 2, 1)]
    add_people(cohort, people)
    with pytest.raises(BadDataError, match="sub-01 has two rows, in lines 2 and 4"):
        run(cohort)


def test_another_table_of_people_takes_the_place_of_the_copied_one(cohort, tmp_path_factory):
    add_people(cohort, [{"participant_id": "sub-01", "age": 50, "fazekas": 1}])
    folder = tmp_path_factory.mktemp("tables")
    mine = add_people(
        folder, [{"participant_id": "01", "age": "89+", "sex": "female", "wml": "0-1"}]
    )
    run(cohort, participants_file=mine, fazekas_column="WML")
    row = table(cohort / "group/units.tsv")[0]
    assert (row["age"], row["sex"], row["fazekas_group"], row["fazekas_grade"]) == (
        "89",
        "F",
        "0-1",
        "n/a",
    )


def test_ratings_may_be_in_a_phenotype_file_by_session(tmp_path):
    add_unit(tmp_path, "01", 3.0, 4.0, session="a")
    add_unit(tmp_path, "01", 5.0, 4.5, session="b")
    add_people(tmp_path, [{"participant_id": "sub-01", "age": 71, "fazekas": 0}])
    rows = [
        {"participant_id": "sub-01", "session_id": f"ses-{s}", "score": n} for s, n in ("a1", "b3")
    ]
    phenotype = add_people(tmp_path, rows, "phenotype.tsv")
    run(tmp_path, fazekas_file=phenotype, fazekas_column="score")
    found = [(row["age"], row["fazekas_grade"]) for row in table(tmp_path / "group/units.tsv")]
    assert found == [("71", "1"), ("71", "3")]


def test_a_column_that_is_not_there_is_an_error_that_lists_those_there_are(cohort):
    add_people(cohort, [{"participant_id": "sub-01", "age": 50, "WMH": 1}])
    with pytest.raises(InvalidInputError, match=r"no column 'score'.*participant_id, age, WMH"):
        run(cohort, fazekas_column="score")


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self.found.append(dict(attrs)["href"])


def test_every_link_of_the_page_leads_to_a_file_or_a_section(tmp_path):
    add_unit(tmp_path, "01", 3.0, 4.0, session="a")
    add_unit(tmp_path, "01", 5.0, 4.5, session="b")
    page = page_of(tmp_path)
    rows = table(tmp_path / "group/units.tsv")
    assert [(row["participant_id"], row["session_id"]) for row in rows] == [
        ("sub-01", "ses-a"),
        ("sub-01", "ses-b"),
    ]
    links = Links()
    links.feed(page)
    assert {"sub-01_ses-a.html", "sub-01_ses-b.html"} <= set(links.found)
    for link in links.found:
        if link.startswith("#"):
            assert f'id="{link[1:]}"' in page, link
        else:
            assert (tmp_path / link).is_file(), link


def test_an_unreadable_table_is_named_and_the_others_go_on(cohort):
    (cohort / names.stats("03", None)).write_bytes(b"\xff\xfe\x00nonsense")
    assert "sub-03_desc-wml_stats.tsv cannot be read" in page_of(cohort)
    assert estimates(cohort)["pairs"]["value"] == "4"


def test_a_unit_that_is_said_to_be_done_without_a_table_is_named(cohort):
    add_status(cohort, "99", "done")
    page = page_of(cohort)
    assert "sub-99" in page
    assert "its results are gone" in page
    assert len(table(cohort / "group/units.tsv")) == 5


def test_no_finished_unit_is_no_input(tmp_path):
    add_status(tmp_path, "07", "failed", "truncated")
    with pytest.raises(NoInputError, match=r"sub-07 \(failed\)") as caught:
        run(tmp_path)
    assert caught.value.exit_code == 66
    assert not (tmp_path / "group.html").exists()


def test_every_unit_failing_its_gates_is_said_and_nothing_is_computed(tmp_path):
    for number in range(3):
        add_unit(tmp_path, f"{number:02d}", 3.0, 4.0, qc="fail")
    page = page_of(tmp_path)
    assert "3 units failed a quality gate" in page
    assert "failed a quality gate, does not line up or was left out" in page
    assert estimates(tmp_path)["pairs"]["value"] == "0"


def test_text_from_files_is_escaped(cohort):
    add_status(cohort, "98", "failed", "<script>alert(1)</script>")
    page = page_of(cohort)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
