"""What a participant run found on the real images, against the references that exist.

    python run.py BIDS_DIR OUT_DIR participant --random-seed 1
    python -m benchmarks.real_images BIDS_DIR OUT_DIR

Lesion Dice against expert masks (sub-mb*, sub-lj*), lesion volume of the images without
reference, brain volumes, and the share of the reference ventricles marked as lesion. Rows of units
that OUT_DIR lacks are kept from before; "left_out_ml" says which are of models that leave islands
out.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np

from benchmarks.record import RESULTS, write_result
from ctwml_bids.statistics.overlap import dice


def array(path: Path) -> np.ndarray:
    image = nib.load(path)
    return np.asarray(image.dataobj).reshape(image.shape[:3]) > 0.5


def measure(bids_dir: Path, output_dir: Path, table: Path) -> list[dict]:
    """One row per image of a unit."""
    with table.open() as stream:
        stats = {row["image"]: row for row in csv.DictReader(stream, delimiter="\t")}
    unit = table.name.split("_desc-")[0]
    folder = table.parent
    references = bids_dir / "derivatives/reference" / folder.relative_to(output_dir)
    rows = []
    for name, space in (("ct", "CT"), ("flair", "FLAIR")):
        if name not in stats:
            continue
        row = {"unit": unit, "image": name, "wml_ml": float(stats[name]["wml_ml"])}
        row |= {"brain_ml": float(stats[name]["brain_ml"]), "qc": stats[name]["qc"]}
        mask = folder / f"{unit}_space-{space}_label-WML_desc-{name}_mask.nii.gz"
        lesions = array(mask)
        sidecar = json.loads(mask.with_name(mask.name.replace(".nii.gz", ".json")).read_text())
        if "LeftOutVolume" in sidecar:
            row["left_out_ml"] = sidecar["LeftOutVolume"]
        brain = array(folder / f"{unit}_space-{space}_desc-brain_mask.nii.gz")
        for path in references.glob(f"{unit}_space-{space}_*mask.nii.gz"):
            truth = array(path)
            if "label-WMH" in path.name:
                row["lesion_dice"] = dice(lesions, truth)
                row["reference_ml"] = float(
                    truth.sum() * abs(np.linalg.det(nib.load(path).affine[:3, :3])) / 1000
                )
            elif "label-ventricle" in path.name:
                found = array(
                    folder / f"{unit}_space-{space}_label-ventricles_desc-{name}_mask.nii.gz"
                )
                row["ventricle_dice"] = dice(found, truth)
                row["ventricle_recall"] = float((found & truth).sum() / truth.sum())
                row["ventricles_marked"] = float((lesions & truth).sum() / truth.sum())
            elif "desc-brain" in path.name:
                row["brain_dice"] = dice(brain, truth)
        rows.append(row)
    carried = folder / f"{unit}_space-CT_desc-brainflair_mask.nii.gz"
    if carried.is_file():
        own = array(folder / f"{unit}_space-CT_desc-brain_mask.nii.gz")
        rows[0]["ct_mask_against_carried_flair_mask"] = dice(own, array(carried))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bids_dir", type=Path)
    parser.add_argument("output_dir", type=Path)
    arguments = parser.parse_args()
    tables = [*arguments.output_dir.glob("sub-*/anat/*_desc-wml_stats.tsv")]
    tables += arguments.output_dir.glob("sub-*/ses-*/anat/*_desc-wml_stats.tsv")
    rows = [
        row
        for table in sorted(tables)
        for row in measure(arguments.bids_dir, arguments.output_dir, table)
    ]
    found = {row["unit"] for row in rows}
    before = json.loads((RESULTS / "real_images.json").read_text())["result"]
    rows += [row for row in before if row["unit"] not in found]
    rows.sort(key=lambda row: row["unit"])
    columns = list(dict.fromkeys(name for row in rows for name in row))
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for row in rows:
        cells = [row.get(name, "") for name in columns]
        shown = [f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in cells]
        print("| " + " | ".join(shown) + " |")
    write_result("real_images", rows)


if __name__ == "__main__":
    main()
