"""Screens that are closed, full, ASCII or left by their reader: a run ends as it would have."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ctwml_bids.bids.files import write_text
from ctwml_bids.bids.filters import load_filters
from ctwml_bids.cli import main as app
from ctwml_bids.cli.terminal import Screen, on_screen
from ctwml_bids.run.plugin_file import read_plugin
from ctwml_bids.settings import read_toml

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {
    "ctwml_bids": ("ctwml_bids",),
    "ctwml-slurm": ("ctwml_bids.cli.slurm",),
    "ctwml-simulate": ("ctwml_bids.cli.simulate",),
}


def left_pipe() -> int:
    """Return the writing end of a pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def ended(module, *words, **how):
    """Run a program as its own process; returns exit code, output and errors."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **how.pop("env", {})}
    caught = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
    command = [sys.executable, "-m", module, *map(str, words)]
    found = subprocess.run(command, env=environment, check=False, **caught)
    return found.returncode, found.stdout or b"", found.stderr or b""


@pytest.mark.parametrize("module", [module for (module,) in PROGRAMS.values()])
def test_help_whose_reader_has_gone_ends_quietly(module):
    writer = left_pipe()
    code, _, said = ended(module, "--help", stdout=writer)
    os.close(writer)
    assert (code, said) == (0, b"")


STREAMS = {
    "left by its reader": ("stdout", left_pipe, 0, b""),
    "a full device": ("stdout", lambda: os.open("/dev/full", os.O_WRONLY), 74, b"No space left"),
    "errors left": ("stderr", left_pipe, 0, b""),
    "errors to a full device": ("stderr", lambda: os.open("/dev/full", os.O_WRONLY), 0, b""),
}


@pytest.mark.parametrize("kind", STREAMS)
def test_a_dry_run_writes_nothing_whatever_its_screen_is(kind, dataset, tmp_path):
    stream, opened, expected, words = STREAMS[kind]
    descriptor = opened()
    folders = (dataset, tmp_path / "out", "participant", "--dry-run", "-w", tmp_path / "work")
    code, out, said = ended("ctwml_bids", *folders, **{stream: descriptor})
    os.close(descriptor)
    assert code == expected
    assert words in said
    assert b"bug" not in said
    assert b"Traceback" not in said
    assert stream == "stdout" or b"sub-01: would run" in out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_closed_stream_changes_nothing(closed, tmp_path):
    words = f"{sys.executable} -m ctwml_bids {tmp_path} {tmp_path}/out nonsense {closed}"
    found = subprocess.run(["sh", "-c", words], cwd=ROOT, capture_output=True, check=False)
    assert found.returncode == 17
    assert b"Traceback" not in found.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "koi8-r", "shift-jis"])
def test_what_an_encoding_lacks_is_written_as_its_code(encoding, dataset, tmp_path, monkeypatch):
    folder = dataset.rename(tmp_path / "Данные µ – 数据")
    said = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(said, encoding=encoding, errors="strict"))
    words = (folder, tmp_path / "выход →", "participant", "--dry-run", "-w", tmp_path / "w")
    assert app.main([str(word) for word in words]) == 0
    assert str(folder).encode(encoding, "backslashreplace") in said.getvalue()


def test_a_terminal_of_ascii_alone_gets_the_whole_plan(dataset, tmp_path):
    folder = dataset.rename(tmp_path / "Ödem µ")
    words = (folder, tmp_path / "out", "participant", "--dry-run", "-w", tmp_path / "w")
    environment = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    code, said, errors = ended("ctwml_bids", *words, env=environment)
    assert (code, errors) == (0, b"")
    assert rb"\xd6dem \xb5" in said
    assert b"sub-02: would run" in said


def test_a_name_that_is_no_text_is_written_to_a_file_and_read_back(tmp_path):
    path = write_text(tmp_path / "a.json", json.dumps({"name": "a\udcffb"}, ensure_ascii=False))
    assert json.loads(path.read_text(encoding="utf-8")) == {"name": "a\udcffb"}


class Broken(io.StringIO):
    """A stream that takes so many characters and then fails."""

    def __init__(self, room: int, number: int) -> None:
        super().__init__()
        self.room, self.number = room, number

    def write(self, text: str) -> int:
        if len(self.getvalue()) + len(text) > self.room:
            raise OSError(self.number, os.strerror(self.number))
        return super().write(text)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.EPIPE, 0),
        (errno.ENOSPC, 74),
        (errno.EIO, 74),
        (errno.EBADF, 74),
        (errno.EDQUOT, 74),
    ],
)
def test_the_work_goes_on_and_the_loss_is_told_where_it_matters(number, code, monkeypatch):
    out, err, steps = Broken(10, number), io.StringIO(), []
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)

    def body():
        for step in range(5):
            print("a line of text")
            steps.append(step)
        return 0

    assert on_screen("ctwml", body) == code
    assert steps == list(range(5))
    assert err.getvalue() == (
        "" if code == 0 else f"ctwml: error: standard output: {os.strerror(number)}.\n"
    )
    assert sys.stdout is out


def test_an_error_of_the_run_is_worth_more_than_that_of_its_screen(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Broken(0, errno.ENOSPC))
    assert on_screen("ctwml", lambda: print("text") or 65) == 65


def test_a_stream_that_is_not_there_takes_everything():
    screen = Screen(None)
    assert screen.write("text") == 4
    assert not screen.isatty()
    assert screen.lost is None


@pytest.mark.parametrize("option", ["--dry-run", "--boilerplate-only"])
def test_a_bug_in_a_run_that_writes_nothing_is_told_on_the_screen_alone(
    option, dataset, models, tmp_path, monkeypatch, capsys
):
    def fails(*_, **__):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("ctwml_bids.run.preflight.preflight", fails)
    code = app.main([str(dataset), str(tmp_path / "out"), "participant", option])
    assert code == 1
    assert "ZeroDivisionError: oh" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


BOM = "\ufeff"


@pytest.mark.parametrize(
    "text",
    [
        '{"ct": {"run": "1"}}',
        '\n{"ct": {"run": "1"}}',
        '{"ct": {"run": 1}}\r\n',
        '{\r\n  "ct": {"run": ["01"]}\r\n}',
        ' {"ct":{"run":"01"}}',
    ],
)
def test_a_filter_file_may_begin_with_a_byte_order_mark(text, tmp_path):
    path = tmp_path / "filter.json"
    path.write_bytes((BOM + text).encode())
    assert load_filters(path).ct == (("run", ("1",)),)


def test_a_configuration_and_a_plugin_file_may_begin_with_one_too(tmp_path):
    config = tmp_path / "c.toml"
    config.write_bytes((BOM + "random_seed = 3\n").encode())
    assert read_toml(config) == {"random_seed": 3}
    for name, text in (("p.json", '{"plugin": "Linear"}'), ("p.toml", 'plugin = "Linear"')):
        (tmp_path / name).write_bytes((BOM + text).encode())
        assert read_plugin(tmp_path / name) == ("Linear", {})
