"""Generated settings: filters, configuration files, plugins, models, thresholds, words."""

from __future__ import annotations

import hashlib
import json
import struct

from hypothesis import strategies as st

from tests.fuzz import odd
from tests.fuzz.bases import MODELS, WORDS, dataset, models, results
from tests.fuzz.case import Case

PLAN = ("{box}/bids", "{box}/out", "participant", *WORDS, "--dry-run")
FILTER = {
    "ct": {"acquisition": "thin", "run": 1, "session": None, "suffix": "ct"},
    "flair": {"run": ["01", 2], "reconstruction": "*", "extension": ".nii.gz"},
}


@st.composite
def filters(draw: st.DrawFn) -> Case:
    """Filter files."""
    content = draw(odd.changed_json(FILTER))
    if draw(st.integers(0, 9)) == 0:
        content = b'{"ct": {"run": "' + b"1" * draw(st.sampled_from((10, 5000))) + b'"}}'
    files = dict(dataset()) | dict(models()) | {"filter.json": content}
    words = (*PLAN, *MODELS, "--bids-filter-file", "{box}/filter.json")
    return Case("filters", words, files, named=("filter.json",))


TOML = (
    "random_seed = 3\nthreshold = {ct = 0.4}\nverbose = 1\n",
    'template = "MNI152NLin2009aSym"\nparticipant_labels = ["01"]\n[machine]\nnprocs = 2\n',
    'output_spaces = ["CT"]\nignore = ["flair"]\nderivatives = {masks = "x"}\nmem_gb = 4\n',
    'fazekas_thresholds = "literature"\nnormalisation = "nine"\nkeep_work = "never"\n',
)
NAMES = [
    "random_seed",
    "threshold",
    "template",
    "participant_labels",
    "session_labels",
    "nprocs",
    "mem_gb",
    "desc",
    "ignore",
    "models",
    "output_spaces",
    "version",
    "machine",
    "bids_dir",
    "output_dir",
    "work_dir",
    "analysis_levels",
    "verbose",
    "fazekas_thresholds",
    "exclude",
    "folds",
    "learning_rate",
    "context",
    "rerun",
    "dry_run",
    "derivatives",
    "model_ct",
    "use_plugin",
    "bids_filter_file",
    "omp_nthreads",
    "device",
    "network",
    "config_file",
]
RIGHT = {
    "random_seed": (1, 2**63, 10**30),
    "threshold": (0.4, 5e-324, {"ct": 0.999}, {"flair": 1}),
    "participant_labels": ([], ["01"], ["sub-01", "02"], ["../x"], ["01", "01"]),
    "session_labels": (["1"], ["\u0661"]),
    "template": ("x", "../../x", "tpl-x:cohort-1", "MNI152NLin2009aSym"),
    "desc": ("a", "a/b", "", "\u00e9"),
    "output_spaces": (["CT"], ["x"]),
    "models": (["{box}/models/ct"], ["x"]),
    "ignore": (["ct"], ["ct", "flair"]),
    "work_dir": ("{box}/work", "w"),
    "bids_filter_file": ("x", "{box}/run.toml"),
    "fazekas_thresholds": ("literature", "x", "{box}/run.toml"),
    "analysis_levels": (["group"], ["participant", "group"]),
    "rerun": (["01"], ["01_ses-1"], ["../x"]),
    "verbose": (0, 3, 10**30),
    "keep_work": ("never", "x"),
    "nprocs": (1, 10**30),
}
TOML_BOMBS = (
    b"a = " + b"[" * 50_000,
    b"a = " + b"[" * 20_000 + b"]" * 20_000,
    b"a = " + b"{a=" * 20_000,
    b".".join([b"a"] * 20_000) + b" = 1",
    b"[" + b".".join([b"a"] * 5_000) + b"]",
    b"random_seed = " + b"9" * 6000,
    b"random_seed = 0x" + b"f" * 6000,
    b"learning_rate = 1e999",
    b"verbose = 99999999999999999999",
    b"random_seed = 2020-02-30",
    b"random_seed = 2020-01-01T25:00:00",
    b"[machine]\n[machine]\n",
    b"machine = 3",
    b"[[machine]]\n",
    b'desc = "' + b"\\" * 9 + b'"',
    b"\xff\xfe",
    b"\xef\xbb\xbfrandom_seed = 1",
    b"random_seed = 1\r\x00",
)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        said = (f"{json.dumps(str(key))} = {_toml(one)}" for key, one in value.items())
        return f"{{{', '.join(said)}}}"
    if isinstance(value, float):
        return repr(value)
    return str(value) if isinstance(value, int) else json.dumps(str(value))


