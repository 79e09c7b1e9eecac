"""The console script ctwml-slurm: job arrays of what is missing, written and perhaps submitted."""

from __future__ import annotations

import argparse
import hashlib
import math
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ctwml_bids.cli.options import of_level, without
from ctwml_bids.cli.parser import parse
from ctwml_bids.cli.slurm_options import build_parser
from ctwml_bids.cli.slurm_program import program, split
from ctwml_bids.cli.terminal import complain, on_screen
from ctwml_bids.cli.values import absolute
from ctwml_bids.errors import CtwmlError, TemporaryError, UsageError
from ctwml_bids.execution.slurm import SUBMIT, SUBMITTED, TASKS, Program, Site, Stage
from ctwml_bids.execution.slurm_script import script
from ctwml_bids.execution.slurm_submission import submission
from ctwml_bids.settings import OPTIONS, Settings

if TYPE_CHECKING:
    from ctwml_bids.run.missing import Missing

# Options of this program whose value may begin with a dash.
_GIVEN = ("--sbatch", "--apptainer", "--setup")
# Settings of ctwml_bids that are this program's to give.
_OURS = ("participant_labels", "session_labels", "work_dir", "only", "use_plugin", "dry_run")
MAX_ARRAY = 1000


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv
        Arguments without the program's name; those of the process if None.

    Returns
    -------
    int
        0; else as ``ctwml_bids --help`` lists them.
    """
    return on_screen("ctwml-slurm", lambda: _whole_run(sys.argv[1:] if argv is None else argv))


def _whole_run(argv: Sequence[str]) -> int:
    """Run the program; an error meant for the user becomes a message and an exit code."""
    try:
        return run(*read(argv))
    except CtwmlError as error:
        return complain("ctwml-slurm", str(error), error.exit_code)
    except KeyboardInterrupt:
        print("ctwml-slurm: interrupted", file=sys.stderr)
        return 130


def read(argv: Sequence[str]) -> tuple[argparse.Namespace, tuple[str, ...]]:
    """Read a command line: our own options, and the words after two dashes.

    Returns
    -------
    options, words
        Paths among the words are absolute: tasks begin in another folder.
    """
    ours, words = list(argv), []
    if "--" in ours:
        cut = ours.index("--")
        ours, words = ours[:cut], ours[cut + 1 :]
    # argparse takes what begins with a dash for an option.
    for place in reversed(range(len(ours) - 1)):
        if ours[place] in _GIVEN:
            ours[place : place + 2] = [f"{ours[place]}={ours[place + 1]}"]
    return build_parser().parse_args(ours), tuple(_absolute(word) for word in words)


def run(options: argparse.Namespace, words: tuple[str, ...]) -> int:
    """Write the scripts of what is missing, and submit them if that is asked for.

    Raises
    ------
    CtwmlError
        The first thing found that would make the jobs fail.
    """
    # Slow, and --help needs none of it.
    from ctwml_bids.bids.dataset import check_output_dir

    settings = _settings(options, words)
    site = Site(
        sbatch=split("--sbatch", options.sbatch),
        setup=options.setup,
        max_array=options.max_array or _max_array(),
        at_once=options.at_once,
    )
    job_name = f"ctwml-{hashlib.sha256(str(options.output_dir).encode()).hexdigest()[:8]}"
    if options.submit:
        _check_queue(job_name, options.output_dir)
    check_output_dir(options.bids_dir, options.output_dir, create=False)
    jobs = _jobs_folder(options)
    # The same at every submission, so that heads that lie there are used again.
    work = options.work_dir or options.output_dir / "logs" / "slurm-work"
    missing = _missing(settings, options, work)
    stages, started_by = _stages(missing, options), program(options, words, settings)
    print("\n".join(missing.lines))
    if not missing.tasks:
        print(f"nothing is missing but the {missing.stages[-1].name} task")
    check_output_dir(options.bids_dir, options.output_dir)
    _write(jobs, missing, stages, started_by, site, job_name)
    _tell(jobs, stages, len(missing.tasks), job_name, options.output_dir)
    if not options.submit:
        print(f"submit:    bash {shlex.quote(str(jobs / SUBMIT))}")
        return 0
    return _submit(jobs / SUBMIT, missing)


def _settings(options: argparse.Namespace, words: Sequence[str]) -> Settings:
    chosen = (
        ("--participant-label", options.participant_labels),
        ("--session-label", options.session_labels),
    )
    labels = [word for flag, given in chosen if given for word in (flag, *given)]
    levels = ("train",) if options.train else ("participant", "group")
    ours = [str(options.bids_dir), str(options.output_dir), *levels, *labels]
    settings, plain = parse([*ours, *words]), parse(ours)
    if given := [name for name in _OURS if getattr(settings, name) != getattr(plain, name)]:
        option = OPTIONS[given[0]].flags[-1 if given[0] == "work_dir" else 0]
        raise UsageError(f"{option} after --: ctwml-slurm gives it; see ctwml-slurm --help.")
    return settings


def _missing(settings: Settings, options: argparse.Namespace, work: Path) -> Missing:
    """List what is to be done; torch, which a training needs, is imported for it alone."""
    if options.train:
        from ctwml_bids.training.missing import missing_networks

        return missing_networks(settings, options.cpus, work)
    from ctwml_bids.run.missing import missing_units

    return missing_units(settings, options.cpus)


def _jobs_folder(options: argparse.Namespace) -> Path:
    if options.jobs_dir is not None:
        jobs = absolute(options.jobs_dir)
        if jobs.exists() and any(jobs.iterdir()):
            raise UsageError(f"{jobs}: is not empty (--jobs-dir); each submission has its own.")
        return jobs
    now = datetime.now()
    name = f"slurm-{now:%Y%m%dT%H%M%S}-{now.microsecond // 1000:03d}"
    return options.output_dir / "logs" / name


def _stages(missing: Missing, options: argparse.Namespace) -> list[Stage]:
    """Give the array what the user asks for in place of what the images ask for."""
    asked: dict[str, int] = {}
    if options.mem:
        asked["memory_gb"] = max(1, math.ceil(options.mem))
    if options.minutes:
        asked["minutes"] = options.minutes
    return [
        replace(stage, need=replace(stage.need, **asked)) if stage.array else stage
        for stage in missing.stages
    ]


def _absolute(word: str) -> str:
    """Make a path among the program's words absolute, also one after an equals sign."""
    before, equals, path = word.rpartition("=")
    if re.search(r"[./]", path) and not path.startswith("-") and Path(path).exists():
        return f"{before}{equals}{absolute(path)}"
    return word


