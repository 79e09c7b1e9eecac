"""What the gates of FLAIR contrast, template fit and bone in the carried mask measure.

    python -m benchmarks.gates BIDS_DIR [BIDS_DIR ...] --scratch FOLDER [--outputs OUT_DIR ...]

Every FLAIR, T1w and T2w image is treated as if it were called FLAIR: brain mask, nine parameters,
lesions, contrast, fit; masks and frames are kept in the scratch folder. From output
folders of participant runs come the CT's numbers. Writes results/gates.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import nibabel as nib
import numpy as np

from benchmarks.record import write_result
from ctwml_bids import templates
from ctwml_bids.preprocessing.flair_brain import flair_mask
from ctwml_bids.preprocessing.flair_contrast import flair_contrast
from ctwml_bids.preprocessing.grids import grid_of, image_on
from ctwml_bids.preprocessing.images import read_flair
from ctwml_bids.preprocessing.nine_parameters import nine_parameter
from ctwml_bids.preprocessing.normalisation import (
    from_grid,
    network_grid,
    rounded,
    to_grid,
    white_matter_on_grid,
)
from ctwml_bids.preprocessing.template_fit import template_fit
from ctwml_bids.segmentation import ensemble, model_store
from ctwml_bids.segmentation.brain_network import predictor
from ctwml_bids.segmentation.inputs import network_channels
from ctwml_bids.statistics.gates import brain, flair

KINDS = ("FLAIR", "T1w", "T2w")
SIMULATOR = "ctwml-simulate"


def frame(path: Path, template: nib.Nifti1Image, predict, scratch: Path):
    """Return image, brain mask and template_to_native; mask and matrix from the scratch folder."""
    image = read_flair(path).image
    stem = f"{path.name.removesuffix('.nii.gz')}"
    mask_path, matrix_path = scratch / f"{stem}_mask.nii", scratch / f"{stem}.txt"
    if not matrix_path.is_file():
        mask = flair_mask(image, predict).mask
        mask.to_filename(mask_path)
        np.savetxt(matrix_path, nine_parameter(mask, template, seed=1), fmt="%.17g")
    return image, nib.load(mask_path), np.loadtxt(matrix_path)


def lesions_in(path: Path, framed: tuple, packaged: dict, model, scratch: Path):
    """Return the lesions that the FLAIR network marks, on the image's grid, kept like `frame`."""
    kept = scratch / f"{path.name.removesuffix('.nii.gz')}_lesions.nii"
    if not kept.is_file():
        image, mask, matrix = framed
        grid = network_grid(packaged["brain"], spacing=tuple(model.card.grid_spacing_mm))
        inside = to_grid(mask, matrix, grid, fill=0.0) >= 0.5
        white = white_matter_on_grid(packaged["wm"], packaged["ventricles"], grid, matrix, matrix)
        array = to_grid(image, matrix, grid, fill=0.0)
        channels = network_channels(array, inside, model.card.channels)
        found = ensemble.predict(model, channels, white_matter=white)
        native = grid_of(image)
        probability = from_grid(np.where(inside, found.probability, 0), grid, matrix, native)
        marked = rounded(probability) > model.card.threshold
        image_on(marked.astype(np.uint8), native).to_filename(kept)
    return nib.load(kept)


def measure(path: Path, source: str, packaged: dict, predict, model, scratch: Path) -> dict:
    """One row: what the gates measure on one MR image, and what they say."""
    image, mask, matrix = frame(path, packaged["brain"], predict, scratch)
    tissues = {name: packaged[name] for name in ("gm", "wm", "ventricles")}
    lesions = lesions_in(path, (image, mask, matrix), packaged, model, scratch)
    contrast = flair_contrast(image, mask, matrix, tissues, lesions)
    gate = flair.flair_contrast(**contrast)
    _, fit = template_fit(mask, packaged["brain"], matrix)
    return {
        "data": source,
        "image": path.name.removesuffix(".nii.gz"),
        "kind": path.name.removesuffix(".nii.gz").rsplit("_", 1)[1],
        **contrast,
        "contrast": gate.status,
        **fit,
        "fit": brain.template_fit(fit["dice"], fit["scales"], image="FLAIR").status,
    }


def from_outputs(folder: Path) -> list[dict]:
    """One row a pair that a participant run finished."""
    rows = []
    for path in sorted(folder.glob("sub-*/**/*_desc-wml_stats.json")):
        facts = json.loads(path.read_text(encoding="utf-8"))["Facts"]
        found = facts.get("registration", {})
        if "bone_ml" in found:
            row = {name: found[name] for name in ("carried_ml", "bone_ml", "removed_ml")}
            row["removed_percent"] = round(100 * found["removed_ml"] / found["carried_ml"], 2)
            row |= facts["ct"]["normalisation"]
            rows.append({"data": folder.name, "unit": path.name.split("_desc-")[0], **row})
    return rows


def table(rows: list[dict]) -> str:
    columns = list(rows[0])
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(str(row[name]) for name in columns) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bids_dirs", type=Path, nargs="+")
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--outputs", type=Path, nargs="*", default=())
    args = parser.parse_args()
    files = templates.packaged()
    paths = {"gm": files.gm, "wm": files.wm, "ventricles": files.ventricles}
    packaged = {
        name: nib.load(path) for name, path in (paths | {"brain": files.brain_mask}).items()
    }
    predict, images = predictor(), []
    model = ensemble.load(model_store.default("flair"))
    for folder in args.bids_dirs:
        scratch = args.scratch / folder.name
        scratch.mkdir(parents=True, exist_ok=True)
        about = json.loads((folder / "dataset_description.json").read_text(encoding="utf-8"))
        made_by = [tool.get("Name") for tool in about.get("GeneratedBy", ())]
        for path in sorted(folder.glob("sub-*/**/anat/*.nii.gz")):
            if path.name.removesuffix(".nii.gz").endswith(KINDS):
                row = measure(path, folder.name, packaged, predict, model, scratch)
                images.append({"simulated": SIMULATOR in made_by, **row})
                print(images[-1], file=sys.stderr, flush=True)
    pairs = [row for folder in args.outputs for row in from_outputs(folder)]
    print("\n".join(table(rows) for rows in (images, pairs) if rows))
    write_result("gates", {"images": images, "pairs": pairs})


if __name__ == "__main__":
    main()
