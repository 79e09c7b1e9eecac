"""The file of ``--use-plugin``: one of Nipype's own plugins, if it can run this program's units."""

from __future__ import annotations

import importlib.util
import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import yaml
from nipype.pipeline import plugins
from nipype.pipeline.plugins.base import GraphPluginBase

from ctwml_bids.errors import InvalidInputError, UsageError

# What submits a job to each scheduler; a plugin without its command fails at every single step.
SUBMITS = {
    "SLURM": "sbatch",
    "SGE": "qsub",
    "PBS": "qsub",
    "LSF": "bsub",
    "OAR": "oarsub",
    "Condor": "condor_qsub",
}


def read_plugin(path: Path) -> tuple[str, dict[str, object]]:
    """Read a plugin file: YAML, JSON or TOML with "plugin" and "plugin_args".

    Raises
    ------
    InvalidInputError
        If it is none of these, or names no plugin that Nipype has.
    UsageError
        If the plugin cannot run this program, or what it needs is not on this machine.
    """
    try:
        content = _parsed(path)
        name, arguments = content["plugin"], dict(content.get("plugin_args") or {})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise InvalidInputError(
            f'{path}: not a plugin file ({error}); expected {{"plugin": "SLURM", '
            '"plugin_args": {}}} as YAML, JSON or TOML.'
        ) from error
    kind = getattr(plugins, f"{name}Plugin", None)
    if kind is None:
        raise InvalidInputError(f"{path}: Nipype has no plugin {name!r}.")
    if why := _unusable(name, kind):
        raise UsageError(f"{path}: the plugin {name} {why}")
    return name, arguments


def _parsed(path: Path) -> Any:
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".toml":
        return tomllib.loads(text)
    return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)


def _unusable(name: str, kind: type) -> str:
    """Say why a plugin cannot be used here, and what to use instead; empty where it can."""
    if issubclass(kind, GraphPluginBase):
        instead = name.removesuffix("Graph")
        other = f"the plugin {instead}" if instead in SUBMITS else "another plugin, such as SLURM"
        return (
            "hands all steps over at once and never says how they end, so that this program could "
            f"not tell what is done. Use {other}, or one job for each subject."
        )
    if name == "Debug":
        return "needs a Python function, which no file can give. Use Linear to run step by step."
    if name in SUBMITS and shutil.which(SUBMITS[name]) is None:
        return f"needs the command {SUBMITS[name]}, which is not on this machine."
    if name == "IPython" and importlib.util.find_spec("ipyparallel") is None:
        return "needs the Python package ipyparallel, which is not installed."
    return ""
