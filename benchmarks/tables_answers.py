"""Each question of docs/validation.md with its target and its answer (`page.py`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.page_words import Table, between, number, result
from benchmarks.tables_cohort import largest_without_lesions
from ctwml_bids.segmentation import model_store

_HEAD = ["question", "target", "figure", "reached"]
_BOTH = ("cohort_whole", "cohort_second")


def _row(question: str, target: str, figure: str, *reached: bool) -> list[str]:
    """Lay one answer: reached where all of it is, in part where some of it is."""
    judged = "yes" if all(reached) else "in part" if any(reached) else "**no**"
    judged = judged if reached else "no target was set"
    return [question, target, figure, judged]


def _both(values: Sequence[float], digits: int) -> str:
    return " and ".join(number(value, digits) for value in values)


def simulated() -> Table:
    """Heads whose truth is known; both cohorts where two figures stand."""
    cohorts = [result(name) for name in _BOTH]
    return [
        _HEAD,
        *(_volumes(cohorts, against) for against in ("truth", "FLAIR")),
        _dice(cohorts, "CT", "all", 0.55, "[Dice on CT](#dice)"),
        _dice(cohorts, "CT", "3", 0.75, "the same, Fazekas 3"),
        _groups(cohorts, "CT"),
        _dice(cohorts, "FLAIR", "all", 0.75, "[Dice on FLAIR](#flair)"),
        _groups(cohorts, "FLAIR"),
        _normal(),
        *_steps(),
        _infarcts(),
        _reproduction(),
    ]


def _volumes(cohorts: Sequence[dict], against: str) -> list[str]:
    found = [cohort["volumes"][f"CT against {against}"] for cohort in cohorts]
    r, slope, bias = ([one[key] for one in found] for key in ("r", "slope", "bias_ml"))
    return _row(
        f"[CT volumes](#ct-volumes) against {'the truth' if against == 'truth' else against}",
        "r at least 0.95, slope 0.9 to 1.1, bias within 2 mL",
        f"r {_both(r, 3)}, slope {_both(slope, 3)}, bias {_both(bias, 1)} mL",
        min(r) >= 0.95,
        min(slope) >= 0.9 and max(slope) <= 1.1,
        max(map(abs, bias)) <= 2,
    )


def _dice(
    cohorts: Sequence[dict], image: str, group: str, least: float, question: str
) -> list[str]:
    found = [cohort["dice"][f"{image} against truth"][group] for cohort in cohorts]
    return _row(question, f"at least {least}", _both(found, 2), *(one >= least for one in found))


def _groups(cohorts: Sequence[dict], image: str) -> list[str]:
    found = [cohort["fazekas"][f"{image} short of the ceiling"]["points"] for cohort in cohorts]
    return _row(
        f"[Fazekas group](#fazekas-group) from {image}",
        "at most 5 points less often right than from the true volumes",
        f"{_both(found, 1)} points",
        *(points <= 5 for points in found),
    )


def _normal() -> list[str]:
    largest = [largest_without_lesions(result(name), "ct") for name in _BOTH]
    held_out = result(f"lesions_simulated_{model_store.default('ct').name}")["summary"]
    largest.append(held_out["found mL in lesion-free, largest"])
    return _row(
        "[normal images](#normal-images): largest mark on CT without lesions",
        "at most 3 mL",
        f"{_both(largest[:2], 1)} mL; {number(largest[2], 1)} mL in held-out heads",
        *(mark <= 3 for mark in largest),
    )


def _infarcts() -> list[str]:
    found = result("hypodensity")
    sizes = [f"{row['found']} of {row['infarcts']}" for row in found["infarcts_by_size"]]
    ranges = [f"{row['true_ml']} mL" for row in found["infarcts_by_size"]]
    warned = sum(row["gate"] != "pass" for row in found["normal"])
    return _row(
        "[infarcts](#infarcts) that the gate of large hypodensities warns of",
        "",
        "; ".join(f"{text}: {count}" for text, count in zip(ranges, sizes, strict=True))
        + f"; without infarct: {warned} of {len(found['normal'])}",
    )


def _reproduction() -> list[str]:
    found = result("reproduction_cpu-reduced")
    return _row(
        "[the paper's experiment](#the-papers-experiment), reduced size",
        "",
        f"Dice {number(found['dice'], 2)} (paper 0.43), r {number(found['pearson_r'], 2)} (0.94), "
        f"slope {number(found['slope'], 2)} (0.96)",
    )


def _steps() -> Table:
    scans = [row["r"] for row in result("robustness")["scans"].values()]
    masks = np.mean([row["brain_dice"] for row in result("brain_masks") if row["image"] == "ct"])
    errors = result("registration")["error_p95_mm"]
    gate = [row for row in result("registration")["gate"] if "true" not in row["kind"]]
    false = sum(row["n"] for row in gate)
    caught = sum(row["fail_warn_pass"][0] for row in gate)
    real = sum(row["n"] for row in gate if row["kind"].startswith("real"))
    frames = result("normalisation")
    off = max(row["mean_error_mm"] for row in frames)
    shear = max(row["largest_shear"] for row in frames)
    return [
        _row(
            "[robustness](#robustness): CT scanned in five ways",
            "r at least 0.9 in each",
            f"r {between(scans, 3)}",
            min(scans) >= 0.9,
        ),
        _row("[brain mask of CT](#brain-masks)", "Dice 0.97", number(masks, 3), masks >= 0.97),
        _row(
            "[registration](#registration) of CT to FLAIR, 95th percentile of the error",
            "at most 1.5 mm",
            f"median {number(float(np.median(errors)), 2)} mm, worst {number(max(errors), 2)} mm",
            max(errors) <= 1.5,
        ),
        _row(
            f"wrong or mirrored pairs caught by its gate ({real} of them real)",
            "95%",
            f"{caught} of {false}",
            caught / false >= 0.95,
        ),
        _row(
            "[normalisation](#normalisation), mean error on the surface",
            "at most 1.5 mm, no shear",
            f"at most {number(off, 2)} mm, shear at most {shear:.0e}",
            off <= 1.5,
            shear < 1e-9,
        ),
    ]


def real_with_reference() -> Table:
    """Real images that somebody outlined."""
    left_out = {row["subject"]: row["dice"] for row in result("left_out")}
    ms = float(np.mean([dice for name, dice in left_out.items() if name.startswith("sub-mb")]))
    lj19 = left_out["sub-lj19"]
    masks = result("flair_brain")
    images = {(row["unit"], row["image"]): row for row in result("real_images")}
    marked = images["sub-ge01", "ct"]["ventricles_marked"]
    carried = images["sub-dv01", "ct"]["ct_mask_against_carried_flair_mask"]
    return [
        _HEAD,
        _row(
            "[lesions on FLAIR](#lesions-on-flair) of sub-lj19, by networks that never saw it",
            "Dice 0.65",
            number(lj19, 2),
            lj19 >= 0.65,
        ),
        _row("the same, mean of four sub-mb*", "Dice 0.50", number(ms, 2), ms >= 0.5),
        _row("the same, sub-lj07 (few lesions)", "", f"Dice {number(left_out['sub-lj07'], 2)}"),
        _row(
            "[brain mask of FLAIR](#brain-masks-of-flair), nine images",
            "mean Dice 0.95, none under 0.92",
            f"mean {number(masks['mean_dice'], 4)}, lowest {number(masks['least_dice'], 3)}",
            masks["mean_dice"] >= 0.95,
            masks["least_dice"] >= 0.92,
        ),
        _row(
            "[ventricles](#ventricles-and-brain-of-ct) of sub-ge01 marked as lesion on CT",
            "under 2%",
            f"{number(100 * marked, 1)}%",
            marked < 0.02,
        ),
        _row(
            "CT's brain mask of sub-dv01 against the FLAIR's",
            "Dice 0.95",
            number(carried, 3),
            carried >= 0.95,
        ),
    ]


def real_without_reference() -> Table:
    """Real images that were looked at."""
    images = {(row["unit"], row["image"]): row["wml_ml"] for row in result("real_images")}
    ct = images["sub-dv01", "ct"]
    flair = [images[unit, "flair"] for unit in ("sub-dv01", "sub-sr01")]
    return [
        _HEAD,
        _row("normal CT (sub-dv01), marked", "under 3 mL", f"{number(ct, 1)} mL", ct < 3),
        _row(
            "FLAIR without lesions (sub-dv01, sub-sr01), marked",
            "under 1.5 mL",
            f"{_both(flair, 1)} mL",
            max(flair) < 1.5,
        ),
    ]


def program() -> Table:
    """Speed, memory and number formats."""
    unit, group = result("unit_cost"), result("group_scale")
    seconds, peak = unit["seconds"], unit["peak_gib"]
    wall, memory = group["whole"]["wall_s"], group["whole"]["peak_gb"]
    pair = max(row["wall_s"] for row in group["image_metrics"].values())
    found = [result(f"inference_precision_{name}")["summary"] for name in ("ct-sim4", "flair-sim3")]
    lowest = [one["smallest Dice, over 0.5 mL"] for one in found]
    return [
        _HEAD,
        _row(
            "[one pair](#speed-and-memory), two cores",
            "120 s, 4 GB",
            f"median {number(unit['seconds_median'], 0)} s ({between(seconds, 0)}), "
            f"{number(peak, 2)} GiB",
            unit["seconds_median"] <= 120,
            peak * 1.024**3 <= 4,
        ),
        _row(
            "`group` with 10,000 units, two cores",
            "60 s, 1 GB",
            f"{number(wall, 0)} s, {number(memory, 2)} GB (slower machine)",
            wall <= 60,
            memory <= 1,
        ),
        _row("image metrics of a pair", "5 s", f"at most {number(pair, 1)} s", pair <= 5),
        _row(
            "masks in [bfloat16](experiments.md#precision) against float32",
            "Dice 0.99",
            f"lowest {_both(lowest, 3)}",
            min(lowest) >= 0.99,
        ),
    ]
