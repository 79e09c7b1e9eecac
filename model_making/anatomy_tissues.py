"""Tissues, ventricles and lesions of one brain on the simulation's working grid.

Used by ``make_anatomies.py``.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ctwml_bids.simulation import canonical
from ctwml_bids.simulation.canonical import signed_distance

CSF, GREY, WHITE = 0, 1, 2
# What is expected at this share or more tells a tissue's intensity, to start with.
TYPICAL = (0.6, 0.55, 0.9)
HULL_MM = 6.0  # what is wider than twice this between brain and mask holds no brain
ODDS_MM = 0.8  # smoothing (SD) of the odds of grey against white matter
# Lesions are this many SD brighter than cortex on FLAIR, or islands in the white matter.
LESION_SD = 1.6


def tissue_fractions(
    channels: np.ndarray, mask: np.ndarray, prior: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fit Gaussians to T1w and FLAIR and return fractions (3, x, y, z).

    Fluid is a linear share between fluid and tissue, since the partial volume in narrow sulci is
    what makes folds; grey against white is the mixture's posterior.

    Parameters
    ----------
    channels
        (2, x, y, z): T1w, FLAIR, bias-corrected.
    mask
        Brain.
    prior
        (3, x, y, z): expected fractions, smooth; they start the fit and weight it weakly.

    Returns
    -------
    fractions, bright
        The fractions, and how many SD of cortex the FLAIR lies above cortex.
    """
    values = channels[:, mask].T
    expected = prior[:, mask].T
    means = [np.median(values[expected[:, k] > TYPICAL[k]], axis=0) for k in range(3)]
    # Lesions and vessels are no class, nor is what holds fluid: the fit does without them.
    some = np.arange(0, len(values), 7)
    along = (values[some] - means[CSF]) @ (means[GREY] - means[CSF])
    plain = along > 0.8 * np.sum((means[GREY] - means[CSF]) ** 2)
    plain &= values[some, 1] < np.percentile(values[:, 1], 97)
    some = some[plain]
    weight = np.sqrt(np.clip(expected, 0.02, 1))
    share = np.clip(expected[some, GREY:], 0.02, 1) ** 4
    # One covariance for both: on its own, cortex' would grow until it holds all that is left.
    for _ in range(30):
        share /= share.sum(axis=1, keepdims=True)
        for k in (GREY, WHITE):
            means[k] = share[:, k - 1] @ values[some] / share[:, k - 1].sum()
        covariance = _shared_covariance(values[some], share, means[GREY:])
        inverse = np.linalg.inv(covariance)
        share = weight[some, GREY:] * _densities(values[some], means[GREY:], inverse)
    posterior = weight[:, GREY:] * _densities(values, means[GREY:], inverse)
    # Noise in the odds is averaged over a voxel's neighbours in the brain.
    odds = np.zeros(mask.shape, dtype=np.float32)
    odds[mask] = np.clip(np.log(posterior[:, 1] / posterior[:, 0]), -8, 8)
    near = ndimage.gaussian_filter(mask.astype(np.float32), ODDS_MM)[mask]
    tissue = 1 / (1 + np.exp(-ndimage.gaussian_filter(odds, ODDS_MM)[mask] / near))
    line = means[GREY] - means[CSF]
    along = (values - means[CSF]) @ inverse @ line / (line @ inverse @ line)
    fluid = np.clip((0.9 - along) / 0.8, 0, 1)
    # White matter is brighter than cortex on one image and darker on the other: never fluid.
    fluid = np.where((tissue > 0.5) & (fluid < 0.35), 0, fluid)
    fractions = np.zeros((3, *mask.shape), dtype=np.float32)
    fractions[CSF][mask] = fluid
    fractions[GREY][mask] = (1 - fluid) * (1 - tissue)
    fractions[WHITE][mask] = (1 - fluid) * tissue
    spread = np.sqrt(np.diag(covariance))
    bright = np.zeros(mask.shape, dtype=np.float32)
    bright[mask] = (values[:, 1] - means[GREY][1]) / spread[1]
    for name, mean in zip(("fluid", "grey", "white"), means, strict=True):
        print(f"  {name}: T1w {mean[0]:.2f}, FLAIR {mean[1]:.2f}")
    print(f"  SD {spread[0]:.2f}, {spread[1]:.2f}", flush=True)
    return without_membranes(fractions), bright


def without_membranes(fractions: np.ndarray) -> np.ndarray:
    """Turn tissue that hangs on the brain by nothing thick into fluid: dura, sinuses, vessels."""
    tissue = fractions[GREY] + fractions[WHITE] > 0.5
    pieces, _ = ndimage.label(ndimage.binary_erosion(tissue))
    largest = pieces == np.argmax(np.bincount(pieces.ravel())[1:]) + 1
    loose = ~ndimage.binary_dilation(largest, iterations=2)
    out = fractions.copy()
    total = fractions.sum(axis=0)
    out[CSF][loose], out[GREY][loose], out[WHITE][loose] = total[loose], 0, 0
    return out


