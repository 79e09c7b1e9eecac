"""Nipype wrappers of the segmentation: to the network's grid, through the ensemble, and back."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    isdefined,
    traits,
)

from ctwml_bids.interfaces.base import (
    load_facts,
    load_image,
    load_mask,
    node_file,
    save_facts,
    save_image,
)


class _SegmentInput(BaseInterfaceInputSpec):
    in_file = File(exists=True, mandatory=True)
    mask = File(exists=True, mandatory=True, desc="brain mask; lesions are marked in it")
    whole = File(exists=True, mandatory=True, desc="the same with lost slices; the networks see it")
    template_to_native = File(exists=True, mandatory=True)
    template_mask = File(exists=True, mandatory=True)
    guide_to_native = File(exists=True, mandatory=True)
    guide_wm = File(exists=True, mandatory=True, desc="in the guide's space, as the next")
    guide_ventricles = File(exists=True, mandatory=True)
    ventricles = File(exists=True, mandatory=True, desc="found on the image, on its grid")
    model = traits.Directory(exists=True, mandatory=True)
    # Nipype hashes a folder by its name alone: other weights in it would go unnoticed.
    checksum = traits.Str(mandatory=True, desc="of the model: weights and how they are used")
    threshold = traits.Float(desc="in place of the one of the model's card")
    modality = traits.Enum("ct", "flair", mandatory=True)
    use_gpu = traits.Bool(False, usedefault=True, nohash=True)
    threads = traits.Int(1, usedefault=True, nohash=True)


class _SegmentOutput(TraitedSpec):
    probability = File(exists=True, desc="mean over the ensemble, network grid")
    disagreement = File(exists=True, desc="SD over the ensemble, network grid")
    facts = File(
        exists=True,
        desc="device, number format of the convolutions, and mL left out: islands outside white "
        "matter, and fluid of the ventricles",
    )


class SegmentLesions(SimpleInterface):
    """Lesion probability and disagreement on the network's grid (`ensemble.predict`)."""

    input_spec = _SegmentInput
    output_spec = _SegmentOutput

    def _run_interface(self, runtime):
        from ctwml_bids.preprocessing.normalisation import (
            network_grid,
            to_grid,
            white_matter_on_grid,
        )
        from ctwml_bids.preprocessing.ventricular_fluid import ventricular_fluid
        from ctwml_bids.segmentation import ensemble
        from ctwml_bids.segmentation.inputs import network_channels

        model = ensemble.load(self.inputs.model)
        if isdefined(self.inputs.threshold):
            card = replace(model.card, threshold=self.inputs.threshold)
            model = replace(model, card=card)
        grid = network_grid(
            load_mask(self.inputs.template_mask), spacing=tuple(model.card.grid_spacing_mm)
        )
        transform = np.loadtxt(self.inputs.template_to_native)
        image = load_image(self.inputs.in_file)
        fill = -1000.0 if self.inputs.modality == "ct" else 0.0
        array = to_grid(image, transform, grid, fill=fill)

        def on_grid(path: str) -> np.ndarray:
            return to_grid(load_mask(path), transform, grid, fill=0.0) >= 0.5

        whole = on_grid(self.inputs.whole)
        mask = whole if self.inputs.mask == self.inputs.whole else on_grid(self.inputs.mask)
        white_matter = white_matter_on_grid(
            load_image(self.inputs.guide_wm),
            load_mask(self.inputs.guide_ventricles),
            grid,
            transform,
            np.loadtxt(self.inputs.guide_to_native),
        )
        fluid = ventricular_fluid(
            array,
            load_mask(self.inputs.ventricles),
            transform,
            grid,
            hounsfield=self.inputs.modality == "ct",
        )
        device = "cuda" if self.inputs.use_gpu else "cpu"
        prediction = ensemble.predict(
            model,
            network_channels(array, whole, model.card.channels),
            white_matter=white_matter,
            fluid=fluid,
            device=device,
            threads=self.inputs.threads,
        )
        voxel_ml = grid.voxel_ml * float(abs(np.linalg.det(transform[:3, :3])))

        def left_out_ml(probability: np.ndarray) -> float:
            marked = mask & (probability > model.card.threshold)
            return round(np.count_nonzero(marked) * voxel_ml, 3)

        has_islands = model.card.island_share is not None
        facts = {
            "device": device,
            "precision": prediction.precision,
            "islands_ml": left_out_ml(prediction.islands) if has_islands else None,
            "fluid_ml": left_out_ml(prediction.fluid),
        }
        self._results["facts"] = save_facts(facts, node_file(runtime.cwd, "facts.json"))
        for name in ("probability", "disagreement"):
            self._results[name] = save_image(
                np.where(mask, getattr(prediction, name), 0).astype(np.float32),
                grid,
                node_file(runtime.cwd, f"{name}.nii"),
            )
        return runtime


