"""How often each place of the template has a lesion, by Fazekas group.

The one part of the group level that reads images. Maps remember which masks they were made from:
a new unit is added to them, and the others' masks are not read again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from ctwml_bids.bids import names
from ctwml_bids.bids.files import write_json, write_nifti
from ctwml_bids.bids.labels import first_of
from ctwml_bids.errors import CtwmlError
from ctwml_bids.geometry import voxel_volume_ml
from ctwml_bids.group.units import SHOWN, Row, labels_of
from ctwml_bids.image_files import UNREADABLE, load_nifti
from ctwml_bids.modality import IMAGES
from ctwml_bids.preprocessing.grids import Grid, grid_of, image_on, resample
from ctwml_bids.preprocessing.transforms import read_itk
from ctwml_bids.reading import read_json
from ctwml_bids.statistics.columns import unit_column
from ctwml_bids.statistics.fazekas import GROUPS
from ctwml_bids.statistics.strata import ALL
from ctwml_bids.statistics.tables import MISSING, number_in

LOG = logging.getLogger("ctwml_bids")
ROOM = 2  # voxels around the lesions, for the interpolation
TOLERANCE_ML = 0.05  # volumes of a table are rounded


@dataclass
class FrequencyMap:
    """Share of some units that have a lesion in each voxel of the template.

    Attributes
    ----------
    image, group
        ``ct`` or ``flair``; ``all`` or a Fazekas group.
    grid
        Of the template.
    counts
        Units with a lesion there, (x, y, z).
    units
        Unit → size and time of change of the mask it was counted from.
    """

    image: str
    group: str
    grid: Grid
    counts: np.ndarray
    units: dict[str, list[int]] = field(default_factory=dict)

    @property
    def share(self) -> np.ndarray:
        """0–1, float32."""
        return (self.counts / max(len(self.units), 1)).astype(np.float32)


def frequency_maps(
    rows: Sequence[Row], output_dir: Path, folder: Path, template: str, t1w: Path, label: str = ""
) -> tuple[list[FrequencyMap], list[str]]:
    """Make or extend the maps, and write them.

    Parameters
    ----------
    rows
        Units that are used.
    output_dir
        The derivative data set, with the masks.
    folder
        Where the maps go.
    template, t1w
        Name and image of the template that the units were normalised to.
    label
        The ``--desc`` of the run.

    Returns
    -------
    maps, problems
        Maps of both images, of all units and of each group that is there; sentences on masks
        that are missing or do not fit, whose units are in no map.
    """
    grid = grid_of(load_nifti(t1w))
    masks = _Masks(output_dir, template, grid, label)
    maps = []
    for image in IMAGES:
        there = {row["unit"]: row for row in rows if row[unit_column(image, "wml_ml")] != MISSING}
        prints = {
            unit: stamp
            for unit, row in there.items()
            if (stamp := masks.fingerprint(image, row)) is not None
        }
        found = {unit: there[unit] for unit in prints}
        groups = [g for g in GROUPS if any(r["fazekas_group"] == g for r in found.values())]
        wanted = {
            group: {u for u, r in found.items() if group in (ALL, r["fazekas_group"])}
            for group in (ALL, *groups)
        }
        known = {
            group: _read(folder, image, group, template, grid, {u: prints[u] for u in members})
            for group, members in wanted.items()
        }
        _count(image, found, prints, wanted, known, masks)
        maps += [one for one in known.values() if one.units]
    _write(folder, maps, template)
    return maps, masks.problems()


def _count(
    image: str,
    rows: Mapping[str, Row],
    prints: Mapping[str, list[int]],
    wanted: Mapping[str, set[str]],
    maps: Mapping[str, FrequencyMap],
    masks: _Masks,
) -> None:
    """Add to the maps the units that are not in them yet, reading each mask once."""
    new = [u for u in rows if any(u in wanted[g] and u not in maps[g].units for g in maps)]
    if new:
        LOG.info("group: lesion maps of %s, %d masks to read", image.upper(), len(new))
    for unit in new:
        lesions = masks.in_template(image, rows[unit])
        if lesions is None:
            continue
        where, inside = lesions
        for group, one in maps.items():
            if unit in wanted[group] and unit not in one.units:
                one.counts[where] += inside
                one.units[unit] = prints[unit]


class _Masks:
    """Lesion masks of units, brought to the template; what is wrong with any is kept."""

    def __init__(self, output_dir: Path, template: str, grid: Grid, label: str) -> None:
        self.output_dir, self.template, self.grid, self.label = output_dir, template, grid, label
        self.missing: list[str] = []
        self.wrong: list[str] = []

    def problems(self) -> list[str]:
        """Say which units are in no map, and why."""
        found = []
        if self.missing:
            found.append(
                f"The lesion maps lack {len(self.missing)} masks that are not in the output folder "
                f"({first_of(self.missing, SHOWN)}): run the participant level again for them, or "
                "copy the masks too."
            )
        return [*found, *self.wrong]

    def fingerprint(self, image: str, row: Row) -> list[int] | None:
        """Return size and time of change of a unit's mask; None where it is missing."""
        path, _ = self._path(image, row)
        try:
            facts = path.stat()
        except OSError:
            self.missing.append(f"{row['unit']} {image.upper()}")
            return None
        return [facts.st_size, facts.st_mtime_ns]

    def in_template(self, image: str, row: Row) -> tuple[tuple[slice, ...], np.ndarray] | None:
        """Return a box of the template's grid and the lesions in it; None where they do not fit."""
        path, normalised = self._path(image, row)
        try:
            mask = load_nifti(path)
            inside = np.asarray(mask.dataobj) > 0
            if normalised:
                return self._as_it_is(inside)
            return self._resampled(inside, mask.affine, image, row)
        except (CtwmlError, *UNREADABLE) as error:
            self.wrong.append(
                f"{path.relative_to(self.output_dir)}: {error}; {row['unit']} is in no lesion map "
                f"of {image.upper()}. Run the participant level again for it."
            )
            return None

    def _as_it_is(self, inside: np.ndarray) -> tuple[tuple[slice, ...], np.ndarray]:
        if inside.shape != tuple(self.grid.shape):
            raise ValueError(
                f"the mask has the shape {inside.shape}, the template {tuple(self.grid.shape)}"
            )
        return (slice(None), slice(None), slice(None)), inside

    def _resampled(
        self, inside: np.ndarray, affine: np.ndarray, image: str, row: Row
    ) -> tuple[tuple[slice, ...], np.ndarray]:
        if inside.ndim != 3:
            raise ValueError(f"the mask has the shape {inside.shape}, not three axes")
        ml = np.count_nonzero(inside) * voxel_volume_ml(affine)
        said = row[unit_column(image, "wml_ml")]
        if abs(ml - number_in(said)) > TOLERANCE_ML + 1e-4 * ml:
            raise ValueError(
                f"the mask (shape {inside.shape}) holds {ml:.2f} mL, but its table says {said} mL"
            )
        transform = names.xfm(*labels_of(row["unit"]), source=image.upper(), target=self.template)
        to_image = read_itk(self.output_dir / transform)
        box = self._box(inside, np.linalg.inv(to_image) @ affine)
        return box, resample(inside, affine, self.grid.part(box), to_image) >= 0.5

    def _box(self, inside: np.ndarray, to_template: np.ndarray) -> tuple[slice, ...]:
        """Return the box of the template's grid around the lesions."""
        at = np.argwhere(inside)
        if not at.size:
            return (slice(0, 1),) * 3
        ends = np.array([at.min(axis=0) - 1, at.max(axis=0) + 1])
        corners = np.array([[ends[b, k] for k, b in enumerate(c)] for c in np.ndindex(2, 2, 2)])
        voxels = np.linalg.inv(self.grid.affine) @ to_template @ np.c_[corners, np.ones(8)].T
        low = np.floor(voxels[:3].min(axis=1)).astype(int) - ROOM
        high = np.ceil(voxels[:3].max(axis=1)).astype(int) + ROOM + 1
        size = np.asarray(self.grid.shape)
        low, high = np.clip(low, 0, size - 1), np.clip(high, 1, size)
        return tuple(slice(int(a), int(max(b, a + 1))) for a, b in zip(low, high, strict=True))

    def _path(self, image: str, row: Row) -> tuple[Path, bool]:
        """Return the mask in the template's space where there is one, else the native one.

        Where the table is of the out-of-fold segmentation, so is the mask, which is native.
        """
        if image in row["out_of_fold"].split():
            label = row["out_of_fold_label"]
            native = self._mask(row, image, image.upper(), kind="cvmask", label=label)
            return self.output_dir / native, False
        normalised = self.output_dir / self._mask(row, image, self.template)
        if normalised.is_file():
            return normalised, True
        return self.output_dir / self._mask(row, image, image.upper()), False

    def _mask(
        self, row: Row, image: str, space: str, *, kind: str = "mask", label: str | None = None
    ) -> PurePosixPath:
        label = self.label if label is None else label
        who = labels_of(row["unit"])
        return names.wml(*who, space=space, seen_in=image, kind=kind, model_label=label)


