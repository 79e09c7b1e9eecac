"""Other networks than the paper's: of FLAIR, of manual masks, begun from others."""

from __future__ import annotations

import json
import shutil

import numpy as np

from ctwml_bids.bids import names
from ctwml_bids.segmentation.model_store import default, load_card, load_weights
from tests.cli.trainable import FLAIR_GRID, HEADS, LABELS
from tests.cli.training import image, train


ONE_STEP = ("--repeats", "1", "--members", "1", "--steps", "1", "--batch", "2")


def test_a_flair_network_is_trained_from_manual_masks(untrained):
    masks = untrained / "masks"
    for head in HEADS[:5]:  # nobody has drawn the last
        of = (head.subject, head.session)
        drawn = untrained / "out" / names.wml(*of, space="FLAIR", seen_in="flair", kind="mask")
        target = masks / names.folder(*of) / "anat"
        target.mkdir(parents=True)
        shutil.copy(drawn, target / f"{names.stem(*of)}_space-FLAIR_label-WML_mask.nii.gz")
        # Of a second rater, and of something else.
        for other in ("label-WML_desc-rater2_mask", "desc-brain_mask"):
            shutil.copy(drawn, target / f"{names.stem(*of)}_space-FLAIR_{other}.nii.gz")
    how = ("--modality", "flair", "--labels", "manual", "-d", f"masks={masks}")
    assert train(untrained, *ONE_STEP, *how) == 0
    card = load_card(untrained / "out/train/flair/model")
    assert (card.modality, card.channels, card.threshold) == ("flair", ("zscore",), 0.5)
    plan = json.loads((untrained / "out/train/flair/plan.json").read_text())
    assert sorted(plan["cases"]) == LABELS[:5]
    assert "no mask" in plan["left_out"]["sub-05_ses-b"]
    name = names.wml("01", None, space="FLAIR", seen_in="flair", kind="cv")
    assert image(untrained, name).shape == FLAIR_GRID.shape


def test_networks_begin_from_the_shipped_ones(untrained):
    assert train(untrained, *ONE_STEP, "--init", "shipped", "--desc", "tuned") == 0
    shipped, card = load_card(default("ct")), load_card(untrained / "out/train/ct_desc-tuned/model")
    assert shipped.name in card.license
    assert (card.channels, card.context, card.flip) == (
        shipped.channels,
        shipped.context,
        shipped.flip,
    )
    one, other = (
        load_weights(folder / some.members[0].file)["head.weight"]
        for folder, some in (
            (default("ct"), shipped),
            (untrained / "out/train/ct_desc-tuned/model", card),
        )
    )
    np.testing.assert_allclose(one, other, atol=1e-3)  # a step of 1e-4
    assert (
        untrained
        / "out"
        / names.wml("01", None, space="CT", seen_in="ct", kind="cvmask", model_label="tuned")
    ).is_file()
