from __future__ import annotations

import io
import logging
import re
from pathlib import Path

import pytest

from ctwml_bids.run.progress import Progress, log_to, start_logging, stop_logging

LOG = logging.getLogger("ctwml_bids")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_each_finished_step_is_one_plain_line():
    screen = io.StringIO()
    progress = start_logging(0, screen)
    progress.begin(2)
    progress.step("sub-01", "brain_ct", "start")
    progress.step("sub-01", "brain_ct", "end")
    progress.step("sub-01", "register", "start")
    progress.step("sub-01", "register", "exception")
    progress.step("sub-02", "brain_ct", "end")
    progress.finish()
    lines = screen.getvalue().splitlines()
    patterns = [
        r"\[\d\d:\d\d:\d\d\] sub-01  brain_ct  done  \d+\.\d s",
        r"\[\d\d:\d\d:\d\d\] sub-01  register  failed  \d+\.\d s",
        r"\[\d\d:\d\d:\d\d\] sub-02  brain_ct  was done before",
    ]
    assert len(lines) == len(patterns)
    assert all(re.fullmatch(p, line) for p, line in zip(patterns, lines, strict=True))


def test_verbose_tells_starts_too():
    screen = io.StringIO()
    start_logging(1, screen).step("sub-01", "brain_ct", "start")
    assert "brain_ct  started" in screen.getvalue()


def test_a_terminal_has_a_bar_that_goes_away():
    screen = Terminal()
    progress = start_logging(0, screen)
    progress.begin(4)
    progress.step("sub-01", "brain_ct", "start")
    progress.unit(failed=False)
    progress.unit(failed=True)
    assert progress.bar(80) == "[##########..........] 2/4, 1 failed  sub-01 brain_ct"
    assert len(progress.bar(30)) <= 30
    LOG.info("a line")
    assert "a line\n" in screen.getvalue()
    progress.finish()
    assert screen.getvalue().endswith("\r\x1b[K")


def test_no_bar_outside_a_terminal():
    screen = io.StringIO()
    progress = Progress(screen)
    progress.begin(3)
    progress.unit(failed=False)
    progress.finish()
    assert screen.getvalue() == ""


def test_the_log_file_has_every_line_once_without_control_characters(tmp_path):
    progress = start_logging(0, Terminal())
    path = tmp_path / "logs" / "run.log"
    log_to(path)
    log_to(path)
    progress.begin(1)
    progress.step("sub-01", "brain_ct", "start")
    progress.step("sub-01", "brain_ct", "end")
    text = path.read_text()
    assert [line.split(" ", 2)[1] for line in text.splitlines()] == ["DEBUG", "INFO"]
    assert "\x1b" not in text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_a_log_file_on_a_full_disk_stops_nothing_and_prints_no_traceback(capsys):
    screen = io.StringIO()
    start_logging(0, screen)
    log_to(Path("/dev/full"))
    LOG.info("a line")
    stop_logging()
    assert "a line" in screen.getvalue()
    assert capsys.readouterr() == ("", "")
