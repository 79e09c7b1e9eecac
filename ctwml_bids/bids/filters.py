"""The filter file: which CT and FLAIR images may be used, validated against its JSON schema."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from ctwml_bids.bids.filenames import index_of, readable
from ctwml_bids.bids.units import Candidate
from ctwml_bids.errors import InvalidInputError, NoInputError
from ctwml_bids.reading import parse_json, read_text

if TYPE_CHECKING:
    from jsonschema import ValidationError

ANY = "*"
# Conditions of one kind of image: entity, and the values that it may have (None: it is absent).
Conditions = tuple[tuple[str, tuple[str | None, ...]], ...]
# One value of an entity as the filter file has it.
_Value = str | int | None


@dataclass(frozen=True)
class Filters:
    """Conditions on the images; the default lets every image through.

    Parameters
    ----------
    ct, flair
        Pairs of entity and allowed values, all of them to be met.
    source
        The file they came from, for messages.
    """

    ct: Conditions = ()
    flair: Conditions = ()
    source: str = ""

    def __bool__(self) -> bool:
        return bool(self.ct or self.flair)


def schema() -> dict[str, object]:
    """Return the packaged JSON Schema of the filter file."""
    path = resources.files("ctwml_bids") / "data" / "schema" / "bids_filter_schema.json"
    content: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    return content


def load_filters(path: Path | None) -> Filters:
    """Read and check a filter file; None gives filters that let everything through.

    Raises
    ------
    NoInputError
        The file is not there.
    InvalidInputError
        It is not JSON, or not what the schema allows; the message says where and what is.
    """
    if path is None:
        return Filters()
    path = Path(path)
    try:
        text = read_text(path)
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path}: the filter file is not text in UTF-8") from error
    except ValueError as error:
        raise InvalidInputError(f"{path}: the filter file cannot be read: {error}") from error
    except OSError as error:
        raise NoInputError(f"{path}: cannot read the filter file: {error.strerror}") from error
    try:
        content = parse_json(text, _without_duplicates)
    except json.JSONDecodeError as error:
        raise InvalidInputError(
            f"{path}: the filter file is not JSON: {error.msg} at line {error.lineno}, "
            f"column {error.colno}"
        ) from error
    except ValueError as error:
        raise InvalidInputError(f"{path}: the filter file cannot be read: {error}") from error
    except _DuplicateKeyError as error:
        raise InvalidInputError(f"{path}: the filter file has the key {error} twice") from error
    return parse_filters(content, source=str(path))


def parse_filters(content: object, *, source: str = "filters") -> Filters:
    """Check the content of a filter file and freeze it (see `load_filters`)."""
    import jsonschema  # slow, and most runs have no filter file

    validator = jsonschema.Draft202012Validator(schema())
    problems = sorted(validator.iter_errors(content), key=lambda error: list(map(str, error.path)))
    if problems or not isinstance(content, dict):
        told = "; ".join(dict.fromkeys(_explain(problem) for problem in problems))
        raise InvalidInputError(f"{source}: {told}")
    return Filters(
        ct=_conditions(content.get("ct", {})),
        flair=_conditions(content.get("flair", {})),
        source=source,
    )


def matches(entities: Mapping[str, str], conditions: Conditions) -> bool:
    """Whether a file's entities meet all conditions."""
    for entity, allowed in conditions:
        value = entities.get(entity)
        if allowed == (ANY,):
            if value is None:
                return False
        elif value not in allowed:
            return False
    return True


def describe_matches(filters: Filters, ct: Iterable[Candidate], flair: Iterable[Candidate]) -> str:
    """Say what the filters let through: conditions, then the files, one a line (for the log)."""
    lines = [f"Filters of {filters.source or 'no file'}:"]
    for kind, found in (("ct", list(ct)), ("flair", list(flair))):
        lines.append(f"  {kind}: {_show(getattr(filters, kind))} matches {len(found)} image(s)")
        lines += [f"    {readable(candidate.shown)}" for candidate in found]
    return "\n".join(lines)


class _DuplicateKeyError(Exception):
    """A key that stands twice in one JSON object, where JSON would silently keep the last."""


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    seen = dict(pairs)
    if len(seen) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _DuplicateKeyError(repr(next(key for key in keys if keys.count(key) > 1)))
    return seen


def _conditions(given: Mapping[str, _Value | list[_Value]]) -> Conditions:
    frozen = []
    for entity, value in given.items():
        values = value if isinstance(value, list) else [value]
        frozen.append((entity, tuple(_normal(entity, item) for item in values)))
    return tuple(frozen)


def _normal(entity: str, value: _Value) -> str | None:
    return None if value is None else index_of(entity, str(value))


def _explain(problem: ValidationError) -> str:
    """One violation in words: where it is, what was found, what is allowed."""
    where = ".".join(map(str, problem.absolute_path)) or "top level"
    if problem.validator == "additionalProperties":
        allowed = ", ".join(sorted(problem.schema["properties"]))
        unknown = sorted(set(problem.instance) - set(problem.schema["properties"]))
        return f"{where}: {', '.join(map(repr, unknown))} is not known; allowed are {allowed}"
    if problem.validator == "type":
        return f"{where}: {json.dumps(problem.instance)} must be a JSON {problem.validator_value}"
    found = json.dumps(problem.instance)
    if problem.absolute_path and problem.absolute_path[-1] == "extension":
        return f'{where}: {found} is not allowed; allowed are ".nii" and ".nii.gz", or a list'
    return (
        f"{where}: {found} is not allowed; allowed are a label of letters and digits without its "
        'prefix, a whole number, a list of them, null (entity absent) or "*" (any value)'
    )


def _show(conditions: Conditions) -> str:
    if not conditions:
        return "everything"
    return json.dumps(
        {key: values[0] if len(values) == 1 else values for key, values in conditions}
    )
