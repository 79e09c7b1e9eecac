"""What a run of the whole program leaves behind."""

from __future__ import annotations

import csv
import html
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.cli.main import main
from ctwml_bids.run.preflight import SCRATCH
from ctwml_bids.templates import packaged
from ctwml_bids.workflows.unit import workflow_name

IMAGES = (
    "space-CT_desc-brain_mask",
    "space-CT_desc-brainflair_mask",
    "space-FLAIR_desc-brain_mask",
    "space-CT_label-ventricles_desc-ct_mask",
    "space-FLAIR_label-ventricles_desc-flair_mask",
    *(
        f"space-{space}_label-WML_desc-{seen}{kind}"
        for space in ("CT", "FLAIR")
        for seen in ("ct", "flair")
        for kind in ("_mask", "_probseg", "std_probseg")
    ),
    *(
        f"space-MNI152NLin2009aSym_label-WML_desc-{seen}_{kind}"
        for seen in ("ct", "flair")
        for kind in ("mask", "probseg")
    ),
)
TRANSFORMS = tuple(
    f"from-{source}_to-{target}_mode-image_xfm"
    for source, target in (
        ("CT", "FLAIR"),
        ("FLAIR", "CT"),
        ("CT", "MNI152NLin2009aSym"),
        ("MNI152NLin2009aSym", "CT"),
        ("FLAIR", "MNI152NLin2009aSym"),
        ("MNI152NLin2009aSym", "FLAIR"),
    )
)
TABLES = ("desc-wml_stats", "desc-wmllesions_stats")


def load(real_run, name, label="sub-01"):
    return nib.load(real_run.output_dir / label / "anat" / f"{label}_{name}.nii.gz")


def test_exactly_the_documented_files_are_written(real_run):
    found = {path.name for path in (real_run.output_dir / "sub-01").rglob("*") if path.is_file()}
    expected = {f"sub-01_{name}.nii.gz" for name in IMAGES}
    expected |= {f"sub-01_{name}.txt" for name in TRANSFORMS}
    expected |= {f"sub-01_{name}.tsv" for name in TABLES}
    expected |= {f"sub-01_{name}.json" for name in (*IMAGES, *TRANSFORMS, *TABLES)}
    origin = {"sub-01_desc-acquisition_stats.tsv", "sub-01_desc-acquisition_stats.json"}
    expected |= {"sub-01_example.png"}
    assert found == expected | origin
    # Where images are from is noted beside the unit's own outputs, after every run.
    outputs = {Path(name).name for name in real_run.status("sub-01")["outputs"]}
    assert outputs == {*expected, "sub-01.html"}
    assert (real_run.output_dir / "sub-01.html").is_file()
    assert (real_run.output_dir / "group.html").is_file()


def links_of(page: str) -> set[str]:
    found = {html.unescape(link) for link in re.findall(r'href="([^"#]+)"', page)}
    return {unquote(link) for link in found}


def test_the_links_of_a_report_lead_to_what_is_there(real_run):
    out = real_run.output_dir
    links = links_of((out / "sub-01.html").read_text())
    assert "group.html" in links
    assert any(link.startswith("models/") for link in links)
    assert len(links) >= 12
    assert [link for link in links if not (out / link).exists()] == []
    failed = links_of((out / "sub-truncated.html").read_text())
    assert failed
    assert [link for link in failed if not (out / link).is_file()] == []


def test_statistics_are_small_and_the_page_has_no_card(real_run):
    out = real_run.output_dir
    assert (out / "sub-01/anat/sub-01_desc-wml_stats.json").stat().st_size < 20_000
    text = re.sub(r"data:image/png;base64,[^\"]*", "", (out / "sub-01.html").read_text())
    assert len(text) < 60_000
    for card in out.glob("models/*/card.json"):
        for member in json.loads(card.read_text())["members"]:
            assert member["sha256"] not in text


