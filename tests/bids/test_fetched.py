from __future__ import annotations

from pathlib import Path

import pytest

from ctwml_bids.bids.fetched import not_fetched
from ctwml_bids.bids.units import Skipped, Unit
from ctwml_bids.errors import InvalidInputError
from tests.bids.planned import plan

ANNEX = "/annex/objects/MD5E-s123--abc.nii.gz\n"
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def pointer(text: str):
    return lambda path: path.write_text(text)


def link(target: str):
    return lambda path: path.symlink_to(target)


def chain(path: Path) -> None:
    path.with_name("between").symlink_to("../../.git/annex/objects/x/y")
    path.symlink_to("between")


STAND_INS = {
    "annex pointer": (pointer(ANNEX), "datalad get"),
    "annex pointer without a new line": (pointer(ANNEX.strip()), "datalad get"),
    "annex pointer with more lines": (pointer(ANNEX + "/annex/other\n"), "datalad get"),
    "annex link as text": (pointer("../../.git/annex/objects/a/b/KEY/KEY"), "datalad get"),
    "annex link": (link("../../.git/annex/objects/absent"), "datalad get"),
    "link to a link to the annex": (chain, "datalad get"),
    "link to nothing": (link("/nowhere/at/all.nii.gz"), "mend the link"),
    "Git LFS pointer": (pointer(LFS), "git lfs pull"),
    "Git LFS pointer without a size": (pointer(LFS[:60]), "git lfs pull"),
}
FORMS = pytest.mark.parametrize(("make", "told"), STAND_INS.values(), ids=STAND_INS)


@FORMS
def test_a_stand_in_is_known_with_what_fetches_it(tmp_path, make, told):
    path = tmp_path / "image.nii.gz"
    make(path)
    assert told in not_fetched(path)


def test_a_link_in_a_circle_is_told(tmp_path):
    path = tmp_path / "image.nii.gz"
    path.symlink_to(path.name)
    assert "circle" in not_fetched(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"\x1f\x8b\x08\xff", b"filename\tacq_time\n", b'{"x": "/annex/objects/y"}',
     b"/annex/objects/" + b"x" * 40000],
)  # fmt: skip
def test_content_that_is_here_is_no_stand_in(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert not_fetched(path) is None


def test_a_link_to_content_and_a_file_that_is_not_there_are_no_stand_ins(tmp_path):
    (tmp_path / "content").write_text("x")
    (tmp_path / "link").symlink_to("content")
    assert not_fetched(tmp_path / "link") is None
    assert not_fetched(tmp_path / "absent") is None


def put(path: Path, make) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    make(path)


@FORMS
@pytest.mark.parametrize(
    "name",
    [
        "sub-01/ct/sub-01_rec-soft_ct.nii.gz",
        "sub-01/ct/sub-01_rec-bone_ct.json",
        "sub-01/sub-01_ct.json",
        "sub-01/sub-01_scans.tsv",
        "sub-01/anat/sub-01_FLAIR.nii.gz",
    ],
)
def test_a_subject_waits_for_what_was_not_fetched_and_the_others_run(raw, name, make, told):
    for label in ("01", "02"):
        bone = {"ConvolutionKernel": "BONE"}
        raw.image(f"sub-{label}/ct/sub-{label}_rec-bone_ct.nii.gz", sidecar=bone)
    put(raw.root / name, make)
    waiting, other = plan(raw.root)
    assert isinstance(waiting, Skipped)
    assert waiting.exit_code == 65
    assert name in waiting.reason
    assert told in waiting.reason
    assert isinstance(other, Unit)


@FORMS
def test_a_description_that_was_not_fetched_is_told(raw, make, told):
    raw.image("sub-01/ct/sub-01_ct.nii.gz")
    put(raw.root / "dataset_description.json", make)
    with pytest.raises(InvalidInputError, match=told):
        plan(raw.root)
    assert len(plan(raw.root, skip_validation=True)) == 1
