"""One person's head: the canonical head bent, scaled and aged.

The head lives in the template's frame (a point of the template is a point of the head before the
elastic warp). The nine-parameter map from there to a scanner is drawn by ``pair``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ctwml_bids.simulation import canonical
from ctwml_bids.simulation.bending import WARP_STEP, aged_warp, warp
from ctwml_bids.simulation.canonical import BRAIN_BOX
from ctwml_bids.simulation.fields import smooth_noise, soft_step
from ctwml_bids.simulation.individual import Anatomy, folded_tissues
from ctwml_bids.simulation.wide_ventricles import widened

BRAIN_ML = {"F": (1330.0, 105.0), "M": (1480.0, 115.0)}  # brain mask, mean and SD of adults
TEMPLATE_BRAIN_ML = 1890.0  # of the packaged brain mask: MNI space is larger than life
# Where ventricles of a wanted volume begin to widen (mL, at most), and how much of the fluid that
# age gives the sulci stays in them: where pressure widened them they are narrow or effaced, where
# tissue was lost (ex vacuo) they are as without, or wider.
BEFORE_WIDENING_ML = 40.0
# Smoothing (SD, mm) of the distance from ventricles; less where horns are a voxel or two wide.
WALL_SMOOTHING, HORN_SMOOTHING = 0.8, 0.5
EFFACED, KEPT, KEPT_SHARE = (0.25, 0.7), (0.85, 1.4), 0.5


@dataclass(frozen=True)
class Head:
    """A simulated head on the working grid of ``canonical`` (1 mm, template frame).

    Attributes
    ----------
    age, sex
        Years; "F" or "M".
    scale
        Factors along x, y, z that make millimetres of the template millimetres of the person.
    labels
        uint8 codes of ``canonical``, whole grid.
    skull_distance
        mm of the template frame from the brain with cisterns, whole grid, negative inside.
    grey, white, csf
        Fractions in BRAIN_BOX, float32; outside brain and subarachnoid space all 0.
    brain, ventricles
        Fractions in BRAIN_BOX, float32: the brain mask; the lateral ventricles.
    ventricle_distance
        mm of the template frame from the lateral ventricles, in BRAIN_BOX, negative inside.
    gap
        Width in mm of the fluid between brain mask and skull.
    skull, scalp
        Mean thickness in mm (template frame) of the vault and of its scalp.
    texture
        Smooth noise (SD 1) on the whole grid: thickness of bone and scalp, strands of fat.
    source
        Where each point of BRAIN_BOX lies in the head it is bent from: voxel indices of the
        working grid, (3, x, y, z), at every second voxel.
    covered_from
        As of ``canonical.CanonicalHead``.
    """

    age: float
    sex: str
    scale: np.ndarray
    labels: np.ndarray
    skull_distance: np.ndarray
    grey: np.ndarray
    white: np.ndarray
    csf: np.ndarray
    brain: np.ndarray
    ventricles: np.ndarray
    ventricle_distance: np.ndarray
    gap: float
    skull: float
    scalp: float
    texture: np.ndarray
    source: np.ndarray
    covered_from: float | None = None

    @property
    def voxel_ml(self) -> float:
        """Real volume in mL of one voxel of the working grid."""
        return float(np.prod(self.scale)) / 1000.0


def draw_ventricles_ml(rng: np.random.Generator, age: float) -> float:
    """Draw the volume of the lateral ventricles for an age (mL).

    Medians follow the age-banded ventricle masks of CTLesion2MNI152 (27 mL at 37 years in MNI
    space, 66 mL at 87), brought to real size; the spread is log-normal.
    """
    median = 13.0 + 0.40 * max(age - 35, 0) + 0.008 * max(age - 55, 0) ** 2
    return float(np.clip(median * np.exp(rng.normal(0, 0.32)), 7, 95))


def draw_csf_share(rng: np.random.Generator, age: float) -> float:
    """Draw the share of fluid in the brain mask for an age (ventricles included)."""
    mean = 0.105 + 0.0006 * max(age - 20, 0) + 0.0022 * max(age - 50, 0)
    return float(np.clip(rng.normal(mean, 0.018), 0.075, 0.32))


def draw_scale(rng: np.random.Generator, sex: str) -> np.ndarray:
    """Draw the three scales from template to person, from brain volume and head shape."""
    mean, spread = BRAIN_ML[sex]
    volume = np.clip(rng.normal(mean, spread), 1050, 1800)
    shape = np.exp(np.clip(rng.normal(0, 0.035, 3), -0.08, 0.08))
    return (volume / TEMPLATE_BRAIN_ML / np.prod(shape)) ** (1 / 3) * shape


def _tissues(
    rng: np.random.Generator, head: dict[str, np.ndarray], share: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return grey, white and fluid fractions with individual folds and a wanted fluid share.

    The template's maps are averages over many brains. Raising them to a power and multiplying
    by log-normal noise makes single folds of them; a factor on fluid opens the sulci.
    """
    grey, white, brain = head["grey"], head["white"], head["brain"]
    cerebrum = np.isin(head["labels"], (canonical.CEREBRUM, canonical.FALX))
    power = np.where(cerebrum, np.float32(rng.uniform(2.2, 3.2)), np.float32(1.3))
    fluid = np.clip(1 - grey - white, 0.004, 1)
    amplitude = rng.uniform(0.4, 0.8)
    noise = [amplitude * smooth_noise(rng, grey.shape, rng.uniform(2.5, 4)) for _ in range(2)]
    grey = np.maximum(grey, 1e-4) ** power * np.exp(noise[0])
    white = np.maximum(white, 1e-4) ** power
    fluid = fluid**power * np.exp(noise[1])
    ventricles = head["ventricles"]
    sample = (slice(None, None, 3),) * 3
    weight = brain[sample]
    low, high = -3.0, 4.0
    for _ in range(14):
        middle = (low + high) / 2
        opened = fluid[sample] * np.exp(middle)
        part = opened / (grey[sample] + white[sample] + opened)
        part = np.maximum(part, ventricles[sample])
        low, high = (
            (middle, high) if (part * weight).sum() < share * weight.sum() else (low, middle)
        )
    fluid = fluid * np.float32(np.exp(middle))
    total = grey + white + fluid
    inside = 1 - ventricles
    return grey / total * inside, white / total * inside, 1 - (grey + white) / total * inside


