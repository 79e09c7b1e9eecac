"""What an output folder was made with, and whether another run may add to it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ctwml_bids import __version__
from ctwml_bids.bids import names
from ctwml_bids.bids.dataset import start_dataset
from ctwml_bids.bids.files import write_text
from ctwml_bids.bids.fingerprints import fingerprints, is_known
from ctwml_bids.bids.status import UnitStatus, statuses
from ctwml_bids.bids.units import Unit
from ctwml_bids.errors import CannotCreateError
from ctwml_bids.reading import is_name, read_json
from ctwml_bids.run.identity import Used, check_same_dataset, identity
from ctwml_bids.run.locks import hold, share
from ctwml_bids.run.preflight import Ready
from ctwml_bids.run.progress import run_name
from ctwml_bids.settings import (
    content_hash,
    differences,
    preprocessing_fields,
    segmentation_fields,
    to_toml,
)
from ctwml_bids.unit.model_cards import register_cards

RECORD = Path("logs") / "settings.json"
# Writing what all runs share takes a tenth of a second with 1,000 finished units, more on a network
# disk; the tasks of a job array that start together stand in line for it.
WAIT_S = 600.0
# Units whose images a run registers before it starts. All would have to be read first; a run that
# starts beside it with the same labels has most likely the first of them, too.
REGISTERED = 4
LIBRARIES = ("antspyx", "nipype", "nibabel", "numpy", "scipy", "torch")


def versions() -> dict[str, str]:
    """Give the versions of this program and of the libraries that results depend on."""
    return {"ctwml_bids": __version__, **{name: version(name) for name in LIBRARIES}}


def image() -> dict[str, str]:
    """Give name and checksum of the container image, as whoever started it told them, if any."""
    uri = os.environ.get("CTWML_CONTAINER_URI")
    return {"container": uri} if uri else {}


def hashes(ready: Ready) -> dict[str, str]:
    """Give both settings hashes of a run, as they go into every unit's status."""
    fields = _fields(ready)
    return {name: content_hash(fields[name]) for name in fields}


@contextmanager
def register_run(ready: Ready, started: datetime, units: Sequence[Unit]) -> Iterator[None]:
    """Check a run against what the output folder has, write it there, and let others see it.

    One run at a time does this, so that none loses what another has just written, and of two
    that do not belong together the second is refused although nothing has finished yet.

    Parameters
    ----------
    ready
        The run.
    started
        When it started.
    units
        What it is going to run.

    Yields
    ------
    None
        Other runs see this one until the block is left, or its process ends in any way.

    Raises
    ------
    CannotCreateError
        As `check_same_run`.
    TemporaryError
        Another run is at it for too long.
    """
    settings, output_dir = ready.settings, ready.settings.output_dir
    images = {
        unit.label: fingerprints(filter(None, (unit.ct, unit.flair)), settings.bids_dir)
        for unit in units[:REGISTERED]
    }
    with ExitStack() as held:
        with hold(output_dir / names.run_lock(), wait_s=WAIT_S):
            others = held.enter_context(share(output_dir / names.in_use()))
            check_same_run(ready, others=others)
            start_dataset(
                output_dir,
                settings.bids_dir,
                hashes=hashes(ready),
                model_label=settings.model_label,
            )
            register_cards(output_dir, ready.cards.values())
            write_record(ready, started, images, others=others)
        yield


