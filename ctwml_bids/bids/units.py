"""What a run works on: one CT, one FLAIR or a pair; and what is left out, with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ctwml_bids.bids.names import stem
from ctwml_bids.errors import NoInputError


@dataclass(frozen=True)
class Unit:
    """One subject, or one subject and session, with the images that are used for it.

    Parameters
    ----------
    subject, session
        Labels without ``sub-`` and ``ses-``; the session is the CT's (the FLAIR's where there is
        no CT), None where the subject has no sessions.
    ct, flair
        The images; at least one of them is there.
    ct_sidecar, flair_sidecar
        Their metadata, merged from all JSON files that apply (BIDS inheritance).
    left_out
        Where there is no CT, or no FLAIR: how many of them the filters left out.
    notes
        Sentences for the log and the report: which reconstruction was taken and why, how the
        pair was found, what to be careful about.
    flair_session
        Session that the FLAIR comes from; differs from `session` when the pair spans two.
    days_apart
        Days between CT and FLAIR of any pair, None where scans.tsv does not say.
    """

    subject: str
    session: str | None
    ct: Path | None
    flair: Path | None
    ct_sidecar: Mapping[str, object] = field(default_factory=dict, compare=False)
    flair_sidecar: Mapping[str, object] = field(default_factory=dict, compare=False)
    notes: tuple[str, ...] = ()
    flair_session: str | None = None
    left_out: int = 0
    days_apart: float | None = field(default=None, compare=False)

    @property
    def label(self) -> str:
        """``sub-X`` or ``sub-X_ses-Y``."""
        return stem(self.subject, self.session)

    @property
    def images(self) -> dict[str, Path]:
        """``ct`` and/or ``flair`` → the image."""
        found = {"ct": self.ct, "flair": self.flair}
        return {name: path for name, path in found.items() if path is not None}


@dataclass(frozen=True)
class Skipped:
    """A subject, or one of its sessions, that does not run.

    `reason` is for the user; `exit_code` is that of a run that asked for this subject alone: 66
    where there is nothing to measure, 65 where there is but it cannot be used as it is.
    """

    subject: str
    session: str | None
    reason: str
    exit_code: int = NoInputError.exit_code

    @property
    def label(self) -> str:
        """``sub-X`` or ``sub-X_ses-Y``."""
        return stem(self.subject, self.session)


@dataclass(frozen=True)
class Candidate:
    """An image that was found, with what its name and its sidecars say.

    Parameters
    ----------
    path
        The image.
    session
        Its session, None where there is none.
    entities
        BIDS entities of its name by their long names (``acquisition``, ``run``...), values as
        text, runs without leading zeros; with ``suffix``, ``extension`` and ``datatype`` (the
        name of its folder).
    sidecar
        Its merged metadata.
    fault
        Why its name, or its place, does not let it be used; empty where it may be.
    """

    path: Path
    session: str | None
    entities: Mapping[str, str]
    sidecar: Mapping[str, object]
    fault: str = ""

    @property
    def shown(self) -> str:
        """Its path in the data set: ``sub-X/ct/...`` or ``sub-X/ses-Y/ct/...``."""
        return "/".join(self.path.parts[-3 if self.session is None else -4 :])
