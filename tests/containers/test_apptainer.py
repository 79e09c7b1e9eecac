"""The image under Apptainer, as an ordinary user, and the definition file that needs no image."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from tests.containers.conftest import (
    BASE,
    ONE_THREAD,
    call,
    remove,
    save,
)
from tests.containers.same import is_same_result

CLOSED = ("--containall", "--no-home", "--cleanenv", "--net", "--network", "none")


def test_an_ordinary_user_gets_the_same_results(sandbox, apptainer, stranger, pair, bare, room):
    out, scratch = room / "apptainer-out", room / "apptainer-work"
    stranger.owns(out, scratch)
    given = {**ONE_THREAD, "CTWML_CONTAINER_URI": "ctwml@sha256:0123"}
    said = stranger.call(
        *(apptainer, "run", *CLOSED, *(f"--env={k}={v}" for k, v in given.items())),
        *("--bind", f"{pair}:/data:ro", "--bind", f"{out}:/out", "--bind", f"{scratch}:/work"),
        *(sandbox, "/data", "/out", "participant", "group", "-w", "/work", "--nprocs", "1"),
    )
    assert "1 done, 0 failed, 0 skipped" in said
    is_same_result(bare, out)
    made_by = json.loads((out / "dataset_description.json").read_text())["GeneratedBy"][0]
    told = {"Type": "apptainer", "Tag": "ctwml_bids:0.2.0", "URI": "ctwml@sha256:0123"}
    assert made_by["Container"] == told
    status = json.loads((out / "logs/sub-01/status.json").read_text())
    assert status["versions"]["container"] == "ctwml@sha256:0123"


def test_a_home_that_is_mounted_has_no_part_in_it(sandbox, apptainer, stranger):
    site = stranger.home / ".local/lib/python3.11/site-packages"
    stranger.call("mkdir", "-p", site)
    (site / "nibabel.py").write_text("raise SystemExit('of the home folder')\n")
    said = stranger.call(apptainer, "run", "--bind", str(stranger.home), sandbox, "--version")
    assert said.split()[-2:] == ["ctwml_bids", "0.2.0"]
    look = "import nibabel; print(nibabel.__file__)"
    said = stranger.call(apptainer, "exec", sandbox, "python3", "-c", look)
    assert "/opt/ctwml/" in said


def test_help_and_labels_are_the_definition_files(sandbox, apptainer, stranger):
    assert "--nv" in stranger.call(apptainer, "run-help", sandbox)
    labels = stranger.call(apptainer, "inspect", "--labels", sandbox)
    assert "org.opencontainers.image.licenses: Apache-2.0" in labels


@pytest.fixture
def pip_options(tools, project):
    """This machine's settings of pip, as options, and what is mounted where for them."""
    settings = dict(
        line.split(" = ")
        for line in call(tools / "host-pip-conf.sh").splitlines()
        if " = " in line and not line.startswith(("cert", "default-timeout"))
    )
    options = [f"--{name}={value}" for name, values in settings.items() for value in values.split()]
    paths = {option.partition("=")[2].removeprefix("file://") for option in options}
    folders = sorted({path.removesuffix("/simple") for path in paths if path.startswith("/")})
    look = "import ssl; p = ssl.get_default_verify_paths(); print(p.cafile or p.openssl_cafile)"
    # The base image has no certificate of this machine's.
    shutil.copy(call("python3", "-c", look).strip(), project / "ca.crt")
    # A build can mount only where the image has a folder.
    mounted = dict(zip(folders, ("/mnt", "/media", "/srv"), strict=False))
    assert len(mounted) == len(folders)
    for folder in sorted(mounted, reverse=True):
        options = [re.sub(rf"{folder}(?![\w-])", mounted[folder], option) for option in options]
    return [*options, "--cert=/home/ca.crt"], {**mounted, str(project): "/home"}


def test_without_an_image_the_definition_file_builds_all_and_runs_a_tiny_unit(
    base_image, apptainer, stranger, project, room, pip_options
):
    own, archive = stranger.owns(room / "own"), room / "base.tar"
    save(BASE, archive)
    options, mounted = pip_options
    arguments = {"bootstrap": "oci-archive", "from": archive, "pip_options": " ".join(options)}
    stranger.call(
        *(apptainer, "build", "--fakeroot", "--notest", "--sandbox"),
        *(f"--bind={folder}:{place}:ro" for folder, place in mounted.items()),
        *(word for k, v in arguments.items() for word in ("--build-arg", f"{k}={v}")),
        *(own / "ctwml", "singularity.def"),
        cwd=project,
    )
    said = stranger.call(apptainer, "test", "--no-home", own / "ctwml")
    assert "1 done, 0 failed, 0 skipped" in said
    remove(own / "ctwml")
