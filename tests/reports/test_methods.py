from __future__ import annotations

import re

import pytest

from ctwml_bids.reports.methods import REFERENCES, methods
from ctwml_bids.segmentation.networks import ARCHITECTURES, DEFAULT

CT_ALONE = {"ct": ARCHITECTURES[DEFAULT]}
NETWORKS = dict.fromkeys(("ct", "flair"), ARCHITECTURES[DEFAULT])
PLAIN = ARCHITECTURES["plain-unet"]


@pytest.mark.parametrize("images", [("ct",), ("flair",), ("ct", "flair")])
@pytest.mark.parametrize("normalisation", ["nine", "syn"])
def test_every_citation_has_a_reference_and_every_reference_is_cited(images, normalisation):
    networks = {image: NETWORKS[image] for image in images}
    found = methods(version="1.2.3", networks=networks, normalisation=normalisation)
    text = " ".join(found.paragraphs)
    # (Name et al. 2020, 2021; Name and Other 1999) and Name et al. (2020)
    for reference in found.references:
        name = reference.split()[0]
        year = re.search(r"\((\d{4})\)", reference)[1]
        assert re.search(rf"{name}[^.;]*(et al\.)?[^;]*{year}", text), reference
    cited_years = set(re.findall(r"\b(?:19|20)\d\d\b", text))
    known_years = {re.search(r"\((\d{4})\)", reference)[1] for reference in found.references}
    assert cited_years <= known_years


def test_ct_alone_speaks_of_no_registration_and_no_comparison():
    text = " ".join(methods(version="1", networks=CT_ALONE).paragraphs)
    assert "registered rigidly" not in text
    assert "FLAIR" not in text
    assert REFERENCES["bland"] not in methods(version="1", networks=CT_ALONE).references


def test_the_model_and_its_threshold_are_named():
    card = {"name": "ct-x", "version": "3", "threshold": 0.25, "members": [1, 2, 3]}
    card["training"] = {"data": "simulated heads only"}
    text = methods(version="1", networks=CT_ALONE, models={"ct": card}).text()
    assert "the model ct-x (version 3), an ensemble of 3 uResNets" in text
    assert "voxels above 0.25 counted as lesions. It was trained on simulated heads only." in text
    assert "Pitkänen J" in text


def test_another_network_and_neighbouring_slices_are_named_with_their_source():
    card = {"name": "ct-x", "members": [1, 2], "context": 1}
    found = methods(version="1", networks={"ct": PLAIN}, models={"ct": card})
    text = " ".join(found.paragraphs)
    assert "an ensemble of 2 plain U-Nets (after Isensee et al. 2021) that saw each axial" in text
    assert "together with the slice below and above" in text
    assert PLAIN.reference in found.references
    assert ARCHITECTURES[DEFAULT].reference not in found.references


def test_another_variant_of_uresnet_is_named():
    card = {"name": "ct-x", "members": [1, 2]}
    wide = {"ct": ARCHITECTURES["wide"]}
    text = methods(version="1", networks=wide, models={"ct": card}).text()
    assert 'an ensemble of 2 uResNets (Guerrero et al. 2018, variant "wide")' in text


def test_a_single_network_is_not_called_an_ensemble():
    card = {"name": "ct-x", "members": [1], "threshold": 0.25}
    text = methods(version="1", networks=CT_ALONE, models={"ct": card}).text()
    assert "a single uResNet" in text
    assert "ensemble" not in text
    mirrored = methods(version="1", networks=CT_ALONE, models={"ct": {**card, "flip": True}}).text()
    assert "the image and its mirror image were averaged" in mirrored


def test_the_number_format_is_named_where_it_is_known():
    card = {"name": "ct-x", "threshold": 0.25}
    known = methods(
        version="1",
        networks=CT_ALONE,
        models={"ct": card},
        precision={"ct": "bfloat16"},
    )
    assert "counted as lesions; convolutions ran in bfloat16." in known.paragraphs[1]
    unknown = methods(version="1", networks=CT_ALONE, models={"ct": card}, precision={"ct": None})
    assert "convolutions" not in unknown.paragraphs[1]


def test_what_is_left_out_outside_the_white_matter_is_said():
    card = {"name": "ct-x", "threshold": 0.25, "island_share": 0.35}
    text = methods(version="1", networks=CT_ALONE, models={"ct": card}).text()
    assert "small regions with less than 35% of their probability in the white matter" in text
    card["island_share"] = None
    assert (
        "white matter of" not in methods(version="1", networks=CT_ALONE, models={"ct": card}).text()
    )


def test_settings_appear():
    text = methods(
        version="9.9", networks=NETWORKS, template="MNI152NLin6Asym", normalisation="syn"
    ).text()
    assert "ctwml_bids 9.9" in text
    assert "MNI152NLin6Asym" in text
    assert "diffeomorphic" in text
