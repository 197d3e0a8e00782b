"""The blocks beside an RSU: counted by hand, put together by hand, and their dilations felt."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from chapters_code.blocks import DenseBlock, InceptionBlock, PlainBlock, ResidualBlock, conv_norm_relu
from chapters_code.cost import cost
from chapters_code.receptive_field import receptive_field
from chapters_code.u2net import RSU

BLOCKS = {
    # The channels of each convolution, (in, out), for 7 -> 5 -> 11.
    PlainBlock: [(7, 5), (5, 11)],
    ResidualBlock: [(7, 11), (11, 5), (5, 11)],
    DenseBlock: [(7, 5), (5, 5), (10, 5), (15, 5), (20, 11)],
    InceptionBlock: [(7, 5), (5, 5), (5, 5), (5, 5), (5, 5), (20, 11)],
}


@pytest.mark.parametrize(("block", "convolutions"), BLOCKS.items())
def test_the_numbers_are_those_of_the_convolutions(block, convolutions):
    """Nine weights per pair of channels; a bias, a scale and a shift per channel; each weight at every pixel."""
    found = cost(block(7, 5, 11), 1, 7, 13, 17)
    weights = sum(9 * before * after for before, after in convolutions)
    assert found == (weights + sum(3 * after for _, after in convolutions), weights * 13 * 17)


@pytest.mark.parametrize(
    ("block", "side"),
    {PlainBlock: 1 + 2 * 2, ResidualBlock: 1 + 2 * 3, DenseBlock: 1 + 2 * 5, InceptionBlock: 1 + 2 * 10}.items(),
)
def test_each_convolution_looks_one_dilation_farther_on_both_sides(block, side):
    assert receptive_field(block(2, 3, 4), (31, 37)).size == (side, side)


def test_a_residual_block_adds_what_its_inner_part_makes():
    block, x = ResidualBlock(3, 4, 5).eval(), torch.randn(2, 3, 6, 9)
    assert_close(block(x), block.first(x) + block.inner[1](block.inner[0](block.first(x))))
    nn.init.zeros_(block.inner[1][1].weight)  # the inner part says 0
    assert_close(block(x), block.first(x), rtol=0, atol=0)


def test_a_residual_block_is_an_rsu_whose_u_is_two_convolutions():
    """The bottom of the lowest RSU taken out: what is left beside the first convolution is the block's inner part."""
    rsu, block, x = RSU(2, 3, 4, 5).eval(), ResidualBlock(3, 4, 5).eval(), torch.randn(1, 3, 6, 9)
    block.first.load_state_dict(rsu.first.state_dict())
    block.inner[0].load_state_dict(rsu.down[0].state_dict())
    nn.init.zeros_(rsu.down[1][1].weight)  # the bottom gives 0, so half of the last kernels meet nothing
    state = rsu.up[0].state_dict()
    state["0.weight"] = state["0.weight"][:, 4:]
    block.inner[1].load_state_dict(state)
    assert_close(block(x), rsu(x))


def test_in_a_dense_block_every_convolution_sees_all_before_it():
    block, x = DenseBlock(3, 4, 5).eval(), torch.randn(2, 3, 6, 9)
    kept = [block.first(x)]
    for one in block.grow:
        kept.append(one(torch.cat(kept, dim=1)))
    assert_close(block(x), block.last(torch.cat(kept, dim=1)))


def test_the_looks_of_an_inception_block_lie_side_by_side():
    block, x = InceptionBlock(3, 4, 5).eval(), torch.randn(2, 3, 20, 23)
    first = block.first(x)
    assert [look[0].dilation for look in block.looks] == [(1, 1), (2, 2), (4, 4), (8, 8)]
    assert_close(block(x), block.last(torch.cat([look(first) for look in block.looks], dim=1)))


@pytest.mark.parametrize("dilation", [1, 3, 8])
def test_a_dilated_convolution_keeps_the_size_and_is_normalised(dilation):
    layer = conv_norm_relu(3, 4, dilation)
    out = layer(torch.randn(2, 3, 7, 19))
    assert out.shape == (2, 4, 7, 19) and out.min() == 0
    assert_close(layer[:2](torch.randn(8, 3, 7, 19)).mean((0, 2, 3)), torch.zeros(4), rtol=0, atol=1e-6)


def test_no_dilation_below_one():
    with pytest.raises(ValueError, match="dilation"):
        conv_norm_relu(3, 4, 0)
