"""Generated images and folders: NIfTI headers, gzip streams, file trees, sidecars."""

from __future__ import annotations

import gzip
import struct
import zlib
from functools import cache

from hypothesis import strategies as st

from tests.fuzz import odd
from tests.fuzz.bases import MODELS, WORDS, dataset, heads, models
from tests.fuzz.case import Case

PARTICIPANT = ("{box}/bids", "{box}/out", "participant", *WORDS, *MODELS)
# Fields of a NIfTI-1 header: offset, form of one value, number of values.
FIELDS = {
    "sizeof_hdr": (0, "<i", 1),
    "dim_info": (39, "<B", 1),
    "dim": (40, "<h", 8),
    "datatype": (70, "<h", 1),
    "bitpix": (72, "<h", 1),
    "pixdim": (76, "<f", 8),
    "vox_offset": (108, "<f", 1),
    "scl_slope": (112, "<f", 1),
    "scl_inter": (116, "<f", 1),
    "xyzt_units": (123, "<B", 1),
    "qform_code": (252, "<h", 1),
    "sform_code": (254, "<h", 1),
    "quatern": (256, "<f", 6),
    "srow": (280, "<f", 12),
    "magic": (344, "<B", 4),
    "extension": (348, "<B", 4),
    "esize": (352, "<i", 2),
}
REALS = (0.0, -1.0, 1.0, 1e-30, 1e-3, 7.5, 1e3, 1e9, 3.3e38, float("inf"), float("nan"))


@st.composite
def headers(draw: st.DrawFn) -> Case:
    """A header with some fields of other values, or bytes of it changed."""
    name = draw(st.sampled_from(sorted(heads())))
    content = bytearray(heads()[name])
    if draw(st.integers(0, 4)) == 0:
        content = bytearray(draw(odd.changed_bytes([bytes(content)])))
    else:
        for _ in range(draw(st.integers(1, 3))):
            offset, form, count = FIELDS[draw(st.sampled_from(sorted(FIELDS)))]
            size = struct.calcsize(form)
            at = offset + size * draw(st.integers(0, count - 1))
            struct.pack_into(form, content, at, _value(draw, form))
    return _read(draw, name, bytes(content), draw(st.booleans()))


def _value(draw: st.DrawFn, form: str) -> float:
    if form == "<f":
        return draw(st.one_of(st.sampled_from(REALS), st.floats(width=32)))
    low, high = {"<h": (-(2**15), 2**15 - 1), "<i": (-(2**31), 2**31 - 1), "<B": (0, 255)}[form]
    usual = st.sampled_from((0, 1, 2, 3, 4, 7, 16, 64, 128, 255, 256, 512, 1024, 1792, 2304))
    drawn = draw(st.one_of(usual, st.sampled_from((low, high, -1, -2)), st.integers(low, high)))
    return min(max(drawn, low), high)


def _read(draw: st.DrawFn, name: str, content: bytes, compressed: bool) -> Case:
    kind = "flair" if name == "flair" else "ct"
    place = f"sub-01/{'anat' if kind == 'flair' else 'ct'}/sub-01"
    ending = "_FLAIR.nii" if kind == "flair" else "_ct.nii"
    files = dict(models()) | {
        "bids/dataset_description.json": dataset()["bids/dataset_description.json"]
    }
    name = f"{place}{ending}{'.gz' if compressed else ''}"
    files[f"bids/{name}"] = gzip.compress(content, 1, mtime=0) if compressed else content
    argv, named = PARTICIPANT, (name, "sub-01")
    how = draw(st.integers(0, 9))
    if how == 0:
        argv = (*argv, "--dry-run")
    elif how == 1:
        # Of two the header decides, and the vessels.
        other = name.replace(ending, f"_run-2{ending}").replace("sub-01_run", "sub-01_run")
        whole = heads()[kind]
        files[f"bids/{other}"] = gzip.compress(whole, 1, mtime=0) if compressed else whole
        argv = (*argv, "--dry-run")
    return Case("headers", argv, files, named=named)


