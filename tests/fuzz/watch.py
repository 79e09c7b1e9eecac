"""What is written outside of the folders that may be written to, by the audit events of Python."""

from __future__ import annotations

import os

# Events of Python that change one path.
CHANGES = ("os.mkdir", "os.rmdir", "os.remove", "os.truncate", "shutil.rmtree")
CHANGES += ("os.chmod", "os.chown", "os.utime")
# Place of the folder's descriptor in the arguments of some.
DIR_FD = {"os.mkdir": 2, "os.rmdir": 1, "os.remove": 1, "os.chmod": 2, "os.rename": 2}
# Events that start a program; `platform` asks for the processor's name.
STARTS, HARMLESS = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn"), ("uname",)


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
        flags: object = 0
        if event == "open":
            path, mode, flags = (*arguments, 0, 0)[:3]
            writes = isinstance(mode, str) and any(sign in mode for sign in "wax+")
            if writes or (isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)):
                paths = [path]
        elif event in CHANGES:
            paths = [arguments[0]]
        elif event in ("os.rename", "os.link"):
            paths = list(arguments[:2])
        elif event == "os.symlink":
            paths = [arguments[1]]
        elif event in ("socket.connect", "socket.getaddrinfo"):
            self.found.append(f"{event} {arguments[1:]!r}"[:200])
        elif event in STARTS and arguments[0] not in HARMLESS:
            self.found.append(f"{event} {arguments[0]!r}"[:300])
        # What is removed with a whole folder is named from it.
        folder = arguments[DIR_FD[event]] if event in DIR_FD else -1
        for path in paths:
            self._judge(event, path, folder, flags if event == "open" else 0)

    def _judge(self, event: str, path: object, folder: object, flags: object) -> None:
        if isinstance(path, int) or path is None:
            return
        self.active = False
        try:
            # The parent is resolved: a link is written itself, where it is renamed or removed.
            text = os.fsdecode(path)  # type: ignore[arg-type]
            if isinstance(folder, int) and folder >= 0:
                text = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), text)
            text = os.path.abspath(text)
            real = os.path.join(os.path.realpath(os.path.dirname(text)), os.path.basename(text))
            if event == "open" and not flags & os.O_NOFOLLOW:
                real = os.path.realpath(text)
            if not any(real == root or real.startswith(f"{root}/") for root in self.allowed):
                self.found.append(f"{event} {real}")
        finally:
            self.active = True
