"""Generated files of an output folder: statuses, tables of units, plans of trainings."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from tests.fuzz import odd
from tests.fuzz.bases import MODELS, WORDS, dataset, models, results, trainable
from tests.fuzz.case import Case

GROUP = ("{box}/bids", "{box}/out", "group", "-w", "{box}/work")
PARTICIPANT = ("{box}/bids", "{box}/out", "participant", *WORDS, *MODELS)
TRAIN = ("{box}/bids", "{box}/out", "train", "-w", "{box}/work", "--dry-run", "--folds", "2")
TRAIN = (*TRAIN, "--repeats", "1", "--members", "1")
STATUS = {
    "label": "sub-01",
    "state": "done",
    "reason": "",
    "error": "",
    "exit_code": 0,
    "started": "2026-01-01T00:00:00+00:00",
    "finished": "2026-01-01T00:00:00+00:00",
    "seconds": 3.0,
    "peak_memory_gb": 1.0,
    "quality": "pass",
    "model_label": "",
    "hashes": {"preprocessing": "a" * 64, "segmentation": "b" * 64},
    "request": {
        "inputs": {"sub-01/ct/sub-01_ct.nii.gz": [1, 2, "0"]},
        "metadata": "x",
        "output_spaces": [],
        "fazekas": "",
    },
    "versions": {"ctwml_bids": "0.2.0"},
    "outputs": ["sub-01.html", "../bids/dataset_description.json"],
}
SETTINGS = {
    "dataset": {"Name": "small"},
    "preprocessing": {"template": "x"},
    "segmentation": {"": {"threshold": {}}},
    "at_work": {"models": [""], "images": {"sub-01": {"a": [1, 2, "0"]}}},
}


@st.composite
def statuses(draw: st.DrawFn) -> Case:
    """Status files, and the record of an output folder's settings, before every level."""
    files = dict(dataset()) | dict(results())
    place = "out/logs/sub-01/status.json"
    if draw(st.integers(0, 4)) == 0:
        place = draw(
            st.sampled_from(
                ("out/logs/settings.json", "out/dataset_description.json", "out/logs/x/status.json")
            )
        )
    described = json.loads(files["out/dataset_description.json"])
    record = {"out/logs/settings.json": SETTINGS, "out/dataset_description.json": described}
    files[place] = draw(odd.changed_json(record.get(place, STATUS)))
    how = draw(st.integers(0, 9))
    if how < 5:
        files |= models()
        return Case("statuses", (*PARTICIPANT, "--dry-run"), files, named=("{box}/", "sub-01"))
    if how < 7:
        files |= models()
        return Case(
            "statuses",
            PARTICIPANT,
            files,
            named=("{box}/", "sub-01"),
        )
    return Case("statuses", GROUP, files, named=("{box}/", "sub-01"), marked=odd.MARKS)


@st.composite
def unit_tables(draw: st.DrawFn) -> Case:
    """Tables and sidecars of a unit, as group and --reports-only read them."""
    files = dict(dataset()) | dict(results(pair=draw(st.integers(0, 3)) == 0))
    of_unit = [name for name in files if name.startswith("out/sub-01")]
    place = draw(st.sampled_from([name for name in of_unit if not name.endswith(".html")]))
    if place.endswith(".json"):
        files[place] = draw(odd.changed_json(json.loads(files[place])))
    elif draw(st.booleans()):
        files[place] = draw(odd.changed_bytes([files[place]]))
    else:
        head, *rows = files[place].decode().rstrip("\n").split("\n")
        cells = [row.split("\t") for row in rows]
        for _ in range(draw(st.integers(1, 3))):
            row = draw(st.sampled_from(cells))
            row[draw(st.integers(0, len(row) - 1))] = draw(
                st.one_of(odd.texts, st.sampled_from(("-1", "1e308", "0", "pass", "fail", "true")))
            )
        lines = [head, *("\t".join(row) for row in cells)]
        files[place] = ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 4)) == 0:
        files |= models()
        files["out/sub-01/anat/sub-01_desc-wmllesions_stats.tsv"] = b"image\tvolume_ml\nct\t1\n"
        words = (*PARTICIPANT, "--reports-only")
        return Case("unit tables", words, files, named=("sub-01", "{box}/"))
    return Case("unit tables", GROUP, files, named=("sub-01", "{box}/out"), marked=odd.MARKS)


NOTES = ("sub-01.html", "../bids/dataset_description.json", "sub-01/anat/x.nii.gz", "# complete")


@st.composite
def failing_units(draw: st.DrawFn) -> Case:
    """Whole runs, each step included, of an image that is cut short, over odd former results."""
    files = dict(dataset()) | dict(results()) | dict(models())
    place = "bids/sub-01/ct/sub-01_ct.nii.gz"
    files[place] = files[place][: draw(st.integers(0, 400))]
    for name in [name for name in files if name.startswith("bids/sub-02/") or "FLAIR" in name]:
        del files[name]
    files["linear.json"] = b'{"plugin": "Linear"}'
    if draw(st.booleans()):
        files["out/logs/sub-01/status.json"] = draw(odd.changed_json(STATUS))
    if draw(st.booleans()):
        names = draw(st.lists(st.one_of(st.sampled_from(NOTES), odd.texts), max_size=4))
        text = "\n".join((*names, "")).encode("utf-8", "surrogatepass")
        files["out/logs/sub-01/written.txt"] = text
    if draw(st.integers(0, 3)) == 0:
        files["out/logs/settings.json"] = draw(odd.changed_json(SETTINGS))
    if draw(st.integers(0, 3)) == 0:
        files["work/participant_wf/unit_sub_01/versions.json"] = draw(st.sampled_from(odd.BOMBS))
    more = draw(st.sampled_from(((), ("--rerun", "01"), ("--keep-work", "never"))))
    words = (*PARTICIPANT, "--use-plugin", "{box}/linear.json", *more)
    named = ("sub-01", "{box}")
    return Case("failing units", words, files, program="ctwml_bids whole", named=named)


PLAN = {
    "protocol": {"version": "0.2.0", "modality": "ct"},
    "cases": {
        "sub-01": {"subject": "sub-01", "identity": "x", "fazekas": None, "lesion_ml": 1.0},
        "sub-02": {"subject": "sub-02", "identity": "y", "fazekas": 2, "lesion_ml": 2.0},
    },
    "stratified_by": "lesion volume",
    "splits": [{"sub-01": 0, "sub-02": 1}],
    "left_out": {},
}


@st.composite
def trainings(draw: st.DrawFn) -> Case:
    """What a training reads: its plan, statuses, tables of volumes, tables of people."""
    files = dict(trainable())
    how = draw(st.integers(0, 5))
    if how < 2:
        files["out/train/ct/plan.json"] = draw(odd.changed_json(PLAN))
    elif how < 4:
        place = "out/logs/sub-01/status.json"
        files[place] = draw(odd.changed_json(json.loads(files[place])))
    elif how == 4:
        names = [name for name in files if name.endswith("_xfm.txt") or "stats" in name]
        place = draw(st.sampled_from(sorted(names)))
        files[place] = draw(odd.changed_bytes([files[place]]))
    else:
        columns = ("participant_id", "fazekas", "exclude")
        files["bids/participants.tsv"] = draw(odd.tables(columns))
    return Case("trainings", TRAIN, files, named=("{box}/", "sub-0", "subjects"))
