"""Choose one image among several of the same kind in one session, and say why."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctwml_bids.bids.contrast import Contrast, tagged
from ctwml_bids.bids.contrast_choice import contrast_alone, contrast_of_each
from ctwml_bids.bids.units import Candidate
from ctwml_bids.image_files import load_volume
from ctwml_bids.modality import MODALITIES
from ctwml_bids.slices import slice_axis

# An adult brain from the vertex to the foramen magnum is about 130 to 140 mm high; what a scan
# covers beyond that is neck or air and no reason to prefer it (CT angiography, coronal reformats).
WHOLE_BRAIN_MM = 140.0
_SOFT, _UNKNOWN, _BONE = 0, 1, 2


class Ambiguous(Exception):  # noqa: N818 - an outcome that the caller turns into Skipped
    """Several images are equally good; the message names them."""


@dataclass(frozen=True)
class Geometry:
    """What the choice looks at in a header.

    Parameters
    ----------
    coverage_mm
        Extent along the axis nearest to foot–head: voxels times spacing.
    spacing_mm
        Distance between slices.
    axial
        Slices are stacked along foot–head, or voxels are so isotropic that no plane is preferred.
    """

    coverage_mm: float
    spacing_mm: float
    axial: bool


def geometry(path: Path) -> Geometry | None:
    """Read a header; None for what is not a volume (`load_volume`)."""
    if (image := load_volume(path)) is None:
        return None
    shape, spacing = image.shape, np.linalg.norm(image.affine[:3, :3], axis=0)
    upwards = int(np.argmax(np.abs(image.affine[2, :3]) / spacing))
    slices = slice_axis(image)
    return Geometry(
        coverage_mm=float(shape[upwards] * spacing[upwards]),
        spacing_mm=float(spacing[slices]),
        axial=slices == upwards or spacing.max() < 1.2 * spacing.min(),
    )


def kernel_rank(kernel: object) -> int:
    """0 for a soft-tissue kernel, 2 for bone, lung or edge, 1 for one that is not known.

    Names as the makers use them in DICOM (0018,1210): GE by words; Siemens by a letter or two
    and a sharpness, where about 55 and more are for bone and lung; Toshiba/Canon FC0x to FC2x
    and FC4x soft, FC3x, FC5x and FC8x bone and lung; Philips UA to UC and A to C soft, L and Y
    sharp. Siemens writes two values for iterative reconstruction; the first is the kernel.
    """
    if isinstance(kernel, list | tuple):
        kernel = kernel[0] if kernel else ""
    name = re.sub(r"[\s_-]", "", str(kernel or "")).upper()
    if re.match(r"(BONE|EDGE|LUNG|ULTRA|DETAIL\+|SHARP|YA|YB|YC|YD|YE|HD.*(BONE|EDGE|LUNG))", name):
        return _BONE
    if name == "L":
        return _BONE
    if re.match(r"(SOFT|STANDARD|STND|STD|DETAIL|BRAIN|SMOOTH)", name):
        return _SOFT
    if re.fullmatch(r"U?[ABC]", name):
        return _SOFT
    if toshiba := re.match(r"FC(\d\d)", name):
        number = int(toshiba[1])
        if number // 10 in (3, 5, 8):
            return _BONE
        return _SOFT if number // 10 in (0, 1, 2, 4) or number in (62, 64, 67, 68) else _UNKNOWN
    if siemens := re.match(r"[BHIJQTUD][A-Z]?(\d\d)[A-Z]?", name):
        return _BONE if int(siemens[1]) >= 55 else _SOFT
    return _UNKNOWN


def is_reformatted(candidate: Candidate, seen: Geometry) -> bool:
    """Whether slices are not axial, or the name or ImageType say that they were recomputed."""
    words = " ".join(
        str(candidate.entities.get(key, "")) for key in ("acquisition", "reconstruction")
    )
    hints = [words.lower(), str(candidate.sidecar.get("ImageType", "")).lower()]
    return not seen.axial or any(
        re.search(r"coronal|sagittal|mpr|reformat|(\b|\d)(cor|sag|mip)(\b|\d)", hint)
        for hint in hints
    )


def choose(candidates: list[Candidate], *, kind: str) -> tuple[Candidate, tuple[str, ...]]:
    """Take one image of a session.

    A CT: the largest coverage (up to a whole brain), then without contrast agent, then a
    soft-tissue kernel over bone, then axial over reformatted, then the thinnest slices. A FLAIR:
    coverage, contrast, then the thinnest slices. Of the agent, "without" comes before "not known",
    and that before "with"; of CTs, those of which it is not known are looked at where that
    can change the choice (`contrast_of_each`).

    Parameters
    ----------
    candidates
        At least one.
    kind
        ``ct`` or ``flair``, also the key of the filter file.

    Returns
    -------
    candidate, notes
        The image, and sentences: what decided (none when there was only one), and a warning where
        the image was taken with a contrast agent, or its tags contradict each other on that.

    Raises
    ------
    Ambiguous
        Two or more are equal in everything that the rule looks at.
    """
    if len(candidates) == 1:
        return candidates[0], _warned(candidates[0], contrast_alone(candidates[0], kind), kind)
    volumes = [(c, g) for c in candidates if (g := geometry(c.path)) is not None]
    if not volumes:
        raise Ambiguous(
            f"none of the {kind.upper()} images {_names(candidates)} can be read as a 3D volume"
        )
    reasons = ["the only 3D volume"] if len(volumes) == 1 else []
    if len(volumes) > 1 and len(kept := _covering(volumes)) < len(volumes):
        volumes = kept
        reasons.append("largest coverage")
    known = _known_contrast(volumes, kind)
    if len(volumes) > 1:
        kept = _lowest(volumes, lambda c, g: _contrast_rank(known[c.path]))
        if len(kept) < len(volumes):
            reasons.append(_without_contrast(kept, volumes, known))
            volumes = kept
    for reason, rank in _ranks(kind):
        if len(volumes) > 1 and len(kept := _lowest(volumes, rank)) < len(volumes):
            volumes = kept
            reasons.append(reason)
    if len(volumes) > 1:
        raise Ambiguous(_equal([c for c, _ in volumes], kind))
    taken = volumes[0][0]
    others = [c for c in candidates if c is not taken]
    return taken, (
        f"{kind.upper()}: took {taken.shown} ({', '.join(reasons)}), "
        f"not {', '.join(other.shown for other in others)}; --bids-filter-file chooses otherwise",
        *_warned(taken, known[taken.path], kind),
    )


Volume = tuple[Candidate, Geometry]
Rank = Callable[[Candidate, Geometry], float]


def _ranks(kind: str) -> list[tuple[str, Rank]]:
    """List what decides after coverage and contrast: a reason, and what is lower in the better."""
    ranks: list[tuple[str, Rank]] = []
    if MODALITIES[kind].is_hounsfield:
        ranks += [
            (
                "soft-tissue kernel",
                lambda c, g: kernel_rank(c.sidecar.get("ConvolutionKernel")),
            ),
            ("axial, not reformatted", is_reformatted),
        ]
    return [*ranks, ("thinnest slices", lambda c, g: round(g.spacing_mm, 2))]


def _known_contrast(found: list[Volume], kind: str) -> dict[Path, Contrast | None]:
    """Tell of each image whether an agent was given; None where the answer would change nothing."""
    if len(found) == 1:
        return {c.path: contrast_alone(c, kind) for c, _ in found}
    if not MODALITIES[kind].is_hounsfield:
        return {c.path: tagged(c.sidecar, c.path.name) for c, _ in found}
    ranks = [rank for _, rank in _ranks(kind)]
    return contrast_of_each(
        [(tuple(rank(c, g) for rank in ranks), c, g.coverage_mm) for c, g in found]
    )


def _contrast_rank(answer: Contrast | None) -> int:
    return 0 if answer is None else {False: 0, None: 1, True: 2}[answer.given]


def _without_contrast(
    kept: list[Volume], before: list[Volume], known: dict[Path, Contrast | None]
) -> str:
    """Say what told the images that were kept from those with a contrast agent."""
    answers = [answer for c, _ in kept if (answer := known[c.path]) is not None]
    first = "no contrast agent" if answers[0].given is False else "no contrast agent known of"
    left = [c for c, _ in before if all(c is not other for other, _ in kept)]
    why = "; ".join(
        f"{c.path.name}: {answer.reason}" for c in left if (answer := known[c.path]) is not None
    )
    return f"{first}: {answers[0].reason}; {why}"


def _warned(taken: Candidate, answer: Contrast | None, kind: str) -> tuple[str, ...]:
    """Warn of an image that was taken with a contrast agent, or of which tags tell both."""
    if answer is None or answer.given is False or (answer.given is None and not answer.disputed):
        return ()
    what = "was taken" if answer.given else "may have been taken"
    seen = (
        "vessels and tissue are brighter than on the CT that the networks know"
        if MODALITIES[kind].is_hounsfield
        else "what takes it up is bright and may be marked as a lesion"
    )
    return (f"warning: {taken.path.name} {what} with a contrast agent ({answer.reason}): {seen}",)


def _covering(found: list[Volume]) -> list[Volume]:
    """Those that cover as much as the best, give or take one slice."""

    def capped(seen: Geometry) -> float:
        return min(seen.coverage_mm, WHOLE_BRAIN_MM)

    best = max((seen for _, seen in found), key=capped)
    return [
        (candidate, seen)
        for candidate, seen in found
        if capped(seen) > capped(best) - 1.01 * max(seen.spacing_mm, best.spacing_mm)
    ]


def _lowest(found: list[Volume], rank: Rank) -> list[Volume]:
    best = min(rank(candidate, seen) for candidate, seen in found)
    return [(candidate, seen) for candidate, seen in found if rank(candidate, seen) == best]


def _equal(candidates: list[Candidate], kind: str) -> str:
    """Say which are equal, and the filter that would choose between them."""
    first, second = candidates[:2]
    keys = [
        key
        for key in sorted(first.entities.keys() | second.entities.keys())
        if first.entities.get(key) != second.entities.get(key)
    ]
    remedy = "keep one of them"
    if keys:
        value = first.entities.get(keys[0])
        shown = "null" if value is None else f'"{value}"'
        remedy = (
            f'choose with --bids-filter-file, for instance {{"{kind}": {{"{keys[0]}": {shown}}}}}'
        )
    return f"cannot choose between the {kind.upper()} images {_names(candidates)}: {remedy}"


def _names(candidates: list[Candidate]) -> str:
    """List images by the names of their files; by their paths where two files have one name."""
    short = [candidate.path.name for candidate in candidates]
    names = short if len(set(short)) == len(short) else [c.shown for c in candidates]
    return ", ".join(names)
