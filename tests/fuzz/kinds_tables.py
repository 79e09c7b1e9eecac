"""Generated tables and lists: scans.tsv, participants.tsv, ratings, lists of who is left out."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz import odd
from tests.fuzz.bases import MODELS, WORDS, dataset, models, results
from tests.fuzz.case import Case

GROUP = ("{box}/bids", "{box}/out", "group", "-w", "{box}/work")
NAMES = (
    "ct/sub-01_ct.nii.gz",
    "anat/sub-01_FLAIR.nii.gz",
    "sub-01/ct/sub-01_ct.nii.gz",
    "..\\ct\\sub-01_ct.nii",
    "../../../etc/passwd",
    "ses-2/ct/sub-01_ses-2_ct.nii.gz",
    "ct/sub-01_run-2_ct.nii.gz",
    f"ct/sub-01_run-{'9' * 5000}_ct.nii.gz",
    "ct/sub-01_run-\u0661_ct.nii.gz",
    "ct/sub-01_run-\u00b2_ct.nii.gz",
)
CELLS = st.one_of(
    st.sampled_from(NAMES), st.sampled_from(("2020-01-01T10:00:00", "2020-03-01", "n/a")), odd.texts
)
PEOPLE = st.one_of(
    st.sampled_from(("sub-01", "sub-02", "sub-03", "01", "2", "sub-1", "n/a", "sub-99")),
    st.sampled_from(("70", "F", "M", "0", "1", "2", "3", "0-1", "yes", "no", "n/a", "89+")),
    odd.texts,
)
TIMES = (
    ("ct/sub-01_ct.nii.gz", "2020-01-01T10:00:00"),
    ("anat/sub-01_FLAIR.nii.gz", "2020-01-02T10:00:00"),
    ("anat/sub-01_T1w.nii.gz", "2020-01-02T10:10:00"),
)
ROWS = (
    ("sub-01", "n/a", "70", "F", "1", "n/a", "A"),
    ("sub-02", "n/a", "n/a", "M", "2", "no", "B"),
    ("sub-03", "n/a", "89+", "O", "3", "n/a", "n/a"),
)
LISTS = (
    (("participant_id", "session_id", "exclude", "reason"), (("sub-01", "n/a", "yes", "moved"),)),
    (("sub-01", "motion"), (("sub-02", "artefact"),)),
    (("02",), ()),
)
COLUMNS = ("participant_id", "session_id", "age", "sex", "fazekas", "exclude", "site")


@st.composite
def scans(draw: st.DrawFn) -> Case:
    """Tables of when images were acquired."""
    content = draw(odd.tables(("filename", "acq_time"), CELLS, TIMES))
    image, flair = (
        dataset()[f"bids/sub-01/{name}.nii.gz"] for name in ("ct/sub-01_ct", "anat/sub-01_FLAIR")
    )
    files = dict(dataset()) | dict(models())
    place = "bids/sub-01/sub-01_scans.tsv"
    if draw(st.booleans()):
        # A pair of two sessions is made by the times.
        for name in [name for name in files if name.startswith("bids/sub-01/")]:
            del files[name]
        files["bids/sub-01/ses-1/ct/sub-01_ses-1_ct.nii.gz"] = image
        for session in ("2", "3"):
            of = f"bids/sub-01/ses-{session}/anat/sub-01_ses-{session}_FLAIR.nii.gz"
            files[of] = flair
        place = draw(
            st.sampled_from(
                (place, "bids/sub-01/ses-1/sub-01_ses-1_scans.tsv", "bids/sub-01/scans.tsv")
            )
        )
    files[place] = content
    argv = ("{box}/bids", "{box}/out", "participant", *WORDS, *MODELS)
    if draw(st.booleans()):
        argv = (*argv, "--dry-run")
    return Case("scans", argv, files, named=("sub-01",))


@st.composite
def participants(draw: st.DrawFn) -> Case:
    """Tables of people, as participants.tsv or named by an option."""
    content = draw(odd.tables(COLUMNS, PEOPLE, ROWS))
    files = dict(dataset()) | dict(results())
    how = draw(st.integers(0, 7))
    place, words = "bids/participants.tsv", ()
    if how == 1:
        place, words = "people.tsv", ("--participants-file", "{box}/people.tsv")
    elif how == 2:
        place, words = "rated.tsv", ("--fazekas-file", "{box}/rated.tsv")
    elif how == 3:
        place = "out/participants.tsv"
    elif how == 4:
        words = ("--fazekas-column", draw(odd.texts).replace("\0", "") or "x")
    files[place] = content
    if how == 5:
        files["bids/participants.json"] = draw(st.sampled_from(odd.BOMBS))
    if how > 5:
        argv = ("{box}/bids", "{box}/out", "participant", *WORDS, *MODELS)
        return Case(
            "participants",
            argv,
            {**files, **models()},
            named=(place.rpartition("/")[2], "sub-"),
            marked=odd.MARKS,
        )
    named = (place.rpartition("/")[2], "fazekas", "{box}/out")
    return Case("participants", (*GROUP, *words), files, named=named, marked=odd.MARKS)


@st.composite
def lists(draw: st.DrawFn) -> Case:
    """Lists of who is left out."""
    columns, rows = draw(st.sampled_from(LISTS))
    content = draw(odd.tables(columns, PEOPLE, rows))
    if draw(st.integers(0, 9)) == 0:
        content = draw(st.sampled_from(odd.BOMBS))
    files = dict(dataset()) | dict(results()) | {"list.txt": content}
    return Case(
        "lists",
        (*GROUP, "--exclude", "{box}/list.txt"),
        files,
        named=("list.txt", "sub-", "{box}/out"),
        marked=odd.MARKS,
    )
