"""The page of a cohort and its figures."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np

from ctwml_bids.bids.files import write_tsv
from ctwml_bids.bids.status import UnitStatus, write_status
from tests.group.cohorts import add_status, add_unit, estimates, page_of, run, table


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


def test_confusion_tables_say_the_share_that_is_right(whole):
    found = estimates(whole)["fazekas_share_right_ct"]
    share, low, high = (
        f"{100 * float(found[key]):.0f}" for key in ("value", "bootstrap_low", "bootstrap_high")
    )
    said = f"Table 2 of the paper; {share}% (95% CI {low} to {high}%) correct."
    assert said in (whole / "group.html").read_text()


def test_whole_measures_are_written_as_the_others_of_their_column(tmp_path):
    add_unit(tmp_path, "01", 3.0, 4.0)
    cells = re.findall(r'<td class="n">([^<]*)</td>', page_of(tmp_path).split('id="table"')[1])
    assert cells[:2] == ["3.0", "4.0"]


def test_the_page_has_the_measures_by_group(whole):
    page = (whole / "group.html").read_text()
    rows = [row for row in table(whole / "group/units.tsv") if row["fazekas_group"] == "2"]
    dice = [float(row["dice"]) for row in rows]
    assert f"{np.mean(dice):.2f} ± {np.std(dice, ddof=1):.2f} (n = 20)" in page


def test_outliers_come_before_the_results_and_at_the_top_of_the_table(tmp_path):
    for number in range(20):
        add_unit(tmp_path, f"{number:02d}", 10.0 + number % 3, 10.0 + number)
    add_unit(tmp_path, "15", 90.0, 25.0)
    page = page_of(tmp_path)
    assert page.index("sub-15") < page.index('id="cohort"')
    assert "CT measures 65.0 mL more than FLAIR" in page
    body = page[page.index("<tbody>", page.index('id="table"')) :]
    assert body.index("sub-15") < body.index("sub-00")


def test_a_figure_that_is_no_longer_made_is_removed(cohort):
    run(cohort)
    assert (cohort / "group/figures/figure-3a_scatter.svg").is_file()
    run(cohort, exclude=tuple(f"sub-0{n}" for n in range(2, 6)))
    for number in range(1, 6):
        add_unit(cohort, f"{number:02d}", 3.0)
    run(cohort)
    assert not (cohort / "group/figures/figure-3a_scatter.svg").exists()


def test_a_unit_that_failed_leads_to_its_page(tmp_path):
    add_unit(tmp_path, "01", 3.0, 4.0)
    for label in ("02", "03"):
        status = UnitStatus(f"sub-{label}", "failed", "Its CT is truncated.", exit_code=65)
        write_status(tmp_path / f"logs/sub-{label}/status.json", status)
    (tmp_path / "sub-02.html").write_text("<!DOCTYPE html>")
    page = page_of(tmp_path)
    assert '<li><a href="sub-02.html">sub-02</a> (failed): Its CT is truncated.' in page
    assert "<li>sub-03 (failed): Its CT is truncated." in page


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


def test_text_from_files_is_escaped(cohort):
    add_status(cohort, "98", "failed", "<script>alert(1)</script>")
    page = page_of(cohort)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def without_infarct_column(path) -> None:
    """Write a table as versions without infarcts left it."""
    rows = table(path)
    for row in rows:
        del row["infarct_ml"]
    write_tsv(path, rows, list(rows[0]))


def test_tables_of_versions_without_infarcts_are_read_as_they_are(tmp_path):
    for subject in ("01", "02"):
        without_infarct_column(add_unit(tmp_path, subject, 3.0, 4.0))
    page = page_of(tmp_path)
    assert {row["ct_infarct_ml"] for row in table(tmp_path / "group/units.tsv")} == {"n/a"}
    assert "nfarct" not in page


def test_units_whose_model_has_no_infarct_class_are_named_beside_others(tmp_path):
    cells = {image: {"infarct_ml": ml} for image, ml in (("ct", 12.5), ("flair", 0.0))}
    add_unit(tmp_path, "01", 3.0, 4.0, cells=cells)
    # Without hashes, as of a version that had none, a unit is not held against the others.
    without_infarct_column(add_unit(tmp_path, "02", 3.0, hashes={}))
    add_unit(tmp_path, "03", 3.0, cells={"ct": {"infarct_ml": 1.0}})
    page = page_of(tmp_path)
    said = "On CT infarcts are not told from white matter lesions in 1 of 3 units"
    assert said in page
    assert "(sub-02)" in page
    assert "On FLAIR infarcts are not told" not in page
    rows = {row["unit"]: row for row in table(tmp_path / "group/units.tsv")}
    assert [rows[f"sub-0{n}"]["ct_infarct_ml"] for n in (1, 2, 3)] == ["12.5", "n/a", "1"]
    assert rows["sub-01"]["flair_infarct_ml"] == "0"
    measured = {row["measure"]: row for row in table(tmp_path / "group/measures.tsv")}
    assert measured["ct_infarct_ml"]["count"] == "2"
