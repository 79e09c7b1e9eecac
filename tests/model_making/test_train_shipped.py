"""The command that makes the shipped models, on toy heads."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from ctwml_bids.errors import BadDataError, NoInputError
from ctwml_bids.segmentation import ensemble, model_store
from ctwml_bids.training.patches import TrainingVolume
from model_making import shipped_heads, train_shipped
from tests.segmentation.toy import toy_head


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heads")
    for seed in [*range(6), train_shipped.HELD_OUT_FROM]:
        head = toy_head(seed, lesions=seed % 3)
        name = f"head-{seed:06d}_pose-0_ct"
        shipped_heads.save_head(folder, name, head.channels, head.labels, {"grid_voxel_ml": 0.003})
    return folder


@pytest.fixture(scope="module")
def run(heads, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    arguments = f"train {heads} {folder} --modality ct --member 3 --steps 2 --batch 2"
    train_shipped.main(arguments.split())
    return folder


def test_held_out_heads_are_never_trained_on_and_members_differ(heads):
    loaded = shipped_heads.load_heads(heads, "ct")
    assert len(loaded) == 7
    choices = [
        {volume.name for volume, _ in train_shipped.choose_heads(loaded, member)}
        for member in range(5)
    ]
    assert all(len(choice) == 5 for choice in choices)
    assert all(f"head-{train_shipped.HELD_OUT_FROM}_pose-0_ct" not in choice for choice in choices)
    assert len({frozenset(choice) for choice in choices}) > 1


def test_real_heads_make_up_a_third_and_a_subject_left_out_is_seen_in_no_form(heads):
    loaded = [(volume, facts | {"anatomy": "template"}) for volume, facts in _some_heads(heads)]
    loaded[0][1]["anatomy"] = "sub-lj19-mirrored"
    for label in ("lj19", "mb104252"):
        head = toy_head(9, lesions=2)
        volume = TrainingVolume(head.channels, head.labels, f"real-{label}_pose-0_flair")
        loaded.append((volume, {"subject": f"sub-{label}"}))
    chosen = train_shipped.choose_heads(loaded * 4, 0)
    subjects = [facts.get("subject") for _, facts in chosen]
    assert {"sub-lj19", "sub-mb104252"} < set(subjects)
    for member in range(5):
        chosen = train_shipped.choose_heads(loaded, member, ["sub-lj19"])
        assert all(facts.get("subject") != "sub-lj19" for _, facts in chosen)
        assert all("lj19" not in facts.get("anatomy", "") for _, facts in chosen)
        share = np.mean(["subject" in facts for _, facts in chosen])
        assert share == pytest.approx(1 / 3, abs=0.1)


def _some_heads(folder):
    heads = shipped_heads.load_heads(folder, "ct")
    return [head for head in heads if "900000" not in head[0].name]


def test_exported_model_loads_and_its_card_says_what_it_was_trained_on(run, tmp_path):
    accuracy = tmp_path / "accuracy.json"
    accuracy.write_text(json.dumps({"simulated": {"dice": 0.5}}))
    train_shipped.main(
        f"export {run} {run} --to {tmp_path} --name ct-toy --modality ct "
        f"--accuracy {accuracy} --flip".split()
    )
    model = ensemble.load(tmp_path / "ct-toy")
    assert len(model.members) == 2
    assert model.card.threshold == 0.25
    assert model.card.flip
    assert model.card.accuracy == {"simulated": {"dice": 0.5}}
    assert model.card.training["members"][0]["heads"] == 5
    assert model.card.training["members"][0]["steps_done"] == 2
    assert set(model.card.never_trained_on) >= {"sub-ge01", "sub-dv01", "sub-sr01"}
    channels = toy_head(1).channels.astype(np.float32)
    assert ensemble.predict(model, channels).probability.max() > 0


def test_the_card_names_whose_brains_were_seen_and_another_threshold(run, tmp_path):
    changed = tmp_path / "run"
    shutil.copytree(run, changed)
    facts = json.loads((changed / "facts.json").read_text())
    assert facts["torch"] == torch.__version__
    facts |= {"anatomies": ["sub-lj07", "template"], "real_subjects": ["sub-mb104252"]}
    facts |= {"torch": "2.0.0+cu118"}  # trained on another machine than exported on
    (changed / "facts.json").write_text(json.dumps(facts))
    train_shipped.main(
        f"export {changed} --to {tmp_path} --name ct-toy --modality ct --threshold 0.4".split()
    )
    card = ensemble.load(tmp_path / "ct-toy").card
    assert card.threshold == 0.4
    assert card.training["torch"] == "2.0.0+cu118"
    assert card.license == "CC-BY-4.0"
    assert [source[:6] for source in card.training["sources"]] == ["Lesjak", "Sim-Ve"]


def test_training_goes_on_where_it_stopped(heads, run):
    before = (run / "log.tsv").read_text()
    train_shipped.main(f"train {heads} {run} --modality ct --member 3 --steps 2 --batch 2".split())
    assert (run / "log.tsv").read_text() == before


def test_a_training_begins_from_a_models_network_and_its_card_names_what_both_saw(
    heads, run, tmp_path
):
    old = tmp_path / "old"
    shutil.copytree(run, old)
    facts = json.loads((old / "facts.json").read_text())
    facts |= {"anatomies": ["sub-lj07", "template"], "real_subjects": ["sub-mb104252"]}
    (old / "facts.json").write_text(json.dumps(facts))
    train_shipped.main(f"export {old} --to {tmp_path} --name ct-old --modality ct".split())
    arguments = f"train {heads} {tmp_path / 'new'} --modality ct --member 0 --steps 1 --batch 2"
    begin = ["--begin-from", str(tmp_path / "ct-old")]
    train_shipped.main([*arguments.split(), *begin])
    train_shipped.main(
        f"export {tmp_path / 'new'} --to {tmp_path} --name ct-new --modality ct".split()
    )
    before, after = (ensemble.load(tmp_path / name) for name in ("ct-old", "ct-new"))
    first, second = (model.members[0].head.weight for model in (before, after))
    # One step of Adam moves no weight by more than its rate, or a float16's rounding.
    assert 0 < (first - second).abs().max() < 2e-3
    [member] = after.card.training["members"]
    assert "sub-lj07" in member["anatomies"]
    assert member["real_subjects"] == ["sub-mb104252"]
    assert after.card.license == "CC-BY-4.0"
    assert member["began_from"]["model"] == "ct-old"
    assert member["began_from"]["steps_done"] == 2
    with pytest.raises(BadDataError, match=r"differs in .*began_from.*init"):
        train_shipped.main(arguments.split())


def test_a_mean_lies_half_way_between_a_training_and_the_network_that_it_began_from(
    heads, run, tmp_path
):
    train_shipped.main(
        f"train {heads} {tmp_path / 'other'} --modality ct --member 1 --steps 1 --batch 2".split()
    )
    train_shipped.main(
        f"export {run} {tmp_path / 'other'} --to {tmp_path} --name ct-old --modality ct".split()
    )
    # Number 3 begins from the second of two networks.
    train_shipped.main(
        f"train {heads} {tmp_path / 'new'} --modality ct --member 3 --steps 1 --batch 2 "
        f"--begin-from {tmp_path / 'ct-old'}".split()
    )
    export = f"export {tmp_path / 'new'} --to {tmp_path} --modality ct --name"
    train_shipped.main(f"{export} ct-new".split())
    train_shipped.main(f"{export} ct-half --mean-with {tmp_path / 'ct-old'}".split())
    old, half, new = (
        model_store.load_weights(tmp_path / name)
        for name in (
            "ct-old/member-01.safetensors",
            "ct-half/member-00.safetensors",
            "ct-new/member-00.safetensors",
        )
    )
    assert set(half) == set(old) == set(new)
    for name, middle in half.items():
        # After the training weights are kept in more digits than in a model's files.
        assert np.allclose(middle, (old[name] + new[name]) / 2, rtol=2e-3, atol=1e-6)
    assert not np.allclose(half["head.weight"], old["head.weight"], rtol=2e-3, atol=1e-6)
    card = ensemble.load(tmp_path / "ct-half").card
    assert card.training["members"][0]["mean_with"] == "ct-old"
    with pytest.raises(BadDataError, match="did not begin from a network of"):
        train_shipped.main(f"{export} ct-no --mean-with {tmp_path / 'ct-new'}".split())
    with pytest.raises(NoInputError):
        train_shipped.main(f"{export} ct-no --mean-with {tmp_path / 'nowhere'}".split())


@pytest.fixture(scope="module")
def with_infarcts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("infarcts")
    for seed in range(3):
        head = toy_head(seed, infarcts=seed)
        name = f"head-{seed:06d}_pose-0_ct"
        shipped_heads.save_head(folder, name, head.channels, head.labels, {"grid_voxel_ml": 0.003})
    return folder


def test_three_classes_begin_from_a_model_of_two_and_the_card_says_which_is_fresh(
    with_infarcts, run, tmp_path
):
    export = f"--to {tmp_path} --modality ct --name"
    train_shipped.main(f"export {run} {export} ct-two".split())
    train_shipped.main(
        f"train {with_infarcts} {tmp_path / 'three'} --modality ct --steps 1 --batch 2 "
        f"--classes 3 --begin-from {tmp_path / 'ct-two'}".split()
    )
    train_shipped.main(
        f"export {tmp_path / 'three'} {export} ct-three --threshold 0.4 "
        "--infarct-threshold 0.6 --infarct-least-ml 0.5".split()
    )
    two, three = (ensemble.load(tmp_path / name) for name in ("ct-two", "ct-three"))
    assert two.card.classes == ("background", "WML")
    assert three.card.classes == ("background", "WML", "infarct")
    assert (three.card.threshold, three.card.infarct_threshold) == (0.4, 0.6)
    assert (two.card.infarct_least_ml, three.card.infarct_least_ml) == (None, 0.5)
    [member] = three.card.training["members"]
    assert member["began_from"]["fresh_classes"] == ["infarct"]
    assert "fresh_classes" not in two.card.training["members"][0].get("began_from", {})
    assert member["volumes_with_infarct"] == len({1, 2} & _seeds(with_infarcts))
    assert member["config"]["patches"]["infarct_share"] > 0
    # One step of Adam moves no weight by more than its rate, or a float16's rounding.
    before, after = two.members[0].head.weight, three.members[0].head.weight
    assert (after[:2] - before).abs().max() < 2e-3
    train_shipped.main(
        f"export {tmp_path / 'three'} {export} ct-mean --mean-with {tmp_path / 'ct-two'}".split()
    )
    mean = ensemble.load(tmp_path / "ct-mean")
    assert mean.card.infarct_threshold == 0.25
    assert mean.members[0].head.weight.shape[0] == 3
    with pytest.raises(BadDataError, match="same classes"):
        train_shipped.main(f"export {tmp_path / 'three'} {run} {export} ct-both".split())
    with pytest.raises(BadDataError, match="know no infarcts"):
        train_shipped.main(f"export {run} {export} ct-x --infarct-threshold 0.5".split())


def _seeds(folder) -> set[int]:
    """Seeds of the heads that member 0 is trained on."""
    chosen = train_shipped.choose_heads(shipped_heads.load_heads(folder, "ct"), 0)
    return {int(volume.name[5:11]) for volume, _ in chosen}


@pytest.fixture
def shown(heads, tmp_path):
    """The toy heads, two of which have the anatomies of sub-lj07 and sub-lj19."""
    folder = tmp_path / "heads"
    shutil.copytree(heads, folder)
    for seed, name in ((0, "sub-lj07"), (1, "sub-lj19")):
        path = folder / f"head-{seed:06d}_pose-0_ct_facts.json"
        path.write_text(json.dumps({"grid_voxel_ml": 0.003, "anatomy": name}))
    return folder


def test_who_is_left_out_was_not_seen_by_the_first_network_either(heads, shown, run, tmp_path):
    old = tmp_path / "old"
    shutil.copytree(run, old)
    facts = json.loads((old / "facts.json").read_text())
    (old / "facts.json").write_text(json.dumps(facts | {"anatomies": ["sub-lj07", "template"]}))
    train_shipped.main(f"export {old} --to {tmp_path} --name ct-old --modality ct".split())
    arguments = f"train {shown} {tmp_path / 'new'} --modality ct --member 0 --steps 1 --batch 2"
    begin = [*arguments.split(), "--begin-from", str(tmp_path / "ct-old"), "--leave-out"]
    with pytest.raises(BadDataError, match="ct-old to begin from saw sub-lj07"):
        train_shipped.main([*begin, "sub-lj07"])
    with pytest.raises(BadDataError, match=r"No head in .* is of lj19"):
        train_shipped.main([*begin, "lj19"])
    assert not (tmp_path / "new").exists()
    train_shipped.main([*begin, "sub-lj19"])
    facts = json.loads((tmp_path / "new/facts.json").read_text())
    assert "sub-lj19" not in facts["anatomies"]
    assert facts["leave_out"] == ["sub-lj19"]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ("--leave-out sub-lj19", "leave_out"),
        ("--member 7", "seed"),
        ("--context 1", "patches"),
        ("--steps 3", "steps"),
    ],
)
def test_a_training_with_other_settings_is_refused_and_its_facts_stay(
    shown, tmp_path, changed, named
):
    arguments = f"train {shown} {tmp_path / 'run'} --modality ct --steps 1 --batch 2"
    train_shipped.main(arguments.split())
    facts = tmp_path / "run/facts.json"
    # Where and with what it was trained is no setting, and is not overwritten.
    before = json.loads(facts.read_text()) | {"torch": "2.0.0+cu118"}
    before["config"]["device"] = "cuda"
    facts.write_text(json.dumps(before))
    with pytest.raises(BadDataError, match=f"differs in .*{named}"):
        train_shipped.main(f"{arguments} {changed}".split())
    train_shipped.main(arguments.split())
    assert json.loads(facts.read_text()) == before


def test_networks_that_saw_who_models_are_tested_on_are_not_exported(run, tmp_path):
    changed = tmp_path / "run"
    shutil.copytree(run, changed)
    facts = json.loads((changed / "facts.json").read_text())
    (changed / "facts.json").write_text(json.dumps(facts | {"anatomies": ["sub-ll12"]}))
    with pytest.raises(BadDataError, match="sub-ll12"):
        train_shipped.main(f"export {changed} --to {tmp_path} --name x --modality ct".split())
    assert not (tmp_path / "x").exists()
