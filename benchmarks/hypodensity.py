"""What the gate of large hypodensities says of heads without an infarct, and of painted infarcts.

    python -m benchmarks.hypodensity --scratch FOLDER --infarcts DIR [--anatomies DIR ...]
        [--seeds 9400 9412] [--anatomy-seeds 9300 9308] [--bids-real DIR]

Simulated CTs of people of 20 to 85 years whom a rater gives Fazekas grade 0: false alarms. Real
shapes of infarcts, painted at their place in the template with 8 to 18 HU (in tissue of 31 HU):
sensitivity by true volume in the head. Only shapes whose number ends in 7 are used, which nothing
was chosen on; so are the seeds. Real CTs are reported apart. Heads stay in the scratch folder for
the next run. Writes results/hypodensity.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from benchmarks.record import write_result
from ctwml_bids import templates
from ctwml_bids.preprocessing.ct_brain import ct_mask
from ctwml_bids.preprocessing.ct_quality import ct_quality
from ctwml_bids.preprocessing.grids import grid_of, image_on, resample
from ctwml_bids.preprocessing.hounsfield import read_ct
from ctwml_bids.preprocessing.nine_parameters import nine_parameter
from ctwml_bids.preprocessing.ventricles import ct_ventricles
from ctwml_bids.simulation.individual import anatomy_files
from ctwml_bids.simulation.pair import simulate_pair
from ctwml_bids.statistics.gates.ct import HYPODENSE_ML, hypodensity

AGES = (20.0, 85.0)
# True volumes in the head, mL; a shape's own volume is that in the larger template.
SIZES = ((3, 8), (8, 15), (15, 30), (30, 60), (60, 150))
INFARCT_HU, TISSUE_HU = (8.0, 18.0), 31.0
EDGE_MM = 1.0  # SD of the painted edge
PARTS = ("img", "brain", "vent")


def prepared(name: str, ct, facts: dict, scratch: Path) -> dict:
    """Return a CT with its brain mask, frame and ventricles; from the scratch folder if there."""
    paths = {part: scratch / f"{name}_{part}.nii.gz" for part in PARTS}
    matrix, about = scratch / f"{name}_xfm.txt", scratch / f"{name}.json"
    if not about.is_file():
        files = templates.packaged()
        image, facts = ct(), facts
        mask = ct_mask(image).mask
        frame = nine_parameter(mask, nib.load(files.brain_mask), seed=1)
        ventricles = ct_ventricles(image, mask, frame, nib.load(files.ventricles))
        for part, found in zip(PARTS, (image, mask, ventricles), strict=True):
            kind = np.float32 if part == "img" else np.uint8
            array = np.asarray(found.dataobj).astype(kind)
            image_on(array, grid_of(image)).to_filename(paths[part])
        np.savetxt(matrix, frame)
        about.write_text(json.dumps(facts))
    images = {part: nib.load(path) for part, path in paths.items()}
    return {"name": name, "frame": np.loadtxt(matrix), **images}


def simulated(
    seed: int, age: float, anatomies: tuple[Path, ...], scratch: Path
) -> tuple[dict, float]:
    """Return a prepared head without lesions that a rater would see, and its age."""

    def ct() -> nib.Nifti1Image:
        pair = simulate_pair(
            seed,
            rated_as=(0,),
            age=age,
            modality="ct",
            size="small",
            anatomies=anatomies,
            individual_share=1.0,
        )
        path = scratch / f"head-{seed}_ct.nii.gz"
        nib.save(pair.ct, path)
        return read_ct(path, {}).image

    return prepared(f"head-{seed}", ct, {"age": age}, scratch), age


def measured(head: dict, data: np.ndarray | None = None) -> dict:
    """Return what `ct_quality` finds in a head, with other HU where given."""
    image = head["img"] if data is None else image_on(data, grid_of(head["img"]))
    return ct_quality(image, head["brain"], head["vent"], head["frame"])


def painted(head: dict, shape: Path, hu: float) -> tuple[np.ndarray, float]:
    """Darken a head's tissue to some HU in a shape of the template; return HU and true mL."""
    grid, data = grid_of(head["img"]), np.asarray(head["img"].dataobj, dtype=np.float32)
    mask = nib.load(shape)
    share = resample(
        np.asarray(mask.dataobj, dtype=np.float32),
        mask.affine,
        grid,
        np.linalg.inv(head["frame"]),
        average=True,
    )
    share *= np.asarray(head["brain"].dataobj) > 0
    true_ml = float(np.count_nonzero(share > 0.5)) * grid.voxel_ml
    share = ndimage.gaussian_filter(share, EDGE_MM / grid.spacing)
    local = ndimage.gaussian_filter(np.clip(data, -20, 80), EDGE_MM / grid.spacing)
    return data - share * np.maximum(local - hu, 0), true_ml


