"""What all nodes of a participant workflow share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ctwml_bids.unit.records import Guide, RunFacts, TemplateFiles


@dataclass(frozen=True)
class Resources:
    """What every node of a run shares.

    Attributes
    ----------
    run
        What sidecars and reports state of it, seed, template and model cards among them.
    template, guide
        Files of the run's template and of the packaged one.
    models
        ``ct`` and ``flair`` → model folder.
    in_template
        Whether maps are written in the template's space.
    threads, registration_threads
        Threads of a pass through the networks, and of ANTs, whose result depends on it.
    """

    run: RunFacts
    template: TemplateFiles
    guide: Guide
    models: Mapping[str, Path]
    in_template: bool
    threads: int
    registration_threads: int
