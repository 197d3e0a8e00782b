"""The host network: sizes, what halves the picture, and its parameters counted by hand."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from chapters_code.unet import UNet, max_pooling
from grids import every


@every(size=[(1, 1), (2, 5), (21, 30), (64, 48)], norm=["batch", "group", None])
def test_logits_have_the_size_of_the_picture(size, norm):
    network = UNet(num_classes=4, widths=(8, 12, 16), norm=norm).eval()
    assert network(torch.randn(2, 3, *size)).shape == (2, 4, *size)


def test_parameters_are_those_counted_by_hand():
    """Two widths, no bias beside a normalisation: every 3 x 3 kernel and every scale and shift."""
    stem = 3 * 4 * 9 + 4 * 4 * 9 + 2 * 2 * 4
    left = 4 * 6 * 9 + 6 * 6 * 9 + 2 * 2 * 6
    right = (6 + 4) * 4 * 9 + 4 * 4 * 9 + 2 * 2 * 4
    head = 4 * 1 + 1

    network = UNet(widths=(4, 6))

    assert sum(weight.numel() for weight in network.parameters()) == stem + left + right + head


def test_a_group_norm_has_eight_groups():
    norms = [part for part in UNet(widths=(64, 128), norm="group").modules() if isinstance(part, nn.GroupNorm)]
    assert [(norm.num_groups, norm.num_channels) for norm in norms] == [(8, 64)] * 2 + [(8, 128)] * 2 + [(8, 64)] * 2


def test_the_halving_layer_is_an_argument_and_is_asked_for_each_size():
    asked = []

    def strided(in_channels, out_channels):
        asked.append((in_channels, out_channels))
        return nn.Conv2d(in_channels, out_channels, 2, stride=2)

    network = UNet(widths=(4, 6, 8), down=strided)

    assert asked == [(4, 4), (6, 6)]
    assert network(torch.zeros(2, 3, 16, 12)).shape == (2, 1, 16, 12)


def test_max_pooling_rounds_odd_sides_up_and_keeps_the_largest():
    x = torch.tensor([[[[1.0, 5.0, 2.0], [3.0, 4.0, 9.0], [7.0, 0.0, -1.0]]]])
    assert_close(max_pooling(1, 1)(x), torch.tensor([[[[5.0, 9.0], [7.0, -1.0]]]]))


def test_every_weight_gets_a_gradient():
    network = UNet(widths=(4, 6, 8))
    network(torch.randn(2, 3, 20, 12)).square().mean().backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in network.parameters())


def test_the_smallest_map_sees_the_whole_picture():
    """A pixel far away changes the output: by the way down and up again, not by the short way across alone."""
    network = UNet(widths=(4, 4, 4, 4, 4), norm=None).double().eval()
    for weight in network.parameters():
        weight.data.abs_()  # nothing cancels, and no ReLU is shut
    x = torch.rand(1, 3, 64, 48, dtype=torch.float64, requires_grad=True)
    network(x)[0, 0, 2, 2].backward()
    assert (x.grad[0, :, 40:, :] > 0).any()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"widths": (8,)}, r"widths needs two entries or more.*\(8,\)"),
        ({"norm": "layer"}, r'"batch", "group" or None, got \'layer\''),
    ],
)
def test_what_cannot_be_built_is_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        UNet(**settings)


def test_pooling_cannot_change_the_channels():
    with pytest.raises(ValueError, match="in_channels=4, out_channels=8"):
        max_pooling(4, 8)
