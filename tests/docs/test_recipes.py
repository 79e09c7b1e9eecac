"""The snippets of docs/recipes.md, run on the tables that the program writes."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ctwml_bids.bids.status import rebuild_table
from tests.docs.test_documentation import DOCS
from tests.group.cohorts import add_mask, add_people, add_status, add_unit, estimates, run

# CT volume in mL, brain in mL, age; volumes follow e^(0.03 age) and e^(0.002 brain) exactly.
BRAIN = np.array([1150.0, 1220.0, 1300.0, 1410.0, 1500.0, 1280.0])
AGE = np.array([61.0, 75.0, 66.0, 80.0, 58.0, 70.0])
VOLUME = np.exp(0.03 * AGE + 0.002 * (BRAIN - BRAIN.mean())) - 0.1
SCALES = (1.1, 1.05, 0.9)


def snippets() -> str:
    text = (DOCS / "recipes.md").read_text(encoding="utf-8")
    return "\n".join(re.findall(r"^```python\n(.*?)^```", text, flags=re.M | re.S))


def add_transform(out: Path, subject: str) -> None:
    mask = np.zeros((4, 4, 4), bool)
    matrix = np.diag([*SCALES, 1.0])
    add_mask(out, subject, mask, np.eye(4), image="ct", template_to_image=matrix)


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> SimpleNamespace:
    """What the snippets leave, run one after the other."""
    out = tmp_path_factory.mktemp("recipes")
    people = []
    for number, (brain, age, ml) in enumerate(zip(BRAIN, AGE, VOLUME, strict=True), start=1):
        subject = f"{number:02d}"
        cells = {"ct": {"brain_ml": brain}}
        quality = "warn" if number == 2 else "pass"
        add_unit(out, subject, float(ml), float(ml) + 1, qc=quality, cells=cells)
        add_transform(out, subject)
        sex = "FM"[number % 2]
        people.append({"participant_id": f"sub-{subject}", "age": age, "sex": sex, "site": "A"})
    add_people(out, people)
    add_status(out, "07", "failed", "no brain found")
    run(out)
    rebuild_table(out)
    code = snippets().replace("OUTPUT_DIR", str(out))
    names: dict = {"__name__": "recipes"}
    exec(compile(code, "docs/recipes.md", "exec"), names)
    return SimpleNamespace(**names)


def test_units_are_those_of_the_cohort(found):
    assert list(found.used["participant_id"]) == [f"sub-{n:02d}" for n in range(1, 7)]
    np.testing.assert_allclose(found.used["ct_wml_ml"], VOLUME, rtol=1e-3)


def test_volumes_without_the_group_level_are_the_same(found):
    np.testing.assert_allclose(found.volumes["ct"], found.used["ct_wml_ml"])
    np.testing.assert_allclose(found.volumes["flair"], found.used["flair_wml_ml"])


def test_the_unit_that_failed_and_the_gate_that_warned_are_found(found):
    unfinished = found.status[found.status["state"] != "done"]
    assert list(unfinished["unit"]) == ["sub-07"]
    assert list(unfinished["reason"]) == ["no brain found"]
    assert list(found.flagged["unit"]) == ["sub-02"]
    assert set(found.flagged["status"]) == {"warn"}


def test_a_table_of_ones_own_is_joined_by_subject(found):
    assert list(found.joined["site"]) == ["A"] * 6


def test_the_scale_of_a_head_is_the_product_of_its_three(found):
    np.testing.assert_allclose(found.sized["head_scale"], np.prod(SCALES), rtol=1e-6)


def test_the_model_finds_what_volumes_were_made_of(found):
    assert found.per_year == pytest.approx(0.03, abs=1e-3)
    assert found.per_ml_of_brain == pytest.approx(0.002, abs=1e-4)
    # At one size of brain nothing but age is left.
    np.testing.assert_allclose(found.adjusted + 0.1, np.exp(0.03 * AGE), rtol=0.01)


def test_change_is_that_of_subjects_with_sessions(tmp_path):
    for session, ml in (("1", 5.0), ("2", 8.5)):
        add_unit(tmp_path, "01", ml, ml, session=session)
    for subject in ("02", "03"):
        add_unit(tmp_path, subject, 3.0, 3.0)
    run(tmp_path)
    text = (DOCS / "recipes.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, flags=re.M | re.S)
    wanted = [block for block in blocks if "units.tsv" in block or "several" in block]
    names: dict = {}
    exec("\n".join(wanted).replace("OUTPUT_DIR", str(tmp_path)), names)
    assert list(names["change"].index) == ["sub-01"]
    assert list(names["change"]["ml"]) == [3.5]


@pytest.mark.skipif(not shutil.which("Rscript"), reason="R is not installed (r-base-core)")
def test_the_lines_in_r_agree_with_the_program_and_the_model(found, tmp_path):
    text = (DOCS / "recipes.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"^```r\n(.*?)^```", text, flags=re.M | re.S)
    *before, model = lines.replace("OUTPUT_DIR", str(found.out)).rstrip().splitlines()
    script = tmp_path / "recipe.R"
    asked = [*before, f"fit <- {model}", "cat('age', coef(fit)['age', 'Estimate'], '\\n')"]
    asked += ["cat('r', cor(pairs$ct_in_flair_ml, pairs$flair_wml_ml), '\\n')"]
    script.write_text("\n".join(asked))
    done = subprocess.run(["Rscript", str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = dict(re.findall(r"^(age|r) (\S+)", done.stdout, flags=re.M))
    assert float(said["age"]) == pytest.approx(0.03, abs=1e-3)
    assert float(said["r"]) == pytest.approx(float(estimates(found.out)["pearson_r"]["value"]))
