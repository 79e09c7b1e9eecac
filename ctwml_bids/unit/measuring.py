"""From a unit's files to its numbers: measures per image, agreement of the pair, quality gates."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from ctwml_bids.errors import BadDataError
from ctwml_bids.image_files import load_nifti
from ctwml_bids.preprocessing.ct_quality import ct_quality
from ctwml_bids.preprocessing.empty_slices import seen_part
from ctwml_bids.preprocessing.grids import Grid, grid_of, resample
from ctwml_bids.preprocessing.slice_spacing import VAULT_RATIO
from ctwml_bids.statistics import overlap, regions, tables
from ctwml_bids.statistics.gates.brain import brain_gates
from ctwml_bids.statistics.gates.ct import ct_gates
from ctwml_bids.statistics.gates.flair import flair_gates
from ctwml_bids.statistics.gates.gate import Gate, overall
from ctwml_bids.statistics.gates.infarcts import infarcts_or_dark_areas
from ctwml_bids.statistics.gates.lesions import lesion_gates
from ctwml_bids.statistics.gates.pair import pair_gates
from ctwml_bids.statistics.gates.scan import scan_gates
from ctwml_bids.statistics.thresholds import stated
from ctwml_bids.unit.records import Facts, Head, ImageFiles, Measures, PairFiles, Results
from ctwml_bids.unit.work_files import load_facts, load_image, load_mask


def on_native(path: str, native: Grid) -> np.ndarray:
    """Bring a mask onto an input image's grid, or onto that of its working image.

    Both lie in the same RAS mm space.
    """
    mask = load_image(path)
    found: np.ndarray = resample(np.asarray(mask.dataobj), mask.affine, native) >= 0.5
    return found


def cut_shares(brain: np.ndarray) -> dict[str, float]:
    """Return the brain's area on each face of the image as a share of its largest section.

    Parameters
    ----------
    brain
        Mask, shape (x, y, z), axes towards right, front and top.

    Returns
    -------
    dict
        ``left``, ``right``, ``back``, ``front``, ``bottom`` and ``top`` → 0–1, compared with the
        largest section in parallel.
    """
    shares: dict[str, float] = {}
    for axis, ends in enumerate((("left", "right"), ("back", "front"), ("bottom", "top"))):
        areas = np.count_nonzero(brain, axis=tuple({0, 1, 2} - {axis}))
        shares |= dict(zip(ends, (areas[[0, -1]] / areas.max()).tolist(), strict=True))
    return shares


def spacing_ratio(facts: Facts) -> float:
    """Return by what factor a CT's slices seem to lie unevenly: 1 where nothing says so."""
    ratios: list[float] = [facts["slice_gap_ratio"] or 1.0]
    stated = facts["stated_spacing_ratio"]
    if stated is not None:
        ratios.append(max(stated, 1.0 / stated))
    vault = facts["vault_ratio"]
    if vault is not None and not VAULT_RATIO[0] <= vault <= VAULT_RATIO[1]:
        ratios.append(max(vault, 1.0 / vault))
    return max(ratios)


def measure_unit(results: Results) -> Measures:
    """Measure everything that the statistics table and the report state.

    Parameters
    ----------
    results
        What the steps made of one unit.
    """
    measures, infarcts_ml, gates, facts = {}, {}, [], {}
    for name, image in results.images.items():
        infarcts_ml[name] = _infarct_ml(image)
        measures[name], image_gates, facts[name] = _measure_image(name, image, infarcts_ml[name])
        gates += image_gates
    pair = None
    if results.pair:
        registration = load_facts(results.pair.registration.facts)
        head = results.pair.ct.head
        found = {**registration, **load_facts(head.brain.facts)}
        carried = found["mask_from"] == "FLAIR"
        gates += pair_gates(found, _missed(head) if carried else None)
        # The gate has these.
        said = {"verdict", "reason", "limits"}
        facts["registration"] = {name: found[name] for name in found if name not in said}
        # Images that do not line up are not compared: the numbers would look like real ones.
        if registration["verdict"] != "fail":
            pair = _compare(results.pair)
    qc = overall(gates)
    cards = {name: results.run.cards[name] for name in results.images}
    rows = tables.unit_rows(
        measures,
        qc=qc,
        thresholds={name: card.threshold for name, card in cards.items()},
        models={name: card.name for name, card in cards.items()},
        infarcts_ml=infarcts_ml,
        pair=pair,
    )
    if results.run.fazekas:
        rows, facts["fazekas"] = stated(rows, results.run.fazekas)
    return Measures(
        rows=rows,
        lesions=[row for name in measures for row in tables.lesion_rows(name, measures[name])],
        gates=_rounded([asdict(gate) for gate in gates]),
        qc=qc,
        facts=_rounded(facts),
    )


