"""Who the shipped models' simulated heads are, and how they were scanned: as wide as reality is."""

from __future__ import annotations

import numpy as np

from ctwml_bids.simulation.scans import MOST_GAP

# Share of heads without any lesion: specificity is the hard part. Their ages (years) and the
# shares of these: many are young, as normal young white matter is taken for lesion else, and many
# old, where it is darker and fluid wider.
LESION_FREE_SHARE = 0.4
LESION_FREE_AGES = ((18, 45), (45, 65), (65, 95))
LESION_FREE_AGE_SHARES = (0.35, 0.2, 0.45)
# The others: by Fazekas grade, or evenly (in its logarithm) next to nothing, or severe up to more
# than the 95 mL at which grades end.
GRADES, GRADE_SHARES = (1, 2, 3), (0.25, 0.35, 0.4)
SLIGHT_SHARE, SLIGHT_ML = 0.1, (0.15, 2.0)
SEVERE_SHARE, SEVERE_ML = 0.25, (15.0, 128.0)
# Ventricles wide as in normal pressure hydrocephalus, or where tissue was lost, with and without
# lesions.
WIDE_SHARE, WIDE_ABOVE_AGE, WIDE_ML = 0.08, 55.0, (100.0, 250.0)

PIXEL_MM = (0.6, 1.0)  # no finer than the network's grid can use
CT_SLICES_MM = (1.5, 2.5, 3.0, 4.0, 5.0, 5.0, 5.0, 6.0, 7.0, 8.0, 10.0)
GAP_SHARE = 0.3
# Windows of 8-bit exports: width and centre, or ends, in HU.
WINDOW_SHARE = 0.1
WINDOWS = ((0.0, 80.0), (-5.0, 75.0), (0.0, 100.0), (-20.0, 100.0), (-5.0, 85.0))
SAGITTAL_SHARE = 0.15  # 3D FLAIRs of 1 mm
USUAL_FLAIR_SHARE, USUAL_FLAIR_MM, ALL_FLAIR_MM = 0.45, (4.0, 6.0), (3.0, 10.0)


def draw_person(rng: np.random.Generator) -> dict:
    """Draw who is simulated: options of `simulate_pair` (fazekas, lesion_ml, age, ventricles)."""
    if rng.random() < LESION_FREE_SHARE:
        ages = LESION_FREE_AGES[int(rng.choice(len(LESION_FREE_AGES), p=LESION_FREE_AGE_SHARES))]
        person: dict = {"fazekas": 0, "lesion_ml": 0.0, "age": float(rng.uniform(*ages))}
    else:
        kind = rng.random()
        if kind < SLIGHT_SHARE:
            person = {"fazekas": 1, "lesion_ml": _evenly_in_log(rng, SLIGHT_ML)}
        elif kind < SLIGHT_SHARE + SEVERE_SHARE:
            person = {"fazekas": 3, "lesion_ml": _evenly_in_log(rng, SEVERE_ML)}
        else:
            person = {"fazekas": int(rng.choice(GRADES, p=GRADE_SHARES))}
        person["age"] = float(np.clip(rng.normal(71, 10), 40, 95))
    if person["age"] > WIDE_ABOVE_AGE and rng.random() < WIDE_SHARE:
        person["ventricles_ml"] = float(rng.uniform(*WIDE_ML))
    return person


def draw_scans(rng: np.random.Generator) -> dict:
    """Draw how both images are taken: options of `simulate_pair` (spacings, gaps, window)."""
    pixel = rng.uniform(*PIXEL_MM)
    scans: dict = {"ct_spacing": (pixel, pixel, float(rng.choice(CT_SLICES_MM)))}
    scans["ct_gap"] = _gap(rng)
    if rng.random() < WINDOW_SHARE:
        scans["ct_window"] = WINDOWS[int(rng.integers(len(WINDOWS)))]
    scans["sagittal"] = bool(rng.random() < SAGITTAL_SHARE)
    if not scans["sagittal"]:
        usual = rng.random() < USUAL_FLAIR_SHARE
        apart = rng.uniform(*USUAL_FLAIR_MM) if usual else _evenly_in_log(rng, ALL_FLAIR_MM)
        pixel = rng.uniform(*PIXEL_MM)
        scans["flair_spacing"] = (pixel, pixel, float(apart))
        scans["flair_gap"] = _gap(rng)
    return scans


def _gap(rng: np.random.Generator) -> float:
    return float(rng.uniform(0.05, MOST_GAP)) if rng.random() < GAP_SHARE else 0.0


def _evenly_in_log(rng: np.random.Generator, limits: tuple[float, float]) -> float:
    return float(np.exp(rng.uniform(*np.log(limits))))
