"""Inference: the mean and spread of the members, in every way of running them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ctwml_bids.errors import BadDataError
from ctwml_bids.segmentation import ensemble
from ctwml_bids.segmentation.islands import outside_white_matter
from ctwml_bids.segmentation.model_card import ModelCard
from ctwml_bids.segmentation.model_store import default, write_model
from ctwml_bids.segmentation.precision import has_bfloat16
from ctwml_bids.segmentation.uresnet import UResNet
from ctwml_bids.training.loop import train
from ctwml_bids.training.patches import PatchConfig
from ctwml_bids.training.recipe import TrainingConfig
from tests.segmentation.toy import toy_head

CARD = ModelCard(
    name="toy",
    modality="ct",
    version="1",
    network={"variant": "standard", "in_channels": 2, "classes": 2},
    channels=("zscore", "hu"),
    threshold=0.5,
    members=(),
    license="Apache-2.0",
)
HEAD = toy_head(9, shape=(43, 51, 4))
INPUT = HEAD.channels.astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    config = TrainingConfig(
        steps=30, batch=4, learning_rate=2e-3, patches=PatchConfig(size=32, shift=12)
    )
    heads = [toy_head(i) for i in range(3)]
    networks = [
        {k: v.numpy() for k, v in train(heads, replace(config, seed=s)).weights.items()}
        for s in range(2)
    ]
    folder = tmp_path_factory.mktemp("models") / "toy"
    write_model(folder, CARD, networks)
    return folder


@pytest.fixture(scope="module")
def toy(folder):
    return ensemble.load(folder)


def test_lesions_of_an_unseen_toy_head_are_found(toy):
    found = ensemble.predict(toy, INPUT).probability > 0.5
    wanted = HEAD.labels > 0
    assert 2 * (found & wanted).sum() / (found.sum() + wanted.sum()) > 0.8


def test_what_lies_outside_the_white_matter_is_left_out_and_kept_apart(toy):
    whole = ensemble.predict(toy, INPUT)
    left = np.arange(INPUT.shape[1])[:, None, None] < HEAD.labels.nonzero()[0].mean()
    white_matter = np.broadcast_to(left, HEAD.labels.shape).astype(np.float32)
    # Voxels so small that the toy's lesions are islands.
    card = replace(toy.card, island_share=0.9, grid_spacing_mm=(0.5, 0.5, 1.0))
    choosy = replace(toy, card=card)

    found = ensemble.predict(choosy, INPUT, white_matter=white_matter)

    outside = outside_white_matter(
        whole.probability, white_matter, share=0.9, threshold=toy.card.threshold, voxel_ml=0.00025
    )
    assert outside.any()
    np.testing.assert_array_equal(found.islands, np.where(outside, whole.probability, 0))
    np.testing.assert_array_equal(found.probability, np.where(outside, 0, whole.probability))
    np.testing.assert_array_equal(found.disagreement, np.where(outside, 0, whole.disagreement))
    assert not whole.islands.any()


def test_what_lies_in_fluid_is_left_out_before_islands_and_kept_apart(toy):
    whole = ensemble.predict(toy, INPUT)
    fluid = np.broadcast_to(
        np.arange(INPUT.shape[1])[:, None, None] < HEAD.labels.nonzero()[0].mean(),
        HEAD.labels.shape,
    )

    found = ensemble.predict(toy, INPUT, fluid=fluid)

    assert (whole.probability[fluid] > 0.5).any()
    np.testing.assert_array_equal(found.fluid, np.where(fluid, whole.probability, 0))
    np.testing.assert_array_equal(found.probability, np.where(fluid, 0, whole.probability))
    np.testing.assert_array_equal(found.disagreement, np.where(fluid, 0, whole.disagreement))
    assert not whole.fluid.any()

    # Half of the lesion is fluid, and the rest alone is judged as an island.
    card = replace(toy.card, island_share=0.9, grid_spacing_mm=(0.5, 0.5, 1.0))
    both = ensemble.predict(
        replace(toy, card=card), INPUT, fluid=fluid, white_matter=fluid.astype(np.float32)
    )
    assert not (both.islands[fluid]).any()
    assert (both.islands > 0.5).any()
    np.testing.assert_allclose(
        both.probability + both.islands + both.fluid, whole.probability, atol=1e-6
    )


def test_a_model_that_needs_the_white_matter_is_not_run_without(toy):
    choosy = replace(toy, card=replace(toy.card, island_share=0.9))
    with pytest.raises(ValueError, match="white matter"):
        ensemble.predict(choosy, INPUT)


def test_mean_and_spread_are_those_of_the_members(toy):
    alone = [
        ensemble.predict(ensemble.Ensemble(toy.card, (member,)), INPUT) for member in toy.members
    ]
    both = ensemble.predict(toy, INPUT)
    stack = np.stack([p.probability for p in alone])
    np.testing.assert_allclose(both.probability, stack.mean(0), atol=1e-6)
    np.testing.assert_allclose(both.disagreement, stack.std(0), atol=1e-6)
    assert both.disagreement.max() > 0
    assert (alone[0].disagreement == 0).all()


@pytest.mark.parametrize("modality", ["ct", "flair"])
def test_every_network_of_a_shipped_model_takes_part(modality):
    model = ensemble.load(default(modality))
    assert len(model.members) == len(model.card.members) >= 2
    alike = np.random.default_rng(1).normal(size=(24, 24, 2)).astype(np.float32)
    channels = np.stack([alike] * len(model.card.channels))
    somewhere = np.ones(alike.shape, np.float32)
    alone = [
        ensemble.predict(
            ensemble.Ensemble(model.card, (member,)), channels, white_matter=somewhere
        ).probability
        for member in model.members
    ]
    together = ensemble.predict(model, channels, white_matter=somewhere)
    np.testing.assert_allclose(together.probability, np.mean(alone, axis=0), atol=1e-6)
    assert len({array.tobytes() for array in alone}) == len(alone)


def test_slices_are_seen_with_eight_voxels_of_background_around_their_brain(folder, toy):
    # An unfolded float32 network on the head, padded by hand, is the independent reference.
    network = UResNet(2, 2).eval()
    weights = ensemble.model_store.load_weights(folder / toy.card.members[0].file)
    network.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()}, strict=False)
    inside = (INPUT > -3).any(0)
    low = [int(i.min()) for i in np.nonzero(inside)]
    high = [int(i.max()) + 1 for i in np.nonzero(inside)]
    part = INPUT[:, low[0] : high[0], low[1] : high[1]]
    sx, sy = part.shape[1:3]
    padded = np.full((4, 2, sx + 16 + -sx % 8, sy + 16 + -sy % 8), -3, np.float32)
    padded[:, :, 8 : 8 + sx, 8 : 8 + sy] = part.transpose(3, 0, 1, 2)
    with torch.no_grad():
        wanted = network(torch.from_numpy(padded)).softmax(1)[:, 1]
    wanted = wanted[:, 8 : 8 + sx, 8 : 8 + sy].numpy()
    single = ensemble.Ensemble(toy.card, toy.members[:1])
    found = ensemble.predict(single, INPUT, precision="float32").probability
    found = found[low[0] : high[0], low[1] : high[1]].transpose(2, 0, 1)
    seen = inside[low[0] : high[0], low[1] : high[1]].transpose(2, 0, 1)
    np.testing.assert_allclose(found[seen], wanted[seen], atol=1e-4)


@pytest.mark.parametrize(
    ("variant", "loss", "context"),
    [("standard", "cross-entropy", 1), ("plain-unet", "dice+cross-entropy", 1)],
)
def test_network_with_neighbouring_slices_is_trained_stored_and_used_alike(
    tmp_path, variant, loss, context
):
    patches = PatchConfig(size=32, shift=12, context=context)
    config = TrainingConfig(
        steps=40, batch=4, learning_rate=2e-3, variant=variant, loss=loss, patches=patches
    )
    weights = train([toy_head(i) for i in range(3)], config).weights
    images = 2 * (2 * context + 1)
    card = replace(
        CARD, network={"variant": variant, "in_channels": images, "classes": 2}, context=context
    )
    write_model(tmp_path / "toy", card, [{k: v.numpy() for k, v in weights.items()}])
    found = ensemble.predict(ensemble.load(tmp_path / "toy"), INPUT).probability > 0.5
    wanted = HEAD.labels > 0
    assert 2 * (found & wanted).sum() / (found.sum() + wanted.sum()) > 0.8


def test_outside_the_brain_there_is_no_lesion(toy):
    prediction = ensemble.predict(toy, INPUT)
    outside = (INPUT == -3).all(0)
    assert (prediction.probability[outside] == 0).all()
    assert (prediction.disagreement[outside] == 0).all()


def test_background_around_the_brain_does_not_matter(toy):
    wider = np.pad(INPUT, ((0, 0), (5, 9), (3, 2), (1, 2)), constant_values=-3)
    found = ensemble.predict(toy, wider).probability[5:-9, 3:-2, 1:-2]
    np.testing.assert_array_equal(found, ensemble.predict(toy, INPUT).probability)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_same_input_gives_the_same_result(toy, precision):
    first = ensemble.predict(toy, INPUT, precision=precision)
    ensemble.predict(toy, INPUT, precision="bfloat16")
    again = ensemble.predict(toy, INPUT, precision=precision)
    np.testing.assert_array_equal(first.probability, again.probability)
    np.testing.assert_array_equal(first.disagreement, again.disagreement)
    assert first.precision == precision


def test_the_precision_that_auto_came_to_is_told(toy):
    said = ensemble.predict(toy, INPUT).precision
    assert said == ("bfloat16" if has_bfloat16() else "float32")
    chosen, auto = (ensemble.predict(toy, INPUT, precision=p) for p in (said, "auto"))
    np.testing.assert_array_equal(chosen.probability, auto.probability)


def test_bfloat16_gives_nearly_the_same_mask(toy):
    masks = [
        ensemble.predict(toy, INPUT, precision=p).probability > 0.5 for p in ("float32", "bfloat16")
    ]
    assert 2 * (masks[0] & masks[1]).sum() / (masks[0].sum() + masks[1].sum()) >= 0.98


@pytest.mark.parametrize("flip", [False, True])
def test_every_four_slices_are_seen_under_the_outline_of_their_own_brain(tmp_path, flip):
    # Ten slices, of which the last two are fewer than four.
    rng = np.random.default_rng(3)
    head = np.full((2, 70, 60, 10), -3, np.float32)
    head[:, 4:66, 6:50, :4] = rng.normal(size=(2, 62, 44, 4)).clip(-2.9, 3)
    head[:, 30:50, 20:44, 7:] = rng.normal(size=(2, 20, 24, 3)).clip(-2.9, 3)
    network = UResNet(6, 2).eval()
    weights = {k: v.numpy() for k, v in network.state_dict().items()}
    card = replace(
        CARD, network={"variant": "standard", "in_channels": 6, "classes": 2}, context=1, flip=flip
    )
    write_model(tmp_path / "three", card, [weights])
    stored = ensemble.model_store.load_weights(tmp_path / "three" / "member-00.safetensors")
    network.load_state_dict({k: torch.from_numpy(v) for k, v in stored.items()}, strict=False)
    model = ensemble.load(tmp_path / "three")
    found = ensemble.predict(model, head, precision="float32").probability

    def seen(box: tuple[slice, slice], z: int) -> np.ndarray:
        """What the network says of one slice, with eight voxels around a box."""
        around = np.pad(head, ((0, 0), (8, 8), (8, 8), (1, 1)), constant_values=-3)
        part = around[:, box[0].start : box[0].stop + 16, box[1].start : box[1].stop + 16]
        images = np.concatenate([part[..., z + step] for step in range(3)])
        high = [-extent % 8 for extent in images.shape[1:]]
        images = np.pad(images, ((0, 0), (0, high[0]), (0, high[1])), constant_values=-3)
        x = torch.from_numpy(images[None])
        with torch.no_grad():
            said = network(x).softmax(1)[0, 1]
            if flip:
                said = (said + network(x.flip(2)).softmax(1)[0, 1].flip(0)) / 2
        return said[8:, 8:][: box[0].stop - box[0].start, : box[1].stop - box[1].start].numpy()

    wide, narrow = (slice(4, 66), slice(6, 50)), (slice(30, 50), slice(20, 44))
    for box, slices in ((wide, range(4)), (narrow, range(7, 10))):
        for z in slices:
            np.testing.assert_allclose(found[(*box, z)], seen(box, z), atol=1e-4)
    assert (found[..., 4:7] == 0).all()


def test_with_flip_a_mirrored_head_gives_the_mirrored_result(folder, toy):
    # An even number of columns across the brain: pooling then sees the mirror image aligned.
    card = ModelCard(**{**vars(toy.card), "flip": True})
    flipping = ensemble.Ensemble(card, toy.members)
    head = np.full((2, 64, 56, 2), -3, np.float32)
    head[:, 8:56, 8:48] = np.random.default_rng(0).normal(size=(2, 48, 40, 2)).clip(-2.9, 3)
    there = ensemble.predict(flipping, head, precision="float32").probability
    back = ensemble.predict(flipping, head[:, ::-1].copy(), precision="float32").probability
    np.testing.assert_allclose(back[::-1], there, atol=1e-5)


def test_number_of_threads_of_the_process_is_restored(toy):
    before = torch.get_num_threads()
    ensemble.predict(toy, INPUT, threads=before + 1)
    assert torch.get_num_threads() == before


def test_wrong_channels_and_empty_input_are_refused(toy):
    with pytest.raises(BadDataError, match="zscore, hu"):
        ensemble.predict(toy, INPUT[:1])
    with pytest.raises(BadDataError, match="no brain"):
        ensemble.predict(toy, np.full_like(INPUT, -3))


def test_weights_that_do_not_fit_the_card_are_refused(tmp_path):
    weights = {k: v.numpy() for k, v in UResNet(2, 2, "wide").state_dict().items()}
    write_model(tmp_path, CARD, [weights])
    with pytest.raises(BadDataError, match="does not fit"):
        ensemble.load(tmp_path)


def alone(model, channels):
    """What each of the networks says of whole slices, (members, classes, x, y, z)."""
    x = np.pad(channels, ((0, 0), (8, 8), (8, 8), (0, 0)), constant_values=-3)
    high = [-extent % 8 for extent in x.shape[1:3]]
    x = np.pad(x, ((0, 0), (0, high[0]), (0, high[1]), (0, 0)), constant_values=-3)
    slices = torch.from_numpy(np.ascontiguousarray(x.transpose(3, 0, 1, 2)))
    slices = slices.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), ensemble.cpu_threads(1):
        said = [m.to(memory_format=torch.channels_last)(slices).softmax(1) for m in model.members]
    rows, columns = channels.shape[1:3]
    return np.stack([s.numpy()[:, :, 8 : 8 + rows, 8 : 8 + columns] for s in said]).transpose(
        0, 2, 3, 4, 1
    )


def filled(shape=(40, 48, 4)):
    return np.random.default_rng(1).normal(size=(2, *shape)).clip(-2.9, 3).astype(np.float32)


def test_two_classes_give_to_the_bit_what_the_networks_lesion_output_says(toy):
    head = filled()
    said = alone(toy, head)[:, 1]
    found = ensemble.predict(toy, head, precision="float32")
    np.testing.assert_array_equal(found.probability, said.mean(axis=0))
    np.testing.assert_array_equal(found.disagreement, said.std(axis=0))
    assert found.infarct is None
