"""Training learns, and stops and resumes without a difference."""

from __future__ import annotations

import resource
from dataclasses import replace

import pytest
import torch

from ctwml_bids import settings
from ctwml_bids.errors import BadDataError, InputOutputError
from ctwml_bids.segmentation.networks import ARCHITECTURES, DEFAULT
from ctwml_bids.training.checkpoint import TrainingState, checkpoint_weights, save
from ctwml_bids.training.log import cut_log, read_log
from ctwml_bids.training.loop import learning_rate, train
from ctwml_bids.training.patches import PatchConfig, jitter_intensities
from ctwml_bids.training.recipe import LOSSES, TrainingConfig
from tests.segmentation.toy import toy_head

HEADS = [toy_head(i) for i in range(3)]
CONFIG = TrainingConfig(
    steps=6,
    batch=4,
    patches=PatchConfig(size=32, shift=12),
    precision="float32",
    checkpoint_every=3,
    log_every=3,
)


def test_loss_falls_and_dice_rises_on_toy_heads():
    config = replace(CONFIG, steps=30, log_every=10, learning_rate=2e-3)
    log = train(HEADS, config).log
    assert log[-1]["loss"] < 0.5 * log[0]["loss"]
    assert log[-1]["dice"] > 0.8


def test_three_classes_are_told_apart_on_toy_heads():
    config = replace(CONFIG, steps=40, log_every=40, learning_rate=2e-3, classes=3)
    heads = [toy_head(i, infarcts=2) for i in range(3)]
    [row] = train(heads, replace(config, loss=LOSSES[1])).log
    assert row["dice"] > 0.5
    assert row["dice_infarct"] > 0.5


@pytest.mark.parametrize(
    ("variant", "precision", "classes"),
    [
        ("standard", "float32", 2),
        ("standard", "bfloat16", 2),
        ("dropout", "float32", 2),
        ("standard", "float32", 3),
    ],
)
def test_resumed_training_equals_the_unbroken_one(tmp_path, variant, precision, classes):
    config = replace(CONFIG, variant=variant, precision=precision, classes=classes)
    heads = HEADS if classes == 2 else [toy_head(i, infarcts=2) for i in range(3)]
    unbroken = train(heads, config, augment=jitter_intensities).weights

    def interrupt_at_step_5(row):
        if row["step"] == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(
            heads,
            replace(config, log_every=5),
            tmp_path,
            augment=jitter_intensities,
            on_log=interrupt_at_step_5,
        )
    assert checkpoint_weights(tmp_path / "checkpoint.safetensors")[1] == 3
    resumed = train(heads, config, tmp_path, augment=jitter_intensities).weights
    assert all(torch.equal(unbroken[name], resumed[name]) for name in unbroken)


def test_the_losses_that_a_user_can_choose_are_those_there_are():
    assert settings.OPTIONS["loss"].choices == LOSSES


def test_finished_training_returns_its_weights_at_once(tmp_path):
    first = train(HEADS, CONFIG, tmp_path)
    again = train(HEADS, CONFIG, tmp_path)
    assert again.log == ()
    assert all(torch.equal(first.weights[name], again.weights[name]) for name in first.weights)


def test_seeds_give_different_networks():
    one = train(HEADS, replace(CONFIG, steps=1)).weights
    other = train(HEADS, replace(CONFIG, steps=1, seed=1)).weights
    assert not torch.equal(one["encoder.0.conv.weight"], other["encoder.0.conv.weight"])


def test_checkpoint_of_another_training_is_refused_and_says_what_differs(tmp_path):
    train(HEADS, replace(CONFIG, steps=1), tmp_path)
    with pytest.raises(BadDataError, match="learning_rate"):
        train(HEADS, replace(CONFIG, steps=1, learning_rate=1.0), tmp_path)


def corrupt(path, where: str) -> None:
    content = bytearray(path.read_bytes())
    if where == "empty":
        content.clear()
    elif where == "cut short":
        del content[-1000:]
    elif where == "no header":
        content[:8] = b"not one."
    else:  # a flipped bit in the weights, which no reader of the format notices
        content[-5000] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("where", ["empty", "cut short", "no header", "a flipped bit"])
