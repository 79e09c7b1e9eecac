"""Nipype wrappers of what brings images together: CT to FLAIR, both to the template.

The functions are imported when a node runs: the parent process must not load ITK or torch,
whose threads do not survive in workers.
"""

from __future__ import annotations

from typing import Any

import nibabel as nib
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
    save_matrix,
)


class _RegisterInput(BaseInterfaceInputSpec):
    flair = File(exists=True, mandatory=True)
    ct = File(exists=True, mandatory=True)
    flair_mask = File(exists=True, mandatory=True)
    ct_mask = File(exists=True, mandatory=True)
    seed = traits.Int(mandatory=True)
    threads = traits.Int(1, usedefault=True, nohash=True)


class _RegisterOutput(TraitedSpec):
    flair_to_ct = File(exists=True, desc="4×4 RAS mm")
    ct_to_flair = File(exists=True, desc="its inverse")
    facts = File(exists=True, desc="JSON: NMI before and after, gate numbers, verdict, reason")


class RegisterRigid(SimpleInterface):
    """CT→FLAIR rigid registration with its gate (`rigid`, `registration_verdict`)."""

    input_spec = _RegisterInput
    output_spec = _RegisterOutput

    def _run_interface(self, runtime):
        from ctwml_bids.preprocessing.registration import rigid
        from ctwml_bids.preprocessing.registration_gate import LIMITS, registration_verdict

        result = rigid(
            load_image(self.inputs.flair),
            load_image(self.inputs.ct),
            fixed_mask=load_mask(self.inputs.flair_mask),
            moving_mask=load_mask(self.inputs.ct_mask),
            seed=self.inputs.seed,
            threads=self.inputs.threads,
        )
        facts = {"nmi_before": result.nmi_before, "nmi_after": result.nmi_after, **result.facts}
        verdict, reason = registration_verdict(facts)
        self._results["flair_to_ct"] = save_matrix(
            result.flair_to_ct, node_file(runtime.cwd, "flair_to_ct.txt")
        )
        self._results["ct_to_flair"] = save_matrix(
            np.linalg.inv(result.flair_to_ct), node_file(runtime.cwd, "ct_to_flair.txt")
        )
        self._results["facts"] = save_facts(
            {**facts, "verdict": verdict, "reason": reason, "limits": LIMITS},
            node_file(runtime.cwd, "facts.json"),
        )
        return runtime


class _NormaliseInput(BaseInterfaceInputSpec):
    mask = File(exists=True, mandatory=True)
    template_mask = File(exists=True, mandatory=True)
    guide_mask = File(exists=True, mandatory=True, desc="of the template that guides anatomy")
    seed = traits.Int(mandatory=True)


class _NormaliseOutput(TraitedSpec):
    template_to_native = File(exists=True, desc="4×4 RAS mm, T·R·S")
    guide_to_native = File(exists=True, desc="the same for the guide")
    template_brain = File(exists=True, desc="the template's brain mask on the native grid")
    fit = File(exists=True, desc="JSON of `template_fit`")


class NormaliseNineParameter(SimpleInterface):
    """Nine-parameter normalisation of a brain mask to the template's (`nine_parameter`).

    Where anatomy is looked up in template coordinates (ventricles, midline), those of the packaged
    template are meant. It is the guide: where the run has another template, whose origin may lie
    elsewhere, the guide is fitted to the brain mask for itself.
    """

    input_spec = _NormaliseInput
    output_spec = _NormaliseOutput

    def _run_interface(self, runtime):
        mask = load_mask(self.inputs.mask)
        frames = _fitted(mask, self.inputs)
        _save_frames(self._results, frames, runtime.cwd)
        _save_fit(self._results, mask, frames[0], self.inputs.template_mask, runtime.cwd)
        return runtime


def _fitted(mask: nib.Nifti1Image, inputs: Any) -> tuple[np.ndarray, np.ndarray]:
    """Fit template and guide to a brain mask: two 4×4 matrices, once where they are the same."""
    from ctwml_bids.preprocessing.nine_parameters import nine_parameter

    template = nine_parameter(mask, load_mask(inputs.template_mask), seed=inputs.seed)
    if inputs.guide_mask == inputs.template_mask:
        return template, template
    return template, nine_parameter(mask, load_mask(inputs.guide_mask), seed=inputs.seed)


def _save_frames(results: dict, frames: tuple[np.ndarray, np.ndarray], folder: str) -> None:
    for name, matrix in zip(("template_to_native", "guide_to_native"), frames, strict=True):
        results[name] = save_matrix(matrix, node_file(folder, f"{name}.txt"))


def _save_fit(
    results: dict, mask: nib.Nifti1Image, frame: np.ndarray, template_mask: str, folder: str
) -> None:
    from ctwml_bids.preprocessing.grids import grid_of
    from ctwml_bids.preprocessing.template_fit import template_fit

    brain, facts = template_fit(mask, load_mask(template_mask), frame)
    results["template_brain"] = save_image(
        brain.astype(np.uint8), grid_of(mask), node_file(folder, "template_brain.nii")
    )
    results["fit"] = save_facts(facts, node_file(folder, "fit.json"))


