"""What went wrong in a node, read from its traceback's text: Nipype passes no exception on."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass

from ctwml_bids import errors

TYPED = {
    name: kind
    for name, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.CtwmlError)
}
# A traceback's last part: a dotted class name at the start of a line, then its message.
_EXCEPTION = re.compile(r"^[ \t]*((?:\w+\.)*([A-Z]\w*)): ?(.*)$")
_NO_SPACE = re.compile(r"\[Errno (28|122)\]")


@dataclass(frozen=True)
class Failure:
    """Why a node failed: the error's class, its message for the user, and an exit code."""

    error: str
    message: str
    exit_code: int


def failure_reason(traceback_text: str) -> tuple[str, str]:
    """Extract the error's class name and message from a node's traceback.

    A typed error of this package is found wherever it stands, since Nipype wraps it in its own;
    otherwise the innermost exception of the text is taken.

    Parameters
    ----------
    traceback_text
        As in `IsolatedMultiProcPlugin.failures`.

    Returns
    -------
    tuple of str
        Class name without its module, and the message in one line.
    """
    found = _exceptions(traceback_text)
    for name, message in reversed(found):
        if name in TYPED:
            return name, message
    inner = [item for item in found if item[0] != "NodeExecutionError"]
    if inner:
        return inner[-1]
    lines = traceback_text.strip().splitlines()
    return "Exception", lines[-1].strip() if lines else "no reason was given"


def failure_of(traceback_text: str) -> Failure:
    """Extract the reason and give it an exit code (1 where the error is not a typed one).

    Parameters
    ----------
    traceback_text
        As in `IsolatedMultiProcPlugin.failures`.
    """
    name, message = failure_reason(traceback_text)
    if name in TYPED:
        return Failure(name, message, TYPED[name].exit_code)
    if _NO_SPACE.search(message):
        return Failure(
            "InputOutputError",
            f"the disk is full: {message}; make room and run again: what is done is kept",
            errors.InputOutputError.exit_code,
        )
    if name == "MemoryError":
        hint = "memory ran out; give it more, or lower --nprocs"
        return Failure(
            name, f"{hint} ({message})" if message else hint, errors.TemporaryError.exit_code
        )
    return Failure(name, f"{name}: {message}" if message else name, 1)


def _exceptions(text: str) -> list[tuple[str, str]]:
    """List the exceptions that a text of (nested) tracebacks names, in their order."""
    found: list[tuple[str, list[str]]] = []
    inside = False
    for line in text.splitlines():
        match = _EXCEPTION.match(line) or re.match(r"^[ \t]*((?:\w+\.)*(\w+Error))()$", line)
        if match and (match[2] in TYPED or match[2].endswith(("Error", "Exception", "Interrupt"))):
            found.append((match[2], [match[3]]))
            inside = True
        elif inside and line.strip() and not line.lstrip().startswith(("Traceback", "File ")):
            found[-1][1].append(line.strip())
        else:
            inside = False
    return [(name, " ".join(part for part in parts if part).strip()) for name, parts in found]
