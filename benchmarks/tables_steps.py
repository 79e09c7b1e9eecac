"""Tables of the steps around the lesion networks and of cost, for validation pages (`page.py`)."""

from __future__ import annotations

from benchmarks.page_words import Table, between, mean_lowest, number, result
from benchmarks.record import RESULTS


def brain_masks() -> Table:
    table = [["image", "pairs", "brain Dice, mean (lowest)", "ventricle Dice, mean (lowest)"]]
    for image in ("ct", "flair"):
        rows = [row for row in result("brain_masks") if row["image"] == image]
        brain = mean_lowest([row["brain_dice"] for row in rows], 3)
        ventricles = mean_lowest([row["ventricle_dice"] for row in rows], 2)
        table.append([image.upper(), str(len(rows)), brain, ventricles])
    return table


def normalisation() -> Table:
    columns = (
        "masks|trials|mean error (mm)|largest (mm)|largest shear|CPU (s)|ANTs, mean error (mm)"
    )
    table = [columns.split("|")]
    for row in result("normalisation"):
        table.append(
            [
                row["masks"],
                str(row["trials"]),
                number(row["mean_error_mm"], 2),
                number(row["largest_mean_error_mm"], 2),
                f"{row['largest_shear']:.0e}",
                number(row["cpu_seconds"], 1),
                number(row["ants_mean_error_mm"], 2),
            ]
        )
    return table


def flair_brain() -> Table:
    rows = result("flair_brain")["rows"]
    table = [["image", "network", "Dice", "with the redrawn reference instead"]]
    for row in sorted(rows, key=lambda row: row["network"]):
        table.append(
            [
                row["image"].replace("_", " "),
                row["network"],
                number(row["dice"], 3),
                number(row["dice_redrawn"], 3),
            ]
        )
    return table


def realism() -> Table:
    scans = result("realism")["scans"]
    real = {row["scan"]: row for row in scans if row["scan"] in ("sub-ge01", "sub-dv01")}
    simulated = [row for row in scans if row["scan"] not in real]
    slices = between([row["slice_mm"] for row in simulated], 1)
    table = [
        [
            "",
            *(f"{name} ({number(row['slice_mm'], 1)} mm)" for name, row in real.items()),
            f"{len(simulated)} simulated ({slices} mm)",
        ]
    ]
    for text, key in (
        ("brain, mean HU", "brain_hu_mean"),
        ("brain, SD HU", "brain_hu_sd"),
        ("white matter, median HU", "white_hu"),
        ("white matter, SD after 1 mm smoothing", "white_sd_smoothed"),
        ("cortex minus white matter, HU", "grey_minus_white_hu"),
        ("noise, SD HU", "noise_sd"),
        ("lesions below white matter around them, HU", "lesion_drop_hu"),
        ("lesion contrast to noise", "lesion_contrast_to_noise"),
    ):
        known = [row[key] for row in simulated if row.get(key) is not None]
        table.append(
            [
                text,
                *("" if row.get(key) is None else number(row[key], 1) for row in real.values()),
                between(known, 1),
            ]
        )
    return table


def contrast() -> Table:
    images = result("gates")["images"]
    columns = (
        "images|n|grey / white|grey / darker white|fluid / white|contrast|Dice with template|scales"
    )
    table = [columns.split("|")]
    for kind in ("FLAIR", "T1w", "T2w"):
        of_kind = [row for row in images if row["kind"] == kind]
        for simulated in dict.fromkeys(row["simulated"] for row in of_kind):
            rows = [row for row in of_kind if row["simulated"] == simulated]
            judged = [row["contrast"] for row in rows]
            verdicts = {name: judged.count(name) for name in ("fail", "warn", "pass")}
            table.append(
                [
                    f"{'simulated' if simulated else 'real'} {kind}",
                    str(len(rows)),
                    *(
                        between([row[key] for row in rows], 2)
                        for key in ("grey_to_white", "grey_to_darker_white", "fluid_to_white")
                    ),
                    ", ".join(f"{n} {name}" for name, n in verdicts.items() if n),
                    between([row["dice"] for row in rows], 3),
                    between([scale for row in rows for scale in row["scales"]], 2),
                ]
            )
    return table


def registration_gate() -> Table:
    names = {
        "real true": "sub-dv01, true",
        "real true, re-posed": "sub-dv01, re-posed",
        "simulated true": "simulated, true",
        "real flip": "sub-dv01, CT flipped left–right",
        "simulated flip": "simulated, CT flipped",
        "real other head": "different real heads",
        "simulated other head": "different simulated heads",
    }
    rows = {row["kind"]: row for row in result("registration")["gate"]}
    table = [["pairs", "n", "mirror ratio", "free in-plane scale", "failed"]]
    for kind, name in names.items():
        row = rows[kind]
        ratio, scale = row["ranges"]
        failed = str(row["fail_warn_pass"][0])
        table.append([name, str(row["n"]), between(ratio, 2), between(scale, 3), failed])
    return table


def registration_roc() -> Table:
    names = {
        "mirror_ratio": "mirror ratio",
        "nmi_gain": "gain of mutual information by registering",
        "nmi_after": "mutual information after",
        "scale_in_plane": "free in-plane scale",
        "nmi_brain": "mutual information in the brain",
    }
    found = result("registration")
    gate = {row["kind"]: row["n"] for row in found["gate"]}
    true = sum(count for kind, count in gate.items() if "true" in kind)
    false = sum(gate.values()) - true
    table = [["number", f"area under the ROC, {true} true against {false} false pairs"]]
    return table + [[name, number(found["roc_area"][key], 3)] for key, name in names.items()]


def precision() -> Table:
    files = sorted(RESULTS.glob("inference_precision_*.json"))
    found = [result(file.stem)["summary"] for file in files]
    models = [one["model"] for one in found]
    rate = "slices per second and network, "
    rates = (f"{one[f'{rate}bfloat16']:.0f} ({one[f'{rate}float32']:.0f})" for one in found)
    return [
        ["", *models],
        ["heads", *(str(one["heads over 0.5 mL"]) for one in found)],
        ["Dice, mean", *(number(one["mean Dice, over 0.5 mL"], 3) for one in found)],
        ["Dice, lowest", *(number(one["smallest Dice, over 0.5 mL"], 3) for one in found)],
        ["slices per second and network, bfloat16 (float32)", *rates],
    ]


def training_rate() -> Table:
    columns = "heads|steps/s, bare|share of it with patches|a batch (CPU)|peak memory"
    table = [columns.split("|")]
    for row in result("training_rate_cpu")["rows"]:
        table.append(
            [
                f"{row['heads']:,}",
                number(row["bare_steps_per_second"], 1),
                number(row["share_of_bare_rate"], 2),
                f"{1000 * row['batch_cpu_seconds']:.0f} ms",
                f"{number(row['peak_memory_gb'], 1)} GB",
            ]
        )
    return table


def node_memory() -> Table:
    names = {
        "read_ct": "read the CT",
        "brain_ct": "its brain mask",
        "register": "registration of the pair",
        "frame_ct": "the CT's frame",
        "segment_ct": "its network",
        "ventricles_ct": "its ventricles",
        "ct_in_ct": "maps on its grid",
        "measure": "measures",
        "report": "report",
        "write": "writing",
    }
    units = result("node_memory")["units"]
    table = [["step", *(f"{unit['ct_slices']} slices" for unit in units)]]
    for key, name in names.items():
        table.append([name, *(number(unit["peak_gib"][key], 2) for unit in units)])
    return table
