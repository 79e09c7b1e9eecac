"""The commands of docs/dicom.md on a real head CT, written as DICOM: HU stay where they were."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.cli.main import main
from ctwml_bids.preprocessing.hounsfield import read_ct

pytest.importorskip("pydicom", reason="DICOM series are written with pydicom (pip)")
from tests.docs.dicom_series import at_points, write_series

BIN = Path(sys.executable).parent
PAGE = Path(__file__).resolve().parents[2] / "docs/dicom.md"
EVEN, UNEVEN = [5.0] * 15, [2.5] * 12 + [5.0] * 9
SERIES = {
    "even": {"gaps_mm": EVEN},
    "tilted": {"gaps_mm": EVEN, "tilt_degrees": 18.0},
    "uneven": {"gaps_mm": UNEVEN},
    "tilted and uneven": {"gaps_mm": UNEVEN, "tilt_degrees": 18.0},
    "tilted and uneven, 16 bits": {"gaps_mm": UNEVEN, "tilt_degrees": 18.0, "bits": 16},
}

pytestmark = pytest.mark.skipif(
    not all((BIN / tool).exists() for tool in ("dcm2niix", "dcm2bids")),
    reason=f"dcm2niix and dcm2bids are not installed in {BIN} (pip; dcm2niix has no wheel for "
    "every machine)",
)


@pytest.fixture(scope="module")
def head(bids_real):
    image = nib.load(bids_real / "sub-dv01/ct/sub-dv01_ct.nii.gz")
    return nib.Nifti1Image(image.get_fdata(dtype=np.float32), image.affine)


def on_page(language: str) -> str:
    (block,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), flags=re.M | re.S)
    return block


def run(commands: str, folder: Path) -> None:
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-c", commands],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def differences(path: Path, head: nib.Nifti1Image) -> np.ndarray:
    """HU that the program reads, less the head's own at the same places, in soft tissue."""
    sidecar = json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())
    image = read_ct(path, sidecar).image
    voxels = np.moveaxis(np.indices(image.shape), 0, -1)
    own = at_points(head, nib.affines.apply_affine(image.affine, voxels))
    soft = (own > 0) & (own < 90)
    assert np.count_nonzero(soft) * abs(np.linalg.det(image.affine)) > 5e5  # half a litre of it
    return np.abs(np.asarray(image.dataobj) - own)[soft]


@pytest.mark.parametrize("series", SERIES.values(), ids=SERIES.keys())
def test_a_converted_series_has_its_hu_where_they_were(series, head, tmp_path, capsys):
    write_series(tmp_path / "dicom/01", head, **series)
    (tmp_path / "ct.json").write_text(on_page("json"))
    run(on_page("bash"), tmp_path)
    bids = tmp_path / "bids"
    written = [str(path.relative_to(bids)) for path in bids.glob("sub-*/**/*") if path.is_file()]
    assert sorted(written) == ["sub-01/ct/sub-01_ct.json", "sub-01/ct/sub-01_ct.nii.gz"]
    apart = differences(bids / "sub-01/ct/sub-01_ct.nii.gz", head)
    assert np.median(apart) < 1
    assert np.percentile(apart, 95) < 15
    assert main([str(bids), str(tmp_path / "out"), "participant", "--dry-run"]) == 0
    assert "sub-01/ct/sub-01_ct.nii.gz" in capsys.readouterr().out


def test_what_the_page_says_of_copies_that_are_not_taken(head, tmp_path):
    for kind in ("tilted", "uneven"):
        write_series(tmp_path / "dicom" / kind, head, **SERIES[kind])
        (tmp_path / kind).mkdir()
        run(f"dcm2niix -b y -z y -l n -f head -o {kind} dicom/{kind}", tmp_path)
    assert np.median(differences(tmp_path / "tilted/head.nii.gz", head)) < 2
    assert np.percentile(differences(tmp_path / "uneven/head.nii.gz", head), 95) > 100


def test_16_bit_values_keep_their_tilt_without_the_option_that_makes_them_signed(head, tmp_path):
    write_series(tmp_path / "dicom", head, EVEN, tilt_degrees=18.0, bits=16)
    for option in ("-l o", "-l n"):
        run(f"rm -rf to && mkdir to && dcm2niix -b y -z y {option} -f head -o to dicom", tmp_path)
        copies = [path.name for path in (tmp_path / "to").glob("*_Tilt_1.nii.gz")]
        assert copies == ([] if option == "-l o" else ["head_Tilt_1.nii.gz"])


def test_the_configuration_names_series_by_what_they_are(head, tmp_path, capsys):
    nifti = tmp_path / "nifti"
    nifti.mkdir()
    axial = ["ORIGINAL", "PRIMARY", "AXIAL"]
    small = head.slicer[::4, ::4]
    for name, sidecar in {
        "001": {"Modality": "CT", "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
        "002": {"Modality": "CT", "ImageType": axial, "ConvolutionKernel": "FC63"},
        "003": {"Modality": "CT", "ImageType": [*axial, "X"], "ConvolutionKernel": "FC21"},
        "004": {"Modality": "CT", "ImageType": ["DERIVED", "PRIMARY", "AXIAL"]},
        "005": {"Modality": "MR", "SeriesDescription": "ax t2 flair fs"},
        "006": {"Modality": "MR", "SeriesDescription": "t1 mprage"},
    }.items():
        small.to_filename(nifti / f"{name}.nii.gz")
        (nifti / f"{name}.json").write_text(json.dumps(sidecar))
    (tmp_path / "ct.json").write_text(on_page("json"))
    bids = tmp_path / "bids"
    bids.mkdir()
    (bids / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.11.1"}')
    run("dcm2bids -d nifti -p 01 -s 1 -c ct.json -o bids --skip_dcm2niix", tmp_path)
    assert sorted(path.name for path in bids.glob("sub-01/ses-1/*/*.nii.gz")) == [
        "sub-01_ses-1_FLAIR.nii.gz",
        "sub-01_ses-1_run-01_ct.nii.gz",
        "sub-01_ses-1_run-02_ct.nii.gz",
    ]
    assert main([str(bids), str(tmp_path / "out"), "participant", "--dry-run"]) == 0
    # Of the two reconstructions the soft one.
    assert "CT    sub-01/ses-1/ct/sub-01_ses-1_run-02_ct.nii.gz" in capsys.readouterr().out
