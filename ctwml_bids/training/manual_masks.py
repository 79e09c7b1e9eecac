"""The manual masks of a unit, of WML and of infarcts, in a folder (``-d masks=PATH``)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ctwml_bids.bids import names
from ctwml_bids.errors import InvalidInputError
from ctwml_bids.image_files import load_nifti

# Names of masks of WML and of infarcts, the surest first; other masks (of the brain) are neither.
WML_NAMES = ("label-WML", "label-WMH", "label-lesion", "desc-lesion")
INFARCT_NAMES = ("label-infarct",)


def find_mask(
    folder: Path,
    subject: str,
    session: str | None,
    images: Mapping[str, Path],
    *,
    prefer: str,
    called: Sequence[str] = WML_NAMES,
) -> tuple[Path, str] | None:
    """Find the mask of one unit, and the image that it lies on.

    Looked for are ``sub-X[/ses-Y]/**/sub-X[_ses-Y]*_mask.nii[.gz]`` of lesions. Of several, those
    on the preferred image come first, then those without a ``desc`` (a second rater has one).

    Parameters
    ----------
    folder
        Where the masks are.
    subject, session
        Of the unit.
    images
        "ct" and/or "flair" → its image.
    prefer
        "ct" or "flair": the image whose mask is taken where both have one.
    called
        `WML_NAMES` or `INFARCT_NAMES`.

    Returns
    -------
    path, space
        The mask, and "ct" or "flair"; None where there is none.

    Raises
    ------
    InvalidInputError
        If several are equally good, or it cannot be told which image one lies on.
    """
    start = names.stem(subject, session)
    below = folder / names.folder(subject, session)
    found = [
        path
        for path in sorted(below.rglob(f"{start}_*_mask.nii*"))
        if path.name.endswith((".nii", ".nii.gz"))
        and (session is not None or "_ses-" not in path.name)
    ]
    for wanted in called:
        if chosen := [path for path in found if f"_{wanted}_" in path.name]:
            found = chosen
            break
    else:
        return None
    ranks = {path: (_space(path, images) != prefer, "_desc-" in path.name) for path in found}
    best = [path for path in found if ranks[path] == min(ranks.values())]
    if len(best) > 1:
        listed = ", ".join(path.name for path in best)
        raise InvalidInputError(
            f"{below}: several masks could be meant for {start} ({listed}); leave one in the "
            "folder, or give the others a desc entity."
        )
    return best[0], _space(best[0], images)


def _space(path: Path, images: Mapping[str, Path]) -> str:
    """Tell which image a mask lies on: by its name, else by its grid."""
    if named := re.search(r"_space-(CT|FLAIR)_", path.name):
        return named[1].lower()
    mask = load_nifti(path)
    same = [
        name
        for name, image in images.items()
        if (other := load_nifti(image)).shape[:3] == mask.shape[:3]
        and np.allclose(other.affine, mask.affine, atol=1e-3)
    ]
    if len(same) != 1:
        raise InvalidInputError(
            f"{path}: it cannot be told whether this mask lies on the CT or on the FLAIR (its grid "
            "is that of neither or of both): name it with space-CT or space-FLAIR."
        )
    return same[0]