def _shared_covariance(values: np.ndarray, share: np.ndarray, means: list) -> np.ndarray:
    total = 1e-5 * np.eye(values.shape[1])
    for k, mean in enumerate(means):
        centred = values - mean
        total = total + (share[:, k, None] * centred).T @ centred / share.sum()
    return total


def _densities(values: np.ndarray, means: list, inverse: np.ndarray) -> np.ndarray:
    """Return the Gaussian densities (n, classes) up to a common factor."""
    squared = [np.einsum("ni,ij,nj->n", values - m, inverse, values - m) for m in means]
    return np.exp(-np.column_stack(squared) / 2) + 1e-12


def with_deep_grey(fractions: np.ndarray, template: np.ndarray) -> np.ndarray:
    """Take grey against white in the deep nuclei mostly from the template's maps.

    On T1w the thalamus is nearly as bright as white matter; on CT it is as dense as cortex.
    """
    labels = canonical.canonical_head().labels
    deep = np.isin(labels, (canonical.DEEP_GREY, canonical.CAPSULE))
    weight = 0.75 * ndimage.gaussian_filter(deep.astype(np.float32), 1.5)
    tissue = fractions[GREY] + fractions[WHITE]
    both = template[GREY] ** 2 + template[WHITE] ** 2
    white = fractions[WHITE] * (1 - weight) + weight * tissue * template[WHITE] ** 2 / np.maximum(
        both, 1e-3
    )
    white = np.clip(white, 0, tissue)
    return np.stack([fractions[CSF], tissue - white, white]).astype(np.float32)


def hull(fractions: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the brain mask without sinuses and dura that were cut along, but with cisterns."""
    tissue = fractions[GREY] + fractions[WHITE] > 0.5
    closed = signed_distance(signed_distance(tissue, 2) < HULL_MM, 2) < -HULL_MM
    inside = mask & (closed | tissue)
    for k in range(inside.shape[2]):
        inside[:, :, k] = ndimage.binary_fill_holes(inside[:, :, k])
    return inside


def lateral_ventricles(fluid: np.ndarray, expected: np.ndarray, reach: float) -> np.ndarray:
    """Take fluid that is connected to the expected lateral ventricles and near them."""
    x, y, z = canonical.coordinates()
    side = np.abs(x)
    # As in build_template.py: neither third ventricle, cisterns nor cuneus.
    never = ((side < 8) & (z < 3)) | ((side < 6) & (z < 8) & (y < -4))
    never |= ((y < -32) & (side < 12)) | (z < -22)
    near = signed_distance(expected, 2) < reach
    candidate = (fluid > 0.5) & near & ~never
    opened = ndimage.binary_opening(candidate) | (candidate & expected)
    pieces, count = ndimage.label(opened)
    inside = np.bincount(pieces[expected], minlength=count + 1)
    size = np.bincount(pieces.ravel(), minlength=count + 1)
    keep = (inside > 0.15 * size) & (size > 30)
    keep[0] = False
    return ndimage.binary_closing(keep[pieces], iterations=2) | keep[pieces]


def without_lesions(
    fractions: np.ndarray, bright: np.ndarray, ventricles: np.ndarray, lesions: np.ndarray | None
) -> np.ndarray:
    """Turn lesions into white matter: bright on FLAIR, or islands that white matter encloses."""
    labels = canonical.canonical_head().labels
    deep = ndimage.binary_dilation(labels == canonical.DEEP_GREY, iterations=3)
    expected = np.isin(labels, (canonical.CEREBRUM, canonical.CAPSULE, canonical.CALLOSUM))
    like_white = np.maximum(fractions[WHITE], bright > LESION_SD)
    around = ndimage.gaussian_filter(like_white, 4.0)
    distance = signed_distance(ventricles)
    hit = (bright > LESION_SD) & expected & (around > 0.45)
    if lesions is not None:
        hit |= lesions > 0.5
    hit = ndimage.binary_dilation(hit, iterations=1)
    # No brain has cortex beside its lateral ventricles.
    hit |= (distance < 4) & ~deep & expected
    solid = fractions[WHITE] > 0.5
    pieces, count = ndimage.label(~(solid | hit) & expected & ~deep)
    size = np.bincount(pieces.ravel(), minlength=count + 1)
    hit |= (size < 800)[pieces] & (pieces > 0) & (around > 0.5)
    hit &= ~ventricles
    out = fractions.copy()
    out[WHITE][hit] = 1
    out[GREY][hit] = 0
    out[CSF][hit] = 0
    return out
