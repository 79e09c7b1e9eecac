"""The output as a BIDS derivative data set: its root files, and checks of the folder itself."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from ctwml_bids import __version__
from ctwml_bids.bids.files import (
    FULL,
    explain_os_error,
    make_folder,
    write_json,
    write_text,
)
from ctwml_bids.bids.participants import refresh_participants
from ctwml_bids.errors import CannotCreateError, InvalidInputError
from ctwml_bids.reading import read_json

NAME = "ctwml_bids"
BIDS_VERSION = "1.11.1"
# What the BIDS validator has no names for (BIDS 1.11.1); patterns as in .gitignore.
BIDSIGNORE = (
    "*_xfm.txt",
    "*_xfm.nii.gz",
    "*_xfm.json",
    "*_ct.*",
    "*_CT.*",
    "*_stats.tsv",
    "*_stats.json",
    "figures",
    "*.html",
    "logs",
    "group",
    "models",
    "train",
)
_README = """# White matter lesions on head CT and FLAIR

Made by ctwml_bids {version} (method: Pitkänen et al. 2020, doi:10.1007/s00234-020-02410-2), for
research only.

- `sub-*/[ses-*/]anat/*_label-WML_desc-{{ct,flair}}_mask` are lesions (and `*_label-infarct_*`
  infarcts, where the model tells them apart); `desc-` says which image they were seen in, `space-`
  on whose grid they lie; `_probseg` is the probability, `desc-ctstd` and `desc-flairstd` its
  standard deviation over the networks.
- `desc-ctcv` and `desc-flaircv` are out-of-fold lesions, from networks that were not trained on the
  subject (analysis level `train`; its model is in `train/`), `cvstd` their spread over the repeats.
- `*_desc-brain_mask` is the brain; `*_desc-wml_stats.tsv` has volumes in millilitres.
- `*_from-A_to-B_mode-image_xfm.txt` resamples an image in A onto B (ITK text).
- `models/*/card.json` says what each model is, what it learnt from and how well it did.
- `sub-*.html` is the report of one subject or session, `logs/status.tsv` says how each ended.

