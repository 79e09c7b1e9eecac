"""What a run was asked to do: the record, its options, its TOML and its hashes."""

from ctwml_bids.settings.fields import OPTIONS, Settings
from ctwml_bids.settings.hashes import (
    content_hash,
    differences,
    preprocessing_fields,
    segmentation_fields,
)
from ctwml_bids.settings.option import ANALYSIS_LEVELS, Option
from ctwml_bids.settings.toml import MACHINE, RESOLVED, from_toml, read_toml, to_toml

__all__ = [
    "ANALYSIS_LEVELS",
    "MACHINE",
    "OPTIONS",
    "RESOLVED",
    "Option",
    "Settings",
    "content_hash",
    "differences",
    "from_toml",
    "preprocessing_fields",
    "read_toml",
    "segmentation_fields",
    "to_toml",
]
