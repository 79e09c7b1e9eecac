from __future__ import annotations

import pytest

from ctwml_bids.cli.simulate import main


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["out"],
        ["out", "--participants", "0"],
        ["out", "--participants", "2", "--size", "huge"],
        ["out", "--participants", "2", "--seed", "-1"],
        ["out", "--participants", "2", "--ventricles-ml", "130"],
        ["out", "--participants", "2", "--ventricles-ml", "250", "130"],
        ["out", "--participants", "2", "--ventricles-ml", "20", "130"],
        ["out", "--participants", "2", "--ventricles-ml", "130", "900"],
        ["out", "--participants", "2", "--ventricles-ml", "wide", "wider"],
        ["out", "--participants", "2", "--ventricles-ml", "nan", "nan"],
    ],
)
def test_wrong_usage_is_64_and_says_where_help_is(arguments, capsys):
    assert main(arguments) == 64
    assert "--help" in capsys.readouterr().err


def test_an_existing_data_set_is_73(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main([str(tmp_path), "--participants", "1"]) == 73
    assert str(tmp_path) in capsys.readouterr().err


def test_a_place_where_no_folder_can_be_made_is_73(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main([str(tmp_path / "file" / "out"), "--participants", "1"]) == 73
    assert "cannot create" in capsys.readouterr().err


def test_wide_ventricles_are_asked_of_every_head(tmp_path, monkeypatch):
    asked = {}
    monkeypatch.setattr(
        "ctwml_bids.simulation.cohort.write_cohort", lambda *_, **options: asked.update(options)
    )
    arguments = [str(tmp_path / "out"), "--participants", "2"]
    assert main([*arguments, "--ventricles-ml", "130", "250"]) == 0
    assert asked["ventricles_ml"] == (130.0, 250.0)
    assert main(arguments) == 0
    assert asked["ventricles_ml"] is None