class _PairFrameInput(BaseInterfaceInputSpec):
    ct = File(exists=True, mandatory=True)
    ct_mask = File(exists=True, mandatory=True, desc="whole, as the FLAIR's")
    ct_mask_facts = File(exists=True, mandatory=True)
    flair_mask = File(exists=True, mandatory=True)
    flair_to_ct = File(exists=True, mandatory=True)
    registration_facts = File(exists=True, mandatory=True)
    flair_mask_facts = File(exists=True, mandatory=True)
    template_to_flair = File(exists=True, mandatory=True)
    guide_to_flair = File(exists=True, mandatory=True)
    template_mask = File(exists=True, mandatory=True)
    guide_mask = File(exists=True, mandatory=True)
    seed = traits.Int(mandatory=True)


class _PairFrameOutput(TraitedSpec):
    mask = File(exists=True, desc="brain mask: where things are measured")
    whole = File(exists=True, desc="the same with lost slices: normalises and z-scores the CT")
    template_to_native = File(exists=True)
    guide_to_native = File(exists=True)
    template_brain = File(exists=True, desc="the template's brain mask on the CT's grid")
    fit = File(exists=True, desc="JSON of `template_fit`")
    facts = File(exists=True, desc="JSON: which mask it is and why, and the bone taken out of it")


class FramePair(SimpleInterface):
    """Brain mask and template frame of a CT that has a FLAIR.

    The FLAIR's mask is carried to the CT, as in the paper, and freed of bone; the CT's own takes
    over when the registration or the FLAIR's mask failed its gate.
    """

    input_spec = _PairFrameInput
    output_spec = _PairFrameOutput

    def _run_interface(self, runtime):
        from ctwml_bids.preprocessing.carried_mask import carry, without_bone
        from ctwml_bids.preprocessing.empty_slices import only_seen, seen_part
        from ctwml_bids.preprocessing.grids import grid_of
        from ctwml_bids.statistics.gates.brain import brain_volume, coverage
        from ctwml_bids.statistics.gates.gate import overall
        from ctwml_bids.unit.measuring import cut_shares

        ct_mask = load_mask(self.inputs.ct_mask)
        flair_mask = load_mask(self.inputs.flair_mask)
        registration = load_facts(self.inputs.registration_facts)
        ct_facts = load_facts(self.inputs.ct_mask_facts)
        flair_facts = load_facts(self.inputs.flair_mask_facts)
        flair_seen = seen_part(np.asarray(flair_mask.dataobj), flair_facts.get("empty_slices"))
        gates = (
            brain_volume(flair_facts["brain_ml"], image="FLAIR"),
            coverage(cut_shares(flair_seen), image="FLAIR"),
        )
        flair_failed = overall(gates) == "fail"
        if registration["verdict"] != "fail" and not flair_failed:
            flair_to_ct = np.loadtxt(self.inputs.flair_to_ct)
            mask, bone = without_bone(
                carry(flair_mask, grid_of(ct_mask), flair_to_ct),
                load_image(self.inputs.ct),
                ct_facts["bone_threshold_hu"],
            )
            template_to_flair = np.loadtxt(self.inputs.template_to_flair)
            guide_to_flair = np.loadtxt(self.inputs.guide_to_flair)
            frames = flair_to_ct @ template_to_flair, flair_to_ct @ guide_to_flair
            facts = {"mask_from": "FLAIR", **bone}
        else:
            mask = np.asarray(ct_mask.dataobj)
            frames = _fitted(ct_mask, self.inputs)
            failed = "the FLAIR's brain mask" if flair_failed else "the registration"
            facts = {"mask_from": "CT", "mask_reason": f"{failed} failed its quality gate"}
        mask = mask.astype(np.uint8)
        seen = only_seen(mask, ct_facts.get("empty_slices"))
        save_masks(self._results, mask, seen, grid_of(ct_mask), runtime.cwd)
        _save_frames(self._results, frames, runtime.cwd)
        _save_fit(
            self._results,
            load_mask(self._results["whole"]),
            frames[0],
            self.inputs.template_mask,
            runtime.cwd,
        )
        self._results["facts"] = save_facts(facts, node_file(runtime.cwd, "facts.json"))
        return runtime


class _DeformInput(BaseInterfaceInputSpec):
    in_file = File(exists=True, mandatory=True)
    mask = File(exists=True, mandatory=True)
    template_to_native = File(exists=True, mandatory=True)
    template_t1w = File(exists=True, mandatory=True)
    template_mask = File(exists=True, mandatory=True)
    seed = traits.Int(mandatory=True)
    threads = traits.Int(1, usedefault=True, nohash=True)


class _DeformOutput(TraitedSpec):
    forward = File(exists=True, desc="ITK displacement field: template → nine-parameter frame")
    inverse = File(exists=True, desc="the reverse")


class Deform(SimpleInterface):
    """Deformable registration on top of the nine parameters (`syn`)."""

    input_spec = _DeformInput
    output_spec = _DeformOutput

    def _run_interface(self, runtime):
        from ctwml_bids.preprocessing.deformable import syn

        fields = syn(
            load_image(self.inputs.template_t1w),
            load_mask(self.inputs.template_mask),
            load_image(self.inputs.in_file),
            load_mask(self.inputs.mask),
            np.loadtxt(self.inputs.template_to_native),
            seed=self.inputs.seed,
            threads=self.inputs.threads,
        )
        for name in ("forward", "inverse"):
            path = node_file(runtime.cwd, f"{name}.nii.gz")
            getattr(fields, name).to_filename(path)
            self._results[name] = path
        return runtime
