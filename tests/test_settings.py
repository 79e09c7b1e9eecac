from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import pytest

from ctwml_bids.errors import InvalidInputError, NoInputError
from ctwml_bids.settings import (
    Settings,
    content_hash,
    differences,
    from_toml,
    preprocessing_fields,
    read_toml,
    segmentation_fields,
    to_toml,
)

FULL = Settings(
    bids_dir=Path("/data/bids"),
    output_dir=Path("/data/out"),
    analysis_levels=("participant", "group"),
    participant_labels=("01", "02"),
    bids_filter_file=Path("/data/filter.json"),
    work_dir=Path("/scratch"),
    nprocs=8,
    omp_nthreads=2,
    mem_gb=12.5,
    models=(Path("/models/a"), Path("/models/b")),
    desc="other",
    derivatives={"smriprep": Path("/data/smriprep")},
    verbose=1,
)
SUMS = {"ct": "aa", "flair": "bb"}


def change(**fields):
    return dataclasses.replace(FULL, **fields)


def test_settings_survive_toml_except_for_what_is_of_the_machine():
    text = to_toml(FULL)
    assert tomllib.loads(text)["machine"] == {
        "nprocs": 8,
        "omp_nthreads": 2,
        "mem_gb": 12.5,
        "device": "auto",
        "work_dir": "/scratch",
    }
    elsewhere = {"nprocs": 1, "omp_nthreads": None, "mem_gb": 4.0, "work_dir": Path()}
    assert Settings(**from_toml(text)) == change(**elsewhere)


def test_machine_settings_are_not_taken_from_anywhere_in_a_file():
    assert from_toml('nprocs = 3\ntemplate = "A"\n[machine]\nmem_gb = 4\n') == {"template": "A"}


def test_what_was_not_given_is_left_out_and_stays_none():
    bare = Settings(Path("/a"), Path("/b"), ("group",))
    assert "desc" not in to_toml(bare)
    assert Settings(**from_toml(to_toml(bare))) == bare


def test_models_found_for_a_run_are_recorded_but_not_read_back():
    text = to_toml(change(model_ct=Path("/site-packages/ct-sim2")))
    assert "ct-sim2" in text
    assert "model_ct" not in from_toml(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nprocs = ", "not valid TOML"),
        ("nproc = 3", "nproc"),
        ('nprocs = "3"', "nprocs"),
        ("nprocs = true", "nprocs"),
        ("nprocs = 0", "nprocs"),
        ('keep_work = "maybe"', "on-failure"),
        ("work_dir = 3", "work_dir"),
        ("context = -1", "context"),
        ("threshold = 25.0", "threshold"),
        ('loss = "dice"', "cross-entropy"),
        ("participant_labels = [1]", "participant_labels"),
        ("machine = 3", "machine"),
        ("[machine]\ncores = 3", "cores"),
    ],
)
def test_a_wrong_configuration_file_is_refused_by_name(tmp_path, text, said):
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match=said) as caught:
        read_toml(path)
    assert str(path) in str(caught.value)


def test_a_missing_configuration_file_is_missing_input(tmp_path):
    with pytest.raises(NoInputError):
        read_toml(tmp_path / "none.toml")


def hash_of_preprocessing(settings: Settings) -> str:
    return content_hash(preprocessing_fields(settings))


def hash_of_segmentation(settings: Settings, checksums: dict[str, str]) -> str:
    return content_hash(segmentation_fields(settings, checksums))


@pytest.mark.parametrize(
    "field",
    [
        {"nprocs": 1},
        {"device": "cuda"},
        {"work_dir": Path("/elsewhere")},
        {"output_dir": Path("/moved")},
        {"participant_labels": ("03",)},
        {"verbose": 0},
    ],
)
def test_hashes_do_not_depend_on_where_and_how_it_runs(field):
    assert hash_of_preprocessing(change(**field)) == hash_of_preprocessing(FULL)
    assert hash_of_segmentation(change(**field), SUMS) == hash_of_segmentation(FULL, SUMS)


@pytest.mark.parametrize("field", [{"template": "X"}, {"normalisation": "syn"}, {"random_seed": 2}])
def test_preprocessing_has_its_own_hash(field):
    assert hash_of_preprocessing(change(**field)) != hash_of_preprocessing(FULL)
    assert hash_of_segmentation(change(**field), SUMS) == hash_of_segmentation(FULL, SUMS)


def test_another_model_changes_the_segmentation_hash_alone():
    assert hash_of_segmentation(FULL, {**SUMS, "ct": "cc"}) != hash_of_segmentation(FULL, SUMS)


def test_differences_name_the_field_with_both_values():
    other = preprocessing_fields(change(template="MNI152NLin6Asym"))
    lines = differences(preprocessing_fields(FULL), other)
    assert lines == ["template: 'MNI152NLin2009aSym' before, 'MNI152NLin6Asym' now"]