def _rounded(content: Any) -> Any:
    """Return numbers with the six significant digits that tables have."""
    if isinstance(content, dict):
        return {name: _rounded(value) for name, value in content.items()}
    if isinstance(content, list):
        return [_rounded(value) for value in content]
    return float(f"{content:.6g}") if isinstance(content, float) else content


def _infarct_ml(files: ImageFiles) -> float | None:
    """Return the volume of the infarcts on an image's own grid; None where none are marked."""
    if files.lesions.infarct is None:
        return None
    mask = load_nifti(files.lesions.infarct.mask)
    return float(np.count_nonzero(mask.dataobj)) * grid_of(mask).voxel_ml


def _measure_image(
    name: str, files: ImageFiles, infarct_ml: float | None
) -> tuple[regions.LesionMeasures, list[Gate], Facts]:
    head, label = files.head, name.upper()
    native = grid_of(load_nifti(head.read.raw))
    lesions = np.asarray(load_nifti(files.lesions.mask).dataobj) > 0
    probability = np.asarray(load_nifti(files.lesions.probability).dataobj)
    # Of a pair, the CT's is the FLAIR's: volumes and percentages are those inside it.
    brain = on_native(head.brain.mask, native)
    # The guide's midline is x = 0; another template's need not be.
    native_to_guide = np.linalg.inv(np.loadtxt(head.guide_to_native))
    ventricles = on_native(files.ventricles, native)
    found = regions.measure(
        lesions,
        affine=native.affine,
        probability=probability,
        brain=brain,
        ventricles=ventricles,
        left=regions.left_of_midline(native.shape, native.affine, native_to_guide),
    )
    fit = load_facts(head.fit)
    facts = {
        **load_facts(head.read.facts),
        # The mask's own sidecar names the files of the network that found it.
        "brain_mask": {k: v for k, v in load_facts(head.own.facts).items() if k != "network"},
        "network": load_facts(files.network.facts),
        "normalisation": fit,
    }
    used = np.asarray(load_mask(head.brain.mask).dataobj)
    cut = cut_shares(seen_part(used, facts["brain_mask"].get("empty_slices")))
    gates = [
        *brain_gates(found, cut, fit, image=label),
        *lesion_gates(found, left_out_as_fluid(facts["network"]), image=label),
        *scan_gates(facts["brain_mask"], image=label),
    ]
    if name == "ct":
        facts["quality"] = _ct_quality(files)
        gates += ct_gates(facts, spacing_ratio(facts))
    gates += infarcts_or_dark_areas(infarct_ml, facts.get("quality"), image=label)
    if files.contrast is not None:
        facts["contrast"] = load_facts(files.contrast)
        gates += flair_gates(facts)
    return found, gates, facts


def left_out_as_fluid(network: Facts) -> float:
    """Return the volume (mL) that a network marked in fluid of the ventricles, of all classes."""
    return float(network["fluid_ml"] + (network.get("infarct_fluid_ml") or 0.0))


def _ct_quality(files: ImageFiles) -> dict[str, float | None]:
    """Measure what only HU can tell, on the working image.

    In the CT's own brain mask: the FLAIR's, carried to it, reaches into the vault, and the border
    of bone would read as blood (14 mL instead of 0.4 on the real pair sub-dv01).
    """
    image, marked = load_image(files.head.read.image), files.lesions.infarct
    return ct_quality(
        image,
        load_mask(files.head.own.mask),
        load_mask(files.ventricles),
        np.loadtxt(files.head.guide_to_native),
        None if marked is None else on_native(marked.mask, grid_of(image)),
    )


def _missed(head: Head) -> float:
    """Return the share of the brain found on the CT that the mask it is measured in leaves out."""
    own, used = (np.asarray(load_mask(brain.mask).dataobj) for brain in (head.own, head.brain))
    missed = int(np.count_nonzero((own > 0) & (used == 0)))
    return missed / max(int(np.count_nonzero(own)), 1)


def _compare(pair: PairFiles) -> overlap.Overlap:
    """Compare the lesions of CT and FLAIR in FLAIR space."""
    paths = (pair.ct_in_flair.mask, pair.flair.lesions.mask)
    ct, flair = (np.asarray(load_nifti(path).dataobj) for path in paths)
    if ct.shape != flair.shape:
        raise BadDataError(
            f"{paths[0]}: the CT's lesions in FLAIR space have the shape {ct.shape}, the FLAIR's "
            f"{flair.shape}; run again with --clean-workdir."
        )
    return overlap.compare(ct, flair, affine=grid_of(load_nifti(pair.flair.head.read.raw)).affine)
