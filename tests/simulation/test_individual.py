from __future__ import annotations

import numpy as np
import pytest

from ctwml_bids.cli.simulate import main
from ctwml_bids.errors import BadDataError, NoInputError
from ctwml_bids.simulation import canonical, individual
from ctwml_bids.simulation.anatomy import make_head


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One anatomy: the template's ventricles and mask, with folds that no average shows."""
    out = tmp_path_factory.mktemp("anatomies")
    base = canonical.canonical_head()
    mask, ventricles = base.brain > 0.5, base.ventricle_distance < 0
    x, y, z = canonical.coordinates()
    folds = (np.sin(x / 4) * np.sin(y / 5) * np.sin(z / 5) > 0.55) & (base.skull_distance > -15)
    fluid = (folds | (1 - base.grey - base.white > 0.6) | ventricles) & mask
    white = (mask & ~fluid & (base.white > 0.5)).astype(np.float32)
    grey = (mask & ~fluid & (base.white <= 0.5)).astype(np.float32)
    individual.write_anatomy(out / "sub-x.npz", grey, white, mask, ventricles)
    return out


@pytest.fixture(scope="module")
def anatomy(folder):
    return individual.draw_anatomy(
        np.random.default_rng(0), individual.anatomy_files(folder), share=1.0
    )


def test_a_file_gives_back_its_fields(folder, anatomy):
    base = canonical.canonical_head()
    assert anatomy.name in ("sub-x", "sub-x-mirrored")
    step = -1 if "mirrored" in anatomy.name else 1
    got, expected = anatomy.head.ventricle_distance < 0, base.ventricle_distance[::step] < 0
    assert 2 * (got & expected).sum() / (got.sum() + expected.sum()) > 0.85
    assert ((anatomy.head.brain > 0.5) == (base.brain[::step] > 0.5)).mean() > 0.99
    assert set(np.unique(anatomy.head.grey)) > {0.0, 1.0}


def test_template_and_individuals_are_both_drawn(folder):
    files = individual.anatomy_files(folder)
    rng = np.random.default_rng(1)
    names = [
        None if one is None else one.name
        for one in (individual.draw_anatomy(rng, files) for _ in range(12))
    ]
    assert {None, "sub-x", "sub-x-mirrored"} == set(names)
    assert individual.draw_anatomy(rng, ()) is None


@pytest.mark.parametrize("age", [25.0, 85.0])
def test_an_individual_ages_to_the_wanted_fluid(anatomy, age, monkeypatch):
    share = 0.11 if age < 50 else 0.25
    monkeypatch.setattr("ctwml_bids.simulation.anatomy.draw_csf_share", lambda rng, age: share)
    monkeypatch.setattr(
        "ctwml_bids.simulation.anatomy.draw_ventricles_ml", lambda rng, age: 12 + age / 2
    )
    head = make_head(np.random.default_rng(4), age, "F", anatomy)
    got = (head.csf * head.brain).sum() / head.brain.sum()
    assert abs(got - share) < 0.03
    assert abs(head.ventricles.sum() * head.voxel_ml / (12 + age / 2) - 1) < 0.15
    total = (head.grey + head.white + head.csf)[head.brain > 0.99]
    assert np.abs(total - 1).max() < 1e-3


def test_wrong_files_and_empty_folders_are_refused(tmp_path):
    with pytest.raises(NoInputError, match="no anatomies"):
        individual.anatomy_files(tmp_path)
    np.savez(tmp_path / "other.npz", grey=np.zeros(3))
    with pytest.raises(BadDataError, match="not an anatomy"):
        individual.draw_anatomy(np.random.default_rng(0), [tmp_path / "other.npz"], 1.0)
    (tmp_path / "cut.npz").write_bytes(b"PK cut short")
    with pytest.raises(BadDataError, match="not an anatomy"):
        individual.draw_anatomy(np.random.default_rng(0), [tmp_path / "cut.npz"], 1.0)


def test_the_command_says_that_a_folder_holds_no_anatomies(tmp_path, capsys):
    out = tmp_path / "bids"
    arguments = [str(out), "--participants", "1", "--anatomies", str(tmp_path)]
    assert main(arguments) == NoInputError.exit_code
    assert "no anatomies" in capsys.readouterr().err
    assert not out.exists()
