"""Whether an image was taken with a contrast agent: by its sidecar and name, else by the image."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ctwml_bids.bids.contrast_words import plain, said, without_asides
from ctwml_bids.image_files import UNREADABLE, load_volume

# Fields of an image's own series (DICOM group 0018,10xx by dcm2niix's names), and those of the
# examination, which may hold series with an agent and series without: these are asked only where
# the series says nothing.
_AGENTS = ("ContrastBolusAgent", "ContrastBolusIngredient", "ContrastBolusAgentAdministered")
_AMOUNTS = ("ContrastBolusVolume", "ContrastBolusTotalDose")
_TIMES = ("ContrastBolusStartTime", "ContrastBolusStopTime")
_ROUTES = ("ContrastBolusRoute", "ContrastBolusAdministrationRoute")
_SERIES = ("ContrastBolusAgentPhase", "SeriesDescription", "ImageComments")
_LABELS = ("acq", "rec", "proc", "desc")
_EXAMINATION = (
    "ProtocolName",
    "AcquisitionProtocolName",
    "AcquisitionProtocolDescription",
    "ProcedureStepDescription",
    "PerformedProcedureStepDescription",
    "RequestedProcedureDescription",
    "StudyDescription",
)
# A field that was filled in, and says nothing: neither yes nor no. In words, without other signs.
_SILENT = re.compile(
    r"n a|na|null|nan|unk|unknown|unspecified|undefined|other|empty|blank|x+(?: x+)*"
    r"|not (?:available|applicable|known|specified|stated|recorded|documented|provided|entered)"
    r"|(?:anon|pseudonym|de ?ident|remov|redact|delet|mask|conceal|withh)\w*|hidden|confidential"
)
_NO = re.compile(
    r"(?:none|no|n|non|nein|nej|nee|nil|false|kein\w*|aucune?|ningun[oa]?|nessuno|geen|ingen|ei"
    r"|negative|(?:not|none|no|nothing) (?:given|administered|used)|saline|nacl|water)\.?"
)
_AMOUNT = re.compile(r"\d+(?:[.,]\d+)?")
_IN_ML = re.compile(rf"(?<![\d.,]){_AMOUNT.pattern} ?(?:ml|cc)(?!\w)")
# Given, but not where it reaches vessels or fluid of the head.
_ELSEWHERE = re.compile(r"oral|per os|(?<!\w)po(?!\w)|rectal|enteral|gastr|barium")
_VESSEL = re.compile(r"(?<!\w)iv(?!\w)|intra|venous|vein|arter|injec")


@dataclass(frozen=True)
class Contrast:
    """With a contrast agent, without one, or not known; and why.

    Parameters
    ----------
    given
        None where it is not known.
    reason
        What said so, in words.
    disputed
        Whether it is not known because fields contradict each other.
    """

    given: bool | None
    reason: str
    disputed: bool = False


def tagged(sidecar: Mapping[str, object], name: str) -> Contrast:
    """Tell from the sidecar and the file's name whether a contrast agent was given.

    What belongs to the series itself comes first: agent, amount, route and time of the bolus, the
    description, and the labels of the name (``ce-``, ``acq-``, ``rec-``, ``proc-``, ``desc-``).
    Where they contradict each other nothing is known: scanners copy an agent to all series of an
    examination. Where they are silent the examination's descriptions are asked. Only an agent in
    the blood or the fluid counts, not one that was swallowed.

    Parameters
    ----------
    sidecar
        Merged metadata of the image.
    name
        Its file name.
    """
    for evidence in (_of_series(sidecar, name), _of_examination(sidecar)):
        found = list(evidence)
        yes = [where for given, where in found if given]
        no = [where for given, where in found if not given]
        if yes and no:
            return Contrast(None, f"{yes[0]}, but {no[0]}", disputed=True)
        if found:
            return Contrast(bool(yes), (yes or no)[0])
    return Contrast(None, "neither sidecar nor name says")


def looked_at(path: Path, known: Contrast) -> Contrast:
    """Ask a CT itself where its tags are silent or contradict each other (`vessels`).

    Parameters
    ----------
    path
        The image.
    known
        What `tagged` says of it.
    """
    # Slow to import, and most data sets have no image that must be looked at.
    from ctwml_bids.preprocessing.enhancement import vessels

    try:
        seen = None if load_volume(path) is None else vessels(path)
    except UNREADABLE:
        # An image that is cut short may still be the right one: its own step says what is wrong.
        seen = None
    if seen is None:
        return replace(known, reason=f"{known.reason}; no vessels can be measured on it")
    reaches = f"{known.reason}; what is brightest inside the skull reaches {max(seen.hu):.0f} HU"
    if seen.enhanced is None:
        return replace(known, reason=f"{reaches}, which tells neither")
    how = "with" if seen.enhanced else "without"
    return Contrast(seen.enhanced, f"{reaches}, as vessels {how} an agent do")


Evidence = Iterator[tuple[bool, str]]


def _of_series(sidecar: Mapping[str, object], name: str) -> Evidence:
    given = [(field, plain(_text(sidecar.get(field)))) for field in (*_ROUTES, *_AGENTS)]
    # Its amount and its name say nothing of the head then.
    if swallowed := [(f, t) for f, t in given if _ELSEWHERE.search(t) and not _VESSEL.search(t)]:
        yield False, _quoted(*swallowed[0])
    else:
        yield from _of_bolus(sidecar)
    for field in _SERIES:
        yield from _of_text(field, _text(sidecar.get(field)))
    labels = dict(re.findall(r"(?:^|_)([a-z]+)-([A-Za-z0-9+]+)(?=_)", name))
    yield from _of_agent("ce-", labels.get("ce", ""))
    for label in _LABELS:
        yield from _of_text(f"{label}-", labels.get(label, ""))


def _of_bolus(sidecar: Mapping[str, object]) -> Evidence:
    """Read what was injected: any agent that is named, any amount over 0, any time or route."""
    for field in _AGENTS:
        yield from _of_agent(field, _text(sidecar.get(field)))
    for field in _AMOUNTS:
        text = _text(sidecar.get(field))
        if amounts := _AMOUNT.findall(text):
            yield _above_0(amounts), _quoted(field, text)
    for field in _TIMES:
        # Midnight sharp, and 0, stand for no time.
        if _above_0(_AMOUNT.findall(text := _text(sidecar.get(field)))):
            yield True, _quoted(field, text)
    for field in _ROUTES:
        text = plain(_text(sidecar.get(field)))
        if _NO.fullmatch(text):
            yield False, _quoted(field, text)
        elif _VESSEL.search(text):
            yield True, _quoted(field, text)


def _of_examination(sidecar: Mapping[str, object]) -> Evidence:
    for field in _EXAMINATION:
        yield from _of_text(field, _text(sidecar.get(field)))


def _of_agent(field: str, value: str) -> Evidence:
    """Read a field whose place it is to name an agent: whatever it names was given."""
    text = plain(value)
    words = re.sub(r"[^\w+]+", " ", without_asides(value)).strip()
    if not words or _SILENT.fullmatch(words):
        return
    if re.fullmatch(rf"{_AMOUNT.pattern}(?: ?(?:ml|cc|g|mg))?", text):
        yield _above_0(_AMOUNT.findall(text)), _quoted(field, text)
        return
    amounts = _IN_ML.findall(text)
    none_given = bool(amounts) and not _above_0(_AMOUNT.findall(" ".join(amounts)))
    named = _IN_ML.sub("", text).strip(" ,;:/-") if none_given else text
    found = said(value)
    if _NO.fullmatch(named) or (found is not None and found.given is False):
        yield False, _quoted(field, text)
        return
    if found is None or found.given:
        yield True, _quoted(field, named)
    # Named, and nothing of it given: scanners name what a protocol foresees.
    if none_given:
        yield False, _quoted(field, amounts[0])


def _of_text(field: str, value: str) -> Evidence:
    found = said(value)
    if found is not None and found.given is not None:
        # Of a free text the words that say it: the rest may tell of the person.
        yield found.given, _quoted(field, found.words)


def _above_0(amounts: list[str]) -> bool:
    return any(float(amount.replace(",", ".")) > 0 for amount in amounts)


def _quoted(field: str, words: str) -> str:
    return f'{field} says "{words[:40]}"'


def _text(value: object) -> str:
    """Write a sidecar's value as text; lists and coded sequences by what they hold."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return ", ".join(filter(None, map(_text, value)))
    return str(value)
