"""Reports and the methods text on their own, from what a run left in the output folder."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ctwml_bids.bids import names
from ctwml_bids.bids.files import read_tsv, write_bytes, write_text
from ctwml_bids.bids.units import Unit
from ctwml_bids.errors import BadDataError, NoInputError
from ctwml_bids.reports.methods import methods
from ctwml_bids.statistics.tables import read_cell
from ctwml_bids.statistics.thresholds import from_record, stated


def boilerplate(
    *,
    version: str,
    template: str,
    normalisation: str,
    models: Mapping[str, Mapping[str, Any]],
) -> str:
    """Return the methods text of a run, as plain text with its references."""
    found = methods(version=version, template=template, normalisation=normalisation, models=models)
    return found.text()


def rewrite_report(unit: Unit, context: Mapping[str, Any], template_mask: Path) -> Path:
    """Write one unit's report again from its derivatives and its input images.

    Parameters
    ----------
    unit
        A unit that has finished.
    context
        What is known of the unit and the run, as the workflow has it.
    template_mask
        Brain mask of the run's template.

    Returns
    -------
    Path
        The report.

    Raises
    ------
    NoInputError
        The unit has no statistics table or lacks a derivative.
    """
    from ctwml_bids.unit.reporting import report_unit

    output_dir, label = Path(context["output_dir"]), context["model_label"]
    raw = {
        image: str(getattr(unit, image))
        for image in ("ct", "flair")
        if getattr(unit, image) is not None
    }
    measures, as_run = _read_measures(
        output_dir / names.stats(unit.subject, unit.session, model_label=label),
        output_dir / names.stats(unit.subject, unit.session, model_label=label, desc="wmllesions"),
    )
    if context.get("fazekas"):
        measures["rows"], statements = stated(measures["rows"], from_record(context["fazekas"]))
        measures["facts"]["fazekas"] = statements
    with tempfile.TemporaryDirectory() as scratch:
        carried = measures["facts"].get("registration", {}).get("mask_from") == "FLAIR"
        files = _derivative_files(unit, raw, output_dir, label, Path(scratch), carried=carried)
        for image in raw:
            xfm = names.xfm(
                unit.subject, unit.session, source=image.upper(), target=context["template"]
            )
            files[f"{image}_template_brain"] = _template_brain(
                files[f"{image}_used_brain"],
                template_mask,
                output_dir / xfm,
                Path(scratch) / f"{image}_template_brain.nii",
            )
        page, picture = report_unit(files, raw, {**context, **as_run}, measures)
    if picture is not None:
        name = names.example(unit.subject, unit.session, model_label=label)
        write_bytes(output_dir / name, picture)
    return write_text(
        output_dir / names.report(unit.subject, unit.session, model_label=label), page
    )


def _read_measures(table: Path, lesions: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read what was measured, and what the run said of itself: not what this one would say."""
    sidecar = table.with_suffix(".json")
    if not (table.is_file() and sidecar.is_file() and lesions.is_file()):
        raise NoInputError(
            f"{table}: is not there; run the participant level for this unit before asking for "
            "its report"
        )
    stored = json.loads(sidecar.read_text(encoding="utf-8"))
    measures = {
        "rows": _rows(table),
        "lesions": _rows(lesions),
        "gates": stored["QualityGates"],
        "qc": stored["QualityControl"],
        "facts": stored["Facts"],
    }
    as_run = {
        "notes": stored["Notes"],
        "models": stored["Models"],
        "versions": stored["Software"],
        "hashes": stored["SettingsHashes"],
        **stored.get("Settings", {}),
    }
    return measures, as_run


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        rows = read_tsv(path)
    except ValueError as error:
        raise BadDataError(
            f"{path}: is not as it was written ({error}); run the participant level for this unit "
            "again"
        ) from error
    return [{name: read_cell(name, text) for name, text in row.items()} for row in rows]


def _derivative_files(
    unit: Unit,
    raw: Mapping[str, str],
    output_dir: Path,
    label: str,
    scratch: Path,
    *,
    carried: bool,
) -> dict[str, str]:
    """Find the files that a report needs among the derivatives; images are read anew.

    The brain mask is the one that was used: with `carried`, the CT's is the FLAIR's.
    """
    import numpy as np

    from ctwml_bids.preprocessing.grids import grid_of
    from ctwml_bids.preprocessing.hounsfield import read_ct
    from ctwml_bids.preprocessing.images import read_flair
    from ctwml_bids.preprocessing.transforms import read_itk
    from ctwml_bids.unit.work_files import save_image, save_matrix

    who = (unit.subject, unit.session)
    files: dict[str, Path | str] = {}
    for image in raw:
        read = read_ct if image == "ct" else read_flair
        loaded = read(raw[image], settled=True)
        files[f"{image}_image"] = save_image(
            np.asarray(loaded.image.dataobj, dtype=np.float32),
            grid_of(loaded.image),
            str(scratch / f"{image}.nii"),
        )
        files[f"{image}_used_brain"] = output_dir / names.brain_mask(
            *who, space=image.upper(), carried=carried and image == "ct"
        )
        for name, kind in (("mask", "mask"), ("probability", "probseg"), ("disagreement", "std")):
            files[f"{image}_in_{image}_{name}"] = output_dir / names.wml(
                *who, space=image.upper(), seen_in=image, kind=kind, model_label=label
            )
    if len(raw) == 2:
        files["ct_brain"] = output_dir / names.brain_mask(*who, space="CT")
        files["ct_in_flair_mask"] = output_dir / names.wml(
            *who, space="FLAIR", seen_in="ct", model_label=label
        )
        xfm = output_dir / names.xfm(*who, source="CT", target="FLAIR")
        files["flair_to_ct"] = save_matrix(read_itk(xfm), str(scratch / "flair_to_ct.txt"))
    missing = [str(path) for path in files.values() if not Path(path).is_file()]
    if missing:
        raise NoInputError(f"{missing[0]}: is not there; run the participant level again")
    return {name: str(path) for name, path in files.items()}


def _template_brain(brain: str, template_mask: Path, xfm: Path, path: Path) -> str:
    """Save the template's brain on the grid of an image's brain mask."""
    import numpy as np

    from ctwml_bids.preprocessing.grids import grid_of
    from ctwml_bids.preprocessing.template_fit import template_fit
    from ctwml_bids.preprocessing.transforms import read_itk
    from ctwml_bids.unit.work_files import load_mask, save_image

    if not xfm.is_file():
        raise NoInputError(f"{xfm}: is not there; run the participant level again")
    native = load_mask(brain)
    found, _ = template_fit(native, load_mask(str(template_mask)), read_itk(xfm))
    return save_image(found.astype(np.uint8), grid_of(native), str(path))
