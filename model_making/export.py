"""Trained networks as a model with its card: what it saw, whose data that was, how well it does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ctwml_bids.errors import BadDataError
from ctwml_bids.modality import MODALITIES
from ctwml_bids.segmentation import classes, model_store
from ctwml_bids.segmentation.model_card import ModelCard
from ctwml_bids.training.checkpoint import checkpoint_weights
from ctwml_bids.training.loop import initial_weights
from ctwml_bids.training.recipe import THRESHOLDS
from model_making.training_facts import FACTS, NEVER

# By the first letters of the subjects that the development data set took from there.
_SOURCES = {
    "lj": "Lesjak et al., Neuroinformatics 2018 (CC-BY; muschellij2/open_ms_data@6570490)",
    "ll": "Lesjak et al., Neuroinformatics 2016 (CC-BY; muschellij2/open_ms_data@6570490)",
    "anat": "label maps of Billot et al., Medical Image Analysis 2023 (Apache-2.0; "
    "BBillot/SynthSeg@66342c1)",
    "mb": "Sim-Vent-WMH-Seg (MIT; Mahdi-Bashiri/Sim-Vent-WMH-Seg@914e4ed)",
}

_INFARCTS = (
    "infarct masks of the Stroke Outcome Optimization Project (BSD-2-Clause; "
    "neurolabusc/StrokeOutcomeOptimizationProjectDemo@ae553f8; OpenNeuro ds004889)"
)


def export(
    runs: Sequence[Path],
    folder: Path,
    *,
    name: str,
    modality: str,
    version: str,
    accuracy: dict | None = None,
    flip: bool = False,
    threshold: float | None = None,
    infarct_threshold: float | None = None,
    infarct_least_ml: float | None = None,
    mean_with: Path | None = None,
    island_share: float | None = None,
) -> ModelCard:
    """Write the networks of finished or running trainings as a model with its card.

    With ``mean_with``, the model that the trainings began from, each network's weights are the
    mean of those that it began from and those that it ended with: on heads like the former ones
    it keeps more of what it knew (Wortsman et al., CVPR 2022). Of a class that the model does not
    have, the mean is taken with the fresh weights that the training began from.

    Raises
    ------
    NoInputError
        If there is no model to take the mean with.
    BadDataError
        If one saw a subject that the shipped models are tested on, or did not begin from the
        network to take the mean with; if the networks differ in their classes, or a threshold for
        infarcts is given that are none of them.
    """
    networks, members = [], []
    begun = {"mean_with": model_store.load_card(mean_with).name} if mean_with else {}
    for run in runs:
        weights, step = checkpoint_weights(run / "checkpoint.safetensors")
        facts = json.loads((run / FACTS).read_text())
        if mean_with is not None:
            weights = _mean_with_beginning(weights, mean_with, facts["config"])
        networks.append({key: tensor.numpy() for key, tensor in weights.items()})
        members.append(facts | begun | {"steps_done": step})
    if tested := set(NEVER).intersection(
        _people(members, "anatomies") + _people(members, "real_subjects")
    ):
        raise BadDataError(f"Trained on {', '.join(sorted(tested))}, which models are tested on.")
    channels = MODALITIES[modality].channels
    if len({member["config"]["classes"] for member in members}) > 1:
        raise BadDataError("The networks of one model have the same classes; these have not.")
    config = members[0]["config"]
    names = classes.NAMES[: config["classes"]]
    has_infarcts = classes.NAMES[classes.INFARCT] in names
    if (infarct_threshold or infarct_least_ml) and not has_infarcts:
        raise BadDataError("These networks know no infarcts: nothing decides which are marked.")
    if infarct_threshold is None and has_infarcts:
        infarct_threshold = THRESHOLDS[modality]
    context = config["patches"].get("context", 0)
    sources = _sources(members)
    card = ModelCard(
        name=name,
        modality=modality,
        version=version,
        network={
            "variant": config["variant"],
            "in_channels": len(channels) * (2 * context + 1),
            "classes": config["classes"],
        },
        channels=channels,
        # `benchmarks/out_of_bag.py` finds others than the paper's.
        threshold=THRESHOLDS[modality] if threshold is None else threshold,
        members=(),
        classes=names,
        infarct_threshold=infarct_threshold,
        infarct_least_ml=infarct_least_ml,
        license="CC-BY-4.0" if sources else "Apache-2.0",
        context=context,
        flip=flip,
        island_share=island_share,
        training={
            "data": _data(members),
            "sources": sources,
            "command": "python -m model_making.train_shipped",
            # Of networks from before their facts said it, this machine's.
            "torch": ", ".join(sorted({m.get("torch", torch.__version__) for m in members})),
            "members": members,
        },
        accuracy=accuracy or {},
        never_trained_on=NEVER,
    )
    return model_store.write_model(folder / name, card, networks)


def _mean_with_beginning(
    weights: Mapping[str, Tensor], model: Path, config: Mapping
) -> dict[str, Tensor]:
    """Return the mean of a network's weights and of those that its training began from.

    Running statistics of batch norms are averaged as well, and not measured again.

    Parameters
    ----------
    weights
        Arrays by name after the training; counters among them are returned as they are.
    model
        Folder of the model that it began from.
    config
        Of the training: "seed" is the member's number, "init" the checksum of its beginning.

    Raises
    ------
    NoInputError, BadDataError
        If there is no such model, it is damaged, or the training began from another network.
    """
    first, checksum = initial_weights(model, config["seed"], config["classes"])
    if config.get("init") != checksum:
        raise BadDataError(
            f"Training {config['seed']} did not begin from a network of {model}: there is no mean "
            "to take with it."
        )
    return {
        name: (first[name].to(now.dtype) + now) / 2 if now.is_floating_point() else now
        for name, now in weights.items()
    }


def _people(members: Sequence[dict], kind: str) -> list[str]:
    return sorted({name for member in members for name in member[kind]})


def _sources(members: Sequence[dict]) -> list[str]:
    """Name the data sets to which the licence asks attribution."""
    people = _people(members, "anatomies") + _people(members, "real_subjects")
    texts = [
        text
        for prefix, text in _SOURCES.items()
        if any(name.removeprefix("sub-").startswith(prefix) for name in people)
    ]
    return [*texts, _INFARCTS] if any("infarct_shapes" in member for member in members) else texts


def _data(members: Sequence[dict]) -> str:
    """Say what a model was trained on."""
    anatomies, real = _people(members, "anatomies"), _people(members, "real_subjects")
    text = f"simulated heads (ctwml_bids.simulation; anatomies: {', '.join(anatomies)})"
    if factors := [end for member in members for end in member.get("ct_noise_factors", ())]:
        text += (
            f", at last with CT noise of {min(factors):.1f} to {max(factors):.1f} times as usual"
        )
    if shapes := max(member.get("infarct_shapes", 0) for member in members):
        text += f", with infarcts of up to {shapes} real shapes a network"
    if real:
        text += f" and real FLAIR images with expert lesion masks ({', '.join(real)})"
    return text
