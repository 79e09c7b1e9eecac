"""Names of everything that is written, relative to the output folder; nothing here touches a disk.

Names follow BIDS derivatives where BIDS has them (masks, probability maps, preprocessed FLAIR);
transforms, statistics and reports are listed in the ``.bidsignore`` that
`ctwml_bids.bids.dataset` writes.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import PurePath, PurePosixPath
from typing import TypeVar

from ctwml_bids.errors import InvalidInputError
from ctwml_bids.modality import IMAGES

# What a map of lesions can hold, and how its desc and suffix say so.
_MAPS = {
    "mask": ("", "mask"),
    "probseg": ("", "probseg"),
    "std": ("std", "probseg"),
    "cv": ("cv", "probseg"),
    "cvmask": ("cv", "mask"),
    "cvstd": ("cvstd", "probseg"),
}
_Path = TypeVar("_Path", bound=PurePath)
_IMAGE_ENDINGS = (".nii.gz", ".nii", ".txt", ".tsv", ".png", ".svg")


def stem(subject: str, session: str | None = None) -> str:
    """``sub-X`` or ``sub-X_ses-Y``, the beginning of every name."""
    return f"sub-{subject}" + (f"_ses-{session}" if session is not None else "")


def folder(subject: str, session: str | None = None) -> PurePosixPath:
    """``sub-X`` or ``sub-X/ses-Y``."""
    path = PurePosixPath(f"sub-{subject}")
    return path / f"ses-{session}" if session is not None else path


def derivative(
    subject: str,
    session: str | None,
    *,
    suffix: str,
    extension: str = ".nii.gz",
    space: str | None = None,
    label: str | None = None,
    desc: str | None = None,
) -> PurePosixPath:
    """Path of a derivative image or table in ``anat/``, entities in the order of BIDS."""
    entities = {"space": space, "label": label, "desc": desc}
    parts = [stem(subject, session)]
    parts += [f"{key}-{_alphanumeric(key, value)}" for key, value in entities.items() if value]
    name = "_".join([*parts, suffix]) + extension
    return folder(subject, session) / "anat" / name


def check_model_label(label: str) -> str:
    """Return a ``--desc`` label if it can stand in a BIDS name and collides with none of ours.

    Raises
    ------
    InvalidInputError
        The label is not letters and digits, or would make names that others of ours have.
    """
    if re.fullmatch(r"[A-Za-z0-9]*", label) and not re.search(r"^lesions|(std|cv)$", label):
        return label
    raise InvalidInputError(
        f"--desc {label!r} cannot be part of a BIDS file name: use letters and digits only, "
        "without 'lesions' at the beginning or 'std' or 'cv' at the end, for instance "
        "--desc local2024"
    )


def lesion_map(
    subject: str,
    session: str | None,
    *,
    label: str,
    space: str,
    seen_in: str,
    kind: str = "mask",
    model_label: str = "",
) -> PurePosixPath:
    """Name a map of a class of lesions.

    Parameters
    ----------
    space
        ``CT`` or ``FLAIR``: on whose grid it lies.
    seen_in
        ``ct`` or ``flair``: the image in which they were seen.
    kind
        ``mask``, ``probseg``, ``std`` (SD over the ensemble's members), ``cv``, ``cvmask`` or
        ``cvstd`` (out-of-fold probability, its mask, and its SD over the repeats).
    model_label
        Empty for the first model of an output folder; the LABEL of ``--desc`` for another.
    """
    if seen_in not in IMAGES:
        raise ValueError(f"lesions are seen in {IMAGES}, not in {seen_in!r}")
    what, suffix = _MAPS[kind]
    desc = f"{seen_in}{check_model_label(model_label)}{what}"
    return derivative(subject, session, suffix=suffix, space=space, label=label, desc=desc)


wml = partial(lesion_map, label="WML")
# Of models that tell them from white matter lesions.
infarct = partial(lesion_map, label="infarct")


def brain_mask(
    subject: str, session: str | None, *, space: str, carried: bool = False
) -> PurePosixPath:
    """Brain mask of the image of `space`; `carried` is the other image's mask, resampled to it."""
    desc = "brain"
    if carried:
        desc += {"CT": "flair", "FLAIR": "ct"}[space]
    return derivative(subject, session, suffix="mask", space=space, desc=desc)


def ventricle_mask(subject: str, session: str | None, *, space: str) -> PurePosixPath:
    """Ventricles found on the image of `space`."""
    return derivative(
        subject, session, suffix="mask", space=space, label="ventricles", desc=space.lower()
    )


def xfm(
    subject: str, session: str | None, *, source: str, target: str, deformable: bool = False
) -> PurePosixPath:
    """Transform that resamples the image in `source` onto `target`.

    ITK text, or an ITK displacement field where it is `deformable`.

    It maps points of `target` to points of `source`, as a resampler needs them. Source and
    target are ``CT``, ``FLAIR`` or the name of a template.
    """
    name = f"{stem(subject, session)}_from-{_alphanumeric('from', source)}"
    name += f"_to-{_alphanumeric('to', target)}_mode-image"
    name += "_desc-syn_xfm.nii.gz" if deformable else "_xfm.txt"
    return folder(subject, session) / "anat" / name


def stats(
    subject: str, session: str | None, *, desc: str = "wml", model_label: str = ""
) -> PurePosixPath:
    """Table of volumes; the table of single lesions has ``desc="wmllesions"``."""
    desc = f"{desc}{check_model_label(model_label)}"
    return derivative(subject, session, suffix="stats", extension=".tsv", desc=desc)


def acquisition(subject: str, session: str | None) -> PurePosixPath:
    """Table of what sidecars and scans.tsv say of the images, the same for all models."""
    return derivative(subject, session, suffix="stats", extension=".tsv", desc="acquisition")


def example(
    subject: str, session: str | None, *, model_label: str = "", cross_validated: bool = False
) -> PurePosixPath:
    """Picture of the slice with most lesions, from which `group` takes its examples."""
    name = _with_model(stem(subject, session), model_label)
    if cross_validated:
        name = f"{stem(subject, session)}_desc-{check_model_label(model_label)}cv"
    return folder(subject, session) / "figures" / f"{name}_example.png"


def cross_validated_stats(
    subject: str, session: str | None, *, model_label: str = ""
) -> PurePosixPath:
    """Table of volumes of the out-of-fold segmentation, beside that of `stats`."""
    desc = f"wml{check_model_label(model_label)}cv"
    return derivative(subject, session, suffix="stats", extension=".tsv", desc=desc)


def report(subject: str, session: str | None, *, model_label: str = "") -> PurePosixPath:
    """Name the unit's report, at the top of the output folder."""
    return PurePosixPath(_with_model(stem(subject, session), model_label) + ".html")


def group_report(model_label: str = "") -> PurePosixPath:
    """Name the group's report; another model has its own beside the first."""
    return PurePosixPath(_with_model("group", model_label) + ".html")


def group_folder(model_label: str = "") -> PurePosixPath:
    """Folder of the group's tables; those of another model lie in a folder of their own in it."""
    label = check_model_label(model_label)
    return PurePosixPath("group") / (f"desc-{label}" if label else "")


def training_folder(modality: str, model_label: str = "") -> PurePosixPath:
    """Folder of a training: its plan, its units, and the model that comes of it."""
    return PurePosixPath("train") / _with_model(modality, model_label)


def training_report(modality: str, model_label: str = "") -> PurePosixPath:
    """Name the training's report, at the top of the output folder."""
    return PurePosixPath(_with_model(f"train-{modality}", model_label) + ".html")


def model_card(name: str, sha256: str = "") -> PurePosixPath:
    """Name the card of a model; one that differs from another of its name has its checksum, too."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-") or "model"
    return PurePosixPath("models") / (f"{plain}_{sha256[:8]}" if sha256 else plain) / "card.json"


def logs(subject: str, session: str | None) -> PurePosixPath:
    """Folder of the unit's log, crash files and status."""
    return PurePosixPath("logs") / stem(subject, session)


def status(subject: str, session: str | None, *, model_label: str = "") -> PurePosixPath:
    """Name the unit's status file; another model has its own beside the first."""
    return logs(subject, session) / (_with_model("status", model_label) + ".json")


def notes(subject: str, session: str | None, *, model_label: str = "") -> PurePosixPath:
    """Name the list of files that a unit is writing; gone once its status lists them."""
    return logs(subject, session) / (_with_model("written", model_label) + ".txt")


def lock(subject: str, session: str | None) -> PurePosixPath:
    """Name the file that is locked by the process that works on a unit."""
    return logs(subject, session) / "lock"


def run_lock() -> PurePosixPath:
    """Name the file that is locked while what all runs share is read and written again."""
    return PurePosixPath("logs") / "lock"


def in_use() -> PurePosixPath:
    """Name the file that every run has locked, together with the others, while it is at work."""
    return PurePosixPath("logs") / "in_use"


def sidecar(path: _Path) -> _Path:
    """Name the JSON file that describes an image, a transform or a table."""
    for ending in _IMAGE_ENDINGS:
        if path.name.endswith(ending):
            return path.with_name(path.name.removesuffix(ending) + ".json")
    raise ValueError(f"no sidecar is known for {path.name}")


def bids_uri(path: PurePath, root: PurePath | None = None, *, dataset: str = "") -> str:
    """``bids::sub-X/...`` for a file of this data set, ``bids:raw:sub-X/...`` for a raw one.

    Parameters
    ----------
    path
        A path relative to the data set, or an absolute one below `root`.
    root
        The data set's folder; needed for an absolute path only.
    dataset
        Key in DatasetLinks; empty for the derivative data set itself.
    """
    relative = path.relative_to(root) if root is not None and path.is_absolute() else path
    if relative.is_absolute():
        raise ValueError(f"a BIDS URI needs the data set's folder for an absolute path: {path}")
    return f"bids:{dataset}:{relative.as_posix()}"


def _with_model(name: str, model_label: str) -> str:
    label = check_model_label(model_label)
    return f"{name}_desc-{label}" if label else name


def _alphanumeric(key: str, value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9+]+", value):
        raise ValueError(f"{key}-{value} is not a BIDS entity: letters and digits only")
    return value
