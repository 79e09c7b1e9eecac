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
from ctwml_bids.preprocessing import transforms
from ctwml_bids.preprocessing.grids import grid_of, image_on
from ctwml_bids.statistics.columns import COLUMNS, LESION_COLUMNS
from ctwml_bids.statistics.regions import MINIMUM_LESION_ML
from ctwml_bids.unit.measuring import on_native
from ctwml_bids.unit.sources import lineage
from ctwml_bids.unit.work_files import load_facts, model_card

# What the report states of the run, so that it can be written again as it was.
SETTINGS = ("template", "normalisation", "seed", "device")
MAPS = {"mask": "mask", "probability": "probseg", "disagreement": "std"}


def write_unit(
    files: Mapping[str, str],
    raw: Mapping[str, str],
    context: Mapping[str, Any],
    measures: Mapping[str, Any],
    report: str,
    example: str = "",
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
    example
        The example picture, empty where there is none.

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
    writer = _Writer(files, raw, context)
    try:
        return _write_all(writer, measures, report, example)
    except BaseException:
        for path in writer.new:
            path.unlink(missing_ok=True)
        raise


def _write_all(
    writer: _Writer, measures: Mapping[str, Any], report: str, example: str
) -> list[str]:
    for space in writer.raw:
        writer.brain_masks(space)
        writer.ventricles(space)
    for seen in writer.raw:
        for space in (*writer.raw, "template"):
            writer.lesion_maps(seen, space)
    writer.transforms()
    writer.deformation()
    writer.tables(measures)
    copy_into(Path(report), writer.path(writer.name(names.report, model=True)))
    if example:
        copy_into(Path(example), writer.path(writer.name(names.example, model=True)))
    note(writer.notes, COMPLETE)
    return writer.written


class _Writer:
    """Names, sidecars and atomic writes for one unit."""

    def __init__(
        self, files: Mapping[str, str], raw: Mapping[str, str], context: Mapping[str, Any]
    ) -> None:
        self.files, self.raw, self.context = files, raw, context
        self.written: list[str] = []
        # Taken back if a later file cannot be written.
        self.new: list[Path] = []
        self.notes = Path(context["output_dir"]) / self.name(names.notes, model=True)
        self.lineage = lineage(files, raw, context)

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

    def brain_masks(self, space: str) -> None:
        """Write an image's own brain mask, and the one carried to it where that was used."""
        native = grid_of(nib.load(self.raw[space]))
        masks = [(False, f"{space}_brain")]
        if space == "ct" and self.lineage.carried:
            masks.append((True, "ct_used_brain"))
        for carried, key in masks:
            how = "of the FLAIR, carried to the CT" if carried else "found on the image itself"
            network = {} if carried else self._network(f"{space}_brain_facts")
            self.image(
                self.name(names.brain_mask, space=space.upper(), carried=carried),
                image_on(on_native(self.files[key], native).astype(np.uint8), native),
                dataset.map_sidecar(
                    sources=self.lineage.of_brain(space, carried=carried),
                    space=space.upper(),
                    spatial_reference=self.lineage.raw[space],
                    kind="Brain",
                    description=f"Brain mask {how}: parenchyma with ventricles and sulci, "
                    "cerebellum, and brainstem to the foramen magnum",
                    **network,
                ),
            )

    def _network(self, facts: str) -> dict[str, Any]:
        """Return name and files of the network that found a brain mask, where one did."""
        network = load_facts(self.files[facts]).get("network") if facts in self.files else None
        return {"model": network["name"], "model_files": network["files"]} if network else {}

    def ventricles(self, space: str) -> None:
        """Write the ventricles found on an image."""
        native = grid_of(nib.load(self.raw[space]))
        found = on_native(self.files[f"{space}_ventricles"], native)
        self.image(
            self.name(names.ventricle_mask, space=space.upper()),
            image_on(found.astype(np.uint8), native),
            dataset.map_sidecar(
                sources=self.lineage.of_ventricles(space),
                space=space.upper(),
                spatial_reference=self.lineage.raw[space],
                kind="ROI",
                description="Lateral ventricles, found on the image",
            ),
        )

    def lesion_maps(self, seen: str, space: str) -> None:
        """Write mask, probability and disagreement of the lesions seen in one image."""
        model = self.context["models"][seen]
        network = load_facts(self.files[f"{seen}_network_facts"])
        is_template = space == "template"
        label = self.context["template"] if is_template else space.upper()
        texts = {
            "mask": "White matter lesions",
            "probability": "Probability of white matter lesion, mean over the ensemble",
            "disagreement": "Standard deviation of the lesion probability over the ensemble",
        }
        for kind, text in texts.items():
            key = f"{seen}_in_{space}_{kind}"
            if key not in self.files:
                continue
            work = nib.load(self.files[key])
            dtype = np.uint8 if kind == "mask" else np.float32
            reference = self.context["template_uri"] if is_template else self.lineage.raw[space]
            self.image(
                self.name(names.wml, model=True, space=label, seen_in=seen, kind=MAPS[kind]),
                image_on(np.asarray(work.dataobj).astype(dtype), grid_of(work)),
                dataset.map_sidecar(
                    sources=self.lineage.of_lesions(seen, space, MAPS[kind]),
                    space=label,
                    spatial_reference=reference,
                    kind="Lesion" if kind == "mask" else None,
                    threshold=model["threshold"] if kind == "mask" else None,
                    model=model["name"],
                    model_files={member["file"]: member["sha256"] for member in model["members"]},
                    precision=network["precision"],
                    island_share=model["island_share"],
                    islands_ml=network["islands_ml"],
                    fluid_ml=network["fluid_ml"],
                    description=f"{text}, seen in the {seen.upper()}",
                ),
            )

    def transforms(self) -> None:
        """Write every transform with its inverse as ITK text."""
        template = self.context["template"]
        matrices = {}
        for image in self.raw:
            to_image = np.loadtxt(self.files[f"template_to_{image}"])
            # What resamples the image onto the template maps template points to the image's.
            matrices[image.upper(), template] = to_image, "nine parameters"
        if len(self.raw) == 2:
            matrices["CT", "FLAIR"] = np.loadtxt(self.files["flair_to_ct"]), "rigid"
        for (source, target), (matrix, kind) in matrices.items():
            self._affine(source, target, matrix, kind)
            self._affine(target, source, np.linalg.inv(matrix), kind, inverse=True)

    def _affine(
        self, moving: str, fixed: str, matrix: np.ndarray, kind: str, *, inverse: bool = False
    ) -> None:
        name = self.name(names.xfm, source=moving, target=fixed)
        write_text(self.path(name), transforms.itk_text(matrix))
        write_json(
            self.path(names.sidecar(name)),
            {
                "Description": f"Affine transform ({kind}), ITK text: maps points of {fixed} to "
                f"points of {moving} (LPS mm), which resamples {moving} onto {fixed}",
                "Sources": self.lineage.of_affine(moving, fixed, inverse=inverse),
            },
        )

    def deformation(self) -> None:
        """Write the displacement fields of ``--normalisation syn``."""
        if self.lineage.deformed is None:
            return
        seen, template = self.lineage.deformed.upper(), self.context["template"]
        for key, source, target, text in (
            (
                "syn_forward",
                seen,
                template,
                "ITK displacement field (LPS mm) on the template's side of the nine parameters: a "
                f"point of {template} is moved by the field, then by the affine transform, to "
                "reach the image",
            ),
            (
                "syn_inverse",
                template,
                seen,
                "The reverse of the other field: a point of the image is moved by the affine "
                f"transform, then by this field, to reach {template}",
            ),
        ):
            name = self.name(names.xfm, source=source, target=target, deformable=True)
            copy_into(Path(self.files[key]), self.path(name))
            write_json(
                self.path(names.sidecar(name)),
                {"Description": text, "Sources": self.lineage.of_field()},
            )

    def tables(self, measures: Mapping[str, Any]) -> None:
        """Write volumes, with quality gates and facts in the sidecar, and the lesion table."""
        smallest = {"MinimumLesionVolume": {"Value": MINIMUM_LESION_ML, "Units": "mL"}}
        name = self.name(names.stats, model=True)
        write_json(
            self.path(names.sidecar(name)),
            {
                **COLUMNS,
                **smallest,
                "QualityControl": measures["qc"],
                "QualityGates": measures["gates"],
                "Facts": measures["facts"],
                "Notes": list(self.context["notes"]),
                "Sources": self.lineage.of_volumes(),
                "Models": {image: model_card(self.context, image) for image in self.raw},
                "Software": self.context["versions"],
                "Settings": {key: self.context[key] for key in SETTINGS},
                "SettingsHashes": self.context["hashes"],
            },
        )
        write_tsv(self.path(name), measures["rows"], list(COLUMNS))
        lesions = self.name(names.stats, model=True, desc="wmllesions")
        write_json(
            self.path(names.sidecar(lesions)),
            {**LESION_COLUMNS, **smallest, "Sources": self.lineage.of_lesion_table()},
        )
        write_tsv(self.path(lesions), measures["lesions"], list(LESION_COLUMNS))