@st.composite
def configurations(draw: st.DrawFn) -> Case:
    """Configuration files."""
    how = draw(st.integers(0, 9))
    if how == 0:
        content = draw(st.sampled_from(TOML_BOMBS))
    elif how < 3:
        content = draw(odd.changed_bytes([text.encode() for text in TOML]))
    else:
        names = st.sampled_from(NAMES) if how < 7 else st.sampled_from(sorted(RIGHT))
        chosen = {name: draw(odd.values) for name in draw(st.sets(names, min_size=1, max_size=2))}
        chosen = {name: draw(st.sampled_from(RIGHT.get(name, (1,)))) for name in chosen} | (
            chosen if how < 6 else {}
        )
        lines = [f"{name} = {_toml(value)}" for name, value in chosen.items()]
        content = "\n".join(lines).encode("utf-8", "surrogatepass")
    files = dict(dataset()) | dict(models()) | {"run.toml": content}
    words = (*PLAN, *MODELS, "--config-file", "{box}/run.toml")
    # What a value of it means is told as of an option.
    return Case("configurations", words, files)


PLUGIN = {"plugin": "Linear", "plugin_args": {"n_procs": 1}}
LAUGHS = b"a0: &a0 [x, x]\n" + b"".join(
    b"a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n" % (n, n, *[n - 1] * 8)
    for n in range(1, 10)
)
YAMLS = (
    LAUGHS + b"plugin: *a9\n",
    LAUGHS + b"plugin: Linear\nplugin_args: *a9\n",
    LAUGHS,
    b"[" * 5000,
    b"? " * 3000,
    b"- " * 5000,
    b"plugin: !!python/object/apply:os.system ['touch fuzz']\n",
    b"plugin: Linear\nplugin: MultiProc\n",
    b"&a [*a]",
    b"plugin: &a [*a]\n",
    b"plugin: 2020-02-30\n",
    b"plugin: __class__\n",
    b"plugin: Linear\nplugin_args: [[1, 2], [3, 4]]\n",
    b"{plugin: Linear, plugin_args: {1: 2}}",
    b"\xff\xfe",
)


@st.composite
def plugins(draw: st.DrawFn) -> Case:
    """Files that name a Nipype plugin."""
    how = draw(st.integers(0, 5))
    if how == 0:
        content = draw(st.sampled_from((*YAMLS, *TOML_BOMBS)))
    elif how == 1:
        content = draw(odd.changed_bytes([b"plugin: Linear\nplugin_args:\n  n_procs: 1\n"]))
    elif how == 2:
        content = b"plugin: " + draw(odd.texts).encode("utf-8", "surrogatepass")
    else:
        content = draw(odd.changed_json(PLUGIN))
    name = f"plugin{draw(st.sampled_from(('.json', '.yml', '.toml', '')))}"
    files = dict(dataset()) | dict(models()) | {name: content}
    words = (*PLAN, *MODELS, "--use-plugin", f"{{box}}/{name}")
    return Case("plugins", words, files, named=(name, "plugin"))


