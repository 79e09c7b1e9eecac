"""Everything one run was asked to do, as one frozen record; each option is declared here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ctwml_bids.modality import IMAGES
from ctwml_bids.settings.option import GROUP, PARTICIPANT, TRAIN, option, options_of

_data = partial(option, section="which data")
_method = partial(option, section="how it is measured", levels=(PARTICIPANT,))
_cohort = partial(option, section="the group level, and Fazekas groups", levels=(GROUP,))
_train = partial(option, section="how networks are trained (train)", levels=(TRAIN,))
_running = partial(option, section="how it runs")
_machine = partial(_running, machine=True)
_output = partial(option, section="what is written and kept")


@dataclass(frozen=True)
class Settings:
    """What the command line (and a configuration file under it) says.

    Folders are absolute. ``model_ct`` and ``model_flair`` are found out before the run from
    ``models`` or from what the package ships, and ``device`` is then "cpu" or "cuda"; memory is
    in GiB. ``threshold`` has what was asked for, by "ct" and "flair".
    """

    bids_dir: Path
    output_dir: Path
    analysis_levels: tuple[str, ...]
    participant_labels: tuple[str, ...] = _data(
        (),
        "--participant-label",
        "--participant-labels",
        levels=(PARTICIPANT, TRAIN),
        metavar="LABEL",
        form="subject",
        help="subjects to process, with or without `sub-` (default: all); one that is not there is "
        "an error",
    )
    session_labels: tuple[str, ...] = _data(
        (),
        "--session-label",
        "--session-labels",
        "--session-id",
        levels=(PARTICIPANT, TRAIN),
        metavar="LABEL",
        form="session",
        help="sessions to process, with or without `ses-` (default: all)",
    )
    bids_filter_file: Path | None = _data(
        None,
        "--bids-filter-file",
        levels=(PARTICIPANT,),
        metavar="FILE",
        help='JSON that narrows down the images: `{"ct": {entity: value}, "flair": {...}}`; `null` '
        'is "without this entity", `"*"` is "any"',
    )
    ignore: tuple[str, ...] = _data(
        (),
        "--ignore",
        levels=(PARTICIPANT,),
        choices=IMAGES,
        help="leave out all images of one kind, as if they were not there: the other kind is then "
        "measured alone",
    )
    skip_bids_validation: bool = _data(
        False,
        "--skip-bids-validation",
        levels=(PARTICIPANT,),
        help="do not ask for a valid `dataset_description.json`",
    )
    derivatives: dict[str, Path] = _data(
        {},
        "-d",
        "--derivatives",
        levels=(PARTICIPANT, TRAIN),
        metavar="PACKAGE=PATH",
        form="named path",
        help="other derivative data sets, checked to be there; `train` reads `masks=PATH` "
        "(`--labels manual`)",
    )
    models: tuple[Path, ...] = _method(
        (),
        "--model",
        metavar="DIR",
        help="model folders to use instead of the shipped ones, one for CT, one for FLAIR or "
        "both; the card in a folder says which it is",
    )
    model_ct: Path | None = None
    model_flair: Path | None = None
    threshold: dict[str, float] = _method(
        {},
        "--threshold",
        levels=(PARTICIPANT, TRAIN),
        metavar="P|IMAGE=P",
        keys=IMAGES,
        above=0,
        below=1,
        help="probability above which a voxel is a WML, for both images or as `ct=P`, `flair=P`; "
        "that of infarcts, where a model has them, stays, but voxels that both claim may change "
        "sides "
        "(default: that of the model; for a network in training 0.25 on CT, as the paper's, and "
        "0.5 on FLAIR, with `--init shipped` that of the shipped networks)",
    )
    template: str = _method(
        "MNI152NLin2009aSym",
        "--template",
        hashed=True,
        levels=(PARTICIPANT, TRAIN),
        metavar="NAME",
        help="TemplateFlow template to normalise to (default: `MNI152NLin2009aSym`, in the "
        "package)",
    )
    normalisation: str = _method(
        "nine",
        "--normalisation",
        "--normalization",
        hashed=True,
        choices=("nine", "syn"),
        help="`nine`: nine parameters (default); `syn`: a deformable registration besides, for "
        "maps in the template's space; the networks see the nine-parameter frame either way",
    )
    output_spaces: tuple[str, ...] = _method(
        (),
        "--output-spaces",
        metavar="SPACE",
        help="spaces for maps besides the native CT and FLAIR, such as the template's name",
    )
    random_seed: int = _method(
        1,
        "--random-seed",
        hashed=True,
        levels=(PARTICIPANT, TRAIN),
        metavar="N",
        above=0,
        help="seed of everything random (default: 1; the same seed and one thread give the same "
        "masks bit by bit)",
    )
    exclude: tuple[str, ...] = _cohort(
        (),
        "--exclude",
        levels=(TRAIN, GROUP),
        metavar="LABEL|FILE",
        form="unit or file",
        help="who is left out of `group` and `train`: subjects (`X`), units (`X_ses-Y`), or files "
        "with one of these in the first column of each line; a column `exclude` in "
        "`participants.tsv` does the same",
    )
    include_failed_qc: bool = _cohort(
        False,
        "--include-failed-qc",
        levels=(TRAIN, GROUP),
        help="keep subjects with a failed quality gate: in the agreement (`group`), in training "
        "(`train`)",
    )
    participants_file: Path | None = _cohort(
        None,
        "--participants-file",
        levels=(TRAIN, GROUP),
        metavar="FILE",
        help="table with `participant_id`, `age`, `sex` and the Fazekas rating for `group` and "
        "`train` (default: the data set's `participants.tsv`, which the participant level copies)",
    )
    fazekas_file: Path | None = _cohort(
        None,
        "--fazekas-file",
        levels=(TRAIN, GROUP),
        metavar="FILE",
        help="phenotype table with the visual Fazekas ratings, where they are in another one",
    )
    fazekas_column: str | None = _cohort(
        None,
        "--fazekas-column",
        levels=(TRAIN, GROUP),
        metavar="NAME",
        help="column of the visual rating, 0 to 3 or 0-1, 2, 3 (default: `fazekas`)",
    )
    fazekas_thresholds: str | None = _cohort(
        None,
        "--fazekas-thresholds",
        levels=(PARTICIPANT, GROUP),
        metavar="FILE",
        word="literature",
        help="state each subject's Fazekas group from its lesion volume, with the "
        "`group/fazekas_thresholds.json` of a cohort, or with the round numbers 7 and 15 mL by the "
        "name `literature`; at the group level, judge these in place of fitting",
    )
    modality: str = _train(
        "ct", "--modality", choices=IMAGES, help="image that the networks see (default: `ct`)"
    )
    labels: str = _train(
        "flair",
        "--labels",
        choices=("flair", "manual"),
        help="what they learn from: `flair`, the participant level's FLAIR segmentations "
        "(default); `manual`, the masks of `-d masks=PATH`",
    )
    folds: int = _train(
        10, "--folds", metavar="N", above=0, help="folds of the cross-validation (default 10)"
    )
    repeats: int = _train(
        10, "--repeats", metavar="N", above=0, help="repeats with other splits (default 10)"
    )
    members: int = _train(
        10,
        "--members",
        metavar="N",
        above=0,
        help="networks of the final model, each trained on all subjects (default 10)",
    )
    only: tuple[str, ...] = _train(
        (),
        "--only",
        metavar="PART",
        form="part",
        help="parts to do, for job arrays: `heads` (lay all heads on the grid), `REPEAT:FOLD` "
        "(both counted from 1), `final:MEMBER`, `merge` (maps, tables, model and report from all "
        "of them)",
    )
    init: str = _train(
        "fresh",
        "--init",
        choices=("fresh", "shipped"),
        help="what the networks begin from: `fresh` weights (default), or the `shipped` networks",
    )
    steps: int = _train(
        3000, "--steps", metavar="N", above=0, help="steps of each training (default 3000)"
    )
    batch: int = _train(32, "--batch", metavar="N", above=0, help="patches of a step (default 32)")
    learning_rate: float | None = _train(
        None,
        "--learning-rate",
        metavar="RATE",
        above=0,
        below=1,
        help="initial learning rate of Adam (default 5e-4; 1e-4 with `--init shipped`)",
    )
    context: int | None = _train(
        None,
        "--context",
        metavar="N",
        lowest=0,
        highest=9,
        help="neighbouring slices below, and above, that the network sees with each one (default "
        "0, as the paper's; with `--init shipped` those of the shipped networks)",
    )
    loss: str | None = _train(
        None,
        "--loss",
        choices=("cross-entropy", "dice+cross-entropy"),
        help="the loss function (default `cross-entropy`; with `--init shipped` that of the "
        "shipped networks)",
    )
    network: str | None = _train(
        None,
        "--network",
        metavar="NAME",
        help="kind of network to train (default: the first, as the shipped networks; with "
        "`--init shipped` it is theirs)",
    )
    precision: str = _train(
        "auto",
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        help="number format of the convolutions (default `auto`: bfloat16 where the device has it)",
    )
    keep_networks: bool = _train(
        False,
        "--keep-networks",
        help="keep the networks of the cross-validation after their maps are made",
    )
    nprocs: int = _machine(
        1,
        "--nprocs",
        "--n-procs",
        "--n-cpus",
        "--nthreads",
        metavar="N",
        above=0,
        help="CPUs in all (default: those that this process may use)",
    )
    omp_nthreads: int | None = _machine(
        None,
        "--omp-nthreads",
        metavar="N",
        above=0,
        help="threads of one step (default: 1 for registration, whose result depends on it, and "
        "all of `--nprocs` for the networks)",
    )
    mem_gb: float = _machine(
        4.0,
        "--mem",
        "--mem-mb",
        "--mem-gb",
        metavar="SIZE",
        above=0,
        form="memory",
        help="memory in all: `8000` (MB; with `--mem-gb` GB), `4G`, `1.5G` (default: 90% of the "
        "machine or container)",
    )
    device: str = _machine(
        "auto",
        "--device",
        choices=("auto", "cpu", "cuda"),
        help="where the networks run (default: `auto`, a GPU if there is one)",
    )
    use_plugin: Path | None = _machine(
        None,
        "--use-plugin",
        "--nipype-plugin-file",
        levels=(PARTICIPANT,),
        metavar="FILE",
        help='YAML, JSON or TOML with a Nipype plugin: `{"plugin": "SLURM", "plugin_args": {...}}`',
    )
    stop_on_first_crash: bool = _running(
        False,
        "--stop-on-first-crash",
        levels=(PARTICIPANT,),
        help="stop everything once a step fails; otherwise the other subjects go on",
    )
    rerun: tuple[str, ...] = _running(
        (),
        "--rerun",
        levels=(PARTICIPANT,),
        metavar="LABEL",
        form="unit",
        help="subjects (`X`) or units (`X_ses-Y`) to run again from the start although they "
        "are done",
    )
    dry_run: bool = _running(
        False,
        "--dry-run",
        help="print what is done, what would be processed, from which files, and why others are "
        "skipped; nothing is written",
    )
    verbose: int = _running(0, "-v", "--verbose", counted=True, help="say more; `-vv` says all")
    work_dir: Path = _output(
        Path(),
        "-w",
        "--work-dir",
        machine=True,
        metavar="DIR",
        help="scratch folder (default: `ctwml_work-...` in the temporary folder)",
    )
    keep_work: str = _output(
        "on-failure",
        "--keep-work",
        levels=(PARTICIPANT, TRAIN),
        choices=("always", "on-failure", "never"),
        help="whether the scratch files of a finished subject are kept; `on-failure` (default): "
        "those of failed subjects",
    )
    clean_workdir: bool = _output(
        False,
        "--clean-workdir",
        levels=(PARTICIPANT,),
        help="empty the scratch folder before starting, except for what another run is working on",
    )
    desc: str | None = _output(
        None,
        "--desc",
        metavar="LABEL",
        form="label",
        help="label for the results of another model or threshold, kept beside those that exist",
    )
    reports_only: bool = _output(
        False,
        "--reports-only",
        levels=(PARTICIPANT,),
        help="write the reports again from the results that exist",
    )
    boilerplate_only: bool = _output(
        False,
        "--boilerplate-only",
        levels=(PARTICIPANT,),
        help="print the methods paragraph for a paper, and stop",
    )

    @property
    def model_label(self) -> str:
        """The label of the results, ``desc``; empty without one."""
        return self.desc or ""

    @property
    def template_spaces(self) -> tuple[str, ...]:
        """The template in whose space maps are written, or none; native spaces always are."""
        wanted = self.normalisation == "syn" or self.template in self.output_spaces
        return (self.template,) if wanted else ()

    @property
    def registration_threads(self) -> int:
        """Threads of one ANTs call; its result is only bit-identical with one."""
        return self.omp_nthreads or 1

    @property
    def inference_threads(self) -> int:
        """Threads of one pass through the networks."""
        return min(self.omp_nthreads or self.nprocs, self.nprocs)


OPTIONS = options_of(Settings)
