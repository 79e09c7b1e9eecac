from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from ctwml_bids.execution.status import read_status

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_says_so_and_leaves_nothing_running(
    dataset, models, tmp_path, number, code
):
    mark = tmp_path / "pid"
    target = tmp_path / "out/sub-02/anat/sub-02_mask.nii.gz"
    script = tmp_path / "run_it.py"
    script.write_text(
        textwrap.dedent(f"""
        import sys
        from nipype.pipeline import engine as pe
        from ctwml_bids.cli import main as app, nipype_setup
        from ctwml_bids.cli.participant import run_participants
        from ctwml_bids.cli.preflight import SCRATCH, Ready, choose_models
        from tests.execution import steps

        def run_units(units, ready, progress):
            def build(batch):
                wf = pe.Workflow(SCRATCH, base_dir=str(ready.settings.work_dir))
                for unit in batch:
                    inner = pe.Workflow("u" + unit.subject)
                    endless = steps.EndlessWriting(mark={str(mark)!r}, target={str(target)!r})
                    inner.add_nodes([pe.Node(endless, name="endless")])
                    wf.add_nodes([inner])
                return wf
            return run_participants(units, ready, progress, build=build,
                                    workflow_name=lambda label: "u" + label[4:])

        def preflight(settings):
            settings, cards = choose_models(settings)
            return Ready(settings, cards=cards)

        if __name__ == "__main__":
            nipype_setup.PRELOAD = ("nipype.pipeline.engine",)
            app._run_units, app.preflight = run_units, preflight
            sys.exit(app.main(sys.argv[1:]))
        """)
    )
    arguments = [dataset, tmp_path / "out", "participant", "--participant-label", "02"]
    arguments += ["-w", tmp_path / "work", "--model", *models]
    process = subprocess.Popen(
        [sys.executable, script, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(600):
        if process.poll() is not None or (mark.exists() and mark.read_text().endswith("\n")):
            break
        time.sleep(0.05)
    assert process.poll() is None, process.stderr.read()
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
    assert (status.state, status.reason, status.exit_code) == ("failed", "interrupted", 130)
    for pid in mark.read_text().split():
        state = Path(f"/proc/{pid}/stat")
        assert not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z"
