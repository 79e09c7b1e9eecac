"""A process that runs one input after another, with limits, and says what each did.

It is forked from one that has imported everything, so that an input costs no start of Python. It is
replaced after a hang, a death, and some hundred inputs.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import resource
import select
import shutil
import signal
import stat
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.case import WRITABLE, Case
from tests.fuzz.lines import Lines

HANG_S = 60.0
GROWTH_BYTES = 2 * 1024**3
# Inputs of one process: what it has cached of former ones is forgotten now and then.
INPUTS = 250
# The documented exit codes, docs/refused.md.
EXIT_CODES = (0, 1, 16, 18, 64, 65, 66, 73, 74, 75)
BUGS = ("Traceback (most recent", "This is a bug", "unexpected ")
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
    lines: dict[str, set[int]] = field(default_factory=dict)


class Worker:
    """Runs inputs in a process of its own.

    Parameters
    ----------
    traced
        Whether the lines of the readers that are reached are counted: three times slower.
    """

    def __init__(self, *, traced: bool = False) -> None:
        self._traced, self._pid, self._left = traced, 0, 0
        self._to: int = -1
        self._from: int = -1

    def run(self, case: Case) -> Verdict:
        """Run one input."""
        if not self._left:
            self.close()
            self._start()
        self._left -= 1
        _send(self._to, case)
        verdict = _receive(self._from, HANG_S)
        if isinstance(verdict, Verdict):
            if verdict.faults and "memory" in verdict.faults[0]:
                self._left = 0
            return verdict
        self._left = 0
        if verdict is None:
            return Verdict([f"hang: no end after {HANG_S:g} s"], seconds=HANG_S)
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        return Verdict([f"death: the process ended with status {status}"])

    def close(self) -> None:
        """End the process."""
        for descriptor in (self._to, self._from):
            if descriptor >= 0:
                os.close(descriptor)
        self._to = self._from = -1
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._pid = 0

    def _start(self) -> None:
        preload()
        (there, self._to), (self._from, here) = os.pipe(), os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            code = 1
            try:
                os.close(self._to)
                os.close(self._from)
                _serve(there, here, traced=self._traced)
                code = 0
            finally:
                os._exit(code)
        os.close(there)
        os.close(here)
        self._left = INPUTS


def preload() -> None:
    """Import what the program imports as it goes along: the limit of memory is for what follows."""
    # The figures are drawn without a screen.
    os.environ.setdefault("MPLBACKEND", "Agg")
    import ants  # noqa: F401
    import bids.layout  # noqa: F401
    import jsonschema  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import nipype.pipeline.engine  # noqa: F401
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


def _serve(there: int, here: int, *, traced: bool) -> None:
    sys.dont_write_bytecode = True
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_memory()
    watch = Watch()
    sys.addaudithook(watch)
    lines = Lines() if traced else None
    while True:
        case = _receive(there, None)
        if not isinstance(case, Case):
            return
        _send(here, _judged(case, watch, lines))


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + GROWTH_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    # The dump of a process that dies of it would fill the disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Watch:
    """An audit hook that notes what is written outside of the folders that may be written to."""

    def __init__(self) -> None:
        self.allowed: tuple[str, ...] = ()
        self.found: list[str] = []
        self.active = False

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        """Take note of one event."""
        if not self.active:
            return
        paths: list[object] = []
        if event == "open":
            path, mode, flags = (*arguments, 0, 0)[:3]
            writes = isinstance(mode, str) and any(sign in mode for sign in "wax+")
            if writes or (isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)):
                paths = [path]
        elif event in ("os.mkdir", "os.rmdir", "os.remove", "os.truncate", "shutil.rmtree"):
            paths = [arguments[0]]
        elif event in ("os.chmod", "os.chown", "os.utime"):
            paths = [arguments[0]]
        elif event in ("os.rename", "os.link"):
            paths = list(arguments[:2])
        elif event == "os.symlink":
            paths = [arguments[1]]
        elif event in ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn"):
            self.found.append(f"{event} {arguments[0]!r}"[:300])
        for path in paths:
            self._judge(event, path)

    def _judge(self, event: str, path: object) -> None:
        if isinstance(path, int) or path is None:
            return
        self.active = False
        try:
            # The parent is resolved: a link is written itself, where it is renamed or removed.
            text = os.path.abspath(os.fsdecode(path))  # type: ignore[arg-type]
            real = os.path.join(os.path.realpath(os.path.dirname(text)), os.path.basename(text))
            if event == "open":
                real = os.path.realpath(text)
            if not any(real == root or real.startswith(f"{root}/") for root in self.allowed):
                self.found.append(f"{event} {real}")
        finally:
            self.active = True


def _judged(case: Case, watch: Watch, lines: Lines | None) -> Verdict:
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
    for sign in BUGS:
        if sign in said:
            at = said.index(sign)
            faults.append(f"bug: {said[max(0, at - 1500) : at + 400]}")
            break
    if list(box.glob("out/logs/*_traceback.txt")):
        text = next(box.glob("out/logs/*_traceback.txt")).read_text(errors="replace")
        faults.append(f"bug: {text[-1500:]}")
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


def _send(descriptor: int, what: object) -> None:
    content = pickle.dumps(what)
    content = struct.pack("<Q", len(content)) + content
    while content:
        content = content[os.write(descriptor, content) :]


def _receive(descriptor: int, wait_s: float | None) -> object:
    """Return what was sent; None after too long a time, False where the sender has ended."""
    ends = None if wait_s is None else time.monotonic() + wait_s
    content = b""
    while len(content) < 8 or len(content) < 8 + struct.unpack("<Q", content[:8])[0]:
        left = None if ends is None else ends - time.monotonic()
        if left is not None and left <= 0:
            return None
        ready, _, _ = select.select([descriptor], [], [], left)
        if not ready:
            return None
        part = os.read(descriptor, 1 << 20)
        if not part:
            return False
        content += part
    return pickle.loads(content[8:])


def _ctwml_bids(argv: list[str]) -> int:
    from ctwml_bids.cli.main import main

    return main(argv)


def _up_to_the_reader(argv: list[str]) -> int:
    """Run the participant level; of each unit the images are read, and nothing else is done."""
    from ctwml_bids.bids.status import UnitResult
    from ctwml_bids.run import level
    from ctwml_bids.run.failures import failure_of
    from ctwml_bids.unit.modalities import FUNCTIONS

    def read(units, ready, progress):
        results = []
        for unit in units:
            try:
                for kind, path in unit.images.items():
                    sidecar = unit.ct_sidecar if kind == "ct" else unit.flair_sidecar
                    FUNCTIONS[kind].read(path, dict(sidecar))
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
        return _ctwml_bids(argv)
    finally:
        level._run_units = whole


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


def _simulate(argv: list[str]) -> int:
    from ctwml_bids.cli.simulate import main

    return main(argv)


def _slurm(argv: list[str]) -> int:
    from ctwml_bids.cli.slurm import main

    return main(argv)


PROGRAMS: dict[str, Callable[[list[str]], int]] = {
    "ctwml_bids": _ctwml_bids,
    "ctwml_bids up to the reader": _up_to_the_reader,
    "ctwml_bids up to the weights": _up_to_the_weights,
    "ctwml-simulate": _simulate,
    "ctwml-slurm": _slurm,
}
