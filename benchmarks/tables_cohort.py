"""Tables of the simulated cohort and the scans of its people, for validation pages (`page.py`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.page_words import Table, fisher_interval, number, percent, result
from ctwml_bids.segmentation import model_store
from ctwml_bids.statistics import fazekas

GROUPS = tuple(fazekas.GROUPS)
# Of the people who are scanned in other ways, those by whom networks were chosen.
_SEEN_BEFORE = 12
# Less than this is no lesion (mL).
_NONE_ML = 0.05
# Rows of Dice whose values each person has.
_BY_PERSON = {"CT against truth": "ct_dice", "FLAIR against truth": "flair_dice"}


def volumes() -> Table:
    table = [
        ["volumes", "r", "slope", "bias (mL)", "limits of agreement (mL)", "r within 0–1, 2, 3"]
    ]
    for name, row in result("cohort_whole")["volumes"].items():
        low, high = row["limits_ml"]
        within = ", ".join(number(row["r_within_groups"][group], 2) for group in GROUPS)
        table.append(
            [
                name,
                number(row["r"], 3),
                number(row["slope"], 3),
                number(row["bias_ml"], 1),
                f"{number(low, 1)} to {number(high, 1)}",
                within,
            ]
        )
    return table


def errors_by_group() -> Table:
    """Errors of the volumes on CT: bias and spread are not those of all in each group."""
    heads = result("cohort_whole")["heads"]
    groups = fazekas.group_of_grade([head["fazekas"] for head in heads])
    error = np.array([head["ct_ml"] - head["true_ml"] for head in heads])
    table = [["Fazekas", "people", "true volume, mean (mL)", "CT minus truth, mean (SD)", "range"]]
    true = np.array([head["true_ml"] for head in heads])
    for index, name in enumerate(GROUPS):
        part = error[groups == index]
        table.append(
            [
                name.replace("-", "–"),
                str(part.size),
                number(true[groups == index].mean(), 1),
                f"{number(part.mean(), 1)} ({number(part.std(ddof=1), 1)})",
                f"{number(part.min(), 1)} to {number(part.max(), 1)}",
            ]
        )
    return table


def dice() -> Table:
    found = result("cohort_whole")
    heads = found["heads"]
    large = np.array([head["true_ml"] for head in heads]) > 1
    table = [["Dice", "all", "0–1", "2", "3", f"over 1 mL ({large.sum()})"]]
    for name, row in found["dice"].items():
        over = ""
        if name in _BY_PERSON:
            over = number(np.array([head[_BY_PERSON[name]] for head in heads])[large].mean(), 2)
        name = name.replace("second outline", "outlines of a second simulated rater")
        table.append([name, *(number(row[key], 2) for key in ("all", *GROUPS)), over])
    return table


def fazekas_groups() -> Table:
    names = {
        "from CT": "from CT",
        "from FLAIR": "from FLAIR",
        "ceiling: from true volumes": "ceiling: from the true volumes",
        "ceiling: second rater": "a second simulated rater",
    }
    rows = result("cohort_whole")["fazekas"]
    head = "Fazekas group from volume, 10-fold"
    table = [[head, "right", "weighted kappa", "right, thresholds by plain counting"]]
    for key, name in names.items():
        row, plain = rows[key], rows["counted plainly"].get(key)
        table.append(
            [
                name,
                percent(row["share_right"]),
                number(row["weighted_kappa"], 2),
                "" if plain is None else percent(plain),
            ]
        )
    return table


def both_cohorts() -> Table:
    """What the targets are about, in the cohort and in one that nothing was chosen with."""
    found = [result(name) for name in ("cohort_whole", "cohort_second")]
    short = "CT short of the ceiling"

    def volumes(key: str, digits: int) -> list[str]:
        return [number(one["volumes"]["CT against truth"][key], digits) for one in found]

    def dice_of(image: str, group: str) -> list[str]:
        return [number(one["dice"][f"{image} against truth"][group], 2) for one in found]

    def right(key: str) -> list[str]:
        shares = (
            (one["fazekas"][key]["share_right"], one["fazekas"]["counted plainly"][key])
            for one in found
        )
        return [f"{percent(smooth)} ({percent(plain)})" for smooth, plain in shares]

    def points(key: str) -> list[str]:
        rows = [one["fazekas"][key] for one in found]
        ends = [" to ".join(number(end, 1) for end in row["ci95"]) for row in rows]
        return [f"{number(row['points'], 1)} ({end})" for row, end in zip(rows, ends, strict=True)]

    def largest(image: str) -> list[str]:
        return [number(largest_without_lesions(one, image), 1) for one in found]

    return [
        ["", "seed 2020", "seed 2021"],
        ["people", *(str(one["people"]) for one in found)],
        ["CT volumes against truth: r", *volumes("r", 3)],
        ["slope", *volumes("slope", 3)],
        ["bias (mL)", *volumes("bias_ml", 1)],
        ["Dice, CT", *dice_of("CT", "all")],
        ["Dice, CT, Fazekas 3", *dice_of("CT", "3")],
        ["Dice, FLAIR", *dice_of("FLAIR", "all")],
        ["largest mark where there is no lesion, CT (mL)", *largest("ct")],
        ["largest mark where there is no lesion, FLAIR (mL)", *largest("flair")],
        ["Fazekas group from CT (thresholds by plain counting)", *right("from CT")],
        ["from FLAIR", *right("from FLAIR")],
        ["from the true volumes", *right("ceiling: from true volumes")],
        ["CT short of that, points (95%)", *points(short)],
        ["by plain counting", *points(f"{short}, counted plainly")],
        ["FLAIR short of that", *points("FLAIR short of the ceiling")],
    ]


def largest_without_lesions(cohort: Mapping, image: str) -> float:
    """Return the largest volume (mL) that is marked on ``ct`` or ``flair`` where there is none."""
    return max(head[f"{image}_ml"] for head in cohort["heads"] if head["true_ml"] < _NONE_ML)


def fazekas_cuts() -> Table:
    ways = {
        "best": "best thresholds",
        "plain": "plain counting",
        "rule": "**Silverman's rule**",
        "0.1": "SD 0.1",
        "0.3": "SD 0.3",
        "1": "SD 1",
    }
    table = [["medians (mL)", "SD of the logarithm", "heads", *ways.values()]]
    for row in result("fazekas_cuts")["rows"]:
        table.append(
            [
                ", ".join(f"{median:g}" for median in row["medians_ml"]),
                ", ".join(f"{spread:g}" for spread in row["spreads"]),
                str(row["heads"]),
                *(percent(row[way]) for way in ways),
            ]
        )
    return table


def thresholds() -> Table:
    found = result("cohort_whole")
    table = [["CT read at", "Dice", "r", "slope", "bias (mL)", "Fazekas group"]]
    card = model_store.load_card(model_store.default("ct"))
    if found["models"]["ct"] != [card.name, card.checksum]:
        raise SystemExit(f"cohort_whole.json is not of {card.name}: measure the cohort with it.")
    rows = [row for row in found["thresholds"]["ct"] if row["threshold"] != card.threshold]
    rows.append(
        {
            "threshold": card.threshold,
            "dice": found["dice"]["CT against truth"],
            "fazekas_right": found["fazekas"]["from CT"]["share_right"],
            **found["volumes"]["CT against truth"],
        }
    )
    for row in sorted(rows, key=lambda row: row["threshold"]):
        threshold = f"{row['threshold']:g}"
        table.append(
            [
                f"**{threshold}**" if row["threshold"] == card.threshold else threshold,
                number(row["dice"]["all"], 3),
                number(row["r"], 3),
                number(row["slope"], 2),
                number(row["bias_ml"], 1),
                percent(row["fazekas_right"]),
            ]
        )
    return table


def former_model() -> Table:
    found = result("cohort_compare")
    head = f"{found['people']} people"
    table = [[head, "Dice, all", "0–1", "2", "3", "volume r", "within 0–1", "slope", "bias (mL)"]]
    table[0] += ["Fazekas group", "points short (95%)"]
    for key, row in found["table"].items():
        if "volumes" not in row:
            continue
        volumes, short = row["volumes"], row["short_of_true_volumes"]
        low, high = short["ci95"]
        table.append(
            [
                key.split()[0],
                *(number(row["dice"][group], 2) for group in ("all", *GROUPS)),
                number(volumes["r"], 3),
                number(volumes["r_within_groups"]["0-1"], 2),
                number(volumes["slope"], 3),
                number(volumes["bias_ml"], 1),
                percent(row["fazekas_right"]),
                f"{number(short['points'], 1)} ({number(low, 1)} to {number(high, 1)})",
            ]
        )
    return table


def _correlation(people: Sequence[tuple[str, dict]]) -> float:
    true, found = zip(*((row["true_ml"], row["found_ml"]) for _, row in people), strict=True)
    return float(np.corrcoef(true, found)[0, 1])


def _ceiling_of(people: Sequence[str]) -> float:
    """Mean Dice of the second outlines of people with lesions, on the cohort's own scans."""
    heads = [head for head in result("cohort_whole")["heads"] if head["person"] in people]
    return float(np.mean([head["ct_ceiling"] for head in heads if head["true_ml"] > 1]))


def robustness() -> Table:
    names = {
        "slices-1": "slices of 1 mm",
        "slices-2.5": "slices of 2.5 mm",
        "slices-5": "slices of 5 mm",
        "slices-5_noise-2": "slices of 5 mm, noise × 2",
        "slices-5_mask-5": "slices of 5 mm, brain mask 5 mm off",
    }
    scans = result("robustness")["scans"]
    table = [["CT", "Dice", "loss", "volume r (95%)", "r, last 12 people", "slope", "bias (mL)"]]
    for key, name in names.items():
        row = scans[key]
        table.append(
            [
                name,
                number(row["dice"], 2),
                number(row["dice_loss"], 2),
                f"{number(row['r'], 3)} ({fisher_interval(row['r'], row['people'])})",
                number(_correlation(sorted(row["by_person"].items())[_SEEN_BEFORE:]), 3),
                number(row["slope"], 2),
                number(row["bias_ml"], 1),
            ]
        )
    people = list(scans["slices-2.5"]["by_person"])
    ceiling = number(_ceiling_of(people), 2)
    table.append(
        ["ceiling: second outlines of these people, their scans in the cohort", ceiling, *[""] * 5]
    )
    return table
