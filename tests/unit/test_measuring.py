"""Which brain mask each number and each gate of a pair's CT is about."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from ctwml_bids.bids.units import Unit
from ctwml_bids.errors import BadDataError
from ctwml_bids.statistics.fazekas import Thresholds
from ctwml_bids.statistics.thresholds import ThresholdSet
from ctwml_bids.unit.measuring import measure_unit
from ctwml_bids.unit.records import (
    Brain,
    Head,
    ImageFiles,
    Maps,
    Network,
    PairFiles,
    Read,
    Registration,
    Results,
)
from ctwml_bids.unit.work_files import save_facts
from tests.unit.facts import run_facts

# A head of 20 voxels of 8 mm: a ball of 66 mm radius holds 1.2 L.
GRID = np.diag([8.0, 8.0, 8.0, 1.0])
VOXEL_ML = 0.512
CONTRAST = {"grey_to_white": 1.1, "fluid_to_white": 0.4, "grey_to_darker_white": 1.2}


def brain(*, top: int = 20, up: int = 0, left: int = 0) -> np.ndarray:
    """Make a brain that is cut off above a slice, or lies higher or further left."""
    x, y, z = np.indices((20, 20, 20)) - 9.5
    ball = (x + left) ** 2 + y**2 + (z - up) ** 2 < 8.25**2
    ball[:, :, top:] = False
    return ball


@pytest.fixture
def measure(tmp_path):
    """Measure a pair with two brain masks on the CT: found on it, and used for it."""

    def run(
        *,
        own: np.ndarray,
        used: np.ndarray,
        mask_from: str = "FLAIR",
        ct=None,
        removed_ml: float = 30.0,
        contrast=CONTRAST,
        dice: float = 0.95,
        fazekas: ThresholdSet | None = None,
        ct_in_flair: np.ndarray | None = None,
        fluid_ml: float = 0.0,
        infarct_fluid_ml: float | None = None,
        lesion: np.ndarray | None = None,
        own_facts: dict | None = None,
    ):
        ventricles = np.zeros((20, 20, 20), np.float32)
        ventricles[10, 10, 10:16] = 1
        if lesion is None:
            lesion = np.zeros((20, 20, 20), np.float32)
            lesion[10, 10, 10] = 1

        def image(name: str, array: np.ndarray) -> str:
            path = tmp_path / f"{name}.nii"
            nib.Nifti1Image(array.astype(np.float32), GRID).to_filename(path)
            return str(path)

        def facts(name: str, content: dict) -> str:
            return save_facts(content, str(tmp_path / f"{name}.json"))

        np.savetxt(tmp_path / "matrix.txt", np.eye(4))
        matrix, drawn = str(tmp_path / "matrix.txt"), image("lesion", lesion)
        read_facts = {
            "slice_gap_ratio": None,
            "stated_spacing_ratio": None,
            "vault_ratio": None,
            "hu_step": None,
        }
        registered = {
            "verdict": "pass",
            "reason": "",
            "nmi_before": 1.0,
            "nmi_after": 1.1,
            "mask_dice": 0.9,
            "mirror_ratio": 1.6,
            "limits": "at least 1.35",
        }
        frame = {"mask_from": mask_from, "carried_ml": 1200.0, "removed_ml": removed_ml}
        across = lesion if ct_in_flair is None else ct_in_flair

        def files(name: str, own: np.ndarray, used: np.ndarray, hu: np.ndarray, **more):
            found, brain = (
                Brain(path, path, facts("own", own_facts or {}))
                for path in (image(f"{name}_brain", own), image(f"{name}_used_brain", used))
            )
            head = Head(
                read=Read(found.mask, image(name, hu), facts("read", read_facts)),
                own=found,
                brain=brain._replace(facts=facts("frame", frame)),
                template_to_native=matrix,
                guide_to_native=matrix,
                template_brain=found.mask,
                fit=facts("fit", {"dice": dice, "scales": [0.9, 0.95, 0.85]}),
            )
            left_out = {"fluid_ml": fluid_ml, "infarct_fluid_ml": infarct_fluid_ml}
            network = Network(drawn, drawn, matrix, facts("network", left_out))
            cavities = image("ventricles", ventricles)
            return ImageFiles(head, cavities, network, Maps(drawn, drawn, drawn), **more)

        in_flair = image("ct_in_flair_mask", across)
        images = {
            "ct": files("ct", own, used, 30.0 * brain() if ct is None else ct),
            "flair": files(
                "flair", brain(), brain(), brain(), contrast=facts("contrast", contrast)
            ),
        }
        pair = PairFiles(
            **images,
            registration=Registration(matrix, matrix, facts("registration", registered)),
            ct_in_flair=Maps(in_flair, in_flair, in_flair),
            flair_in_ct=Maps(drawn, drawn, drawn),
        )
        run, unit = run_facts(tmp_path, fazekas=fazekas), Unit("01", None, None, None)
        results = Results(unit, run, images, pair)
        found = measure_unit(results)
        return {gate["name"]: gate for gate in found.gates}, found.rows

    return run


def test_a_brain_that_the_flair_does_not_cover_is_told_on_the_ct(measure):
    gates, rows = measure(own=brain(), used=brain(top=10))
    assert gates["CT brain left out"]["status"] == "fail"
    assert gates["CT brain left out"]["value"] == pytest.approx(50, abs=1)
    assert "50% of the brain found on the CT" in gates["CT brain left out"]["message"]
    assert gates["CT brain volume"]["status"] == "fail"
    assert gates["CT brain volume"]["value"] == pytest.approx(brain(top=10).sum() * VOXEL_ML)
    assert rows[0]["brain_ml"] == pytest.approx(gates["CT brain volume"]["value"], abs=0.1)
    assert rows[0]["qc"] == "fail"


def test_coverage_is_that_of_the_mask_that_the_ct_is_measured_in(measure):
    reaching, inside = brain(up=6), brain()
    gates, _ = measure(own=inside, used=reaching)
    assert gates["CT coverage"]["status"] == "fail"
    assert "at the top" in gates["CT coverage"]["message"]
    gates, _ = measure(own=reaching, used=inside)
    assert gates["CT coverage"]["status"] == "pass"


EMPTY = {"slices": 20, "axis": 2, "numbers": [], "planes": [], "seen": [0, 19], "unseen_ml": 0.0}
UPRIGHT = {"upright_mm": 1.5, "turned_mm": 4.0, "turned": "upside down"}


def test_a_head_upside_down_fails(measure):
    own = {"way_up": {**UPRIGHT, "upright_mm": 4.2, "turned_mm": 1.9}, "brain_ml": 1200.0}
    gates, rows = measure(own=brain(), used=brain(), own_facts=own)
    assert gates["CT way up"]["status"] == gates["FLAIR way up"]["status"] == "fail"
    assert rows[0]["qc"] == "fail"


def test_empty_slices_are_told_with_the_brain_that_they_hide(measure):
    empty = {**EMPTY, "numbers": [9, 10], "planes": [9, 10], "unseen_ml": 43.0}
    own = {"way_up": UPRIGHT, "brain_ml": 1157.0, "empty_slices": empty}
    gates, _ = measure(own=brain(), used=brain(), own_facts=own)
    assert gates["CT empty slices"]["status"] == "warn"
    assert "2 of 20 slices of CT are empty: about 43 mL" in gates["CT empty slices"]["message"]


def test_a_brain_cut_by_padding_is_told(measure):
    cut = brain(top=12)
    own = {"way_up": UPRIGHT, "brain_ml": 900.0, "empty_slices": {**EMPTY, "seen": [0, 11]}}
    gates, _ = measure(own=cut, used=cut, own_facts=own)
    assert gates["CT coverage"]["status"] == "fail"
    assert "CT empty slices" not in gates


def test_a_brain_cut_at_a_side_is_told(measure):
    gates, _ = measure(own=brain(left=6), used=brain(left=6))
    assert gates["CT coverage"]["status"] == "fail"
    assert "at the left" in gates["CT coverage"]["message"]


def test_two_masks_of_one_brain_may_differ_a_little(measure):
    gates, _ = measure(own=brain(), used=brain(top=17))
    assert 0 < gates["CT brain left out"]["value"] < 10
    assert gates["CT brain left out"]["status"] == "pass"


def test_nothing_is_left_out_where_the_ct_has_its_own_mask(measure):
    gates, _ = measure(own=brain(), used=brain(), mask_from="CT")
    assert "CT brain left out" not in gates


def test_bone_in_the_carried_mask_is_not_taken_for_blood(measure):
    """What HU tell is judged in the CT's own mask, which has no bone in it."""
    own, used = brain(top=15), brain()
    ct = np.where(own, 30.0, 80.0)
    gates, _ = measure(own=own, used=used, ct=ct)
    assert gates["CT bright voxels"]["value"] == 0
    gates, _ = measure(own=used, used=used, ct=ct)
    assert gates["CT bright voxels"]["value"] > 20


