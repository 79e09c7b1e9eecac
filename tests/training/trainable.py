"""A small data set with what the participant level leaves of it, made without running it.

Heads are ellipsoids of half a brain's size, their lesions balls that are darker on CT and brighter
on FLAIR; the FLAIR lies 5 mm to the left and 3 mm further back than the CT.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ctwml_bids.bids import names
from ctwml_bids.bids.files import write_json, write_nifti, write_tsv
from ctwml_bids.bids.status import Request, UnitStatus, write_status
from ctwml_bids.preprocessing.grids import Grid, image_on
from ctwml_bids.preprocessing.transforms import write_itk
from ctwml_bids.statistics.columns import COLUMNS
from ctwml_bids.statistics.gates.ct import slice_spacing
from ctwml_bids.statistics.gates.lesions import lesion_volume
from ctwml_bids.statistics.overlap import compare
from ctwml_bids.statistics.regions import left_of_midline, measure
from ctwml_bids.statistics.tables import unit_rows
from tests.preprocessing.head_phantom import centred_grid, ellipsoid

BRAIN = np.array([30.0, 34.0, 24.0])
TEMPLATE = "MNI152NLin2009aSym"
# Points of the FLAIR → points of the CT, and of the template → points of the CT.
FLAIR_TO_CT, TEMPLATE_TO_CT = np.eye(4), np.eye(4)
FLAIR_TO_CT[:3, 3] = 5.0, 3.0, 0.0
TEMPLATE_TO_CT[:3, 3] = 0.0, 18.0, -8.0
CT_GRID = centred_grid((44, 46, 18), (2.5, 2.5, 5.0))
FLAIR_GRID = Grid(
    (40, 44, 30), np.linalg.inv(FLAIR_TO_CT) @ centred_grid((40, 44, 30), (2.5, 2.5, 3.0)).affine
)


# What the participant level found on every CT.
DARK_ML = 6.0


@dataclass(frozen=True)
class Head:
    """Who it is, the centres of its lesions in CT space (mm), and their radius."""

    subject: str
    session: str | None
    centres: tuple[tuple[float, float, float], ...]
    radius: float = 8.0


HEADS = (
    Head("01", None, ((10, 5, 0), (-12, 0, 4))),
    Head("02", None, ((-10, 10, 2),)),
    Head("03", None, ()),
    Head("04", None, ((12, -8, -3), (-8, 12, 5))),
    Head("05", "a", ((8, 12, 0),)),
    Head("05", "b", ((8, 12, 0), (-12, -10, 0))),
)
LABELS = [names.stem(head.subject, head.session) for head in HEADS]


def make(root: Path, heads=HEADS, fazekas: dict[str, str] | None = None) -> tuple[Path, Path]:
    """Write a data set and its results; return both folders.

    `fazekas` gives the column of participants.tsv by subject; None leaves the table without one.
    """
    bids, out = root / "bids", root / "out"
    write_json(bids / "dataset_description.json", {"Name": "small", "BIDSVersion": "1.11.1"})
    write_json(
        out / "dataset_description.json",
        {"Name": "x", "BIDSVersion": "1.11.1", "GeneratedBy": [{"Name": "ctwml_bids"}]},
    )
    subjects = sorted({head.subject for head in heads})
    rows = [{"participant_id": f"sub-{subject}"} for subject in subjects]
    if fazekas is not None:
        rows = [{**row, "fazekas": fazekas[row["participant_id"]]} for row in rows]
    write_tsv(bids / "participants.tsv", rows)
    for seed, head in enumerate(heads):
        _make_unit(bids, out, head, seed)
    return bids, out


def lesions_on(grid: Grid, head: Head, to_ct: np.ndarray) -> np.ndarray:
    """Return where a grid's voxel centres lie in a lesion."""
    moved = Grid(grid.shape, to_ct @ grid.affine)
    balls = [ellipsoid(moved, np.full(3, head.radius), centre) for centre in head.centres]
    return np.logical_or.reduce(balls) if balls else np.zeros(grid.shape, bool)


