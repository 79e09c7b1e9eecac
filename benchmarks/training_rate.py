"""Does the training ever wait for its patches, and how much memory do 2,000 heads take?

    python -m benchmarks.training_rate [--heads 10 2000] [--device cuda] [--workers N] [--steps N]

Heads of noise on the network's own grid are written as `train` writes them; 20 are different, the
others are links to them, so that 2,000 need no 20 GB of disk. Steps with the same batch again and
again (the bare forward and backward pass) are compared with steps that draw their own. On a CPU
with one thread the processor time of this process is compared, which other work on the machine does
not change; on a GPU, the clock. The result goes to ``benchmarks/results``.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.record import write_result
from ctwml_bids.training.loop import Batches, train
from ctwml_bids.training.mapped_heads import MappedHeads, save_mapped
from ctwml_bids.training.patches import PatchConfig, PatchSampler, jitter_intensities
from ctwml_bids.training.prefetch import BatchSource, ahead
from ctwml_bids.training.recipe import TrainingConfig
from model_making.shipped_heads import shipped_grid

DIFFERENT = 20


def make_heads(folder: Path, count: int) -> list[str]:
    """Write heads of noise with some lesions; the first are different, the others links."""
    shape = shipped_grid().shape
    index = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij"))
    brain = (index**2).sum(0) < 0.8
    for k in range(min(count, DIFFERENT)):
        rng = np.random.default_rng(k)
        channels = np.where(brain, rng.standard_normal((2, *shape), dtype=np.float32), -3)
        centre = rng.uniform(-0.3, 0.3, 3).reshape(3, 1, 1, 1)
        lesions = ((index - centre) ** 2).sum(0) < 0.01
        save_mapped(folder, f"sub-{k:04d}_used", channels, lesions.astype(np.uint8), {})
    for k in range(DIFFERENT, count):
        for path in folder.glob(f"sub-{k % DIFFERENT:04d}_used_*"):
            os.link(path, folder / path.name.replace(f"{k % DIFFERENT:04d}", f"{k:04d}"))
    return [f"sub-{k:04d}_used" for k in range(count)]


def the_same(batch: tuple[np.ndarray, np.ndarray], first: int) -> Batches:
    """Yield one batch for ever."""
    while True:
        yield batch


class Clock:
    """Time between the first and the last log row of a training."""

    def __init__(self, device: str) -> None:
        self.now = time.perf_counter if device == "cuda" else time.process_time
        self.times: list[float] = []

    def __call__(self, row: dict) -> None:
        self.times.append(self.now())

    @property
    def steps_per_second(self) -> float:
        # The first steps compile kernels and fill caches.
        return (len(self.times) - 2) / (self.times[-1] - self.times[1])


def measure(folder: Path, names: list[str], args: argparse.Namespace) -> dict:
    """Compare the rates with one number of heads."""
    config = TrainingConfig(
        steps=args.steps,
        batch=args.batch,
        patches=PatchConfig(context=args.context),
        device=args.device,
        log_every=1,
    )
    heads = MappedHeads(folder, names)
    sampler = PatchSampler(heads, config.patches)
    batch = sampler.batch(np.random.default_rng(0), config.batch, jitter_intensities)
    bare, whole = Clock(args.device), Clock(args.device)
    train(heads, config, batches=partial(the_same, batch), on_log=bare)
    batches = None
    if args.workers:
        source = BatchSource(folder, names, config, jitter_intensities)
        batches = partial(ahead, source, args.workers)
    train(heads, config, augment=jitter_intensities, batches=batches, on_log=whole)
    start = time.process_time()
    for step in range(10):
        sampler.batch(np.random.default_rng(step), config.batch, jitter_intensities)
    return {
        "heads": len(names),
        "bare_steps_per_second": round(bare.steps_per_second, 4),
        "steps_per_second": round(whole.steps_per_second, 4),
        "share_of_bare_rate": round(whole.steps_per_second / bare.steps_per_second, 4),
        "batch_cpu_seconds": round((time.process_time() - start) / 10, 4),
        # Linux: KiB, mapped files included.
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--heads", type=int, nargs="+", default=[10, 2000])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--context", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="for the heads (default: temporary)")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir=args.folder) as temporary:
        for count in args.heads:
            names = make_heads(Path(temporary) / str(count), count)
            rows.append(measure(Path(temporary) / str(count), names, args))
            print(rows[-1], flush=True)
    about = {"device": args.device, "workers": args.workers, "batch": args.batch}
    path = write_result(f"training_rate_{args.device}", {**about, "rows": rows})
    print(path)


if __name__ == "__main__":
    main()
