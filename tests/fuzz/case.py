"""One generated input: the files of a box, and the command line that is run on them."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

# Folders of a box that a run may write to.
WRITABLE = ("out", "work")


@dataclass(frozen=True)
class Case:
    """What is run.

    Attributes
    ----------
    kind
        Of `kinds.KINDS`.
    argv
        Words of the command line; ``{box}`` stands for the folder of the files.
    files
        Path in the box → content. Names that are no text have surrogates, as in `os.fsdecode`.
    links
        Path in the box → what a symbolic link there says.
    folders
        Empty folders.
    program
        Of `worker.PROGRAMS`.
    named
        A run that refuses its input names one of these.
    marked
        Texts that no page may hold as they are (HTML).
    code
        The right exit code, where it is known; None: any that is documented.
    """

    kind: str
    argv: tuple[str, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    program: str = "ctwml_bids"
    named: tuple[str, ...] = ()
    marked: tuple[str, ...] = ()
    code: int | None = None

    def lay(self, box: Path) -> list[str]:
        """Write the files and return the command line.

        What the system refuses to create (a name that is too long) is left out.
        """
        for name in ("bids", "cwd", *self.folders):
            _made(box / name)
        # Nobody writes to it: whoever opens it waits for ever.
        os.mkfifo(box / "pipe")
        for name, content in self.files.items():
            path = box / name
            if _made(path.parent):
                try:
                    path.write_bytes(content)
                except (OSError, ValueError):
                    continue
        for name, target in self.links.items():
            path = box / name
            if _made(path.parent):
                try:
                    path.unlink(missing_ok=True)
                    path.symlink_to(target.replace("{box}", str(box)))
                except (OSError, ValueError):
                    continue
        return [word.replace("{box}", str(box)) for word in self.argv]

    def to_json(self) -> str:
        """Write it as it is kept in ``corpus/``; content that is no text in base64."""
        files = {}
        for name, content in self.files.items():
            try:
                files[name] = content.decode("utf-8")
            except UnicodeDecodeError:
                files[name] = {"base64": base64.b64encode(content).decode()}
        record = {**vars(self), "files": files}
        return json.dumps(record, indent=1, ensure_ascii=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Case:
        """Read what `to_json` wrote."""
        record = json.loads(text)
        files = {
            name: base64.b64decode(said["base64"]) if isinstance(said, dict) else said.encode()
            for name, said in record.pop("files").items()
        }
        for name in ("argv", "folders", "named", "marked"):
            record[name] = tuple(record[name])
        return cls(files=files, **record)


def _made(folder: Path) -> bool:
    try:
        os.makedirs(folder, exist_ok=True)
    except (OSError, ValueError):
        return False
    return True