def test_corrupt_checkpoint_is_told_and_the_one_before_used(tmp_path, where, caplog):
    unbroken = train(HEADS, CONFIG, tmp_path).weights
    corrupt(tmp_path / "checkpoint.safetensors", where)
    seen = []
    resumed = train(HEADS, CONFIG, tmp_path, on_log=lambda row: seen.append(row["step"])).weights
    assert seen == [6]  # from the checkpoint at step 3, not from the beginning
    assert "checkpoint.safetensors" in caplog.text
    assert "not used" in caplog.text
    assert all(torch.equal(unbroken[name], resumed[name]) for name in unbroken)


def test_training_begins_again_where_both_checkpoints_are_corrupt(tmp_path, caplog):
    unbroken = train(HEADS, CONFIG, tmp_path).weights
    for path in tmp_path.glob("checkpoint*.safetensors"):
        corrupt(path, "a flipped bit")
    seen = []
    again = train(HEADS, CONFIG, tmp_path, on_log=lambda row: seen.append(row["step"])).weights
    assert seen == [3, 6]
    assert len(caplog.records) == 2
    assert all(torch.equal(unbroken[name], again[name]) for name in unbroken)


def test_log_of_a_resumed_training_has_each_step_once(tmp_path):
    train(HEADS, CONFIG, tmp_path)
    corrupt(tmp_path / "checkpoint.safetensors", "a flipped bit")
    with (tmp_path / "log.tsv").open("a") as log:
        log.write("9\t0.1")  # as a kill leaves it
    train(HEADS, CONFIG, tmp_path)
    assert [row["step"] for row in read_log(tmp_path / "log.tsv")] == [3, 6]


def test_a_log_is_whole_when_it_is_killed_while_it_is_cut(tmp_path, monkeypatch):
    train(HEADS, CONFIG, tmp_path)
    before = (tmp_path / "log.tsv").read_text()

    def killed(*paths):
        raise KeyboardInterrupt

    monkeypatch.setattr("ctwml_bids.training.log.os.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        cut_log(tmp_path / "log.tsv", 3)
    assert (tmp_path / "log.tsv").read_text() == before
    monkeypatch.undo()
    cut_log(tmp_path / "log.tsv", 3)
    assert [row["step"] for row in read_log(tmp_path / "log.tsv")] == [3]


def test_a_checkpoint_that_has_no_room_leaves_the_one_before(tmp_path):
    train(HEADS, replace(CONFIG, steps=3), tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # No file may be larger, as on a disk that is nearly full.
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(InputOutputError, match="Make room"):
            train(HEADS[:1], replace(CONFIG, steps=3, seed=1), tmp_path / "other")
        with pytest.raises(InputOutputError, match="Make room"):
            save(_state(), path, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert not list(tmp_path.rglob("*.part"))


def _state() -> TrainingState:
    network, mean = (ARCHITECTURES[DEFAULT].build(1, 2) for _ in range(2))
    return TrainingState(network, mean, torch.optim.Adam(network.parameters()))


def test_training_begins_from_given_weights(tmp_path):
    begun = train(HEADS, CONFIG).weights
    config = replace(CONFIG, steps=1, learning_rate=1e-9, init="before", mean_weight=0.0)
    gone_on = train(HEADS, config, tmp_path, initial=begun).weights
    name = "encoder.0.conv.weight"
    assert torch.allclose(gone_on[name], begun[name], atol=1e-6)
    with pytest.raises(BadDataError, match="init"):
        train(HEADS, replace(config, init="other"), tmp_path, initial=begun)


def test_learning_rate_falls_from_the_start_to_two_percent():
    assert learning_rate(CONFIG, 0) == CONFIG.learning_rate
    assert learning_rate(CONFIG, CONFIG.steps) == pytest.approx(0.02 * CONFIG.learning_rate)
