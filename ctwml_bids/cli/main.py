"""From a command line to an exit code: check, plan, run, tell."""

from __future__ import annotations

import errno
import logging
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from types import FrameType

from ctwml_bids import __version__
from ctwml_bids.cli.parser import parse
from ctwml_bids.cli.terminal import complain, on_screen
from ctwml_bids.errors import CannotCreateError, CtwmlError, InputOutputError, NoInputError
from ctwml_bids.run.progress import log_file, log_to, run_name, start_logging, stop_logging
from ctwml_bids.settings import Settings

LOG = logging.getLogger("ctwml_bids")
INTERRUPTED, TERMINATED = 130, 143
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR)


class _Terminated(KeyboardInterrupt):
    """SIGTERM, as a scheduler or a container engine sends it: stop as Ctrl-C does."""

    exit_code = TERMINATED


def main(argv: Sequence[str] | None = None) -> int:
    """Run the app.

    Parameters
    ----------
    argv
        The arguments after the program's name; those of this process by default.

    Returns
    -------
    int
        The exit code: 0 done, 1 some unit failed, else as `ctwml_bids --help` lists them.
    """
    return on_screen("ctwml_bids", lambda: _whole_run(argv))


def _whole_run(argv: Sequence[str] | None) -> int:
    """Run the app; any error becomes a message and an exit code."""
    settings, started = None, datetime.now()
    previous = _catch_sigterm()
    try:
        settings = parse(argv)
        return run(settings, started)
    except CtwmlError as error:
        return _complain(str(error), error.exit_code)
    except _Terminated:
        return _stopped("stopped by the system (SIGTERM); run again to go on.", TERMINATED)
    except KeyboardInterrupt:
        return _stopped("interrupted; run the same command again to go on.", INTERRUPTED)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            return _complain(
                f"the disk is full: {error}. Make room and run the same command again: what is "
                "done is kept.",
                InputOutputError.exit_code,
            )
        if refused := _refused_output(error, settings):
            return _complain(refused, CannotCreateError.exit_code)
        return _unexpected(error, settings, started)
    finally:
        stop_logging()
        if previous is not None:
            signal.signal(signal.SIGTERM, previous)


def run(settings: Settings, started: datetime) -> int:
    """Do what settings say.

    Parameters
    ----------
    settings
        As the command line gave them.
    started
        When the program started; names its files in ``logs/``.

    Returns
    -------
    int
        The exit code.

    Raises
    ------
    CtwmlError
        If the run as a whole cannot go on.
    """
    # This import and those below are slow; --help, --version and other levels need none of them.
    from ctwml_bids.run.preflight import preflight

    progress = start_logging(settings.verbose)
    ready = preflight(settings)
    if settings.boilerplate_only:
        from ctwml_bids.reports.methods import methods
        from ctwml_bids.segmentation import networks

        print(
            methods(
                version=__version__,
                networks={name: networks.of_card(card) for name, card in ready.cards.items()},
                template=settings.template,
                normalisation=settings.normalisation,
                models={name: asdict(card) for name, card in ready.cards.items()},
            ).text()
        )
        return 0
    code = 0
    if "participant" in settings.analysis_levels:
        from ctwml_bids.run.level import run_level

        code = run_level(ready, progress, started)
    if "train" in settings.analysis_levels:
        # It needs torch, which the participant level must not have in this process.
        from ctwml_bids.training.level import run_train

        code = run_train(settings, progress, started) or code
    if "group" in settings.analysis_levels:
        if settings.dry_run:
            print(f"group: would summarise {settings.output_dir}")
            return code
        log_to(log_file(settings.output_dir, started))
        from ctwml_bids.group.level import summarise

        try:
            report = summarise(ready)
        except NoInputError as error:
            if not code:
                raise
            # Why no unit finished says more than that none did.
            LOG.error("group: %s", error)
            return code
        LOG.info("group: done, open %s", report)
    return code


def _catch_sigterm() -> Callable[[int, FrameType | None], object] | int | None:
    """Make SIGTERM stop the run in order; None where signals are not ours to handle."""
    if threading.current_thread() is not threading.main_thread():
        return None
    return signal.signal(signal.SIGTERM, _on_sigterm)


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    raise _Terminated


def _complain(message: str, code: int) -> int:
    LOG.debug("exit code %d: %s", code, message)
    return complain("ctwml_bids", message, code)


def _stopped(message: str, code: int) -> int:
    """Say that the run was stopped from outside, which needs no reading on."""
    LOG.debug("exit code %d: %s", code, message)
    print(f"ctwml_bids: error: {message}", file=sys.stderr)
    return code


def _refused_output(error: Exception, settings: Settings | None) -> str:
    """Say which file in our own folders may not be written; empty for any other error."""
    if not isinstance(error, OSError) or error.errno not in REFUSED or settings is None:
        return ""
    ours = (settings.output_dir, settings.work_dir)
    if not any(Path(str(error.filename)).is_relative_to(folder) for folder in ours):
        return ""
    return (
        f"{error.filename}: cannot be written ({error.strerror}); give this user the right to "
        "write there, or choose another output folder."
    )


def _unexpected(error: Exception, settings: Settings | None, started: datetime) -> int:
    """Write the traceback of a bug to a file and say where it is; a dry run writes no file."""
    text = "".join(traceback.format_exception(error))
    what = f"unexpected {type(error).__name__}: {error}"
    if settings is not None and not (settings.dry_run or settings.boilerplate_only):
        path = settings.output_dir / "logs" / f"{run_name(started)}_traceback.txt"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
        except OSError:
            print(text, file=sys.stderr)
        else:
            return _complain(f"{what}. This is a bug; please report it with {path}.", 1)
    else:
        print(text, file=sys.stderr)
    return _complain(f"{what}. This is a bug; please report it.", 1)
