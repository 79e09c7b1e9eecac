from __future__ import annotations

import pytest

from ctwml_bids.statistics.gates import pair


@pytest.mark.parametrize("verdict", ["pass", "warn", "fail"])
def test_registration_takes_the_verdict_and_gives_its_reason(verdict):
    gate = pair.registration(
        verdict,
        "masks overlap by half",
        mirror_ratio=1.5,
        nmi_gain=0.02,
        mask_dice=0.5,
        limits="at least 1.35",
    )
    assert gate.status == verdict
    assert "Masks overlap by half." in gate.message
    assert (gate.value, gate.limits) == (1.5, "at least 1.35")


def test_brain_that_the_carried_mask_leaves_out():
    shares = {0.0: "pass", 0.09: "pass", 0.18: "warn", 0.5: "fail"}
    assert {share: pair.carried_mask(share).status for share in shares} == shares
    assert "18% of the brain found on the CT" in pair.carried_mask(0.18).message


@pytest.mark.parametrize(("share", "status"), [(0.0, "pass"), (0.06, "pass"), (0.12, "warn")])
def test_bone_in_the_carried_mask(share, status):
    gate = pair.bone_in_mask(share)
    assert gate.status == status
    assert f"{100 * share:.1f}%" in gate.message