class _ToNativeInput(BaseInterfaceInputSpec):
    probability = File(exists=True, mandatory=True)
    disagreement = File(exists=True, mandatory=True)
    template_to_native = File(exists=True, mandatory=True)
    native = File(exists=True, mandatory=True, desc="image whose exact grid is wanted")
    native_to_seen = File(exists=True, desc="4×4: native space → space of the image that was seen")
    threshold = traits.Float(mandatory=True)


class _ToNativeOutput(TraitedSpec):
    probability = File(exists=True)
    disagreement = File(exists=True)
    mask = File(exists=True)


class ToNative(SimpleInterface):
    """Maps from the network's grid onto an input image's exact grid, in one interpolation."""

    input_spec = _ToNativeInput
    output_spec = _ToNativeOutput

    def _run_interface(self, runtime):
        from ctwml_bids.preprocessing.grids import grid_of
        from ctwml_bids.preprocessing.normalisation import from_grid, rounded

        native = grid_of(nib.load(self.inputs.native))
        transform = np.loadtxt(self.inputs.template_to_native)
        if self.inputs.native_to_seen:
            transform = np.linalg.inv(np.loadtxt(self.inputs.native_to_seen)) @ transform
        arrays = {}
        for name in ("probability", "disagreement"):
            source = load_image(getattr(self.inputs, name))
            array = from_grid(np.asarray(source.dataobj), grid_of(source), transform, native)
            arrays[name] = rounded(array)
        arrays["mask"] = (arrays["probability"] > self.inputs.threshold).astype(np.uint8)
        for name, array in arrays.items():
            self._results[name] = save_image(array, native, node_file(runtime.cwd, f"{name}.nii"))
        return runtime


class _ToTemplateInput(BaseInterfaceInputSpec):
    probability = File(exists=True, mandatory=True, desc="on the network's grid")
    template_t1w = File(exists=True, mandatory=True, desc="image whose grid is wanted")
    forward = File(exists=True, desc="displacement field; without it, the nine-parameter frame")
    inverse = File(exists=True)
    frame_facts = File(exists=True, desc="of a pair's CT: whose brain mask framed it")
    threshold = traits.Float(mandatory=True)


class _ToTemplateOutput(TraitedSpec):
    probability = File(exists=True)
    mask = File(exists=True)


class ToTemplate(SimpleInterface):
    """Lesion probability on the template's own grid, for maps over many heads."""

    input_spec = _ToTemplateInput
    output_spec = _ToTemplateOutput

    def _run_interface(self, runtime):
        from ctwml_bids.preprocessing.grids import grid_of, resample
        from ctwml_bids.preprocessing.normalisation import rounded

        source = load_image(self.inputs.probability)
        grid = grid_of(nib.load(self.inputs.template_t1w))
        # The field of a pair is its FLAIR's; a CT framed by its own mask lies elsewhere.
        facts = load_facts(self.inputs.frame_facts) if self.inputs.frame_facts else {}
        if self.inputs.forward and facts.get("mask_from") != "CT":
            # It imports ANTs, which takes seconds.
            from ctwml_bids.preprocessing.deformable import Deformation, warp_to_template

            fields = Deformation(nib.load(self.inputs.forward), nib.load(self.inputs.inverse))
            # The network's grid lies in the frame that the field leads to.
            array = warp_to_template(source, np.eye(4), fields, grid)
        else:
            array = resample(np.asarray(source.dataobj), source.affine, grid)
        array = rounded(array)
        mask = (array > self.inputs.threshold).astype(np.uint8)
        for name, values in (("probability", array), ("mask", mask)):
            self._results[name] = save_image(values, grid, node_file(runtime.cwd, f"{name}.nii"))
        return runtime
