"""The cost of layers and networks, by hand; counting leaves them as they are."""

import copy

import pytest
import torch
from torch import nn

from chapters_code.cost import Cost, cost
from chapters_code.strided import BlurPool2d, StridedConv2d


def test_the_cost_by_hand():
    """64 kernels of 3 · 3 · 3 weights and a bias each; every weight once for each of 32 · 32 outputs."""
    assert cost(StridedConv2d(3, 64), 1, 3, 64, 64) == Cost(64 * 27 + 64, 64 * 27 * 32 * 32)
    assert cost(StridedConv2d(3, 64), 5, 3, 64, 64).multiply_adds == 5 * 64 * 27 * 32 * 32
    assert cost(nn.MaxPool2d(2), 1, 3, 6, 8) == Cost(0, 0)
    # A blur of 9 weights, in 3 channels of 3 × 4 outputs, and nothing to learn.
    assert cost(BlurPool2d(), 1, 3, 6, 8) == Cost(0, 9 * 3 * 12)


def test_the_equal_layers_cost_the_same():
    together = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(12, 5, 1))

    assert cost(StridedConv2d(3, 5, 2), 2, 3, 8, 6) == cost(together, 2, 3, 8, 6) == Cost(65, 2 * 60 * 12)


def test_counting_leaves_the_network_as_it_is():
    network = nn.Sequential(nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Dropout(), nn.ReLU()).double()
    before = copy.deepcopy(network.state_dict())

    assert cost(network, 2, 2, 5, 6) == Cost(72 + 8, 2 * 72 * 3 * 4)
    assert network.training and network[1].training
    assert all(torch.equal(network.state_dict()[name], before[name]) for name in before)


def test_counting_is_no_training():
    """Batch norm that learns refuses a single number per channel; to count, nothing need be learnt."""
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4))

    assert network.training and cost(network, 1, 2, 3, 3) == Cost(76 + 8, 72)


def test_a_shape_that_fits_no_network_is_named():
    with pytest.raises(ValueError, match=r"(?s)Conv2d takes no input of shape \(1, 2, 5, 5\): .*channel"):
        cost(nn.Conv2d(3, 4, 3), 1, 2, 5, 5)