def _check_queue(job_name: str, output_dir: Path) -> None:
    """Refuse to submit twice: jobs in the queue have the same tasks."""
    if shutil.which("sbatch") is None:
        raise UsageError(
            "--submit: there is no sbatch on this machine. Without it, the scripts are written, "
            "and a shell on the cluster submits them."
        )
    queue = _answer("squeue", "--noheader", "--name", job_name, "--format", "%A")
    if queue.returncode:
        raise TemporaryError(
            f"{output_dir}: squeue does not say what is in the queue ({queue.stderr.strip()})."
        )
    if ids := " ".join(dict.fromkeys(queue.stdout.split())):
        raise TemporaryError(
            f"{output_dir}: its jobs {ids} are still in the queue. Wait until they have ended, or "
            f"scancel --name {job_name}."
        )


def _max_array() -> int:
    """Ask the site how many tasks an array may have."""
    if shutil.which("scontrol") is None:
        return MAX_ARRAY
    told = _answer("scontrol", "show", "config").stdout
    match = re.search(r"^MaxArraySize\s*=\s*(\d+)", told, flags=re.M)
    # The highest index is one less than the size.
    return max(1, int(match[1])) if match else MAX_ARRAY


def _answer(*command: str) -> subprocess.CompletedProcess[str]:
    """Ask the site's own commands, whatever the encoding of their answer."""
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)


def _submit(path: Path, missing: Missing) -> int:
    """Run the submitting script; what it says is passed on, also where nobody reads it."""
    found = _answer("bash", str(path))
    print(found.stdout, end="")
    print(found.stderr, end="", file=sys.stderr)
    # 75: the site took a part.
    if found.returncode in (0, TemporaryError.exit_code) and (path.parent / SUBMITTED).is_file():
        missing.note()
    return found.returncode


def _write(
    jobs: Path,
    missing: Missing,
    stages: Sequence[Stage],
    program: Program,
    site: Site,
    job_name: str,
) -> None:
    from ctwml_bids.bids.files import make_folder, write_text

    make_folder(jobs)
    write_text(jobs / TASKS, "".join("\t".join(task) + "\n" for task in missing.tasks))
    for stage in stages:
        # A level is given its own options alone: it refuses those of another.
        words = without(of_level(program.options, stage.words[0]), "rerun")
        started_by = replace(program, options=words)
        text = script(stage, started_by, site, jobs=jobs, job_name=job_name)
        write_text(jobs / f"{stage.name}.sh", text)
    count, queued = len(missing.tasks), missing.queued
    text = submission(stages, count, site, jobs=jobs, job_name=job_name, queued=queued)
    write_text(jobs / SUBMIT, text)


def _tell(jobs: Path, stages: Sequence[Stage], tasks: int, job_name: str, output_dir: Path) -> None:
    for stage in stages:
        count = f"{tasks} task(s)" if stage.array else "1 task"
        need = stage.need
        print(
            f"{stage.name + ':':<13}{count} of {need.cpus} CPU(s), {need.memory_gb} GB, "
            f"{need.minutes} min"
        )
    print(f"scripts:   {jobs}")
    print(f"watch:     squeue --name {job_name}; tail -f {shlex.quote(str(jobs))}/*.log")
    print(f"how it is: column -t -s $'\\t' {shlex.quote(str(output_dir / 'logs/status.tsv'))}")
    print("afterwards, the same command submits what is missing")


if __name__ == "__main__":
    sys.exit(main())
