"""One unit's results of the participant level, as a head that networks are trained on.

Image and brain mask come onto the network's grid through the same functions as at the participant
level, the lesions in one interpolation from the image that they were drawn or found on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import nibabel as nib
import numpy as np

from ctwml_bids.bids.names import stem
from ctwml_bids.errors import BadDataError, NoInputError
from ctwml_bids.image_files import UNREADABLE, load_nifti
from ctwml_bids.modality import MODALITIES
from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on, resample
from ctwml_bids.preprocessing.normalisation import to_grid
from ctwml_bids.preprocessing.transforms import read_itk
from ctwml_bids.segmentation.classes import BACKGROUND, INFARCT, WML
from ctwml_bids.segmentation.inputs import network_channels
from ctwml_bids.segmentation.model_store import sha256
from ctwml_bids.statistics.overlap import dice
from ctwml_bids.training.mapped_heads import facts_of, save_mapped
from ctwml_bids.unit.modalities import FUNCTIONS

# A brain mask further than this from the better one would have failed a gate.
LEAST_DICE = 0.9


@dataclass(frozen=True)
class Case:
    """A unit to train on, and its files.

    Attributes
    ----------
    subject, session
        As in names.
    modality
        "ct" or "flair": the image that the network sees.
    images
        "ct" and/or "flair" → the image of the data set.
    brain, own_brain
        Brain mask that the image was measured in; the CT's own, where that is another.
    truth, truth_space
        WML mask, and the image that it lies on, "ct" or "flair".
    transforms
        (source, target) → ITK text file that maps points of the target to points of the source;
        spaces are "ct", "flair" and "template".
    fingerprints
        What the participant level noted of its input images.
    fazekas
        Grade 0–3 of a visual rating, or None.
    infarcts, infarcts_space
        Infarct mask, likewise; None where there is none.
    """

    subject: str
    session: str | None
    modality: str
    images: Mapping[str, Path]
    brain: Path
    own_brain: Path | None
    truth: Path
    truth_space: str
    transforms: Mapping[tuple[str, str], Path]
    fingerprints: Mapping[str, object] = field(default_factory=dict)
    fazekas: int | None = None
    infarcts: Path | None = None
    infarcts_space: str = ""

    @property
    def label(self) -> str:
        """``sub-X`` or ``sub-X_ses-Y``."""
        return stem(self.subject, self.session)

    @property
    def participant(self) -> str:
        """``sub-X``."""
        return stem(self.subject)

    def matrix(self, source: str, target: str) -> np.ndarray:
        """Read the 4×4 RAS matrix that maps points of one space to points of another.

        Parameters
        ----------
        source, target
            "ct", "flair" or "template".
        """
        if source == target:
            return np.eye(4)
        # What resamples the target's image onto the source maps points of the source to it.
        return read_itk(self.transforms[target, source])


def identity(case: Case) -> str:
    """Return a checksum of all that a case's head is made from; images by their fingerprints."""
    digest = hashlib.sha256(repr(sorted(case.fingerprints.items())).encode())
    files = [case.brain, case.own_brain, case.truth, *sorted(case.transforms.values())]
    files.append(case.infarcts)
    for path in files:
        if path is not None:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def check_unchanged(case: Case, known: str) -> None:
    """Make sure that a case's files are those that the plan of its training was made from.

    Parameters
    ----------
    case
        The unit.
    known
        Its `identity` by the plan.

    Raises
    ------
    BadDataError
        If they are not, or its image is not the one that was measured.
    """
    image = case.images[case.modality]
    is_other = case.fingerprints and sha256(image) not in case.fingerprints.values()
    if is_other or identity(case) != known:
        raise BadDataError(
            f"{image}: it, or what `participant` made of it, is not what {case.label} had when "
            "this training was planned. Run the same command without --only, which says what to do."
        )


def true_wml(case: Case) -> nib.Nifti1Image:
    """Load a case's true WML, float32 of 0 and 1, on the grid of their mask.

    What is drawn as infarct, too, be it on the other image, is none.

    Raises
    ------
    NoInputError, BadDataError
        If a mask is missing or cannot be used.
    """
    mask = load_mask(case.truth)
    if case.infarcts is None:
        return mask
    grid, infarcts = grid_of(mask), load_mask(case.infarcts)
    to_infarcts = case.matrix(case.truth_space, case.infarcts_space)
    drawn = resample(np.asarray(infarcts.dataobj), infarcts.affine, grid, to_infarcts) >= 0.5
    return image_on(np.where(drawn, 0, mask.dataobj).astype(np.float32), grid)


