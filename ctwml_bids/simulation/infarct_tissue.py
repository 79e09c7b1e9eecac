"""Infarcts in a simulated head: which it has, and what of them is cavity, gliosis or fresh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctwml_bids.geometry import bounding_box
from ctwml_bids.simulation.anatomy import BRAIN_BOX, Head
from ctwml_bids.simulation.ex_vacuo import reshaped
from ctwml_bids.simulation.fields import smooth_noise, soft_step
from ctwml_bids.simulation.infarct_places import nowhere, placed, put_lacunes
from ctwml_bids.simulation.infarcts import InfarctShapes, draw_shape

KINDS = ("none", "old", "subacute", "lacunes")
SHARE = 0.25  # of the heads that have infarcts, where nothing else is asked for
KIND_SHARES = {"old": 0.55, "subacute": 0.25, "lacunes": 0.20}  # of those
COUNT_SHARES = (0.65, 0.25, 0.10)  # one, two or three infarcts
LATER_ML = 30.0  # the second and third are no larger
LACUNES_BESIDE = 0.3  # share of heads with larger infarcts that have lacunes, too


@dataclass(frozen=True)
class InfarctLook:
    """How a head's infarcts look; the ranges are in `draw_look`.

    Attributes
    ----------
    cavitation
        How much of an old infarct's inside is cavity; below 1 it is a scar more than a cavity.
    core_hu
        HU of a cavity above fluid.
    core_signal
        FLAIR signal of a cavity above fluid.
    rim_share
        How far the HU of gliosis have fallen from tissue towards a cavity.
    rim_signal, fresh_signal
        FLAIR signals of gliosis and of fresh infarcts; white matter = 1.
    drop
        HU that a fresh infarct has lost.
    blur
        mm over which grey and white matter blend in it.
    fog
        How far its places of fogging look normal again on CT (0: no fogging).
    """

    cavitation: float
    core_hu: float
    core_signal: float
    rim_share: float
    rim_signal: float
    fresh_signal: float
    drop: float
    blur: float
    fog: float


@dataclass(frozen=True)
class Infarcts:
    """The infarcts of one head; arrays float32, 0–1, in ``box``.

    Attributes
    ----------
    kind
        "old", "subacute" or "lacunes".
    described
        For each infarct its kind, and its shape's name or its diameter in mm.
    box
        Slices in anatomy.BRAIN_BOX.
    fraction
        How much of a voxel's tissue, or of what was tissue, is infarct.
    core, fresh
        How much is cavity, and how much is fresh; the rest of ``fraction`` is gliosis.
    texture
        Smooth noise of SD 1.
    look
        Their values in images.
    """

    kind: str
    described: tuple[dict, ...]
    box: tuple[slice, ...]
    fraction: np.ndarray
    core: np.ndarray
    fresh: np.ndarray
    texture: np.ndarray
    look: InfarctLook

    def whole(self) -> np.ndarray:
        """Return the fraction in anatomy.BRAIN_BOX."""
        shape = tuple(part.stop - part.start for part in BRAIN_BOX)
        field = np.zeros(shape, dtype=np.float32)
        field[self.box] = self.fraction
        return field


def draw_kind(rng: np.random.Generator, share: float = SHARE) -> str:
    """Draw which infarcts a head has: "none" but in a share of the heads."""
    drawn = rng.random() < share
    kind = str(rng.choice(list(KIND_SHARES), p=list(KIND_SHARES.values())))
    return kind if drawn else "none"


def draw_look(rng: np.random.Generator) -> InfarctLook:
    """Draw how infarcts look.

    Old infarcts read 11.9 ± 5.9 HU, acute ones 18.9 ± 6.4 (BMC Med Imaging 2024): cavities are 1
    to 6 HU above fluid, gliosis lies between them and tissue, fresh infarcts are 6 to 16 HU
    darker than the tissue was. Two in five old infarcts are scars without a whole cavity. On FLAIR
    gliosis and fresh infarcts are 1.3 to 1.9 times as bright as white matter. One in seven fresh
    infarcts is fogged in places, as two to three weeks after it began.
    """
    return InfarctLook(
        cavitation=float(rng.uniform(0.3, 0.7)) if rng.random() < 0.4 else 1.0,
        core_hu=float(rng.uniform(1, 6)),
        core_signal=float(rng.uniform(0.0, 0.15)),
        rim_share=float(rng.uniform(0.4, 0.75)),
        rim_signal=float(rng.uniform(1.3, 1.9)),
        fresh_signal=float(rng.uniform(1.3, 1.9)),
        drop=float(rng.uniform(6, 16)),
        blur=float(rng.uniform(1.2, 2.2)),
        fog=float(rng.uniform(0.3, 0.6)) if rng.random() < 0.15 else 0.0,
    )


def draw_infarcts(
    rng: np.random.Generator, head: Head, shapes: InfarctShapes, kind: str
) -> tuple[Head, Infarcts | None]:
    """Draw infarcts of a kind into a head.

    Parameters
    ----------
    rng
        Source of randomness.
    head
        Whose brain it is.
    shapes
        Real shapes, of which one to three are drawn for "old" and "subacute".
    kind
        One of `KINDS`.

    Returns
    -------
    head, infarcts
        The head with tissue lost and moved, or swollen; and its infarcts, None for "none".
    """
    if kind == "none":
        return head, None
    distance = nowhere()
    described: list[dict] = []
    if kind != "lacunes":
        for number in range(1 + int(rng.choice(len(COUNT_SHARES), p=COUNT_SHARES))):
            shape = draw_shape(rng, shapes, LATER_ML if number else np.inf)
            part, near = placed(head, shape)
            distance[part] = np.minimum(distance[part], near)
            described.append({"kind": kind, "shape": shape.name})
    old = kind == "old"
    former = head.grey + head.white
    if described:
        head, distance, former = reshaped(rng, head, distance, old)
        # What became ventricle is fluid to every eye.
        former = np.minimum(former, 1 - head.ventricles)
    holes = nowhere()
    if kind == "lacunes" or rng.random() < LACUNES_BESIDE:
        for diameter in put_lacunes(rng, head, holes, 4 if kind == "lacunes" else 2):
            described.append({"kind": "lacune", "diameter_mm": diameter})
    nearest = np.minimum(distance, holes)
    if not (nearest < 0).any():
        return head, None
    box = bounding_box(nearest < 3, 2)
    return head, _tissue(rng, former[box], distance[box], holes[box], kind, described, box)


def _tissue(
    rng: np.random.Generator,
    former: np.ndarray,
    distance: np.ndarray,
    holes: np.ndarray,
    kind: str,
    described: list[dict],
    box: tuple[slice, ...],
) -> Infarcts:
    """Divide infarcts into cavity, gliosis and fresh tissue.

    ``distance`` is from the shapes' surface, ``holes`` from the cavities of lacunes, mm in ``box``;
    ``former`` is what was tissue there.
    """
    shape, look = former.shape, draw_look(rng)
    texture = smooth_noise(rng, shape, 3.0)
    # Outlines on thick slices are straighter than borders are.
    ragged = [smooth_noise(rng, shape, scale) for scale in (1.6, 4.0)]
    edge = distance + np.float32(0.6) * ragged[0] + np.float32(1.0) * ragged[1]
    holes = holes + np.float32(0.3) * ragged[0]
    softness = float(rng.uniform(1.2, 2.5) if kind == "old" else rng.uniform(1.5, 4.0))
    # Voxels that are mostly tissue are whole: a sulcus of half a millimetre divides no infarct.
    most = np.clip(1.6 * former, 0, 1)
    large = soft_step(-edge, softness) * most
    depth = float(max(-distance.min(), 0.0))
    rim = max(min(float(rng.uniform(1.5, 5.0)), 0.4 * depth), 1.2)
    cavity = soft_step(-(edge + rim + 0.8 * texture), 2.5) * look.cavitation
    if look.cavitation < 1:
        cavity = cavity * np.clip(1 - 0.4 * texture, 0, 1)
    halo = float(rng.uniform(0.8, 1.8))
    small = soft_step(halo - holes, 1.0) * most
    hole = soft_step(-holes, 1.0)
    fraction = np.maximum(large, small)
    old = kind == "old"
    fresh = np.zeros_like(large) if old else large * (1 - small)
    core = np.minimum(np.maximum(cavity, hole) if old else hole, fraction - fresh)
    return Infarcts(
        kind=kind,
        described=tuple(described),
        box=box,
        fraction=fraction.astype(np.float32),
        core=np.maximum(core, 0).astype(np.float32),
        fresh=fresh.astype(np.float32),
        texture=texture,
        look=look,
    )
