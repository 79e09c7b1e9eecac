"""Reports on their own, from what a run left in the output folder."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from ctwml_bids.bids import names
from ctwml_bids.bids.files import read_tsv, write_bytes, write_text
from ctwml_bids.bids.units import Unit
from ctwml_bids.errors import BadDataError, NoInputError
from ctwml_bids.preprocessing.grids import grid_of
from ctwml_bids.preprocessing.template_fit import template_fit
from ctwml_bids.preprocessing.transforms import read_itk
from ctwml_bids.reading import read_json
from ctwml_bids.statistics.tables import read_cell
from ctwml_bids.statistics.thresholds import stated
from ctwml_bids.unit.modalities import FUNCTIONS
from ctwml_bids.unit.model_cards import recalled
from ctwml_bids.unit.records import Facts, InfarctMaps, Maps, Measures, RunFacts
from ctwml_bids.unit.reporting import ImageShown, PairShown, UnitShown, report_unit
from ctwml_bids.unit.work_files import load_mask, save_image, save_matrix


def rewrite_report(unit: Unit, run: RunFacts) -> Path:
    """Write one unit's report again from its derivatives and its input images.

    Parameters
    ----------
    unit
        A unit that has finished.
    run
        What is known of this run.

    Returns
    -------
    Path
        The report.

    Raises
    ------
    NoInputError
        The unit has no statistics table or lacks a derivative.
    """
    who, label = (unit.subject, unit.session), run.model_label
    measures, stored = _read_measures(
        run.output_dir / names.stats(*who, model_label=label),
        run.output_dir / names.stats(*who, model_label=label, desc="wmllesions"),
    )
    if run.fazekas:
        rows, statements = stated(measures.rows, run.fazekas)
        measures = replace(measures, rows=rows, facts={**measures.facts, "fazekas": statements})
    with tempfile.TemporaryDirectory() as scratch:
        carried = measures.facts.get("registration", {}).get("mask_from") == "FLAIR"
        as_run, cards = _as_run(run, stored)
        told = replace(unit, notes=tuple(stored["Notes"]))
        # Where the statistics hold the cards themselves.
        within = names.sidecar(names.stats(*who, model_label=label))
        found = _shown(
            told,
            as_run,
            {image: card or within for image, card in cards.items()},
            Path(scratch),
            carried=carried,
        )
        page, picture = report_unit(found, measures)
    if picture is not None:
        write_bytes(run.output_dir / names.example(*who, model_label=label), picture)
    return write_text(run.output_dir / names.report(*who, model_label=label), page)


def _read_measures(table: Path, lesions: Path) -> tuple[Measures, Facts]:
    """Read what was measured, and the table's sidecar."""
    sidecar = table.with_suffix(".json")
    if not (table.is_file() and sidecar.is_file() and lesions.is_file()):
        raise NoInputError(
            f"{table}: is not there; run the participant level for this unit before asking for "
            "its report"
        )
    try:
        stored = read_json(sidecar)
        gates, qc, facts = (stored[name] for name in ("QualityGates", "QualityControl", "Facts"))
        if not all(isinstance(stored[name], dict) for name in ("Models", "Facts")):
            raise TypeError("Models or Facts is no object {...}")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadDataError(
            f"{sidecar}: is not as it was written ({error!r:.200}); run the participant level for "
            "this unit again"
        ) from error
    return Measures(
        rows=_rows(table), lesions=_rows(lesions), gates=gates, qc=qc, facts=facts
    ), stored


