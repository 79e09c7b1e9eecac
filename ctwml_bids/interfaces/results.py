"""Nipype wrappers of a unit's last three steps: measure, report, write."""

from __future__ import annotations

from pathlib import Path

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    DynamicTraitedSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    traits,
)

from ctwml_bids.unit.work_files import load_facts, node_file, save_facts

_PER_IMAGE = (
    "{0}_image",
    "{0}_facts",
    "{0}_brain",
    "{0}_brain_facts",
    "{0}_network_facts",
    "{0}_used_brain",
    "{0}_ventricles",
    "template_to_{0}",
    "guide_to_{0}",
    "{0}_template_brain",
    "{0}_fit",
    "{0}_in_ct_probability",
    "{0}_in_ct_disagreement",
    "{0}_in_ct_mask",
    "{0}_in_flair_probability",
    "{0}_in_flair_disagreement",
    "{0}_in_flair_mask",
    "{0}_in_template_probability",
    "{0}_in_template_mask",
)
# Everything that a unit's steps make for its results; a unit without a FLAIR lacks some.
UNIT_FILES = [
    *(name.format(image) for image in ("ct", "flair") for name in _PER_IMAGE),
    "flair_to_ct",
    "registration_facts",
    "frame_facts",
    "flair_contrast",
    "syn_forward",
    "syn_inverse",
]


class _UnitInput(DynamicTraitedSpec, BaseInterfaceInputSpec):
    raw = traits.Dict(mandatory=True, desc="ct and/or flair → input image")
    context = traits.Dict(mandatory=True, desc="what is known of the unit and the run")
    measures = File(exists=True, desc="JSON of `measure_unit`")
    report = File(exists=True, desc="the HTML report")
    example = traits.Str("", usedefault=True, desc="the example picture; empty without one")


class _UnitInterface(SimpleInterface):
    """An interface whose inputs are the unit's files, whichever of them there are."""

    input_spec = _UnitInput

    def __init__(self, **inputs):
        super().__init__(**inputs)
        for name in UNIT_FILES:
            self.inputs.add_trait(name, File(exists=True))

    def _files(self) -> dict[str, str]:
        given = self.inputs.get()
        return {name: given[name] for name in UNIT_FILES if isinstance(given.get(name), str)}


class _MeasureOutput(TraitedSpec):
    measures = File(exists=True)


class MeasureUnit(_UnitInterface):
    """Volumes, regions, agreement of the pair and quality gates (`measure_unit`)."""

    output_spec = _MeasureOutput

    def _run_interface(self, runtime):
        from ctwml_bids.unit.measuring import measure_unit

        measures = measure_unit(self._files(), self.inputs.raw, self.inputs.context)
        self._results["measures"] = save_facts(measures, node_file(runtime.cwd, "measures.json"))
        return runtime


class _ReportOutput(TraitedSpec):
    report = File(exists=True)
    example = traits.Str(desc="picture for the group level; empty where there is none")


class ReportUnit(_UnitInterface):
    """The subject's report and its example picture (`report_unit`)."""

    output_spec = _ReportOutput

    def _run_interface(self, runtime):
        from ctwml_bids.unit.reporting import report_unit

        page, picture = report_unit(
            self._files(),
            self.inputs.raw,
            self.inputs.context,
            load_facts(self.inputs.measures),
        )
        path = node_file(runtime.cwd, "report.html")
        Path(path).write_text(page, encoding="utf-8")
        self._results["report"] = path
        self._results["example"] = ""
        if picture is not None:
            path = node_file(runtime.cwd, "example.png")
            Path(path).write_bytes(picture)
            self._results["example"] = path
        return runtime


class _WriteOutput(TraitedSpec):
    written = traits.List(traits.Str(), desc="relative to the output folder")


class WriteUnit(_UnitInterface):
    """Put the unit's results in place, each file whole or not at all (`write_unit`)."""

    output_spec = _WriteOutput
    # Nipype knows the work folder alone: results that were removed since would not come back.
    _always_run = True

    def _run_interface(self, runtime):
        from ctwml_bids.unit.writing import write_unit

        self._results["written"] = write_unit(
            self._files(),
            self.inputs.raw,
            self.inputs.context,
            load_facts(self.inputs.measures),
            self.inputs.report,
            self.inputs.example,
        )
        return runtime
