"""Run one input, and say what is wrong with what it did."""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import shutil
import stat
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from ctwml_bids.execution.slurm import TASKS
from tests.fuzz.case import WRITABLE, Case
from tests.fuzz.lines import Lines
from tests.fuzz.programs import PROGRAMS
from tests.fuzz.watch import Watch

# The documented exit codes, docs/refused.md.
EXIT_CODES = (0, 1, 16, 17, 18, 64, 65, 66, 73, 74, 75)
BUGS = ("Traceback (most recent", "This is a bug", "Logging error")
FORMULA = tuple("=+-@")


@dataclass
class Verdict:
    """What one input did.

    Attributes
    ----------
    faults
        What is wrong with that, one line each; the first words are its class.
    code, said
        Exit code (None where there is none), and what was printed.
    seconds
        Of wall clock.
    grown
        Bytes by which the most memory that was ever held grew.
    lines
        Lines of the readers that no former input of the process had reached.
    """

    faults: list[str] = field(default_factory=list)
    code: int | None = None
    said: str = ""
    seconds: float = 0.0
    grown: int = 0
    lines: dict[str, list[int]] = field(default_factory=dict)


def judged(case: Case, watch: Watch, lines: Lines | None) -> Verdict:
    verdict = Verdict()
    box = Path(tempfile.mkdtemp(prefix="ctwml-fuzz-")).resolve()
    try:
        argv = case.lay(box)
        own = box / "tmp"
        own.mkdir()
        os.chdir(box / "cwd")
        tempfile.tempdir = str(own)
        before = _seen(box)
        watch.allowed = (*(str(box / name) for name in (*WRITABLE, "tmp")), "/dev/null", "/proc")
        watch.found = []
        held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        out, err = _stream(), _stream()
        begun = time.monotonic()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                watch.active = True
                try:
                    with lines.counting() if lines else contextlib.nullcontext():
                        verdict.code = PROGRAMS[case.program](argv)
                finally:
                    watch.active = False
        except BaseException:
            verdict.faults.append("escape: " + " ".join(traceback.format_exc().split("\n")[-30:]))
        verdict.seconds = time.monotonic() - begun
        verdict.grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held)
        verdict.said = _text(out) + _text(err)
        verdict.faults += _faults(case, verdict, box, before, watch.found)
        if lines:
            verdict.lines = lines.new()
    finally:
        os.chdir("/")
        tempfile.tempdir = None
        shutil.rmtree(box, ignore_errors=True)
    return verdict


def _faults(
    case: Case, verdict: Verdict, box: Path, before: dict[str, object], written: list[str]
) -> list[str]:
    faults = []
    said, code = verdict.said, verdict.code
    if code is not None and code not in EXIT_CODES:
        faults.append(f"code: {code} is not documented")
    if case.code is not None and code != case.code:
        faults.append(f"code: {code}, and {case.code} is right")
    for sign in BUGS:
        if sign in said:
            where = [path.read_text(errors="replace") for path in box.glob("out/logs/*_trace*")]
            faults.append(f"bug: {(where or [said])[0][-6000:]}")
            break
    if "MemoryError" in said:
        faults.append(f"memory: {said[-500:]}")
    if code not in (0, None):
        if not said.strip():
            faults.append(f"silent: exit code {code} without a word")
        elif case.named and not any(name.replace("{box}", str(box)) in said for name in case.named):
            faults.append(f"nameless: names none of {case.named}: {said[-600:]}")
    faults += [f"outside: {one}" for one in written[:3]]
    after = _seen(box)
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    strange = sorted(name for name in changed if name.split("/")[0] not in (*WRITABLE, "tmp"))
    faults += [f"outside: changed {name}" for name in strange[:3]]
    if "--dry-run" in case.argv and (new := sorted(changed)):
        faults.append(f"dry: wrote {new[:3]}")
    faults += [f"left: {name}" for name in sorted(after.keys() - before.keys()) if ".tmp_" in name]
    faults += _half_written(box, changed)
    faults += _unescaped(case, box, changed)
    return faults


def _half_written(box: Path, changed: set[str]) -> list[str]:
    """Look whether every file that was written is whole."""
    faults = []
    for name in sorted(changed):
        path = box / name
        if not path.is_file() or not name.startswith("out/"):
            continue
        if name.endswith(".json"):
            try:
                json.loads(path.read_text(encoding="utf-8"))
            except (ValueError, RecursionError) as error:
                faults.append(f"half: {name} is no JSON ({error})")
        elif name.endswith(".tsv"):
            rows = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
            if len({row.count("\t") for row in rows}) > 1:
                faults.append(f"half: {name} has rows of different lengths")
            if path.name == TASKS:
                # Words of a command line, which the script of the array reads as they are.
                continue
            faults += [
                f"formula: {name} has the cell {cell[:40]!r}"
                for row in rows
                for cell in row.split("\t")
                if cell.startswith(FORMULA) and not _is_number(cell) and len(cell) > 1
            ][:1]
    return faults


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _unescaped(case: Case, box: Path, changed: set[str]) -> list[str]:
    faults = []
    for name in sorted(changed):
        if name.startswith("out/") and name.endswith((".html", ".svg")):
            text = (box / name).read_text(encoding="utf-8", errors="replace")
            faults += [f"html: {name} has {mark!r}" for mark in case.marked if mark in text]
    return faults


def _seen(box: Path) -> dict[str, object]:
    """Return size, time and link of everything in a box, by its path there."""
    found: dict[str, object] = {}
    for parent, folders, names in os.walk(box):
        for name in (*folders, *names):
            path = os.path.join(parent, name)
            facts = os.lstat(path)
            shown = os.path.relpath(path, box)
            if stat.S_ISDIR(facts.st_mode):
                found[shown] = "folder"
            else:
                found[shown] = (facts.st_mode, facts.st_size, facts.st_mtime_ns, facts.st_ino)
    return found


def _stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    return stream.buffer.getvalue().decode("utf-8", "replace")  # type: ignore[attr-defined]
