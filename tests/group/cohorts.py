"""Output folders as the participant level leaves them, without the images' way there."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from ctwml_bids.bids import names
from ctwml_bids.bids.exclusions import Exclusions
from ctwml_bids.bids.files import write_json, write_nifti, write_text, write_tsv
from ctwml_bids.group.summary import GroupOptions, Sources, run_group
from ctwml_bids.preprocessing.transforms import itk_text
from ctwml_bids.reports.plots import Drawing
from ctwml_bids.statistics.columns import COLUMNS

# Volumes of five units, in mL.
FLAIR = [1.0, 5.0, 12.0, 30.0, 55.0]
CT = [2.0, 4.0, 13.0, 27.0, 50.0]
HASHES = {"preprocessing": "a" * 64, "segmentation": "b" * 64}
DRAWN: dict[str, Drawing] = {}  # figures of this process, by what they show
SETTINGS = {"template": "MNI152NLin2009aSym", "normalisation": "nine", "seed": 1}


def add_unit(
    out: Path,
    subject: str,
    ct: float | None = None,
    flair: float | None = None,
    *,
    session: str | None = None,
    both: float | None = None,
    qc: str = "pass",
    message: str = "The brain mask on CT holds 300 mL, which no complete adult brain has.",
    label: str = "",
    pair: bool = True,
    hashes: dict[str, str] | None = None,
    settings: dict[str, Any] | None = None,
    models: dict[str, str] | None = None,
    cells: dict[str, dict[str, Any]] | None = None,
    acquisition: dict[str, dict[str, Any]] | None = None,
    state: str = "done",
) -> Path:
    """Write what one unit leaves: tables, sidecar, status, report.

    Parameters
    ----------
    ct, flair
        Volumes in mL; None without the image.
    both
        Volume on both images; by default 0.7 of the smaller one.
    pair
        Whether CT and FLAIR line up.
    cells
        Row → column → value, in place of what would be written.
    acquisition
        Image → columns of its acquisition table.
    """
    volumes = {"ct": ct, "flair": flair}
    rows = [
        {
            "image": image,
            "wml_ml": volume,
            "brain_ml": 1300.0,
            "wml_percent": volume / 13,
            "lesion_count": 7,
            "threshold": {"ct": 0.25, "flair": 0.5}[image],
            "model": (models or {}).get(image, f"{image}-a"),
        }
        for image, volume in volumes.items()
        if volume is not None
    ]
    if len(rows) == 2 and pair:
        shared = 0.7 * min(ct, flair) if both is None else both
        empty = ct + flair == 0
        rows.append(
            {
                "image": "pair",
                "dice": 1.0 if empty else 2 * shared / (ct + flair),
                "both_empty": empty,
                "true_positive_ml": shared,
                "ct_only_ml": ct - shared,
                "flair_only_ml": flair - shared,
                "h95_mm": None if 0 in (ct, flair) else 6.5,
                "avd_percent": 100 * abs(ct - flair) / flair if flair else None,
                "lesion_recall": 0.5,
                "lesion_f1": 0.4,
            }
        )
    rows = [{**row, "qc": qc, **(cells or {}).get(row["image"], {})} for row in rows]
    table = out / names.stats(subject, session, model_label=label)
    write_tsv(table, rows, list(COLUMNS))
    gates = [{"name": "CT brain volume", "status": qc, "message": message}]
    content = {"QualityGates": gates, "Settings": settings or SETTINGS}
    content["SettingsHashes"] = HASHES if hashes is None else hashes
    content["Models"] = {row["image"]: {"name": row["model"]} for row in rows if row.get("model")}
    write_json(names.sidecar(table), content)
    write_text(out / names.report(subject, session, model_label=label), "<p>report</p>")
    if acquisition is not None:
        listed = [{"image": image, **values} for image, values in acquisition.items()]
        columns = ["image", "scanner", "slice_thickness_mm", "days_apart"]
        write_tsv(out / names.acquisition(subject, session), listed, columns)
    add_status(out, subject, state, session=session, label=label)
    return table


def add_status(
    out: Path,
    subject: str,
    state: str,
    reason: str = "",
    *,
    session: str | None = None,
    label: str = "",
) -> None:
    """Write a unit's status file."""
    status = {"label": names.stem(subject, session), "state": state, "reason": reason}
    write_json(out / names.status(subject, session, model_label=label), status)


