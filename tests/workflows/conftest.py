"""One real run of the program, shared by the tests that look at what it leaves behind.

The data set has a true pair, a pair of different heads, and one subject for each way in which an
image can be unusable; all in one run, as a user would have them.
"""

from __future__ import annotations

import gzip
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.bids.units import Unit
from ctwml_bids.cli.main import main
from ctwml_bids.segmentation import model_store
from ctwml_bids.templates import packaged
from ctwml_bids.unit.records import TemplateFiles
from ctwml_bids.unit.resources import Resources
from ctwml_bids.workflows.unit import init_unit_wf
from tests import quick_models
from tests.unit.facts import guide_files, run_facts


@dataclass(frozen=True)
class Run:
    """A data set, what the program made of it, and how it ended."""

    bids_dir: Path
    output_dir: Path
    work_dir: Path
    arguments: tuple[str, ...]
    code: int

    def status(self, label: str) -> dict:
        return json.loads((self.output_dir / "logs" / label / "status.json").read_text())


def _broken_images(good: Path) -> dict[str, bytes | nib.Nifti1Image]:
    """Make an unusable CT of each kind, by the label of its subject."""
    image = nib.load(good)
    array = np.asarray(image.dataobj).astype(np.float32)

    def like(data: np.ndarray) -> nib.Nifti1Image:
        return nib.Nifti1Image(data.astype(np.float32), image.affine)

    holes = array.copy()
    holes[10, 10, 3] = np.nan
    # nibabel mends a spacing of 0 when it writes, so it is put into the bytes: pixdim[3].
    flat, negative = (bytearray(like(array).to_bytes()) for _ in range(2))
    flat[88:92] = np.float32(0).tobytes()
    negative[88:92] = np.float32(-3).tobytes()
    lost = nib.Nifti1Image(array, None)
    lost.header.set_sform(None, 0)
    lost.header.set_qform(None, 0)
    return {
        "truncated": good.read_bytes()[:20_000],
        "nan": like(holes),
        "zerospacing": gzip.compress(flat, 1),
        "negativespacing": gzip.compress(negative, 1),
        "series": like(np.stack([array, array], axis=-1)),
        "zeros": like(np.zeros_like(array)),
        "tiny": like(array[:16, :16, :4]),
        "unoriented": lost,
        "scaled": like((array - array.min()) / np.ptp(array)),
    }


def _write(path: Path, image: bytes | nib.Nifti1Image) -> None:
    path.parent.mkdir(parents=True)
    if isinstance(image, bytes):
        path.write_bytes(image)
    else:
        path.write_bytes(gzip.compress(image.to_bytes(), 1))


@pytest.fixture(scope="session")
def broken_labels() -> tuple[str, ...]:
    spacings = ("zerospacing", "negativespacing")
    return ("truncated", "nan", *spacings, "series", "zeros", "tiny", "unoriented", "scaled")


@pytest.fixture(scope="session")
def real_run(tmp_path_factory, simulated, broken_labels) -> Run:
    """Take two simulated pairs, add what is broken, and run participant and group."""
    root = tmp_path_factory.mktemp("run")
    bids_dir = root / "bids"
    shutil.copytree(simulated, bids_dir)
    other = bids_dir / "sub-mixed"
    shutil.copytree(bids_dir / "sub-01", other)
    for path in sorted(other.rglob("sub-01*")):
        path.rename(path.with_name(path.name.replace("sub-01", "sub-mixed")))
    (other / "sub-mixed_scans.tsv").unlink()
    shutil.copy(bids_dir / "sub-02/anat/sub-02_FLAIR.nii.gz", other / "anat/sub-mixed_FLAIR.nii.gz")
    shutil.rmtree(bids_dir / "sub-02")
    good = bids_dir / "sub-01/ct/sub-01_ct.nii.gz"
    broken = _broken_images(good)
    assert tuple(broken) == broken_labels
    for label, image in broken.items():
        _write(bids_dir / f"sub-{label}/ct/sub-{label}_ct.nii.gz", image)
    badjson = bids_dir / "sub-badjson/ct/sub-badjson_ct.nii.gz"
    _write(badjson, good.read_bytes())
    badjson.with_name("sub-badjson_ct.json").write_text("{not json")
    arguments = (str(bids_dir), str(root / "out"), "participant", "group", "--nprocs", "2")
    arguments += ("-w", str(root / "work"), "--random-seed", "7", "--omp-nthreads", "1")
    arguments += ("--output-spaces", "MNI152NLin2009aSym", "--keep-work", "always")
    # FLAIR with the shipped model; CT with two of its ten networks, as their spread needs two.
    arguments += tuple(quick_models.options(root / "models", "ct", networks=2))
    code = main(arguments)
    return Run(bids_dir, root / "out", root / "work", arguments, code)