def _path(folder: Path, image: str, group: str, template: str) -> Path:
    name = "All" if group == ALL else f"Fazekas{group.replace('-', '')}"
    return folder / f"space-{template}_label-WML_desc-{image}{name}_frequency.nii.gz"


def _read(
    folder: Path,
    image: str,
    group: str,
    template: str,
    grid: Grid,
    members: Mapping[str, list[int]],
) -> FrequencyMap:
    """Return a former map if its units all belong to it as they were, else an empty one."""
    path = _path(folder, image, group, template)
    empty = FrequencyMap(image, group, grid, np.zeros(grid.shape, dtype=np.uint32))
    try:
        units = read_json(names.sidecar(path))["Units"]
        if any(members.get(unit) != stamp for unit, stamp in units.items()):
            return empty
        former = load_nifti(path)
        counts = np.rint(np.asarray(former.dataobj) * len(units)).astype(np.uint32)
    except (AttributeError, *UNREADABLE):
        return empty
    if counts.shape != tuple(grid.shape) or not np.allclose(former.affine, grid.affine):
        return empty
    return FrequencyMap(image, group, grid, counts, dict(units))


def _write(folder: Path, maps: Sequence[FrequencyMap], template: str) -> None:
    """Write the maps, and remove those of groups that are no longer there."""
    kept = set()
    for one in maps:
        path = _path(folder, one.image, one.group, template)
        kept |= {path.name, names.sidecar(path).name}
        write_nifti(path, image_on(one.share, one.grid))
        of = "all units" if one.group == ALL else f"units rated Fazekas {one.group}"
        write_json(
            names.sidecar(path),
            {
                "Description": f"Share (0 to 1) of {of} with a lesion seen in {one.image.upper()}",
                "Space": template,
                "UnitCount": len(one.units),
                "Units": one.units,
            },
        )
    for old in folder.glob("space-*_frequency.*"):
        if old.name not in kept:
            old.unlink(missing_ok=True)
