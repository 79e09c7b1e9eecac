"""The pictures of a subject's report with their titles, captions and alternative texts."""

from __future__ import annotations

import numpy as np

from ctwml_bids.reports import figures
from ctwml_bids.reports.subject import Figure

# Bone and brain can be told apart where masks are shown, HU.
WIDE_CT_WINDOW = (-100.0, 300.0)

_CONVENTION = "Radiological convention: the patient's right is on the left of the picture."


def segmentation(
    image: str,
    array: np.ndarray,
    affine: np.ndarray,
    *,
    brain: np.ndarray,
    lesions: np.ndarray,
    infarcts: np.ndarray | None = None,
) -> Figure:
    """Show an image (``CT`` in HU or ``FLAIR``) plain and with outlines (`figures.mosaic`)."""
    window = _window(image, array, brain)
    png = figures.mosaic(
        array,
        affine,
        brain=brain,
        lesions=lesions,
        infarcts=infarcts,
        window=window,
    )
    outlined, said = "lesions and brain", "the lesions (yellow, solid)"
    if infarcts is not None:
        outlined = "lesions, infarcts and brain"
        said += ", infarcts (orange, dash-dotted)"
    shown = "brain window (level 35 HU, width 80 HU)" if image == "CT" else "window of its own"
    return Figure(
        f"Lesions on {image}",
        f"Axial slices of the {image} in a {shown}, each plain and beside it with {said} and the "
        f"brain mask (blue, dashed); z in mm. {_CONVENTION}",
        f"Axial slices of the {image}, each without and with outlines of {outlined}",
        png,
    )


def uncertainty(
    image: str,
    array: np.ndarray,
    affine: np.ndarray,
    *,
    brain: np.ndarray,
    probability: np.ndarray,
    disagreement: np.ndarray,
) -> Figure:
    """Show lesion probability and the disagreement of the ensemble (`figures.maps`)."""
    png = figures.maps(
        array,
        affine,
        brain=brain,
        probability=probability,
        disagreement=disagreement,
        window=_window(image, array, brain),
    )
    return Figure(
        f"Probability and disagreement on {image}",
        "In each pair of slices the left one shows the mean probability of a lesion, the right "
        "one how much the networks of the ensemble disagree (standard deviation). Bright is "
        "high. Where they disagree, the outline is least certain.",
        f"Axial slices of the {image} overlaid with lesion probability and its disagreement",
        png,
        answers=(f"{image} lesions near the skull", f"{image} lesions in the ventricles"),
    )


def alignment(
    ct: np.ndarray,
    flair: np.ndarray,
    affine: np.ndarray,
    *,
    brain: np.ndarray,
) -> tuple[Figure, Figure]:
    """Show whether CT and FLAIR line up, both on the FLAIR's grid.

    Parameters
    ----------
    ct, flair
        CT in HU resampled onto the FLAIR, and the FLAIR, shape (x, y, z).
    affine
        4×4 of the FLAIR, voxel indices → RAS mm.
    brain
        FLAIR brain mask.

    Returns
    -------
    tuple of Figure
        Checkerboard and edges; the two images in turn.
    """
    still = figures.registration(ct, flair, affine, brain=brain)
    first, second = figures.flicker_frames(ct, flair, affine, brain=brain)
    return (
        Figure(
            "Registration of CT and FLAIR",
            "From the top: FLAIR; CT with the FLAIR brain mask; checkerboard of both; CT with "
            "the edges of the FLAIR. Skull, ventricles and the midline should run on without "
            f"steps, and edges should lie on edges. {_CONVENTION}",
            "Axial slices of FLAIR and CT, their checkerboard, and FLAIR edges on CT",
            still,
            answers=("CT to FLAIR registration",),
        ),
        Figure(
            "Registration, in turn",
            "The same slices of FLAIR and CT in turn. What lines up stays where it is; what "
            "jumps does not.",
            "The same axial slices of FLAIR and of CT",
            first,
            second,
            ("FLAIR", "CT"),
        ),
    )


def brain_masks(
    ct: np.ndarray,
    affine: np.ndarray,
    *,
    own: np.ndarray,
    carried: np.ndarray,
    used: np.ndarray,
) -> Figure:
    """Show the brain masks of a pair's CT: found on it, and carried to it from the FLAIR.

    Parameters
    ----------
    ct, affine
        CT in HU, shape (x, y, z); 4×4, voxel indices → RAS mm.
    own, carried, used
        Masks on the same grid: the CT's own, the FLAIR's, and the FLAIR's freed of bone.
    """
    png = figures.outlines(
        ct,
        affine,
        brain=used,
        masks=(
            ("found on the CT", own),
            ("used: FLAIR's without bone", used),
            ("FLAIR's as carried", carried),
        ),
        window=WIDE_CT_WINDOW,
    )
    return Figure(
        "Brain masks on CT",
        "The CT was measured in the FLAIR's brain mask, carried to it (purple, dotted) and freed "
        "of bone (yellow, dashed). The mask found on the CT itself (blue, solid) should run beside "
        "them; where they part, one is wrong, or CT and FLAIR do not line up there. Wide window "
        f"(level 100 HU, width 400 HU): bone is white. {_CONVENTION}",
        "Axial slices of the CT with the outlines of its own brain mask and the FLAIR's",
        png,
        answers=(
            "CT brain left out",
            "CT bone in the FLAIR's mask",
            "CT brain volume",
            "CT coverage",
        ),
    )


def normalisation(
    image: str,
    array: np.ndarray,
    affine: np.ndarray,
    *,
    brain: np.ndarray,
    template_brain: np.ndarray,
) -> Figure:
    """Show the template's brain, brought to an image (``CT`` or ``FLAIR``), over that image.

    Parameters
    ----------
    image, array, affine, brain
        As in `segmentation`.
    template_brain
        The template's brain mask on the image's grid.
    """
    png = figures.outlines(
        array,
        affine,
        brain=brain,
        masks=(("template's brain", template_brain), ("brain mask", brain)),
        window=_window(image, array, brain),
        count=8,
    )
    return Figure(
        f"Normalisation of {image}",
        "The outline of the template's brain (blue, solid), brought here by the nine parameters of "
        "the normalisation, over the brain mask (yellow, dashed). They should agree to within some "
        "mm, as the shapes of brains differ; a turned, shifted or wrongly sized outline means that "
        f"the networks saw this brain askew. {_CONVENTION}",
        f"Axial slices of the {image} with the outlines of the template's brain and the brain mask",
        png,
        answers=(f"{image} normalisation", f"{image} way up"),
    )


def _window(image: str, array: np.ndarray, brain: np.ndarray) -> tuple[float, float]:
    return figures.CT_WINDOW if image == "CT" else figures.image_window(array, brain)
