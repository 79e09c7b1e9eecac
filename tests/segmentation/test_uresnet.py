"""The network: its size, its shapes, and its folded form."""

from __future__ import annotations

import pytest
import torch

from ctwml_bids.segmentation.uresnet import VARIANTS, ResidualElement, UResNet, fold

# Counts published with (or computed from) three public implementations.
COUNTS = {"standard": 1_080_930, "wide": 1_199_970, "dropout": 1_723_978}


def count_parameters(network: UResNet) -> int:
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


@pytest.mark.parametrize(("variant", "count"), COUNTS.items())
def test_variants_have_the_published_number_of_parameters(variant, count):
    assert count_parameters(UResNet(1, 2, variant)) == count


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_further_channel_adds_one_kernel_of_each_branch(variant):
    extra = count_parameters(UResNet(2, 2, variant)) - count_parameters(UResNet(1, 2, variant))
    assert extra == 32 * 9 + 32


@pytest.mark.parametrize("variant", VARIANTS)
def test_output_has_the_size_of_the_input(variant):
    network = UResNet(2, 3, variant).eval()
    assert network(torch.zeros(2, 2, 24, 40)).shape == (2, 3, 24, 40)


@pytest.mark.parametrize("variant", VARIANTS)
def test_folded_network_equals_the_trained_one(variant):
    torch.manual_seed(0)
    network = UResNet(2, 2, variant).double()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            # Statistics and scales far from their initial 0 and 1, or folding would be trivial.
            module.running_mean.normal_()
            module.running_var.uniform_(0.3, 3)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_()
    network.eval()
    x = torch.randn(2, 2, 32, 48, dtype=torch.float64)
    with torch.no_grad():
        wanted, found = network(x), fold(network)(x)
    assert wanted.std() > 0.01
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


def test_folding_leaves_no_batch_norm_and_the_network_untouched():
    network = UResNet(1, 2)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    folded = fold(network)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())


def test_summed_skips_carry_detail_past_the_bottleneck():
    torch.manual_seed(1)
    network = UResNet(1, 2).eval()
    for element in network.up:
        element[1].weight.data.zero_()
    a = torch.randn(1, 1, 16, 16)
    with torch.no_grad():
        assert not torch.allclose(network(a), network(a + 1))


def test_one_convolution_of_both_branches_has_their_sum_and_their_gradients():
    torch.manual_seed(1)
    element = ResidualElement(3, 5).double()
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    apart = torch.relu(element.norm(element.conv(x) + element.shortcut(x)))
    wanted = torch.autograd.grad(apart.square().sum(), [x, *element.parameters()])
    found = torch.autograd.grad(element(x).square().sum(), [x, *element.parameters()])
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_transposed_convolutions_are_those_of_torch_and_so_are_their_gradients():
    torch.manual_seed(1)
    ours = UResNet().up[0][1].double()
    plain = torch.nn.ConvTranspose2d(256, 128, 3, stride=2, padding=1, output_padding=1).double()
    plain.load_state_dict(ours.state_dict())
    x = torch.randn(2, 256, 4, 4, dtype=torch.float64, requires_grad=True)
    found, wanted = ours(x), plain(x)
    torch.testing.assert_close(found, wanted)
    found = torch.autograd.grad(found.square().sum(), [x, *ours.parameters()])
    wanted = torch.autograd.grad(wanted.square().sum(), [x, *plain.parameters()])
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)