def _make_unit(bids: Path, out: Path, head: Head, seed: int) -> None:
    rng = np.random.default_rng(seed)
    of = (head.subject, head.session)
    folder, stem = bids / names.folder(*of), names.stem(*of)
    images = {"ct": folder / f"ct/{stem}_ct.nii.gz", "flair": folder / f"anat/{stem}_FLAIR.nii.gz"}
    brain, lesions = {}, {}
    for name, grid, to_ct in (("ct", CT_GRID, np.eye(4)), ("flair", FLAIR_GRID, FLAIR_TO_CT)):
        in_ct = Grid(grid.shape, to_ct @ grid.affine)
        brain[name] = ellipsoid(in_ct, BRAIN)
        lesions[name] = lesions_on(grid, head, to_ct)
        if name == "ct":
            array = np.full(grid.shape, -1000.0)
            for axes, hu in ((BRAIN + 14, 45.0), (BRAIN + 9, 900.0), (BRAIN, 34.0)):
                array[ellipsoid(in_ct, axes)] = hu
            array[lesions[name]] = 20.0
        else:
            array = np.where(ellipsoid(in_ct, BRAIN + 14), 40.0, 0.0)
            array[brain[name]] = 100.0
            array[lesions[name]] = 180.0
        array = array + rng.normal(0, 3, grid.shape)
        write_nifti(images[name], image_on(array.astype(np.float32), grid))
        for path, mask in (
            (names.brain_mask(*of, space=name.upper()), brain[name]),
            (names.ventricle_mask(*of, space=name.upper()), ellipsoid(in_ct, np.array([4, 8, 5]))),
        ):
            write_nifti(out / path, image_on(mask.astype(np.uint8), grid))
        mask = names.wml(*of, space=name.upper(), seen_in="flair", kind="mask")
        write_nifti(out / mask, image_on(lesions[name].astype(np.uint8), grid))
    carried = names.brain_mask(*of, space="CT", carried=True)
    write_nifti(out / carried, image_on(brain["ct"].astype(np.uint8), CT_GRID))
    # The shipped model found nothing on the CT.
    for space, grid in (("CT", CT_GRID), ("FLAIR", FLAIR_GRID)):
        nothing = image_on(np.zeros(grid.shape, np.uint8), grid)
        write_nifti(out / names.wml(*of, space=space, seen_in="ct", kind="mask"), nothing)
    _write_transforms(out, of)
    _write_numbers(out, head, brain, lesions)
    status = UnitStatus(
        stem,
        "done",
        request=Request(tuple(images.values())).described(bids),
        hashes={"preprocessing": "p", "segmentation": "s"},
    )
    write_status(out / names.status(*of), status)


def _write_transforms(out: Path, of: tuple[str, str | None]) -> None:
    matrices = {
        ("CT", "FLAIR"): FLAIR_TO_CT,
        ("CT", TEMPLATE): TEMPLATE_TO_CT,
        ("FLAIR", TEMPLATE): np.linalg.inv(FLAIR_TO_CT) @ TEMPLATE_TO_CT,
    }
    for (source, target), matrix in matrices.items():
        write_itk(out / names.xfm(*of, source=source, target=target), matrix)
        write_itk(out / names.xfm(*of, source=target, target=source), np.linalg.inv(matrix))


def _write_numbers(out: Path, head: Head, brain: dict, lesions: dict) -> None:
    nothing = np.zeros(CT_GRID.shape, bool)
    measures = {
        name: measure(
            mask,
            affine=grid.affine,
            probability=mask,
            brain=brain[name],
            ventricles=np.zeros(grid.shape, bool),
            left=left_of_midline(grid.shape, grid.affine, np.eye(4)),
        )
        for name, grid, mask in (
            ("ct", CT_GRID, nothing),
            ("flair", FLAIR_GRID, lesions["flair"]),
        )
    }
    rows = unit_rows(
        measures,
        qc="pass",
        thresholds={"ct": 0.4, "flair": 0.5},
        models={"ct": "shipped-ct", "flair": "shipped-flair"},
        infarcts_ml={"ct": None, "flair": None},
        pair=compare(np.zeros(FLAIR_GRID.shape, bool), lesions["flair"], affine=FLAIR_GRID.affine),
    )
    table = out / names.stats(head.subject, head.session)
    write_tsv(table, rows, list(COLUMNS))
    gates = [lesion_volume(0.0, image="CT"), slice_spacing(1.0)]
    about = {
        "QualityGates": [asdict(gate) for gate in gates],
        "Models": {},
        "Facts": {"ct": {"quality": {"dark_region_ml": DARK_ML}}},
        "Settings": {"template": TEMPLATE},
    }
    write_json(names.sidecar(table), about)
