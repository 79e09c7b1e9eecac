from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine
from scipy import ndimage

from ctwml_bids import templates
from ctwml_bids.errors import BadDataError
from ctwml_bids.preprocessing import registration, registration_gate
from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on, resample
from ctwml_bids.preprocessing.nine_parameters import compose
from ctwml_bids.preprocessing.similarity import Similarity

FLAIR_TO_CT = compose([1, 1, 1], [25.0, -18.0, 30.0], np.deg2rad([12, -6, 9]))


@dataclass(frozen=True)
class Head:
    """A head made of the template's tissues, bent so that left and right differ."""

    ct: nib.Nifti1Image
    flair: nib.Nifti1Image
    ct_mask: nib.Nifti1Image
    flair_mask: nib.Nifti1Image


def tissues() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Fractions at 2 mm of GM, WM, fluid, skull and scalp, and the affine."""
    default = templates.packaged()
    grid = Grid((110, 130, 110), np.diag([2.0, 2.0, 2.0, 1.0]))
    grid.affine[:3, 3] = [-109, -147, -100]
    points = apply_affine(grid.affine, np.indices(grid.shape).reshape(3, -1).T)
    rng = np.random.default_rng(4)
    bend = [ndimage.gaussian_filter(rng.standard_normal(grid.shape), 9).ravel() for _ in range(3)]
    points = points + np.stack([5 * field / np.abs(field).max() for field in bend], axis=1)

    def taken(path) -> np.ndarray:
        image = nib.load(path)
        where = apply_affine(np.linalg.inv(image.affine), points).T
        array = np.asarray(image.dataobj, dtype=np.float32)
        return ndimage.map_coordinates(array, where, order=1).reshape(grid.shape)

    brain, gm, wm = (taken(p) for p in (default.brain_mask, default.gm, default.wm))
    away = 2.0 * ndimage.distance_transform_edt(brain < 0.5)
    parts = {"gm": gm, "wm": wm, "fluid": np.clip((away < 3) - gm - wm, 0, 1)}
    parts |= {"skull": (away >= 3) & (away < 9.0), "scalp": (away >= 9) & (away < 15)}
    return {**parts, "brain": brain}, grid.affine


def mixed(parts, levels: dict[str, float], air: float) -> np.ndarray:
    inside = sum(parts[name] * (level - air) for name, level in levels.items())
    return (air + inside).astype(np.float32)


def sampled(array, affine, spacing, matrix, noise: float, fill: float) -> nib.Nifti1Image:
    """Scan: the head (its own mm) under a pose, in a box of the given spacing."""
    centre = apply_affine(matrix, [0.0, -17.0, 8.0])
    shape = tuple(int(n) for n in np.ceil(np.array([200, 240, 190]) / spacing))
    grid = Grid(shape, np.diag([*spacing, 1.0]))
    grid.affine[:3, 3] = centre - np.array(spacing) * (np.array(shape) - 1) / 2
    values = resample(array, affine, grid, np.linalg.inv(matrix), fill=fill, average=True)
    return image_on(
        values
        + np.float32(noise) * np.random.default_rng(1).standard_normal(shape).astype(np.float32),
        grid,
    )


@pytest.fixture(scope="module")
def head() -> Head:
    parts, affine = tissues()
    hu = {"gm": 38, "wm": 29, "fluid": 6, "skull": 900, "scalp": 20}
    signal = {"gm": 600, "wm": 480, "fluid": 90, "skull": 50, "scalp": 700}
    brain = parts["brain"].astype(np.float32)
    ct_size, flair_size = (1.5, 1.5, 4.0), (1.5, 1.5, 5.0)
    return Head(
        sampled(mixed(parts, hu, -1000.0), affine, ct_size, FLAIR_TO_CT, 4.0, -1000.0),
        sampled(mixed(parts, signal, 0.0), affine, flair_size, np.eye(4), 15.0, 0.0),
        sampled(brain, affine, ct_size, FLAIR_TO_CT, 0.0, 0.0),
        sampled(brain, affine, flair_size, np.eye(4), 0.0, 0.0),
    )


@pytest.fixture(scope="module")
def registered(head) -> registration.RigidResult:
    return registration.rigid(
        head.flair, head.ct, fixed_mask=head.flair_mask, moving_mask=head.ct_mask
    )


def brain_error(head: Head, found: np.ndarray) -> float:
    """95th percentile of the distance (mm) between found and true places in the brain."""
    inside = np.argwhere(np.asarray(head.flair_mask.dataobj) > 0.5)[::20]
    points = apply_affine(head.flair_mask.affine, inside)
    difference = apply_affine(found, points) - apply_affine(FLAIR_TO_CT, points)
    return float(np.percentile(np.linalg.norm(difference, axis=1), 95))


def test_ct_is_found_from_40_mm_and_15_degrees_off(head, registered):
    assert brain_error(head, registered.flair_to_ct) < 1.5
    rotation = registered.flair_to_ct[:3, :3]
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-6)
    assert registered.facts["nmi_after"] > registered.facts["nmi_before"] + 0.02
    assert registered.facts["mask_dice"] > 0.95
    assert registered.facts["mask_distance_mm"] < 1.5


def test_true_pair_passes_the_gate(registered):
    verdict, reason = registration_gate.registration_verdict(registered.facts)
    assert verdict == "pass", reason


def test_flipped_ct_fails_the_gate_and_is_named(head, registered):
    flair, ct = registration.metric_flair(head.flair, 3.0), registration.metric_ct(head.ct, 3.0)
    where = registration.head_mask(flair)
    # A flipped CT under its best pose is the true pair seen through a mirror.
    mirrored = registered.flair_to_ct @ registration_gate._reflection(flair, where)
    brain = registration_gate.intracranial(ct, flair, mirrored)
    facts = registration_gate.gate_facts(flair, ct, mirrored, head=where, brain=brain)
    verdict, reason = registration_gate.registration_verdict(facts)
    assert verdict == "fail"
    assert "left and right" in reason


def test_masks_of_different_size_lower_dice_and_raise_the_distance(head):
    eroded = np.asarray(head.ct_mask.dataobj) > 0.5
    eroded = ndimage.binary_erosion(eroded, iterations=4).astype(np.uint8)
    smaller = image_on(eroded, grid_of(head.ct_mask))
    facts = registration_gate.mask_facts(head.flair_mask, smaller, FLAIR_TO_CT)
    same = registration_gate.mask_facts(head.flair_mask, head.ct_mask, FLAIR_TO_CT)
    assert same["mask_dice"] > 0.97
    assert facts["mask_dice"] < same["mask_dice"] - 0.05
    assert facts["mask_distance_mm"] > 4.0


GOOD = {"mirror_ratio": 1.6, "scale_in_plane": 0.005, "mask_dice": 0.95}


@pytest.mark.parametrize(
    ("change", "verdict", "said"),
    [
        ({}, "pass", "mirror"),
        ({"mirror_ratio": 0.65}, "fail", "left and right"),
        ({"mirror_ratio": 1.03}, "fail", "different heads"),
        ({"scale_in_plane": 0.08}, "fail", "different heads"),
        ({"mask_dice": 0.5}, "fail", "Dice"),
        ({"mask_dice": 0.85}, "warn", "Dice"),
        ({"nmi_before": 1.1, "nmi_after": 1.05}, "warn", "fell by 0.050"),
        ({"mirror_ratio": float("nan")}, "fail", "could not be measured"),
    ],
)
def test_verdict_names_what_is_wrong(change, verdict, said):
    result, reason = registration_gate.registration_verdict({**GOOD, **change})
    assert result == verdict
    assert said in reason


def test_nmi_of_identical_images_is_2_and_of_noise_is_1():
    rng = np.random.default_rng(0)
    grid = Grid((24, 24, 24), np.eye(4))
    one, other = (image_on(rng.random(grid.shape).astype(np.float32), grid) for _ in range(2))
    levels = np.rint(np.asarray(one.dataobj) * 31) / 31
    exact = image_on(levels.astype(np.float32), grid)
    assert Similarity(exact, exact)(np.eye(4)) == pytest.approx(2.0, abs=0.02)
    assert Similarity(one, other)(np.eye(4)) == pytest.approx(1.0, abs=0.02)
    far = np.eye(4)
    far[0, 3] = 100
    assert Similarity(exact, exact)(far) == 1.0


def test_constant_flair_is_refused(head):
    flat = image_on(np.ones((20, 20, 20), np.float32), Grid((20, 20, 20), np.eye(4)))
    with pytest.raises(BadDataError, match="FLAIR"):
        registration.rigid(flat, head.ct)
