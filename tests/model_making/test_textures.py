"""Copies of simulated FLAIR heads with the fine structure of real ones."""

import json

import numpy as np
import pytest

from ctwml_bids.errors import BadDataError, UsageError
from model_making import shipped_heads, textures, train_shipped

SPACING = (1.5, 1.5, 3.0)
SHAPE = (100, 100, 50)


def ball(radius_mm, centre=(50, 50, 25)):
    """Voxels within a radius of a centre (voxels)."""
    axes = np.ogrid[tuple(slice(n) for n in SHAPE)]
    parts = zip(axes, centre, SPACING, strict=True)
    return sum(((axis - c) * step) ** 2 for axis, c, step in parts) < radius_mm**2


def depth_mm():
    """Depth under the surface of a ball of 70 mm, exact."""
    axes = np.ogrid[tuple(slice(n) for n in SHAPE)]
    parts = zip(axes, (50, 50, 25), SPACING, strict=True)
    return 70 - np.sqrt(sum(((axis - c) * step) ** 2 for axis, c, step in parts))


def head(pattern):
    return np.where(ball(70), pattern, -3.0).astype(np.float32)


NO_LESION = np.zeros(SHAPE, bool)


def test_fine_stripes_of_the_outer_brain_are_kept_and_none_from_its_depth():
    stripes = np.broadcast_to(np.where(np.arange(100)[:, None, None] % 2, 0.5, -0.5), SHAPE)
    fine = textures.fine_structure(head(stripes + 0.3), NO_LESION, SPACING)
    depth = depth_mm()
    outer, deep = (depth > 9) & (depth < 18), depth > 31
    assert np.abs(fine[outer] - stripes[outer]).max() < 0.05
    assert np.abs(fine[deep]).max() == 0
    assert np.abs(fine[~ball(70)]).max() == 0


def test_shading_is_not_fine():
    slope = np.broadcast_to(np.linspace(-1, 1, 100)[:, None, None], SHAPE)
    fine = textures.fine_structure(head(slope), NO_LESION, SPACING)
    depth = depth_mm()
    assert np.abs(fine[(depth > 9) & (depth < 18)]).max() < 0.05


def test_a_real_lesion_leaves_neither_itself_nor_a_dark_halo():
    lesion = ball(5, (15, 50, 25))
    image = head(np.where(lesion, 2.0, 0.0))
    assert np.abs(textures.fine_structure(image, lesion, SPACING)).max() < 0.01
    unmasked = textures.fine_structure(image, NO_LESION, SPACING)
    assert unmasked.max() > 0.5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One simulated head and one real one, on the shipped grid."""
    folder = tmp_path_factory.mktemp("heads")
    shape = shipped_heads.shipped_grid().shape
    rng = np.random.default_rng(0)
    channels = np.full((1, *shape), -3, np.float16)
    channels[:, 30:-30, 30:-30, 5:-5] = 0.2
    labels = np.zeros(shape, np.uint8)
    labels[60:66, 60:66, 20:24] = 1
    facts = {"seed": 4, "anatomy": "template", "grid_voxel_ml": 0.003}
    shipped_heads.save_head(folder, "head-000004_pose-0_flair", channels, labels, facts)
    folds = channels + np.where(channels > -3, rng.normal(0, 0.3, channels.shape), 0)
    shipped_heads.save_head(
        folder, "real-lj07_pose-0_flair", folds, labels * 0, {"subject": "sub-lj07"}
    )
    train_shipped.main(["textures", str(folder)])
    return folder


def test_a_copy_keeps_background_and_labels_of_its_head_and_names_the_real_subject(folder):
    heads = {volume.name: (volume, facts) for volume, facts in loaded(folder)}
    plain, _ = heads["head-000004_pose-0_flair"]
    copy, facts = heads["head-000004_texture-0_flair"]
    np.testing.assert_array_equal(copy.labels, plain.labels)
    np.testing.assert_array_equal(copy.channels > -3, plain.channels > -3)
    assert facts["texture"] == "sub-lj07"
    inside = plain.channels > -3
    spread = np.asarray(copy.channels, np.float32)[inside].std()
    assert 0.3 * 0.4 * 0.5 < spread < 0.3 * 1.1


def test_copies_are_made_once_and_not_of_copies(folder):
    written = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    train_shipped.main(["textures", str(folder)])
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == written


def test_a_subject_left_out_lends_no_structure_either(folder):
    heads = loaded(folder)
    chosen = train_shipped.choose_heads(heads, 0, with_copies=True)
    assert any("texture" in facts for _, facts in chosen)
    chosen = train_shipped.choose_heads(heads, 0, ["sub-lj07"], with_copies=True)
    assert [volume.name for volume, _ in chosen] == ["head-000004_pose-0_flair"]


def test_copies_take_part_only_where_asked_for(folder):
    chosen = train_shipped.choose_heads(loaded(folder), 0)
    assert chosen
    assert not any("texture" in facts for _, facts in chosen)


def test_a_training_with_varied_contrasts_sees_other_patches_and_is_for_flair_alone(
    folder, tmp_path
):
    train = f"train {folder} {{}} --modality flair --steps 1 --batch 4 --copies"
    for name, augment in (("plain", "intensities"), ("varied", "contrasts")):
        words = [*train.format(tmp_path / name).split(), "--augment", augment]
        train_shipped.main(words)
    losses = [
        (tmp_path / name / "log.tsv").read_text().splitlines()[-1].split("\t")[1]
        for name in ("plain", "varied")
    ]
    assert losses[0] != losses[1]
    facts = json.loads((tmp_path / "varied/facts.json").read_text())
    assert facts["augment"] == "contrasts"
    assert facts["real_subjects"] == ["sub-lj07"]
    with pytest.raises(UsageError, match="for FLAIR"):
        train_shipped.main([*train.replace("flair", "ct").format("x").split(), *words[-2:]])


def test_without_a_real_head_it_is_said_how_to_make_one(folder, tmp_path):
    volume, facts = loaded(folder)[0]
    shipped_heads.save_head(tmp_path, volume.name, volume.channels, volume.labels, facts)
    with pytest.raises(BadDataError, match="`real`"):
        textures.make_textured_heads(tmp_path)


def loaded(folder):
    return shipped_heads.load_heads(folder, "flair")
