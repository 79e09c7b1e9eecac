"""What is known of a unit while it is processed: of each image, of the pair, and of the run.

Each step makes one record of files. These are named tuples: Nipype tells by the content of the
files in a tuple whether a step has to run again, which it does in no other kind of record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ctwml_bids.bids.units import Unit
from ctwml_bids.segmentation.model_card import ModelCard
from ctwml_bids.statistics.thresholds import ThresholdSet
from ctwml_bids.templates import Template

# What a step found out, as JSON has it: numbers, texts, and lists and objects of them.
Facts = dict[str, Any]


class TemplateFiles(NamedTuple):
    """Head and brain mask of the template that the run normalises to."""

    t1w: str
    brain_mask: str


class Guide(NamedTuple):
    """Brain, tissues and lateral ventricles of the packaged template.

    Contrast, ventricles and midline are looked up in its coordinates, whichever template the run
    has.
    """

    brain_mask: str
    gm: str
    wm: str
    ventricles: str


class Read(NamedTuple):
    """An image as it was read: float32, closest to RAS, CT in HU.

    `raw` is the input image, `facts` the JSON of what reading it revealed.
    """

    raw: str
    image: str
    facts: str


class Brain(NamedTuple):
    """A brain mask on an image's grid.

    `mask` is where things are measured, `whole` the same with what lies in lost slices; `facts`
    is the JSON of how it was found.
    """

    mask: str
    whole: str
    facts: str


class Head(NamedTuple):
    """An image with its brain, and where that lies in the template.

    Attributes
    ----------
    read
        The image.
    own
        Brain found on the image itself.
    brain
        Brain that the image is measured in: its own, or on the CT of a pair the FLAIR's, carried
        to it. The facts then say whose it is and why.
    template_to_native, guide_to_native
        4×4, RAS mm, T·R·S: from the run's template, and from the packaged one, to the image.
    template_brain
        The template's brain mask on the image's grid.
    fit
        JSON of `template_fit`.
    """

    read: Read
    own: Brain
    brain: Brain
    template_to_native: str
    guide_to_native: str
    template_brain: str
    fit: str


class InfarctNetwork(NamedTuple):
    """Infarct probability and its SD over the ensemble, on the network's grid."""

    probability: str
    disagreement: str


class Network(NamedTuple):
    """WML probability and its SD over the ensemble, on the network's grid.

    `template_to_native` leads from that grid to the image; `facts` is the JSON of device, number
    format, and what was left out. `infarct` is None where that is no class of the model.
    """

    probability: str
    disagreement: str
    template_to_native: str
    facts: str
    infarct: InfarctNetwork | None = None


class InfarctMaps(NamedTuple):
    """Infarcts seen in one image: mask, probability, and its SD over the ensemble."""

    mask: str
    probability: str
    disagreement: str


class Maps(NamedTuple):
    """WML seen in one image: mask, probability, and its SD over the ensemble.

    `infarct` is None where that is no class of the model.
    """

    mask: str
    probability: str
    disagreement: str
    infarct: InfarctMaps | None = None


class InfarctTemplateMaps(NamedTuple):
    """Infarcts seen in one image, on the template's grid."""

    mask: str
    probseg: str


class TemplateMaps(NamedTuple):
    """WML seen in one image, on the template's grid.

    `infarct` is None where that is no class of the model.
    """

    mask: str
    probseg: str
    infarct: InfarctTemplateMaps | None = None


class Registration(NamedTuple):
    """The pair's rigid registration: 4×4 matrices, RAS mm, and JSON of gate numbers and verdict."""

    flair_to_ct: str
    ct_to_flair: str
    facts: str


class Fields(NamedTuple):
    """ITK displacement fields between the template and the nine-parameter frame.

    `forward` leads from the template, `inverse` to it.
    """

    forward: str
    inverse: str


@dataclass(frozen=True)
class ImageFiles:
    """All files that the steps made of one image.

    Attributes
    ----------
    head
        The image, its brain and its frame.
    ventricles
        Mask, found on the image.
    network
        What the network gave.
    lesions
        On the image's own grid.
    in_template
        On the template's grid; None where that was not asked for.
    contrast
        JSON of `flair_contrast`; None for a CT.
    """

    head: Head
    ventricles: str
    network: Network
    lesions: Maps
    in_template: TemplateMaps | None = None
    contrast: str | None = None


@dataclass(frozen=True)
class RunFacts:
    """What is known of the run, and stated in sidecars and reports.

    Attributes
    ----------
    bids_dir, output_dir
        Folders of the data set and of the results.
    template
        That the run normalises to.
    normalisation
        ``nine`` or ``syn``.
    model_label
        Of ``--desc``; empty without one.
    seed
        Of registration and normalisation.
    device
        ``cpu`` or ``cuda``: where the networks run.
    versions
        Of this program and of the libraries that results depend on.
    hashes
        Of preprocessing and segmentation settings.
    cards
        ``ct`` and ``flair`` → card of the model, with the thresholds that are used.
    fazekas
        Thresholds from which Fazekas groups are stated, None without any.
    """

    bids_dir: Path
    output_dir: Path
    template: Template
    normalisation: str
    model_label: str
    seed: int
    device: str
    versions: Mapping[str, str]
    hashes: Mapping[str, str]
    cards: Mapping[str, ModelCard]
    fazekas: ThresholdSet | None = None


@dataclass(frozen=True)
class PairFiles:
    """A CT and a FLAIR, how they lie to each other, and the lesions of each on the other's grid."""

    ct: ImageFiles
    flair: ImageFiles
    registration: Registration
    ct_in_flair: Maps
    flair_in_ct: Maps


@dataclass(frozen=True)
class Results:
    """One unit with all that its steps made.

    Attributes
    ----------
    unit, run
        What the results are of.
    images
        ``ct`` and/or ``flair`` → what was made of it.
    pair
        Both; None where there is one image.
    fields
        Of ``--normalisation syn``: of the FLAIR, or of a CT without one.
    """

    unit: Unit
    run: RunFacts
    images: Mapping[str, ImageFiles]
    pair: PairFiles | None = None
    fields: Fields | None = None


@dataclass(frozen=True)
class Measures:
    """What was measured of one unit; JSON-able.

    Attributes
    ----------
    rows, lesions
        Of the statistics table and of the lesion table.
    gates
        Quality gates as dictionaries.
    qc
        The worst of them: ``pass``, ``warn`` or ``fail``.
    facts
        By image, and under ``registration`` and ``fazekas`` where there are such.
    """

    rows: list[Facts]
    lesions: list[Facts]
    gates: list[Facts]
    qc: str
    facts: Facts
