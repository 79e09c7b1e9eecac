"""Simulated pairs as BIDS files, the truth under the data set's derivatives."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import nibabel as nib
import numpy as np

from ctwml_bids.geometry import itk_text
from ctwml_bids.simulation.pair import VERSION, simulate_pair
from ctwml_bids.simulation.plan import VERSION as COHORT_VERSION
from ctwml_bids.simulation.plan import Participant
from ctwml_bids.simulation.truth import Truth

BIDS_VERSION = "1.10.0"
TRUTH = "derivatives/simulation-truth"
FROM_TEMPLATE = "No person was scanned: heads are bent copies of the MNI152 template"
FROM_BOTH = "Heads are bent copies of the MNI152 template and of real brains ({names})"
NOTICE = """Simulated head CT and FLAIR with white matter lesions of known place and volume.

{heads} with a procedural skull and
face. Figures measured on such images are figures on simulations and nothing else.

`{truth}` holds for every participant, on the grids of both images: lesion, brain and ventricle
masks, infarcts where there are any (label-infarct; lacunes of 3 mm and larger are infarcts),
things that resemble lesions (desc-mimics: 1 infarct, 2 perivascular space,
3 calcification), the true transform (ITK text, RAS to LPS converted; from-CT_to-FLAIR resamples
the CT onto the FLAIR) and a JSON file with the true volumes and all ratings. label-WML_desc-rater2
masks are the same lesions as a second human would outline them: their Dice with the truth is the
most that can be asked of a network.

Fazekas grades follow from the pattern of lesions (not from their volume) with a rater's error;
fazekas_second_rater is a second, independent rater.

