"""Nipype wrappers of the segmentation: to the network's grid, through the ensemble, and back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    TraitedSpec,
    isdefined,
    traits,
)

from ctwml_bids.image_files import load_nifti
from ctwml_bids.interfaces.step import Record, Step
from ctwml_bids.modality import MODALITIES
from ctwml_bids.segmentation.model_card import ModelCard
from ctwml_bids.unit.records import (
    Fields,
    Guide,
    Head,
    InfarctMaps,
    InfarctNetwork,
    InfarctTemplateMaps,
    Maps,
    Network,
    Registration,
    TemplateFiles,
    TemplateMaps,
)
from ctwml_bids.unit.work_files import (
    load_facts,
    load_image,
    load_mask,
    node_file,
    save_facts,
    save_image,
)


class _SegmentInput(BaseInterfaceInputSpec):
    head = Record(Head, mandatory=True)
    ventricles = File(exists=True, mandatory=True, desc="found on the image, on its grid")
    template = Record(TemplateFiles, mandatory=True)
    guide = Record(Guide, mandatory=True)
    model = traits.Directory(exists=True, mandatory=True)
    # Nipype hashes a folder by its name alone: other weights in it would go unnoticed but for the
    # checksums in the card.
    card = traits.Instance(ModelCard, mandatory=True, desc="with the threshold that is used")
    modality = traits.Enum("ct", "flair", mandatory=True)
    use_gpu = traits.Bool(False, usedefault=True, nohash=True)
    threads = traits.Int(1, usedefault=True, nohash=True)


class _SegmentOutput(TraitedSpec):
    found = Record(Network)


class SegmentLesions(Step):
    """Probability and disagreement of lesions on the network's grid (`ensemble.predict`)."""

    input_spec = _SegmentInput
    output_spec = _SegmentOutput

    def _make(self, folder: str) -> Network:
        from ctwml_bids.preprocessing.normalisation import (
            network_grid,
            to_grid,
            white_matter_on_grid,
        )
        from ctwml_bids.preprocessing.ventricular_fluid import ventricular_fluid
        from ctwml_bids.segmentation import ensemble
        from ctwml_bids.segmentation.inputs import network_channels

        head: Head = self.inputs.head
        card: ModelCard = self.inputs.card
        template: TemplateFiles = self.inputs.template
        guide: Guide = self.inputs.guide
        model = replace(ensemble.load(self.inputs.model), card=card)
        grid = network_grid(load_mask(template.brain_mask), spacing=card.grid_spacing_mm)
        transform = np.loadtxt(head.template_to_native)
        image = load_image(head.read.image)
        modality = MODALITIES[self.inputs.modality]
        array = to_grid(image, transform, grid, fill=modality.fill)

        def on_grid(path: str) -> np.ndarray:
            return to_grid(load_mask(path), transform, grid, fill=0.0) >= 0.5

        whole = on_grid(head.brain.whole)
        mask = whole if head.brain.mask == head.brain.whole else on_grid(head.brain.mask)
        white_matter = white_matter_on_grid(
            load_image(guide.wm),
            load_mask(guide.ventricles),
            grid,
            transform,
            np.loadtxt(head.guide_to_native),
        )
        fluid = ventricular_fluid(
            array,
            load_mask(self.inputs.ventricles),
            transform,
            grid,
            hounsfield=modality.is_hounsfield,
        )
        device = "cuda" if self.inputs.use_gpu else "cpu"
        prediction = ensemble.predict(
            model,
            network_channels(array, whole, card.channels),
            white_matter=white_matter,
            fluid=fluid,
            device=device,
            threads=self.inputs.threads,
        )
        voxel_ml = grid.voxel_ml * float(abs(np.linalg.det(transform[:3, :3])))

        def left_out_ml(probability: np.ndarray, threshold: float = card.threshold) -> float:
            marked = mask & (probability > threshold)
            return round(np.count_nonzero(marked) * voxel_ml, 3)

        has_islands, infarct_fluid_ml, infarct_small_ml = card.island_share is not None, None, None
        if prediction.infarct is not None and card.infarct_threshold is not None:
            infarct_fluid_ml = left_out_ml(prediction.infarct.fluid, card.infarct_threshold)
            if card.infarct_least_ml is not None:
                infarct_small_ml = left_out_ml(prediction.infarct.small, card.infarct_threshold)
        facts = {
            "device": device,
            "precision": prediction.precision,
            "islands_ml": left_out_ml(prediction.islands) if has_islands else None,
            "fluid_ml": left_out_ml(prediction.fluid),
            "infarct_fluid_ml": infarct_fluid_ml,
            "infarct_small_ml": infarct_small_ml,
        }

        def save(array: np.ndarray, name: str) -> str:
            inside = np.where(mask, array, 0).astype(np.float32)
            return save_image(inside, grid, node_file(folder, name))

        infarct = None
        if (of_infarcts := prediction.infarct) is not None:
            infarct = InfarctNetwork(
                probability=save(of_infarcts.probability, "infarct_probability.nii"),
                disagreement=save(of_infarcts.disagreement, "infarct_disagreement.nii"),
            )
        return Network(
            probability=save(prediction.probability, "probability.nii"),
            disagreement=save(prediction.disagreement, "disagreement.nii"),
            template_to_native=head.template_to_native,
            facts=save_facts(facts, node_file(folder, "facts.json")),
            infarct=infarct,
        )


