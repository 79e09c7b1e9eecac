"""uResNet (Guerrero et al. 2018): a U-shaped network of residual elements with summed skips.

Three published readings of the paper's figure are kept as variants; they differ in the decoder:

========== ========== =============================================================================
variant    parameters what differs
========== ========== =============================================================================
standard   1,080,930  8 elements; the element after the first skip narrows 128 → 64 channels
wide       1,199,970  8 elements; the second transposed convolution narrows 128 → 64 instead
dropout    1,723,978  7 elements; batch norm in each branch; ReLU after each skip sum; 5×5
                      transposed convolutions, each after dropout 0.5 and before a batch norm
========== ========== =============================================================================

Parameters are for one input channel and two classes.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

WIDTHS = (32, 64, 128, 256)
Convolution = nn.Conv2d | nn.ConvTranspose2d


@dataclass(frozen=True)
class Variant:
    """What distinguishes one reading of the architecture from another.

    Attributes
    ----------
    up
        (in, out) channels of the three transposed convolutions, deepest first.
    decoder
        (in, out) channels of the elements after each skip sum, deepest first.
    element_before_first_skip
        Whether a 128 → 128 element stands between the first transposed convolution and its skip.
    up_kernel
        Edge of the transposed convolutions' kernels.
    norm_per_branch
        Batch norm in each branch of an element (and after transposed convolutions and in the
        head), none of them with a bias; otherwise one batch norm after the branches' sum.
    relu_after_skip
        ReLU on the sum of decoder and skip.
    dropout
        Probability before each transposed convolution, in training.
    """

    up: tuple[tuple[int, int], ...]
    decoder: tuple[tuple[int, int], ...]
    element_before_first_skip: bool = True
    up_kernel: int = 3
    norm_per_branch: bool = False
    relu_after_skip: bool = False
    dropout: float = 0.0


VARIANTS = {
    "standard": Variant(
        up=((256, 128), (64, 64), (64, 32)), decoder=((128, 64), (64, 64), (32, 32))
    ),
    "wide": Variant(up=((256, 128), (128, 64), (64, 32)), decoder=((128, 128), (64, 64), (32, 32))),
    "dropout": Variant(
        up=((256, 128), (128, 64), (64, 32)),
        decoder=((128, 128), (64, 64), (32, 32)),
        element_before_first_skip=False,
        up_kernel=5,
        norm_per_branch=True,
        relu_after_skip=True,
        dropout=0.5,
    ),
}


class ResidualElement(nn.Module):
    """ReLU(BN(conv3×3(x) + conv1×1(x))), or ReLU(BN(conv3×3(x)) + BN(conv1×1(x)))."""

    def __init__(self, in_channels: int, out_channels: int, *, norm_per_branch: bool = False):
        super().__init__()
        bias = not norm_per_branch
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=bias)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, bias=bias)
        self.conv_norm = nn.BatchNorm2d(out_channels) if norm_per_branch else nn.Identity()
        self.shortcut_norm = nn.BatchNorm2d(out_channels) if norm_per_branch else nn.Identity()
        self.norm = nn.Identity() if norm_per_branch else nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Apply to (batch, in_channels, rows, columns)."""
        if isinstance(self.norm, nn.BatchNorm2d):
            return torch.relu_(self.norm(self._both_branches(x)))
        branches = self.conv_norm(self.conv(x)) + self.shortcut_norm(self.shortcut(x))
        return torch.relu(branches)

    def _both_branches(self, x: Tensor) -> Tensor:
        """Sum of the branches as one convolution: a 1×1 kernel is the centre of a 3×3 one.

        Training is a sixth faster so, the branches' sum and the gradient's included.
        """
        weight = self.conv.weight + nn.functional.pad(self.shortcut.weight, (1, 1, 1, 1))
        return nn.functional.conv2d(x, weight, _bias(self.conv) + _bias(self.shortcut), padding=1)


class UResNet(nn.Module):
    """uResNet: (batch, in_channels, rows, columns) → logits (batch, classes, rows, columns).

    Rows and columns must be multiples of 8.

    Parameters
    ----------
    in_channels, classes
        Number of input images and of output classes (background first).
    variant
        A key of `VARIANTS`.
    """

    def __init__(self, in_channels: int = 1, classes: int = 2, variant: str = "standard"):
        super().__init__()
        form = VARIANTS[variant]
        branchwise = form.norm_per_branch
        inputs = (in_channels, *WIDTHS[:-1])
        self.encoder = nn.ModuleList(
            ResidualElement(i, o, norm_per_branch=branchwise)
            for i, o in zip(inputs, WIDTHS, strict=True)
        )
        self.up = nn.ModuleList(_up(i, o, form) for i, o in form.up)
        self.before_skip = nn.ModuleList(
            ResidualElement(o, o, norm_per_branch=branchwise)
            if level == 0 and form.element_before_first_skip
            else nn.Identity()
            for level, (_, o) in enumerate(form.up)
        )
        self.decoder = nn.ModuleList(
            ResidualElement(i, o, norm_per_branch=branchwise) for i, o in form.decoder
        )
        self.after_sum = nn.ReLU() if form.relu_after_skip else nn.Identity()
        self.head = _head(WIDTHS[0], classes, branchwise)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of every class at every pixel."""
        skips = []
        for element in self.encoder[:-1]:
            x = element(x)
            skips.append(x)
            x = nn.functional.max_pool2d(x, 2)
        x = self.encoder[-1](x)
        for up, before_skip, element, skip in zip(
            self.up, self.before_skip, self.decoder, reversed(skips), strict=True
        ):
            x = element(self.after_sum(before_skip(up(x)) + skip))
        return self.head(x)


class _Transposed(nn.ConvTranspose2d):
    """Transposed convolution that adds its bias by itself.

    On a CPU the bias's gradient, left to the convolution, takes longer than the kernel's.
    """

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Apply to (batch, in_channels, rows, columns); there is no choice of output size."""
        settings = self.stride, self.padding, self.output_padding
        raised = nn.functional.conv_transpose2d(x, self.weight, None, *settings)  # type: ignore[arg-type]
        return raised if self.bias is None else _WithBias.apply(raised, self.bias)


