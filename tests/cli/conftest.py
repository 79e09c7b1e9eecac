"""A small data set and two small models, as files, for the tests of the command line."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.bids.units import Unit
from ctwml_bids.run import nipype_setup
from ctwml_bids.run.preflight import Ready, choose_models
from ctwml_bids.segmentation.model_card import ModelCard
from ctwml_bids.segmentation.model_store import write_model
from ctwml_bids.settings import Settings
from tests.bids.planned import plan


def write_image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.Nifti1Image(np.ones((4, 4, 4), np.int16), np.eye(4)).to_filename(path)
    return path


@pytest.fixture
def dataset(tmp_path) -> Path:
    """BIDS: sub-01 with CT and FLAIR, sub-02 with CT alone, sub-03 with a T1w alone."""
    root = tmp_path / "bids"
    write_image(root / "sub-01/ct/sub-01_ct.nii.gz")
    write_image(root / "sub-01/anat/sub-01_FLAIR.nii.gz")
    write_image(root / "sub-02/ct/sub-02_ct.nii.gz")
    write_image(root / "sub-03/anat/sub-03_T1w.nii.gz")
    description = {"Name": "small", "BIDSVersion": "1.11.1"}
    (root / "dataset_description.json").write_text(json.dumps(description))
    return root


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> list[Path]:
    """Folders of a CT and a FLAIR model, each of one network with one array."""
    folders = []
    for modality in ("ct", "flair"):
        folder = tmp_path_factory.mktemp("models") / modality
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
        write_model(folder, card, [{"weight": np.ones((2, 2), np.float32)}])
        folders.append(folder)
    return folders


@pytest.fixture
def ready(dataset, models, tmp_path) -> Ready:
    """A run of the small data set that may start."""
    settings = Settings(
        bids_dir=dataset,
        output_dir=tmp_path / "out",
        analysis_levels=("participant",),
        work_dir=tmp_path / "work",
        nprocs=2,
        mem_gb=4,
        models=tuple(models),
    )
    settings, cards = choose_models(settings)
    return Ready(settings, cards=cards)


@pytest.fixture
def units(dataset) -> list[Unit]:
    """sub-01 and sub-02."""
    return [item for item in plan(dataset) if isinstance(item, Unit)]


@pytest.fixture
def light_workers(monkeypatch) -> None:
    """For steps that need neither ANTs nor torch, which take seconds to import."""
    monkeypatch.setattr(nipype_setup, "PRELOAD", ("nipype.pipeline.engine",))
