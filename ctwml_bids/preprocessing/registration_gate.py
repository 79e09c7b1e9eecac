"""Tell whether a CT is registered to the FLAIR of the same head, the right way round.

Three questions to the images themselves, besides the overlap of the brain masks:

- Does the CT tell more about the FLAIR within the brain than chance (mutual information)?
- Does it tell more than its own mirror image? Heads are nearly symmetric; a left–right flip shows
  only here.
- Does the fit stay when the axes may stretch? The same head has scales of one; another head
  has not.
"""

from __future__ import annotations

from collections.abc import Mapping

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage

from ctwml_bids.preprocessing.brain_border import largest
from ctwml_bids.preprocessing.climbing import climbed
from ctwml_bids.preprocessing.grids import Grid, grid_of, resample
from ctwml_bids.preprocessing.similarity import Similarity

# A voxel's four neighbours in its slice (along the third axis).
PLANE_CROSS = ndimage.generate_binary_structure(3, 1)
PLANE_CROSS[:, :, [0, 2]] = False
_EVALUATIONS = 350

# Thresholds, from `benchmarks/registration.py` (ROC in docs/experiments.md). The mirror ratio is
# about 1 for another head, which fits neither way, and its own reciprocal for a flip.
MIRROR_FAIL, MIRROR_WARN = 1.18, 1.35
# Deviation of a free scale from 1, in the planes. Through them, thick slices blur it.
SCALE_FAIL, SCALE_WARN = 0.06, 0.03
# Brain masks of one head, made from two images.
DICE_FAIL, DICE_WARN = 0.80, 0.90
# What registering adds to the mutual information of the heads; less than this is odd.
GAIN_WARN = 0.0
LIMITS = (
    f"mirror ratio at least {MIRROR_WARN:g} (fail under {MIRROR_FAIL:g}), free scale within "
    f"{SCALE_WARN:.0%} (fail over {SCALE_FAIL:.0%}), Dice of the brain masks at least "
    f"{DICE_WARN:.2f} (fail under {DICE_FAIL:.2f}), no loss of mutual information"
)


def gate_facts(
    flair: nib.Nifti1Image,
    ct: nib.Nifti1Image,
    flair_to_ct: np.ndarray,
    *,
    head: np.ndarray,
    brain: np.ndarray,
) -> dict[str, float]:
    """Measure what separates true pairs from wrong heads and left–right flips.

    Parameters
    ----------
    flair, ct
        Grey levels in [0, 1] at about 3 mm.
    flair_to_ct
        4×4, RAS mm: the registration.
    head, brain
        On the FLAIR's grid, bool: where each similarity is measured.

    Returns
    -------
    dict
        ``nmi_head``, ``nmi_brain``; ``nmi_brain_mirrored`` with the CT mirrored and registered
        again; ``mirror_ratio``, the brain's shared information in units of the mirrored one's,
        (nmi − 1) / (nmi mirrored − 1); ``scale_in_plane`` and ``scale_through_plane``, the
        largest deviation from 1 when scales are free; ``nmi_free_gain``, what freedom adds.
    """
    in_head, in_brain = Similarity(flair, ct, head), Similarity(flair, ct, brain)
    start = flair_to_ct @ _reflection(flair, head)
    near = climbed(in_head, start, evaluations=_EVALUATIONS, stride=4.0)[0]
    mirrored = climbed(in_head, near, evaluations=_EVALUATIONS)[0]
    scaled, scales = climbed(in_head, flair_to_ct, evaluations=_EVALUATIONS, scaled=True)
    here, there = in_brain(flair_to_ct), in_brain(mirrored)
    through = int(np.argmax(grid_of(flair).spacing))
    deviation = np.abs(scales - 1.0)
    return {
        "nmi_head": in_head(flair_to_ct),
        "nmi_head_mirrored": in_head(mirrored),
        "nmi_brain": here,
        "nmi_brain_mirrored": there,
        "mirror_ratio": (here - 1.0) / max(there - 1.0, 1e-4),
        "scale_in_plane": float(np.delete(deviation, through).max()),
        "scale_through_plane": float(deviation[through]),
        "nmi_free_gain": in_head(scaled) - in_head(flair_to_ct),
    }


def registration_verdict(facts: Mapping[str, float]) -> tuple[str, str]:
    """Judge a registration by its facts.

    Parameters
    ----------
    facts
        As in `registration.RigidResult`; the masks' overlap may be missing.

    Returns
    -------
    tuple of str
        "pass", "warn" or "fail", and the reason in one sentence.
    """
    ratio, scale = facts["mirror_ratio"], facts["scale_in_plane"]
    dice = facts.get("mask_dice", 1.0)
    gain = facts.get("nmi_after", 1.0) - facts.get("nmi_before", 0.0)
    if not np.isfinite([ratio, scale, dice, gain]).all():
        return "fail", "The fit of CT and FLAIR could not be measured; look at both images."
    if ratio < 1.0 / MIRROR_FAIL:
        return (
            "fail",
            f"The mirrored CT fits the FLAIR better (ratio {ratio:.2f}): left and right "
            "are exchanged in one of both images.",
        )
    if ratio < MIRROR_FAIL:
        return (
            "fail",
            f"The CT fits the FLAIR no better than its mirror image (ratio {ratio:.2f}): "
            "both may be of different heads; check that they are of the same person.",
        )
    if scale > SCALE_FAIL:
        return (
            "fail",
            f"The CT would fit better {100 * scale:.0f}% larger or smaller: both may be "
            "of different heads, or a voxel size is wrong.",
        )
    if dice < DICE_FAIL:
        return "fail", f"The brain masks of CT and FLAIR overlap by {dice:.2f} (Dice) only."
    for is_odd, reason in (
        (ratio < MIRROR_WARN, f"the CT fits little better than its mirror image ({ratio:.2f})"),
        (scale > SCALE_WARN, f"the CT would fit better {100 * scale:.0f}% larger or smaller"),
        (gain < GAIN_WARN, f"mutual information fell by {-gain:.3f}"),
        (dice < DICE_WARN, f"the brain masks overlap by {dice:.2f} (Dice)"),
    ):
        if is_odd:
            return "warn", f"Look at the registration: {reason}."
    return "pass", f"The CT fits the FLAIR {ratio:.1f} times as well as its mirror image."


