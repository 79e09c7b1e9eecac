"""From a unit's files and numbers to its report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath

import nibabel as nib
import numpy as np

from ctwml_bids.bids import names
from ctwml_bids.bids.units import Unit
from ctwml_bids.image_files import load_nifti
from ctwml_bids.modality import MODALITIES
from ctwml_bids.preprocessing.carried_mask import carry
from ctwml_bids.preprocessing.grids import Grid, grid_of, resample
from ctwml_bids.preprocessing.normalisation import to_grid
from ctwml_bids.reports import pictures
from ctwml_bids.reports.examples import Shown, example
from ctwml_bids.reports.figures import CT_WINDOW, image_window
from ctwml_bids.reports.methods import methods
from ctwml_bids.reports.subject import Figure, SubjectReport, model_sentence, render_subject
from ctwml_bids.segmentation import networks
from ctwml_bids.statistics.columns import report_labels
from ctwml_bids.unit.measuring import on_native
from ctwml_bids.unit.model_cards import card_file
from ctwml_bids.unit.records import Facts, Maps, Measures, Results, RunFacts
from ctwml_bids.unit.work_files import load_image


@dataclass(frozen=True)
class ImageShown:
    """Files of one image that a report shows; all but the first may lie on any of its grids.

    Attributes
    ----------
    raw, image
        The input image, and as it was read.
    own, brain
        Brain mask found on the image, and the one that it was measured in.
    lesions
        Seen in it, in its own space.
    template_brain
        The template's brain mask, carried to it.
    """

    raw: str
    image: str
    own: str
    brain: str
    lesions: Maps
    template_brain: str


@dataclass(frozen=True)
class PairShown:
    """A pair: its images, the CT's lesion mask in FLAIR space, and a 4×4 matrix, RAS mm."""

    ct: ImageShown
    flair: ImageShown
    ct_in_flair: str
    flair_to_ct: str


@dataclass(frozen=True)
class UnitShown:
    """What a report is made from, out of the work folder or out of a unit's derivatives.

    `cards` are the files of the models' cards, relative to the output folder.
    """

    unit: Unit
    run: RunFacts
    images: Mapping[str, ImageShown]
    cards: Mapping[str, PurePosixPath]
    pair: PairShown | None = None


def shown(results: Results) -> UnitShown:
    """Take what a report shows from the files of the steps."""
    images = {
        name: ImageShown(
            raw=image.head.read.raw,
            image=image.head.read.image,
            own=image.head.own.mask,
            brain=image.head.brain.mask,
            lesions=image.lesions,
            template_brain=image.head.template_brain,
        )
        for name, image in results.images.items()
    }
    pair = None
    if results.pair:
        lesions, flair_to_ct = results.pair.ct_in_flair, results.pair.registration.flair_to_ct
        pair = PairShown(images["ct"], images["flair"], lesions.mask, flair_to_ct)
    run = results.run
    cards = {name: card_file(run.output_dir, run.cards[name]) for name in images}
    return UnitShown(results.unit, run, images, cards, pair)


