"""The Dockerfile's image, run as strictly as a cluster or a hospital may run it."""

from __future__ import annotations

import hashlib
import json
import re

import pytest

from tests.containers.conftest import ONE_THREAD, ROOT, call
from tests.containers.same import is_same_result

# What the image may take up at most.
LARGEST_GB = 2.5
UID = 54321


@pytest.fixture(scope="session")
def podman(image, tools):
    """Run words in the image; read-only, without network, as a user that it does not know."""

    def run(*words, options=()) -> str:
        strict = ("--network", "none", "--read-only", "--user", f"{UID}:{UID}")
        environment = (f"--env={name}={value}" for name, value in ONE_THREAD.items())
        return call(
            *("podman", "--runtime", "runc", "run", "--rm", *strict, *environment),
            *(*options, image, *words),
            env={"CONTAINERS_CONF": str(tools / "containers.conf"), "PATH": "/usr/bin:/usr/sbin"},
        )

    return run


def inspected(image: str, field: str):
    return json.loads(
        call("podman", "image", "inspect", "--format", f"{{{{json {field}}}}}", image)
    )


def test_the_image_is_small_labelled_and_not_roots(image):
    assert inspected(image, ".Size") < LARGEST_GB * 1e9
    labels = inspected(image, ".Labels")
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.version"] == "0.2.0"
    assert labels["org.opencontainers.image.revision"] == "of-the-test"
    assert inspected(image, ".Config.User") == "1000:1000"


def test_the_image_has_the_locked_versions_and_no_cuda(podman):
    listing = "import importlib.metadata as m\nfor d in m.distributions(): print(d.name, d.version)"
    entry = ("--entrypoint", "/opt/ctwml/bin/python3")
    there = dict(line.split() for line in podman("-c", listing, options=entry).splitlines())
    there = {plain(name): version for name, version in there.items()}
    assert there.pop("ctwml-bids") == "0.2.0"
    locked = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    locked = {plain(name): version for name, version in locked.items()}
    assert there.pop("torch") == locked["torch"] + "+cpu"
    assert not [name for name in there if name.startswith("nvidia")]
    assert {name: locked.get(name) for name in there} == there


def test_the_image_has_every_file_of_the_program_and_its_models(podman):
    listing = (
        "import hashlib, pathlib, ctwml_bids\n"
        "root = pathlib.Path(ctwml_bids.__file__).parent\n"
        "for p in root.rglob('*'):\n"
        "    if p.is_file() and p.suffix != '.pyc':\n"
        "        print(hashlib.sha256(p.read_bytes()).hexdigest(), p.relative_to(root))"
    )
    entry = ("--entrypoint", "/opt/ctwml/bin/python3")
    there = {line[65:]: line[:64] for line in podman("-c", listing, options=entry).splitlines()}
    here = ROOT / "ctwml_bids"
    files = (path for path in here.rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert there == {
        str(path.relative_to(here)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }
    assert sum(name.endswith(".safetensors") for name in there) >= 7


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_nothing_of_how_it_was_built_stays_in_the_image(podman, image):
    look = "ls -A /run /src /etc/pip.conf /root/.cache /opt/ctwml/bin/pip 2>/dev/null | sort"
    shell = ("--entrypoint", "/bin/sh", "--read-only-tmpfs=false")
    found = podman("-c", look, options=shell)
    assert "host-ca" not in found
    assert "pip" not in found
    history = call("podman", "history", "--no-trunc", "--format", "{{.CreatedBy}}", image)
    assert "find-links" not in history


def test_a_stranger_without_a_home_gets_the_same_results(podman, pair, bare, room):
    out = room / "podman"
    out.mkdir()
    out.chmod(0o777)
    mounts = ("-v", f"{pair}:/data:ro", "-v", f"{out}:/out", "--env", "HOME=/nowhere")
    said = podman("/data", "/out", "participant", "group", "--nprocs", "1", options=mounts)
    assert "1 done, 0 failed, 0 skipped" in said
    is_same_result(bare, out)
    made_by = json.loads((out / "dataset_description.json").read_text())["GeneratedBy"][0]
    assert made_by["Container"] == {"Type": "docker", "Tag": "ctwml_bids:0.2.0"}
    assert {path.stat().st_uid for path in out.rglob("*")} == {UID}
