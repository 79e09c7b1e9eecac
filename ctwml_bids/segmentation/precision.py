"""Which number format networks run in, and on how many CPU threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ctwml_bids.errors import UsageError


def has_bfloat16(device: str = "cpu") -> bool:
    """Whether the device multiplies bfloat16 in hardware (elsewhere it is slow emulation)."""
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def choose(precision: str = "auto", device: str = "cpu") -> torch.dtype:
    """Return the type to compute in.

    Parameters
    ----------
    precision
        "float32"; "bfloat16"; or "auto", which is bfloat16 where the device has it.
    device
        A torch device.

    Raises
    ------
    UsageError
        If ``precision`` is none of the three.
    """
    if precision == "auto":
        return torch.bfloat16 if has_bfloat16(device) else torch.float32
    try:
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
    except KeyError:
        raise UsageError(
            f"Precision {precision!r} is unknown; use auto, float32 or bfloat16."
        ) from None


def name_of(dtype: torch.dtype) -> str:
    """Name a type as users do: "float32" or "bfloat16"."""
    return str(dtype).removeprefix("torch.")


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Run with a number of CPU threads, and restore the process's own."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