def report_unit(unit: UnitShown, measures: Measures) -> tuple[str, bytes | None]:
    """Make the HTML report of one unit, and the picture from which groups take their examples.

    Parameters
    ----------
    unit
        What it shows.
    measures
        From `measure_unit`.

    Returns
    -------
    page : str
        Self-contained HTML.
    example : bytes or None
        PNG, of a pair in FLAIR space; None where the brain mask is no brain.
    """
    images, pair, run, facts = unit.images, unit.pair, unit.run, measures.facts
    # Used twice, and the dearest to compute of all that is shown.
    ct_on_flair = _ct_on_flair(pair) if pair else None
    figures = [figure for name in images for figure in _image_figures(name, images[name])]
    if pair and ct_on_flair is not None:
        figures[1:1] = _registration_figures(pair.flair, ct_on_flair)
        if facts["registration"]["mask_from"] == "FLAIR":
            figures.insert(3, _mask_figure(pair))
    figures += [_normalisation_figure(name, images[name]) for name in images]
    cards = {name: asdict(run.cards[name]) for name in images}
    of_image, of_pair = report_labels()
    page = render_subject(
        SubjectReport(
            unit=unit.unit.label,
            version=run.versions["ctwml_bids"],
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            rows=tuple(measures.rows),
            gates=tuple(measures.gates),
            measures=of_image,
            pair_measures=of_pair,
            methods=methods(
                version=run.versions["ctwml_bids"],
                networks={name: networks.of_card(run.cards[name]) for name in images},
                template=run.template.name,
                normalisation=run.normalisation,
                models=cards,
                precision={
                    name: facts[name].get("network", {}).get("precision") for name in images
                },
            ),
            figures=tuple(figures),
            images=tuple(_described(name, images[name].raw, run.bids_dir) for name in images),
            notes=unit.unit.notes,
            warnings=tuple(
                f"{name.upper()}: {warning}"
                for name in images
                for warning in facts[name]["warnings"]
            ),
            lesions=tuple(measures.lesions),
            models={
                model_sentence(name, card): str(unit.cards[name]) for name, card in cards.items()
            },
            files=_files(unit),
            group=str(names.group_report(run.model_label)),
            settings={
                "Template": run.template.name,
                "Normalisation": run.normalisation,
                "Random seed": run.seed,
                **_networks({name: facts[name] for name in images}),
                **{f"Settings hash, {name}": value for name, value in run.hashes.items()},
            },
            software=run.versions,
            fazekas=facts.get("fazekas", {}),
        )
    )
    return page, _example(unit, ct_on_flair)


def _files(unit: UnitShown) -> dict[str, dict[str, str]]:
    """Name the files that are asked for most, as `write_unit` writes them."""
    who, label = (unit.unit.subject, unit.unit.session), unit.run.model_label
    table = names.stats(*who, model_label=label)
    found = {
        "Tables": {
            "volumes": table,
            "lesions": names.stats(*who, desc="wmllesions", model_label=label),
            "quality gates and settings": names.sidecar(table),
        }
    }
    for name, image in unit.images.items():
        space = name.upper()
        maps = partial(names.wml, *who, space=space, seen_in=name, model_label=label)
        found[space] = {"lesions": maps(), "their probability": maps(kind="probseg")}
        if image.lesions.infarct is not None:
            infarcts = names.infarct(*who, space=space, seen_in=name, model_label=label)
            found[space]["infarcts"] = infarcts
        found[space]["brain mask"] = names.brain_mask(*who, space=space)
    found["All"] = {"folder of all maps and transforms": table.parent}
    return {about: {what: str(path) for what, path in of.items()} for about, of in found.items()}


def _example(unit: UnitShown, ct_on_flair: np.ndarray | None) -> bytes | None:
    name = "flair" if "flair" in unit.images else "ct"
    files = unit.images[name]
    image = load_image(files.image)
    grid = grid_of(image)
    brain = _brain(files.brain, files.raw, grid)
    array = np.asarray(image.dataobj)
    window = CT_WINDOW if MODALITIES[name].is_hounsfield else image_window(array, brain)
    lesions = on_native(files.lesions.mask, grid)
    examples = [Shown(name.upper(), array, lesions, window)]
    if unit.pair and ct_on_flair is not None:
        lesions = on_native(unit.pair.ct_in_flair, grid)
        examples.insert(0, Shown("CT", ct_on_flair, lesions, CT_WINDOW))
    return example(examples, grid.affine, brain=brain)


def _ct_on_flair(pair: PairShown) -> np.ndarray:
    """Return the CT of a pair on the FLAIR's grid, in HU."""
    grid = grid_of(load_image(pair.flair.image))
    return to_grid(load_image(pair.ct.image), np.loadtxt(pair.flair_to_ct), grid, fill=-1000.0)


