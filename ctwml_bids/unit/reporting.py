"""From a unit's files and numbers to its report."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from ctwml_bids.preprocessing.carried_mask import carry
from ctwml_bids.preprocessing.grids import Grid, grid_of, resample
from ctwml_bids.reports import pictures
from ctwml_bids.reports.examples import Shown, example
from ctwml_bids.reports.figures import CT_WINDOW, image_window
from ctwml_bids.reports.methods import methods
from ctwml_bids.reports.subject import Figure, SubjectReport, render_subject
from ctwml_bids.statistics.columns import report_labels
from ctwml_bids.unit.measuring import on_native
from ctwml_bids.unit.work_files import load_image, model_card


def report_unit(
    files: Mapping[str, str],
    raw: Mapping[str, str],
    context: Mapping[str, Any],
    measures: Mapping[str, Any],
) -> tuple[str, bytes | None]:
    """Make the HTML report of one unit, and the picture from which groups take their examples.

    Parameters
    ----------
    files
        Names of `UNIT_FILES` → paths; images, masks and maps may lie on any grid of the image's
        space.
    raw
        ``ct`` and/or ``flair`` → the input image.
    context
        What is known of the unit and the run.
    measures
        From `measure_unit`.

    Returns
    -------
    page : str
        Self-contained HTML.
    example : bytes or None
        PNG, of a pair in FLAIR space; None where the brain mask is no brain.
    """
    # Used twice, and the dearest to compute of all that is shown.
    ct_on_flair = _ct_on_flair(files) if len(raw) == 2 else None
    shown = [figure for name in raw for figure in _image_figures(name, files, raw)]
    if ct_on_flair is not None:
        shown[1:1] = _registration_figures(files, raw, ct_on_flair)
        if measures["facts"]["registration"]["mask_from"] == "FLAIR":
            shown.insert(3, _mask_figure(files, raw))
    shown += [
        _normalisation_figure(name, files, raw) for name in raw if f"{name}_template_brain" in files
    ]
    cards = {name: model_card(context, name) for name in raw}
    facts = measures["facts"]
    of_image, of_pair = report_labels()
    page = render_subject(
        SubjectReport(
            unit=context["label"],
            version=context["versions"]["ctwml_bids"],
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            rows=tuple(measures["rows"]),
            gates=tuple(measures["gates"]),
            measures=of_image,
            pair_measures=of_pair,
            methods=methods(
                version=context["versions"]["ctwml_bids"],
                images=tuple(raw),
                template=context["template"],
                normalisation=context["normalisation"],
                models=cards,
                precision={name: facts[name].get("network", {}).get("precision") for name in raw},
            ),
            figures=tuple(shown),
            images=tuple(_described(name, raw[name], context) for name in raw),
            notes=tuple(context["notes"]),
            warnings=tuple(
                f"{name.upper()}: {warning}" for name in raw for warning in facts[name]["warnings"]
            ),
            lesions=tuple(measures["lesions"]),
            models=tuple(cards.values()),
            settings={
                "Template": context["template"],
                "Normalisation": context["normalisation"],
                "Random seed": context["seed"],
                **_networks(raw, facts),
                **{f"Settings hash, {name}": value for name, value in context["hashes"].items()},
            },
            software=context["versions"],
            fazekas=facts.get("fazekas", {}),
        )
    )
    return page, _example(files, raw, ct_on_flair)


def _example(
    files: Mapping[str, str], raw: Mapping[str, str], ct_on_flair: np.ndarray | None
) -> bytes | None:
    space = "flair" if "flair" in raw else "ct"
    image = load_image(files[f"{space}_image"])
    grid = grid_of(image)
    brain = _brain(f"{space}_used_brain", files, raw, grid)
    array = np.asarray(image.dataobj)
    window = CT_WINDOW if space == "ct" else image_window(array, brain)
    lesions = _on(files[f"{space}_in_{space}_mask"], grid) >= 0.5
    shown = [Shown(space.upper(), array, lesions, window)]
    if ct_on_flair is not None:
        lesions = _on(files["ct_in_flair_mask"], grid) >= 0.5
        shown.insert(0, Shown("CT", ct_on_flair, lesions, CT_WINDOW))
    return example(shown, grid.affine, brain=brain)


def _ct_on_flair(files: Mapping[str, str]) -> np.ndarray:
    """Return the CT of a pair on the FLAIR's grid, in HU."""
    ct = load_image(files["ct_image"])
    return resample(
        np.asarray(ct.dataobj),
        ct.affine,
        grid_of(load_image(files["flair_image"])),
        np.loadtxt(files["flair_to_ct"]),
        fill=-1000.0,
        average=True,
    )


