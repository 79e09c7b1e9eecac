from __future__ import annotations

import json
from pathlib import Path

from ctwml_bids.bids.acquisitions import acquisition_rows, write_acquisitions
from ctwml_bids.bids.units import Unit
from tests.bids.planned import plan

RAW = Path("/raw")
CT = {"Manufacturer": "GE", "ManufacturersModelName": "Optima", "SliceThickness": 5}
PAIR = Unit("01", None, RAW / "ct.nii", RAW / "flair.nii", CT, {"SliceThickness": "thin"})


def written(out):
    return (out / "sub-01/anat/sub-01_desc-acquisition_stats.tsv").read_text().splitlines()


def test_scanner_thickness_and_days_are_copied_and_nonsense_is_missing():
    unit = Unit(**{**vars(PAIR), "days_apart": 3.256})
    assert acquisition_rows(unit) == [
        {"image": "ct", "scanner": "GE Optima", "slice_thickness_mm": 5.0, "days_apart": 3.26},
        {"image": "flair", "scanner": "n/a", "slice_thickness_mm": None, "days_apart": 3.26},
    ]


def test_units_without_results_get_no_table(tmp_path):
    write_acquisitions(tmp_path, RAW, [PAIR])
    assert list(tmp_path.iterdir()) == []


def test_a_corrected_sidecar_counts_and_an_unchanged_one_writes_nothing(tmp_path):
    (tmp_path / "sub-01/anat").mkdir(parents=True)
    write_acquisitions(tmp_path, RAW, [PAIR])
    assert written(tmp_path)[1] == "ct\tGE Optima\t5\tn/a"
    path = tmp_path / "sub-01/anat/sub-01_desc-acquisition_stats.tsv"
    sources = json.loads(path.with_suffix(".json").read_text())["Sources"]
    assert sources == ["bids:raw:ct.nii", "bids:raw:flair.nii"]
    before = path.stat().st_ino
    write_acquisitions(tmp_path, RAW, [PAIR])
    assert path.stat().st_ino == before
    write_acquisitions(
        tmp_path, RAW, [Unit(**{**vars(PAIR), "ct_sidecar": {**CT, "SliceThickness": 3}})]
    )
    assert written(tmp_path)[1] == "ct\tGE Optima\t3\tn/a"


def test_days_between_the_images_come_from_scans_tsv(tmp_path):
    (tmp_path / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    for folder, name in (("ct", "ct"), ("anat", "FLAIR")):
        path = tmp_path / "sub-01" / folder / f"sub-01_{name}.nii.gz"
        path.parent.mkdir(parents=True)
        path.touch()
    (tmp_path / "sub-01/sub-01_scans.tsv").write_text(
        "filename\tacq_time\nct/sub-01_ct.nii.gz\t2020-01-01T10:00:00\n"
        "anat/sub-01_FLAIR.nii.gz\t2020-01-04T22:00:00\n"
    )
    (unit,) = plan(tmp_path)
    assert unit.days_apart == 3.5
