"""A unit's out-of-fold maps as derivatives, measured as the participant level measures its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from ctwml_bids.bids import dataset, names
from ctwml_bids.bids.files import write_bytes, write_json, write_nifti
from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on, resample
from ctwml_bids.preprocessing.normalisation import from_grid, rounded
from ctwml_bids.preprocessing.ventricular_fluid import ventricular_fluid
from ctwml_bids.statistics import overlap, regions
from ctwml_bids.statistics.gates.gate import Gate
from ctwml_bids.statistics.gates.lesions import lesion_gates
from ctwml_bids.training.heads import Case
from ctwml_bids.training.tables import Writing, write_table

# Thresholds whose Dice is told beside that of the one that is used.
THRESHOLDS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)


def write_case(
    case: Case, mean: np.ndarray, disagreement: np.ndarray, writing: Writing
) -> dict[str, Any]:
    """Write a unit's out-of-fold maps, table and example picture.

    Parameters
    ----------
    case
        The unit.
    mean, disagreement
        Mean and SD over the repeats, (x, y, z) on the network's grid.
    writing
        How.

    Returns
    -------
    dict
        Its row of the accuracy table, and under "sweep" its Dice at each of `THRESHOLDS`.
    """
    frame = case.matrix("template", case.modality)
    fluid = _fluid(case, frame, writing)
    left_out_ml = np.count_nonzero(mean[fluid] > writing.threshold) * writing.grid.voxel_ml
    left_out_ml *= float(abs(np.linalg.det(frame[:3, :3])))
    mean, disagreement = (np.where(fluid, 0, array) for array in (mean, disagreement))
    probabilities, masks, grids = {}, {}, {}
    for space, path in case.images.items():
        grids[space] = grid_of(nib.load(path))
        transform = case.matrix(case.modality, space) @ frame
        probabilities[space], spread = (
            rounded(from_grid(array, writing.grid, transform, grids[space]))
            for array in (mean, disagreement)
        )
        masks[space] = probabilities[space] > writing.threshold
        arrays = {"cv": probabilities[space], "cvmask": masks[space].astype(np.uint8)}
        if writing.about["Repeats"] > 1:
            arrays["cvstd"] = spread
        else:
            _drop_spread(case, space, writing)
        _write_maps(case, space, arrays, grids[space], writing)
    found = (probabilities[case.modality], masks[case.modality], grids[case.modality])
    measures, gates = _measure(case, *found, frame, left_out_ml, writing)
    seen = _in_one_space(case, masks, writing)
    write_table(case, measures, gates, seen, writing)
    _write_picture(case, seen, grids["flair" if "flair" in grids else "ct"], writing)
    grid = grids[case.truth_space]
    truth = _on(case.truth, grid)
    found = overlap.compare(masks[case.truth_space], truth, affine=grid.affine)
    return {
        "unit": case.label,
        "participant_id": case.participant,
        "fazekas": case.fazekas,
        "truth_ml": float(np.count_nonzero(truth)) * grid.voxel_ml,
        "cv_ml": measures.wml_ml,
        **{ACCURACY_NAMES.get(name, name): value for name, value in asdict(found).items()},
        "sweep": [overlap.dice(probabilities[case.truth_space] > t, truth) for t in THRESHOLDS],
    }


# The reference is the truth here, whichever image it is on.
ACCURACY_NAMES = {"ct_only_ml": "cv_only_ml", "flair_only_ml": "truth_only_ml"}
ACCURACY_COLUMNS: dict[str, dict[str, str]] = {
    "unit": {"Description": "Subject, or subject and session"},
    "participant_id": {"Description": "Subject"},
    "fazekas": {"Description": "Fazekas grade of a visual rating, where participants.tsv has one"},
    "truth_ml": {"Description": "Volume of the lesions to learn from", "Units": "mL"},
    "cv_ml": {
        "Description": "Volume of the out-of-fold segmentation, in its image's space",
        "Units": "mL",
    },
    "dice": {"Description": "Dice overlap of both in the truth's space; 1 if both are empty"},
    "both_empty": {"Description": "Neither has a lesion: the Dice of 1 says nothing"},
    "true_positive_ml": {"Description": "Lesion volume in both", "Units": "mL"},
    "cv_only_ml": {"Description": "Lesion volume in the segmentation alone", "Units": "mL"},
    "truth_only_ml": {"Description": "Lesion volume in the truth alone", "Units": "mL"},
    "h95_mm": {"Description": "95th-percentile Hausdorff distance", "Units": "mm"},
    "avd_percent": {"Description": "Absolute volume difference", "Units": "%"},
    "lesion_recall": {"Description": "Share of true lesions that the segmentation touches"},
    "lesion_f1": {"Description": "F1 over 26-connected lesions"},
}


_SHOWS = {
    "cv": "Lesion probability",
    "cvmask": "White matter lesions",
    "cvstd": "Standard deviation over the repeats of the lesion probability",
}


def _write_maps(
    case: Case, space: str, arrays: Mapping[str, np.ndarray], grid: Grid, writing: Writing
) -> None:
    sources = _sources(case, space, writing)
    of_probability = _map_name(case, case.modality, space, "cv", writing.model_label)
    for kind, array in arrays.items():
        name = _map_name(case, case.modality, space, kind, writing.model_label)
        is_mask = kind == "cvmask"
        write_nifti(writing.output_dir / name, image_on(array, grid))
        sidecar = dataset.map_sidecar(
            sources=[*sources, *([names.bids_uri(of_probability)] if is_mask else [])],
            space=space.upper(),
            spatial_reference=_raw(case, space, writing),
            kind="Lesion" if is_mask else None,
            threshold=writing.threshold if is_mask else None,
            model=writing.model,
            description=f"{_SHOWS[kind]} seen in the {case.modality.upper()} by networks that were "
            f"not trained on this subject: {'' if kind == 'cvstd' else 'mean over '}"
            f"{writing.about['Repeats']} repeats of a {writing.about['Folds']}-fold "
            "cross-validation",
        )
        write_json(
            writing.output_dir / names.sidecar(name),
            {**sidecar, "CrossValidation": dict(writing.about)},
        )


def _drop_spread(case: Case, space: str, writing: Writing) -> None:
    """Remove the spread that a former training with more repeats left."""
    name = _map_name(case, case.modality, space, "cvstd", writing.model_label)
    for path in (name, names.sidecar(name)):
        (writing.output_dir / path).unlink(missing_ok=True)


def _map_name(case: Case, seen: str, space: str, kind: str, label: str) -> Any:
    return names.wml(
        case.subject,
        case.session,
        space=space.upper(),
        seen_in=seen,
        kind=kind,
        model_label=label,
    )


def _raw(case: Case, image: str, writing: Writing) -> str:
    return names.bids_uri(case.images[image], writing.bids_dir, dataset="raw")


def _sources(case: Case, space: str, writing: Writing) -> list[str]:
    frame = case.transforms[case.modality, "template"]
    made = [case.brain, frame, _ventricles(case, writing)]
    if space != case.modality:
        made.append(case.transforms[case.modality, space])
    raw = [_raw(case, case.modality, writing)]
    raw += [_raw(case, space, writing)] if space != case.modality else []
    return [*raw, *(names.bids_uri(path, writing.output_dir) for path in made)]


def _on(path: Path, grid: Grid) -> np.ndarray:
    """Load a mask on a grid that it should have; one of another grid is looked up at its points."""
    from ctwml_bids.training.pair_heads import load_mask

    mask = load_mask(path)
    array = np.asarray(mask.dataobj)
    if array.shape == grid.shape and np.allclose(mask.affine, grid.affine, atol=1e-3):
        return array > 0
    return resample(array, mask.affine, grid) >= 0.5


def _measure(
    case: Case,
    probability: np.ndarray,
    mask: np.ndarray,
    grid: Grid,
    frame: np.ndarray,
    left_out_ml: float,
    writing: Writing,
) -> tuple[regions.LesionMeasures, list[Gate]]:
    measures = regions.measure(
        mask,
        affine=grid.affine,
        probability=probability,
        brain=_on(case.brain, grid),
        ventricles=_on(_ventricles(case, writing), grid),
        left=regions.left_of_midline(grid.shape, grid.affine, np.linalg.inv(frame)),
    )
    return measures, lesion_gates(measures, left_out_ml, image=case.modality.upper())


def _ventricles(case: Case, writing: Writing) -> Path:
    space = case.modality.upper()
    return writing.output_dir / names.ventricle_mask(case.subject, case.session, space=space)


def _fluid(case: Case, frame: np.ndarray, writing: Writing) -> np.ndarray:
    """Find fluid on the network's grid: no lesion is there, as at the participant level."""
    from ctwml_bids.training.pair_heads import image_on_grid, load_mask

    image = case.images[case.modality]
    return ventricular_fluid(
        image_on_grid(image, case.modality, frame, writing.grid),
        load_mask(_ventricles(case, writing)),
        frame,
        writing.grid,
        hounsfield=case.modality == "ct",
    )


