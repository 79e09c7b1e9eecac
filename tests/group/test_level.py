"""The group level and Fazekas thresholds from a command line, with their exit codes."""

from __future__ import annotations

import json

import pytest

from ctwml_bids.bids.dataset import start_dataset
from ctwml_bids.bids.status import UnitStatus, what_differs, write_status
from ctwml_bids.cli import main as app
from ctwml_bids.cli.parser import parse
from ctwml_bids.errors import UsageError
from ctwml_bids.run.preflight import Ready
from ctwml_bids.run.rerun import request_of
from ctwml_bids.statistics.thresholds import literature
from tests.bids.planned import plan
from tests.group.cohorts import HASHES, add_people, add_unit, estimates, table


@pytest.fixture
def group(tmp_path, capsys):
    """Run the group level on four units; returns exit code and what was said."""
    out = tmp_path / "out"
    for number in range(1, 5):
        add_unit(out, f"{number:02d}", 3.0 * number, 3.2 * number)

    def run(*options):
        arguments = ["/nowhere", str(out), "group", "-w", str(tmp_path / "work")]
        code = app.main([*arguments, *map(str, options)])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out + said.err

    run.out = out
    return run


def test_options_reach_the_tables(group, tmp_path):
    people = [{"participant_id": f"sub-0{n}", "age": 60 + n, "score": n - 1} for n in range(1, 5)]
    file = add_people(tmp_path, people, "mine.tsv")
    options = ("--participants-file", file, "--fazekas-column", "score", "--exclude", "02")
    code, _ = group(*options, "--fazekas-thresholds", "literature")
    assert code == 0
    rows = {row["unit"]: row for row in table(group.out / "group/units.tsv")}
    assert rows["sub-02"]["included"] == "no: excluded by name"
    assert [rows[f"sub-0{n}"]["fazekas_from_ct"] for n in (1, 3, 4)] == ["0-1", "2", "2"]
    assert estimates(group.out)["pairs"]["value"] == "3"


def test_reasons_of_a_list_reach_the_table_and_the_page(group, tmp_path):
    listed = tmp_path / "list.tsv"
    listed.write_text("participant_id\twhy\n02\tmoved\n")
    code, said = group("--exclude", listed)
    assert code == 0
    (row,) = table(group.out / "group/excluded.tsv")
    assert (row["unit"], row["reason"]) == ("sub-02", "excluded by list.tsv: moved")
    assert "excluded by list.tsv: moved" in (group.out / "group.html").read_text()
    assert "sub-02 is left out of all analyses: excluded by list.tsv: moved" in said


@pytest.mark.parametrize("line", ["sub-01,sub-02", "01;02", "01\tno"])
def test_a_line_of_a_list_with_two_meanings_stops_the_group(group, tmp_path, line):
    listed = tmp_path / "list.tsv"
    listed.write_text(f"{line}\n")
    code, said = group("--exclude", listed)
    assert code == 16
    assert "list.tsv, line 1: " in said


def test_the_column_exclude_is_said_in_the_log_and_on_the_page(group):
    people = "participant_id\tExclude\nsub-01\tno\n02 \ttumour\nsub-99\tmoved\n"
    (group.out / "participants.tsv").write_text(people)
    code, said = group()
    assert code == 0
    page = (group.out / "group.html").read_text()
    for text in (said, page):
        assert "excluded in participants.tsv: tumour" in text
        assert "results here: sub-99 (excluded in participants.tsv: moved)." in text
    assert estimates(group.out)["pairs"]["value"] == "3"


@pytest.mark.parametrize("written", ["sub-2", "002", "2\treason", '"2"', "2_ses-a", "02_ses-a"])
def test_a_near_label_in_a_list_stops_the_group(group, tmp_path, written):
    listed = tmp_path / "list.txt"
    listed.write_text(f"# who\n{written}\n")
    code, said = group("--exclude", listed)
    assert code == 16
    assert "list.txt, line 2: sub-" in said
    assert "sub-02 is" in said
    assert not (group.out / "group.html").exists()