@cache
def bombs() -> tuple[bytes, ...]:
    """Return gzip streams of many zeros behind headers that ask for them, and for more."""
    found = []
    for shape in ((512, 512, 512), (1024, 1024, 1024), (2000, 2000, 700), (32767, 32767, 32767)):
        head = bytearray(heads()["ct"][:352])
        struct.pack_into("<4h", head, 40, 3, *shape)
        step = [200.0 / edge for edge in shape]
        struct.pack_into("<3f", head, 80, *step)
        for row, edge in enumerate(step):
            struct.pack_into("<f", head, 280 + 16 * row + 4 * row, edge)
        for count in (10_000_000, 400_000_000):
            packer = zlib.compressobj(9, zlib.DEFLATED, 31)
            parts = [packer.compress(bytes(head))]
            zeros = bytes(10_000_000)
            parts += [packer.compress(zeros) for _ in range(count // len(zeros))]
            found.append(b"".join((*parts, packer.flush())))
    return tuple(found)


@st.composite
def streams(draw: st.DrawFn) -> Case:
    """A gzip stream that is cut, damaged, joined, nested, no gzip, or a bomb."""
    name = draw(st.sampled_from(("ct", "flair", "ct in float")))
    whole = heads()[name]
    content = gzip.compress(whole, draw(st.sampled_from((0, 1, 9))), mtime=0)
    how = draw(st.integers(0, 19))
    if how < 4:
        content = content[: draw(st.integers(0, len(content)))]
    elif how < 9:
        content = draw(odd.changed_bytes([content]))
    elif how < 11:
        at = draw(st.integers(0, len(whole)))
        content = gzip.compress(whole[:at], mtime=0) + gzip.compress(whole[at:], mtime=0)
    elif how == 11:
        content += draw(st.one_of(st.binary(max_size=30), st.just(bytes(1000))))
    elif how == 12:
        content = gzip.compress(content, mtime=0)
    elif how == 13:
        content = whole
    elif how == 14:
        content = zlib.compress(whole)
    elif how == 15:
        content = gzip.compress(whole[: draw(st.integers(0, 400))], mtime=0)
    elif how == 16:
        # A wrong checksum, or a wrong length, at the end.
        at = draw(st.integers(1, 8))
        content = content[:-at] + bytes([content[-at] ^ 0xFF]) + content[len(content) - at + 1 :]
    elif how == 17:
        content = content[:3] + bytes([draw(st.integers(0, 255))]) + content[4:]
    elif how == 18:
        content = draw(st.sampled_from(bombs()[::2]))
    elif draw(st.integers(0, 3)) == 0:
        content = draw(st.sampled_from(bombs()))
    case = _read(draw, name, b"", True)
    place = next(name for name in case.files if name.endswith(".gz") and "run-" not in name)
    return Case(
        "streams",
        case.argv,
        {**case.files, place: content},
        named=case.named,
    )


PARTS = st.one_of(
    st.sampled_from(
        ("sub-01", "sub-02", "ses-1", "ses-2", "ct", "anat", "run-1", "run-01", "acq-thin", "ce-x")
    ),
    st.sampled_from(("ct", "CT", "FLAIR", "T1w", "flair", "Ct", "ct_Tilt_1", "ct_Eq_1", "cta")),
    st.sampled_from(
        ("desc-x", "space-y", "part-phase", "echo-1", "sub-", "ses", "_", "-", "x" * 90)
    ),
    st.text(max_size=6),
)
FOLDERS = st.sampled_from(
    (
        "sub-01",
        "sub-02",
        "sub-A+1",
        "sub-01/ses-1",
        "sub-01/ses-2",
        "sub-0 3",
        "SUB-01",
        "subject_4",
        "sub-01/ses-é",
        "sub-\udcff",
        "sub-01/.git",
        "derivatives/x",
        "",
    )
)
ENDINGS = st.sampled_from(
    (".nii.gz", ".nii", ".json", ".tsv", ".NII.GZ", ".nii.gz.part", "", ".nrrd")
)
LINKS = (
    "/dev/zero",
    "{box}/pipe",
    ".",
    "..",
    "../..",
    "loop",
    "{box}/bids",
    "/",
    "/proc/self",
    "{box}/outside",
    "no/where",
)


@st.composite
def trees(draw: st.DrawFn) -> Case:
    """Folders and names of all kinds, with links in circles and AppleDouble files."""
    box = dict(dataset()) | dict(models())
    image = box["bids/sub-02/ct/sub-02_ct.nii.gz"]
    links: dict[str, str] = {}
    folders: list[str] = []
    for _ in range(draw(st.integers(1, 6))):
        folder = draw(FOLDERS) + draw(st.sampled_from(("", "/ct", "/anat", "/ct/deeper", "/dwi")))
        name = "_".join(draw(st.lists(PARTS, min_size=1, max_size=4))) + draw(ENDINGS)
        name = name.replace("/", "").replace("\0", "").replace("\ud800", "") or "x"
        name = draw(st.sampled_from(("", "", "", "", "", "._", "."))) + name
        place = f"bids/{folder}/{name}"
        how = draw(st.integers(0, 9))
        if how < 5:
            box[place] = draw(
                st.sampled_from((image, b"", b"\0\5\x16\7\0\2\0\0Mac OS X", b"{}", b"x"))
            )
        elif how < 8:
            links[place] = draw(st.sampled_from((*LINKS, name)))
        elif how == 8:
            folders.append(place)
        else:
            at = f"bids/{folder}".rstrip("/")
            if at != "bids" and not any(known.startswith(f"{at}/") for known in box):
                links[at] = draw(st.sampled_from(LINKS))
    if draw(st.integers(0, 9)) == 0:
        # PyBIDS has a use for a file of this name.
        folder = draw(FOLDERS)
        box[f"bids/{folder}/layout_config.json"] = draw(
            odd.changed_json({"name": "x", "entities": [{"name": "y", "pattern": "(a+)+$"}]})
        )
    if draw(st.integers(0, 4)) == 0:
        links["bids/sub-07"] = draw(st.sampled_from(LINKS))
    if draw(st.integers(0, 9)) == 0:
        deep = "/".join(["d"] * draw(st.integers(50, 400)))
        box[f"bids/sub-01/{deep}/sub-01_ct.nii"] = b""
    if draw(st.integers(0, 5)) == 0:
        box["bids/dataset_description.json"] = draw(
            odd.changed_json({"Name": "x", "BIDSVersion": "1", "GeneratedBy": [{"Name": "y"}]})
        )
    more = draw(
        st.sampled_from(
            (
                ("--dry-run",),
                ("--dry-run",),
                ("--dry-run", "--skip-bids-validation"),
                ("--dry-run", "--participant-label", "01"),
                ("--dry-run", "--session-label", "1"),
                ("--dry-run", "--ignore", "flair"),
                (),
            )
        )
    )
    box["outside/sub-09/ct/sub-09_ct.nii.gz"] = image
    named = ("{box}/bids", "sub-", "participant", "session")
    words = PARTICIPANT[: -1 if "--ignore" in more else None]
    return Case("trees", (*words, *more), box, links, tuple(folders), named=named)


SIDECAR = {
    "Manufacturer": "Siemens",
    "ManufacturersModelName": "Somatom",
    "ConvolutionKernel": ["Hr40f", "3"],
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "SeriesDescription": "Head 5mm",
    "ProtocolName": "CT head",
    "ContrastBolusAgent": "none",
    "ContrastBolusVolume": 0,
    "ContrastBolusRoute": "",
    "SliceThickness": 14.0,
    "SpacingBetweenSlices": 14.0,
    "PixelSpacing": [8.0, 8.0],
    "SlicePositions": [14.0 * n for n in range(12)],
    "ImageOrientationPatientDICOM": [1, 0, 0, 0, 1, 0],
    "SliceEncodingDirection": "k",
    "ConversionSoftware": "dcm2niix",
}


@st.composite
def sidecars(draw: st.DrawFn) -> Case:
    """Metadata with values that they never have, or no JSON at all."""
    content = draw(odd.changed_json(SIDECAR))
    files = dict(models()) | {
        "bids/dataset_description.json": dataset()["bids/dataset_description.json"],
        "bids/sub-01/ct/sub-01_ct.nii": heads()["ct"],
        "bids/sub-01/anat/sub-01_FLAIR.nii": heads()["flair"],
    }
    place = draw(
        st.sampled_from(
            (
                "bids/sub-01/ct/sub-01_ct.json",
                "bids/sub-01/ct/sub-01_ct.json",
                "bids/sub-01/anat/sub-01_FLAIR.json",
                "bids/sub-01/sub-01_ct.json",
                "bids/ct.json",
                "bids/FLAIR.json",
            )
        )
    )
    files[place] = content
    if draw(st.integers(0, 2)) == 0:
        # Of two the sidecars decide.
        files["bids/sub-01/ct/sub-01_run-2_ct.nii"] = heads()["ct"]
        files["bids/sub-01/ct/sub-01_run-2_ct.json"] = draw(odd.changed_json(SIDECAR))
    more = draw(st.sampled_from((("--dry-run",), ())))
    named = ("sub-01", place.removeprefix("bids/"))
    return Case("sidecars", (*PARTICIPANT, *more), files, named=named)
