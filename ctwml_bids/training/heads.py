"""One unit's results of the participant level, as a head that networks are trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ctwml_bids.bids.names import stem
from ctwml_bids.errors import BadDataError
from ctwml_bids.preprocessing.grids import Grid
from ctwml_bids.training.mapped_heads import facts_of, save_mapped


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
        Lesion mask, and the image that it lies on, "ct" or "flair".
    transforms
        (source, target) → ITK text file that maps points of the target to points of the source;
        spaces are "ct", "flair" and "template".
    fingerprints
        What the participant level noted of its input images.
    fazekas
        Grade 0–3 of a visual rating, or None.
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
        from ctwml_bids.preprocessing.transforms import read_itk

        if source == target:
            return np.eye(4)
        # What resamples the target's image onto the source maps points of the source to it.
        return read_itk(self.transforms[target, source])


def identity(case: Case) -> str:
    """Return a checksum of all that a case's head is made from; images by their fingerprints."""
    digest = hashlib.sha256(repr(sorted(case.fingerprints.items())).encode())
    files = [case.brain, case.own_brain, case.truth, *sorted(case.transforms.values())]
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
    with image.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    is_other = case.fingerprints and found not in case.fingerprints.values()
    if is_other or identity(case) != known:
        raise BadDataError(
            f"{image}: it, or what `participant` made of it, is not what {case.label} had when "
            "this training was planned. Run the same command without --only, which says what to do."
        )


def lesion_ml(case: Case) -> float:
    """Return the volume of a case's true lesions in mL, on the mask's own grid."""
    from ctwml_bids.preprocessing.grids import grid_of
    from ctwml_bids.training.pair_heads import load_mask

    mask = load_mask(case.truth)
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
    from ctwml_bids.training.pair_heads import HeadFiles, lay

    head = lay(
        HeadFiles(
            modality=case.modality,
            image=case.images[case.modality],
            brain=case.brain,
            own_brain=case.own_brain,
            template_to_image=case.matrix("template", case.modality),
            truth=case.truth,
            image_to_truth=case.matrix(case.modality, case.truth_space),
        ),
        grid,
        channels,
    )
    # The one under the mask that it was measured in comes last: `is_laid` looks for it.
    for mask in sorted(head.inputs):
        facts = {"key": key, "masks": sorted(head.inputs), "lesion_voxels": int(head.labels.sum())}
        save_mapped(folder, head_name(case.label, mask), head.inputs[mask], head.labels, facts)


def heads_of(folder: Path, label: str) -> list[str]:
    """Name all heads of a unit, one for each brain mask that it was laid under."""
    facts = facts_of(folder, head_name(label)) or {}
    return [head_name(label, mask) for mask in facts.get("masks", ())]
