"""The settings of a training: what is written of them, and what each network has of its own."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

from ctwml_bids.segmentation import model_store
from ctwml_bids.training.patches import PatchConfig
from ctwml_bids.training.recipe import Beginning, TrainingConfig, TrainingUnit
from tests.training.test_cross_validation import RECIPE

# As plans, cards and checkpoints of former versions have them.
PROTOCOL = """{"version": "1", "modality": "ct", "labels": "flair", "folds": 2, "repeats": 1, \
"members": 1, "seed": 1, "template": "toy", "steps": 2, "batch": 2, "learning_rate": 0.001, \
"precision": "float32", "variant": "standard", "channels": ["zscore", "hu"], "context": 0, \
"flip": false, "loss": "cross-entropy", "init": ""}"""
CHECKPOINT = """{"batch": 32, "classes": 2, "learning_rate": 0.0005, "loss": "cross-entropy", \
"mean_weight": 0.995, "patches": {"context": 1, "flip": 0.5, "lesion_share": 0.5, "shift": 32, \
"size": 64}, "precision": "auto", "seed": 3, "steps": 3000, "variant": "standard"}"""


def test_what_is_written_of_a_training_stays_as_it_was():
    assert json.dumps(RECIPE.to_record()) == PROTOCOL
    config = TrainingConfig(seed=3, patches=PatchConfig(context=1), device="cuda", threads=9)
    assert json.dumps(config.to_record(), sort_keys=True) == CHECKPOINT
    begun = replace(config, init="abc").to_record()
    assert begun == config.to_record() | {"init": "abc"}
    # The order in which facts of networks and cards have them.
    assert list(asdict(config))[:7] == [
        *("steps", "batch", "learning_rate", "mean_weight", "variant", "classes", "loss")
    ]


def test_what_the_networks_begin_from_is_noted_by_its_checksum():
    folder = model_store.default("ct")
    card = model_store.load_card(folder)
    recipe = replace(RECIPE, beginning=Beginning(folder, card))
    assert recipe.to_record() == RECIPE.to_record() | {"init": card.checksum}


def test_the_threshold_the_device_and_the_processes_decide_no_network():
    other = replace(
        RECIPE,
        threshold=0.9,
        workers=7,
        network=replace(RECIPE.network, device="cuda", threads=9, checkpoint_every=1),
    )
    assert other.to_record() == RECIPE.to_record()
    assert other.network.to_record() == RECIPE.network.to_record()


def test_every_network_has_a_name_a_part_and_a_seed_of_its_own():
    recipe = replace(RECIPE, folds=10, repeats=10, members=10)
    units = recipe.units
    assert units == [*recipe.cross_validation, *recipe.final]
    for of in (lambda u: u.name, lambda u: u.part, recipe.seed_of):
        assert len(set(map(of, units))) == len(units) == 110
    first, last = TrainingUnit(1, 1), TrainingUnit(0, 10)
    assert (first.name, first.part, recipe.seed_of(first)) == (
        *("repeat-01_fold-01", "1:1", 1_001_001),
    )
    assert (last.name, last.part, recipe.seed_of(last)) == ("member-10", "final:10", 1_000_010)


def test_the_card_is_that_of_the_recipe():
    network = replace(RECIPE.network, patches=PatchConfig(context=2), variant="plain-unet")
    card = replace(RECIPE, network=network, threshold=0.3).card(name="mine", version="4")
    assert card.network == {"variant": "plain-unet", "in_channels": 10, "classes": 2}
    assert (card.name, card.version, card.threshold, card.context) == ("mine", "4", 0.3, 2)
    assert (card.channels, card.flip, card.modality) == (("zscore", "hu"), False, "ct")


def test_what_decides_a_training_of_three_classes_is_written_besides():
    two, three = TrainingConfig(), TrainingConfig(classes=3)
    assert "infarct_share" not in two.to_dict()["patches"]
    assert three.to_record()["classes"] == 3
    shares = replace(three, patches=PatchConfig(infarct_share=0.1))
    assert shares.to_record() != three.to_record()
    recipe = replace(RECIPE, network=three, infarct_threshold=0.4)
    assert recipe.to_record()["classes"] == 3
    assert recipe.card().classes == ("background", "WML", "infarct")
    assert recipe.card().infarct_threshold == 0.4