`bids:raw:` in a sidecar's Sources stands for the input data set.
"""


def check_output_dir(bids_dir: Path, output_dir: Path, *, create: bool = True) -> None:
    """Check that results may be written to a folder, and make it.

    Parameters
    ----------
    bids_dir, output_dir
        The input data set and where the results go.
    create
        Make the folder and try to write there; False only looks (for a dry run).

    Raises
    ------
    InvalidInputError
        It is the input data set or inside it (other than in ``derivatives/``), or holds another
        program's data set.
    CannotCreateError
        It is not a folder or cannot be written to.
    """
    raw, output = Path(bids_dir).resolve(), Path(output_dir).resolve()
    advice = f"choose another folder, for instance {raw / 'derivatives' / NAME}"
    if output == raw:
        raise InvalidInputError(f"{output_dir}: the output folder is the input data set; {advice}")
    if raw in output.parents and output.relative_to(raw).parts[0] != "derivatives":
        raise InvalidInputError(f"{output_dir}: is inside the input data set; {advice}")
    if output.exists() and not output.is_dir():
        raise CannotCreateError(f"{output_dir}: is a file; {advice}")
    _read_description(output)
    if not create:
        return
    make_folder(output)
    probe = output / f".{os.getpid()}-writable.tmp"
    try:
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        probe.unlink(missing_ok=True)
        explained = explain_os_error(error, output)
        if error.errno in FULL:
            raise explained from error
        raise CannotCreateError(f"{output_dir}: cannot be written to; {advice}") from error


def start_dataset(
    output_dir: Path,
    bids_dir: Path,
    *,
    hashes: Mapping[str, str] | None = None,
    model_label: str = "",
) -> None:
    """Write or refresh dataset_description.json, .bidsignore, README.md, participants.tsv.

    Hashes that are recorded are read and written again: of several runs that start at once, one at
    a time may do this (`cli.provenance.register_run` sees to it).

    Parameters
    ----------
    output_dir, bids_dir
        The derivative data set and its input.
    hashes
        "preprocessing" and "segmentation" to the hash of the settings that decide them; recorded
        in GeneratedBy, beside those of other models that the folder has.
    model_label
        The ``--desc`` of the run, empty for the first model.
    """
    output, raw = Path(output_dir), Path(bids_dir)
    made_by = made_by_program(_read_description(output), NAME)
    record: dict[str, object] = {
        "Name": NAME,
        "Version": __version__,
        "Description": "White matter lesions segmented on head CT and FLAIR",
    }
    if container := _container():
        record["Container"] = container
    if recorded := _hashes(_part(made_by, "SettingsHash"), hashes or {}, model_label):
        record["SettingsHash"] = recorded
    source = said_of(raw)
    description: dict[str, object] = {
        "Name": f"{NAME} - white matter lesions of {source.get('Name') or 'an unnamed data set'}",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [record],
        "DatasetLinks": {"raw": _link(raw, output, source)},
    }
    if source.get("DatasetDOI"):
        description["SourceDatasets"] = [{"DOI": source["DatasetDOI"]}]
    write_json(output / "dataset_description.json", description)
    write_text(output / ".bidsignore", "\n".join(BIDSIGNORE) + "\n")
    write_text(output / "README.md", _README.format(version=__version__))
    refresh_participants(output, raw)


def map_sidecar(
    *,
    sources: Sequence[str],
    space: str | None = None,
    spatial_reference: str | None = None,
    kind: str | None = None,
    threshold: float | None = None,
    model: str | None = None,
    model_files: Mapping[str, str] | None = None,
    precision: str | None = None,
    island_share: float | None = None,
    least_ml: float | None = None,
    islands_ml: float | None = None,
    fluid_ml: float | None = None,
    description: str | None = None,
) -> dict[str, object]:
    """Content of the JSON file beside a mask or a map, only with the fields that are known.

    Parameters
    ----------
    sources
        BIDS URIs of what it was made from.
    space
        ``CT``, ``FLAIR`` or a template. It needs a `spatial_reference`: the URI of its image.
    kind
        BIDS ``Type`` of a mask: ``Brain``, ``Lesion`` or ``ROI``.
    threshold
        Probability above which a voxel is in the mask.
    model, model_files
        Name of the model; its networks' files and their SHA-256, as sha256sum gives them.
    precision
        Number format that its convolutions ran in, such as ``float32``.
    island_share, least_ml, islands_ml
        Small regions with less than this share in the template's white matter, or regions under
        this volume (mL, in the template's space), were left out; and the volume (mL) above the
        threshold in them.
    fluid_ml
        Volume (mL) above the threshold that was left out as fluid of the ventricles.
    """
    if space and not spatial_reference:
        raise ValueError(f"space-{space} needs the URI of the image as its SpatialReference")
    fields = {
        "Description": description,
        "Type": kind,
        "Sources": list(sources),
        "SpatialReference": spatial_reference,
        "Threshold": threshold,
        "Model": model,
        "ModelFilesSHA256": dict(model_files) if model_files else None,
        "Precision": precision,
        "WhiteMatterShare": island_share,
        "LeastVolume": least_ml,
        "LeftOutVolume": islands_ml,
        "LeftOutFluidVolume": fluid_ml,
    }
    return {key: value for key, value in fields.items() if value is not None}


def _read_description(output: Path) -> dict[str, object]:
    """Read the output's dataset_description.json, {} where there is none; refuse others."""
    path = output / "dataset_description.json"
    try:
        content = read_json(path)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{path}: cannot be read ({error}); mend or remove it") from error
    if not isinstance(content, dict) or not made_by_program(content, NAME):
        raise InvalidInputError(
            f"{path}: the output folder holds a data set that {NAME} did not make; choose another"
        )
    return content


def made_by_program(description: Mapping[str, object], name: str) -> dict[str, object]:
    """Return a program's entry of a description's GeneratedBy, {} where there is none."""
    entries = description.get("GeneratedBy")
    if not isinstance(entries, list):
        return {}
    its = [entry for entry in entries if isinstance(entry, dict) and entry.get("Name") == name]
    return its[0] if its else {}


def _part(content: Mapping[str, object], key: str) -> Mapping[str, object]:
    """Return the JSON object under a key, {} where there is none."""
    found = content.get(key)
    return found if isinstance(found, dict) else {}


def said_of(folder: Path) -> dict[str, object]:
    """Read what a data set says of itself, dataset_description.json; {} where it says nothing."""
    try:
        content = read_json(folder / "dataset_description.json")
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def is_made_from(output: Path, raw: Path) -> bool:
    """Tell whether an output folder says that it was made from this data set."""
    links = _part(said_of(output), "DatasetLinks")
    return links.get("raw") == _link(raw, output, said_of(raw))


def _link(raw: Path, output: Path, source: Mapping[str, object]) -> str:
    """Where the input is: its DOI, or the way there from the output; never an absolute path."""
    if (doi := source.get("DatasetDOI")) and isinstance(doi, str):
        return doi
    return PurePath(os.path.relpath(raw.resolve(), output.resolve())).as_posix()


def _container() -> dict[str, str]:
    """Say what is known of the container that the program runs in."""
    tag = os.environ.get("CTWML_CONTAINER_TAG")
    image = os.environ.get("APPTAINER_NAME") or os.environ.get("SINGULARITY_NAME")
    if image:
        container = {"Type": "apptainer", "Tag": tag or image}
    else:
        container = {"Type": "docker", "Tag": tag} if tag else {}
    # An image cannot know its own checksum: whoever starts it tells.
    if container and (uri := os.environ.get("CTWML_CONTAINER_URI")):
        container["URI"] = uri
    return container


def _hashes(
    before: Mapping[str, object], now: Mapping[str, str], model_label: str
) -> dict[str, object]:
    """Add this run's hashes to those that are recorded."""
    if not now:
        return dict(before)
    # A label may be "default" too.
    name = f"desc-{model_label}" if model_label else "default"
    models = {**_part(before, "Segmentation"), name: now["segmentation"]}
    return {"Preprocessing": now["preprocessing"], "Segmentation": dict(sorted(models.items()))}
