"""A CT and a FLAIR of one simulated head, with everything about it that is true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import nibabel as nib
import numpy as np

from ctwml_bids.geometry import nifti
from ctwml_bids.simulation import canonical, ct, flair
from ctwml_bids.simulation.anatomy import Head, make_head
from ctwml_bids.simulation.ct_noise import SHARP_CUTOFF
from ctwml_bids.simulation.individual import INDIVIDUAL_SHARE, draw_anatomy
from ctwml_bids.simulation.infarct_tissue import KINDS, SHARE, Infarcts, draw_infarcts, draw_kind
from ctwml_bids.simulation.infarcts import InfarctShapes, read_shapes
from ctwml_bids.simulation.lesions import Lesions, draw_lesion_ml, make_lesions
from ctwml_bids.simulation.patterns import PATTERN_STREAM, draw_pattern
from ctwml_bids.simulation.rated import OUTLINE_STREAM, draw_rated_lesions
from ctwml_bids.simulation.sampling import Scan, pose, take
from ctwml_bids.simulation.scans import MOST_GAP, draw_ct_grid, draw_flair_grid
from ctwml_bids.simulation.second_rater import outline_again
from ctwml_bids.simulation.truth import Truth, sample_truth
from ctwml_bids.simulation.wide_ventricles import RANGE_ML
from ctwml_bids.simulation.window_export import through_window

VERSION = "3.1"  # of the simulation; the same seed gives the same heads within a version
# Age by Fazekas group (Table 1 of Pitkänen et al. 2020): mean, SD.
INFARCT_STREAM = 17  # of a seed; others are taken elsewhere
AGE = {0: (65.7, 11.5), 1: (65.7, 11.5), 2: (73.4, 7.1), 3: (74.7, 7.2)}


@dataclass(frozen=True)
class SimulatedPair:
    """A simulated CT and FLAIR of one person; an image that was not asked for is None.

    Attributes
    ----------
    ct, flair
        int16 images; the CT in HU with padding outside its circle, or as a window export.
    ct_truth, flair_truth
        Masks on the images' grids.
    flair_to_ct, template_to_ct, template_to_flair
        4×4, RAS mm. The last two are T·R·S, applied before the head's elastic warp.
    facts
        Age, sex, fazekas, true volumes, slice thickness and the like; plain numbers and strings.
    """

    ct: nib.Nifti1Image | None
    flair: nib.Nifti1Image | None
    ct_truth: Truth | None
    flair_truth: Truth | None
    flair_to_ct: np.ndarray
    template_to_ct: np.ndarray
    template_to_flair: np.ndarray
    facts: dict = field(default_factory=dict)


def _draw_person(
    rng: np.random.Generator, fazekas: int | None, age: float | None, sex: str | None
) -> tuple[int, float, str]:
    """Draw grade, age and sex where they were not given."""
    if fazekas is None:
        fazekas = int(rng.choice(4, p=[0.25, 0.2, 0.25, 0.3]))
    if age is None:
        # A part of the lesion-free are young, or normal young brains would never be seen.
        if fazekas == 0 and rng.random() < 0.4:
            age = rng.uniform(20, 60)
        else:
            age = np.clip(rng.normal(*AGE[fazekas]), 40, 95)
    if sex is None:
        sex = "F" if rng.random() < 0.5 else "M"
    return fazekas, float(np.round(age)), sex


def _scan_ct(
    rng: np.random.Generator,
    head: Head,
    lesions: Lesions,
    matrix: np.ndarray,
    scan: Scan,
    facts: dict,
    noise: float,
) -> nib.Nifti1Image:
    """Take a CT of a head."""
    settings = ct.draw_settings(rng, head.age, facts["lesion_ml"])
    settings = replace(settings, noise=settings.noise * noise)
    hu = ct.hounsfield(rng, head, lesions, settings)
    sampled = take(hu, (0, 0, 0), matrix, scan, fill=-1000.0)
    image = ct.scanner(rng, sampled, scan, settings, np.linalg.inv(matrix) @ scan.affine)
    if rng.random() < 0.7:
        back = (matrix @ np.array([0, -117.0, 10, 1]))[1]
        ct.add_table(rng, image, scan, float(back))
    if rng.random() < 0.6:
        ct.pad_circle(rng, image)
    facts["ct"] = {
        "slice_thickness_mm": scan.thickness,
        "noise_hu_5mm": settings.noise,
        "grey_minus_white_hu": settings.contrast,
        "lesion_drop_hu": settings.lesion_drop,
        "kernel": "sharp" if settings.texture.cutoff > SHARP_CUTOFF else "soft",
    }
    return nifti(image, scan.affine)


def _scan_flair(
    rng: np.random.Generator,
    head: Head,
    lesions: Lesions,
    matrix: np.ndarray,
    scan: Scan,
    facts: dict,
) -> nib.Nifti1Image:
    """Take a FLAIR of a head."""
    settings = flair.draw_settings(rng)
    signal = flair.relative_signal(rng, head, lesions, settings)
    sampled = take(signal, (0, 0, 0), matrix, scan)
    facts["flair"] = {"slice_thickness_mm": scan.thickness, "lesion_signal": settings.lesion}
    return nifti(flair.scanner(rng, sampled, scan, settings), scan.affine)


def simulate_pair(
    seed: int,
    *,
    fazekas: int | None = None,
    age: float | None = None,
    sex: str | None = None,
    lesion_ml: float | None = None,
    ventricles_ml: float | None = None,
    rated_as: Sequence[int] | None = None,
    modality: str = "both",
    size: str = "full",
    ct_spacing: Sequence[float] | None = None,
    flair_spacing: Sequence[float] | None = None,
    ct_gap: float | None = None,
    flair_gap: float | None = None,
    ct_window: Sequence[float] | None = None,
    ct_noise: float = 1.0,
    sagittal: bool | None = None,
    anatomies: Sequence[Path] = (),
    individual_share: float = INDIVIDUAL_SHARE,
    infarcts: Path | InfarctShapes | None = None,
    infarct: str | None = None,
    infarct_share: float = SHARE,
) -> SimulatedPair:
    """Simulate one person's CT and FLAIR with known lesions.

    Parameters
    ----------
    seed
        Decides everything that is not given; the same seed and options give the same images.
    fazekas
        Grade 0–3; sets the lesion volume and, without ``age``, the age.
    age, sex, lesion_ml
        Years, "F" or "M", millilitres; drawn where None.
    ventricles_ml
        Volume of the lateral ventricles in mL, 100 to 300, as in hydrocephalus: tissue is pushed
        towards the skull and sulci narrow. None: as age makes them.
    rated_as
        Draw lesions until a rater gives one of these grades (see ``rated``), instead of from
        ``fazekas`` or ``lesion_ml``. Facts then hold the ratings, and truths a second outline.
    modality
        "both", "ct" or "flair". The head is the same whichever is asked for.
    size
        "full": clinical matrices; "small": 1.1–1.6 mm in plane, 4–5 mm slices.
    ct_spacing, flair_spacing
        Voxel edges in mm to use instead of drawn ones, for training: (1, 1, 3), say. The field
        of view holds the head tightly.
    ct_gap, flair_gap
        Share of the distance between slices that none of them sees, 0 to 0.3: slices of 4 mm
        every 5 mm have a gap of 0.2. None: none on CT, drawn on FLAIR.
    ct_window
        Lower and upper end in HU of the display window through which the CT was exported with 8
        bits (see ``window_export``): float32 then. None: the CT is whole.
    ct_noise
        Factor of the CT's noise.
    sagittal
        Whether the FLAIR is a sagittal 3D one; drawn (13 in 147) if None.
    anatomies
        Files of individual anatomies (see ``individual``); without any, every head is bent from
        the template.
    individual_share
        Chance of an individual anatomy where there are some; the others get the template's.
    infarcts
        Shapes of real infarcts, or their file (see ``infarcts``). Without them some have an even
        old infarct, which is not seen where a rater grades lesions, and small lacunes.
    infarct
        "none", "old", "subacute" or "lacunes", for which ``infarcts`` are needed; drawn if None.
    infarct_share
        Chance of infarcts where they are drawn from ``infarcts``.

    Returns
    -------
    SimulatedPair

    Raises
    ------
    ValueError
        If modality, size, a grade, ventricles, a gap, a window or infarct are none of those above,
        or options exclude each other.
    BadDataError
        If an anatomy file or that of infarcts cannot be read or lies on another grid.
    """
    if modality not in ("both", "ct", "flair") or size not in ("full", "small"):
        raise ValueError(f"modality {modality!r} or size {size!r} is not known")
    if fazekas not in (None, 0, 1, 2, 3):
        raise ValueError(f"fazekas must be 0, 1, 2 or 3, not {fazekas!r}")
    if ventricles_ml is not None and not RANGE_ML[0] <= ventricles_ml <= RANGE_ML[1]:
        raise ValueError(f"ventricles_ml must be 100 to 300 mL, not {ventricles_ml!r}")
    for gap in (ct_gap, flair_gap):
        if gap is not None and not 0 <= gap <= MOST_GAP:
            raise ValueError(f"ct_gap and flair_gap must be 0 to {MOST_GAP}, not {gap!r}")
    if rated_as is not None:
        if (fazekas, lesion_ml) != (None, None) or not {*rated_as} <= {0, 1, 2, 3} or not rated_as:
            raise ValueError(f"rated_as={rated_as!r}: grades 0 to 3, without fazekas, lesion_ml")
        fazekas = max(rated_as)
    if infarct not in (None, *KINDS) or (infarct not in (None, "none") and infarcts is None):
        raise ValueError(f"infarct={infarct!r}: one of {', '.join(KINDS)}, with infarcts")
    # Independent streams: what one part draws never shifts another part.
    streams = [np.random.default_rng([seed, part]) for part in range(8)]
    fazekas, age, sex = _draw_person(streams[0], fazekas, age, sex)
    anatomy = draw_anatomy(streams[7], anatomies, individual_share)
    head = make_head(streams[1], age, sex, anatomy, ventricles_ml)
    head, found = _draw_infarcts(seed, head, infarcts, infarct, infarct_share)
    rated = again = None
    volume = lesion_ml
    if rated_as is None and volume is None:
        volume = draw_lesion_ml(streams[2], fazekas)
    pattern = draw_pattern(np.random.default_rng([seed, PATTERN_STREAM]), head, anatomies, volume)
    if rated_as is None:
        assert volume is not None
        lesions = make_lesions(streams[2], head, volume, infarcts=found, pattern=pattern.distance)
    else:
        rated = draw_rated_lesions(seed, head, rated_as, infarcts=found, bent=pattern.distance)
        fazekas, lesions = rated.rated.grade, rated.lesions
        again = outline_again(np.random.default_rng([seed, OUTLINE_STREAM]), head, lesions)
    template_to_ct = pose(streams[3], head.scale, 6.0, 30.0)
    template_to_flair = pose(streams[4], head.scale, 4.0, 20.0)
    facts = _facts(seed, fazekas, head, lesions)
    if rated is not None and again is not None:
        facts["rating"] = rated.facts()
        facts["second_rater_lesion_ml"] = float((again > 0.5).sum()) * head.voxel_ml
    facts["anatomy"] = "template" if anatomy is None else anatomy.name
    facts["lesion_pattern"] = pattern.name
    ct_image = flair_image = ct_truth = flair_truth = None
    if modality != "flair":
        scan = draw_ct_grid(
            streams[3],
            template_to_ct,
            ct_spacing,
            size,
            gap=ct_gap,
            covered_from=head.covered_from,
        )
        ct_image = _scan_ct(streams[5], head, lesions, template_to_ct, scan, facts, ct_noise)
        if ct_window is not None:
            ct_image = through_window(ct_image, ct_window)
            facts["ct"]["window_hu"] = [float(end) for end in ct_window]
        ct_truth = sample_truth(head, lesions, template_to_ct, scan, again)
    if modality != "ct":
        if sagittal is None:
            sagittal = bool(streams[4].random() < 13 / 147)
        scan = draw_flair_grid(
            streams[4],
            template_to_flair,
            flair_spacing,
            size,
            sagittal,
            gap=flair_gap,
            covered_from=head.covered_from,
        )
        flair_image = _scan_flair(streams[6], head, lesions, template_to_flair, scan, facts)
        facts["flair"]["sagittal_3d"] = sagittal
        flair_truth = sample_truth(head, lesions, template_to_flair, scan, again)
    return SimulatedPair(
        ct=ct_image,
        flair=flair_image,
        ct_truth=ct_truth,
        flair_truth=flair_truth,
        flair_to_ct=template_to_ct @ np.linalg.inv(template_to_flair),
        template_to_ct=template_to_ct,
        template_to_flair=template_to_flair,
        facts=facts,
    )


def _draw_infarcts(
    seed: int,
    head: Head,
    infarcts: Path | InfarctShapes | None,
    kind: str | None,
    share: float,
) -> tuple[Head, Infarcts | bool]:
    """Return a head with its infarcts, or whether it may have even ones and lacunes."""
    if infarcts is None:
        return head, kind is None
    shapes = infarcts if isinstance(infarcts, InfarctShapes) else read_shapes(infarcts)
    rng = np.random.default_rng([seed, INFARCT_STREAM])
    drawn = draw_kind(rng, share)
    head, found = draw_infarcts(rng, head, shapes, drawn if kind is None else kind)
    return head, False if found is None else found


def _facts(seed: int, fazekas: int, head: Head, lesions: Lesions) -> dict:
    """Return what is true of a person, measured on the 1 mm head."""
    brain = float(head.brain.sum())
    return {
        "seed": seed,
        "version": VERSION,
        "fazekas": fazekas,
        "age": head.age,
        "sex": head.sex,
        "scale": [float(value) for value in head.scale],
        "lesion_ml": float((lesions.lesion > 0.5).sum()) * head.voxel_ml,
        "brain_ml": brain * head.voxel_ml,
        "ventricle_ml": float(head.ventricles.sum()) * head.voxel_ml,
        "csf_share": float((head.csf * head.brain).sum()) / brain,
        "infarct_ml": float((lesions.infarct > 0.5).sum()) * head.voxel_ml,
        "infarcts": [] if lesions.infarcts is None else list(lesions.infarcts.described),
        "foramen_magnum_z_template_mm": canonical.FORAMEN_Z,
    }
