"""What the name of a CT, a FLAIR or a sidecar says, read whole: nothing is cut or guessed.

A label that BIDS does not allow (``acq-0.5mm``, ``ses-2020-01-05``) is a fault of the name, not the
label of its first letters; a name that contradicts its folders is one, too. Nothing here touches a
disk.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ctwml_bids.bids.labels import LABEL
from ctwml_bids.modality import MODALITIES

# Short name of an entity to its long name, and to what a label of it is.
Vocabulary = Mapping[str, tuple[str, re.Pattern[str]]]
# Entities of BIDS derivatives: an image whose name has one of them was computed from another one.
DERIVED = frozenset(
    ("space", "desc", "res", "den", "label", "from", "to", "mode", "hemi", "seg", "atlas", "cohort")
)
# Entities whose values are numbers in BIDS, where 1 and 01 are the same; long names are as short.
INDICES = frozenset({"run", "echo", "flip", "inv", "chunk"})
# Parts of a complex MR image (``part-``) that show no tissue's brightness.
NO_MAGNITUDE = frozenset(("phase", "real", "imag"))
# How dcm2niix marks a CT that it resampled: without gantry tilt, with slices at equal distances.
_CORRECTED = re.compile(r"(?:[_ ](?:eq|tilt|\d+))*[_ ](?:eq|tilt)(?:[_ ](?:eq|tilt|\d+))*", re.I)
# What is added to a name that was taken: a number, a small letter, "(1)", "copy".
_TAKEN = re.compile(r"[_ .~]?(?:\d+|[a-z]|\(\d+\)|copy(?:[_ ]\d+)?)")
_ENDING = re.compile(r"(?P<stem>.+)(?P<ending>\.(?:nii|nii\.gz|json))", re.I | re.S)
_KIND = re.compile(r"(?P<head>.*_|)(?P<suffix>ct|flair)(?P<rest>[_ .(~].*|[a-z]|\d+|)", re.I | re.S)


# Suffixes of images of other kinds, in small letters.
_OTHER_KIND = re.compile(
    r"(?:t1|t2|pd|t2star)w|(?:t1|t2|pd|t2star|m0|t1rho|r1|r2|r2star|mts|mtr)map|pdt2|chi|unit1"
    r"|inplanet[12]|angio|bold|cbv|sbref|dwi|adc|fa|epi|fieldmap|magnitude\d?|phase\w*|asl|m0scan|swi|minip"
    r"|pet|xct|cta|ctp|mra|mrv|mp2rage|mprage|mese|megre|vfa|irt1|mask|dseg|probseg|defacemask"
)


@dataclass(frozen=True)
class Name:
    """The parts of a file's name.

    Parameters
    ----------
    kind
        ``ct`` or ``flair``.
    suffix, extension
        As they are written; the extension with its dot.
    entities
        Labels by the short names of their entities (``sub``, ``acq``).
    rest
        What stands between suffix and extension, where nothing should.
    faults
        Why BIDS does not allow the name, a clause each.
    """

    kind: str
    suffix: str
    extension: str
    entities: Mapping[str, str] = field(default_factory=dict)
    rest: str = ""
    faults: tuple[str, ...] = ()

    @property
    def is_exact(self) -> bool:
        """Whether suffix and extension are spelt as BIDS spells them, and nothing is between."""
        spelt = (
            self.suffix in MODALITIES[self.kind].suffixes
            and self.extension == self.extension.lower()
        )
        return spelt and not self.rest

    @property
    def is_corrected(self) -> bool:
        """Whether dcm2niix's words for a corrected copy stand after the suffix."""
        return bool(_CORRECTED.fullmatch(self.rest))

    @property
    def is_copy(self) -> bool:
        """Whether it looks like an image of its kind under a name that BIDS does not have."""
        misspelt = not self.rest and not self.is_exact
        return misspelt or self.is_corrected or bool(_TAKEN.fullmatch(self.rest))


