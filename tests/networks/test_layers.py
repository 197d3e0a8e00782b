"""The step of which the networks are made: its parts in order, one meaning of a norm, a bias only where it counts."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from chapters_code.layers import conv_norm_relu, normalisation


def test_group_norm_has_up_to_eight_groups_of_eight_channels_or_more():
    wanted = {3: 1, 6: 1, 12: 1, 16: 2, 24: 2, 32: 4, 48: 4, 64: 8, 128: 8}
    assert {channels: normalisation("group", channels).num_groups for channels in wanted} == wanted


def test_on_a_map_of_one_pixel_two_channels_are_too_few_for_it():
    for channels in (1, 2):
        with pytest.raises(ValueError, match="3 channels or more"):
            normalisation("group", channels)
    assert normalisation("group", 3)(torch.tensor([1.0, 2.0, 6.0]).reshape(1, 3, 1, 1)).unique().numel() == 3


def test_another_norm_is_refused():
    with pytest.raises(ValueError, match='norm must be "batch", "group" or None, got \'layer\''):
        conv_norm_relu(3, 4, norm="layer")


@pytest.mark.parametrize(("norm", "kind"), [("batch", nn.BatchNorm2d), ("group", nn.GroupNorm), (None, nn.Identity)])
def test_a_convolution_its_norm_and_a_relu_with_a_bias_only_without_a_norm(norm, kind):
    convolution, normalised, relu = conv_norm_relu(3, 8, norm=norm)
    assert (type(convolution), type(normalised), type(relu)) == (nn.Conv2d, kind, nn.ReLU)
    assert (convolution.bias is None) == (norm is not None)
    assert conv_norm_relu(3, 8, norm=norm, bias=True)[0].bias is not None


@pytest.mark.parametrize("settings", [{}, {"dilation": 3}, {"kernel_size": 1}, {"kernel_size": 5, "dilation": 2}])
def test_an_odd_kernel_keeps_the_size_and_computes_what_its_parts_do(settings):
    layer, x = conv_norm_relu(2, 3, **settings, norm=None), torch.randn(1, 2, 17, 14)
    assert layer(x).shape == (1, 3, 17, 14)
    assert_close(layer(x), layer[0](x).relu())


def test_a_step_of_two_halves():
    x = torch.zeros(2, 2, 8, 6)
    assert conv_norm_relu(2, 3, stride=2)(x).shape == (2, 3, 4, 3)
    assert conv_norm_relu(2, 3, kernel_size=2, stride=2)(x).shape == (2, 3, 4, 3)


@pytest.mark.parametrize("numbers", [(0, 4), (3, 0), (3, 4, 0), (3, 4.0)])
def test_what_is_no_number_of_channels_is_named(numbers):
    with pytest.raises(ValueError, match=r"(in_channels|out_channels|dilation) must be .* got (0|4\.0)"):
        conv_norm_relu(*numbers)
