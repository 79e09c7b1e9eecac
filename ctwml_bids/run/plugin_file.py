"""The file of ``--use-plugin``: one of Nipype's own plugins, if it can run this program's units."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import yaml
from nipype.pipeline import plugins
from nipype.pipeline.plugins.base import GraphPluginBase

from ctwml_bids.errors import InvalidInputError, UsageError
from ctwml_bids.reading import LARGEST_SETTINGS, parse_json, parse_toml, read_text

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
        name, arguments = content["plugin"], content.get("plugin_args") or {}
        if not (isinstance(name, str) and isinstance(arguments, dict)):
            raise TypeError("plugin is a name, and plugin_args an object of keys and values")
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
    text = read_text(path, LARGEST_SETTINGS)
    if path.suffix == ".toml":
        return parse_toml(text)
    if path.suffix == ".json":
        return parse_json(text)
    try:
        return yaml.load(text, _WithoutAliases)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


class _WithoutAliases(yaml.SafeLoader):
    """Reads plain values alone; a few lines of aliases stand for billions of values."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Read one value (raises yaml.YAMLError at an alias)."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has an alias (*), and none is needed")
        return super().compose_node(parent, index)


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
