"""Tables of networks on heads that are no cohort, for the validation pages (`page.py`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.page_words import Table, number, result
from ctwml_bids.segmentation import model_store

FORMER = "ct-sim6"
# Title, key in the result, digits.
Columns = Sequence[tuple[str, str, int]]


def _rows(columns: Columns, rows: Sequence[tuple[str, Mapping]], first: str) -> Table:
    """Lay rows, each with a name, under columns."""
    table = [[first, *(title for title, _, _ in columns)]]
    for name, row in rows:
        table.append([name, *(number(row[key], digits) for _, key, digits in columns)])
    return table


def held_out() -> Table:
    shipped = [model_store.default(modality).name for modality in ("ct", "flair")]
    names = (shipped[0], FORMER, shipped[1])
    found = [result(f"lesions_simulated_{name}")["summary"] for name in names]

    def dice(text: str, key: str) -> list[str]:
        return [
            f"Dice, {text}",
            *(f"{number(one[f'dice, {key}'], 2)} ({one[f'heads, {key}']})" for one in found),
        ]

    def marked(which: str) -> list[str]:
        return [
            f"marked in lesion-free heads, {which} (mL)",
            *(number(one[f"found mL in lesion-free, {which}"], 1) for one in found),
        ]

    volumes = (f"{number(one['volume r'], 2)}, {number(one['volume slope'], 2)}" for one in found)
    return [
        ["", *names],
        dice("0.5 mL and more (their number)", "all with lesions"),
        dice("over 20 mL", "over 20 mL"),
        dice("5–20 mL", "5-20 mL"),
        ["volume r, slope", *volumes],
        marked("median"),
        marked("largest"),
    ]


_EXPERIMENT: Columns = (
    ("Dice", "dice", 3),
    ("over 15 mL", "dice_large", 3),
    ("thick slices", "dice_thick", 3),
    ("thin slices", "dice_thin", 3),
    ("threshold", "threshold", 2),
    ("Dice at 0.25", "dice_at_0.25", 3),
    ("slope", "slope", 2),
    ("r", "r", 3),
    ("lesion-free, mean (mL)", "lesion_free_mean_ml", 1),
)


def experiments() -> Table:
    names = {
        "baseline": "uResNet, one slice (as ct-sim2)",
        "three-slices": "uResNet, three slices",
        "dice-loss": "uResNet, one slice, Dice and cross-entropy",
        "shipped": "**uResNet, three slices, Dice and cross-entropy**",
        "shipped-long": "the same, 1900 steps",
        "plain-unet": "plain U-Net, one slice, Dice and cross-entropy",
        "plain-unet-three": "plain U-Net, three slices, Dice and cross-entropy",
    }
    rows = result("experiments_ct")
    # "dice-loss" came later than these were measured.
    known = [(text, rows[name]) for name, text in names.items() if name in rows]
    return _rows(_EXPERIMENT, known, "network")


def experiments_shipped() -> Table:
    names = {
        "shipped": "**as shipped: z-score and HU, three slices, half the patches at lesions**",
        "zscore-only": "z-score alone, as the paper",
        "hu-only": "HU alone",
        "five-slices": "five slices",
        "wide": 'uResNet, variant "wide"',
        "dropout": 'uResNet, variant "dropout"',
        "few-lesion-patches": "a fifth of the patches at lesions",
        "many-lesion-patches": "four fifths at lesions",
        "no-lesion-free-heads": "only heads with lesions",
        "no-jitter": "statistics of the z-score not varied",
        "thick-slices-only": "trained on slices over 4.5 mm alone",
        "plain-unet-three": "plain U-Net",
    }
    rows = result("experiments_ct_shipped")
    plain = {
        name: row | {"dice": row.get("dice_without_flip", row["dice"])}
        for name, row in rows.items()
    }
    return _rows(_EXPERIMENT, [(text, plain[name]) for name, text in names.items()], "network")


def _curve(count: int) -> Columns:
    return (
        ("Dice", "dice", 3),
        (f"Dice, over 15 mL ({count})", "dice_large", 3),
        ("slope", "slope", 2),
        ("bias (mL)", "bias_ml", 1),
        ("r", "r", 3),
        ("lesion-free, median (mL)", "lesion_free_median_ml", 1),
        ("largest", "lesion_free_largest_ml", 1),
    )


def _threshold(modality: str) -> float:
    return model_store.load_card(model_store.default(modality)).threshold


def _at(
    curve: Sequence[Mapping], chosen: float, shown: Sequence[float]
) -> list[tuple[str, Mapping]]:
    """Choose rows of a curve; the chosen threshold is bold."""
    if missing := {*shown, chosen} - {row["threshold"] for row in curve}:
        raise SystemExit(f"The curve has no row at {sorted(missing)}.")
    rows = [row for row in curve if row["threshold"] in shown]
    return [
        (
            f"**{row['threshold']:g}**" if row["threshold"] == chosen else f"{row['threshold']:g}",
            row,
        )
        for row in rows
    ]


def out_of_bag_ct() -> Table:
    found = result("out_of_bag_ct_mean")
    rows = [
        (f"{name}, {threshold}", row)
        for name, key, shown in (
            (f"before ({FORMER})", "begun from", (0.5,)),
            ("after", "trained", (0.5,)),
            ("half way", "mean", (0.25, 0.4, 0.5, 0.55, 0.6, 0.7)),
        )
        for threshold, row in _at(found[key]["curve"], _threshold("ct"), shown)
    ]
    return _rows(_curve(found["mean"]["large"]), rows, "network, threshold")


def out_of_bag_flair() -> Table:
    found = result("out_of_bag_flair")
    rows = _at(found["curve"], _threshold("flair"), (0.25, 0.4, 0.5, 0.55, 0.6, 0.7))
    return _rows(_curve(found["large"]), rows, "threshold")


_ISLANDS: Columns = (
    ("Dice", "dice", 3),
    ("Dice, 0.5–15 mL", "dice_small", 3),
    ("volume r", "r", 3),
    ("bias (mL)", "bias_ml", 1),
    ("lesion-free, median (mL)", "lesion_free_median_ml", 2),
    ("left out in all (mL)", "left_out_ml", 1),
    ("of it lesion (mL)", "lesion_left_out_ml", 1),
)


def islands_ct() -> Table:
    return _islands("ct")


def islands_flair() -> Table:
    return _islands("flair")


def _islands(modality: str) -> Table:
    chosen = model_store.load_card(model_store.default(modality)).island_share
    rows = []
    for row in result(f"islands_{modality}")["shares"]:
        share = f"{row['share']:.0%}" if row["share"] else "nothing left out"
        rows.append((f"**{share}**" if row["share"] == chosen else share, row))
    return _rows(_ISLANDS, rows, "least share in the white matter")


def left_out() -> Table:
    columns = (
        "image",
        "networks",
        "steps",
        "Dice",
        "found (mL)",
        "reference (mL)",
        "at 0.5",
        "at 0.4",
        "at 0.25",
    )
    table = [list(columns)]
    for row in result("left_out"):
        table.append(
            [
                row["subject"],
                str(row["networks"]),
                str(row["steps"]),
                number(row["dice"], 2),
                number(row["found_ml"], 1),
                number(row["reference_ml"], 1),
                *(number(row["curve"][threshold], 2) for threshold in ("0.5", "0.4", "0.25")),
            ]
        )
    return table
