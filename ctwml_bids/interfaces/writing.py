"""From a unit's work files to its BIDS derivatives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import nibabel as nib
import numpy as np

from ctwml_bids.bids import dataset, names
from ctwml_bids.bids.files import (
    COMPLETE,
    copy_into,
    note,
    write_json,
    write_nifti,
    write_text,
    write_tsv,
)
from ctwml_bids.interfaces.base import load_facts
from ctwml_bids.interfaces.measuring import on_native
from ctwml_bids.preprocessing import transforms
from ctwml_bids.preprocessing.grids import grid_of, image_on
from ctwml_bids.statistics.tables import COLUMNS

MAPS = {"mask": "mask", "probability": "probseg", "disagreement": "std"}
LESION_COLUMNS = {
    "image": {"Description": "Image that the lesion was seen in"},
    "lesion": {"Description": "Number of the lesion, largest first"},
    "volume_ml": {"Description": "Volume", "Units": "mL"},
    "x_mm": {"Description": "Centre of mass in the image's RAS space, to the right", "Units": "mm"},
    "y_mm": {"Description": "Centre of mass, to the front", "Units": "mm"},
    "z_mm": {"Description": "Centre of mass, upwards", "Units": "mm"},
    "ventricle_distance_mm": {
        "Description": "From its nearest voxel to the ventricles",
        "Units": "mm",
    },
}


def write_unit(
    files: Mapping[str, str],
    raw: Mapping[str, str],
    context: Mapping[str, Any],
    measures: Mapping[str, Any],
    report: str,
) -> list[str]:
    """Write the derivatives of one unit.

    Parameters
    ----------
    files
        Names of `UNIT_FILES` → paths in the work folder.
    raw
        ``ct`` and/or ``flair`` → the input image.
    context
        What is known of the unit and the run.
    measures
        From `measure_unit`.
    report
        The HTML report.

    Returns
    -------
    list of str
        What was written, relative to the output folder. The unit's notes (`names.notes`) list it
        too, each name from before its file is made.

    Raises
    ------
    CannotCreateError, InputOutputError
        The output folder cannot be written, or the disk is full; no file is left half-written,
        and none is left that was not there before.
    """
    writer = _Writer(raw, context)
    try:
        return _write_all(writer, files, measures, report)
    except BaseException:
        for path in writer.new:
            path.unlink(missing_ok=True)
        raise


def _write_all(
    writer: _Writer, files: Mapping[str, str], measures: Mapping[str, Any], report: str
) -> list[str]:
    raw = writer.raw
    for space in raw:
        writer.brain_masks(files, space)
        writer.ventricles(files, space)
    for seen in raw:
        for space in (*raw, "template"):
            writer.lesion_maps(files, seen, space)
    writer.transforms(files)
    writer.deformation(files)
    writer.tables(measures)
    copy_into(Path(report), writer.path(writer.name(names.report, model=True)))
    note(writer.notes, COMPLETE)
    return writer.written


class _Writer:
    """Names, sidecars and atomic writes for one unit."""

    def __init__(self, raw: Mapping[str, str], context: Mapping[str, Any]) -> None:
        self.raw, self.context = raw, context
        self.written: list[str] = []
        # Taken back if a later file cannot be written.
        self.new: list[Path] = []
        self.notes = Path(context["output_dir"]) / self.name(names.notes, model=True)
        bids_dir = Path(context["bids_dir"])
        self.uris = {
            image: names.bids_uri(Path(path), bids_dir, dataset="raw")
            for image, path in raw.items()
        }

    def path(self, name: PurePosixPath) -> Path:
        """Note a file that is about to be written, and say where."""
        path = Path(self.context["output_dir"]) / name
        if not path.exists():
            self.new.append(path)
        note(self.notes, str(name))
        self.written.append(str(name))
        return path

    def name(self, of: Any, *, model: bool = False, **entities: Any) -> PurePosixPath:
        if model:
            entities["model_label"] = self.context["model_label"]
        return of(self.context["subject"], self.context["session"], **entities)

    def image(self, name: PurePosixPath, image: nib.Nifti1Image, sidecar: dict) -> None:
        write_nifti(self.path(name), image)
        write_json(self.path(names.sidecar(name)), sidecar)

    def brain_masks(self, files: Mapping[str, str], space: str) -> None:
        """Write an image's own brain mask, and the one carried to it where that was used."""
        native = grid_of(nib.load(self.raw[space]))
        masks = [(False, f"{space}_brain", (space,))]
        # Where a gate failed, the CT was measured with its own mask and nothing was carried.
        frame = load_facts(files["frame_facts"]) if "frame_facts" in files else {}
        if space == "ct" and frame.get("mask_from") == "FLAIR":
            masks.append((True, "ct_used_brain", ("flair", "ct")))
        for carried, key, sources in masks:
            how = "of the FLAIR, carried to the CT" if carried else "found on the image itself"
            self.image(
                self.name(names.brain_mask, space=space.upper(), carried=carried),
                image_on(on_native(files[key], native).astype(np.uint8), native),
                dataset.map_sidecar(
                    sources=[self.uris[source] for source in sources],
                    space=space.upper(),
                    spatial_reference=self.uris[space],
                    kind="Brain",
                    description=f"Brain mask {how}: parenchyma with ventricles and sulci, "
                    "cerebellum, and brainstem to the foramen magnum",
                ),
            )

    def ventricles(self, files: Mapping[str, str], space: str) -> None:
        native = grid_of(nib.load(self.raw[space]))
        self.image(
            self.name(names.ventricle_mask, space=space.upper()),
            image_on(on_native(files[f"{space}_ventricles"], native).astype(np.uint8), native),
            dataset.map_sidecar(
                sources=[self.uris[space]],
                space=space.upper(),
                spatial_reference=self.uris[space],
                kind="ROI",
                description="Lateral ventricles, found on the image",
            ),
        )

    def lesion_maps(self, files: Mapping[str, str], seen: str, space: str) -> None:
        """Write mask, probability and disagreement of the lesions seen in one image."""
        model = self.context["models"][seen]
        network = load_facts(files[f"{seen}_network_facts"])
        is_template = space == "template"
        label = self.context["template"] if is_template else space.upper()
        texts = {
            "mask": "White matter lesions",
            "probability": "Probability of white matter lesion, mean over the ensemble",
            "disagreement": "Standard deviation of the lesion probability over the ensemble",
        }
        for kind, text in texts.items():
            key = f"{seen}_in_{space}_{kind}"
            if key not in files:
                continue
            work = nib.load(files[key])
            dtype = np.uint8 if kind == "mask" else np.float32
            self.image(
                self.name(names.wml, model=True, space=label, seen_in=seen, kind=MAPS[kind]),
                image_on(np.asarray(work.dataobj).astype(dtype), grid_of(work)),
                dataset.map_sidecar(
                    sources=[self.uris[seen]],
                    space=label,
                    spatial_reference=None if is_template else self.uris[space],
                    kind="Lesion" if kind == "mask" else None,
                    threshold=model["threshold"] if kind == "mask" else None,
                    model=model["name"],
                    model_sha256=model["checksum"],
                    precision=network["precision"],
                    description=f"{text}, seen in the {seen.upper()}",
                ),
            )

    def transforms(self, files: Mapping[str, str]) -> None:
        """Write every transform with its inverse as ITK text."""
        template = self.context["template"]
        matrices = {}
        for image in self.raw:
            to_image = np.loadtxt(files[f"template_to_{image}"])
            # What resamples the image onto the template maps template points to the image's.
            matrices[image.upper(), template] = to_image, "nine parameters"
        if len(self.raw) == 2:
            matrices["CT", "FLAIR"] = np.loadtxt(files["flair_to_ct"]), "rigid"
        for (source, target), (matrix, kind) in matrices.items():
            for moving, fixed, values in (
                (source, target, matrix),
                (target, source, np.linalg.inv(matrix)),
            ):
                name = self.name(names.xfm, source=moving, target=fixed)
                write_text(self.path(name), transforms.itk_text(values))
                inputs = [self.uris[side.lower()] for side in (moving, fixed) if side != template]
                write_json(
                    self.path(names.sidecar(name)),
                    {
                        "Description": f"Affine transform ({kind}), ITK text: maps points of "
                        f"{fixed} to points of {moving} (LPS mm), which resamples {moving} "
                        f"onto {fixed}",
                        "Sources": inputs,
                    },
                )

    def deformation(self, files: Mapping[str, str]) -> None:
        """Write the displacement fields of ``--normalisation syn``."""
        seen, template = (
            ("flair" if "flair" in self.raw else "ct").upper(),
            self.context["template"],
        )
        for key, source, target in (
            ("syn_forward", seen, template),
            ("syn_inverse", template, seen),
        ):
            if key not in files:
                continue
            name = self.name(names.xfm, source=source, target=target, deformable=True)
            copy_into(Path(files[key]), self.path(name))
            affine = self.name(names.xfm, source=source, target=target)
            write_json(
                self.path(names.sidecar(name)),
                {
                    "Description": "ITK displacement field (LPS mm) on the template's side of the "
                    f"nine parameters: a point of {template} is moved by the field, then by the "
                    "affine transform, to reach the image"
                    if key == "syn_forward"
                    else "The reverse of the other field: a point of the image is moved by the "
                    f"affine transform, then by this field, to reach {template}",
                    "Sources": [self.uris[seen.lower()], names.bids_uri(affine)],
                },
            )

    def tables(self, measures: Mapping[str, Any]) -> None:
        """Write volumes, with quality gates and facts in the sidecar, and the lesion table."""
        name = self.name(names.stats, model=True)
        write_json(
            self.path(names.sidecar(name)),
            {
                **COLUMNS,
                "QualityControl": measures["qc"],
                "QualityGates": measures["gates"],
                "Facts": measures["facts"],
                "Notes": list(self.context["notes"]),
                "Sources": list(self.uris.values()),
                "Models": {image: self.context["models"][image] for image in self.raw},
                "Software": self.context["versions"],
                "SettingsHashes": self.context["hashes"],
            },
        )
        write_tsv(self.path(name), measures["rows"], list(COLUMNS))
        lesions = self.name(names.stats, model=True, desc="wmllesions")
        write_json(self.path(names.sidecar(lesions)), LESION_COLUMNS)
        write_tsv(self.path(lesions), measures["lesions"], list(LESION_COLUMNS))
