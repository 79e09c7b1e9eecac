"""Everything one run was asked to do, as one frozen record that can be written and read back."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from ctwml_bids import __version__
from ctwml_bids.errors import InvalidInputError, NoInputError

ANALYSIS_LEVELS = ("participant", "train", "group")
NORMALISATIONS = ("nine", "syn")
DEVICES = ("auto", "cpu", "cuda")
KEEP_WORK = ("always", "on-failure", "never")
MODALITIES = ("ct", "flair")
LABELS = ("flair", "manual")
PRECISIONS = ("auto", "float32", "bfloat16")
INITS = ("fresh", "shipped")
LOSSES = ("cross-entropy", "dice+cross-entropy")
NETWORKS = ("standard", "wide", "dropout", "plain-unet")
CHOICES = {
    "normalisation": NORMALISATIONS,
    "device": DEVICES,
    "keep_work": KEEP_WORK,
    "modality": MODALITIES,
    "labels": LABELS,
    "precision": PRECISIONS,
    "init": INITS,
    "loss": LOSSES,
    "network": NETWORKS,
}


@dataclass(frozen=True)
class Settings:
    """What the command line (and a configuration file under it) says.

    Folders are absolute. ``model_ct`` and ``model_flair`` are found out before the run from
    ``models`` or from what the package ships, and ``device`` is then "cpu" or "cuda"; memory is
    in GiB.
    """

    bids_dir: Path
    output_dir: Path
    analysis_levels: tuple[str, ...]
    participant_labels: tuple[str, ...] = ()
    session_labels: tuple[str, ...] = ()
    bids_filter_file: Path | None = None
    skip_bids_validation: bool = False
    work_dir: Path = Path()
    keep_work: str = "on-failure"
    clean_workdir: bool = False
    nprocs: int = 1
    omp_nthreads: int | None = None
    mem_gb: float = 4.0
    use_plugin: Path | None = None
    stop_on_first_crash: bool = False
    device: str = "auto"
    random_seed: int = 1
    template: str = "MNI152NLin2009aSym"
    normalisation: str = "nine"
    output_spaces: tuple[str, ...] = ()
    models: tuple[Path, ...] = ()
    model_ct: Path | None = None
    model_flair: Path | None = None
    desc: str | None = None
    derivatives: dict[str, Path] = field(default_factory=dict)
    include_failed_qc: bool = False
    exclude: tuple[str, ...] = ()
    participants_file: Path | None = None
    fazekas_file: Path | None = None
    fazekas_column: str | None = None
    fazekas_thresholds: str | None = None
    modality: str = "ct"
    labels: str = "flair"
    folds: int = 10
    repeats: int = 10
    members: int = 10
    only: tuple[str, ...] = ()
    init: str = "fresh"
    steps: int = 3000
    batch: int = 32
    learning_rate: float | None = None
    context: int | None = None
    loss: str | None = None
    network: str | None = None
    threshold: float | None = None
    precision: str = "auto"
    keep_networks: bool = False
    reports_only: bool = False
    boilerplate_only: bool = False
    dry_run: bool = False
    verbose: int = 0

    @property
    def template_spaces(self) -> tuple[str, ...]:
        """The template in whose space maps are written, or none; native spaces always are."""
        wanted = self.normalisation == "syn" or self.template in self.output_spaces
        return (self.template,) if wanted else ()

    @property
    def registration_threads(self) -> int:
        """Threads of one ANTs call; its result is only bit-identical with one."""
        return self.omp_nthreads or 1

    @property
    def inference_threads(self) -> int:
        """Threads of one pass through the networks."""
        return min(self.omp_nthreads or self.nprocs, self.nprocs)


# Found out from the others before the run: written for provenance, not read back.
RESOLVED = ("model_ct", "model_flair")
_ABOVE_0 = (
    "nprocs",
    "omp_nthreads",
    "mem_gb",
    "random_seed",
    "folds",
    "repeats",
    "members",
    "steps",
    "batch",
    "learning_rate",
)
# What belongs to the machine that a run was on, and not to the next one's: likewise.
MACHINE = ("nprocs", "omp_nthreads", "mem_gb", "device", "work_dir", "use_plugin")


def to_toml(settings: Settings) -> str:
    """Write settings as TOML; what was not given (None) is left out.

    What is of the machine (`MACHINE`) stands in a table of its own, as a record.

    Parameters
    ----------
    settings
        The settings of one run.

    Returns
    -------
    str
        TOML text with the program's version as its first key.
    """
    values: dict[str, Any] = {"version": __version__}
    machine: dict[str, Any] = {}
    for name in (item.name for item in dataclasses.fields(settings)):
        value = getattr(settings, name)
        if value is not None:
            (machine if name in MACHINE else values)[name] = _plain(value)
    return tomli_w.dumps({**values, "machine": machine})


def from_toml(text: str, source: str = "configuration file") -> dict[str, Any]:
    """Read the fields of `Settings` that a TOML text gives.

    Parameters
    ----------
    text
        TOML, as `to_toml` writes it; any field may be missing.
    source
        What to call the text in an error.

    Returns
    -------
    dict
        Field name to typed value, for ``Settings(**...)`` or as defaults under a command line;
        without `RESOLVED` and `MACHINE`, wherever in the text they stand.

    Raises
    ------
    InvalidInputError
        If the text is not TOML, or has a key, a type or a value that settings do not have.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInputError(f"{source} is not valid TOML: {error}") from error
    raw.pop("version", None)
    machine = raw.pop("machine", {})
    if not isinstance(machine, dict):
        raise InvalidInputError(f"machine in {source} is {machine!r}; expected a table, [machine].")
    raw = {**machine, **raw}
    hints = typing.get_type_hints(Settings)
    unknown = sorted(set(raw) - set(hints))
    if unknown:
        raise InvalidInputError(
            f"{source} has settings that do not exist: {', '.join(unknown)}. "
            f"Known: {', '.join(sorted(set(hints) - set(RESOLVED)))}."
        )
    values = {
        name: _typed(value, hints[name], f"{name} in {source}")
        for name, value in raw.items()
        if name not in RESOLVED
    }
    for name, known in CHOICES.items():
        if values.get(name, known[0]) not in known:
            raise InvalidInputError(
                f"{name} in {source} is {values[name]!r}; known: {', '.join(known)}."
            )
    for name in _ABOVE_0:
        if values.get(name, 1) <= 0:
            raise InvalidInputError(f"{name} in {source} is {values[name]}; it must be above 0.")
    if values.get("context", 0) < 0:
        raise InvalidInputError(
            f"context in {source} is {values['context']}; it must be 0 or more."
        )
    if values.get("threshold", 0.5) >= 1 or values.get("threshold", 0.5) <= 0:
        raise InvalidInputError(
            f"threshold in {source} is {values['threshold']}; it must be between 0 and 1."
        )
    return {name: value for name, value in values.items() if name not in MACHINE}


