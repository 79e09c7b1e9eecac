"""Train the brain-extraction network: ``python -m model_making.train_brain --help``."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from torch import nn

from ctwml_bids.preprocessing.flair_brain import flair_mask
from ctwml_bids.preprocessing.head_grid import HEAD_SHAPE, HEAD_SPACING_MM
from ctwml_bids.segmentation.brain_network import BrainNetwork, predict, save
from ctwml_bids.segmentation.precision import has_bfloat16
from ctwml_bids.simulation.pair import simulate_pair
from model_making.brain_augmentation import TrainingHead, random_view
from model_making.brain_heads import labelled_heads, training_head
from model_making.training_facts import NEVER

LOG = logging.getLogger(__name__)

LABELLED = ("sub-ll01", "sub-ll03", "sub-ll04", "sub-ll09")
# Heads without a brain mask join half-way with the mask that the network then gives them.
UNLABELLED = ("sub-ll19", "sub-mb104252", "sub-mb105074", "sub-mb105465", "sub-mb105911")
# Simulated heads have exact masks, and skulls, marrow and faces that the few real heads lack.
SIMULATED_SEED = 770000
# Finer than any clinical FLAIR: random views make thick slices of it.
SIMULATED_SPACING_MM = (1.5, 1.5, 2.0)
# A mask outside of this is no brain and teaches nothing.
PLAUSIBLE_ML = (1000.0, 1900.0)
LEARNING_RATE = 3e-3
# Weights are averaged over about 1 / (1 - this) steps: single-head steps are noisy.
AVERAGING = 0.98


def loss(logits: torch.Tensor, fraction: torch.Tensor) -> torch.Tensor:
    """Cross-entropy with the fraction of brain in each voxel, plus one minus soft Dice."""
    entropy = nn.functional.binary_cross_entropy_with_logits(logits, fraction)
    probability = torch.sigmoid(logits)
    overlap = 2 * (probability * fraction).sum() / (probability.sum() + fraction.sum() + 1.0)
    return 4 * entropy + 1 - overlap


def fit(
    heads: list[TrainingHead],
    *,
    steps: int,
    seed: int,
    threads: int = 1,
    more_heads: Callable[[BrainNetwork], list[TrainingHead]] | None = None,
) -> BrainNetwork:
    """Train on random views of the heads.

    Parameters
    ----------
    heads
        What to train on.
    steps
        Steps of one random view each.
    seed
        Seed of the weights and of every view: same seed, same network (on the same machine).
    threads
        CPU threads for the network; one more prepares the views.
    more_heads
        Called half-way with the network so far; the heads it returns join.

    Returns
    -------
    BrainNetwork
        The running average of the weights, in evaluation mode.
    """
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    network = BrainNetwork().to(memory_format=torch.channels_last_3d)
    average = deepcopy(network).eval()
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, LEARNING_RATE, total_steps=steps, pct_start=0.1
    )
    heads = list(heads)
    halves = ((0, steps // 2), (steps // 2, steps)) if more_heads else ((0, steps),)
    running = 0.0
    for first, last in halves:
        if first and more_heads:
            heads += more_heads(average)
        for step, (image, fraction) in enumerate(_views(heads, first, last, seed), start=first):
            # Twice as fast where the CPU has bfloat16; the loss itself stays in float32.
            with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16()):
                logits = network(image)
            value = loss(logits.float(), fraction)
            optimiser.zero_grad()
            value.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            _average_into(average, network, min(AVERAGING, step / (step + 10)))
            running = value.item() if step == 0 else 0.95 * running + 0.05 * value.item()
            if (step + 1) % 50 == 0:
                LOG.info("step %d of %d, loss %.3f", step + 1, steps, running)
    return average


def _views(heads, first, last, seed):
    """Yield one random view a step, prepared one step ahead; heads in shuffled rounds."""
    order: list[int] = []
    while len(order) < last - first:
        order += list(np.random.default_rng((seed, first, len(order))).permutation(len(heads)))

    def view(step):
        rng = np.random.default_rng((seed, step))
        head = heads[order[step - first]]
        arrays = random_view(head, rng, HEAD_SHAPE, HEAD_SPACING_MM)
        return tuple(torch.from_numpy(array)[None, None] for array in arrays)

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(view, first)
        for step in range(first, last):
            ready = coming.result()
            if step + 1 < last:
                coming = pool.submit(view, step + 1)
            yield ready


def _average_into(average, network, keep):
    with torch.no_grad():
        for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
            slow.lerp_(fast, 1 - keep)


@cache
def simulated_heads(count: int) -> tuple[TrainingHead, ...]:
    """Simulate heads of all ages, with their true brain masks."""
    heads = []
    for seed in range(SIMULATED_SEED, SIMULATED_SEED + count):
        pair = simulate_pair(
            seed, modality="flair", flair_spacing=SIMULATED_SPACING_MM, sagittal=False
        )
        brain = np.asarray(pair.flair_truth.brain.dataobj) > 0
        heads.append(training_head(f"simulated-{seed}", pair.flair, brain))
    return tuple(heads)


def self_labelled_heads(
    network: BrainNetwork, data: Path, subjects: list[str]
) -> list[TrainingHead]:
    """Label heads without a reference by the network so far, refined on the image."""
    heads = []
    for subject in subjects:
        for path in sorted((data / subject).rglob("*_FLAIR.nii.gz")):
            image = nib.load(path)
            result = flair_mask(image, partial(predict, network))
            volume = result.facts["brain_ml"]
            kept = PLAUSIBLE_ML[0] < volume < PLAUSIBLE_ML[1]
            LOG.info("%s: own mask of %.0f mL %s", path.name, volume, "joins" if kept else "left")
            if kept:
                mask = np.asarray(result.mask.dataobj) > 0
                heads.append(training_head(path.name, image, mask))
    return heads


def main(argv: list[str] | None = None) -> None:
    """Read the arguments, train, write weights and card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="BIDS data set")
    parser.add_argument("--reference", type=Path, required=True, help="its brain masks")
    parser.add_argument("--out", type=Path, required=True, help="folder for weights and card")
    parser.add_argument("--leave-out", nargs="*", default=[], help="subjects not to train on")
    parser.add_argument("--simulated", type=int, default=16, help="simulated heads to add")
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    labelled = [s for s in LABELLED if s not in args.leave_out]
    unlabelled = [s for s in UNLABELLED if s not in args.leave_out]
    heads = labelled_heads(args.data, args.reference, labelled)
    heads += simulated_heads(args.simulated)
    network = fit(
        heads,
        steps=args.steps,
        seed=args.seed,
        threads=args.threads,
        more_heads=partial(self_labelled_heads, data=args.data, subjects=unlabelled),
    )
    save(network, args.out, _card(args, labelled, unlabelled))


def _card(args: argparse.Namespace, labelled: list[str], unlabelled: list[str]) -> dict:
    return {
        "name": "flair-brain",
        "modality": "flair",
        "version": "1",
        "task": "brain mask: parenchyma, ventricles, sulci, cerebellum, brainstem",
        "grid": {"shape": list(HEAD_SHAPE), "spacing_mm": HEAD_SPACING_MM, "axes": "RAS"},
        "training": {
            "labelled": labelled,
            "self_labelled": unlabelled,
            "simulated": args.simulated,
            "labels": "reference masks redrawn on the FLAIR (brain_heads.corrected_mask)",
            "steps": args.steps,
            "seed": args.seed,
            "date": datetime.now(UTC).date().isoformat(),
            "sources": "Lesjak et al. 2016 (CC-BY, muschellij2/open_ms_data@6570490); "
            "Sim-Vent-WMH-Seg@914e4ed (MIT)",
        },
        "never_trained_on": list(NEVER),
        "license": "CC-BY-4.0",
    }


if __name__ == "__main__":
    main()
