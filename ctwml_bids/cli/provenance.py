"""What an output folder was made with, and whether another run may add to it."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ctwml_bids import __version__
from ctwml_bids.bids import names
from ctwml_bids.bids.dataset import start_dataset
from ctwml_bids.bids.files import write_text
from ctwml_bids.cli.identity import check_same_dataset, identity
from ctwml_bids.cli.preflight import Ready
from ctwml_bids.errors import CannotCreateError
from ctwml_bids.execution.locks import hold
from ctwml_bids.execution.status import collect
from ctwml_bids.settings import (
    content_hash,
    differences,
    preprocessing_fields,
    segmentation_fields,
    to_toml,
)

RECORD = Path("logs") / "settings.json"
# Writing what all runs share takes a tenth of a second with 1,000 finished units, more on a network
# disk; the tasks of a job array that start together stand in line for it.
WAIT_S = 600.0
LIBRARIES = ("antspyx", "nipype", "nibabel", "numpy", "scipy", "torch")


def versions() -> dict[str, str]:
    """Give the versions of this program and of the libraries that results depend on."""
    return {"ctwml_bids": __version__, **{name: version(name) for name in LIBRARIES}}


def hashes(ready: Ready) -> dict[str, str]:
    """Give both settings hashes of a run, as they go into every unit's status."""
    fields = _fields(ready)
    return {name: content_hash(fields[name]) for name in fields}


def run_name(started: datetime) -> str:
    """Name what one run writes to ``logs/``: the tasks of a job array begin in the same second."""
    return f"ctwml_{started:%Y%m%dT%H%M%S}-{started.microsecond:06d}"


def register_run(ready: Ready, started: datetime) -> None:
    """Check a run against what the output folder has, and write it into its root files.

    One run at a time does this, so that none loses what another has just written.

    Raises
    ------
    CannotCreateError
        As `check_same_run`.
    TemporaryError
        Another run is at it for too long.
    """
    settings = ready.settings
    with hold(settings.output_dir / names.run_lock(), wait_s=WAIT_S):
        check_same_run(ready)
        start_dataset(
            settings.output_dir,
            settings.bids_dir,
            hashes=hashes(ready),
            model_label=settings.desc or "",
        )
        write_record(ready, started)


def check_same_run(ready: Ready) -> None:
    """Refuse to mix results of different data sets or settings in one output folder.

    Raises
    ------
    CannotCreateError
        If finished units are there that were made from another data set, with another
        preprocessing, or under the same label with another model; the message says what differs
        and what to do.
    """
    settings = ready.settings
    record = _read(settings.output_dir)
    done = [status for status in collect(settings.output_dir) if status.state == "done"]
    check_same_dataset(settings.output_dir, settings.bids_dir, done, record.get("dataset"))
    fields = _fields(ready)
    if done and "preprocessing" in record:
        changed = differences(record["preprocessing"], fields["preprocessing"])
        if changed:
            raise CannotCreateError(
                f"{settings.output_dir}: it has results of another preprocessing "
                f"({'; '.join(changed)}). Use the same settings or another output folder."
            )
    label = settings.desc or ""
    before = record.get("segmentation", {}).get(label)
    if before is not None and any(status.model_label == label for status in done):
        changed = differences(before, fields["segmentation"])
        if changed:
            raise CannotCreateError(
                f"{settings.output_dir}: it has results of another model "
                f"({'; '.join(changed)}). Give --desc LABEL to keep both side by side, or "
                "another output folder."
            )


def write_record(ready: Ready, started: datetime) -> None:
    """Write the settings of a run: for the next run's check, and as TOML for --config-file.

    Parameters
    ----------
    ready
        The run.
    started
        When it started; names the TOML file in ``logs/``.
    """
    output_dir, fields = ready.settings.output_dir, _fields(ready)
    record = _read(output_dir)
    models = {**record.get("segmentation", {}), ready.settings.desc or "": fields["segmentation"]}
    record = {
        "dataset": identity(ready.settings.bids_dir),
        "preprocessing": fields["preprocessing"],
        "segmentation": models,
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
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != text:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        stamp.write_text(text, encoding="utf-8")


def _fields(ready: Ready) -> dict[str, dict[str, Any]]:
    return {
        "preprocessing": preprocessing_fields(ready.settings),
        "segmentation": segmentation_fields(ready.settings, ready.checksums),
    }


def _read(output_dir: Path) -> dict[str, Any]:
    try:
        record = json.loads((output_dir / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}
