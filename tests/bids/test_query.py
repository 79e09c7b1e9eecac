from __future__ import annotations

from pathlib import Path

import pytest

from ctwml_bids.bids.filters import parse_filters
from ctwml_bids.bids.query import plan_units, validator_hint
from ctwml_bids.bids.units import Skipped, Unit
from ctwml_bids.errors import InvalidInputError, NoInputError, NothingMatchedError
from tests.bids.planned import plan


def names(unit: Unit) -> tuple[str | None, str | None]:
    return tuple(path.name if path else None for path in (unit.ct, unit.flair))


def test_ct_is_found_in_both_layouts(raw):
    raw.image("sub-01/ct/sub-01_ct.nii.gz")
    raw.image("sub-02/anat/sub-02_CT.nii")
    raw.image("sub-03/ses-a/ct/sub-03_ses-a_ct.nii")
    assert [(unit.label, unit.ct.name) for unit in plan(raw.root)] == [
        ("sub-01", "sub-01_ct.nii.gz"),
        ("sub-02", "sub-02_CT.nii"),
        ("sub-03_ses-a", "sub-03_ses-a_ct.nii"),
    ]


def test_ct_and_flair_of_a_subject_are_one_unit_and_each_runs_alone(raw):
    raw.image("sub-01/ct/sub-01_ct.nii.gz")
    raw.image("sub-01/anat/sub-01_FLAIR.nii.gz")
    raw.image("sub-02/ct/sub-02_ct.nii.gz")
    raw.image("sub-03/anat/sub-03_FLAIR.nii.gz")
    assert [names(unit) for unit in plan(raw.root)] == [
        ("sub-01_ct.nii.gz", "sub-01_FLAIR.nii.gz"),
        ("sub-02_ct.nii.gz", None),
        (None, "sub-03_FLAIR.nii.gz"),
    ]


def test_other_folders_of_the_data_set_are_not_searched(raw):
    raw.image("sub-01/ct/sub-01_ct.nii.gz")
    raw.image("derivatives/x/sub-01/anat/sub-01_FLAIR.nii.gz")
    raw.image("sourcedata/sub-01/ct/sub-01_run-2_ct.nii.gz")
    assert [names(unit) for unit in plan(raw.root)] == [("sub-01_ct.nii.gz", None)]


def test_a_folder_above_the_data_set_does_not_lend_its_labels(tmp_path, raw):
    raw.image("sub-01/ct/sub-01_ct.nii.gz")
    moved = tmp_path / "sub-99" / "ses-7" / "raw"
    moved.parent.mkdir(parents=True)
    raw.root.rename(moved)
    assert [unit.label for unit in plan(moved)] == ["sub-01"]


def test_sidecars_are_inherited_and_the_nearest_wins(raw):
    raw.image(
        "sub-01/ses-1/ct/sub-01_ses-1_acq-thin_ct.nii.gz", sidecar={"ConvolutionKernel": "H30s"}
    )
    raw.json("ct.json", {"Manufacturer": "Siemens", "ConvolutionKernel": "H60s", "kVp": 100})
    raw.json("acq-thin_ct.json", {"kVp": 120})
    raw.json("acq-thick_ct.json", {"kVp": 80})
    raw.json("sub-01/sub-01_CT.json", {"Manufacturer": "not for this suffix"})
    (unit,) = plan(raw.root)
    assert unit.ct_sidecar == {"Manufacturer": "Siemens", "ConvolutionKernel": "H30s", "kVp": 120}


@pytest.mark.parametrize("content", ["{", "[1]", "\x00"])
def test_a_sidecar_that_is_not_json_skips_its_subject_only(raw, content):
    raw.image("sub-01/ct/sub-01_ct.nii.gz")
    raw.image("sub-02/ct/sub-02_ct.nii.gz")
    raw.text("sub-01/ct/sub-01_ct.json", content)
    bad, good = plan(raw.root)
    assert isinstance(bad, Skipped)
    assert "sub-01_ct.json" in bad.reason
    assert "JSON" in bad.reason
    assert isinstance(good, Unit)