def test_bone_in_the_carried_mask_contrast_and_fit_have_gates(measure):
    gates, rows = measure(own=brain(), used=brain())
    names = ("CT bone in the FLAIR's mask", "FLAIR contrast", "CT normalisation")
    assert [gates[name]["value"] for name in names] == [pytest.approx(2.5), 1.1, 0.95]
    assert {gates[name]["status"] for name in names} == {"pass"}
    odd = {**CONTRAST, "grey_to_white": 0.92}
    gates, rows = measure(own=brain(), used=brain(), removed_ml=240.0, contrast=odd, dice=0.85)
    assert {gates[name]["status"] for name in names} == {"warn"}
    assert rows[0]["qc"] == "warn"


def test_a_ct_in_its_own_mask_has_no_gate_for_the_flairs(measure):
    gates, _ = measure(own=brain(), used=brain(), mask_from="CT", removed_ml=240.0)
    assert "CT bone in the FLAIR's mask" not in gates


def test_a_fazekas_group_is_stated_by_each_images_volume_where_thresholds_are_given(measure):
    cohort = ThresholdSet("x", "a cohort", {"ct": Thresholds(0.1, 9), "flair": Thresholds(1, 9)})
    _, rows = measure(own=brain(), used=brain(), fazekas=cohort)
    assert [row["fazekas_group"] for row in rows] == ["2", "0-1", "n/a"]
    _, rows = measure(own=brain(), used=brain())
    assert [row["fazekas_group"] for row in rows] == ["n/a"] * 3


