"""The console scripts as they are run here: all in one process, and of a unit its images alone."""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np

from ctwml_bids.geometry import RIGHT_ANGLE_COSINE, shear
from ctwml_bids.preprocessing.images import LoadedImage


def preload() -> None:
    """Import what the program imports as it goes along: the limit of memory is for what follows."""
    import ants  # noqa: F401
    import bids.layout  # noqa: F401
    import jsonschema  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import nipype.pipeline.engine
    import nipype.pipeline.plugins  # noqa: F401
    import pandas  # noqa: F401
    import torch

    import ctwml_bids.cli.main
    import ctwml_bids.cli.simulate
    import ctwml_bids.cli.slurm
    import ctwml_bids.group.level
    import ctwml_bids.run.level
    import ctwml_bids.run.plugin_file
    import ctwml_bids.training.level
    import ctwml_bids.unit.modalities
    import ctwml_bids.unit.rewriting
    import ctwml_bids.workflows.participant  # noqa: F401

    torch.set_num_threads(1)


def _ctwml_bids(argv: list[str]) -> int:
    """Run the participant level; of each unit the images are read, and nothing else is done."""
    from ctwml_bids.bids.status import UnitResult
    from ctwml_bids.cli.main import main
    from ctwml_bids.run import level
    from ctwml_bids.run.failures import failure_of
    from ctwml_bids.unit.modalities import FUNCTIONS

    def read(units, ready, progress):
        results = []
        for unit in units:
            try:
                for kind, path in unit.images.items():
                    sidecar = unit.ct_sidecar if kind == "ct" else unit.flair_sidecar
                    _check(kind, path, FUNCTIONS[kind].read(path, dict(sidecar)))
            except Exception:
                failure = failure_of(traceback.format_exc())
                if failure.exit_code == 1:
                    raise
                results.append(
                    UnitResult(unit.label, "failed", failure.message, exit_code=failure.exit_code)
                )
            else:
                results.append(UnitResult(unit.label, "done"))
        return results

    whole, level._run_units = level._run_units, read
    try:
        return main(argv)
    finally:
        level._run_units = whole


def _check(kind: str, path: Path, loaded: LoadedImage) -> None:
    """Look whether an image that was taken can be what its file holds, as nibabel has it."""
    data, affine = np.asarray(loaded.image.dataobj), loaded.image.affine
    image = nib.load(path)
    assert data.dtype == np.float32
    assert np.isfinite(data).all()
    assert np.isfinite(affine).all()
    assert nib.aff2axcodes(affine) == ("R", "A", "S")
    size = abs(np.linalg.det(affine[:3, :3])) * data.size
    stated = abs(np.linalg.det(image.affine[:3, :3])) * np.prod(image.shape)
    # A sheared image is laid into a larger box.
    assert size > 0.95 * stated
    if not loaded.warnings and shear(image.affine) < RIGHT_ANGLE_COSINE:
        values = image.get_fdata()
        least = max(values.min(), -1000) if kind == "ct" else values.min()
        assert np.isclose(data.max(), values.max(), rtol=1e-3, atol=1)
        assert np.isclose(data.min(), least, rtol=1e-3, atol=1)


def _up_to_the_weights(argv: list[str]) -> int:
    """Plan a run, then load the networks of the CT model as the step does that segments."""
    from ctwml_bids.cli.parser import parse
    from ctwml_bids.errors import CtwmlError
    from ctwml_bids.segmentation import ensemble

    code = _ctwml_bids(argv)
    if code == 0:
        try:
            ensemble.load(parse(argv).models[0])
        except CtwmlError as error:
            print(error)
            return error.exit_code
    return code


def _whole(argv: list[str]) -> int:
    from ctwml_bids.cli.main import main

    return main(argv)


def _simulate(argv: list[str]) -> int:
    from ctwml_bids.cli.simulate import main

    return main(argv)


def _slurm(argv: list[str]) -> int:
    from ctwml_bids.cli.slurm import main

    return main(argv)


def _faulty(argv: list[str]) -> int:
    """Do what no program may: so that the fuzzing is known to notice it."""
    (fault,) = argv
    if fault == "hangs":
        time.sleep(3600)
    elif fault == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault == "raises":
        raise KeyError("sub-01")
    elif fault == "writes":
        Path("../bids/left-behind").write_text("x")
    print(f"does: {fault}")
    return 3 if fault == "another code" else 0


PROGRAMS: dict[str, Callable[[list[str]], int]] = {
    "ctwml_bids": _ctwml_bids,
    "ctwml_bids up to the weights": _up_to_the_weights,
    "ctwml_bids whole": _whole,
    "ctwml-simulate": _simulate,
    "ctwml-slurm": _slurm,
    "faulty": _faulty,
}
