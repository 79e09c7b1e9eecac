"""Tell of each of several images whether a contrast agent was given, as far as it can matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ctwml_bids.bids.contrast import Contrast, looked_at, tagged
from ctwml_bids.bids.units import Candidate
from ctwml_bids.modality import MODALITIES

# Fields by dcm2niix's names that are the same in all reconstructions of one acquisition. Anonymised
# sidecars lack the UIDs. The number of the series is each reconstruction's own.
_SHARED = ("StudyInstanceUID", "AcquisitionTime", "AcquisitionNumber")
# One of these must be there: a study, and a number that starts at 1 in each series, hold several.
_TELLING = ("SeriesInstanceUID", "AcquisitionTime")
# Extents of two reconstructions of one acquisition, mm: they end at most a thick slice apart.
_SAME_EXTENT_MM = 10.0

# Of an image: what decides after contrast (lower is better), itself, and its extent in mm.
Entry = tuple[tuple[float, ...], Candidate, float]


def contrast_of_each(entries: Sequence[Entry]) -> dict[Path, Contrast | None]:
    """Tell of several CT whether an agent was given; None where the answer would change nothing.

    Reading images takes time, a data set may have a thousand subjects, and most of them two
    reconstructions of one scan. Those cannot differ in the agent, so none of them is looked at,
    unless their tags contradict each other. Else images are looked at in the order of what else
    decides: one that is found to be without an agent comes before all after it, whatever they are.
    """
    entries = sorted(entries, key=lambda entry: entry[0])
    tags = {c.path: tagged(c.sidecar, c.path.name) for _, c, _ in entries}
    if all(_one_acquisition(entries[0], other) for other in entries[1:]):
        return dict.fromkeys(tags, _answer_of_all(entries[0][1], list(tags.values())))
    known: dict[Path, Contrast | None] = {}
    best = None
    for key, candidate, _ in entries:
        tag = tags[candidate.path]
        answer: Contrast | None = tag
        if tag.given is None:
            later = best is not None and key > best
            answer = None if later else looked_at(candidate.path, tag)
        known[candidate.path] = answer
        if best is None and answer is not None and answer.given is False:
            best = key
    return known


def contrast_alone(candidate: Candidate, kind: str) -> Contrast:
    """Tell of the only image; a CT is looked at where its tags contradict each other."""
    answer = tagged(candidate.sidecar, candidate.path.name)
    looked = MODALITIES[kind].is_hounsfield and answer.disputed
    return looked_at(candidate.path, answer) if looked else answer


def _one_acquisition(one: Entry, other: Entry) -> bool:
    """Whether two images are surely reconstructions of the same measurement."""
    (_, first, first_mm), (_, second, second_mm) = one, other
    if abs(first_mm - second_mm) > _SAME_EXTENT_MM:
        return False

    def same(field: str) -> bool | None:
        values = [_value(candidate.sidecar, field) for candidate in (first, second)]
        return None if "" in values else values[0] == values[1]

    return any(map(same, _TELLING)) and not any(same(field) is False for field in _SHARED)


def _value(sidecar: Mapping[str, object], field: str) -> str:
    """Return a field as text, empty where it is not filled in (0, midnight sharp)."""
    text = str(sidecar.get(field) or "").strip()
    return text if text.strip("0:. ") and text.casefold() != "n/a" else ""


def _answer_of_all(best: Candidate, answers: Sequence[Contrast]) -> Contrast:
    """Join what the tags of reconstructions of one acquisition say."""
    says = [answer for answer in answers if answer.given is not None or answer.disputed]
    if not says:
        return answers[0]
    if len({answer.given for answer in says}) == 1 and not says[0].disputed:
        return says[0]
    reason = ", but ".join(dict.fromkeys(answer.reason for answer in says))
    return looked_at(best.path, replace(says[0], given=None, reason=reason, disputed=True))