def _networks(raw: Mapping[str, str], facts: Mapping[str, Any]) -> dict[str, str]:
    """Say what each network ran on and in; nothing where a former version did not record it."""
    found = {name: facts[name]["network"] for name in raw if "network" in facts[name]}
    rows = {}
    for name, network in found.items():
        rows[f"Network, {name.upper()}"] = f"{network['device']}, {network['precision']}"
        if (left_out := network.get("islands_ml")) is not None:
            rows[f"Left out outside white matter, {name.upper()}"] = f"{left_out:.2f} mL"
        if (fluid := network.get("fluid_ml")) is not None:
            rows[f"Left out as fluid of the ventricles, {name.upper()}"] = f"{fluid:.2f} mL"
    return rows


def _described(name: str, path: str, context: Mapping[str, Any]) -> dict[str, str]:
    image = nib.load(path)
    spacing = grid_of(image).spacing
    return {
        "Image": name.upper(),
        "File": Path(path).relative_to(context["bids_dir"]).as_posix(),
        "Voxels": " × ".join(str(size) for size in image.shape[:3]),
        "Voxel size (mm)": " × ".join(f"{size:.2f}" for size in spacing),
        "Orientation": "".join(nib.aff2axcodes(image.affine)),
    }


def _on(path: str, grid: Grid, order: int = 1) -> np.ndarray:
    image = load_image(path)
    return resample(np.asarray(image.dataobj), image.affine, grid, order=order)


def _native_mask(key: str, files: Mapping[str, str], raw: Mapping[str, str]) -> nib.Nifti1Image:
    """Return a mask on its input image's grid.

    The derivative lies on that, and a report that is written again has nothing else.
    """
    native = grid_of(nib.load(raw[key.split("_")[0]]))
    return nib.Nifti1Image(on_native(files[key], native).astype(np.float32), native.affine)


def _brain(key: str, files: Mapping[str, str], raw: Mapping[str, str], grid: Grid) -> np.ndarray:
    """Bring a brain mask onto a grid of its image's space, by way of the input image's grid."""
    mask = _native_mask(key, files, raw)
    return resample(np.asarray(mask.dataobj), mask.affine, grid) >= 0.5


def _image_figures(name: str, files: Mapping[str, str], raw: Mapping[str, str]) -> list[Figure]:
    """Return the outlines and the maps of one image."""
    image = load_image(files[f"{name}_image"])
    array, grid = np.asarray(image.dataobj), grid_of(image)
    brain = _brain(f"{name}_used_brain", files, raw, grid)
    lesions = _on(files[f"{name}_in_{name}_mask"], grid) >= 0.5
    probability = _on(files[f"{name}_in_{name}_probability"], grid)
    disagreement = _on(files[f"{name}_in_{name}_disagreement"], grid)
    shown = (name.upper(), array, grid.affine)
    return [
        pictures.segmentation(*shown, brain=brain, lesions=lesions),
        pictures.uncertainty(
            *shown, brain=brain, probability=probability, disagreement=disagreement
        ),
    ]


def _registration_figures(
    files: Mapping[str, str], raw: Mapping[str, str], ct_on_flair: np.ndarray
) -> tuple[Figure, ...]:
    """Return the checkerboard and the flicker of the pair, in FLAIR space."""
    flair = load_image(files["flair_image"])
    grid = grid_of(flair)
    brain = _brain("flair_used_brain", files, raw, grid)
    return pictures.alignment(ct_on_flair, np.asarray(flair.dataobj), grid.affine, brain=brain)


def _mask_figure(files: Mapping[str, str], raw: Mapping[str, str]) -> Figure:
    """Return the outlines of the brain masks of a pair's CT."""
    image = load_image(files["ct_image"])
    grid = grid_of(image)
    own, used = (_brain(f"ct_{name}", files, raw, grid) for name in ("brain", "used_brain"))
    flair_brain = _native_mask("flair_used_brain", files, raw)
    carried = carry(flair_brain, grid, np.loadtxt(files["flair_to_ct"]))
    return pictures.brain_masks(
        np.asarray(image.dataobj), grid.affine, own=own, carried=carried, used=used
    )


def _normalisation_figure(name: str, files: Mapping[str, str], raw: Mapping[str, str]) -> Figure:
    """Return the template's brain over one image."""
    image = load_image(files[f"{name}_image"])
    grid = grid_of(image)
    brain, template = (
        _brain(f"{name}_{mask}", files, raw, grid) for mask in ("used_brain", "template_brain")
    )
    return pictures.normalisation(
        name.upper(), np.asarray(image.dataobj), grid.affine, brain=brain, template_brain=template
    )
