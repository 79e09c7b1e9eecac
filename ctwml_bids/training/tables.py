"""A unit's table of volumes with the rows of its out-of-fold segmentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ctwml_bids.bids import names
from ctwml_bids.bids.files import read_tsv, write_json, write_tsv
from ctwml_bids.bids.outputs import IMAGES_SHA256, is_current
from ctwml_bids.errors import NoInputError
from ctwml_bids.image_files import load_nifti
from ctwml_bids.preprocessing.grids import grid_of
from ctwml_bids.reading import read_json
from ctwml_bids.statistics import overlap, regions, tables
from ctwml_bids.statistics.columns import COLUMNS
from ctwml_bids.statistics.gates.gate import Gate, overall
from ctwml_bids.statistics.gates.infarcts import infarcts_or_dark_areas, names_of_both
from ctwml_bids.training.heads import Case
from ctwml_bids.training.setup import Training


def write_table(
    case: Case,
    measures: regions.LesionMeasures,
    gates: Sequence[Gate],
    seen: Mapping[str, np.ndarray],
    training: Training,
    about: Mapping[str, object],
    infarct_ml: float | None = None,
    dark_unmarked_ml: float | None = None,
) -> None:
    """Write the participant's table with the rows that the out-of-fold segmentation changes.

    Parameters
    ----------
    case
        The unit.
    measures
        Of the out-of-fold lesions, in their image's space.
    gates
        Of the out-of-fold lesions; they take the place of the participant level's of the same
        name. That of infarcts, or of dark areas, is made here.
    seen
        "ct" and/or "flair", the image that lesions were seen in → bool, (x, y, z); of a pair both,
        in FLAIR space.
    training
        The training.
    about
        What sidecars say of the cross-validation.
    infarct_ml
        Volume of the out-of-fold infarcts there; None of networks of two classes.
    dark_unmarked_ml
        With it, of a CT: volume of the dark areas that they do not cover (`ct_quality`).

    Raises
    ------
    NoInputError
        If the participant's table is missing.
    """
    out, label = training.settings.output_dir, training.label
    path = out / names.cross_validated_stats(case.subject, case.session, model_label=label)
    before = path if is_current(path, case.fingerprints) else _measured_table(out, case, label)
    rows: dict[str, Mapping[str, object]] = {row["image"]: row for row in read_tsv(before)}
    sidecar = read_json(names.sidecar(before))
    modality, facts = case.modality, sidecar.get("Facts", {})
    # The class of infarcts may have come, or gone, with this training.
    replaced = names_of_both(modality.upper())
    judged = {
        gate["name"]: gate for gate in sidecar["QualityGates"] if gate["name"] not in replaced
    }
    quality = dict(facts.get(modality, {}).get("quality", {}))
    quality.pop("dark_unmarked_ml", None)
    if dark_unmarked_ml is not None:
        quality["dark_unmarked_ml"] = dark_unmarked_ml
    if quality:
        facts = {**facts, modality: {**facts.get(modality, {}), "quality": quality}}
    of_infarcts = infarcts_or_dark_areas(infarct_ml, quality, image=modality.upper())
    judged |= {gate.name: asdict(gate) for gate in (*gates, *of_infarcts)}
    qc = overall(Gate(**gate) for gate in judged.values())
    pair = None
    if "pair" in rows and len(seen) == 2:
        affine = grid_of(load_nifti(case.images["flair"])).affine
        pair = overlap.compare(seen["ct"], seen["flair"], affine=affine)
    made = tables.unit_rows(
        {modality: measures},
        qc=qc,
        thresholds={modality: training.recipe.threshold},
        models={modality: training.model_name},
        infarcts_ml={modality: infarct_ml},
        pair=pair,
    )
    rows |= {str(row["image"]): row for row in made}
    rows = {image: {**row, "qc": qc} for image, row in rows.items()}
    validated = {**sidecar.get("CrossValidation", {}), modality: dict(about)}
    write_json(
        names.sidecar(path),
        {
            **sidecar,
            "Facts": facts,
            "QualityGates": list(judged.values()),
            "CrossValidation": validated,
            IMAGES_SHA256: dict(case.fingerprints),
        },
    )
    ordered = [rows[image] for image in ("ct", "flair", "pair") if image in rows]
    write_tsv(path, ordered, list(COLUMNS))


def _measured_table(output_dir: Path, case: Case, label: str) -> Path:
    """Return the participant level's table of a unit, that of a label where it has one."""
    for model_label in (label, ""):
        path = output_dir / names.stats(case.subject, case.session, model_label=model_label)
        if path.is_file():
            return path
    raise NoInputError(f"{path}: the table of {case.label} is missing; run `participant` again.")
