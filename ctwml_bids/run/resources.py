"""From a checked run to what the participant workflow takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from ctwml_bids import templates
from ctwml_bids.bids import names
from ctwml_bids.bids.sidecars import used
from ctwml_bids.bids.units import Unit
from ctwml_bids.run.preflight import Ready
from ctwml_bids.run.provenance import hashes, versions
from ctwml_bids.segmentation.model_store import ModelCard
from ctwml_bids.unit.memory import megavoxels
from ctwml_bids.workflows.participant import Resources, UnitFiles


def resources_of(ready: Ready) -> Resources:
    """Gather what every step of a run shares.

    Parameters
    ----------
    ready
        The run, after `preflight`.
    """
    settings, cards, guide = ready.settings, ready.cards, templates.packaged()
    return Resources(
        template_t1w=ready.template.t1w,
        template_mask=ready.template.brain_mask,
        guide_mask=guide.brain_mask,
        guide_gm=guide.gm,
        guide_wm=guide.wm,
        guide_ventricles=guide.ventricles,
        deformable=settings.normalisation == "syn",
        in_template=bool(settings.template_spaces),
        ct_model=settings.model_ct,
        flair_model=settings.model_flair,
        ct_threshold=cards["ct"].threshold,
        flair_threshold=cards["flair"].threshold,
        seed=settings.random_seed,
        threads=settings.inference_threads,
        registration_threads=min(settings.registration_threads, settings.nprocs),
        use_gpu=settings.device == "cuda",
        context={
            "output_dir": str(settings.output_dir),
            # As it stands in file names: a cohort follows a plus sign.
            "template": ready.template.name,
            "template_uri": ready.template.uri,
            "normalisation": settings.normalisation,
            "model_label": settings.desc or "",
            "output_spaces": list(settings.output_spaces),
            "seed": settings.random_seed,
            "device": settings.device,
            "versions": versions(),
            "hashes": hashes(ready),
            "fazekas": ready.fazekas.described() if ready.fazekas else {},
            "thresholds": {name: card.threshold for name, card in cards.items()},
            "models": {
                name: {**asdict(card), "checksum": card.checksum} for name, card in cards.items()
            },
        },
    )


def unit_files(unit: Unit, ready: Ready) -> UnitFiles:
    """Describe one unit for its workflow.

    Parameters
    ----------
    unit
        As planned.
    ready
        The run.
    """
    return UnitFiles(
        label=unit.label,
        ct=unit.ct,
        flair=unit.flair,
        # Nothing else: a change of what a step does not see must not make it run again.
        ct_sidecar=used(unit.ct_sidecar),
        flair_sidecar=used(unit.flair_sidecar),
        megavoxels=megavoxels({"ct": unit.ct, "flair": unit.flair}),
        context={
            "label": unit.label,
            "subject": unit.subject,
            "session": unit.session,
            "flair_session": unit.flair_session,
            "notes": [
                *unit.notes,
                *ready.template.notes,
                *seen_before(unit, ready.cards),
                *other_thresholds(unit, ready.settings.threshold),
            ],
            "bids_dir": str(ready.settings.bids_dir),
        },
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
    images, subject = {"ct": unit.ct, "flair": unit.flair}, names.stem(unit.subject)
    return [
        f"The {name.upper()} model {card.name} was trained on a subject of this name: what it "
        "finds here says nothing of how good it is on others."
        for name, card in cards.items()
        if images.get(name) is not None and subject in card.seen
    ]


def other_thresholds(unit: Unit, asked: Mapping[str, float]) -> list[str]:
    """Say which masks are made with another threshold than the model's own.

    Parameters
    ----------
    unit
        As planned.
    asked
        "ct" and "flair" → the threshold, where it is another (`preflight.choose_models`).
    """
    images = {"ct": unit.ct, "flair": unit.flair}
    return [
        f"Lesions on {name.upper()} are what lies above {asked[name]:g}, as --threshold asks: the "
        "accuracy that the model's card states is that of its own threshold."
        for name in sorted(asked)
        if images[name] is not None
    ]
