"""Nipype wrappers of what is done to one image: read it, find its brain and its ventricles.

The functions are imported when a node runs: the parent process must not load ITK or torch,
whose threads do not survive in workers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    traits,
)

from ctwml_bids.unit.work_files import (
    load_facts,
    load_image,
    load_mask,
    node_file,
    save_facts,
    save_image,
    save_masks,
)


class _ReadInput(BaseInterfaceInputSpec):
    in_file = File(exists=True, mandatory=True, desc="image of the data set")
    modality = traits.Enum("ct", "flair", mandatory=True)
    sidecar = traits.Dict(desc="the image's BIDS metadata")


class _ReadOutput(TraitedSpec):
    out_file = File(exists=True, desc="float32, closest to RAS, orthonormal; CT in HU")
    facts = File(exists=True, desc="JSON: warnings and facts")


class ReadImage(SimpleInterface):
    """Read and check a CT or FLAIR (`read_ct`, `read_flair`)."""

    input_spec = _ReadInput
    output_spec = _ReadOutput

    def _run_interface(self, runtime):
        from ctwml_bids.preprocessing.grids import grid_of
        from ctwml_bids.preprocessing.hounsfield import read_ct
        from ctwml_bids.preprocessing.images import read_flair

        path = self.inputs.in_file
        read = read_ct if self.inputs.modality == "ct" else read_flair
        loaded = read(path, dict(self.inputs.sidecar or {}))
        self._results["out_file"] = save_image(
            np.asarray(loaded.image.dataobj, dtype=np.float32),
            grid_of(loaded.image),
            node_file(runtime.cwd, f"{self.inputs.modality}.nii"),
        )
        self._results["facts"] = save_facts(
            {"warnings": [_without_folder(text, path) for text in loaded.warnings], **loaded.facts},
            node_file(runtime.cwd, "facts.json"),
        )
        return runtime


def _without_folder(text: str, path: str) -> str:
    """Name a file without its folder: results are passed on, and folders tell of their owner."""
    return text.replace(str(path), Path(path).name)


class _BrainMaskInput(BaseInterfaceInputSpec):
    in_file = File(exists=True, mandatory=True)
    image_facts = File(exists=True, mandatory=True, desc="JSON of `ReadImage`")
    modality = traits.Enum("ct", "flair", mandatory=True)
    threads = traits.Int(1, usedefault=True, nohash=True)


class _BrainMaskOutput(TraitedSpec):
    mask = File(exists=True, desc="where things are measured: without what no slice shows")
    whole = File(exists=True, desc="where steps look, lost slices filled in; `mask` if none is")
    facts = File(exists=True)


class ExtractBrain(SimpleInterface):
    """Brain mask of a CT or FLAIR (`ct_mask`, `flair_mask`), whole and without lost slices."""

    input_spec = _BrainMaskInput
    output_spec = _BrainMaskOutput

    def _run_interface(self, runtime):
        from ctwml_bids.preprocessing.ct_brain import ct_mask
        from ctwml_bids.preprocessing.empty_slices import only_seen
        from ctwml_bids.preprocessing.flair_brain import flair_mask
        from ctwml_bids.preprocessing.grids import grid_of
        from ctwml_bids.preprocessing.upright import way_up

        image = load_image(self.inputs.in_file)
        if self.inputs.modality == "ct":
            result = ct_mask(image)
        else:
            from ctwml_bids.segmentation import brain_network

            result = flair_mask(image, brain_network.predictor(threads=self.inputs.threads))
        grid = grid_of(image)
        empty = load_facts(self.inputs.image_facts)["empty_slices"]
        found = np.asarray(result.mask.dataobj).astype(np.uint8)
        seen = only_seen(found, empty)
        save_masks(self._results, found, seen, grid, runtime.cwd)
        brain_ml, unseen = (
            round(float(np.count_nonzero(mask)) * grid.voxel_ml, 1) for mask in (seen, found - seen)
        )
        facts = {**result.facts, "brain_ml": brain_ml, "way_up": way_up(result.mask)}
        if empty is not None:
            facts["empty_slices"] = {**empty, "unseen_ml": unseen}
        if facts.get("method") == "network":
            facts["network"] = brain_network.identity()
        self._results["facts"] = save_facts(facts, node_file(runtime.cwd, "facts.json"))
        return runtime


class _ContrastInput(BaseInterfaceInputSpec):
    in_file = File(exists=True, mandatory=True)
    mask = File(exists=True, mandatory=True)
    guide_to_native = File(exists=True, mandatory=True)
    guide_gm = File(exists=True, mandatory=True, desc="in the guide's space, as the next two")
    guide_wm = File(exists=True, mandatory=True)
    guide_ventricles = File(exists=True, mandatory=True)
    lesions = File(exists=True, desc="mask of the lesions found, on any grid of the image's space")


class _ContrastOutput(TraitedSpec):
    facts = File(exists=True, desc="JSON of `flair_contrast`")


class MeasureContrast(SimpleInterface):
    """How bright tissues are beside each other, lesions left out (`flair_contrast`)."""

    input_spec = _ContrastInput
    output_spec = _ContrastOutput

    def _run_interface(self, runtime):
        from ctwml_bids.preprocessing.flair_contrast import flair_contrast

        facts = flair_contrast(
            load_image(self.inputs.in_file),
            load_mask(self.inputs.mask),
            np.loadtxt(self.inputs.guide_to_native),
            {
                "gm": load_image(self.inputs.guide_gm),
                "wm": load_image(self.inputs.guide_wm),
                "ventricles": load_image(self.inputs.guide_ventricles),
            },
            load_image(self.inputs.lesions) if self.inputs.lesions else None,
        )
        self._results["facts"] = save_facts(facts, node_file(runtime.cwd, "facts.json"))
        return runtime


class _VentriclesInput(BaseInterfaceInputSpec):
    in_file = File(exists=True, mandatory=True)
    mask = File(exists=True, mandatory=True)
    guide_to_native = File(exists=True, mandatory=True)
    guide_ventricles = File(exists=True, mandatory=True, desc="in the guide's space")
    modality = traits.Enum("ct", "flair", mandatory=True)


class _VentriclesOutput(TraitedSpec):
    ventricles = File(exists=True)


class FindVentricles(SimpleInterface):
    """Lateral ventricles on the image itself (`ct_ventricles`, `flair_ventricles`)."""

    input_spec = _VentriclesInput
    output_spec = _VentriclesOutput

    def _run_interface(self, runtime):
        from ctwml_bids.preprocessing.flair_ventricles import flair_ventricles
        from ctwml_bids.preprocessing.grids import grid_of
        from ctwml_bids.preprocessing.ventricles import ct_ventricles

        find = ct_ventricles if self.inputs.modality == "ct" else flair_ventricles
        image = load_image(self.inputs.in_file)
        ventricles = find(
            image,
            load_mask(self.inputs.mask),
            np.loadtxt(self.inputs.guide_to_native),
            load_mask(self.inputs.guide_ventricles),
        )
        self._results["ventricles"] = save_image(
            np.asarray(ventricles.dataobj).astype(np.uint8),
            grid_of(image),
            node_file(runtime.cwd, "ventricles.nii"),
        )
        return runtime
