"""From a unit's work files to its BIDS derivatives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

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
from ctwml_bids.bids.lesion_maps import OF_INFARCTS, OF_WML
from ctwml_bids.image_files import load_nifti
from ctwml_bids.preprocessing import transforms
from ctwml_bids.preprocessing.grids import grid_of, image_on
from ctwml_bids.statistics.columns import COLUMNS, LESION_COLUMNS
from ctwml_bids.statistics.regions import MINIMUM_LESION_ML
from ctwml_bids.unit.measuring import on_native
from ctwml_bids.unit.model_cards import named
from ctwml_bids.unit.records import (
    Facts,
    Head,
    ImageFiles,
    Maps,
    Measures,
    Results,
    TemplateMaps,
)
from ctwml_bids.unit.sources import lineage
from ctwml_bids.unit.work_files import load_facts

# Kinds of lesion maps, as in their names, with the words of `LesionMaps`.
SHOWS = {
    "mask": "{0.plural}",
    "probseg": "Mean {0.probability} over the ensemble",
    "std": "Standard deviation of the {0.probability} over the ensemble",
}


def write_unit(results: Results, measures: Measures, report: str, example: str = "") -> list[str]:
    """Write the derivatives of one unit.

    Parameters
    ----------
    results
        What the steps made.
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
    writer = _Writer(results)
    try:
        return _write_all(writer, measures, report, example)
    except BaseException:
        for path in writer.new:
            path.unlink(missing_ok=True)
        raise


def _write_all(writer: _Writer, measures: Measures, report: str, example: str) -> list[str]:
    images, pair = writer.results.images, writer.results.pair
    maps = {(name, name): image.lesions for name, image in images.items()}
    if pair:
        maps |= {("ct", "flair"): pair.ct_in_flair, ("flair", "ct"): pair.flair_in_ct}
    for space, image in images.items():
        writer.brain_masks(space, image.head)
        writer.ventricles(space, image)
    for seen, image in images.items():
        for space in images:
            writer.lesion_maps(seen, space, maps[seen, space])
        writer.template_maps(seen, image.in_template)
    writer.transforms()
    writer.deformation()
    writer.tables(measures)
    copy_into(Path(report), writer.path(writer.name(names.report, model=True)))
    if example:
        copy_into(Path(example), writer.path(writer.name(names.example, model=True)))
    note(writer.notes, COMPLETE)
    return writer.written


def _left_out(network: Facts, *, infarcts: bool) -> dict[str, float | None]:
    """Return what was left out of a class: islands of WML, small infarcts, fluid of both."""
    if infarcts:
        return {
            "islands_ml": network.get("infarct_small_ml"),
            "fluid_ml": network.get("infarct_fluid_ml"),
        }
    return {"islands_ml": network["islands_ml"], "fluid_ml": network["fluid_ml"]}


