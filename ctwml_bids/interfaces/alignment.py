"""Nipype wrappers of what brings images together: CT to FLAIR, both to the template."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from nipype.interfaces.base import BaseInterfaceInputSpec, TraitedSpec, traits

from ctwml_bids.interfaces.step import Record, Step
from ctwml_bids.unit.records import Brain, Fields, Guide, Head, Read, Registration, TemplateFiles
from ctwml_bids.unit.work_files import (
    load_facts,
    load_image,
    load_mask,
    node_file,
    save_brain,
    save_facts,
    save_image,
    save_matrix,
)


class _RegisterInput(BaseInterfaceInputSpec):
    flair = Record(Read, mandatory=True)
    ct = Record(Read, mandatory=True)
    flair_brain = Record(Brain, mandatory=True)
    ct_brain = Record(Brain, mandatory=True)
    seed = traits.Int(mandatory=True)
    threads = traits.Int(1, usedefault=True, nohash=True)


class _RegisterOutput(TraitedSpec):
    found = Record(Registration)


class RegisterRigid(Step):
    """CT→FLAIR rigid registration with its gate (`rigid`, `registration_verdict`)."""

    input_spec = _RegisterInput
    output_spec = _RegisterOutput

    def _make(self, folder: str) -> Registration:
        from ctwml_bids.preprocessing.registration import rigid
        from ctwml_bids.preprocessing.registration_gate import LIMITS, registration_verdict

        flair: Read = self.inputs.flair
        ct: Read = self.inputs.ct
        flair_brain: Brain = self.inputs.flair_brain
        ct_brain: Brain = self.inputs.ct_brain
        result = rigid(
            load_image(flair.image),
            load_image(ct.image),
            fixed_mask=load_mask(flair_brain.whole),
            moving_mask=load_mask(ct_brain.whole),
            seed=self.inputs.seed,
            threads=self.inputs.threads,
        )
        verdict, reason = registration_verdict(result.facts)
        facts = {**result.facts, "verdict": verdict, "reason": reason, "limits": LIMITS}
        inverse = np.linalg.inv(result.flair_to_ct)
        return Registration(
            flair_to_ct=save_matrix(result.flair_to_ct, node_file(folder, "flair_to_ct.txt")),
            ct_to_flair=save_matrix(inverse, node_file(folder, "ct_to_flair.txt")),
            facts=save_facts(facts, node_file(folder, "facts.json")),
        )


class _NormaliseInput(BaseInterfaceInputSpec):
    read = Record(Read, mandatory=True)
    brain = Record(Brain, mandatory=True)
    template = Record(TemplateFiles, mandatory=True)
    guide = Record(Guide, mandatory=True)
    seed = traits.Int(mandatory=True)


class _HeadOutput(TraitedSpec):
    found = Record(Head)


class NormaliseNineParameter(Step):
    """Nine-parameter normalisation of a brain mask to the template's (`nine_parameter`).

    Where anatomy is looked up in template coordinates (ventricles, midline), those of the packaged
    template are meant. It is the guide: where the run has another template, whose origin may lie
    elsewhere, the guide is fitted to the brain mask for itself.
    """

    input_spec = _NormaliseInput
    output_spec = _HeadOutput

    def _make(self, folder: str) -> Head:
        brain: Brain = self.inputs.brain
        template: TemplateFiles = self.inputs.template
        frames = _fitted(load_mask(brain.whole), template, self.inputs.guide, self.inputs.seed)
        return _head(self.inputs.read, brain, brain, frames, template, folder)


def _fitted(
    mask: nib.Nifti1Image, template: TemplateFiles, guide: Guide, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Fit template and guide to a brain mask: two 4×4 matrices, once where they are the same."""
    from ctwml_bids.preprocessing.nine_parameters import nine_parameter

    frame = nine_parameter(mask, load_mask(template.brain_mask), seed=seed)
    if guide.brain_mask == template.brain_mask:
        return frame, frame
    return frame, nine_parameter(mask, load_mask(guide.brain_mask), seed=seed)


def _head(
    read: Read,
    own: Brain,
    brain: Brain,
    frames: tuple[np.ndarray, np.ndarray],
    template: TemplateFiles,
    folder: str,
) -> Head:
    """Save the frames of template and guide, and how the template fits the brain."""
    from ctwml_bids.preprocessing.grids import grid_of
    from ctwml_bids.preprocessing.template_fit import template_fit

    mask = load_mask(brain.whole)
    template_brain, fit = template_fit(mask, load_mask(template.brain_mask), frames[0])
    return Head(
        read=read,
        own=own,
        brain=brain,
        template_to_native=save_matrix(frames[0], node_file(folder, "template_to_native.txt")),
        guide_to_native=save_matrix(frames[1], node_file(folder, "guide_to_native.txt")),
        template_brain=save_image(
            template_brain.astype(np.uint8), grid_of(mask), node_file(folder, "template_brain.nii")
        ),
        fit=save_facts(fit, node_file(folder, "fit.json")),
    )