Made with seed {seed}, size {size}, cohort version {cohort_version}, simulation version {version}.
"""


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _save(image: nib.Nifti1Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)


def _write_truth(folder: Path, name: str, space: str, truth: Truth, image_path: str) -> None:
    """Write the masks of one space, each with its sidecar."""
    infarcts = truth.infarcts if np.any(truth.infarcts.dataobj) else None
    masks = {
        "label-WML_mask": (truth.lesions, "Lesion"),
        "label-infarct_mask": (infarcts, "Lesion"),
        "label-WML_desc-rater2_mask": (truth.second_rater, "Lesion"),
        "label-WML_probseg": (truth.lesion_fraction, "Lesion"),
        "label-ventricles_mask": (truth.ventricles, "ROI"),
        "desc-brain_mask": (truth.brain, "Brain"),
        "desc-mimics_dseg": (truth.mimics, None),
    }
    for suffix, (image, kind) in masks.items():
        if image is None:
            continue
        stem = folder / f"{name}_space-{space}_{suffix}"
        _save(image, stem.with_name(stem.name + ".nii.gz"))
        sidecar = {"Sources": [image_path], "SpatialReference": image_path}
        if kind:
            sidecar["Type"] = kind
        if "rater2" in suffix:
            sidecar["Description"] = "The same lesions as a second (simulated) human outlines them"
        _write_json(stem.with_name(stem.name + ".json"), sidecar)


def write_participant(
    root: Path,
    participant: Participant,
    size: str,
    anatomies: Sequence[Path] = (),
    ventricles_ml: tuple[float, float] | None = None,
) -> dict:
    """Simulate one participant into a data set.

    Parameters
    ----------
    root
        The data set's folder.
    participant
        Whom to simulate.
    size
        "small" or "full", see ``simulate_pair``.
    anatomies
        Files of individual anatomies, see ``simulate_pair``.
    ventricles_ml
        Lowest and highest volume of the lateral ventricles in mL, of which one is drawn evenly;
        None: as age makes them.

    Returns
    -------
    dict
        The row of participants.tsv.
    """
    wide = None
    if ventricles_ml is not None:
        wide = float(np.random.default_rng([participant.seed, 95]).uniform(*ventricles_ml))
    pair = simulate_pair(
        participant.seed,
        rated_as=participant.grades,
        age=participant.age,
        sex=participant.sex,
        sagittal=participant.sagittal,
        size=size,
        ventricles_ml=wide,
        anatomies=anatomies,
    )
    name = f"sub-{participant.label}"
    ct, ct_truth, flair, flair_truth = pair.ct, pair.ct_truth, pair.flair, pair.flair_truth
    if ct is None or ct_truth is None or flair is None or flair_truth is None:
        raise ValueError(f"{name}: a participant has a CT and a FLAIR, but only one was simulated")
    ct_path, flair_path = f"{name}/ct/{name}_ct.nii.gz", f"{name}/anat/{name}_FLAIR.nii.gz"
    _save(ct, root / ct_path)
    _save(flair, root / flair_path)
    ct_facts, flair_facts = pair.facts["ct"], pair.facts["flair"]
    sidecar = {"Modality": "CT", "Manufacturer": "simulated", "Units": "HU"}
    sidecar["SliceThickness"] = ct_facts["slice_thickness_mm"]
    sidecar["ConvolutionKernel"] = ct_facts["kernel"]
    _write_json(root / ct_path.replace(".nii.gz", ".json"), sidecar)
    sidecar = {"Modality": "MR", "Manufacturer": "simulated"}
    sidecar["SliceThickness"] = flair_facts["slice_thickness_mm"]
    sidecar["MRAcquisitionType"] = "3D" if flair_facts["sagittal_3d"] else "2D"
    _write_json(root / flair_path.replace(".nii.gz", ".json"), sidecar)

    rng = np.random.default_rng([participant.seed, 99])
    day = datetime(2010, 1, 4, 9) + timedelta(days=int(rng.integers(0, 3000)))
    later = day + timedelta(days=int(rng.integers(0, 42)), hours=2)
    rows = [("ct/" + Path(ct_path).name, day), ("anat/" + Path(flair_path).name, later)]
    lines = ["filename\tacq_time"] + [f"{file}\t{date:%Y-%m-%dT%H:%M:%S}" for file, date in rows]
    (root / name / f"{name}_scans.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")

    folder = root / TRUTH / name / "anat"
    _write_truth(folder, name, "CT", ct_truth, f"bids:raw:{ct_path}")
    _write_truth(folder, name, "FLAIR", flair_truth, f"bids:raw:{flair_path}")
    transforms = {
        "from-CT_to-FLAIR": pair.flair_to_ct,
        "from-FLAIR_to-CT": np.linalg.inv(pair.flair_to_ct),
        "from-CT_to-MNI152NLin2009aSym": pair.template_to_ct,
        "from-FLAIR_to-MNI152NLin2009aSym": pair.template_to_flair,
    }
    for entity, matrix in transforms.items():
        path = folder / f"{name}_{entity}_mode-image_xfm.txt"
        path.write_text(itk_text(matrix), encoding="utf-8")
    _write_json(folder / f"{name}_facts.json", pair.facts)
    facts = pair.facts
    return {
        "participant_id": name,
        "age": round(facts["age"]),
        "sex": facts["sex"],
        "fazekas": facts["fazekas"],
        "fazekas_second_rater": facts["rating"]["second_rater"]["fazekas"],
        "lesion_ml": round(facts["lesion_ml"], 3),
    }


def write_root(
    root: Path, rows: list[dict], seed: int, size: str, anatomies: Sequence[Path] = ()
) -> None:
    """Write the files at the top of the data set and of its derivatives.

    Parameters
    ----------
    root
        The data set's folder.
    rows
        Rows of participants.tsv, at least one, as from `write_participant`.
    seed, size
        What the cohort was made with; the README says so.
    anatomies
        Files of individual anatomies; the README names them.
    """
    made_by = [{"Name": "ctwml-simulate", "Version": VERSION}]
    _write_json(
        root / "dataset_description.json",
        {
            "Name": "Simulated head CT and FLAIR with known white matter lesions",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "raw",
            "License": "CC0",
            "Authors": ["ctwml_bids developers"],
            "GeneratedBy": made_by,
        },
    )
    _write_json(
        root / TRUTH / "dataset_description.json",
        {
            "Name": "Truth of the simulation",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "derivative",
            "License": "CC0",
            "GeneratedBy": made_by,
            "DatasetLinks": {"raw": "../.."},
        },
    )
    names = ", ".join(path.stem for path in anatomies)
    heads = FROM_BOTH.format(names=names) if anatomies else FROM_TEMPLATE
    text = NOTICE.format(
        heads=heads,
        truth=TRUTH,
        seed=seed,
        size=size,
        cohort_version=COHORT_VERSION,
        version=VERSION,
    )
    (root / "README").write_text(text, encoding="utf-8")
    (root / TRUTH / "README").write_text(text, encoding="utf-8")
    (root / ".bidsignore").write_text("**/ct\n", encoding="utf-8")
    (root / TRUTH / ".bidsignore").write_text("**/*_xfm.txt\n**/*_facts.json\n", encoding="utf-8")
    lines = ["\t".join(rows[0])] + ["\t".join(str(value) for value in row.values()) for row in rows]
    (root / "participants.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    _write_json(
        root / "participants.json",
        {
            "age": {"Description": "age at the CT", "Units": "year"},
            "sex": {"Description": "sex", "Levels": {"F": "female", "M": "male"}},
            "fazekas": {
                "Description": "Fazekas grade (0 to 3) that a simulated rater gives to the pattern "
                "of lesions: the larger of the periventricular and the deep grade"
            },
            "fazekas_second_rater": {
                "Description": "Fazekas grade (0 to 3) of a second simulated rater, whose errors "
                "are independent of the first one's"
            },
            "lesion_ml": {"Description": "true volume of white matter lesions", "Units": "mL"},
        },
    )