def test_a_broken_sidecar_of_another_kind_of_image_does_not_matter(raw):
    raw.image("sub-01/ct/sub-01_ct.nii.gz")
    raw.text("sub-01/anat/sub-01_T1w.json", "{")
    assert isinstance(plan(raw.root)[0], Unit)


def test_a_subject_without_ct_and_flair_is_skipped_and_told_what_it_has(raw):
    raw.image("sub-01/anat/sub-01_T1w.nii.gz")
    raw.image("sub-02/ct/sub-02_ct.nii.gz")
    skipped, _ = plan(raw.root)
    assert isinstance(skipped, Skipped)
    assert "T1w" in skipped.reason


def test_a_link_to_content_that_was_not_fetched_skips_the_subject(raw):
    raw.image("sub-02/ct/sub-02_ct.nii.gz")
    folder = raw.root / "sub-01" / "ct"
    folder.mkdir(parents=True)
    (folder / "sub-01_ct.nii.gz").symlink_to("../../.git/annex/objects/absent")
    skipped, other = plan(raw.root)
    assert isinstance(skipped, Skipped)
    assert "datalad get" in skipped.reason
    assert isinstance(other, Unit)


def test_a_missing_data_set_is_no_input(tmp_path):
    with pytest.raises(NoInputError, match="not there"):
        plan(tmp_path / "absent")
    (tmp_path / "file").write_text("")
    with pytest.raises(NoInputError, match="not a folder"):
        plan(tmp_path / "file")


def test_without_a_description_it_is_not_bids_unless_validation_is_skipped(raw):
    raw.image("sub-01/ct/sub-01_ct.nii.gz")
    description = raw.root / "dataset_description.json"
    description.write_text("{")
    with pytest.raises(InvalidInputError, match="not JSON"):
        plan(raw.root)
    description.unlink()
    with pytest.raises(InvalidInputError, match="--skip-bids-validation"):
        plan(raw.root)
    assert len(plan(raw.root, skip_validation=True)) == 1


def test_a_data_set_without_subjects_is_invalid(raw):
    with pytest.raises(InvalidInputError, match="no subject"):
        plan(raw.root)


def test_an_unknown_label_is_named_with_the_closest_that_exist(raw):
    for label in ("alpha", "beta", "patient01"):
        raw.image(f"sub-{label}/ct/sub-{label}_ct.nii.gz")
    with pytest.raises(NothingMatchedError, match=r"no subject patient1 .* 3: patient01, alpha"):
        plan(raw.root, participant_labels=["alpha", "patient1"])


def test_labels_may_carry_their_prefix_and_choose(raw):
    for label in ("01", "02", "03"):
        raw.image(f"sub-{label}/ct/sub-{label}_ct.nii.gz")
    assert [u.subject for u in plan(raw.root, participant_labels=["sub-03", "01"])] == ["01", "03"]


def test_sessions_choose_units_and_a_pair_across_sessions_stays_whole(raw):
    raw.image("sub-01/ses-1/ct/sub-01_ses-1_ct.nii.gz")
    raw.image("sub-01/ses-2/anat/sub-01_ses-2_FLAIR.nii.gz")
    raw.image("sub-02/ses-3/ct/sub-02_ses-3_ct.nii.gz")
    first, other = plan(raw.root, session_labels=["ses-1"])
    assert names(first) == ("sub-01_ses-1_ct.nii.gz", "sub-01_ses-2_FLAIR.nii.gz")
    assert isinstance(other, Skipped)
    lent, _ = plan(raw.root, session_labels=["2"])
    assert lent == Skipped("01", "2", "its FLAIR belongs to the unit sub-01_ses-1")
    with pytest.raises(NothingMatchedError, match=r"session 9; .* 1, 2, 3"):
        plan(raw.root, session_labels=["9"])


