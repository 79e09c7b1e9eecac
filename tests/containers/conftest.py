"""What tests with container engines and a scheduler share; each skips, saying why, without it.

Scripts that give a bare machine a base image, Apptainer and a small SLURM lie beside the project.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests import quick_models
from tests.conftest import SHARED

ROOT = Path(__file__).resolve().parents[2]
BASE, TAG = "docker.io/library/debian:bookworm-slim", "localhost/ctwml_bids:test"
# Each process of a test run has a user of its own.
USER = "ctwmltest" + os.environ.get("PYTEST_XDIST_WORKER", "")
# One thread in each library: the same numbers wherever it runs.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if _is_container_test(item):
            item.add_marker(pytest.mark.container)
            # Two processes: one makes the Dockerfile's image and runs it under Apptainer and SLURM,
            # the other begins with what needs no image and then runs it under podman.
            group = "sandbox" if "sandbox" in item.fixturenames else "other"
            item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=_turn)


def _turn(item) -> int:
    """What needs no image first; last what needs the bare run, which the other process may make."""
    wanted = item.fixturenames if _is_container_test(item) else ()
    return ("image" in wanted) + ("bare" in wanted)


def _is_container_test(item) -> bool:
    return Path(__file__).parent in item.path.parents


def call(*words, **options) -> str:
    """Run a command that has to succeed; return what it wrote."""
    process = subprocess.run(
        [str(word) for word in words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **options,
    )
    assert process.returncode == 0, f"{words}\n{process.stdout[-6000:]}"
    return process.stdout


def need(*commands: str) -> None:
    """Skip where a command is not on this machine, or where this is not root."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it sets up a container engine, a user and a scheduler")
    path = os.pathsep.join((os.environ["PATH"], "/usr/sbin", "/sbin"))
    if missing := [command for command in commands if shutil.which(command, path=path) is None]:
        pytest.skip(f"not on this machine: {', '.join(missing)} (.ci/run installs them)")


@pytest.fixture(scope="session")
def tools() -> Path:
    folder = SHARED / "tools"
    if not folder.is_dir():
        pytest.skip(f"the scripts that set up engines are not at {folder} (set CTWML_SHARED)")
    return folder


@pytest.fixture(scope="session")
def base_image(tools, one_at_a_time) -> str:
    need("podman", "buildah", "runc", "debootstrap")
    with one_at_a_time("base-image"):
        if subprocess.run(["podman", "image", "exists", BASE], check=False).returncode:
            call(tools / "make-base-image.sh", BASE)
    return BASE


@pytest.fixture(scope="session")
def leftovers():
    """Containers that an image was made in, to be removed at the end: buildah makes us wait."""
    names: set[str] = set()
    yield names
    if names:
        in_the_background("buildah", "rm", *names)


@pytest.fixture(scope="session")
def image(request, tools, leftovers, one_at_a_time) -> str:
    """The Dockerfile's image; CTWML_TEST_IMAGE names one that is there, which saves the build."""
    if ready := os.environ.get("CTWML_TEST_IMAGE"):
        return ready
    request.getfixturevalue("base_image")
    with one_at_a_time("image") as base:
        built = base / "image-is-built"
        if not built.exists():
            before = working_containers()
            given = ("--rm=false", "--build-arg", "REVISION=of-the-test")
            try:
                call(tools / "build-image.sh", TAG, ROOT, *given)
            finally:
                leftovers.update(working_containers() - before)
            built.touch()
    return TAG


def working_containers() -> set[str]:
    return set(call("buildah", "containers", "--quiet").split())


def save(image: str, archive: Path) -> None:
    """Write an image to a file that everyone may read; packing it would take a minute."""
    how = ("--quiet", "--format", "oci-archive", "--uncompressed")
    call("podman", "save", *how, "--output", archive, image)
    archive.chmod(0o644)


@pytest.fixture(scope="session")
def room():
    """A folder that everyone may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="ctwml-containers-"))
    folder.chmod(0o755)
    yield folder
    remove(folder)


def remove(folder: Path) -> None:
    """Remove a folder; an image's 40,000 files take some disks minutes, for which nobody waits."""
    in_the_background("rm", "-rf", folder)


def in_the_background(*words) -> None:
    """Start a command that may go on when the tests have ended.

    Where the machine ends with them, it is cut short.
    """
    nowhere = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    subprocess.Popen([str(word) for word in words], start_new_session=True, **nowhere)


@pytest.fixture(scope="session")
def project(room) -> Path:
    """What images are made from, where everyone may read it."""
    folder = room / "project"
    folder.mkdir()
    for name in ("constraints.txt", "pyproject.toml", "README.md", "LICENSE", "run.py"):
        shutil.copy(ROOT / name, folder)
    shutil.copy(ROOT / "singularity.def", folder)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "ctwml_bids", folder / "ctwml_bids", ignore=ignored)
    return folder


