"""The paper's experiment on a simulated cohort, and its tables and figures beside ours.

    python benchmarks/reproduction.py FOLDER --name NAME [--participants 147] [--folds 10]
        [--repeats 10] [--members 10] [--steps 3000] [--size full] [--device auto] [--anatomies DIR]

Simulates the cohort, runs ``participant`` and ``train`` on it, and writes
``docs/reproduction.md``, its pictures under ``docs/images`` and ``benchmarks/results``. Each step
goes on where it stopped. NAME says what was run, such as "gpu-whole" or "cpu-reduced"; a run of
another size than the paper's is called one on the page. ``--page-only`` writes the page again.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
from matplotlib.figure import Figure
from record import RESULTS, machine, write_result

from ctwml_bids.bids import names
from ctwml_bids.statistics import fazekas
from ctwml_bids.statistics.agreement import agreement
from ctwml_bids.statistics.overlap import dice
from ctwml_bids.workflows.group import read_units

ROOT = Path(__file__).resolve().parents[1]
SEED = 2020  # of the cohort, as in cohort.py
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


def run_all(args: argparse.Namespace) -> None:
    """Simulate, measure, train; each goes on where it stopped."""
    bids, out = args.folder / "bids", args.folder / "out"
    base = [sys.executable, "run.py", bids, out]
    simulate = [sys.executable, "-m", "ctwml_bids.cli.simulate", bids, "--seed", SEED]
    simulate += ["--participants", args.participants, "--size", args.size]
    simulate += ["--anatomies", args.anatomies] if args.anatomies else []
    if not (bids / "participants.tsv").is_file():
        call(simulate)
    common = ["-w", args.folder / "work", "--device", args.device]
    call([*base, "participant", *common])
    sizes = [f"--{name}={getattr(args, name)}" for name in ("folds", "repeats", "members", "steps")]
    call([*base, "train", *common, *sizes])


def call(command: list[object]) -> None:
    """Run one step, and stop where it fails."""
    subprocess.run([str(word) for word in command], cwd=ROOT, check=True)


def read(folder: Path) -> list[dict]:
    """Return a row for each pair: age, sex, grade, volumes, overlap, FLAIR against the truth."""
    with (folder / "bids/participants.tsv").open() as table:
        people = {row["participant_id"]: row for row in csv.DictReader(table, delimiter="\t")}
    rows = []
    for unit in read_units(folder / "out")[0]:
        if unit["qc"] == "fail" or not str(unit["ct_model"]).startswith("trained"):
            continue
        person = people[unit["participant_id"]]
        subject = unit["participant_id"].removeprefix("sub-")
        truth, found = (
            np.asarray(nib.load(path).dataobj) > 0
            for path in (
                folder / "bids/derivatives/simulation-truth" / unit["participant_id"] / "anat"
                f"/{unit['participant_id']}_space-FLAIR_label-WML_mask.nii.gz",
                folder / "out" / names.wml(subject, None, space="FLAIR", seen_in="flair"),
            )
        )
        rows.append(
            {
                **{name: unit[name] for name in ("unit", "dice", "both_empty")},
                **{name: unit[name] for name in ("true_positive_ml", "ct_only_ml")},
                "flair_only_ml": unit["flair_only_ml"],
                "ct_ml": unit["ct_wml_ml"],
                "flair_ml": unit["flair_wml_ml"],
                "age": float(person["age"]),
                "female": person["sex"] == "F",
                "group": int(fazekas.group_of_grade([int(person["fazekas"])])[0]),
                "truth_ml": float(person["lesion_ml"]),
                "flair_dice": dice(found, truth) if truth.any() else None,
            }
        )
    return rows


def table_1(rows: list[dict]) -> list[list[object]]:
    """Age, its SD and the share of women, of all and by Fazekas group."""
    found = []
    for name, *paper in PAPER_TABLE_1:
        some = [row for row in rows if name == "all" or fazekas.GROUPS[row["group"]] == name]
        ages = [row["age"] for row in some]
        ours = [len(some), "-", "-", "-"]
        if some:
            women = f"{np.mean([row['female'] for row in some]):.0%}"
            ours = [len(some), f"{np.mean(ages):.1f}", f"{np.std(ages):.1f}", women]
        found.append([name, *(f"{a} / {b}" for a, b in zip(paper, ours, strict=True))])
    return found


def table_2(rows: list[dict], image: str) -> np.ndarray:
    """Groups from volumes under cross-validation (columns) against the rating (rows)."""
    volumes, groups = [row[f"{image}_ml"] for row in rows], [row["group"] for row in rows]
    estimated = fazekas.cross_validated(volumes, groups, folds=min(10, len(rows)))
    return fazekas.confusion(groups, estimated)


def draw(rows: list[dict], images: Path) -> None:
    """Draw Figs. 2 to 4."""
    images.mkdir(parents=True, exist_ok=True)
    flair, ct = (np.array([row[f"{i}_ml"] for row in rows]) for i in ("flair", "ct"))
    colours = [COLOURS[row["group"]] for row in rows]
    figure = Figure(figsize=(9, 4), dpi=130, layout="constrained")
    left, right = figure.subplots(1, 2)
    seen = [not row["both_empty"] or row["both_empty"] == "false" for row in rows]
    left.scatter(flair[seen], np.array([r["dice"] for r in rows])[seen], c=np.array(colours)[seen])
    left.set(xlabel="WML on FLAIR (mL)", ylabel="Dice", ylim=(0, 1), title="Fig. 2a")
    order = np.argsort(flair)
    for name, colour in (
        ("true_positive_ml", "#009E73"),
        ("ct_only_ml", "#D55E00"),
        ("flair_only_ml", "#0072B2"),
    ):
        values = np.array([row[name] for row in rows])[order]
        right.plot(flair[order], values, ".", color=colour, label=name.removesuffix("_ml"))
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
    for axes, values, name in zip(figure.subplots(1, 2), (ct, flair), ("CT", "FLAIR"), strict=True):
        axes.boxplot([values[[r["group"] == g for r in rows]] for g in range(3)])
        axes.set(xticks=[1, 2, 3], xticklabels=fazekas.GROUPS, xlabel="Fazekas group")
        axes.set(ylabel=f"WML on {name} (mL)", title=f"Fig. 4{'a' if name == 'CT' else 'b'}")
    figure.savefig(images / "reproduction-4.png")


def numbers(rows: list[dict]) -> dict:
    """Return what the page states in its text."""
    found = agreement([r["ct_ml"] for r in rows], [r["flair_ml"] for r in rows])
    truth = agreement([r["flair_ml"] for r in rows], [r["truth_ml"] for r in rows])
    seen = [row for row in rows if str(row["both_empty"]).lower() != "true"]
    severe = [row["dice"] for row in seen if row["group"] == 2]
    against = [row["flair_dice"] for row in rows if row["flair_dice"] is not None]
    return {
        "pairs": len(rows),
        "dice": round(float(np.mean([row["dice"] for row in seen])), 3),
        "dice_fazekas_3": round(float(np.mean(severe)), 3) if severe else None,
        "pearson_r": round(found.pearson.value, 3),
        "slope": round(found.slope.value, 3),
        "bias_ml": round(found.bias.value, 2),
        "flair_against_truth_dice": round(float(np.mean(against)), 3) if against else None,
        "flair_against_truth_r": round(truth.pearson.value, 3),
        "table_2": {image: table_2(rows, image).tolist() for image in ("ct", "flair")},
    }


def page(rows: list[dict], found: dict, args: argparse.Namespace) -> str:
    """Return the page as Markdown."""
    whole = (args.participants, args.folds, args.repeats) == (147, 10, 10)
    size = "the paper's size" if whole else "**a reduced size, not the paper's**"
    lines = [
        "# Reproduction",
        "",
        f"Run `{args.name}`, {size}: {args.participants} simulated pairs ({len(rows)} measured and "
        f"trained on), {args.folds} folds x {args.repeats} repeats, {args.steps} steps a network; "
        f"{machine()}. Simulated heads are not the paper's patients: what compares is the method.",
        "",
        f"Made by `python benchmarks/reproduction.py FOLDER --name {args.name} --participants "
        f"{args.participants} --folds {args.folds} --repeats {args.repeats} --members "
        f"{args.members} --steps {args.steps} --size {args.size}`.",
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--participants", type=int, default=147)
    parser.add_argument("--size", choices=("small", "full"), default="full")
    parser.add_argument("--anatomies", type=Path)
    for name, default in (("folds", 10), ("repeats", 10), ("members", 10), ("steps", 3000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--page-only", action="store_true")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where the page goes")
    args = parser.parse_args()
    args.folder = args.folder.absolute()
    if not args.page_only:
        run_all(args)
    rows = read(args.folder)
    found = numbers(rows)
    draw(rows, args.docs / "images")
    (args.docs / "reproduction.md").write_text(page(rows, found, args), encoding="utf-8")
    print(write_result(f"reproduction_{args.name}", {**found, "rows": rows}), RESULTS)


if __name__ == "__main__":
    main()