class _Writer:
    """Names, sidecars and atomic writes for one unit."""

    def __init__(self, results: Results) -> None:
        self.results, self.run = results, results.run
        self.written: list[str] = []
        # Taken back if a later file cannot be written.
        self.new: list[Path] = []
        self.notes = self.run.output_dir / self.name(names.notes, model=True)
        self.lineage = lineage(results)

    def path(self, name: PurePosixPath) -> Path:
        """Note a file that is about to be written, and say where."""
        path = self.run.output_dir / name
        if not path.exists():
            self.new.append(path)
        note(self.notes, str(name))
        self.written.append(str(name))
        return path

    def name(
        self,
        of: Callable[..., PurePosixPath],
        *,
        model: bool = False,
        **entities: str | bool,
    ) -> PurePosixPath:
        if model:
            entities["model_label"] = self.run.model_label
        return of(self.results.unit.subject, self.results.unit.session, **entities)

    def image(
        self, name: PurePosixPath, image: nib.Nifti1Image, sidecar: Mapping[str, object]
    ) -> None:
        write_nifti(self.path(name), image)
        write_json(self.path(names.sidecar(name)), sidecar)

    def brain_masks(self, space: str, head: Head) -> None:
        """Write an image's own brain mask, and the one carried to it where that was used."""
        native = grid_of(load_nifti(head.read.raw))
        masks = [(False, head.own)]
        if space == "ct" and self.lineage.carried:
            masks.append((True, head.brain))
        for carried, brain in masks:
            how = "of the FLAIR, carried to the CT" if carried else "found on the image itself"
            # Of the network that found it, where one did.
            network = load_facts(brain.facts).get("network")
            of_network = (
                {"model": network["name"], "model_files": network["files"]} if network else {}
            )
            self.image(
                self.name(names.brain_mask, space=space.upper(), carried=carried),
                image_on(on_native(brain.mask, native).astype(np.uint8), native),
                dataset.map_sidecar(
                    sources=self.lineage.of_brain(space, carried=carried),
                    space=space.upper(),
                    spatial_reference=self.lineage.raw[space],
                    kind="Brain",
                    description=f"Brain mask {how}: parenchyma with ventricles and sulci, "
                    "cerebellum, and brainstem to the foramen magnum",
                    **of_network,
                ),
            )

    def ventricles(self, space: str, image: ImageFiles) -> None:
        """Write the ventricles found on an image."""
        native = grid_of(load_nifti(image.head.read.raw))
        self.image(
            self.name(names.ventricle_mask, space=space.upper()),
            image_on(on_native(image.ventricles, native).astype(np.uint8), native),
            dataset.map_sidecar(
                sources=self.lineage.of_ventricles(space),
                space=space.upper(),
                spatial_reference=self.lineage.raw[space],
                kind="ROI",
                description="Lateral ventricles, found on the image",
            ),
        )

    def lesion_maps(self, seen: str, space: str, maps: Maps) -> None:
        """Write mask, probability and disagreement of the lesions seen in one image."""
        of = (seen, space, space.upper(), self.lineage.raw[space])
        for found in (maps, maps.infarct):
            if found is not None:
                is_infarct = found is maps.infarct
                self._lesion_map(*of, "mask", found.mask, infarcts=is_infarct)
                self._lesion_map(*of, "probseg", found.probability, infarcts=is_infarct)
                self._lesion_map(*of, "std", found.disagreement, infarcts=is_infarct)

    def template_maps(self, seen: str, maps: TemplateMaps | None) -> None:
        """Write the maps of the lesions seen in one image, in the template's space."""
        of = (seen, "template", self.run.template.name, self.run.template.uri)
        for found in (maps, maps.infarct) if maps else ():
            if found is not None:
                is_infarct = found is not maps
                self._lesion_map(*of, "mask", found.mask, infarcts=is_infarct)
                self._lesion_map(*of, "probseg", found.probseg, infarcts=is_infarct)

    def _lesion_map(
        self,
        seen: str,
        space: str,
        label: str,
        reference: str,
        kind: str,
        path: str,
        *,
        infarcts: bool,
    ) -> None:
        card = self.run.cards[seen]
        network = load_facts(self.results.images[seen].network.facts)
        work, is_mask = load_nifti(path), kind == "mask"
        array = np.asarray(work.dataobj).astype(np.uint8 if is_mask else np.float32)
        threshold = card.infarct_threshold if infarcts else card.threshold
        of = OF_INFARCTS if infarcts else OF_WML
        share, least_ml = card.island_share, card.infarct_least_ml
        self.image(
            self.name(of.name, model=True, space=label, seen_in=seen, kind=kind),
            image_on(array, grid_of(work)),
            dataset.map_sidecar(
                sources=self.lineage.of_lesions(seen, space, kind, infarcts=infarcts),
                space=label,
                spatial_reference=reference,
                kind="Lesion" if is_mask else None,
                threshold=threshold if is_mask else None,
                model=card.name,
                model_files={member.file: member.sha256 for member in card.members},
                precision=network["precision"],
                description=f"{SHOWS[kind].format(of)}, seen in the {seen.upper()}",
                island_share=None if infarcts else share,
                least_ml=least_ml if infarcts else None,
                **_left_out(network, infarcts=infarcts),
            ),
        )

    def transforms(self) -> None:
        """Write every transform with its inverse as ITK text."""
        template = self.run.template.name
        matrices = {}
        for name, image in self.results.images.items():
            # What resamples the image onto the template maps template points to the image's.
            to_image = np.loadtxt(image.head.template_to_native)
            matrices[name.upper(), template] = to_image, "nine parameters"
        if self.results.pair:
            flair_to_ct = np.loadtxt(self.results.pair.registration.flair_to_ct)
            matrices["CT", "FLAIR"] = flair_to_ct, "rigid"
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
        fields, image = self.results.fields, self.lineage.deformed
        if fields is None or image is None:
            return
        seen, template = image.upper(), self.run.template.name
        for path, source, target, text in (
            (
                fields.forward,
                seen,
                template,
                "ITK displacement field (LPS mm) on the template's side of the nine parameters: a "
                f"point of {template} is moved by the field, then by the affine transform, to "
                "reach the image",
            ),
            (
                fields.inverse,
                template,
                seen,
                "The reverse of the other field: a point of the image is moved by the affine "
                f"transform, then by this field, to reach {template}",
            ),
        ):
            name = self.name(names.xfm, source=source, target=target, deformable=True)
            copy_into(Path(path), self.path(name))
            write_json(
                self.path(names.sidecar(name)),
                {"Description": text, "Sources": self.lineage.of_field(image)},
            )

    def tables(self, measures: Measures) -> None:
        """Write volumes, with quality gates and facts in the sidecar, and the lesion table."""
        smallest = {"MinimumLesionVolume": {"Value": MINIMUM_LESION_ML, "Units": "mL"}}
        run, name = self.run, self.name(names.stats, model=True)
        write_json(
            self.path(names.sidecar(name)),
            {
                **COLUMNS,
                **smallest,
                "QualityControl": measures.qc,
                "QualityGates": measures.gates,
                "Facts": measures.facts,
                "Notes": list(self.results.unit.notes),
                "Sources": self.lineage.of_volumes(),
                "Models": {
                    image: named(run.output_dir, run.cards[image]) for image in self.results.images
                },
                "Software": run.versions,
                # What the report states of the run, so that it can be written again as it was.
                "Settings": {
                    "template": run.template.name,
                    "normalisation": run.normalisation,
                    "seed": run.seed,
                    "device": run.device,
                },
                "SettingsHashes": run.hashes,
            },
        )
        write_tsv(self.path(name), measures.rows, list(COLUMNS))
        lesions = self.name(names.stats, model=True, desc="wmllesions")
        write_json(
            self.path(names.sidecar(lesions)),
            {**LESION_COLUMNS, **smallest, "Sources": self.lineage.of_lesion_table()},
        )
        write_tsv(self.path(lesions), measures.lesions, list(LESION_COLUMNS))
