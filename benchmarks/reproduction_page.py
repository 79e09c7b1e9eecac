"""Tables and figures of the paper beside those of a reproduction (`reproduction.py`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ctwml_bids.statistics import fazekas
from ctwml_bids.statistics.agreement import agreement

COLOURS = ("#0072B2", "#E69F00", "#D55E00")
PAPER_TABLE_1 = (
    ("all", 147, "71.2", "9.7", "55%"),
    ("0-1", 50, "65.7", "11.5", "58%"),
    ("2", 48, "73.4", "7.1", "56%"),
    ("3", 49, "74.7", "7.2", "51%"),
)
PAPER_TABLE_2 = {
    "ct": np.array([[43, 7, 0], [12, 28, 8], [0, 5, 44]]),
    "flair": np.array([[37, 13, 0], [7, 37, 4], [0, 9, 40]]),
}


def table_1(rows: list[dict]) -> list[list[object]]:
    """Age, its SD and the share of women, of all and by Fazekas group."""
    found = []
    for name, *paper in PAPER_TABLE_1:
        some = [row for row in rows if name == "all" or fazekas.GROUPS[row["group"]] == name]
        ages = [row["age"] for row in some]
        ours = [len(some), "-", "-", "-"]
        if some:
            women = f"{np.mean([row['female'] for row in some]):.0%}"
            ours = [
                len(some),
                f"{np.mean(ages):.1f}",
                f"{np.std(ages, ddof=len(ages) > 1):.1f}",
                women,
            ]
        found.append([name, *(f"{a} / {b}" for a, b in zip(paper, ours, strict=True))])
    return found


def table_2(rows: list[dict], image: str) -> np.ndarray:
    """Groups from volumes under cross-validation (columns) against the rating (rows)."""
    # Of one image alone, in its own space: what a single patient has.
    volumes = [row[f"{image}_own_ml"] for row in rows]
    groups = [row["group"] for row in rows]
    folds = min(10, len(rows))
    # Thresholds by plain counting, as the paper's.
    estimated = fazekas.cross_validated(volumes, groups, folds=folds, bandwidth=0.0)
    return fazekas.confusion(groups, estimated)


def draw(rows: list[dict], images: Path) -> None:
    """Draw Figs. 2 to 4."""
    images.mkdir(parents=True, exist_ok=True)
    flair, ct = (np.array([row[f"{i}_ml"] for row in rows]) for i in ("flair", "ct"))
    colours = [COLOURS[row["group"]] for row in rows]
    figure = Figure(figsize=(9, 4), dpi=130, layout="constrained")
    left, right = figure.subplots(1, 2)
    seen = [row for row in rows if row["dice"] is not None]
    left.scatter(
        [row["flair_ml"] for row in seen],
        [row["dice"] for row in seen],
        c=[COLOURS[row["group"]] for row in seen],
    )
    for group, name in enumerate(fazekas.GROUPS):
        left.scatter([], [], c=COLOURS[group], label=f"Fazekas {name}")
    left.legend(frameon=False)
    left.set(xlabel="WML on FLAIR (mL)", ylabel="Dice", ylim=(0, 1), title="Fig. 2a")
    order = np.argsort(flair)
    for name, label, colour in (
        ("true_positive_ml", "on both", "#009E73"),
        ("ct_only_ml", "on CT alone", "#D55E00"),
        ("flair_only_ml", "on FLAIR alone", "#0072B2"),
    ):
        values = np.array([row[name] for row in rows])[order]
        right.plot(flair[order], values, ".", color=colour, label=label)
    right.set(xlabel="WML on FLAIR (mL)", ylabel="volume (mL)", title="Fig. 2b")
    right.legend(frameon=False)
    figure.savefig(images / "reproduction-2.png")
    figure = Figure(figsize=(9, 4), dpi=130, layout="constrained")
    left, right = figure.subplots(1, 2)
    top = max(flair.max(), ct.max(), 1) * 1.05
    left.plot([0, top], [0, top], ":", color="0.5")
    left.scatter(flair, ct, c=colours)
    left.set(xlabel="WML on FLAIR (mL)", ylabel="WML on CT (mL)", title="Fig. 3a")
    right.scatter((flair + ct) / 2, ct - flair, c=colours)
    for line in (np.mean(ct - flair) + k * 1.96 * np.std(ct - flair, ddof=1) for k in (-1, 0, 1)):
        right.axhline(line, color="0.5", lw=1)
    right.set(xlabel="mean (mL)", ylabel="CT - FLAIR (mL)", title="Fig. 3b")
    figure.savefig(images / "reproduction-3.png")
    figure = Figure(figsize=(9, 4), dpi=130, layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("CT", "FLAIR"), strict=True):
        values = [(row["group"], row[f"{name.lower()}_own_ml"]) for row in rows]
        axes.boxplot([[ml for group, ml in values if group == g] for g in range(3)])
        axes.set(xticks=[1, 2, 3], xticklabels=fazekas.GROUPS, xlabel="Fazekas group")
        axes.set(ylabel=f"WML on {name} (mL)", title=f"Fig. 4{'a' if name == 'CT' else 'b'}")
    figure.savefig(images / "reproduction-4.png")


def numbers(rows: list[dict]) -> dict:
    """Return what the page states in its text."""
    found = agreement([r["ct_ml"] for r in rows], [r["flair_ml"] for r in rows])
    truth = agreement([r["flair_own_ml"] for r in rows], [r["truth_ml"] for r in rows])
    seen = [row for row in rows if row["dice"] is not None]
    severe = [row["dice"] for row in seen if row["group"] == 2]
    against = [row["flair_dice"] for row in rows if row["flair_dice"] is not None]
    return {
        "pairs": len(rows),
        "dice": round(float(np.mean([row["dice"] for row in seen])), 3) if seen else None,
        "dice_fazekas_3": round(float(np.mean(severe)), 3) if severe else None,
        "pearson_r": round(found.pearson.value, 3),
        "slope": round(found.slope.value, 3),
        "bias_ml": round(found.bias.value, 2),
        "limits_ml": [round(found.lower_limit.value, 1), round(found.upper_limit.value, 1)],
        "flair_against_truth_dice": round(float(np.mean(against)), 3) if against else None,
        "flair_against_truth_r": round(truth.pearson.value, 3),
        "table_2": {image: table_2(rows, image).tolist() for image in ("ct", "flair")},
    }


def page(rows: list[dict], found: dict, about: dict) -> str:
    """Return the page as Markdown.

    Parameters
    ----------
    rows
        A row for each pair.
    found
        From `numbers`.
    about
        "name", "pairs" (asked for), "folds", "repeats", "steps", "how" (a sentence), "command",
        "machine" and "date".
    """
    whole = (about["pairs"], about["folds"], about["repeats"]) == (147, 10, 10)
    size = "the paper's size" if whole else "**a reduced size, not the paper's (147, 10 x 10)**"
    lines = [
        "# Reproduction",
        "",
        f"Run `{about['name']}`, {size}: {len(rows)} simulated pairs, {about['folds']} folds x "
        f"{about['repeats']} repeat{'s' * (about['repeats'] > 1)}, {about['steps']} steps a "
        f"network, one slice, cross-entropy, threshold 0.25. {about['how']} {about['machine']}; "
        f"{about['date']}. Simulated heads are "
        "not the paper's patients: what compares is the method.",
        "",
        f"Made by `{about['command']}`.",
        "",
        "## Table 1: paper / here",
        "",
        "| Fazekas | N | mean age | SD | women |",
        "|---|---|---|---|---|",
        *("| " + " | ".join(map(str, row)) + " |" for row in table_1(rows)),
        "",
        "## Results",
        "",
        "| | paper | here |",
        "|---|---|---|",
        f"| Dice, CT against FLAIR | 0.43 | {found['dice']} |",
        f"| the same, Fazekas 3 | 0.68 | {found['dice_fazekas_3']} |",
        f"| correlation of volumes | 0.94 | {found['pearson_r']} |",
        f"| slope | 0.96 | {found['slope']} |",
        f"| CT - FLAIR, mean and 95% limits (mL) | Fig. 3b | {found['bias_ml']} ("
        f"{found['limits_ml'][0]} to {found['limits_ml'][1]}) |",
        f"| FLAIR against manual (here: true) masks, Dice | 0.72 | "
        f"{found['flair_against_truth_dice']} |",
        f"| the same, correlation of volumes | 0.99 | {found['flair_against_truth_r']} |",
        "",
        "## Table 2: paper / here",
        "",
    ]
    for image in ("ct", "flair"):
        ours = np.array(found["table_2"][image])
        shares = [fazekas.share_right(table) for table in (PAPER_TABLE_2[image], ours)]
        lines += [
            f"{image.upper()}: right in {shares[0]:.0%} / {shares[1]:.0%}",
            "",
            "| visual | 0-1 | 2 | 3 |",
            "|---|---|---|---|",
        ]
        for name, paper, here in zip(fazekas.GROUPS, PAPER_TABLE_2[image], ours, strict=True):
            cells = " | ".join(f"{a} / {b}" for a, b in zip(paper, here, strict=True))
            lines.append(f"| {name} | {cells} |")
        lines.append("")
    for number, what in (
        (2, "Dice and volumes of right and wrong voxels over the WML volume"),
        (3, "volumes from CT and FLAIR, and their differences"),
        (4, "volumes by Fazekas group"),
    ):
        lines += [f"## Fig. {number}", "", f"![{what}](images/reproduction-{number}.png)", ""]
    return "\n".join(lines)
