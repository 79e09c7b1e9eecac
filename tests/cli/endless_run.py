"""The program with units of one step that writes half a file and never ends.

Run as ``python -m tests.cli.endless_run MARK TARGET ARGUMENT ...``: the step notes its process id
in MARK once half of TARGET is written.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from nipype.pipeline import engine as pe

from ctwml_bids.cli import main as app
from ctwml_bids.run import level, nipype_setup
from ctwml_bids.run import preflight as checks
from ctwml_bids.run.participant import run_participants
from ctwml_bids.run.preflight import SCRATCH, Ready, choose_models
from tests.execution import steps
from tests.processes import hears_ctrl_c

ROOT = Path(__file__).resolve().parents[2]


def start(
    mark: Path,
    target: Path,
    *arguments: object,
    before: Callable[[], None] = hears_ctrl_c,
) -> subprocess.Popen:
    """Start the program and wait until its step is in the middle of its file.

    `before` is called in the new process first; it says how Ctrl-C is taken.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.cli.endless_run", mark, target, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
        preexec_fn=before,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(2400):
        if process.poll() is not None or (mark.exists() and mark.read_text().endswith("\n")):
            break
        time.sleep(0.05)
    assert process.poll() is None, process.stderr.read()
    return process


def has_ended(pid: int) -> bool:
    """Tell whether a process is gone or waits for its parent only (looks into /proc)."""
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z"


def main(mark: str, target: str, *arguments: str) -> int:
    def run_units(units, ready, progress):
        def build(batch):
            wf = pe.Workflow(SCRATCH, base_dir=str(ready.settings.work_dir))
            for unit in batch:
                inner = pe.Workflow("u" + unit.subject)
                endless = steps.EndlessWriting(mark=mark, target=target)
                inner.add_nodes([pe.Node(endless, name="endless")])
                wf.add_nodes([inner])
            return wf

        return run_participants(
            units, ready, progress, build=build, workflow_name=lambda label: "u" + label[4:]
        )

    def preflight(settings):
        settings, cards = choose_models(settings)
        return Ready(settings, cards=cards)

    nipype_setup.PRELOAD = ("nipype.pipeline.engine",)
    level._run_units, checks.preflight = run_units, preflight
    return app.main(arguments)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