def _safetensors(header: object, data: bytes, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


KINDS_OF_NUMBERS = ("F32", "F16", "BF16", "F64", "I8", "BOOL", "F8_E4M3", "U64", "X", 3)


@st.composite
def weights(draw: st.DrawFn) -> bytes:
    """Files of weights: right ones, changed ones, pickles, and headers that claim much."""
    right = models()["models/ct/member-00.safetensors"]
    how = draw(st.integers(0, 5))
    if how < 2:
        return draw(odd.changed_bytes([right]))
    if how == 2:
        return draw(st.sampled_from((*odd.BOMBS, b"PK\x03\x04" + bytes(50))))
    shape = draw(st.lists(st.sampled_from((0, 1, 2, 10**6, 2**40, -1, 2**63)), max_size=4))
    ends = [draw(st.sampled_from((0, 4, 2**40))), draw(st.sampled_from((4, 16, 2**50, -1)))]
    one = {"dtype": draw(st.sampled_from(KINDS_OF_NUMBERS)), "shape": shape, "data_offsets": ends}
    header = {draw(odd.texts): one, "__metadata__": draw(st.sampled_from(({}, {"a": "b"}, 3)))}
    length = draw(st.sampled_from((None, None, None, 0, 2**40, 2**63)))
    return _safetensors(header, bytes(draw(st.sampled_from((0, 4, 16, 64)))), length)


@st.composite
def model_folders(draw: st.DrawFn) -> Case:
    """Model folders: their cards, and the weights behind right checksums."""
    files = dict(dataset()) | dict(models())
    card = json.loads(files["models/ct/card.json"])
    program, words = "ctwml_bids", (*PLAN, *MODELS)
    if draw(st.integers(0, 2)):
        files["models/ct/card.json"] = draw(odd.changed_json(card))
    else:
        content = draw(weights())
        card["members"] = [
            {"file": "member-00.safetensors", "sha256": hashlib.sha256(content).hexdigest()}
        ]
        files["models/ct/card.json"] = json.dumps(card).encode()
        files["models/ct/member-00.safetensors"] = content
        program, words = "ctwml_bids up to the weights", (*PLAN, *MODELS[:2])
    links = {}
    if draw(st.integers(0, 19)) == 0:
        links["models/ct/member-00.safetensors"] = draw(
            st.sampled_from(("/dev/zero", "/dev/null", ".", "no/where", "{box}/outside"))
        )
    if draw(st.integers(0, 9)) == 0:
        words = (*(word for word in words if word != "--dry-run"), "--boilerplate-only")
    return Case(
        "models", words, files, links, program=program, named=("models/ct", "ct-test", "ct")
    )


THRESHOLDS = {
    "Name": "c",
    "Cohort": {"Description": "a cohort"},
    "Models": {"ct": "ct-a"},
    "Thresholds": {
        "ct": {"Low": 5.0, "High": 12.0, "Units": "mL"},
        "flair": {"Low": 6.0, "High": None, "Units": "mL"},
    },
}


@st.composite
def thresholds(draw: st.DrawFn) -> Case:
    """Files of Fazekas thresholds."""
    content = draw(odd.changed_json(THRESHOLDS))
    word = ("--fazekas-thresholds", "{box}/cuts.json")
    if draw(st.integers(0, 3)):
        files = dict(dataset()) | dict(models()) | {"cuts.json": content}
        return Case("thresholds", (*PLAN, *MODELS, *word), files, named=("cuts.json",))
    files = dict(dataset()) | dict(results()) | {"cuts.json": content}
    words = ("{box}/bids", "{box}/out", "group", "-w", "{box}/work", *word)
    return Case("thresholds", words, files, named=("cuts.json",), marked=odd.MARKS)


FLAGS = [
    "--participant-label",
    "--session-label",
    "--bids-filter-file",
    "--ignore",
    "-d",
    "--model",
    "--threshold",
    "--template",
    "--normalisation",
    "--output-spaces",
    "--random-seed",
    "--exclude",
    "--fazekas-column",
    "--fazekas-thresholds",
    "--modality",
    "--labels",
    "--folds",
    "--members",
    "--only",
    "--steps",
    "--learning-rate",
    "--context",
    "--nprocs",
    "--omp-nthreads",
    "--mem",
    "--mem-gb",
    "--device",
    "--rerun",
    "--desc",
    "-w",
    "--keep-work",
    "--dry-run",
    "--reports-only",
    "--boilerplate-only",
    "--version",
    "-v",
    "--skip-bids-validation",
    "--config-",
    "file",
    "--use-plugin",
    "--clean-workdir",
    "--",
    "--help",
    "--unknown",
]


@st.composite
def words(draw: st.DrawFn) -> Case:
    """Command lines of all three programs."""
    files = dict(dataset()) | dict(models()) | dict(results())
    said = st.one_of(
        st.sampled_from(FLAGS),
        st.sampled_from(("01", "ct", "ct=0.4", "4G", "1", "{box}/bids", "{box}/out", "x", "1:1")),
        odd.texts.map(lambda text: text.replace("\0", "")),
    )
    more = tuple(draw(st.lists(said, max_size=6)))
    program = draw(st.sampled_from(("ctwml_bids", "ctwml_bids", "ctwml-slurm", "ctwml-simulate")))
    if program == "ctwml-simulate":
        # A number of participants that is right would make them: minutes.
        argv = ("{box}/out/new", "--participants", draw(st.sampled_from(("0", "x", "-1"))), *more)
    elif program == "ctwml-slurm":
        argv = ("{box}/bids", "{box}/out", "--max-array", "9", *more)
    else:
        level = draw(st.sampled_from(("participant", "group", "train", "x")))
        argv = ("{box}/bids", "{box}/out", level, "-w", "{box}/work", *more, "--dry-run")
    return Case("words", argv, files, program=program)
