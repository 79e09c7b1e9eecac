"""What the sidecars of a run say, checked against the files that they are about."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import pytest

import ctwml_bids
from ctwml_bids.statistics.regions import MINIMUM_LESION_ML


def sidecars(real_run, label="sub-01"):
    folder = real_run.output_dir / label / "anat"
    return {
        path.stem.removeprefix(f"{label}_"): json.loads(path.read_text())
        for path in sorted(folder.glob("*.json"))
    }


@pytest.mark.parametrize("label", ["sub-01", "sub-mixed"])
def test_every_source_and_reference_is_a_file_that_is_there(real_run, label):
    links = json.loads((real_run.output_dir / "dataset_description.json").read_text())[
        "DatasetLinks"
    ]
    for name, content in sidecars(real_run, label).items():
        assert content["Sources"], name
        assert len(set(content["Sources"])) == len(content["Sources"]), name
        template = "space-MNI152NLin2009aSym" in name
        assert ("SpatialReference" in content) == ("space-" in name), name
        references = [content["SpatialReference"]] if "space-" in name and not template else []
        for uri in (*content["Sources"], *references):
            scheme, data, path = uri.split(":", 2)
            assert scheme == "bids", uri
            assert (real_run.output_dir / links.get(data, "") / path).is_file(), (name, uri)


def test_a_ct_of_a_pair_tells_what_its_flair_gave_to_its_lesions(real_run):
    name = "space-CT_label-WML_desc-ct_mask"
    assert sidecars(real_run)[name]["Sources"] == [
        "bids:raw:sub-01/ct/sub-01_ct.nii.gz",
        "bids:raw:sub-01/anat/sub-01_FLAIR.nii.gz",
        "bids::sub-01/anat/sub-01_space-CT_desc-brainflair_mask.nii.gz",
        "bids::sub-01/anat/sub-01_from-CT_to-MNI152NLin2009aSym_mode-image_xfm.txt",
        "bids::sub-01/anat/sub-01_space-CT_label-ventricles_desc-ct_mask.nii.gz",
        "bids::sub-01/anat/sub-01_space-CT_label-WML_desc-ct_probseg.nii.gz",
    ]
    assert sidecars(real_run, "sub-mixed")[name]["Sources"] == [
        "bids:raw:sub-mixed/ct/sub-mixed_ct.nii.gz",
        "bids::sub-mixed/anat/sub-mixed_space-CT_desc-brain_mask.nii.gz",
        "bids::sub-mixed/anat/sub-mixed_from-CT_to-MNI152NLin2009aSym_mode-image_xfm.txt",
        "bids::sub-mixed/anat/sub-mixed_space-CT_label-ventricles_desc-ct_mask.nii.gz",
        "bids::sub-mixed/anat/sub-mixed_space-CT_label-WML_desc-ct_probseg.nii.gz",
    ]


def test_maps_in_template_space_name_the_template_image(real_run):
    for kind in ("mask", "probseg"):
        content = sidecars(real_run)[f"space-MNI152NLin2009aSym_label-WML_desc-ct_{kind}"]
        assert content["SpatialReference"] == (
            "https://templateflow.s3.amazonaws.com/tpl-MNI152NLin2009aSym/"
            "tpl-MNI152NLin2009aSym_res-1_T1w.nii.gz"
        )


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("space-CT_label-WML_desc-ct_mask", "ct-sim7"),
        ("space-CT_label-WML_desc-flairstd_probseg", "flair-sim5"),
        ("space-FLAIR_desc-brain_mask", "flair-brain"),
    ],
)
def test_checksums_of_a_model_are_those_of_its_files(real_run, name, model):
    content = sidecars(real_run)[name]
    given = real_run.output_dir.with_name("models") / "ct"
    shipped = Path(ctwml_bids.__file__).parent / "data/models" / model
    folder = given if model == "ct-sim7" else shipped
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.glob("*.safetensors")
    }
    assert content["Model"] == model
    assert content["ModelFilesSHA256"] == found


def test_the_smallest_lesion_that_is_counted_is_told(real_run):
    tables = sidecars(real_run)
    for name in ("desc-wml_stats", "desc-wmllesions_stats"):
        smallest = {"Value": MINIMUM_LESION_ML, "Units": "mL"}
        assert tables[name]["MinimumLesionVolume"] == smallest
    with (real_run.output_dir / "sub-01/anat/sub-01_desc-wmllesions_stats.tsv").open() as stream:
        lesions = list(csv.DictReader(stream, delimiter="\t"))
    with (real_run.output_dir / "sub-01/anat/sub-01_desc-wml_stats.tsv").open() as stream:
        rows = {row["image"]: row for row in csv.DictReader(stream, delimiter="\t")}
    for image in ("ct", "flair"):
        listed = [float(row["volume_ml"]) for row in lesions if row["image"] == image]
        assert len(listed) == int(rows[image]["lesion_count"]) > 0
        assert min(listed) >= MINIMUM_LESION_ML
        specks = float(rows[image]["speck_ml"])
        assert sum(listed) + specks == pytest.approx(float(rows[image]["wml_ml"]), abs=2e-3)
    assert f"at least {MINIMUM_LESION_ML} mL" in (real_run.output_dir / "sub-01.html").read_text()