def infarcts(heads: list[dict], folder: Path, count: int) -> list[dict]:
    """One row a painted infarct: held-out shapes, ``count`` of each size, heads in turn."""
    rng, rows = np.random.default_rng(7), []
    lines = (folder / "infarcts.tsv").read_text(encoding="utf-8").splitlines()[1:]
    names = [line.split("\t")[0] for line in lines if line.split("\t")[0].endswith("7")]
    wanted = dict.fromkeys(SIZES, count)
    for number, name in enumerate([*rng.permutation(names), *rng.permutation(names)] * 2):
        head = heads[number % len(heads)]
        hu = rng.uniform(*INFARCT_HU)
        data, true_ml = painted(head, folder / f"{name}_mask.nii.gz", hu + head["hu"] - TISSUE_HU)
        size = next((size for size in SIZES if size[0] <= true_ml < size[1]), None)
        if size is None or wanted[size] == 0:
            continue
        wanted[size] -= 1
        found = measured(head, data)["dark_region_ml"]
        row = {"infarct": str(name), "head": head["name"], "true_ml": round(true_ml, 1)}
        rows.append({**row, "hu": round(float(hu), 1), "found_ml": found})
        print(rows[-1], file=sys.stderr, flush=True)
        if not any(wanted.values()):
            break
    return rows


def by_size(rows: list[dict]) -> list[dict]:
    """Share of infarcts that the gate warned of, and how much of them it measured."""
    table = []
    for low, high in SIZES:
        part = [row for row in rows if low <= row["true_ml"] < high]
        if part:
            seen = [row["found_ml"] > HYPODENSE_ML[0] for row in part]
            share = [row["found_ml"] / row["true_ml"] for row in part]
            row = {"true_ml": f"{low} to {high}", "infarcts": len(part), "found": sum(seen)}
            table.append(row | {"median_share_measured": round(float(np.median(share)), 2)})
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--infarcts", type=Path, required=True)
    parser.add_argument("--anatomies", type=Path)
    parser.add_argument("--seeds", type=int, nargs=2, default=(9400, 9412))
    parser.add_argument("--anatomy-seeds", type=int, nargs=2, default=(9300, 9308))
    parser.add_argument("--bids-real", type=Path)
    parser.add_argument("--count", type=int, default=20, help="infarcts of each size")
    args = parser.parse_args()
    args.scratch.mkdir(parents=True, exist_ok=True)
    sources = [((), range(*args.seeds))]
    if args.anatomies:
        sources.append((anatomy_files(args.anatomies), range(*args.anatomy_seeds)))
    heads, normal, real = [], [], []
    for anatomies, seeds in sources:
        for number, seed in enumerate(seeds):
            # Steps of the golden ratio spread any number of ages evenly.
            age = float(round(AGES[0] + (AGES[1] - AGES[0]) * (number * 0.618 % 1)))
            head, age = simulated(seed, age, anatomies, args.scratch)
            facts = measured(head)
            heads.append(head | {"hu": facts["tissue_hu"]})
            kind = "individual" if anatomies else "template"
            row = {"head": head["name"], "anatomy": kind, "age": age}
            row |= {"dark_region_ml": facts["dark_region_ml"]}
            normal.append(row | {"gate": hypodensity(facts["dark_region_ml"]).status})
            print(normal[-1], file=sys.stderr, flush=True)
    for path in sorted(args.bids_real.glob("sub-*/**/*_ct.nii.gz")) if args.bids_real else ():
        name = path.name.removesuffix(".nii.gz")
        head = prepared(name, lambda path=path: read_ct(path, {}).image, {}, args.scratch)
        ml = measured(head)["dark_region_ml"]
        real.append({"image": name, "dark_region_ml": ml, "gate": hypodensity(ml).status})
    rows = infarcts(heads, args.infarcts, args.count)
    result = {"normal": normal, "infarcts_by_size": by_size(rows), "real": real, "infarcts": rows}
    alarms = sum(row["gate"] != "pass" for row in normal)
    print(f"{alarms} of {len(normal)} heads without an infarct warned of")
    for row in [*result["infarcts_by_size"], *real]:
        print(row)
    write_result("hypodensity", result)


if __name__ == "__main__":
    main()
