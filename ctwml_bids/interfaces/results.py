"""Nipype wrappers of a unit's last three steps: measure, report, write."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    Bunch,
    File,
    SimpleInterface,
    TraitedSpec,
    isdefined,
    traits,
)

from ctwml_bids.bids.units import Unit
from ctwml_bids.interfaces.step import Record, Step
from ctwml_bids.modality import IMAGES
from ctwml_bids.unit.records import (
    Fields,
    Head,
    ImageFiles,
    Maps,
    Measures,
    Network,
    PairFiles,
    Registration,
    Results,
    RunFacts,
    TemplateMaps,
)
from ctwml_bids.unit.work_files import load_facts, node_file, save_facts

_OF_IMAGE = [field.name for field in fields(ImageFiles)]


class _ResultsInput(BaseInterfaceInputSpec):
    """The fields of `Results`, as files whose content Nipype compares."""

    unit = traits.Instance(Unit, mandatory=True)
    run = traits.Instance(RunFacts, mandatory=True)
    ct_head = Record(Head)
    ct_ventricles = File(exists=True)
    ct_network = Record(Network)
    ct_lesions = Record(Maps)
    ct_in_template = Record(TemplateMaps)
    flair_head = Record(Head)
    flair_ventricles = File(exists=True)
    flair_network = Record(Network)
    flair_lesions = Record(Maps)
    flair_in_template = Record(TemplateMaps)
    flair_contrast = File(exists=True)
    registration = Record(Registration)
    ct_in_flair = Record(Maps)
    flair_in_ct = Record(Maps)
    fields = Record(Fields)


def _results(inputs: _ResultsInput) -> Results:
    """Put a unit's results together from the inputs of one of the last steps."""
    # Not by inputs.get(), which makes plain tuples of named ones.
    names = inputs.copyable_trait_names()
    given = {name: value for name in names if isdefined(value := getattr(inputs, name))}
    images = {}
    for image in IMAGES:
        files = {one: given[key] for one in _OF_IMAGE if (key := f"{image}_{one}") in given}
        if files:
            images[image] = ImageFiles(**files)
    pair = None
    if "registration" in given:
        pair = PairFiles(
            ct=images["ct"],
            flair=images["flair"],
            registration=given["registration"],
            ct_in_flair=given["ct_in_flair"],
            flair_in_ct=given["flair_in_ct"],
        )
    return Results(inputs.unit, inputs.run, images, pair, given.get("fields"))


class _MeasureOutput(TraitedSpec):
    found = File(exists=True, desc="JSON of `Measures`")


class MeasureUnit(Step):
    """Volumes, regions, agreement of the pair and quality gates (`measure_unit`)."""

    input_spec = _ResultsInput
    output_spec = _MeasureOutput

    def _make(self, folder: str) -> str:
        from ctwml_bids.unit.measuring import measure_unit

        measures = measure_unit(_results(self.inputs))
        return save_facts(asdict(measures), node_file(folder, "measures.json"))


class _ReportInput(_ResultsInput):
    measures = File(exists=True, mandatory=True)


class _ReportOutput(TraitedSpec):
    found = File(exists=True, desc="HTML")
    example = traits.Str(desc="picture for the group level; empty where there is none")


class ReportUnit(SimpleInterface):
    """The subject's report and its example picture (`report_unit`)."""

    input_spec = _ReportInput
    output_spec = _ReportOutput

    def _run_interface(self, runtime: Bunch) -> Bunch:
        from ctwml_bids.unit.reporting import report_unit, shown

        measures = Measures(**load_facts(self.inputs.measures))
        page, picture = report_unit(shown(_results(self.inputs)), measures)
        path = node_file(runtime.cwd, "report.html")
        Path(path).write_text(page, encoding="utf-8")
        self._results["found"] = path
        self._results["example"] = ""
        if picture is not None:
            path = node_file(runtime.cwd, "example.png")
            Path(path).write_bytes(picture)
            self._results["example"] = path
        return runtime


class _WriteInput(_ReportInput):
    report = File(exists=True, mandatory=True)
    example = traits.Str("", usedefault=True, desc="the example picture; empty without one")


class _WriteOutput(TraitedSpec):
    found = traits.List(traits.Str(), desc="written, relative to the output folder")


class WriteUnit(Step):
    """Put the unit's results in place, each file whole or not at all (`write_unit`)."""

    input_spec = _WriteInput
    output_spec = _WriteOutput
    # Nipype knows the work folder alone: results that were removed since would not come back.
    _always_run = True

    def _make(self, folder: str) -> list[str]:
        from ctwml_bids.unit.writing import write_unit

        measures = Measures(**load_facts(self.inputs.measures))
        return write_unit(_results(self.inputs), measures, self.inputs.report, self.inputs.example)