def test_the_official_validator_accepts_the_derivatives(real_run):
    validator = Path(sys.executable).with_name("bids-validator-deno")
    done = subprocess.run(
        [validator, real_run.output_dir, "--json"], capture_output=True, text=True, check=False
    )
    issues = json.loads(done.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []


@pytest.mark.parametrize("space", ["CT", "FLAIR"])
def test_every_map_lies_on_the_input_images_exact_grid(real_run, space):
    raw = {"CT": "ct/sub-01_ct", "FLAIR": "anat/sub-01_FLAIR"}[space]
    reference = nib.load(real_run.bids_dir / f"sub-01/{raw}.nii.gz")
    for name in (name for name in IMAGES if name.startswith(f"space-{space}_")):
        image = load(real_run, name)
        assert image.shape == reference.shape
        np.testing.assert_allclose(image.affine, reference.affine, atol=1e-4)


def test_volumes_in_the_table_are_those_of_the_masks(real_run):
    with (real_run.output_dir / "sub-01/anat/sub-01_desc-wml_stats.tsv").open() as stream:
        rows = {row["image"]: row for row in csv.DictReader(stream, delimiter="\t")}
    for name, space in (("ct", "CT"), ("flair", "FLAIR")):
        mask = load(real_run, f"space-{space}_label-WML_desc-{name}_mask")
        voxel_ml = abs(np.linalg.det(mask.affine[:3, :3])) / 1000
        counted = np.count_nonzero(np.asarray(mask.dataobj)) * voxel_ml
        row = rows[name]
        assert float(row["wml_ml"]) == pytest.approx(counted, abs=1e-3)
        assert float(row["left_ml"]) + float(row["right_ml"]) == pytest.approx(counted, abs=2e-3)
        parts = float(row["periventricular_ml"]) + float(row["deep_ml"])
        assert parts == pytest.approx(counted, abs=2e-3)


def test_masks_are_the_probability_above_the_cards_threshold(real_run):
    sidecar = "sub-01_space-CT_label-WML_desc-ct_mask.json"
    threshold = json.loads((real_run.output_dir / "sub-01/anat" / sidecar).read_text())["Threshold"]
    mask = np.asarray(load(real_run, "space-CT_label-WML_desc-ct_mask").dataobj)
    probability = np.asarray(load(real_run, "space-CT_label-WML_desc-ct_probseg").dataobj)
    np.testing.assert_array_equal(mask > 0, probability > threshold)


def test_maps_and_statistics_name_the_same_precision(real_run):
    anat = real_run.output_dir / "sub-01/anat"
    facts = json.loads((anat / "sub-01_desc-wml_stats.json").read_text())["Facts"]
    for seen in ("ct", "flair"):
        name = f"sub-01_space-{seen.upper()}_label-WML_desc-{seen}_probseg.json"
        said = json.loads((anat / name).read_text())["Precision"]
        assert said == facts[seen]["network"]["precision"]
        assert said in ("float32", "bfloat16")
        assert f"convolutions ran in {said}" in (real_run.output_dir / "sub-01.html").read_text()


def test_brain_masks_agree_with_the_simulations_truth(real_run):
    truth = real_run.bids_dir / "derivatives/simulation-truth/sub-01/anat"
    for space in ("CT", "FLAIR"):
        true = np.asarray(nib.load(truth / f"sub-01_space-{space}_desc-brain_mask.nii.gz").dataobj)
        found = np.asarray(load(real_run, f"space-{space}_desc-brain_mask").dataobj)
        dice = 2 * np.sum((true > 0) & (found > 0)) / (np.sum(true > 0) + np.sum(found > 0))
        assert dice > 0.92


def test_wrong_heads_fail_the_registration_gate_and_stay_out_of_the_group(real_run):
    assert real_run.status("sub-mixed")["state"] == "done"
    assert real_run.status("sub-mixed")["quality"] == "fail"
    with (real_run.output_dir / "group/units.tsv").open() as stream:
        units = {row["unit"]: row for row in csv.DictReader(stream, delimiter="\t")}
    assert units["sub-mixed"]["in_agreement"] == "no: failed a quality gate"
    assert units["sub-mixed"]["dice"] == "n/a"
    assert units["sub-01"]["in_agreement"] == "yes"
    assert "Failed" in (real_run.output_dir / "sub-mixed.html").read_text()


def test_the_ct_of_a_failed_registration_is_measured_with_its_own_brain_mask(real_run):
    carried = "sub-mixed/anat/sub-mixed_space-CT_desc-brainflair_mask.nii.gz"
    assert not (real_run.output_dir / carried).exists()
    assert (
        real_run.output_dir / "sub-mixed/anat/sub-mixed_space-CT_desc-brain_mask.nii.gz"
    ).exists()


EXPECTED_REASON = {
    "truncated": r"truncated",
    "nan": r"1 of \d+ voxels are NaN",
    "negativespacing": r"spacing .*-3.* must be positive",
    "zerospacing": r"spacing .* must be positive",
    "series": r"4D series",
    "zeros": r"every voxel is 0",
    "tiny": r"only 16 x 16 x 4 voxels",
    "unoriented": r"states no orientation",
    "scaled": r"HU|Hounsfield",
}


@pytest.mark.parametrize("label", list(EXPECTED_REASON))
def test_an_unusable_image_fails_its_subject_alone_and_says_why(real_run, label):
    status = real_run.status(f"sub-{label}")
    assert status["state"] == "failed"
    assert status["exit_code"] == 65
    assert re.search(EXPECTED_REASON[label], status["reason"]), status["reason"]
    assert f"sub-{label}_ct.nii.gz" in status["reason"]
    assert not (real_run.output_dir / f"sub-{label}").exists()
    page = html.unescape((real_run.output_dir / f"sub-{label}.html").read_text())
    assert "Not measured" in page
    assert status["reason"] in page


def test_a_sidecar_that_is_not_json_skips_its_subject_alone(real_run):
    status = real_run.status("sub-badjson")
    assert status["state"] == "skipped"
    assert re.search(r"sub-badjson_ct.json: .* JSON .*; correct or remove it", status["reason"])
    assert not (real_run.output_dir / "sub-badjson").exists()


def test_the_exit_code_tells_that_some_unit_failed(real_run):
    assert real_run.code == 1


def test_nothing_half_written_is_left(real_run):
    assert [path for path in real_run.output_dir.rglob("*") if ".tmp" in path.name] == []


def test_results_name_no_folder_of_this_machine(real_run):
    for path in (real_run.output_dir / "sub-01").rglob("*.json"):
        assert str(real_run.bids_dir) not in path.read_text(), path.name
    assert str(real_run.bids_dir) not in (real_run.output_dir / "sub-01.html").read_text()


def test_a_finished_unit_is_not_run_again(real_run, capsys):
    before = (real_run.output_dir / "sub-01.html").stat().st_mtime_ns
    assert main([*real_run.arguments, "--participant-label", "01"]) == 0
    assert (real_run.output_dir / "sub-01.html").stat().st_mtime_ns == before
    assert "done before" in capsys.readouterr().out


def test_another_seed_in_the_same_folder_is_refused_with_what_differs(real_run, capsys):
    assert main([*real_run.arguments, "--participant-label", "01", "--random-seed", "8"]) == 73
    message = capsys.readouterr().err
    assert "random_seed" in message
    assert "7" in message
    assert "8" in message


def test_a_report_is_written_again_without_segmenting_again(real_run):
    report = real_run.output_dir / "sub-01.html"
    mask = real_run.output_dir / "sub-01/anat/sub-01_space-CT_label-WML_desc-ct_mask.nii.gz"
    kept, before = report.read_text(), mask.stat().st_mtime_ns
    report.unlink()
    assert main([*real_run.arguments, "--participant-label", "01", "--reports-only"]) == 0
    assert mask.stat().st_mtime_ns == before
    written, time = report.read_text(), r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00"
    assert len(re.findall(time, kept)) == 1
    assert re.sub(time, "", written) == re.sub(time, "", kept)


def test_plain_functions_in_a_loop_give_the_same_maps_as_the_workflow(real_run):
    from ctwml_bids.preprocessing.carried_mask import carry, without_bone
    from ctwml_bids.preprocessing.ct_brain import ct_mask
    from ctwml_bids.preprocessing.flair_brain import flair_mask
    from ctwml_bids.preprocessing.grids import grid_of, image_on
    from ctwml_bids.preprocessing.hounsfield import read_ct
    from ctwml_bids.preprocessing.images import read_flair
    from ctwml_bids.preprocessing.nine_parameters import nine_parameter
    from ctwml_bids.preprocessing.normalisation import (
        from_grid,
        network_grid,
        rounded,
        to_grid,
        white_matter_on_grid,
    )
    from ctwml_bids.preprocessing.registration import rigid
    from ctwml_bids.preprocessing.ventricles import ct_ventricles
    from ctwml_bids.preprocessing.ventricular_fluid import ventricular_fluid
    from ctwml_bids.segmentation import brain_network, ensemble
    from ctwml_bids.segmentation.inputs import network_channels

    ct_path = real_run.bids_dir / "sub-01/ct/sub-01_ct.nii.gz"
    ct = read_ct(ct_path).image
    flair = read_flair(real_run.bids_dir / "sub-01/anat/sub-01_FLAIR.nii.gz").image
    template_mask = nib.load(packaged().brain_mask)
    flair_brain = flair_mask(flair, brain_network.predictor(threads=1)).mask
    ct_brain = ct_mask(ct)
    flair_to_ct = rigid(
        flair, ct, fixed_mask=flair_brain, moving_mask=ct_brain.mask, seed=7, threads=1
    ).flair_to_ct
    template_to_ct = flair_to_ct @ nine_parameter(flair_brain, template_mask, seed=7)
    carried = carry(flair_brain, grid_of(ct), flair_to_ct)
    freed, _ = without_bone(carried, ct, ct_brain.facts["bone_threshold_hu"])
    mask = image_on(freed.astype(np.uint8), grid_of(ct))
    model = ensemble.load(real_run.output_dir.with_name("models") / "ct")
    grid = network_grid(template_mask, spacing=tuple(model.card.grid_spacing_mm))
    brain = to_grid(mask, template_to_ct, grid, fill=0.0) >= 0.5
    array = to_grid(ct, template_to_ct, grid, fill=-1000.0)
    channels = network_channels(array, brain, model.card.channels)
    guide = [nib.load(path) for path in (packaged().wm, packaged().ventricles)]
    white_matter = white_matter_on_grid(*guide, grid, template_to_ct, template_to_ct)
    ventricles = ct_ventricles(ct, mask, template_to_ct, guide[1])
    fluid = ventricular_fluid(array, ventricles, template_to_ct, grid, hounsfield=True)
    prediction = ensemble.predict(
        model, channels, white_matter=white_matter, fluid=fluid, device="cpu", threads=1
    )
    probability = from_grid(
        np.where(brain, prediction.probability, 0).astype(np.float32),
        grid,
        template_to_ct,
        grid_of(nib.load(ct_path)),
    )
    written = np.asarray(load(real_run, "space-CT_label-WML_desc-ct_probseg").dataobj)
    np.testing.assert_array_equal(rounded(probability), written)


def test_a_full_disk_is_told_and_leaves_nothing_half_written(real_run, tmp_path, monkeypatch):
    from ctwml_bids.errors import InputOutputError
    from ctwml_bids.unit import writing

    def full(source, target, **_):
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(shutil, "copyfile", full)
    source = real_run.output_dir / "sub-01.html"
    with pytest.raises(InputOutputError, match="full"):
        writing.copy_into(source, tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


# What the plain functions do again, to the CT's maps.
DONE_AGAIN = {
    *("read_ct", "read_flair", "brain_ct", "brain_flair", "normalise_flair"),
    *("register", "frame_ct", "ventricles_ct", "segment_ct"),
}


def test_the_same_run_again_gives_the_same_files(real_run, tmp_path):
    scratch = real_run.work_dir / SCRATCH / workflow_name("sub-01")
    steps = {path.name for path in scratch.iterdir() if path.is_dir()}
    assert steps > DONE_AGAIN
    for name in steps - DONE_AGAIN:
        shutil.rmtree(scratch / name)
    folders = (str(real_run.bids_dir), str(tmp_path / "again"), "participant")
    more = ("-w", str(real_run.work_dir), "--participant-label", "01", "--nprocs", "1")
    assert (
        main([*folders, *real_run.arguments[real_run.arguments.index("--random-seed") :], *more])
        == 0
    )
    first, again = real_run.output_dir / "sub-01/anat", tmp_path / "again/sub-01/anat"
    names = sorted(path.name for path in first.iterdir())
    assert names == sorted(path.name for path in again.iterdir())
    assert len([name for name in names if name.endswith(".nii.gz")]) == len(IMAGES)
    for name in names:
        if name.endswith(".nii.gz"):
            one, two = (nib.load(folder / name) for folder in (first, again))
            assert np.asarray(one.dataobj).tobytes() == np.asarray(two.dataobj).tobytes(), name
            assert one.affine.tobytes() == two.affine.tobytes(), name
        elif name.endswith((".tsv", ".txt")):
            assert (first / name).read_bytes() == (again / name).read_bytes(), name
