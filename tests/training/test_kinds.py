"""Other networks than the paper's: of FLAIR, of manual masks, begun from others."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np

from ctwml_bids.bids import names
from ctwml_bids.segmentation.model_store import default, load_card, load_weights
from tests.training import trainable
from tests.training.trainable import FLAIR_GRID, HEADS, LABELS
from tests.training.training import image, train

PAIR = ("--participant-label", "01", "02")
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
    assert train(untrained, *ONE_STEP, *PAIR, "--init", "shipped", "--desc", "tuned") == 0
    shipped, card = load_card(default("ct")), load_card(untrained / "out/train/ct_desc-tuned/model")
    assert shipped.name in card.license
    # What belongs together: the shipped networks' loss, and the threshold that fits it.
    assert card.training["protocol"]["loss"] == "dice+cross-entropy"
    assert card.threshold == shipped.threshold == 0.55
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


def test_neighbouring_slices_and_the_loss_can_be_chosen(untrained):
    how = ("--context", "1", "--loss", "dice+cross-entropy", "--threshold", "0.4")
    assert train(untrained, *ONE_STEP, *PAIR, *how) == 0
    card = load_card(untrained / "out/train/ct/model")
    assert (card.context, card.network["in_channels"], card.threshold) == (1, 6, 0.4)
    assert card.training["protocol"]["loss"] == card.loss == "dice+cross-entropy"
    assert "dice+cross-entropy" in (untrained / "out/train-ct.html").read_text()
    # Of one repeat there is no spread.
    assert not list((untrained / "out").rglob("*cvstd*"))


def test_a_plain_unet_is_trained_and_makes_the_maps(untrained):
    assert train(untrained, *ONE_STEP, *PAIR, "--network", "plain-unet") == 0
    model = untrained / "out/train/ct/model"
    card = load_card(model)
    assert card.network["variant"] == card.training["protocol"]["variant"] == "plain-unet"
    parameters = sum(array.size for array in load_weights(model / card.members[0].file).values())
    assert parameters > 7e6  # uResNet has 1.1 million
    mask = names.wml("01", None, space="CT", seen_in="ct", kind="cvmask")
    assert (untrained / "out" / mask).is_file()


def test_the_papers_network_is_the_default(untrained, capsys):
    assert train(untrained, "--dry-run") == 0
    expected = "uResNet (standard), one slice at a time, loss cross-entropy, threshold 0.25"
    assert expected in capsys.readouterr().out


def test_another_network_than_that_of_the_shipped_ones_is_refused(untrained, capsys):
    assert train(untrained, "--init", "shipped", "--network", "wide", "--dry-run") == 64
    assert "--network wide" in capsys.readouterr().err


def test_another_context_than_that_of_the_shipped_networks_is_refused(untrained, capsys):
    assert train(untrained, "--init", "shipped", "--context", "0", "--dry-run") == 64
    assert "--context 0" in capsys.readouterr().err


def test_whom_the_shipped_networks_saw_is_left_out_when_they_are_gone_on_with(tmp_path, capsys):
    heads = [*HEADS[:3], replace(HEADS[3], subject="lj07")]
    trainable.make(tmp_path, heads)
    assert train(tmp_path, "--dry-run") == 0
    assert "left out:" not in capsys.readouterr().out
    assert train(tmp_path, "--init", "shipped", "--dry-run") == 0
    out = capsys.readouterr().out
    assert f"sub-lj07: left out: the networks of {default('ct').name} saw" in out


def test_simulated_heads_under_shipped_networks_are_cautioned_of(untrained, capsys):
    path = untrained / "bids/dataset_description.json"
    about = json.loads(path.read_text())
    path.write_text(json.dumps(about | {"GeneratedBy": [{"Name": "ctwml-simulate"}]}))
    assert train(untrained, "--dry-run") == 0
    assert "too high" not in capsys.readouterr().out
    assert train(untrained, "--init", "shipped", "--dry-run") == 0
    assert "the accuracy is too high" in capsys.readouterr().out