def test_masks_of_a_pair_that_differ_in_shape_are_an_error_that_says_so(measure):
    other = np.zeros((20, 20, 19), np.float32)
    other[10, 10, 10] = 1
    with pytest.raises(BadDataError, match=r"ct_in_flair_mask.*\(20, 20, 19\).*\(20, 20, 20\)"):
        measure(own=brain(), used=brain(), ct_in_flair=other)


@pytest.mark.parametrize(
    ("voxels", "fluid_ml", "status"),
    [(0, 0.0, "pass"), (1, 0.3, "pass"), (5, 0.0, "warn"), (0, 12.0, "warn"), (1, 79.0, "fail")],
)
def test_lesions_in_the_ventricles_are_told_with_what_was_left_out(
    measure, voxels, fluid_ml, status
):
    lesion = np.zeros((20, 20, 20), np.float32)
    lesion[10, 10, 10 : 10 + voxels] = lesion[14, 10, 10] = 1
    gates, rows = measure(own=brain(), used=brain(), fluid_ml=fluid_ml, lesion=lesion)
    for image in ("CT", "FLAIR"):
        gate = gates[f"{image} lesions in the ventricles"]
        assert gate["status"] == status
        assert gate["value"] == pytest.approx(voxels * VOXEL_ML + fluid_ml)
        assert f"{fluid_ml:.1f} mL that the network marked on {image}" in gate["message"]
        assert f"{voxels * VOXEL_ML:.1f} mL of the lesions" in gate["message"]
    if status == "fail":
        assert rows[0]["qc"] == "fail"


def test_infarcts_that_were_left_out_in_the_ventricles_count_as_well(measure):
    gates, _ = measure(own=brain(), used=brain(), fluid_ml=1.0, infarct_fluid_ml=31.0)
    gate = gates["CT lesions in the ventricles"]
    assert gate["status"] == "fail"
    assert "32.0 mL that the network marked on CT lie in fluid" in gate["message"]