class _WithBias(torch.autograd.Function):
    """Sum of (batch, channels, rows, columns) and a bias; its gradient is a matrix product."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, bias: Tensor) -> Tensor:
        return x + bias.to(x.dtype)[:, None, None]

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor]:
        rows = gradient.permute(0, 2, 3, 1).reshape(-1, gradient.shape[1])
        return gradient, (rows.new_ones(1, len(rows)) @ rows)[0]


def _up(in_channels: int, out_channels: int, form: Variant) -> nn.Sequential:
    """Doubling of rows and columns by a transposed convolution of stride 2."""
    transposed = _Transposed(
        in_channels,
        out_channels,
        form.up_kernel,
        stride=2,
        padding=form.up_kernel // 2,
        output_padding=1,
        bias=not form.norm_per_branch,
    )
    norm = nn.BatchNorm2d(out_channels) if form.norm_per_branch else nn.Identity()
    return nn.Sequential(nn.Dropout(form.dropout), transposed, norm)


def _head(in_channels: int, classes: int, norm: bool) -> nn.Module:
    """Pixel-wise classifier; with ``norm`` in two linear steps around a batch norm."""
    if not norm:
        return nn.Conv2d(in_channels, classes, 1)
    return nn.Sequential(
        nn.Conv2d(in_channels, classes, 1, bias=False),
        nn.BatchNorm2d(classes),
        nn.Conv2d(classes, classes, 1),
    )


def fold(network: UResNet) -> UResNet:
    """Return an inference copy in which each element is one 3×3 convolution with bias and a ReLU.

    Convolutions and batch norms with fixed statistics are linear, so this changes nothing but
    rounding. The copy cannot be trained on: its batch norms are gone.
    """
    folded = copy.deepcopy(network).eval()
    with torch.no_grad():
        for elements in (folded.encoder, folded.before_skip, folded.decoder):
            for index, element in enumerate(elements):
                if isinstance(element, ResidualElement):
                    elements[index] = nn.Sequential(_folded_element(element), nn.ReLU())
        for index, up in enumerate(folded.up):
            _, transposed, norm = up.children()
            folded.up[index] = _scaled(transposed, norm, out_axis=1)
        if isinstance(folded.head, nn.Sequential):
            folded.head = _folded_head(folded.head)
    return folded.requires_grad_(False)


def _folded_element(element: ResidualElement) -> Convolution:
    """Sum both branches into one 3×3 kernel; a 1×1 kernel is the centre of a 3×3 one."""
    conv = _scaled(element.conv, element.conv_norm)
    shortcut = _scaled(element.shortcut, element.shortcut_norm)
    conv.weight[:, :, 1:2, 1:2] += shortcut.weight
    conv.bias = nn.Parameter(_bias(conv) + _bias(shortcut))
    return _scaled(conv, element.norm)


def _folded_head(head: nn.Sequential) -> Convolution:
    """Multiply the head's two linear steps into one 1×1 convolution."""
    conv, norm, classifier = head.children()
    first, last = _scaled(conv, norm), _scaled(classifier, nn.Identity())
    merged = copy.deepcopy(first)
    merged.weight.copy_(torch.einsum("okhw,kihw->oihw", last.weight, first.weight))
    merged.bias = nn.Parameter(last.weight[:, :, 0, 0] @ _bias(first) + _bias(last))
    return merged


def _scaled(conv: nn.Module, norm: nn.Module, *, out_axis: int = 0) -> Convolution:
    """Return the convolution, with bias, that equals ``conv`` followed by ``norm``.

    ``out_axis`` is the axis of the kernel that counts outputs: 0, or 1 if transposed.
    """
    if not isinstance(conv, Convolution):
        raise TypeError(f"{type(conv).__name__} is no convolution.")
    merged, bias = copy.deepcopy(conv), _bias(conv)
    if isinstance(norm, nn.BatchNorm2d):
        mean, variance = norm.running_mean, norm.running_var
        if mean is None or variance is None:
            raise ValueError("A batch norm without fixed statistics cannot be folded.")
        scale = norm.weight / torch.sqrt(variance + norm.eps)
        shape = [1, 1, 1, 1]
        shape[out_axis] = -1
        merged.weight.mul_(scale.reshape(shape))
        bias = (bias - mean) * scale + norm.bias
    merged.bias = nn.Parameter(bias.detach().clone())
    return merged


def _bias(conv: Convolution) -> Tensor:
    """Return a convolution's bias, zeros where it has none."""
    return conv.weight.new_zeros(conv.out_channels) if conv.bias is None else conv.bias