def read_name(name: str, vocabulary: Vocabulary) -> Name | None:
    """Read the name of an image or a sidecar; None for what is no CT or FLAIR by its name.

    Parameters
    ----------
    name
        Without folders; bytes that are no text are surrogates, as the system's calls give them.
    vocabulary
        The entities of BIDS. Others are taken as long as they have a name and a label.
    """
    ended = _ENDING.fullmatch(name)
    if ended is None or name.startswith("."):
        return None
    found = _KIND.fullmatch(ended["stem"])
    if found is None:
        return None
    faults: list[str] = []
    entities: dict[str, str] = {}
    if readable(name) != name:
        faults.append("it is not plain text in UTF-8")
    for part in filter(None, found["head"].split("_")):
        key, _, label = part.partition("-")
        if fault := _fault(part, key, label, vocabulary):
            faults.append(fault)
        elif key in entities:
            faults.append(f"{key}- stands in it twice")
        entities.setdefault(key, label)
    return Name(
        kind=found["suffix"].lower(),
        suffix=found["suffix"],
        extension=ended["ending"],
        entities=entities,
        rest=found["rest"],
        faults=tuple(faults),
    )


def resembles(name: str) -> str | None:
    """Tell which kind an image that `read_name` does not know is by the words of its name.

    The last word that names a kind of image counts, labels of entities aside: converters and
    people add more (``FLAIR_heudiconv123``, ``FLAIR_run-2``, ``T2FLAIR``, ``FLAIR-1``).

    Returns
    -------
    str or None
        ``ct`` or ``flair``; None for an image of another kind, or of none that is known.
    """
    ended = _ENDING.fullmatch(name)
    parts = re.split(r"[_ .~()]+", ended["stem"] if ended else name)
    # A label that no suffix follows may be meant as one: "acq-FLAIR".
    for part in (*reversed(parts), parts[-1].rpartition("-")[2]):
        key, dash, _ = part.partition("-")
        is_entity = dash and re.fullmatch("[a-z]+", key)
        word = (key if is_entity else part).lower()
        if "flair" in word:
            return "flair"
        if re.search(r"(?<![a-z])ct(?![a-z])", word):
            return "ct"
        if not dash and _OTHER_KIND.fullmatch(word):
            return None
    return None


def _fault(part: str, key: str, label: str, vocabulary: Vocabulary) -> str:
    """Say why a part of a name is no entity; empty where it is."""
    allowed = vocabulary[key][1] if key in vocabulary else re.compile(LABEL)
    if re.fullmatch(r"[a-z]+", key) and allowed.fullmatch(label):
        return ""
    shown = readable(part)
    if not re.fullmatch(r"[a-z]+", key) or "-" not in part:
        return f"{shown!r} in it is no entity of BIDS, such as acq-thin"
    if re.fullmatch(LABEL, label):
        return f"{shown} has a label that BIDS does not allow for {key}-"
    return f"{shown} has a label that is not letters and digits only"


def index_of(entity: str, label: str) -> str:
    """Return a label by which two are compared: a number without leading zeros."""
    if entity not in INDICES or re.fullmatch("[0-9]+", label) is None:
        return label
    return label.lstrip("0") or "0"


def contradiction(
    name: Name, subject: str, session: str | None, *, complete: bool = True
) -> str | None:
    """Say what in a name is not as its folders are; None where they agree.

    Parameters
    ----------
    name
        Of the file.
    subject, session
        Labels of its folders, the session None where it lies in none.
    complete
        Whether the name has to repeat its folders; that of a sidecar may leave them out.
    """
    for key, label in (("sub", subject), ("ses", session)):
        said = name.entities.get(key)
        if said == label or (said is None and not complete):
            continue
        if said is None:
            return f"it lacks {key}-{label}, the name of its folder"
        inside = f"in a folder {key}-{label}" if label is not None else f"in no folder {key}-{said}"
        return f"it says {readable(f'{key}-{said}')} and lies {inside}"
    return None


def looks_like(prefix: str, name: str) -> bool:
    """Whether a folder's name is meant as that of a subject (``sub``) or a session (``ses``)."""
    more = {"sub": "(?:ject)?", "ses": "(?:sion)?"}[prefix]
    return bool(re.match(rf"{prefix}{more}(?:[-_ ]|\d)", name, re.I))


def label_of(prefix: str, name: str) -> str | None:
    """Return the label of a folder's name; None where BIDS does not allow it."""
    found = re.fullmatch(rf"{prefix}-({LABEL})", name)
    return found[1] if found else None


def readable(name: str) -> str:
    """Return a name for messages and tables: bytes that are no text as their codes."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