class _PairFrameInput(_NormaliseInput):
    """Of the CT, with what its FLAIR has."""

    flair = Record(Head, mandatory=True)
    registration = Record(Registration, mandatory=True)


class FramePair(Step):
    """Brain mask and template frame of a CT that has a FLAIR.

    The FLAIR's mask is carried to the CT, as in the paper, and freed of bone; the CT's own takes
    over when the registration or the FLAIR's mask failed its gate.
    """

    input_spec = _PairFrameInput
    output_spec = _HeadOutput

    def _make(self, folder: str) -> Head:
        from ctwml_bids.preprocessing.carried_mask import carry, without_bone
        from ctwml_bids.preprocessing.empty_slices import only_seen, seen_part
        from ctwml_bids.preprocessing.grids import grid_of
        from ctwml_bids.statistics.gates.brain import brain_volume, coverage
        from ctwml_bids.statistics.gates.gate import overall
        from ctwml_bids.unit.measuring import cut_shares

        read: Read = self.inputs.read
        own: Brain = self.inputs.brain
        flair: Head = self.inputs.flair
        registration: Registration = self.inputs.registration
        template: TemplateFiles = self.inputs.template
        ct_mask, flair_mask = load_mask(own.whole), load_mask(flair.brain.whole)
        own_facts, flair_facts = load_facts(own.facts), load_facts(flair.brain.facts)
        flair_seen = seen_part(np.asarray(flair_mask.dataobj), flair_facts.get("empty_slices"))
        gates = (
            brain_volume(flair_facts["brain_ml"], image="FLAIR"),
            coverage(cut_shares(flair_seen), image="FLAIR"),
        )
        flair_failed = overall(gates) == "fail"
        if load_facts(registration.facts)["verdict"] != "fail" and not flair_failed:
            flair_to_ct = np.loadtxt(registration.flair_to_ct)
            mask, bone = without_bone(
                carry(flair_mask, grid_of(ct_mask), flair_to_ct),
                load_image(read.image),
                own_facts["bone_threshold_hu"],
            )
            template_to_flair = np.loadtxt(flair.template_to_native)
            guide_to_flair = np.loadtxt(flair.guide_to_native)
            frames = flair_to_ct @ template_to_flair, flair_to_ct @ guide_to_flair
            facts = {"mask_from": "FLAIR", **bone}
        else:
            mask = np.asarray(ct_mask.dataobj)
            frames = _fitted(ct_mask, template, self.inputs.guide, self.inputs.seed)
            failed = "the FLAIR's brain mask" if flair_failed else "the registration"
            facts = {"mask_from": "CT", "mask_reason": f"{failed} failed its quality gate"}
        mask = mask.astype(np.uint8)
        seen = only_seen(mask, own_facts.get("empty_slices"))
        brain = save_brain(mask, seen, facts, grid_of(ct_mask), folder)
        return _head(read, own, brain, frames, template, folder)


class _DeformInput(BaseInterfaceInputSpec):
    head = Record(Head, mandatory=True)
    template = Record(TemplateFiles, mandatory=True)
    seed = traits.Int(mandatory=True)
    threads = traits.Int(1, usedefault=True, nohash=True)


class _DeformOutput(TraitedSpec):
    found = Record(Fields)


class Deform(Step):
    """Deformable registration on top of the nine parameters (`syn`)."""

    input_spec = _DeformInput
    output_spec = _DeformOutput

    def _make(self, folder: str) -> Fields:
        from ctwml_bids.preprocessing.deformable import syn

        head: Head = self.inputs.head
        template: TemplateFiles = self.inputs.template
        fields = syn(
            load_image(template.t1w),
            load_mask(template.brain_mask),
            load_image(head.read.image),
            load_mask(head.brain.whole),
            np.loadtxt(head.template_to_native),
            seed=self.inputs.seed,
            threads=self.inputs.threads,
        )
        found = Fields(node_file(folder, "forward.nii.gz"), node_file(folder, "inverse.nii.gz"))
        fields.forward.to_filename(found.forward)
        fields.inverse.to_filename(found.inverse)
        return found
