"""Templates: the packaged default, and any other through the TemplateFlow client.

The only place that imports templateflow. Nothing is downloaded here: a template that is not in
TEMPLATEFLOW_HOME is an error that names the command which fetches it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from ctwml_bids.errors import NoInputError

DEFAULT = "MNI152NLin2009aSym"
ARCHIVE = "https://templateflow.s3.amazonaws.com"


@dataclass(frozen=True)
class Template:
    """Files of a template, all on one grid unless noted.

    Attributes
    ----------
    name
        TemplateFlow identifier without "tpl-"; with "+cohort" where there is one.
    t1w, brain_mask
        T1-weighted head or brain, and brain mask.
    gm, wm
        Grey and white matter probabilities, None where the template has none.
    ventricles
        Lateral ventricles; None but for the packaged template, as TemplateFlow has no such mask.
    notes
        What a reader of the results should know about these files.
    """

    name: str
    t1w: Path
    brain_mask: Path
    gm: Path | None
    wm: Path | None
    ventricles: Path | None
    notes: tuple[str, ...] = ()

    @property
    def uri(self) -> str:
        """Address of the T1w image at TemplateFlow, under whose name the packaged one goes too."""
        folders = [path for path in self.t1w.parents if path.name.startswith("tpl-")]
        return f"{ARCHIVE}/{self.t1w.relative_to(folders[-1].parent).as_posix()}"


def packaged() -> Template:
    """Return the default template, which needs no network and no TEMPLATEFLOW_HOME."""
    folder = Path(str(resources.files("ctwml_bids") / "data/templates" / f"tpl-{DEFAULT}"))
    stem = f"tpl-{DEFAULT}_res-1_"
    return Template(
        DEFAULT,
        folder / f"{stem}T1w.nii.gz",
        folder / f"{stem}desc-brain_mask.nii.gz",
        folder / f"{stem}label-GM_probseg.nii.gz",
        folder / f"{stem}label-WM_probseg.nii.gz",
        folder / f"{stem}label-lateralventricles_mask.nii.gz",
    )


def get(name: str = DEFAULT, *, resolution: int = 1) -> Template:
    """Find a template's files.

    Parameters
    ----------
    name
        TemplateFlow identifier, such as "MNI152NLin2009cAsym". A cohort may follow as in
        "MNIPediatricAsym:cohort-2". The default is the packaged template.
    resolution
        TemplateFlow's index of the resolution (1 is 1 mm in the MNI152 templates).

    Returns
    -------
    Template

    Raises
    ------
    NoInputError
        If the T1w image or brain mask is not in TEMPLATEFLOW_HOME.
    """
    name, _, modifier = name.removeprefix("tpl-").partition(":")
    cohort = modifier.removeprefix("cohort-") or None
    if name == DEFAULT and resolution == 1 and cohort is None:
        return packaged()
    home = home_folder()
    folder = home / f"tpl-{name}"
    # Importing the client fills an empty home with thousands of empty files; not before needed.
    if not folder.is_dir():
        raise _not_there(name, resolution, cohort, "no such folder", folder)
    files = _Files(home, name, resolution, cohort)
    return Template(
        name if cohort is None else f"{name}+{cohort}",
        files.one("T1w"),
        files.one("mask", desc="brain"),
        files.maybe("probseg", label="GM"),
        files.maybe("probseg", label="WM"),
        None,
        _notes(name),
    )


def home_folder() -> Path:
    """Return the local TemplateFlow folder, which need not be there."""
    configured = os.environ.get("TEMPLATEFLOW_HOME")
    if configured:
        return Path(configured).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "templateflow"


class _Files:
    """Queries of one template in a local TEMPLATEFLOW_HOME."""

    def __init__(self, home: Path, name: str, resolution: int, cohort: str | None) -> None:
        os.environ.setdefault("TEMPLATEFLOW_HOME", str(home))
        os.environ.setdefault("TEMPLATEFLOW_AUTOUPDATE", "0")
        from templateflow.client import TemplateFlowClient

        self._client = TemplateFlowClient(root=home, use_datalad=False, autoupdate=False)
        self._name, self._resolution, self._cohort = name, resolution, cohort
        self._folder = home / f"tpl-{name}"

    def maybe(self, suffix: str, **entities: str) -> Path | None:
        query: dict[str, object] = {"desc": None, "label": None, "atlas": None, **entities}
        query |= {"suffix": suffix, "extension": [".nii.gz", ".nii"], "space": None}
        if self._cohort is not None:
            query["cohort"] = self._cohort
        found = self._client.ls(self._name, resolution=self._resolution, **query)
        # Some templates have one resolution and do not name it.
        found = found or self._client.ls(self._name, resolution=None, **query)
        # The client lists files that it would download; those are empty until it did.
        here = sorted(path for path in found if path.is_file() and path.stat().st_size > 0)
        return here[0] if here else None

    def one(self, suffix: str, **entities: str) -> Path:
        path = self.maybe(suffix, **entities)
        if path is None:
            described = "_".join([*(f"{k}-{v}" for k, v in entities.items()), suffix])
            raise _not_there(
                self._name, self._resolution, self._cohort, f"{described} missing", self._folder
            )
        return path


def _not_there(
    name: str, resolution: int, cohort: str | None, what: str, folder: Path
) -> NoInputError:
    extra = f", cohort={cohort!r}" if cohort else ""
    call = (
        f"[api.get({name!r}, resolution={resolution}{extra}, **q) for q in ("
        "dict(suffix='T1w', desc=None), dict(suffix='mask', desc='brain'), "
        "dict(suffix='probseg', label=['GM', 'WM'], desc=None))]"
    )
    return NoInputError(
        f"Template {name} (resolution {resolution}) is not in TEMPLATEFLOW_HOME: {what} ({folder})."
        " Nothing is downloaded during a run. With a network, fetch it once by\n"
        f"  TEMPLATEFLOW_HOME={folder.parent} python -c "
        f'"from templateflow import api; {call}"\n'
        f"or use the packaged default, --template {DEFAULT}."
    )


def _notes(name: str) -> tuple[str, ...]:
    note = (
        f"Ventricles and the midline were looked up in {DEFAULT}, fitted to the brain mask for "
        f"itself: {name} has no ventricle mask."
    )
    if name.startswith("MNI152"):
        return (note,)
    return (
        note,
        f"{name} is not of the MNI152 family, in whose frame the shipped networks were trained: "
        "check the lesions in the report.",
    )
