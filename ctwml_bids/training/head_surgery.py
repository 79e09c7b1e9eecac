"""Networks of two classes begin a training of three, and the reverse."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

# Weights of a new class are those of a fresh network times this: what the network says of the
# classes that it knows decides at first.
_FRESH = 0.1


def with_classes(
    weights: Mapping[str, Tensor], fresh: Mapping[str, Tensor], head: str
) -> dict[str, Tensor]:
    """Return a network's weights with the head of a network of more or fewer classes.

    Rows of classes that both have are copied, so that their logits stay what they were; those of
    new classes are fresh and small. Rows of classes that are no longer there are left out.

    Parameters
    ----------
    weights
        Of the network that is there, by name.
    fresh
        Of a fresh network with the classes that are wanted, else of the same shape.
    head
        Name of the module whose output are the logits; elsewhere nothing changes.
    """
    return {
        name: _grown(array, fresh[name])
        if name.startswith(f"{head}.") and name in fresh and fresh[name].shape != array.shape
        else array
        for name, array in weights.items()
    }


def _grown(array: Tensor, fresh: Tensor) -> Tensor:
    """Put an array into the shape of a fresh one; its first axis counts the outputs."""
    both = tuple(slice(min(sizes)) for sizes in zip(array.shape, fresh.shape, strict=True))
    # Norms begin at a scale of 1 and a variance of 1, which are no weights to make small.
    is_constant = bool((fresh == fresh.flatten()[0]).all())
    grown = fresh.clone() if is_constant else _FRESH * fresh
    # Outputs that were there see nothing of inputs that are new.
    grown[both[0]] = torch.zeros((), dtype=fresh.dtype)
    grown[both] = array[both]
    return grown
