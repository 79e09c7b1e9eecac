"""The methods paragraph that users may put into a paper, with its references."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ctwml_bids.geometry import PERIVENTRICULAR_MM

REFERENCES = {
    "avants": "Avants BB, Tustison NJ, Song G, Cook PA, Klein A, Gee JC (2011). A reproducible "
    "evaluation of ANTs similarity metric performance in brain image registration. NeuroImage "
    "54:2033–2044.",
    "bids": "Gorgolewski KJ, Auer T, Calhoun VD, et al (2016). The brain imaging data structure, "
    "a format for organizing and describing outputs of neuroimaging experiments. Scientific Data "
    "3:160044.",
    "bidsapps": "Gorgolewski KJ, Alfaro-Almagro F, Auer T, et al (2017). BIDS Apps: improving "
    "ease of use, accessibility, and reproducibility of neuroimaging data analysis methods. PLoS "
    "Computational Biology 13:e1005209.",
    "bland": "Bland JM, Altman DG (1999). Measuring agreement in method comparison studies. "
    "Statistical Methods in Medical Research 8:135–160.",
    "ciric": "Ciric R, Thompson WH, Lorenz R, et al (2022). TemplateFlow: FAIR-sharing of "
    "multi-scale, multi-species brain models. Nature Methods 19:1568–1571.",
    "fonov": "Fonov V, Evans AC, Botteron K, Almli CR, McKinstry RC, Collins DL (2011). Unbiased "
    "average age-appropriate atlases for pediatric studies. NeuroImage 54:313–327.",
    "griffanti": "Griffanti L, Jenkinson M, Suri S, et al (2018). Classification and "
    "characterization of periventricular and deep white matter hyperintensities on MRI: a study "
    "in older adults. NeuroImage 170:174–181.",
    "kuijf": "Kuijf HJ, Biesbroek JM, de Bresser J, et al (2019). Standardized assessment of "
    "automatic segmentation of white matter hyperintensities and results of the WMH Segmentation "
    "Challenge. IEEE Transactions on Medical Imaging 38:2556–2568.",
    "nipype": "Gorgolewski K, Burns CD, Madison C, et al (2011). Nipype: a flexible, lightweight "
    "and extensible neuroimaging data processing framework in Python. Frontiers in "
    "Neuroinformatics 5:13.",
    "pitkanen": "Pitkänen J, Koikkalainen J, Nieminen T, et al (2020). Evaluating severity of "
    "white matter lesions from computed tomography images with convolutional neural network. "
    "Neuroradiology 62:1257–1263.",
    "studholme": "Studholme C, Hill DLG, Hawkes DJ (1999). An overlap invariant entropy measure "
    "of 3D medical image alignment. Pattern Recognition 32:71–86.",
}


class Network(Protocol):
    """A kind of network in words, such as `segmentation.networks.Architecture` has them."""

    @property
    def kind(self) -> str:
        """What such networks are called, in the singular."""

    @property
    def citation(self) -> str:
        """Source as it is cited."""

    @property
    def reference(self) -> str:
        """Source in full."""


@dataclass(frozen=True)
class MethodsSection:
    """A methods section: paragraphs, and the references that they cite, in full."""

    paragraphs: tuple[str, ...]
    references: tuple[str, ...]

    def text(self) -> str:
        """Return it as plain text, references last."""
        return "\n\n".join([*self.paragraphs, "References", *self.references]) + "\n"


def methods(
    *,
    version: str,
    networks: Mapping[str, Network],
    template: str = "MNI152NLin2009aSym",
    normalisation: str = "nine",
    models: Mapping[str, Mapping[str, Any]] | None = None,
    precision: Mapping[str, str | None] | None = None,
) -> MethodsSection:
    """Describe what was done, in the words of a methods section.

    Parameters
    ----------
    version
        Version of ctwml_bids.
    networks
        ``ct`` and/or ``flair``, in this order → kind of the networks that segmented it.
    template, normalisation
        TemplateFlow name; ``nine`` or ``syn``.
    models
        ``ct`` and/or ``flair`` → fields of its model card: name, version, number of
        networks, neighbouring slices, threshold and training data are mentioned where given.
    precision
        ``ct`` and/or ``flair`` → number format that its network ran in, where that is known.

    Returns
    -------
    MethodsSection
        Paragraphs, and the references that they cite.
    """
    cards, formats = models or {}, precision or {}
    has_pair = {"ct", "flair"} <= networks.keys()
    steps = [_brain_text(networks), *([_REGISTRATION] if has_pair else [])]
    steps.append(_normalisation_text(template, normalisation, has_pair=has_pair))
    paragraphs = [
        f"White matter lesions were segmented with ctwml_bids {version}, a BIDS App "
        "(Gorgolewski et al. 2016, 2017) that follows the method of Pitkänen et al. (2020) and "
        "runs on Nipype (Gorgolewski et al. 2011). " + " ".join(steps),
        " ".join(
            _network_text(image, cards.get(image, {}), network, formats.get(image))
            for image, network in networks.items()
        ),
        _measure_text(has_pair=has_pair),
    ]
    cited = ["bids", "bidsapps", "ciric", "fonov", "nipype", "griffanti", "pitkanen"]
    cited += ["avants"] if has_pair or normalisation == "syn" else []
    cited += ["bland", "kuijf", "studholme"] if has_pair else []
    references = {network.reference for network in networks.values()}
    references |= {REFERENCES[key] for key in cited}
    return MethodsSection(tuple(paragraphs), tuple(sorted(references)))


def _brain_text(images: Iterable[str]) -> str:
    how = {
        "ct": "from CT by Hounsfield units and shape",
        "flair": "from FLAIR with a convolutional network",
    }
    return (
        f"The brain was extracted {' and '.join(how[image] for image in images)}; the mask holds "
        "parenchyma with ventricles and sulci, the cerebellum, and the brainstem down to the "
        "foramen magnum."
    )


_REGISTRATION = (
    "CT was registered rigidly to FLAIR by mutual information: a search over poses, ANTs (Avants "
    "et al. 2011), and a last climb of the normalised mutual information (Studholme et al. 1999). "
    "The CT's fit against that of its mirror image, free scales and the overlap of both brain "
    "masks gated its quality."
)


def _normalisation_text(template: str, normalisation: str, *, has_pair: bool) -> str:
    mask = "FLAIR brain mask" if has_pair else "brain mask"
    text = (
        f"The {mask} was fitted to that of the template {template} (Fonov et al. 2011; Ciric et "
        "al. 2022) with nine parameters (rotations, translations, scales) by robust least squares "
        "on the distance between both surfaces, and intensities were z-scored within the brain "
        "mask."
    )
    if normalisation == "syn":
        text += (
            " For regional maps the image was additionally registered to the template by the "
            "symmetric diffeomorphic method of ANTs (Avants et al. 2011); segmentation did not use "
            "that transform."
        )
    return text


def _network_text(
    image: str, card: Mapping[str, Any], network: Network, precision: str | None
) -> str:
    name = f"the model {card['name']}" if "name" in card else "a model"
    name += f" (version {card['version']})" if "version" in card else ""
    members = card.get("members", ())
    kind = network.kind
    size = f"an ensemble of {len(members)} {kind}s" if members else f"an ensemble of {kind}s"
    averaged = ["of its members"]
    if len(members) == 1:
        size, averaged = f"a single {kind}", []
    averaged += ["of the image and its mirror image"] if card.get("flip") else []
    text = f"Lesions on {image.upper()} were segmented with {name}, {size} ({network.citation})"
    if context := card.get("context", 0):
        neighbours = "the slice" if context == 1 else f"{context} slices"
        text += f" that saw each axial slice together with {neighbours} below and above"
    if averaged:
        text += f"; the probabilities {' and '.join(averaged)} were averaged"
    if "threshold" in card:
        text += f" and voxels above {card['threshold']:g} counted as lesions"
        if (infarct_threshold := card.get("infarct_threshold")) is not None:
            text += (
                f", those with an infarct probability above {infarct_threshold:g} as infarcts; "
                "where both were exceeded, the larger ratio of probability to threshold decided"
            )
    if least_ml := card.get("infarct_least_ml"):
        text += f"; regions of infarct under {least_ml:g} mL in the template's space were left out"
    if share := card.get("island_share"):
        text += (
            f"; small regions with less than {share:.0%} of their probability in the white matter "
            f"of the packaged template or within {PERIVENTRICULAR_MM:g} mm of its lateral "
            "ventricles were left out"
        )
    text += f"; convolutions ran in {precision}" if precision else ""
    data = card.get("training", {}).get("data")
    return text + (f". It was trained on {data}." if data else ".")


def _measure_text(*, has_pair: bool) -> str:
    text = (
        "Masks were brought back to the space of each image in one interpolation and measured "
        "there: total volume, volume as a percentage of the brain mask, number and size of "
        "26-connected lesions, volume in either hemisphere, and volume within and beyond "
        f"{PERIVENTRICULAR_MM:g} mm of the ventricles (Griffanti et al. 2018). Fluid of the "
        "ventricles found on an image was not counted as a lesion."
    )
    if has_pair:
        text += (
            " CT was compared with FLAIR in FLAIR space by the Dice overlap, by the volumes "
            "segmented on both and on either alone, and by the metrics of the WMH Segmentation "
            "Challenge (Kuijf et al. 2019); over the group, volumes were compared by Pearson "
            "correlation, a least-squares line, and bias and limits of agreement (Bland and "
            "Altman 1999)."
        )
    return text
