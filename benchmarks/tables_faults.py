"""Tables of what once gave wrong numbers, and of generated inputs (`page.py`)."""

from __future__ import annotations

from benchmarks.page_words import Table, number, result


def hypodensity() -> Table:
    table = [
        ["infarcts, true volume (mL)", "n", "warned of", "share of the volume measured, median"]
    ]
    for row in result("hypodensity")["infarcts_by_size"]:
        share = number(row["median_share_measured"], 2)
        table.append([row["true_ml"], str(row["infarcts"]), str(row["found"]), share])
    return table


def wide_ventricles_ct() -> Table:
    return _wide_ventricles("ct")


def wide_ventricles_flair() -> Table:
    return _wide_ventricles("flair")


def _wide_ventricles(modality: str) -> Table:
    columns = (
        "head|ventricles, true (found), mL|lesions, true (mL)|marked, before and now (mL)"
        "|of it in true lesions|of it in the true ventricles|Dice, before and now"
    )
    table = [columns.split("|")]
    for row in result(f"wide_ventricles_{modality}")["heads"]:
        name = f"{row['seed']}, Fazekas {row['fazekas']}"
        found = f"{number(row['ventricles_ml'], 0)} ({number(row['ventricles_found_ml'], 0)})"
        cells = (_both(row, key, digits) for key, digits in _MEASURED)
        table.append([name, found, number(row["true_ml"], 1), *cells])
    return table


_MEASURED = (("found_ml", 1), ("true_positive_ml", 2), ("in_ventricles_ml", 1), ("dice", 3))


def _both(row: dict, key: str, digits: int) -> str:
    before, now = (row[f"{key}_{rule}"] for rule in ("without", "with"))
    return f"{number(before, digits)}, {number(now, digits)}"


def fuzzed_inputs() -> Table:
    found = result("fuzz")["kinds"]
    table = [["kind", "inputs", "exit codes", "slowest (s)", "most memory (MB)", "faults"]]
    for kind, one in found.items():
        codes = ", ".join(f"{code}: {count}" for code, count in one["codes"].items())
        cells = (one["inputs"], codes, one["slowest_s"], one["grown_mb"], one["faults"])
        table.append([kind, *map(str, cells)])
    totals = (sum(one[key] for one in found.values()) for key in ("inputs", "faults"))
    inputs, wrong = map(str, totals)
    return [*table, ["all", inputs, "", "", "", wrong]]


def fuzzed_readers() -> Table:
    table = [["module", "lines reached", "of"]]
    for name, (reached, lines) in result("fuzz")["lines"].items():
        table.append([f"`{name.replace('.', '/')}.py`", str(reached), str(lines)])
    return table