def lesion_ml(case: Case) -> float:
    """Return the volume of a case's `true_wml` in mL, on the mask's own grid."""
    mask = true_wml(case)
    return float(np.count_nonzero(mask.dataobj)) * grid_of(mask).voxel_ml


def head_name(label: str, mask: str = "used") -> str:
    """Name a unit's head under one of its brain masks: the one it was measured in, or its own."""
    return f"{label}_{mask}"


def is_laid(folder: Path, label: str, key: str) -> bool:
    """Tell whether a head lies in a folder and was made from what ``key`` (`laid_key`) says."""
    return (facts_of(folder, head_name(label)) or {}).get("key") == key


def laid_key(identity_: str, grid: Grid, channels: tuple[str, ...]) -> str:
    """Return what decides a laid head: its files, the grid, the channels."""
    about = (identity_, grid.shape, grid.affine.tolist(), channels)
    return hashlib.sha256(repr(about).encode()).hexdigest()


def lay_case(case: Case, key: str, grid: Grid, channels: tuple[str, ...], folder: Path) -> None:
    """Write a case's head, under each of its brain masks, to a folder.

    What is drawn both as WML and as infarct is infarct.

    A CT whose own brain mask is at hand is laid under both masks: networks that saw the FLAIR's
    alone would meet the CT's for the first time on a patient without a FLAIR.

    Parameters
    ----------
    case
        The unit.
    key
        From `laid_key`.
    grid, channels
        What the networks see.
    folder
        Of the heads.

    Raises
    ------
    NoInputError, BadDataError
        If a file is missing or cannot be used.
    """
    frame = case.matrix("template", case.modality)
    array = image_on_grid(case.images[case.modality], case.modality, frame, grid)
    masks = _brain_masks(case, frame, grid)
    truth_frame = case.matrix(case.modality, case.truth_space) @ frame
    labels = np.where(_mask_on(case.truth, truth_frame, grid), WML, BACKGROUND).astype(np.uint8)
    if case.infarcts is not None:
        infarct_frame = case.matrix(case.modality, case.infarcts_space) @ frame
        labels[_mask_on(case.infarcts, infarct_frame, grid)] = INFARCT
    facts = {
        "key": key,
        "masks": sorted(masks),
        "lesion_voxels": int(np.count_nonzero(labels == WML)),
    }
    # The one under the mask that it was measured in comes last: `is_laid` looks for it.
    for name in sorted(masks):
        inputs = network_channels(array, masks[name], channels)
        save_mapped(folder, head_name(case.label, name), inputs, labels, facts)


def _brain_masks(case: Case, frame: np.ndarray, grid: Grid) -> dict[str, np.ndarray]:
    """Bring the brain masks onto the grid: "used", and "own" where there is one near it."""
    masks = {"used": _mask_on(case.brain, frame, grid)}
    if case.own_brain is not None:
        own = _mask_on(case.own_brain, frame, grid)
        if dice(own, masks["used"]) >= LEAST_DICE:
            masks["own"] = own
    return masks


def heads_of(folder: Path, label: str) -> list[str]:
    """Name all heads of a unit, one for each brain mask that it was laid under."""
    facts = facts_of(folder, head_name(label)) or {}
    return [head_name(label, mask) for mask in facts.get("masks", ())]


def image_on_grid(
    path: Path, modality: str, template_to_image: np.ndarray, grid: Grid
) -> np.ndarray:
    """Read a CT (HU) or FLAIR of the data set onto the network's grid, float32, (x, y, z).

    Raises
    ------
    NoInputError, BadDataError
        If it is missing or cannot be used.
    """
    image = FUNCTIONS[modality].read(path, settled=True).image
    return to_grid(image, template_to_image, grid, fill=MODALITIES[modality].fill)


def load_mask(path: Path) -> nib.Nifti1Image:
    """Load a mask as float32 of 0 and 1, on its own grid.

    Raises
    ------
    NoInputError, BadDataError
        If it is missing, or is no 3D image.
    """
    if not path.is_file():
        raise NoInputError(f"{path}: there is no such mask; run `participant` again for it.")
    try:
        image = load_nifti(path)
        values = np.asarray(image.dataobj)
    except UNREADABLE as error:
        raise BadDataError(f"{path}: this mask cannot be read ({error}).") from error
    values = values.reshape(values.shape[:3]) if values.ndim > 3 else values
    if values.ndim != 3:
        raise BadDataError(f"{path}: a mask has three dimensions, this has {values.ndim}.")
    return image_on((values > 0).astype(np.float32), grid_of(image))


def _mask_on(path: Path, transform: np.ndarray, grid: Grid) -> np.ndarray:
    return to_grid(load_mask(path), transform, grid, fill=0.0) >= 0.5
