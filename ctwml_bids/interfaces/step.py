"""What all node classes have in common: records of files go in, and one record comes out.

They import their functions when a node runs: the parent process must not load ITK or torch, whose
threads do not survive in workers.
"""

from __future__ import annotations

from types import NoneType, UnionType
from typing import get_args, get_origin, get_type_hints

from nipype.interfaces.base import Bunch, File, SimpleInterface, traits


class Record(traits.BaseTuple):
    """A trait that holds a record of files (`unit.records`), each of which must be there.

    Parameters
    ----------
    kind
        The record's class.
    optional
        Whether there may be None instead, as in a field whose type says so.
    """

    def __init__(
        self, kind: type[tuple[object, ...]], *, optional: bool = False, **metadata: object
    ) -> None:
        self.kind, self.optional = kind, optional
        super().__init__(*map(_trait, get_type_hints(kind).values()), **metadata)

    def validate(self, owner: object, name: str, value: object) -> tuple[object, ...] | None:
        """Check the files; Nipype hands on plain tuples when it loads a former result."""
        if value is None and self.optional:
            return None
        return self.kind(*super().validate(owner, name, value))

    def full_info(self, owner: object, name: str, value: object) -> str:
        """Say in an error what is expected."""
        return f"a {self.kind.__name__} of files that are there"


def _trait(kind: type) -> File | Record:
    if get_origin(kind) is UnionType:
        kind, _ = sorted(get_args(kind), key=lambda part: part is NoneType)
        return Record(kind, optional=True)
    return File(exists=True) if kind is str else Record(kind)


class Step(SimpleInterface):
    """A node class with one output, `found`: the record of files that `_make` returns."""

    def _make(self, folder: str) -> object:
        """Do the work in the node's folder, and return the record."""
        raise NotImplementedError

    def _run_interface(self, runtime: Bunch) -> Bunch:
        self._results["found"] = self._make(runtime.cwd)
        return runtime
