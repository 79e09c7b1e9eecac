"""Small files that inputs are made from: heads, models, results, and a training's folder."""

from __future__ import annotations

import functools
import gzip
import json
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np

from ctwml_bids.segmentation.model_card import ModelCard
from ctwml_bids.segmentation.model_store import write_model
from tests.preprocessing.head_phantom import head

DESCRIPTION = {"Name": "small", "BIDSVersion": "1.11.1"}
WORDS = ("-w", "{box}/work", "--device", "cpu", "--nprocs", "1", "--mem", "4G")
MODELS = ("--model", "{box}/models/ct", "{box}/models/flair")


@functools.cache
def heads() -> dict[str, bytes]:
    """Return small NIfTI files (not compressed) that the readers take: name → content."""
    image, _ = head(shape=(24, 28, 12), spacing=(8.0, 8.0, 14.0), noise=4.0)
    data = np.asarray(image.dataobj)
    ct = data.round().astype(np.int16)
    flair = np.clip(np.where(data > 500, 60, data + 200), 0, None).astype(np.int16)
    tilted = image.affine.copy()
    tilted[1, 2] += 3.0
    made = {
        "ct": nib.Nifti1Image(ct, image.affine),
        "flair": nib.Nifti1Image(flair, image.affine),
        "ct in float": nib.Nifti1Image(data, image.affine),
        "ct tilted": nib.Nifti1Image(ct, tilted),
        "ct in NIfTI-2": nib.Nifti2Image(ct, image.affine),
        "ct with slope": _with_slope(ct, image.affine),
        "ct with an extension": _with_extension(ct, image.affine),
    }
    return {name: _coded(image).to_bytes() for name, image in made.items()}


def _coded(image: nib.Nifti1Image) -> nib.Nifti1Image:
    image.set_sform(image.affine, 1)
    image.set_qform(image.affine, 1, strip_shears=True)
    image.header.set_xyzt_units("mm")
    return image


def _with_slope(data: np.ndarray, affine: np.ndarray) -> nib.Nifti1Image:
    image = nib.Nifti1Image((data + 1024).astype(np.uint16), affine)
    image.header.set_slope_inter(1, -1024)
    return image


def _with_extension(data: np.ndarray, affine: np.ndarray) -> nib.Nifti1Image:
    image = nib.Nifti1Image(data, affine)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"fuzz" * 8))
    return image


@functools.cache
def models() -> dict[str, bytes]:
    """Return the files of a CT and a FLAIR model with one small network each."""
    with tempfile.TemporaryDirectory() as folder:
        for modality in ("ct", "flair"):
            card = ModelCard(
                name=f"{modality}-test",
                modality=modality,
                version="1",
                network={"variant": "standard", "in_channels": 1, "classes": 2},
                channels=("zscore",),
                threshold=0.3,
                members=(),
                license="CC0",
            )
            weights = {"weight": np.ones((2, 2), np.float32)}
            write_model(Path(folder, modality), card, [weights])
        return read_box(Path(folder), "models")


@functools.cache
def dataset() -> dict[str, bytes]:
    """Return a data set with a pair and a CT alone."""
    ct, flair = (gzip.compress(heads()[kind], mtime=0) for kind in ("ct", "flair"))
    return {
        "bids/dataset_description.json": json.dumps(DESCRIPTION).encode(),
        "bids/sub-01/ct/sub-01_ct.nii.gz": ct,
        "bids/sub-01/anat/sub-01_FLAIR.nii.gz": flair,
        "bids/sub-02/ct/sub-02_ct.nii.gz": ct,
    }


@functools.cache
def results(*, pair: bool = False) -> dict[str, bytes]:
    """Return an output folder with the small results of three units, as group reads them.

    With a pair there are figures, which take a second.
    """
    from tests.group.cohorts import add_unit

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        for number, (ct, flair) in enumerate(
            ((2.0, 1.0 if pair else None), (4.0, None), (13.0, None)), 1
        ):
            origin = {"ct": {"scanner": "A b", "slice_thickness_mm": 5.0, "days_apart": 3.0}}
            add_unit(out, f"{number:02d}", ct, flair, acquisition=origin)
        (out / "dataset_description.json").write_text(
            json.dumps({**DESCRIPTION, "GeneratedBy": [{"Name": "ctwml_bids"}]})
        )
        return read_box(out, "out")


@functools.cache
def trainable() -> dict[str, bytes]:
    """Return a data set with results that networks can be trained on."""
    from tests.training.trainable import HEADS, make

    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), HEADS[:2])
        return read_box(Path(folder), "")


def read_box(folder: Path, under: str) -> dict[str, bytes]:
    """Read all files of a folder: path below `under` → content."""
    return {
        f"{under}/{path.relative_to(folder).as_posix()}".lstrip("/"): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
