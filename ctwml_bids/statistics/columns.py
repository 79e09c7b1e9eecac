"""The columns of the statistics table of a unit: what each says, and how reports show it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ctwml_bids.geometry import PERIVENTRICULAR_MM
from ctwml_bids.modality import IMAGES
from ctwml_bids.statistics.overlap import Overlap
from ctwml_bids.statistics.regions import MINIMUM_LESION_ML

Label = tuple[str, str, int]

_SIZE = f"of at least {MINIMUM_LESION_ML} mL (a ball of 3 mm across)"
_NEAR = f"{PERIVENTRICULAR_MM:g} mm"
_PAIR = "in FLAIR space, FLAIR as the reference"
_SHARE = "share"  # of a whole: said in reports, no unit of a BIDS table


@dataclass(frozen=True)
class Column:
    """A column of the statistics table: what it says, and how reports show it.

    Attributes
    ----------
    description, unit
        For the JSON file of the table, the unit for reports as well.
    levels
        Value → meaning, of a column that can have few.
    label, digits
        In the report of a unit; it shows no column without a label.
    in_group
        Label and digits on the page of a group, where they differ. Of the columns of one image it
        shows those that have them, of the pair's all that have a label.
    """

    description: str
    unit: str = ""
    levels: Mapping[str, str] = field(default_factory=dict)
    label: str = ""
    digits: int = 2
    in_group: tuple[str, int] | None = None

    def about(self) -> dict[str, str | dict[str, str]]:
        """Return what the JSON file of a table says of it."""
        about: dict[str, str | dict[str, str]] = {"Description": self.description}
        if self.unit and self.unit != _SHARE:
            about["Units"] = self.unit
        return about | ({"Levels": dict(self.levels)} if self.levels else {})


_COLUMNS = {
    "image": Column(
        "Image that the row is about",
        levels={
            "ct": "Measures of the CT in its own space",
            "flair": "Measures of the FLAIR in its own space",
            "pair": "Agreement of CT with FLAIR in FLAIR space",
        },
    ),
    "wml_ml": Column(
        "White matter lesion volume in the image's space",
        "mL",
        label="White matter lesions",
        in_group=("WML", 1),
    ),
    "infarct_ml": Column(
        "Infarct volume in the image's space, no part of wml_ml; n/a where the model does not tell "
        "infarcts from white matter lesions",
        "mL",
        label="Infarcts",
        in_group=("Infarcts", 1),
    ),
    "brain_ml": Column(
        "Brain mask volume: parenchyma with ventricles and sulci, cerebellum and brainstem down to "
        "the foramen magnum",
        "mL",
        label="Brain mask",
        digits=0,
    ),
    "wml_percent": Column(
        "wml_ml as a percentage of brain_ml", "%", label="Share of the brain mask"
    ),
    "lesion_count": Column(
        f"Number of 26-connected lesions {_SIZE}",
        label=f"Lesions of at least {MINIMUM_LESION_ML} mL",
        digits=0,
    ),
    "lesion_median_ml": Column(
        "Median volume of these lesions", "mL", label="Median lesion", digits=3
    ),
    "lesion_largest_ml": Column("Volume of the largest lesion", "mL", label="Largest lesion"),
    "speck_ml": Column(
        "Part of wml_ml in foci that are too small to be counted as lesions",
        "mL",
        label="In foci too small to be counted",
    ),
    "periventricular_ml": Column(
        f"Lesion volume within {_NEAR} of the ventricles",
        "mL",
        label=f"Periventricular (within {_NEAR} of the ventricles)",
    ),
    "deep_ml": Column(
        f"Lesion volume more than {_NEAR} from the ventricles",
        "mL",
        label=f"Deep (beyond {_NEAR})",
    ),
    "left_ml": Column(
        "Lesion volume in the patient's left hemisphere", "mL", label="Left hemisphere"
    ),
    "right_ml": Column(
        "Lesion volume in the patient's right hemisphere", "mL", label="Right hemisphere"
    ),
    "ventricle_ml": Column("Volume of the ventricle mask", "mL", label="Ventricles", digits=1),
    "threshold": Column(
        "Probability above which a voxel counts as a lesion", label="Probability threshold"
    ),
    "model": Column("Model that segmented the image", label="Model", digits=0),
    "fazekas_group": Column(
        "Fazekas group by wml_ml, with --fazekas-thresholds; no visual rating. The thresholds and "
        "the cohort they are from are in Facts",
        levels={"0-1": "no or mild lesions", "2": "moderate lesions", "3": "severe lesions"},
        label="Fazekas group by volume",
        digits=0,
    ),
    "dice": Column(
        f"Dice overlap of CT and FLAIR lesions, {_PAIR}; 1 if both are empty",
        label="Dice overlap",
        digits=3,
        in_group=("Dice", 2),
    ),
    "both_empty": Column("Neither image has a lesion: the Dice of 1 says nothing"),
    "true_positive_ml": Column(
        f"Lesion volume on both images, {_PAIR}",
        "mL",
        label="Lesion on both",
        in_group=("On both", 1),
    ),
    "ct_only_ml": Column(
        f"Lesion volume on CT but not on FLAIR, {_PAIR}",
        "mL",
        label="On CT only",
        in_group=("CT only", 1),
    ),
    "flair_only_ml": Column(
        f"Lesion volume on FLAIR but not on CT, {_PAIR}",
        "mL",
        label="On FLAIR only",
        in_group=("FLAIR only", 1),
    ),
    "h95_mm": Column(
        f"95th-percentile Hausdorff distance, {_PAIR} (WMH challenge definition)",
        "mm",
        label="95th-percentile Hausdorff distance",
        digits=1,
        in_group=("H95", 1),
    ),
    "avd_percent": Column(
        f"Absolute volume difference, {_PAIR} (WMH challenge definition)",
        "%",
        label="Absolute volume difference",
        digits=1,
        in_group=("Absolute volume difference", 0),
    ),
    "lesion_recall": Column(
        f"Share of FLAIR lesions of any size that CT touches, {_PAIR} (WMH challenge definition)",
        _SHARE,
        label="FLAIR lesions touched by CT",
        in_group=("Lesion recall", 2),
    ),
    "lesion_f1": Column(
        f"F1 over 26-connected lesions of any size, {_PAIR} (WMH challenge definition)",
        label="Lesion F1",
    ),
    "qc": Column(
        "Worst quality gate of the unit",
        levels={
            "pass": "Every gate passed",
            "warn": "At least one gate asks for a look at the images; none failed",
            "fail": "At least one gate failed: its numbers cannot be trusted",
        },
    ),
}
# Column → description, unit and levels, as in the JSON file of the table.
COLUMNS = {name: column.about() for name, column in _COLUMNS.items()}
# At the end of a report's table, in this order; what is about lesions comes first.
_LAST = ("brain_ml", "ventricle_ml", "fazekas_group", "threshold", "model")

# Columns of whole numbers; all others that are numbers are measures.
COUNTS = ("lesion_count", "lesion")
# Columns of text.
NOT_NUMBERS = ("image", "model", "both_empty", "fazekas_group", "qc")
_OF_PAIR = tuple(Overlap.__dataclass_fields__)
# Measures of a pair besides its Dice.
OVERLAP = tuple(name for name in _OF_PAIR if name not in ("dice", "both_empty"))
LESION_COLUMNS: dict[str, dict[str, str]] = {
    "image": {"Description": "Image that the lesion was seen in"},
    "lesion": {"Description": f"Number of the lesion, largest first; lesions {_SIZE}"},
    "volume_ml": {"Description": "Volume", "Units": "mL"},
    "x_mm": {"Description": "Centre of mass in the image's RAS space, to the right", "Units": "mm"},
    "y_mm": {"Description": "Centre of mass, to the front", "Units": "mm"},
    "z_mm": {"Description": "Centre of mass, upwards", "Units": "mm"},
    "ventricle_distance_mm": {
        "Description": "From its nearest voxel to the ventricles; n/a where none were found",
        "Units": "mm",
    },
}

# Out-of-fold accuracy: the reference is the truth there, whichever image it is on.
ACCURACY_NAMES = {"ct_only_ml": "cv_only_ml", "flair_only_ml": "truth_only_ml"}
ACCURACY_COLUMNS: dict[str, dict[str, str]] = {
    "unit": {"Description": "Subject, or subject and session"},
    "participant_id": {"Description": "Subject"},
    "fazekas": {"Description": "Fazekas grade of a visual rating, where participants.tsv has one"},
    "truth_ml": {"Description": "Volume of the lesions to learn from", "Units": "mL"},
    "cv_ml": {
        "Description": "Volume of the out-of-fold segmentation, in its image's space",
        "Units": "mL",
    },
    "dice": {"Description": "Dice overlap of both in the truth's space; 1 if both are empty"},
    "both_empty": {"Description": "Neither has a lesion: the Dice of 1 says nothing"},
    "true_positive_ml": {"Description": "Lesion volume in both", "Units": "mL"},
    "cv_only_ml": {"Description": "Lesion volume in the segmentation alone", "Units": "mL"},
    "truth_only_ml": {"Description": "Lesion volume in the truth alone", "Units": "mL"},
    "h95_mm": {"Description": "95th-percentile Hausdorff distance", "Units": "mm"},
    "avd_percent": {"Description": "Absolute volume difference", "Units": "%"},
    "lesion_recall": {"Description": "Share of true lesions that the segmentation touches"},
    "lesion_f1": {"Description": "F1 over 26-connected lesions"},
    "infarct_truth_ml": {
        "Description": "Volume of the infarcts to learn from; n/a where networks have two classes",
        "Units": "mL",
    },
    "infarct_cv_ml": {"Description": "Volume of out-of-fold infarcts on that image", "Units": "mL"},
    "infarct_dice": {"Description": "Dice overlap of both; 1 if both are empty"},
}


def unit_column(image: str, name: str) -> str:
    """Return what a column of one image is called in a table with one row per unit."""
    return f"{image}_{name}"


def unit_columns() -> dict[str, tuple[str, str]]:
    """Return the columns of a table with one row per unit: name → (image, column).

    Those of one image have its name in front, ``ct_wml_ml``; those of the pair keep theirs.
    """
    of_image = [name for name in _of_image() if name not in ("image", "qc")]
    named = {unit_column(image, name): (image, name) for image in IMAGES for name in of_image}
    return named | {name: ("pair", name) for name in COLUMNS if name in _OF_PAIR}


def report_labels() -> tuple[dict[str, Label], dict[str, Label]]:
    """Return what a unit's report shows of one image, and of the pair, in order.

    Column → label, unit, digits.
    """
    of_image = [*(name for name in _of_image() if name not in _LAST), *_LAST]
    return _labels(of_image), _labels(_OF_PAIR)


def _labels(names: Iterable[str]) -> dict[str, Label]:
    columns = {name: _COLUMNS[name] for name in names}
    return {name: (of.label, of.unit, of.digits) for name, of in columns.items() if of.label}


def group_labels() -> dict[str, tuple[str, int]]:
    """Return what the page of a group shows: column of `unit_columns` → label, digits."""
    found = {}
    for name, (image, of) in unit_columns().items():
        column = _COLUMNS[of]
        label, digits = column.in_group or (column.label if image == "pair" else "", column.digits)
        where = "" if image == "pair" else f" on {image.upper()}"
        unit = f" ({column.unit})" if "Units" in column.about() else ""
        if label:
            found[name] = f"{label}{where}{unit}", digits
    return found


def _of_image() -> list[str]:
    return [name for name in COLUMNS if name not in _OF_PAIR]
