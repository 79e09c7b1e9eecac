from __future__ import annotations

import os
import signal
import sys

import pytest

from ctwml_bids.bids.status import read_status
from tests.cli.endless_run import has_ended, start
from tests.processes import hears_ctrl_c, ignores_ctrl_c


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(
    ("number", "code", "before"),
    [
        (signal.SIGINT, 130, hears_ctrl_c),
        (signal.SIGTERM, 143, hears_ctrl_c),
        # A job in the background of a shell, whose Ctrl-C is meant for what is in front.
        (signal.SIGTERM, 143, ignores_ctrl_c),
    ],
    ids=["ctrl-c", "stopped", "stopped in the background"],
)
def test_an_interrupted_run_says_so_and_leaves_nothing_running(
    dataset, models, tmp_path, number, code, before
):
    mark = tmp_path / "pid"
    target = tmp_path / "out/sub-02/anat/sub-02_mask.nii.gz"
    arguments = [dataset, tmp_path / "out", "participant", "--participant-label", "02"]
    arguments += ["-w", tmp_path / "work", "--model", *models]
    process = start(mark, target, *arguments, before=before)
    if before is ignores_ctrl_c:
        os.killpg(process.pid, signal.SIGINT)
        assert process.poll() is None
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    # Two seconds on a quiet machine.
    _, said = process.communicate(timeout=60)
    assert process.returncode == code
    assert "ctwml_bids: error:" in said
    assert "Traceback" not in said
    assert "run" in said
    assert "again" in said
    assert list(target.parent.iterdir()) == []
    status = read_status(tmp_path / "out/logs/sub-02/status.json")
    assert (status.state, status.reason, status.exit_code) == ("failed", "interrupted", code)
    assert all(has_ended(int(pid)) for pid in mark.read_text().split())