class _ToNativeInput(BaseInterfaceInputSpec):
    network = Record(Network, mandatory=True)
    native = File(exists=True, mandatory=True, desc="image whose exact grid is wanted")
    registration = Record(Registration, desc="where that is not the image that was seen")
    seen = traits.Enum("ct", "flair", mandatory=True, desc="image that was seen")
    threshold = traits.Float(mandatory=True)
    infarct_threshold = traits.Float(desc="where infarcts are a class of the model")


class _ToNativeOutput(TraitedSpec):
    found = Record(Maps)


class ToNative(Step):
    """Maps from the network's grid onto an input image's exact grid, in one interpolation."""

    input_spec = _ToNativeInput
    output_spec = _ToNativeOutput

    def _make(self, folder: str) -> Maps:
        from ctwml_bids.preprocessing.grids import grid_of
        from ctwml_bids.preprocessing.normalisation import from_grid, rounded

        network: Network = self.inputs.network
        native = grid_of(load_nifti(self.inputs.native))
        transform = np.loadtxt(network.template_to_native)
        if isdefined(self.inputs.registration):
            way: Registration = self.inputs.registration
            # What is needed leads from the native space to that of the image that was seen.
            to_seen = way.flair_to_ct if self.inputs.seen == "ct" else way.ct_to_flair
            transform = np.linalg.inv(np.loadtxt(to_seen)) @ transform

        def on_native(path: str) -> np.ndarray:
            source = load_image(path)
            array = from_grid(np.asarray(source.dataobj), grid_of(source), transform, native)
            return rounded(array)

        def save(array: np.ndarray, name: str) -> str:
            return save_image(array, native, node_file(folder, name))

        # Written at once: of a large CT each map takes hundreds of MB.
        disagreement = save(on_native(network.disagreement), "disagreement.nii")
        probability, of_infarcts, infarct = on_native(network.probability), None, None
        if network.infarct is not None:
            of_infarcts = on_native(network.infarct.probability)
        wml_mask, infarct_mask = _masks(self.inputs, probability, of_infarcts)
        if network.infarct is not None and of_infarcts is not None and infarct_mask is not None:
            infarct = InfarctMaps(
                mask=save(infarct_mask, "infarct_mask.nii"),
                probability=save(of_infarcts, "infarct_probability.nii"),
                disagreement=save(
                    on_native(network.infarct.disagreement), "infarct_disagreement.nii"
                ),
            )
        return Maps(
            mask=save(wml_mask, "mask.nii"),
            probability=save(probability, "probability.nii"),
            disagreement=disagreement,
            infarct=infarct,
        )


def _masks(
    inputs: _ToNativeInput | _ToTemplateInput, wml: np.ndarray, infarct: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return both masks as uint8; the second is None without infarct probabilities."""
    from ctwml_bids.segmentation.classes import exclusive_masks

    threshold = inputs.infarct_threshold if isdefined(inputs.infarct_threshold) else None
    is_wml, is_infarct = exclusive_masks(wml, inputs.threshold, infarct, threshold)
    return is_wml.astype(np.uint8), None if is_infarct is None else is_infarct.astype(np.uint8)


class _ToTemplateInput(BaseInterfaceInputSpec):
    network = Record(Network, mandatory=True)
    template = Record(TemplateFiles, mandatory=True)
    fields = Record(Fields, desc="without them, the nine-parameter frame")
    head = Record(Head, desc="of a pair's CT: its facts say whose brain mask framed it")
    threshold = traits.Float(mandatory=True)
    infarct_threshold = traits.Float(desc="where infarcts are a class of the model")


class _ToTemplateOutput(TraitedSpec):
    found = Record(TemplateMaps)


class ToTemplate(Step):
    """Lesion probability on the template's own grid, for maps over many heads."""

    input_spec = _ToTemplateInput
    output_spec = _ToTemplateOutput

    def _make(self, folder: str) -> TemplateMaps:
        from ctwml_bids.preprocessing.grids import grid_of, resample
        from ctwml_bids.preprocessing.normalisation import rounded

        network: Network = self.inputs.network
        template: TemplateFiles = self.inputs.template
        grid = grid_of(load_nifti(template.t1w))
        fields = None
        if isdefined(self.inputs.fields) and not self._has_own_frame():
            found: Fields = self.inputs.fields
            # It imports ANTs, which takes seconds.
            from ctwml_bids.preprocessing.deformable import Deformation, warp_to_template

            fields = Deformation(load_nifti(found.forward), load_nifti(found.inverse))

        def in_template(path: str) -> np.ndarray:
            source = load_image(path)
            if fields is None:
                return rounded(resample(np.asarray(source.dataobj), source.affine, grid))
            # The network's grid lies in the frame that the field leads to.
            return rounded(warp_to_template(source, np.eye(4), fields, grid))

        def save(array: np.ndarray, name: str) -> str:
            return save_image(array, grid, node_file(folder, name))

        probability, of_infarcts, infarct = in_template(network.probability), None, None
        if network.infarct is not None:
            of_infarcts = in_template(network.infarct.probability)
        wml_mask, infarct_mask = _masks(self.inputs, probability, of_infarcts)
        if of_infarcts is not None and infarct_mask is not None:
            infarct = InfarctTemplateMaps(
                mask=save(infarct_mask, "infarct_mask.nii"),
                probseg=save(of_infarcts, "infarct_probseg.nii"),
            )
        return TemplateMaps(
            mask=save(wml_mask, "mask.nii"),
            probseg=save(probability, "probseg.nii"),
            infarct=infarct,
        )

    def _has_own_frame(self) -> bool:
        """Tell whether a pair's CT was framed by its own mask: the field is its FLAIR's."""
        if not isdefined(self.inputs.head):
            return False
        head: Head = self.inputs.head
        return load_facts(head.brain.facts).get("mask_from") == "CT"