def _in_one_space(
    case: Case, masks: Mapping[str, np.ndarray], writing: Writing
) -> dict[str, np.ndarray]:
    """Return the lesions seen in each image: of a pair in FLAIR space, the other's too."""
    if len(case.images) == 1:
        return {case.modality: masks[case.modality]}
    other = "flair" if case.modality == "ct" else "ct"
    return {
        case.modality: masks["flair"],
        other: _other_mask(case, other, writing.output_dir, writing.model_label),
    }


def _write_picture(
    case: Case, seen: Mapping[str, np.ndarray], grid: Grid, writing: Writing
) -> None:
    from ctwml_bids.training.picture import picture

    of = (case.subject, case.session)
    space = "FLAIR" if "flair" in case.images else "CT"
    png = picture(case, seen, grid, writing.output_dir / names.brain_mask(*of, space=space))
    if png is not None:
        name = names.example(*of, model_label=writing.model_label, cross_validated=True)
        write_bytes(writing.output_dir / name, png)


def _other_mask(case: Case, seen: str, out: Path, label: str) -> np.ndarray:
    """Load the other image's lesions in FLAIR space, out-of-fold ones where they are there."""
    choices = [(kind, name) for name in dict.fromkeys((label, "")) for kind in ("cvmask", "mask")]
    paths = [out / _map_name(case, seen, "flair", kind, name) for kind, name in choices]
    path = next((path for path in paths if path.is_file()), paths[-1])
    return _on(path, grid_of(nib.load(case.images["flair"])))