def make_head(
    rng: np.random.Generator,
    age: float,
    sex: str,
    anatomy: Anatomy | None = None,
    ventricles_ml: float | None = None,
) -> Head:
    """Draw a head.

    Parameters
    ----------
    rng
        Source of randomness.
    age
        Years; ventricles and sulci widen with it.
    sex
        "F" or "M"; sets the mean brain volume.
    anatomy
        Whose folds the head has; None: the template's, with noise for folds.
    ventricles_ml
        Volume of its lateral ventricles in mL, in `wide_ventricles.RANGE_ML`; None: as age
        makes them.

    Returns
    -------
    Head
    """
    base = canonical.canonical_head() if anatomy is None else anatomy.head
    scale = draw_scale(rng, sex)
    voxel_ml = float(np.prod(scale)) / 1000.0
    usual_ml = draw_ventricles_ml(rng, age)
    first_ml = usual_ml if ventricles_ml is None else min(usual_ml, BEFORE_WIDENING_ML)
    # An individual's ventricles may be wider than wanted; the template's are those of the young.
    source = aged_warp(rng, base, first_ml / voxel_ml, -1.5 if anatomy is None else -5.0)
    if ventricles_ml is not None:
        source = widened(source, base, ventricles_ml / voxel_ml)
    everywhere = (slice(None),) * 3
    labels = warp(base.labels, source, everywhere, 0)
    skull_distance = warp(base.skull_distance, source, everywhere, 1)
    # What the warp stretched and compressed measures no millimetres any more.
    within = warp(base.ventricle_distance, source, BRAIN_BOX, 1) < 0
    ventricle_distance = ndimage.gaussian_filter(
        canonical.signed_distance(within),
        WALL_SMOOTHING if base.covered_from is None else HORN_SMOOTHING,
    )
    fields = {
        "grey": warp(base.grey, source, BRAIN_BOX, 1),
        "white": warp(base.white, source, BRAIN_BOX, 1),
        "brain": warp(base.brain, source, BRAIN_BOX, 1),
        "labels": labels[BRAIN_BOX],
        "ventricles": soft_step(-ventricle_distance, 1.2).astype(np.float32),
    }
    tissues = _tissues if anatomy is None else folded_tissues
    share = draw_csf_share(rng, age)
    if ventricles_ml is not None:
        brain_ml = TEMPLATE_BRAIN_ML * voxel_ml * 1000.0
        left = rng.uniform(*(KEPT if rng.random() < KEPT_SHARE else EFFACED))
        sulci = max(share - usual_ml / brain_ml, 0.0) * left
        share = sulci + ventricles_ml / brain_ml
    grey, white, csf = tissues(rng, fields, share)
    gap = float(np.clip(rng.normal(1.0 + 0.03 * max(age - 45, 0), 0.4), 0.6, 3.5))
    if base.covered_from is not None:
        gap = 0.0  # its fluid lies where its labels say
    within = soft_step(gap - skull_distance[BRAIN_BOX], 1.0)
    tissue = np.minimum(fields["brain"], within)
    return Head(
        age=age,
        sex=sex,
        scale=scale,
        labels=labels,
        skull_distance=skull_distance,
        grey=grey * tissue,
        white=white * tissue,
        csf=csf * tissue + (within - tissue),
        brain=fields["brain"],
        ventricles=fields["ventricles"] * tissue,
        ventricle_distance=ventricle_distance,
        gap=gap,
        skull=float(rng.uniform(5.5, 9.5)),
        scalp=float(rng.uniform(4.0, 8.5)),
        texture=smooth_noise(rng, canonical.SHAPE, 12.0),
        source=np.stack(
            [part[BRAIN_BOX][(slice(None, None, int(WARP_STEP)),) * 3] for part in source]
        ),
        covered_from=base.covered_from,
    )


def vault(head: Head) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance in mm outside the skull's outer surface, and the scalp's thickness."""
    _, _, z = canonical.coordinates()
    base = np.clip((-14 - z) / 14, 0, 1)  # the base is thinner than the vault
    uneven = np.clip(head.texture, -2, 2)
    thickness = head.skull * (1 + 0.14 * uneven) * (1 - 0.35 * base)
    return head.skull_distance - head.gap - thickness, head.scalp * (1 + 0.1 * uneven)
