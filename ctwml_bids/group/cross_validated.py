"""Which table of a unit counts: a subject that networks were trained on has out-of-fold results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from ctwml_bids.bids import names
from ctwml_bids.bids.files import read_tsv
from ctwml_bids.bids.outputs import is_current
from ctwml_bids.reading import read_json
from ctwml_bids.statistics.tables import MISSING


def preferred(
    output_dir: Path, table: Path, subject: str, session: str | None, label: str
) -> tuple[Path, dict[str, str]]:
    """Return the out-of-fold table of a unit instead of the participant's, where it has one.

    One that was made from other images than the participant's is ignored. Of another training
    (without this label) it counts only if it is that whose model the participant's table is of.

    Parameters
    ----------
    output_dir
        The derivative data set.
    table
        The participant level's.
    subject, session
        Of the unit.
    label
        The ``--desc`` of the run whose tables are read.

    Returns
    -------
    table
        The one that counts.
    out_of_fold
        Each image whose row, and whose maps, are out of fold → the label of that training.
    """
    images = input_images(output_dir / names.status(subject, session, model_label=label))
    for other in dict.fromkeys((label, "")):
        found = output_dir / names.cross_validated_stats(subject, session, model_label=other)
        if images and is_current(found, images) and (other == label or _is_of(table, found)):
            return found, dict.fromkeys(_validated(found), other)
    return table, {}


def picture_of(
    row: Mapping[str, object], subject: str, session: str | None, label: str
) -> PurePosixPath:
    """Return the example picture with the lesions that a unit's row is about.

    Parameters
    ----------
    row
        Of units.tsv, with the label of the training that its out-of-fold results are of.
    subject, session
        Of the unit.
    label
        The ``--desc`` of the run whose tables are read.
    """
    if row["out_of_fold"] != MISSING:
        trained = str(row["out_of_fold_label"])
        return names.example(subject, session, model_label=trained, cross_validated=True)
    return names.example(subject, session, model_label=label)


def input_images(status: Path) -> dict[str, str]:
    """Return the images that the participant level read → SHA-256; {} if that is not known."""
    try:
        inputs = read_json(status)["request"]["inputs"]
        return {name: facts[-1] for name, facts in inputs.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return {}


def _is_of(table: Path, found: Path) -> bool:
    """Tell whether a table is of the model that came of the training with out-of-fold results."""
    trained, used = _models(found), _models(table)
    return any(trained.get(image) == used.get(image) for image in _validated(found))


def _validated(table: Path) -> list[str]:
    """Return the images whose rows of a table are out of fold."""
    about = read_json(names.sidecar(table))
    return list(about["CrossValidation"])


def _models(table: Path) -> dict[str, str]:
    """Return the model that a table's segmentation of each image is of."""
    return {row["image"]: row["model"] for row in read_tsv(table)}