def _as_run(run: RunFacts, stored: Facts) -> tuple[RunFacts, dict[str, PurePosixPath | None]]:
    """Return what the unit's run said of itself, not what this one would say; and its cards."""
    try:
        models = {
            image: recalled(run.output_dir, stated) for image, stated in stored["Models"].items()
        }
    except (TypeError, KeyError, ValueError) as error:
        raise BadDataError(
            f"its statistics name a model in a way that this version does not know ({error}); run "
            "the participant level for this unit again"
        ) from error
    settings = stored.get("Settings", {})
    as_run = replace(
        run,
        template=replace(run.template, name=settings.get("template", run.template.name)),
        normalisation=settings.get("normalisation", run.normalisation),
        seed=settings.get("seed", run.seed),
        cards={image: card for image, (card, _) in models.items()},
        versions=stored["Software"],
        hashes=stored["SettingsHashes"],
    )
    return as_run, {image: file for image, (_, file) in models.items()}


def _rows(path: Path) -> list[Facts]:
    try:
        rows = read_tsv(path)
    except ValueError as error:
        raise BadDataError(
            f"{path}: is not as it was written ({error}); run the participant level for this unit "
            "again"
        ) from error
    return [{name: read_cell(name, text) for name, text in row.items()} for row in rows]


def _shown(
    unit: Unit,
    run: RunFacts,
    cards: Mapping[str, PurePosixPath],
    scratch: Path,
    *,
    carried: bool,
) -> UnitShown:
    """Find the files that a report needs among the derivatives; images are read anew.

    The brain mask is the one that was used: with `carried`, the CT's is the FLAIR's.
    """
    images = {
        name: _image_shown(unit, run, name, scratch, carried=carried and name == "ct")
        for name in unit.images
    }
    if len(images) == 1:
        return UnitShown(unit, run, images, cards)
    who, there = (unit.subject, unit.session), partial(_there, run)
    lesions = names.wml(*who, space="FLAIR", seen_in="ct", model_label=run.model_label)
    flair_to_ct = read_itk(there(names.xfm(*who, source="CT", target="FLAIR")))
    pair = PairShown(
        **images,
        ct_in_flair=there(lesions),
        flair_to_ct=save_matrix(flair_to_ct, str(scratch / "flair_to_ct.txt")),
    )
    return UnitShown(unit, run, images, cards, pair)


def _image_shown(
    unit: Unit, run: RunFacts, name: str, scratch: Path, *, carried: bool
) -> ImageShown:
    """Read one image anew, and find its derivatives."""
    raw = str(unit.images[name])
    image = FUNCTIONS[name].read(raw, settled=True).image
    who, space, there = (unit.subject, unit.session), name.upper(), partial(_there, run)

    def lesions(of: Callable[..., PurePosixPath], kind: str) -> str:
        label = run.model_label
        return there(of(*who, space=space, seen_in=name, kind=kind, model_label=label))

    infarct = None
    if run.cards[name].has_infarcts:
        infarct = InfarctMaps(
            lesions(names.infarct, "mask"),
            lesions(names.infarct, "probseg"),
            lesions(names.infarct, "std"),
        )
    brain = there(names.brain_mask(*who, space=space, carried=carried))
    mask = load_mask(brain)
    xfm = there(names.xfm(*who, source=space, target=run.template.name))
    template_brain, _ = template_fit(mask, load_mask(str(run.template.brain_mask)), read_itk(xfm))
    return ImageShown(
        raw=raw,
        image=save_image(
            np.asarray(image.dataobj, dtype=np.float32),
            grid_of(image),
            str(scratch / f"{name}.nii"),
        ),
        own=there(names.brain_mask(*who, space=space)),
        brain=brain,
        lesions=Maps(
            lesions(names.wml, "mask"),
            lesions(names.wml, "probseg"),
            lesions(names.wml, "std"),
            infarct,
        ),
        template_brain=save_image(
            template_brain.astype(np.uint8),
            grid_of(mask),
            str(scratch / f"{name}_template_brain.nii"),
        ),
    )


def _there(run: RunFacts, name: PurePosixPath) -> str:
    """Return the path of a derivative that has to be there."""
    path = run.output_dir / name
    if not path.is_file():
        raise NoInputError(f"{path}: is not there; run the participant level again")
    return str(path)