@pytest.fixture(scope="session")
def pair(simulated, room) -> Path:
    """A data set of one simulated pair."""
    folder = room / "pair"
    shutil.copytree(simulated, folder, ignore=shutil.ignore_patterns("derivatives", "sub-02"))
    keep_rows(folder, ["sub-01"])
    return folder


@pytest.fixture(scope="session")
def heads(simulated, room) -> Path:
    """A data set of eight heads, FLAIR alone, each at a place of its own: none is like another."""
    folder = room / "heads"
    shutil.copytree(simulated, folder, ignore=shutil.ignore_patterns("derivatives", "sub-*"))
    source = nib.load(simulated / "sub-01/anat/sub-01_FLAIR.nii.gz")
    for number in range(1, 9):
        affine = source.affine.copy()
        affine[0, 3] += number
        path = folder / f"sub-{number:02d}/anat/sub-{number:02d}_FLAIR.nii.gz"
        path.parent.mkdir(parents=True)
        nib.Nifti1Image(np.asanyarray(source.dataobj), affine).to_filename(path)
    names = [f"sub-{number:02d}" for number in range(1, 9)]
    (folder / "participants.tsv").write_text("\n".join(["participant_id", *names, ""]))
    return folder


@pytest.fixture(scope="session")
def quick(room) -> list[str]:
    """Options for a network that takes a quarter of the time, where masks are not looked at."""
    return quick_models.options(room / "quick", "flair")


def keep_rows(bids: Path, names: list[str]) -> None:
    table = bids / "participants.tsv"
    first, *rows = table.read_text().splitlines()
    kept = [row for row in rows if row.split("\t")[0] in names]
    table.write_text("\n".join([first, *kept, ""]))


def start_bare(*words, environment=None) -> subprocess.Popen:
    """Start the program of this checkout, without a container."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), *map(str, words)],
        env={**os.environ, **ONE_THREAD, "PYTHONPATH": str(ROOT), **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen) -> str:
    """Wait for a program that has to succeed."""
    said, _ = process.communicate()
    assert process.returncode == 0, said[-6000:]
    return said


@pytest.fixture(scope="session")
def bare(pair, one_at_a_time) -> Path:
    """Results of the pair without a container, made once for both processes."""
    with one_at_a_time("bare") as base:
        out = base / "bare"
        if not out.exists():
            unfinished, work = base / "bare-unfinished", base / "bare-work"
            words = (pair, unfinished, "participant", "group", "-w", work, "--nprocs", "1")
            finish(start_bare(*words))
            unfinished.rename(out)
    return out


@pytest.fixture(scope="session")
def stranger(one_at_a_time):
    """An ordinary user with a home folder and subordinate ids: words that run a command as them."""
    need("useradd", "setpriv", "newuidmap")
    try:
        pwd.getpwnam(USER)
    except KeyError:
        with one_at_a_time("users"):
            call("/usr/sbin/useradd", "--create-home", "--shell", "/bin/bash", USER)
    who = pwd.getpwnam(USER)
    yield Stranger(who.pw_uid, who.pw_gid, Path(who.pw_dir))
    with one_at_a_time("users"):
        subprocess.run(["/usr/sbin/userdel", "--remove", USER], capture_output=True, check=False)


class Stranger:
    """An ordinary user."""

    def __init__(self, uid: int, gid: int, home: Path) -> None:
        self.uid, self.gid, self.home = uid, gid, home

    def call(self, *words, environment=None, **options) -> str:
        """Run a command as the user; see `call`."""
        path = {"HOME": self.home, "USER": USER, "LOGNAME": USER, "PATH": os.environ["PATH"]}
        given = {**path, **(environment or {})}
        become = ("setpriv", "--reuid", self.uid, "--regid", self.gid, "--clear-groups")
        clear = ("env", "-i", *(f"{name}={value}" for name, value in given.items()))
        return call(*become, *clear, *words, **{"cwd": self.home, **options})

    def owns(self, *folders: Path) -> Path:
        """Make folders that belong to the user; return the first."""
        for folder in folders:
            folder.mkdir(exist_ok=True)
            os.chown(folder, self.uid, self.gid)
        return folders[0]


@pytest.fixture(scope="session")
def apptainer(tools, room) -> Path:
    """The apptainer command."""
    need("patchelf", "mksquashfs", "newuidmap")
    place = room / "apptainer"
    call(tools / "get-apptainer.sh", place)
    return place / "usr/bin/apptainer"


@pytest.fixture(scope="session")
def sandbox(image, apptainer, stranger, project, room) -> Path:
    """The Dockerfile's image as an Apptainer sandbox, made by the definition file."""
    place = stranger.owns(room / "sandbox")
    archive = room / "ctwml.tar"
    save(image, archive)
    stranger.call(
        *(apptainer, "build", "--fakeroot", "--notest", "--sandbox"),
        *("--build-arg", "bootstrap=oci-archive", "--build-arg", f"from={archive}"),
        *(place / "ctwml", "singularity.def"),
        cwd=project,
    )
    archive.unlink()
    return place / "ctwml"
