"""Nipype wrappers of what is done to one image: read it, find its brain and its ventricles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from nipype.interfaces.base import BaseInterfaceInputSpec, File, TraitedSpec, traits

from ctwml_bids.interfaces.step import Record, Step
from ctwml_bids.unit.records import Brain, Guide, Head, Maps, Read
from ctwml_bids.unit.work_files import (
    load_facts,
    load_image,
    load_mask,
    node_file,
    save_brain,
    save_facts,
    save_image,
)


class _ReadInput(BaseInterfaceInputSpec):
    in_file = File(exists=True, mandatory=True, desc="image of the data set")
    modality = traits.Enum("ct", "flair", mandatory=True)
    sidecar = traits.Dict(desc="the image's BIDS metadata")


class _ReadOutput(TraitedSpec):
    found = Record(Read)


class ReadImage(Step):
    """Read and check a CT or FLAIR (`read_ct`, `read_flair`)."""

    input_spec = _ReadInput
    output_spec = _ReadOutput

    def _make(self, folder: str) -> Read:
        from ctwml_bids.preprocessing.grids import grid_of
        from ctwml_bids.unit.modalities import FUNCTIONS

        path = self.inputs.in_file
        read = FUNCTIONS[self.inputs.modality].read
        loaded = read(path, dict(self.inputs.sidecar or {}))
        warnings = [_without_folder(text, path) for text in loaded.warnings]
        return Read(
            raw=path,
            image=save_image(
                np.asarray(loaded.image.dataobj, dtype=np.float32),
                grid_of(loaded.image),
                node_file(folder, f"{self.inputs.modality}.nii"),
            ),
            facts=save_facts(
                {"warnings": warnings, **loaded.facts}, node_file(folder, "facts.json")
            ),
        )


def _without_folder(text: str, path: str) -> str:
    """Name a file without its folder: results are passed on, and folders tell of their owner."""
    return text.replace(str(path), Path(path).name)


class _BrainMaskInput(BaseInterfaceInputSpec):
    read = Record(Read, mandatory=True)
    modality = traits.Enum("ct", "flair", mandatory=True)
    threads = traits.Int(1, usedefault=True, nohash=True)


class _BrainMaskOutput(TraitedSpec):
    found = Record(Brain)


class ExtractBrain(Step):
    """Brain mask of a CT or FLAIR (`ct_mask`, `flair_mask`), whole and without lost slices."""

    input_spec = _BrainMaskInput
    output_spec = _BrainMaskOutput

    def _make(self, folder: str) -> Brain:
        from ctwml_bids.preprocessing.empty_slices import only_seen
        from ctwml_bids.preprocessing.grids import grid_of
        from ctwml_bids.preprocessing.upright import way_up
        from ctwml_bids.unit.modalities import FUNCTIONS

        read: Read = self.inputs.read
        image = load_image(read.image)
        result = FUNCTIONS[self.inputs.modality].find_brain(image, self.inputs.threads)
        grid = grid_of(image)
        empty = load_facts(read.facts)["empty_slices"]
        found = np.asarray(result.mask.dataobj).astype(np.uint8)
        seen = only_seen(found, empty)
        brain_ml, unseen = (
            round(float(np.count_nonzero(mask)) * grid.voxel_ml, 1) for mask in (seen, found - seen)
        )
        facts = {**result.facts, "brain_ml": brain_ml, "way_up": way_up(result.mask)}
        if empty is not None:
            facts["empty_slices"] = {**empty, "unseen_ml": unseen}
        if facts.get("method") == "network":
            from ctwml_bids.segmentation import brain_network

            facts["network"] = brain_network.identity()
        return save_brain(found, seen, facts, grid, folder)


class _ContrastInput(BaseInterfaceInputSpec):
    head = Record(Head, mandatory=True)
    guide = Record(Guide, mandatory=True)
    lesions = Record(Maps, mandatory=True, desc="lesions found, on any grid of the image's space")


class _ContrastOutput(TraitedSpec):
    found = File(exists=True, desc="JSON of `flair_contrast`")


class MeasureContrast(Step):
    """How bright tissues are beside each other, lesions left out (`flair_contrast`)."""

    input_spec = _ContrastInput
    output_spec = _ContrastOutput

    def _make(self, folder: str) -> str:
        from ctwml_bids.preprocessing.flair_contrast import flair_contrast

        head: Head = self.inputs.head
        guide: Guide = self.inputs.guide
        lesions: Maps = self.inputs.lesions
        facts = flair_contrast(
            load_image(head.read.image),
            load_mask(head.brain.mask),
            np.loadtxt(head.guide_to_native),
            {
                "gm": load_image(guide.gm),
                "wm": load_image(guide.wm),
                "ventricles": load_image(guide.ventricles),
            },
            load_image(lesions.mask),
        )
        return save_facts(facts, node_file(folder, "facts.json"))


class _VentriclesInput(BaseInterfaceInputSpec):
    head = Record(Head, mandatory=True)
    guide = Record(Guide, mandatory=True)
    modality = traits.Enum("ct", "flair", mandatory=True)


class _VentriclesOutput(TraitedSpec):
    found = File(exists=True, desc="mask on the image's grid")


class FindVentricles(Step):
    """Lateral ventricles on the image itself (`ct_ventricles`, `flair_ventricles`)."""

    input_spec = _VentriclesInput
    output_spec = _VentriclesOutput

    def _make(self, folder: str) -> str:
        from ctwml_bids.preprocessing.grids import grid_of
        from ctwml_bids.unit.modalities import FUNCTIONS

        find = FUNCTIONS[self.inputs.modality].find_ventricles
        head: Head = self.inputs.head
        guide: Guide = self.inputs.guide
        image = load_image(head.read.image)
        ventricles = find(
            image,
            load_mask(head.brain.whole),
            np.loadtxt(head.guide_to_native),
            load_mask(guide.ventricles),
        )
        return save_image(
            np.asarray(ventricles.dataobj).astype(np.uint8),
            grid_of(image),
            node_file(folder, "ventricles.nii"),
        )