def test_filters_choose_images_and_say_what_they_matched(raw):
    raw.image("sub-01/ct/sub-01_rec-soft_ct.nii.gz")
    raw.image("sub-01/ct/sub-01_rec-bone_ct.nii.gz")
    raw.image("sub-01/anat/sub-01_run-01_FLAIR.nii.gz")
    raw.image("sub-01/anat/sub-01_run-02_FLAIR.nii.gz")
    filters = parse_filters({"ct": {"reconstruction": "bone"}, "flair": {"run": 2}})
    (unit,), told = plan_units(raw.root, filters=filters)
    assert names(unit) == ("sub-01_rec-bone_ct.nii.gz", "sub-01_run-02_FLAIR.nii.gz")
    assert unit.notes == ()
    assert "sub-01/ct/sub-01_rec-bone_ct.nii.gz" in told
    assert "rec-soft" not in told


def test_datatype_in_a_filter_is_the_folder(raw):
    raw.image("sub-01/ct/sub-01_ct.nii.gz")
    raw.image("sub-01/anat/sub-01_CT.nii.gz")
    (both,) = plan(raw.root)
    assert isinstance(both, Skipped)
    (unit,) = plan(raw.root, filters=parse_filters({"ct": {"datatype": "ct"}}))
    assert unit.ct.name == "sub-01_ct.nii.gz"


def test_a_filter_that_excludes_one_subject_skips_it_and_all_is_an_error(raw):
    raw.image("sub-01/ct/sub-01_acq-a_ct.nii.gz")
    raw.image("sub-02/ct/sub-02_acq-b_ct.nii.gz")
    skipped, unit = plan(raw.root, filters=parse_filters({"ct": {"acquisition": "b"}}))
    assert isinstance(skipped, Skipped)
    assert isinstance(unit, Unit)
    with pytest.raises(NothingMatchedError, match="match no CT and no FLAIR"):
        plan(raw.root, filters=parse_filters({"ct": {"acquisition": "c"}}))


def test_the_validator_hint_names_the_line_for_each_layout_until_it_is_there(raw):
    raw.image("sub-01/ct/sub-01_ct.nii.gz")
    assert "**/ct" in validator_hint(raw.root, plan(raw.root))
    raw.text(".bidsignore", "**/ct\n")
    assert validator_hint(raw.root, plan(raw.root)) is None
    raw.image("sub-02/anat/sub-02_CT.nii.gz")
    assert "*_CT.*" in validator_hint(raw.root, plan(raw.root))


def test_the_real_data_set_has_one_pair_one_ct_and_flairs(bids_real):
    units = {unit.label: unit for unit in plan(bids_real)}
    assert names(units["sub-dv01"]) == ("sub-dv01_ct.nii.gz", "sub-dv01_FLAIR.nii.gz")
    assert units["sub-dv01"].ct_sidecar["ConvolutionKernel"] == "FC63"
    assert names(units["sub-ge01"]) == ("sub-ge01_ct.nii.gz", None)
    assert names(units["sub-ll12_ses-2"]) == (None, "sub-ll12_ses-2_FLAIR.nii.gz")
    assert all(isinstance(unit, Unit) for unit in units.values())
    assert sum(unit.ct is not None for unit in units.values()) == 2


def test_a_data_set_is_found_through_links_and_relative_paths(tmp_path, raw, monkeypatch):
    raw.image("sub-01/ct/sub-01_ct.nii.gz", sidecar={"kVp": 120})
    (tmp_path / "link").symlink_to(raw.root)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for root in (tmp_path / "link", Path("../raw"), Path("../elsewhere/../link/")):
        (unit,) = plan(root)
        assert unit.ct.is_file()
        assert unit.ct.is_absolute()
        assert unit.ct_sidecar == {"kVp": 120}


def test_a_linked_subject_folder_is_found(tmp_path, raw):
    raw.image("sub-01/ct/sub-01_ct.nii.gz")
    (raw.root / "sub-01").rename(tmp_path / "store")
    (raw.root / "sub-01").symlink_to(tmp_path / "store")
    assert [unit.label for unit in plan(raw.root)] == ["sub-01"]