def check_same_run(ready: Ready, *, others: bool = False) -> None:
    """Refuse to mix results of different data sets or settings in one output folder.

    Parameters
    ----------
    ready
        The run.
    others
        Whether other runs are at work on the folder.

    Raises
    ------
    CannotCreateError
        If finished units are there, or other runs are at work, with another data set, another
        preprocessing, or under the same label another model; the message says what differs and
        what to do.
    """
    settings, record = ready.settings, _read(ready.settings.output_dir)
    at_work = record.get("at_work", {}) if others else {}

    # Read no further than is needed: a task of a large array does not look at all others' units.
    def done() -> Iterator[UnitStatus]:
        return (status for status in statuses(settings.output_dir) if status.state == "done")

    check_same_dataset(
        settings.output_dir,
        settings.bids_dir,
        record.get("dataset"),
        (Used(status.label, status.request.get("inputs", {})) for status in done()),
        [Used(*item) for item in at_work.get("images", {}).items()] if others else None,
    )
    fields = _fields(ready)
    if changed := differences(
        record.get("preprocessing", fields["preprocessing"]), fields["preprocessing"]
    ):
        finished = any(True for _ in done())
        if finished or others:
            raise CannotCreateError(
                f"{settings.output_dir}: {_has(finished)} another preprocessing "
                f"({'; '.join(changed)}). Use the same settings or another output folder."
            )
    label = settings.model_label
    before = record.get("segmentation", {}).get(label, fields["segmentation"])
    if changed := differences(before, fields["segmentation"]):
        finished = any(status.model_label == label for status in done())
        if finished or label in at_work.get("models", ()):
            raise CannotCreateError(
                f"{settings.output_dir}: {_has(finished)} another model "
                f"({'; '.join(changed)}). Give --desc LABEL to keep both side by side, or "
                "another output folder."
            )


def write_record(
    ready: Ready, started: datetime, images: Mapping[str, object], *, others: bool = False
) -> None:
    """Write the settings of a run: for the next run's check, and as TOML for --config-file.

    Parameters
    ----------
    ready
        The run.
    started
        When it started; names the TOML file in ``logs/``.
    images
        Label of each unit by whose images others know the data set, to their `fingerprints`.
    others
        Whether other runs are at work on the folder; what they registered stays.
    """
    output_dir, label = ready.settings.output_dir, ready.settings.model_label
    record, fields = _read(output_dir), _fields(ready)
    at_work = record.get("at_work", {}) if others else {}
    record = {
        "dataset": identity(ready.settings.bids_dir),
        "preprocessing": fields["preprocessing"],
        "segmentation": {**record.get("segmentation", {}), label: fields["segmentation"]},
        "at_work": {
            "models": sorted({*at_work.get("models", ()), label}),
            "images": {**images, **at_work.get("images", {})},
        },
    }
    write_text(output_dir / RECORD, json.dumps(record, indent=2) + "\n")
    write_text(output_dir / "logs" / f"{run_name(started)}.toml", to_toml(ready.settings))


def drop_stale_scratch(folder: Path) -> None:
    """Empty a unit's scratch that other versions left: Nipype would take its steps for done.

    Parameters
    ----------
    folder
        Of one unit, below the work folder; made, with the versions written into it.
    """
    stamp, text = folder / "versions.json", json.dumps(versions(), sort_keys=True)
    if not stamp.is_file() or stamp.read_bytes() != text.encode():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        stamp.write_text(text, encoding="utf-8")


def _has(finished: bool) -> str:
    return "it has results of" if finished else "another run is at work there with"


def _fields(ready: Ready) -> dict[str, dict[str, object]]:
    return {
        "preprocessing": preprocessing_fields(ready.settings),
        "segmentation": segmentation_fields(ready.settings, ready.checksums),
    }


def _read(output_dir: Path) -> dict[str, Any]:
    """Read the record of a folder; of a damaged one what is as it was written."""
    try:
        record = read_json(output_dir / RECORD)
    except (OSError, ValueError):
        return {}
    parts = _objects(record)
    if "segmentation" in parts:
        parts["segmentation"] = _objects(parts["segmentation"])
    if "at_work" in parts:
        models, images = (parts["at_work"].get(name) for name in ("models", "images"))
        listed = models if isinstance(models, list) else []
        parts["at_work"] = {
            "models": [label for label in listed if isinstance(label, str)],
            "images": {
                label: {name: facts for name, facts in used.items() if is_known(name, facts)}
                for label, used in _objects(images).items()
                if is_name(label) and "/" not in label
            },
        }
    return parts


def _objects(content: object) -> dict[str, dict[str, Any]]:
    """Return those parts of an object that are objects themselves."""
    found = content if isinstance(content, dict) else {}
    return {name: part for name, part in found.items() if isinstance(part, dict)}
