"""Interfaces that behave badly on purpose, for the tests of the plugin."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    SimpleInterface,
    TraitedSpec,
    traits,
)

from ctwml_bids.bids import files
from ctwml_bids.errors import BadDataError


def _half(target, then):
    """Write half a file with the writer of the package, then do something else."""

    def write(temporary):
        temporary.write_bytes(b"half")
        then()

    files._atomically(Path(target), write)


class _In(BaseInterfaceInputSpec):
    value = traits.Int(0, usedefault=True)
    # Nipype hashes the content of a file that a string names; this one grows by itself.
    mark = traits.Str("", usedefault=True, nohash=True)
    target = traits.Str("", usedefault=True, nohash=True)


class _Out(TraitedSpec):
    out = traits.Int()


class _Step(SimpleInterface):
    input_spec = _In
    output_spec = _Out

    def _run_interface(self, runtime):
        if self.inputs.mark:
            with Path(self.inputs.mark).open("a") as stream:
                stream.write(f"{os.getpid()}\n")
        self._act()
        self._results["out"] = self.inputs.value + 1
        return runtime

    def _act(self):
        pass


class Succeed(_Step):
    pass


class Slow(_Step):
    def _act(self):
        time.sleep(1.5)


class Endless(_Step):
    def _act(self):
        time.sleep(600)


class KilledOutright(_Step):
    def _act(self):
        os.kill(os.getpid(), signal.SIGKILL)


class KilledWhileWriting(_Step):
    def _act(self):
        _half(self.inputs.target, lambda: os.kill(os.getpid(), signal.SIGKILL))


class EndlessWriting(_Step):
    """Notes its process id once half of its file is there."""

    def _run_interface(self, runtime):
        def wait():
            Path(self.inputs.mark).write_text(f"{os.getpid()}\n")
            time.sleep(600)

        _half(self.inputs.target, wait)


class LeavesSilently(_Step):
    def _act(self):
        os._exit(3)


class Refuses(_Step):
    def _act(self):
        raise BadDataError("sub-01_ct.nii.gz has NaN in 3 voxels.\nConvert it again.")


class RunsIntoABug(_Step):
    def _act(self):
        raise KeyError("missing")


class FillsTheDisk(_Step):
    def _act(self):
        raise OSError(28, "No space left on device", "/out/x.nii.gz")


class TellsItsEnvironment(_Step):
    def _act(self):
        self.inputs.value = int(os.environ["CTWML_TEST_NUMBER"])


class WritesFiles(_Step):
    """Write files as a unit's last step does: each is noted first, and that all are there last."""

    def _run_interface(self, runtime):
        notes, output, *names = self.inputs.target.split("\n")
        for name in names:
            files.note(Path(notes), name)
            files.write_text(Path(output) / name, self.inputs.mark)
        self._act()
        files.note(Path(notes), files.COMPLETE)
        self._results["out"] = 0
        return runtime


class KilledAfterWriting(WritesFiles):
    def _act(self):
        os.kill(os.getpid(), signal.SIGKILL)
