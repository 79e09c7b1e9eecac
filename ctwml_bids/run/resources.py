"""From a checked run to what the participant workflow takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ctwml_bids import templates
from ctwml_bids.bids import names
from ctwml_bids.bids.sidecars import used
from ctwml_bids.bids.units import Unit
from ctwml_bids.run.preflight import Ready
from ctwml_bids.run.provenance import hashes, versions
from ctwml_bids.segmentation.model_card import ModelCard
from ctwml_bids.unit.records import Guide, RunFacts, TemplateFiles
from ctwml_bids.unit.resources import Resources


def run_facts(ready: Ready) -> RunFacts:
    """Say what sidecars and reports state of a run.

    Parameters
    ----------
    ready
        The run, after `preflight`.
    """
    settings = ready.settings
    return RunFacts(
        bids_dir=settings.bids_dir,
        output_dir=settings.output_dir,
        template=_template(ready),
        normalisation=settings.normalisation,
        model_label=settings.model_label,
        seed=settings.random_seed,
        device=settings.device,
        versions=versions(),
        hashes=hashes(ready),
        cards=ready.cards,
        fazekas=ready.fazekas,
    )


def resources_of(ready: Ready) -> Resources:
    """Gather what every step of a run shares.

    Parameters
    ----------
    ready
        The run, after `preflight`.
    """
    settings, template, guide = ready.settings, _template(ready), templates.packaged()
    models = {"ct": settings.model_ct, "flair": settings.model_flair}
    return Resources(
        run=run_facts(ready),
        template=TemplateFiles(str(template.t1w), str(template.brain_mask)),
        guide=Guide(*map(str, (guide.brain_mask, guide.gm, guide.wm, guide.ventricles))),
        models={name: folder for name, folder in models.items() if folder is not None},
        in_template=bool(settings.template_spaces),
        threads=settings.inference_threads,
        registration_threads=min(settings.registration_threads, settings.nprocs),
    )


def seen_by_steps(unit: Unit, ready: Ready) -> Unit:
    """Return a unit with what its steps may see, and with all that is to be told of it.

    Parameters
    ----------
    unit
        As planned.
    ready
        The run.
    """
    return replace(
        unit,
        # Nothing else: a change of what a step does not see must not make it run again.
        ct_sidecar=used(unit.ct_sidecar),
        flair_sidecar=used(unit.flair_sidecar),
        notes=(
            *unit.notes,
            *_template(ready).notes,
            *seen_before(unit, ready.cards),
            *other_thresholds(unit, ready.settings.threshold, ready.cards),
        ),
    )


def seen_before(unit: Unit, cards: Mapping[str, ModelCard]) -> list[str]:
    """Say which models were trained on a subject, whose lesions they then know.

    Parameters
    ----------
    unit
        As planned.
    cards
        "ct" and "flair" → the model's.
    """
    subject = names.stem(unit.subject)
    return [
        f"The {name.upper()} model {card.name} was trained on a subject of this name: what it "
        "finds here says nothing of how good it is on others."
        for name, card in cards.items()
        if name in unit.images and subject in card.seen
    ]


def other_thresholds(
    unit: Unit, asked: Mapping[str, float], cards: Mapping[str, ModelCard]
) -> list[str]:
    """Say which masks are made with another threshold than the model's own.

    Parameters
    ----------
    unit
        As planned.
    asked
        "ct" and "flair" → the threshold, where it is another (`preflight.choose_models`).
    cards
        "ct" and "flair" → the model's.
    """
    of_wml = (
        " It is that of white matter lesions alone, and also moves voxels that they and infarcts "
        "both claim from one to the other."
    )
    return [
        f"Lesions on {name.upper()} are what lies above {asked[name]:g}, as --threshold asks: the "
        "accuracy that the model's card states is that of its own threshold."
        + (of_wml if cards[name].has_infarcts else "")
        for name in sorted(asked)
        if name in unit.images
    ]


def _template(ready: Ready) -> templates.Template:
    """Return the template of a run that processes images, which has one after `preflight`."""
    if ready.template is None:
        raise ValueError("a run without the participant level has no template")
    return ready.template