def mask_facts(
    flair_mask: nib.Nifti1Image, ct_mask: nib.Nifti1Image, flair_to_ct: np.ndarray
) -> dict[str, float]:
    """Compare both brain masks where both images see.

    Returns
    -------
    dict
        ``mask_dice``, and ``mask_distance_mm``, the mean distance between both surfaces, on a
        2 mm grid over the FLAIR mask.
    """
    grid = _box(flair_mask, 2.0)
    ours = _on(flair_mask, grid, np.eye(4))
    theirs = _on(ct_mask, grid, flair_to_ct)
    whole = np.ones(ct_mask.shape[:3], np.float32)
    seen = resample(whole, ct_mask.affine, grid, flair_to_ct) > 0.5
    whole = np.ones(flair_mask.shape[:3], np.float32)
    seen &= resample(whole, flair_mask.affine, grid) > 0.5
    ours, theirs = ours & seen, theirs & seen
    total = int(ours.sum() + theirs.sum())
    if not ours.any() or not theirs.any():
        return {"mask_dice": 0.0, "mask_distance_mm": 99.0}
    # A surface at the end of what both see is a cut.
    inner = ndimage.binary_erosion(seen)
    edges = [m & ~ndimage.binary_erosion(m) & inner for m in (ours, theirs)]
    apart = [
        2.0 * ndimage.distance_transform_edt(~edges[1])[edges[0]],
        2.0 * ndimage.distance_transform_edt(~edges[0])[edges[1]],
    ]
    distance = float(np.concatenate(apart).mean()) if edges[0].any() and edges[1].any() else 99.0
    return {"mask_dice": 2.0 * int((ours & theirs).sum()) / total, "mask_distance_mm": distance}


def intracranial(
    ct: nib.Nifti1Image, flair: nib.Nifti1Image, flair_to_ct: np.ndarray
) -> np.ndarray:
    """Find what the skull encloses in a CT of grey levels, on the FLAIR's grid: bool, (x, y, z).

    A stand-in for a brain mask: good enough to say where a similarity counts.
    """
    array = np.asarray(ct.dataobj)
    bone = np.pad(array > 0.84, ((6, 6), (6, 6), (0, 0)))
    bone = ndimage.binary_closing(bone, PLANE_CROSS, iterations=5)
    filled = [ndimage.binary_fill_holes(bone[:, :, z]) for z in range(bone.shape[2])]
    inside = (np.stack(filled, axis=2) & ~bone)[6:-6, 6:-6] & (array > 0.17) & (array < 0.82)
    opened = ndimage.binary_opening(inside, PLANE_CROSS, iterations=3)
    if not opened.any():
        return np.ones(flair.shape[:3], dtype=bool)
    array = largest(opened).astype(np.float32)
    carried = resample(array, ct.affine, grid_of(flair), flair_to_ct) > 0.5
    return ndimage.binary_dilation(carried, PLANE_CROSS, iterations=1)


def _reflection(flair: nib.Nifti1Image, head: np.ndarray) -> np.ndarray:
    """4×4: mirrors points at the plane through the head's centre across the FLAIR's R axis."""
    axes = flair.affine[:3, :3] / grid_of(flair).spacing
    normal = axes[:, int(np.argmax(np.abs(axes[0])))]
    centre = apply_affine(flair.affine, np.argwhere(head).mean(axis=0))
    matrix = np.eye(4)
    matrix[:3, :3] -= 2.0 * np.outer(normal, normal)
    matrix[:3, 3] = centre - matrix[:3, :3] @ centre
    return matrix


def _box(mask: nib.Nifti1Image, spacing: float) -> Grid:
    """Isotropic grid along the mask's axes over its voxels and 20 mm around."""
    inside = np.argwhere(np.asarray(mask.dataobj) > 0.5)
    edge = grid_of(mask).spacing
    low = inside.min(axis=0) if len(inside) else np.zeros(3)
    high = inside.max(axis=0) if len(inside) else np.zeros(3)
    counts = np.ceil(((high - low) * edge + 40.0) / spacing).astype(int) + 1
    affine = np.eye(4)
    affine[:3, :3] = mask.affine[:3, :3] / edge * spacing
    centre = apply_affine(mask.affine, (low + high) / 2)
    affine[:3, 3] = centre - affine[:3, :3] @ ((counts - 1) / 2)
    return Grid((int(counts[0]), int(counts[1]), int(counts[2])), affine)


def _on(mask: nib.Nifti1Image, grid: Grid, grid_to_mask: np.ndarray) -> np.ndarray:
    array = np.asarray(mask.dataobj, dtype=np.float32)
    return resample(array, mask.affine, grid, grid_to_mask, average=True) > 0.5
