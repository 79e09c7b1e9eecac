"""Simulated heads on the network's grid, for the shipped models."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import ndimage

from ctwml_bids.errors import BadDataError
from ctwml_bids.preprocessing.grids import Grid
from ctwml_bids.preprocessing.normalisation import BACKGROUND
from ctwml_bids.simulation.infarcts import InfarctShapes, read_shapes
from ctwml_bids.simulation.pair import simulate_pair
from model_making import shipped_heads
from model_making.training_people import draw_person, draw_scans

# Share of heads with infarcts, where their shapes are given; of which kinds says `infarct_tissue`.
_INFARCT_SHARE = 0.25
# Share of heads with a real anatomy, where there are some: folds of the template are blurred.
_INDIVIDUAL_SHARE = 0.85
# Share of heads seen under the brain mask that the program finds; the others under the true one
# with errors of its size.
_FOUND_SHARE = 0.67


def make_heads(
    folder: Path,
    seeds: Sequence[int],
    poses: int = 1,
    lesion_ml: tuple[float, float] | None = None,
    anatomies: Sequence[Path] = (),
    ct_noise: tuple[float, float] | None = None,
    infarcts: Path | None = None,
    infarct: str | None = None,
) -> None:
    """Simulate pairs and lay both images on the network's grid, each in ``poses`` poses.

    Parameters
    ----------
    folder, seeds, poses
        Where heads are kept, and which; one that is there is not made again.
    lesion_ml
        Every head has lesions of a volume between these (mL): Fazekas 3 goes on far above the
        mean of its grade, and networks that never saw that mark the core alone.
    anatomies
        Files of individual anatomies (see `simulate_pair`).
    ct_noise
        Each CT's noise is multiplied by a factor drawn between these, evenly in its logarithm:
        scanners and protocols differ by more than the simulation does.
    infarcts
        File of shapes of real infarcts (see `infarct_shapes`), which a share of the heads gets.
    infarct
        Every head has infarcts of this kind (see `simulate_pair`): by chance too few heads have
        fresh ones to learn them from.

    Raises
    ------
    BadDataError
        If a head is there whose noise was multiplied by another factor, or the shapes of infarcts
        cannot be read or are for tests.
    """
    shapes = training_shapes(infarcts) if infarcts else None
    grid = shipped_heads.shipped_grid()
    for seed in seeds:
        factor = noise_factor(seed, ct_noise)
        if (folder / _name(seed, poses - 1, "flair", "_image.npy")).is_file():
            _check_noise(folder / _name(seed, poses - 1, "ct", "_facts.json"), factor)
        else:
            _make_head(folder, seed, poses, grid, lesion_ml, anatomies, factor, shapes, infarct)
            print(f"head {seed} done", flush=True)


def training_shapes(path: Path) -> InfarctShapes:
    """Read shapes of infarcts that a model may be trained on.

    Raises
    ------
    BadDataError
        If it is no such file, or its infarcts are for tests.
    """
    shapes = read_shapes(path)
    if shapes.for_tests:
        raise BadDataError(f"The infarcts of {path} are for tests: no model is trained on them.")
    return shapes


def noise_factor(seed: int, limits: tuple[float, float] | None) -> float:
    """Draw the factor of a head's CT noise between limits, evenly in its logarithm; 1 without."""
    if limits is None:
        return 1.0
    # A stream of its own: person, lesions and slices are those of the head with other noise.
    return float(np.exp(np.random.default_rng([seed, 12]).uniform(*np.log(limits))))


def _check_noise(facts: Path, factor: float) -> None:
    """Refuse to go on in a folder of heads with other noise: which is which could not be told."""
    made = json.loads(facts.read_text()).get("ct_noise_factor", 1.0)
    if not np.isclose(made, factor):
        raise BadDataError(
            f"{facts} is of a head whose CT noise was multiplied by {made:.2f}, not {factor:.2f}: "
            "make heads with another --ct-noise in another folder."
        )


def _make_head(
    folder: Path,
    seed: int,
    poses: int,
    grid: Grid,
    lesion_ml: tuple[float, float] | None,
    anatomies: Sequence[Path],
    ct_noise: float,
    shapes: InfarctShapes | None = None,
    infarct: str | None = None,
) -> None:
    # Another stream than those of `simulate_pair`, [seed, 0] to [seed, 7] without ratings.
    rng = np.random.default_rng([seed, 11])
    person = draw_person(rng)
    if lesion_ml is not None:
        person = {"fazekas": 3, "lesion_ml": float(rng.uniform(*lesion_ml))}
    pair = simulate_pair(
        seed,
        **person,
        **draw_scans(rng),
        ct_noise=ct_noise,
        anatomies=anatomies,
        infarcts=shapes,
        infarct=infarct,
        infarct_share=_INFARCT_SHARE,
        individual_share=_INDIVIDUAL_SHARE,
    )
    images = {
        "ct": (pair.ct, pair.ct_truth, pair.template_to_ct),
        "flair": (pair.flair, pair.flair_truth, pair.template_to_flair),
    }
    # Which masks is drawn before any is made, so that only those are made.
    drawn = {
        (modality, pose): _found_on(rng, modality) for modality in images for pose in range(poses)
    }
    masks = shipped_heads.found_masks(pair, {on for on in drawn.values() if on})
    for modality, (image, truth, transform) in images.items():
        for pose in range(poses):
            on = drawn[modality, pose]
            found = masks.get(on) if on else None
            head = shipped_heads.on_grid(
                rng,
                image,
                truth.lesion_fraction,
                truth.brain,
                transform,
                grid,
                modality,
                found,
                truth.infarct_fraction,
            )
            channels, labels = shipped_heads.training_arrays(rng, head, grid, modality)
            labels = seen_labels(labels, channels)
            facts = dict(pair.facts) | {"grid_voxel_ml": head.voxel_ml}
            if modality == "ct" and ct_noise != 1:
                facts["ct_noise_factor"] = ct_noise
            name = _name(seed, pose, modality)
            shipped_heads.save_head(folder, name, channels, labels, facts)


def seen_labels(labels: np.ndarray, channels: np.ndarray) -> np.ndarray:
    """Leave labels out where a network sees background: a found mask cuts infarcts of the cortex.

    Parameters
    ----------
    labels
        uint8, (x, y, z).
    channels
        (channels, x, y, z), as from `shipped_heads.training_arrays`: −3 is background, and dark
        fluid, which is kept where brain lies around it within its slice.
    """
    inside = (channels > BACKGROUND).any(axis=0)
    for k in range(inside.shape[2]):
        inside[:, :, k] = ndimage.binary_fill_holes(inside[:, :, k])
    return np.where(inside, labels, np.uint8(0))


def _found_on(rng: np.random.Generator, modality: str) -> shipped_heads.FoundOn | None:
    """Draw one of the program's masks, or None for errors beyond those that it makes here."""
    choices = [on for on in shipped_heads.FOUND_ON if on[0] == modality]
    choice = choices[int(rng.integers(len(choices)))]
    return choice if rng.random() < _FOUND_SHARE else None


def _name(seed: int, pose: int, modality: str, suffix: str = "") -> str:
    return f"head-{seed:06d}_pose-{pose}_{modality}{suffix}"
