"""How processes that tests start take Ctrl-C."""

from __future__ import annotations

import signal


def hears_ctrl_c() -> None:
    """Let SIGINT interrupt, also where the tests were started by ``nohup ... &``, which ignores it.

    For `preexec_fn` of `subprocess.Popen`: a program inherits which signals are ignored.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def ignores_ctrl_c() -> None:
    """Ignore SIGINT, as a shell has its background jobs do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
