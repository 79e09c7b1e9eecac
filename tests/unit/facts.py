"""What a test states of a run where nothing of it matters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ctwml_bids.segmentation.model_card import Member, ModelCard
from ctwml_bids.templates import packaged
from ctwml_bids.unit.records import Guide, RunFacts


def card(modality: str, **fields: Any) -> ModelCard:
    """Make the card of a model of one network."""
    given = {
        "name": "toy",
        "modality": modality,
        "version": "1",
        "network": {},
        "channels": ("zscore",),
        "threshold": 0.5,
        "members": (Member("member-00.safetensors", "1" * 64),),
        "license": "CC0",
    }
    return ModelCard(**{**given, **fields})


def run_facts(folder: Path, **fields: Any) -> RunFacts:
    """State a run with the packaged template, and input and output in a folder."""
    given = {
        "bids_dir": folder / "bids",
        "output_dir": folder / "out",
        "template": packaged(),
        "normalisation": "nine",
        "model_label": "",
        "seed": 3,
        "device": "cpu",
        "versions": {},
        "hashes": {},
        "cards": {name: card(name) for name in ("ct", "flair")},
    }
    return RunFacts(**{**given, **fields})


def guide_files(**files: str) -> Guide:
    """Name the files of the packaged template, or others for some of them."""
    found = packaged()
    paths = (found.brain_mask, found.gm, found.wm, found.ventricles)
    return Guide(*map(str, paths))._replace(**files)
