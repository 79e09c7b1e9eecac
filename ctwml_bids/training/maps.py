"""A unit's out-of-fold maps as derivatives, measured as the participant level measures its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path, PurePosixPath

import numpy as np

from ctwml_bids.bids import dataset, names
from ctwml_bids.bids.files import write_bytes, write_json, write_nifti
from ctwml_bids.bids.lesion_maps import OF_INFARCTS, OF_WML, LesionMaps
from ctwml_bids.image_files import load_nifti
from ctwml_bids.modality import OTHER
from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on
from ctwml_bids.preprocessing.normalisation import from_grid, rounded
from ctwml_bids.segmentation.classes import exclusive_masks
from ctwml_bids.statistics import overlap
from ctwml_bids.statistics.columns import ACCURACY_NAMES
from ctwml_bids.training.heads import Case, true_wml
from ctwml_bids.training.measuring import (
    dark_unmarked_ml,
    fluid_on_grid,
    looked_up,
    measure,
    on_grid_of,
    ventricle_mask_of,
)
from ctwml_bids.training.picture import picture
from ctwml_bids.training.setup import Training
from ctwml_bids.training.tables import write_table

# Thresholds whose Dice is reported beside that of the one that is used.
THRESHOLDS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)


def write_case(
    case: Case,
    mean: np.ndarray,
    disagreement: np.ndarray,
    training: Training,
    about: Mapping[str, object],
    infarct: tuple[np.ndarray, np.ndarray] | None = None,
) -> dict[str, object]:
    """Write a unit's out-of-fold maps, table and example picture.

    Parameters
    ----------
    case
        The unit.
    mean, disagreement
        Of the WML probability: mean and SD over the repeats, (x, y, z) on the network's grid.
    training
        The training.
    about
        What sidecars say of the cross-validation.
    infarct
        Mean and SD of the infarct probability, likewise; None of networks of two classes.

    Returns
    -------
    dict
        Its row of the accuracy table, and under "sweep" its Dice at each of `THRESHOLDS`.
    """
    frame = case.matrix("template", case.modality)
    fluid = fluid_on_grid(case, frame, training)
    in_fluid = _masks(training, mean[fluid], None if infarct is None else infarct[0][fluid])
    left_out = sum(np.count_nonzero(mask) for mask in in_fluid if mask is not None)
    left_out_ml = left_out * training.grid.voxel_ml
    left_out_ml *= float(abs(np.linalg.det(frame[:3, :3])))
    maps = [(mean, disagreement), *([infarct] if infarct is not None else [])]
    probabilities, masks, infarcts, grids = {}, {}, {}, {}
    for space, path in case.images.items():
        grids[space] = grid_of(load_nifti(path))
        transform = case.matrix(case.modality, space) @ frame
        found = [
            tuple(
                rounded(
                    from_grid(np.where(fluid, 0, array), training.grid, transform, grids[space])
                )
                for array in pair
            )
            for pair in maps
        ]
        probabilities[space] = found[0][0], found[1][0] if infarct is not None else None
        masks[space], infarcts[space] = _masks(training, *probabilities[space])
        for of, (probability, spread), mask in zip(
            (OF_WML, OF_INFARCTS), found, (masks[space], infarcts[space]), strict=False
        ):
            arrays = {"cv": probability, "cvmask": np.asarray(mask, dtype=np.uint8)}
            if training.recipe.repeats > 1:
                arrays["cvstd"] = spread
            else:
                _drop(case, space, training, of, ("cvstd",))
            _write_maps(case, space, arrays, grids[space], training, about, of)
        if infarct is None:
            _drop(case, space, training, OF_INFARCTS, ("cv", "cvmask", "cvstd"))
    own = case.modality
    measures, gates = measure(
        case, probabilities[own][0], masks[own], grids[own], frame, left_out_ml, training
    )
    seen = _in_one_space(case, masks, training)
    write_table(
        case,
        measures,
        gates,
        seen,
        training,
        about,
        _ml(infarcts[own], grids[own]),
        dark_unmarked_ml(case, infarcts[own], grids[own], frame, training),
    )
    _write_picture(case, seen, grids["flair" if "flair" in grids else "ct"], training)
    grid = grids[case.truth_space]
    truth = looked_up(true_wml(case), grid)
    wml, of_infarct = probabilities[case.truth_space]
    agreed = overlap.compare(masks[case.truth_space], truth, affine=grid.affine)
    return {
        "unit": case.label,
        "participant_id": case.participant,
        "fazekas": case.fazekas,
        "truth_ml": float(np.count_nonzero(truth)) * grid.voxel_ml,
        "cv_ml": measures.wml_ml,
        **{ACCURACY_NAMES.get(name, name): value for name, value in asdict(agreed).items()},
        **_infarct_accuracy(case, infarcts, grids),
        "sweep": dice_by_threshold(wml, truth, of_infarct, training.recipe.infarct_threshold),
    }


def _masks(
    training: Training, wml: np.ndarray, infarct: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    recipe = training.recipe
    return exclusive_masks(wml, recipe.threshold, infarct, recipe.infarct_threshold)


def dice_by_threshold(
    wml: np.ndarray,
    truth: np.ndarray,
    infarct: np.ndarray | None = None,
    infarct_threshold: float | None = None,
) -> list[float]:
    """Return the Dice of the WML mask with the truth at each of `THRESHOLDS`.

    Parameters
    ----------
    wml, infarct, infarct_threshold
        As of `exclusive_masks`; the threshold of infarcts stays as it is.
    truth
        bool, of that shape.
    """
    found = (exclusive_masks(wml, t, infarct, infarct_threshold)[0] for t in THRESHOLDS)
    return [overlap.dice(mask, truth) for mask in found]


def _ml(mask: np.ndarray | None, grid: Grid) -> float | None:
    return None if mask is None else float(np.count_nonzero(mask)) * grid.voxel_ml


def _infarct_accuracy(
    case: Case, infarcts: Mapping[str, np.ndarray | None], grids: Mapping[str, Grid]
) -> dict[str, float | None]:
    """Compare the infarcts with the drawn ones; without any, all that is found is wrong."""
    space = case.infarcts_space or case.truth_space
    found, grid = infarcts[space], grids[space]
    if found is None:
        return {}
    truth = np.zeros_like(found) if case.infarcts is None else on_grid_of(case.infarcts, grid)
    return {
        "infarct_truth_ml": _ml(truth, grid),
        "infarct_cv_ml": _ml(found, grid),
        "infarct_dice": overlap.dice(found, truth),
    }


# Kinds of out-of-fold maps, as in their names, with the words of `LesionMaps`.
_SHOWS = {
    "cv": "Out-of-fold {0.probability}",
    "cvmask": "{0.plural}",
    "cvstd": "Standard deviation over the repeats of the {0.probability}",
}


def _write_maps(
    case: Case,
    space: str,
    arrays: Mapping[str, np.ndarray],
    grid: Grid,
    training: Training,
    about: Mapping[str, object],
    of: LesionMaps,
) -> None:
    recipe, sources = training.recipe, _sources(case, space, training)
    threshold = recipe.threshold if of is OF_WML else recipe.infarct_threshold
    other_threshold = "InfarctThreshold" if of is OF_WML else "Threshold"
    both = (OF_WML, OF_INFARCTS) if recipe.network.has_infarcts else (OF_WML,)
    probabilities = [_map_name(case, case.modality, space, "cv", training.label, n) for n in both]
    told = {name: value for name, value in about.items() if name != other_threshold}
    for kind, array in arrays.items():
        name = _map_name(case, case.modality, space, kind, training.label, of)
        is_mask = kind == "cvmask"
        write_nifti(training.settings.output_dir / name, image_on(array, grid))
        sidecar = dataset.map_sidecar(
            sources=[*sources, *(map(names.bids_uri, probabilities) if is_mask else [])],
            space=space.upper(),
            spatial_reference=_raw(case, space, training),
            kind="Lesion" if is_mask else None,
            threshold=threshold if is_mask else None,
            model=training.model_name,
            description=f"{_SHOWS[kind].format(of)} seen in the {case.modality.upper()} by "
            "networks that were not trained on this subject: "
            f"{'' if kind == 'cvstd' else 'mean over '}{recipe.repeats} repeats of a "
            f"{recipe.folds}-fold cross-validation",
        )
        write_json(
            training.settings.output_dir / names.sidecar(name),
            {**sidecar, "CrossValidation": told},
        )


def _drop(
    case: Case, space: str, training: Training, of: LesionMaps, kinds: tuple[str, ...]
) -> None:
    """Remove maps that a former training, with more repeats or with infarcts, left."""
    for kind in kinds:
        name = _map_name(case, case.modality, space, kind, training.label, of)
        for path in (name, names.sidecar(name)):
            (training.settings.output_dir / path).unlink(missing_ok=True)


def _map_name(
    case: Case, seen: str, space: str, kind: str, label: str, of: LesionMaps = OF_WML
) -> PurePosixPath:
    return of.name(
        case.subject,
        case.session,
        space=space.upper(),
        seen_in=seen,
        kind=kind,
        model_label=label,
    )


def _raw(case: Case, image: str, training: Training) -> str:
    return names.bids_uri(case.images[image], training.settings.bids_dir, dataset="raw")


def _sources(case: Case, space: str, training: Training) -> list[str]:
    frame = case.transforms[case.modality, "template"]
    made = [case.brain, frame, ventricle_mask_of(case, training)]
    if space != case.modality:
        made.append(case.transforms[case.modality, space])
    raw = [_raw(case, case.modality, training)]
    raw += [_raw(case, space, training)] if space != case.modality else []
    return [*raw, *(names.bids_uri(path, training.settings.output_dir) for path in made)]


def _in_one_space(
    case: Case, masks: Mapping[str, np.ndarray], training: Training
) -> dict[str, np.ndarray]:
    """Return the lesions seen in each image: of a pair in FLAIR space, the other's too."""
    if len(case.images) == 1:
        return {case.modality: masks[case.modality]}
    other = OTHER[case.modality]
    return {
        case.modality: masks["flair"],
        other: _other_mask(case, other, training.settings.output_dir, training.label),
    }


def _write_picture(
    case: Case, seen: Mapping[str, np.ndarray], grid: Grid, training: Training
) -> None:
    of = (case.subject, case.session)
    space = "FLAIR" if "flair" in case.images else "CT"
    out = training.settings.output_dir
    png = picture(case, seen, grid, out / names.brain_mask(*of, space=space))
    if png is not None:
        name = names.example(*of, model_label=training.label, cross_validated=True)
        write_bytes(out / name, png)


def _other_mask(case: Case, seen: str, out: Path, label: str) -> np.ndarray:
    """Load the other image's lesions in FLAIR space, out-of-fold ones where they are there."""
    choices = [(kind, name) for name in dict.fromkeys((label, "")) for kind in ("cvmask", "mask")]
    paths = [out / _map_name(case, seen, "flair", kind, name) for kind, name in choices]
    path = next((path for path in paths if path.is_file()), paths[-1])
    return on_grid_of(path, grid_of(load_nifti(case.images["flair"])))
