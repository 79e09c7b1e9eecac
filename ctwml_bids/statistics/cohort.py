"""The whole analysis of a cohort from its units' numbers: nothing here reads or writes a file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ctwml_bids.modality import IMAGES
from ctwml_bids.statistics import agreement as agreed
from ctwml_bids.statistics import fazekas, fazekas_cohort, ranks
from ctwml_bids.statistics.agreement import UNDEFINED, Agreement, Estimate
from ctwml_bids.statistics.columns import unit_column
from ctwml_bids.statistics.concordance import Terms, moments_of
from ctwml_bids.statistics.fazekas_cohort import Classification, classify
from ctwml_bids.statistics.resampling import DRAWS, bootstrap
from ctwml_bids.statistics.strata import strata
from ctwml_bids.statistics.tables import MISSING, number_in
from ctwml_bids.statistics.thresholds import ThresholdSet

# Volumes that CT and FLAIR are compared by: both in FLAIR space.
COMPARED = {"ct": "ct_in_flair_ml", "flair": "flair_wml_ml"}


@dataclass(frozen=True)
class Part:
    """Results of one part of the cohort.

    Attributes
    ----------
    by, stratum
        As `strata.strata` names the part.
    units
        How many there are in it.
    agreement
        Of CT with FLAIR volumes.
    dice
        Mean over pairs in which either image has a lesion.
    both_empty
        Pairs in which neither has.
    spearman
        Image → rank correlation of its volume with the Fazekas rating.
    counts, share_right, kappa
        Image → Fazekas groups from volumes against rated ones, by estimates out of fold. Within
        one rated group neither `spearman` nor `kappa` is defined: there is nothing to tell apart.
    """

    by: str
    stratum: str
    units: int
    agreement: Agreement
    dice: Estimate
    both_empty: int
    spearman: Mapping[str, Estimate]
    counts: Mapping[str, np.ndarray]
    share_right: Mapping[str, Estimate]
    kappa: Mapping[str, Estimate]


@dataclass(frozen=True)
class Cohort:
    """Results of a cohort.

    Attributes
    ----------
    units
        Rows of all units; ``fazekas_from_ct`` and ``fazekas_from_flair`` have been added.
    members
        Indices of the units that take part.
    parts
        All of them first, then the strata (`strata.STRATA`).
    classification
        Image → thresholds and how they were judged.
    draws
        Of the bootstrap.
    """

    units: tuple[Mapping[str, Any], ...]
    members: tuple[int, ...]
    parts: tuple[Part, ...]
    classification: Mapping[str, Classification]
    draws: int = DRAWS

    @property
    def whole(self) -> Part:
        """The part that is all of the cohort."""
        return self.parts[0]

    def rows(self) -> list[Mapping[str, Any]]:
        """Return the units that take part."""
        return [self.units[index] for index in self.members]


def analyse(
    units: Sequence[Mapping[str, object]],
    *,
    thresholds: ThresholdSet | None = None,
    draws: int = DRAWS,
) -> Cohort:
    """Analyse a cohort.

    Parameters
    ----------
    units
        Rows with ``included`` and ``in_agreement`` (``yes`` or why not), volumes, overlap,
        ``fazekas_group`` and what the strata need.
    thresholds
        Of another cohort, judged in place of ones fitted to this.
    draws
        Of the bootstrap over subjects.
    """
    members = [index for index, row in enumerate(units) if row["included"] == "yes"]
    taking = [units[index] for index in members]
    values = _Values.of(taking)
    classified = {
        image: classify(
            values.own[image],
            values.rated,
            values.subjects,
            thresholds=thresholds.thresholds.get(image) if thresholds else None,
        )
        for image in IMAGES
    }
    estimated = {image: np.array(classified[image].estimated, dtype=int) for image in IMAGES}
    parts = tuple(
        _part(by, name, values.take(indices, estimated), draws)
        for by, name, indices in strata(taking)
    )
    rows = _with_estimates(units, members, estimated)
    return Cohort(rows, tuple(members), parts, classified, draws)


@dataclass(frozen=True)
class _Values:
    """Columns of some units as arrays; `estimated` is image → group index, empty before that."""

    subjects: np.ndarray
    own: Mapping[str, np.ndarray]
    compared: Mapping[str, np.ndarray]
    dice: np.ndarray
    both_empty: np.ndarray
    rated: np.ndarray
    ordinal: np.ndarray
    estimated: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, units: Sequence[Mapping[str, object]]) -> _Values:
        """Gather the columns of units."""
        pair = np.array([row["in_agreement"] == "yes" for row in units], dtype=bool)
        empty = np.array([row["both_empty"] == "true" for row in units], dtype=bool) & pair
        groups = [row["fazekas_group"] for row in units]
        rated = np.array([-1 if g == MISSING else fazekas.GROUPS.index(g) for g in groups], int)
        grades = _column(units, "fazekas_grade")
        # Where every rating is a grade it says more than its group.
        graded = np.isfinite(grades[rated >= 0]).all()
        ordinal = grades if graded else np.where(rated >= 0, rated, np.nan)
        return cls(
            np.array([row["participant_id"] for row in units]),
            {image: _column(units, unit_column(image, "wml_ml")) for image in IMAGES},
            {i: np.where(pair, _column(units, c), np.nan) for i, c in COMPARED.items()},
            np.where(pair & ~empty, _column(units, "dice"), np.nan),
            empty,
            rated,
            ordinal,
            {},
        )

    def take(self, indices: Sequence[int], estimated: Mapping[str, np.ndarray]) -> _Values:
        """Return some of the units, with their estimated groups."""
        at = np.asarray(indices, dtype=int)

        def of_image(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {image: column[at] for image, column in columns.items()}

        return _Values(
            self.subjects[at],
            of_image(self.own),
            of_image(self.compared),
            self.dice[at],
            self.both_empty[at],
            self.rated[at],
            self.ordinal[at],
            of_image(estimated),
        )


def _part(by: str, stratum: str, values: _Values, draws: int) -> Part:
    flair, ct = values.compared["flair"], values.compared["ct"]
    found = agreed.agreement(ct, flair)
    dice = values.dice
    counts = {image: _counts(values, image) for image in IMAGES}
    # Within one rated group there is no rating to go by.
    rating = np.full(dice.size, math.nan) if by == "fazekas" else values.ordinal
    orders = {image: ranks.Order.of(values.own[image], rating) for image in IMAGES}

    # Whatever is a sum over units is summed at once for each resampled cohort.
    terms = Terms.of(flair, ct)
    cells = [fazekas_cohort.cells(values.rated, values.estimated[image]) for image in IMAGES]
    parts = [terms.columns, _to_average(dice), *cells]
    summed = np.concatenate(parts, axis=1)
    where = np.cumsum([part.shape[1] for part in parts])[:-1]

    def statistic(weights: np.ndarray) -> np.ndarray:
        moments, mean, *tables = np.split(weights @ summed, where, axis=1)
        columns = [agreed.estimates(moments_of(moments, terms.about)), _average(mean)]
        columns += [fazekas_cohort.judged(table) for table in tables]
        columns += [ranks.spearman(weights, order)[:, None] for order in orders.values()]
        return np.concatenate(columns, axis=1)

    # One set of resampled cohorts for all: drawing them costs most.
    ends = bootstrap(statistic, values.subjects, draws=draws)
    last = len(agreed.NAMES)
    if found.pairs >= agreed.MINIMUM_PAIRS:
        found = agreed.with_ends(found, ends[:, :last])
    mean = float(np.nanmean(dice)) if np.isfinite(dice).any() else math.nan
    judged = {
        image: fazekas_cohort.with_ends(counts[image], ends[:, last + 1 + 2 * k : last + 3 + 2 * k])
        for k, image in enumerate(IMAGES)
    }
    kappa = {image: UNDEFINED if by == "fazekas" else judged[image][1] for image in IMAGES}
    spearman = {
        image: _spearman(order, dice.size, ends[:, last + 5 + k])
        for k, (image, order) in enumerate(orders.items())
    }
    return Part(
        by,
        stratum,
        values.subjects.size,
        found,
        UNDEFINED
        if math.isnan(mean)
        else Estimate(mean, boot_low=float(ends[0, last]), boot_high=float(ends[1, last])),
        int(values.both_empty.sum()),
        spearman,
        counts,
        {image: judged[image][0] for image in IMAGES},
        kappa,
    )


def _counts(values: _Values, image: str) -> np.ndarray:
    known = (values.rated >= 0) & (values.estimated[image] >= 0)
    return fazekas.confusion(values.rated[known], values.estimated[image][known])


def _to_average(values: np.ndarray) -> np.ndarray:
    """Return what is summed for a mean that leaves NaN out: each value, and whether it counts."""
    known = np.isfinite(values)
    return np.stack([np.where(known, values, 0.0), known.astype(float)], axis=1)


def _average(sums: np.ndarray) -> np.ndarray:
    """Return the means of some cohorts, (m, 1), from their sums over `_to_average`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        average: np.ndarray = sums[:, :1] / sums[:, 1:]
    return average


def _spearman(order: ranks.Order, count: int, ends: np.ndarray) -> Estimate:
    """Return a rank correlation, of a part of `count` units, with its two intervals."""
    value = float(ranks.spearman(np.ones((1, count)), order)[0])
    if order.units.size < agreed.MINIMUM_PAIRS or math.isnan(value):
        return UNDEFINED
    return Estimate(value, *ranks.fisher_interval(value, order.units.size), *map(float, ends))


def _with_estimates(
    units: Sequence[Mapping[str, object]],
    members: Sequence[int],
    estimated: Mapping[str, np.ndarray],
) -> tuple[Mapping[str, object], ...]:
    rows = [{**row, **{f"fazekas_from_{image}": MISSING for image in IMAGES}} for row in units]
    for image in IMAGES:
        for index, group in zip(members, estimated[image], strict=True):
            if group >= 0:
                rows[index][f"fazekas_from_{image}"] = fazekas.GROUPS[group]
    return tuple(rows)


def _column(units: Sequence[Mapping[str, object]], name: str) -> np.ndarray:
    return np.array([number_in(row.get(name, MISSING)) for row in units], dtype=float)