# Images that are alone; the FLAIR is alone in a session.
ALONE = {
    "ct": "sub-ct/ct/sub-ct_ct.nii.gz",
    "flair": "sub-flair/ses-a/anat/sub-flair_ses-a_FLAIR.nii.gz",
}


def _holes(image: Path) -> bytes:
    """Return a FLAIR of the same grid in which one voxel is NaN."""
    loaded = nib.load(image)
    array = np.asarray(loaded.dataobj).astype(np.float32)
    array[5, 5, 2] = np.nan
    return gzip.compress(nib.Nifti1Image(array, loaded.affine).to_bytes(), 1)


def _with_turned_qform(image: Path) -> nib.Nifti1Image:
    """Return an image whose qform is 20° off its sform: it is used, with a warning."""
    turned = nib.load(image)
    turn, angle = np.eye(4), np.deg2rad(20)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    turned.set_sform(turned.affine, 1)
    turned.set_qform(turn @ turned.affine, 1)
    return turned


@pytest.fixture(scope="session")
def alone_dir(tmp_path_factory, simulated) -> Path:
    """One simulated pair, as two units, and its CT with FLAIRs that are broken."""
    root = tmp_path_factory.mktemp("alone") / "bids"
    root.mkdir()
    shutil.copy(simulated / "dataset_description.json", root)
    pair = simulated / "sub-01"
    ct, flair = pair / "ct/sub-01_ct.nii.gz", pair / "anat/sub-01_FLAIR.nii.gz"
    broken = {"cut": flair.read_bytes()[:20_000], "holes": _holes(flair)}
    coarse = nib.load(ct).slicer[::2, ::2].to_bytes()
    for label in broken:
        (root / f"sub-{label}/ct").mkdir(parents=True)
        packed = gzip.compress(coarse, 1)
        (root / f"sub-{label}/ct/sub-{label}_ct.nii.gz").write_bytes(packed)
    (root / ALONE["ct"]).parent.mkdir(parents=True)
    shutil.copy(ct, root / ALONE["ct"])
    (root / ALONE["flair"]).parent.mkdir(parents=True)
    _with_turned_qform(flair).to_filename(root / ALONE["flair"])
    for label, image in broken.items():
        (root / f"sub-{label}/anat").mkdir(parents=True)
        (root / f"sub-{label}/anat/sub-{label}_FLAIR.nii.gz").write_bytes(image)
    return root


@pytest.fixture(scope="session")
def alone_run(alone_dir) -> Run:
    """A CT alone, whose model tells infarcts from WML, and a FLAIR alone, to the group."""
    root = alone_dir.parent
    arguments = (str(alone_dir), str(root / "out"), "participant", "group")
    arguments += ("-w", str(root / "work"), "--random-seed", "7", "--omp-nthreads", "1")
    arguments += ("--output-spaces", "MNI152NLin2009aSym", "--keep-work", "always")
    three = quick_models.three_classes(root / "models/three", "ct")
    arguments += (*quick_models.options(root / "models", "flair"), str(three))
    code = main([*arguments, "--participant-label", *ALONE])
    return Run(alone_dir, root / "out", root / "work", arguments, code)


@pytest.fixture
def graph(tmp_path):
    """A function that builds the graph of a unit, with everything that a run can have in it."""
    image = tmp_path / "image.nii"
    nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4)).to_filename(image)
    template, kinds = packaged(), ("ct", "flair")
    folders = {kind: model_store.default(kind) for kind in kinds}
    cards = {kind: model_store.load_card(folders[kind]) for kind in kinds}

    def build(
        label: str = "sub-01",
        *,
        ct: Path | None = image,
        flair: Path | None = image,
        megavoxels: dict[str, float] | None = None,
        deformable: bool = True,
        in_template: bool = True,
    ):
        run = run_facts(tmp_path, normalisation="syn" if deformable else "nine", cards=cards)
        resources = Resources(
            run=run,
            template=TemplateFiles(str(template.t1w), str(template.brain_mask)),
            guide=guide_files(),
            models=folders,
            in_template=in_template,
            threads=2,
            registration_threads=4,
        )
        subject, _, session = label.removeprefix("sub-").partition("_ses-")
        unit = Unit(subject, session or None, ct, flair)
        return init_unit_wf(unit=unit, megavoxels=megavoxels or {}, resources=resources)

    return build