def add_mask(
    out: Path,
    subject: str,
    mask: np.ndarray,
    affine: np.ndarray,
    *,
    image: str = "flair",
    space: str | None = None,
    kind: str = "mask",
    template_to_image: np.ndarray | None = None,
) -> Path:
    """Write a lesion mask, and the transform from the template where it is a native one."""
    path = out / names.wml(subject, None, space=space or image.upper(), seen_in=image, kind=kind)
    write_nifti(path, nib.Nifti1Image(mask.astype(np.uint8), affine))
    if space is None:
        xfm = names.xfm(subject, None, source=image.upper(), target=SETTINGS["template"])
        matrix = np.eye(4) if template_to_image is None else template_to_image
        write_text(out / xfm, itk_text(matrix))
    return path


def add_out_of_fold(out: Path, subject: str, image: str, volume: float, label: str = "") -> None:
    """Write the table of a training that left the subject out, beside that of its unit."""
    before = out / names.stats(subject, None)
    rows = [
        {**row, "wml_ml": volume, "model": "trained"} if row["image"] == image else row
        for row in table(before)
    ]
    path = out / names.cross_validated_stats(subject, None, model_label=label)
    write_tsv(path, rows, list(COLUMNS))
    about = json.loads(names.sidecar(before).read_text())
    of = {"CrossValidation": {image: {"Folds": 10}}, "ImagesSHA256": {"ct.nii": "0"}}
    write_json(names.sidecar(path), {**about, **of})
    status = out / names.status(subject, None)
    request = {"inputs": {"ct.nii": [1, 2, "0"]}}
    write_json(status, {**json.loads(status.read_text()), "request": request})


def add_people(out: Path, rows: list[dict[str, Any]], name: str = "participants.tsv") -> Path:
    """Write a table of participants."""
    return write_tsv(out / name, rows)


def table(path: Path) -> list[dict[str, str]]:
    """Read a table."""
    with path.open(encoding="utf-8") as opened:
        return list(csv.DictReader(opened, delimiter="\t"))


def estimates(out: Path, by: str = "all", stratum: str = "all") -> dict[str, dict[str, str]]:
    """Read the agreement table of one part: measure → row."""
    rows = table(out / "group" / "agreement.tsv")
    return {r["measure"]: r for r in rows if (r["by"], r["stratum"]) == (by, stratum)}


def big_cohort(out: Path, size: int = 147, seed: int = 0) -> Path:
    """Write a cohort with ratings, ages, scanners; volumes as those of the paper."""
    rng = np.random.default_rng(seed)
    people = []
    for number in range(size):
        group = number % 3
        flair = float(rng.gamma(2.5, (1.2, 4.5, 13.0)[group]))
        ct = max(0.0, 0.96 * flair + float(rng.normal(0, 1 + 0.1 * flair)))
        thick = float(rng.choice([1.0, 3.0, 5.0]))
        scanner = str(rng.choice(["GE Optima", "Siemens Somatom"]))
        add_unit(
            out,
            f"{number:05d}",
            round(ct, 4),
            round(flair, 4),
            both=round((0.45 + 0.12 * group) * min(ct, flair), 4),
            acquisition={
                "ct": {
                    "scanner": scanner,
                    "slice_thickness_mm": thick,
                    "days_apart": float(rng.integers(0, 42)),
                },
                "flair": {"scanner": "Philips Ingenia", "slice_thickness_mm": 4.0},
            },
        )
        people.append(
            {
                "participant_id": f"sub-{number:05d}",
                "age": round(float(rng.normal(66 + 4 * group, 9))),
                "sex": str(rng.choice(["F", "M"])),
                "fazekas": (int(rng.integers(0, 2)), 2, 3)[group],
            }
        )
    add_people(out, people)
    return out


def run(out: Path, **options: Any) -> Path:
    """Run the group level with few draws; options of `GroupOptions` and of `Sources`."""
    sources = {
        key: options.pop(key)
        for key in ("participants_file", "fazekas_file", "fazekas_column")
        if key in options
    }
    left_out = dict.fromkeys(options.get("exclude", ()), "excluded by --exclude")
    options["exclude"] = Exclusions(left_out)
    chosen = GroupOptions(sources=Sources(**sources), draws=200, **options)
    return run_group(out, version="0.1.0", options=chosen)


def page_of(out: Path, **options: Any) -> str:
    """Run the group level and return its page."""
    return run(out, **options).read_text()