def read_toml(path: Path) -> dict[str, Any]:
    """Read a configuration file; see `from_toml`."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise NoInputError(f"cannot read the configuration file {path}: {error}") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path} is not a text file: {error}") from error
    return from_toml(text, str(path))


def preprocessing_fields(settings: Settings) -> dict[str, Any]:
    """Give the settings that decide what comes before the networks."""
    return {
        "version": __version__,
        "template": settings.template,
        "normalisation": settings.normalisation,
        "random_seed": settings.random_seed,
    }


def segmentation_fields(settings: Settings, checksums: Mapping[str, str]) -> dict[str, Any]:
    """Give what decides the lesion maps, given the same preprocessing.

    Parameters
    ----------
    settings
        The settings of one run.
    checksums
        "ct" and "flair" to the checksum of that model.
    """
    return {"version": __version__, **{f"model_{name}": checksums[name] for name in checksums}}


def content_hash(fields: Mapping[str, Any]) -> str:
    """Hash JSON-able values, whatever the order of their keys."""
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Name what differs between two sets of fields, one readable line each."""
    return [
        f"{name}: {before.get(name)!r} before, {now.get(name)!r} now"
        for name in sorted(set(before) | set(now))
        if before.get(name) != now.get(name)
    ]


def _plain(value: Any) -> Any:
    """Turn a field's value into what TOML can hold."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value


def _typed(value: Any, hint: Any, where: str) -> Any:
    """Turn a TOML value into the type of its field, or say what was expected."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _typed(value, next(kind for kind in inner if kind is not types.NoneType), where)
    if origin is tuple and isinstance(value, list):
        return tuple(_typed(item, inner[0], where) for item in value)
    if origin is dict and isinstance(value, dict):
        return {name: _typed(item, inner[1], where) for name, item in value.items()}
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and type(value) is hint:
        return value
    raise InvalidInputError(f"{where} is {value!r}; expected {hint}.")