def _networks(facts: Mapping[str, Facts]) -> dict[str, str]:
    """Say what each network ran on and in; nothing where a former version did not record it."""
    rows = {}
    for name, of_image in facts.items():
        if (network := of_image.get("network")) is None:
            continue
        rows[f"Network, {name.upper()}"] = f"{network['device']}, {network['precision']}"
        if (left_out := network.get("islands_ml")) is not None:
            rows[f"Left out outside white matter, {name.upper()}"] = f"{left_out:.2f} mL"
        if (fluid := network.get("fluid_ml")) is not None:
            rows[f"Left out as fluid of the ventricles, {name.upper()}"] = f"{fluid:.2f} mL"
        if (small := network.get("infarct_small_ml")) is not None:
            rows[f"Infarcts left out as small, {name.upper()}"] = f"{small:.2f} mL"
        if (fluid := network.get("infarct_fluid_ml")) is not None:
            rows[f"Infarcts left out as fluid of the ventricles, {name.upper()}"] = (
                f"{fluid:.2f} mL"
            )
    return rows


def _described(name: str, path: str, bids_dir: Path) -> dict[str, str]:
    image = load_nifti(path)
    spacing = grid_of(image).spacing
    return {
        "Image": name.upper(),
        "File": Path(path).relative_to(bids_dir).as_posix(),
        "Voxels": " × ".join(str(size) for size in image.shape[:3]),
        "Voxel size (mm)": " × ".join(f"{size:.2f}" for size in spacing),
        "Orientation": "".join(nib.aff2axcodes(image.affine)),
    }


def _on(path: str, grid: Grid) -> np.ndarray:
    image = load_image(path)
    return resample(np.asarray(image.dataobj), image.affine, grid)


def _native_mask(mask: str, raw: str) -> nib.Nifti1Image:
    """Return a mask on its input image's grid.

    The derivative lies on that, and a report that is written again has nothing else.
    """
    native = grid_of(load_nifti(raw))
    return nib.Nifti1Image(on_native(mask, native).astype(np.float32), native.affine)


def _brain(path: str, raw: str, grid: Grid) -> np.ndarray:
    """Bring a brain mask onto a grid of its image's space, by way of the input image's grid."""
    mask = _native_mask(path, raw)
    return resample(np.asarray(mask.dataobj), mask.affine, grid) >= 0.5


def _image_figures(name: str, files: ImageShown) -> list[Figure]:
    """Return the outlines and the maps of one image."""
    image = load_image(files.image)
    array, grid = np.asarray(image.dataobj), grid_of(image)
    brain = _brain(files.brain, files.raw, grid)
    lesions, infarcts = on_native(files.lesions.mask, grid), None
    if files.lesions.infarct is not None:
        infarcts = on_native(files.lesions.infarct.mask, grid)
    probability = _on(files.lesions.probability, grid)
    disagreement = _on(files.lesions.disagreement, grid)
    of = (name.upper(), array, grid.affine)
    return [
        pictures.segmentation(*of, brain=brain, lesions=lesions, infarcts=infarcts),
        pictures.uncertainty(*of, brain=brain, probability=probability, disagreement=disagreement),
    ]


def _registration_figures(files: ImageShown, ct_on_flair: np.ndarray) -> tuple[Figure, ...]:
    """Return the checkerboard and the flicker of the pair, in FLAIR space."""
    flair = load_image(files.image)
    grid = grid_of(flair)
    brain = _brain(files.brain, files.raw, grid)
    return pictures.alignment(ct_on_flair, np.asarray(flair.dataobj), grid.affine, brain=brain)


def _mask_figure(pair: PairShown) -> Figure:
    """Return the outlines of the brain masks of a pair's CT."""
    image = load_image(pair.ct.image)
    grid = grid_of(image)
    own, used = (_brain(mask, pair.ct.raw, grid) for mask in (pair.ct.own, pair.ct.brain))
    flair_brain = _native_mask(pair.flair.brain, pair.flair.raw)
    carried = carry(flair_brain, grid, np.loadtxt(pair.flair_to_ct))
    return pictures.brain_masks(
        np.asarray(image.dataobj), grid.affine, own=own, carried=carried, used=used
    )


def _normalisation_figure(name: str, files: ImageShown) -> Figure:
    """Return the template's brain over one image."""
    image = load_image(files.image)
    grid = grid_of(image)
    brain, template = (_brain(m, files.raw, grid) for m in (files.brain, files.template_brain))
    return pictures.normalisation(
        name.upper(), np.asarray(image.dataobj), grid.affine, brain=brain, template_brain=template
    )