def test_who_is_in_a_list_and_not_here_is_listed(group, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text("sub-77,moved\n03\n")
    code, said = group("--exclude", listed)
    assert code == 0
    assert "without results here: sub-77 (excluded by list.txt: moved)" in said
    assert estimates(group.out)["pairs"]["value"] == "3"


CORRECTED = "participant_id\tfazekas\nsub-01\t3\nsub-02\t2\nsub-03\t1\nsub-04\t0\n"


@pytest.fixture
def copied(group, tmp_path):
    """A data set whose table was copied before it is corrected; group is given the data set."""
    bids = tmp_path / "bids"
    for number in range(1, 5):
        (bids / f"sub-0{number}").mkdir(parents=True)
    (bids / "dataset_description.json").write_text('{"Name": "x"}')
    (bids / "participants.tsv").write_text(CORRECTED.replace("\t3", "\t1"))
    start_dataset(group.out, bids)
    assert "sub-01\t1" in (group.out / "participants.tsv").read_text()

    def run(content):
        (bids / "participants.tsv").write_bytes(content)
        return app.main([str(bids), str(group.out), "group", "-w", str(tmp_path / "work")])

    return run


@pytest.mark.parametrize(
    "content",
    [
        CORRECTED.encode(),
        CORRECTED.replace("sub-01", '"sub-01"').replace("fazekas", "Fazekas").encode(),
    ],
)
def test_a_corrected_table_counts_though_it_was_copied_before(group, copied, content):
    assert copied(content) == 0
    assert [row["fazekas_grade"] for row in table(group.out / "group/units.tsv")] == list("3210")


@pytest.mark.parametrize(
    "content",
    [
        CORRECTED.encode("utf-16"),
        CORRECTED.replace("fazekas\n", "Fazékas\n").encode("latin-1"),
        CORRECTED.replace("\t", ";").encode(),
        CORRECTED.replace("sub-0", "sub-").encode(),
        CORRECTED.replace("sub-02\t2", "sub-02").encode(),
    ],
)
def test_a_correction_that_cannot_be_read_stops_the_group(group, copied, capsys, content):
    """The old grades would be taken for it."""
    assert copied(content) == 65
    assert "bids/participants.tsv" in capsys.readouterr().err
    assert not (group.out / "group.html").exists()


@pytest.mark.parametrize(
    ("where", "name", "text", "grades", "said"),
    [
        ("moved", "x", CORRECTED, "3210", ""),
        ("linked", "x", CORRECTED, "3210", ""),
        ("moved", "x", CORRECTED + "sub-05\t1\n", "3210", ""),
        ("moved", "", CORRECTED, "3210", ""),
        # By the folders; a row may be missing, as BIDS does not have it, but people do.
        ("moved", "x", CORRECTED.replace("sub-03\t1\n", ""), "32n0", ""),
        ("moved", "other", CORRECTED, "1210", "its data set is named 'other', and the results are"),
        ("empty", "x", "participant_id\tfazekas\nsub-01\t3\n", "1210", "(sub-02, sub-03, sub-04)"),
    ],
)
def test_a_data_set_by_another_path_is_the_same_or_is_told(
    group, copied, tmp_path, capsys, where, name, text, grades, said
):
    assert copied(CORRECTED.replace("\t3", "\t1").encode()) == 0
    bids, other = tmp_path / "bids", tmp_path / "elsewhere/data"
    other.parent.mkdir()
    if where == "linked":
        (tmp_path / "elsewhere/out").symlink_to(group.out)
        bids.rename(tmp_path / "elsewhere/bids2")
        other.symlink_to("bids2")
    elif where == "moved":
        bids.rename(other)
    else:
        other.mkdir()
    (other / "participants.tsv").write_text(text)
    (other / "dataset_description.json").write_text(json.dumps({"Name": name}))
    capsys.readouterr()
    arguments = [str(other), str(group.out), "group", "-w", str(tmp_path / "work")]
    assert app.main(arguments) == 0
    found = [row["fazekas_grade"][:1] for row in table(group.out / "group/units.tsv")]
    assert "".join(found) == grades
    err = capsys.readouterr().err
    if said:
        for one in (said, f"{other}/participants.tsv is not used", "--participants-file"):
            assert one in err
        assert f"{group.out}/participants.tsv is, as it was copied" in err
    else:
        assert "is not used" not in err


@pytest.mark.parametrize("content", [CORRECTED.encode("utf-16"), CORRECTED.encode() + b"sub-07"])
def test_a_table_of_a_moved_data_set_that_cannot_be_read_stops_the_group(
    group, copied, tmp_path, capsys, content
):
    (tmp_path / "bids").rename(tmp_path / "data")
    (tmp_path / "data/participants.tsv").write_bytes(content)
    assert app.main([str(tmp_path / "data"), str(group.out), "group"]) == 65
    assert "data/participants.tsv" in capsys.readouterr().err


def test_what_is_missing_and_who_is_left_out_is_said_in_the_log(group):
    add_unit(group.out, "02", 1.0, cells={"ct": {"wml_ml": "much"}})
    add_unit(group.out, "03", 1.0, qc="fail", message="The brain is too small.")
    code, said = group()
    assert code == 0
    assert "There is no participants.tsv" in said
    assert "sub-02 is left out of all analyses: unreadable: its table" in said
    assert "sub-03 is left out of all analyses: The brain is too small." in said


def test_units_that_never_began_or_were_killed_are_named(group):
    for name, state, reason in (("08", "running", ""), ("09", "queued", "its job never began")):
        status = UnitStatus(f"sub-{name}", state, reason)
        write_status(group.out / f"logs/sub-{name}/status.json", status)
    code, said = group()
    assert code == 0
    assert "group: sub-08 is missing, running: its run did not come to an end" in said
    assert "group: sub-09 is missing, queued: its job never began" in said
    assert {row["unit"] for row in table(group.out / "group/excluded.tsv")} >= {"sub-08", "sub-09"}


@pytest.mark.parametrize(
    ("spoil", "options", "code", "said"),
    [
        (lambda out: None, ("--exclude", "1"), 16, "sub-1 is to be left out and is not here"),
        (
            lambda out: add_unit(out, "02", 1.0, hashes={**HASHES, "segmentation": "x"}),
            (),
            16,
            "the hash of segmentation settings",
        ),
        (
            lambda out: add_people(out, [{"participant_id": "sub-01", "fazekas": "bad"}]),
            (),
            65,
            "line 2: the fazekas of sub-01",
        ),
        (
            lambda out: add_people(out, [{"participant_id": "sub-01"}] * 2),
            (),
            65,
            "sub-01 has two rows",
        ),
        (lambda out: None, ("--participants-file", "/no/such.tsv"), 66, "/no/such.tsv"),
        (lambda out: None, ("--participants-file", "/tmp"), 66, "/tmp: is a folder"),
        (lambda out: None, ("--fazekas-thresholds", "/no/such.json"), 66, "literature"),
        (
            lambda out: add_people(out, [{"participant_id": "sub-01"}]),
            ("--fazekas-column", "score"),
            16,
            "no column 'score'",
        ),
    ],
)
def test_bad_input_ends_with_its_exit_code_and_a_sentence(group, spoil, options, code, said):
    spoil(group.out)
    found, text = group(*options)
    assert found == code
    assert said in text
    assert not (group.out / "group.html").exists()


def test_a_file_that_holds_no_thresholds_is_refused(group, tmp_path):
    file = tmp_path / "thresholds.json"
    file.write_text(json.dumps({"Thresholds": {"ct": {"Low": "seven", "High": 15}}}))
    code, text = group("--fazekas-thresholds", file)
    assert code == 16
    assert "threshold Low for ct is 'seven'" in text


def test_paths_are_absolute_and_the_name_literature_is_none(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    words = ["bids", "out", "group"]
    asked = parse([*words, "--fazekas-file", "a.tsv", "--fazekas-thresholds", "b.json"])
    assert asked.fazekas_file == tmp_path / "a.tsv"
    assert asked.fazekas_thresholds == str(tmp_path / "b.json")
    assert parse([*words, "--fazekas-thresholds", "literature"]).fazekas_thresholds == "literature"


def test_excluded_labels_get_their_prefix_and_nonsense_is_refused():
    found = parse(["bids", "out", "group", "--exclude", "01", "sub-02_ses-a"])
    assert found.exclude == ("sub-01", "sub-02_ses-a")
    with pytest.raises(UsageError, match="no subject"):
        parse(["bids", "out", "group", "--exclude", "x_y"])


def test_a_unit_runs_again_for_a_fazekas_group_but_not_to_lose_one(dataset, ready):
    unit = plan(dataset)[0]
    asking = Ready(ready.settings, ready.template, ready.cards, literature())
    without, with_group = request_of(unit, ready), request_of(unit, asking)

    def differs(before, now):
        status = UnitStatus(unit.label, "done", request=before.described(dataset))
        return what_differs(status, {}, now, ready.settings.output_dir, dataset)

    assert differs(without, with_group) == ["a Fazekas group by other thresholds is asked for"]
    assert differs(with_group, with_group) == []
    assert differs(with_group, without) == []
