"""Answers to the exercises of Chapter 04."""

import torch
from torch import nn
from torch.nn import functional

from answers import right, right_values, wrong, wrong_values
from chapters_code.aspp import ASPP, valid_taps

# ---- 4.1 image_level ----------------------------------------------------------------------------


@right("4.1")
def pools_and_resizes_as_the_article_does(x):
    return functional.interpolate(functional.adaptive_avg_pool2d(x, 1), size=x.shape[2:], mode="bilinear")


@right("4.1")
def multiplies_with_ones(x):
    return x.mean(dim=(-2, -1), keepdim=True) * torch.ones_like(x)


@right("4.1")
def sums_rows_then_columns(x):
    height, width = x.shape[2:]
    return (x.sum(3).sum(2) / (height * width))[:, :, None, None].repeat(1, 1, height, width)


@wrong("4.1", "the shape is")
def leaves_one_pixel(x):
    return x.mean(dim=(2, 3), keepdim=True)


@wrong("4.1", "numbers differ")
def mixes_the_channels(x):
    return x.mean(dim=(1, 2, 3), keepdim=True).expand_as(x)


@wrong("4.1", "numbers differ")
def mixes_the_pictures(x):
    return x.mean(dim=(0, 2, 3), keepdim=True).expand_as(x)


@wrong("4.1", "numbers differ")
def takes_the_mean_of_each_row(x):
    return x.mean(dim=3, keepdim=True).expand_as(x)


@wrong("4.1", "numbers differ")
def adds_and_does_not_divide(x):
    return x.sum(dim=(2, 3), keepdim=True).expand_as(x)


@wrong("4.1", "numbers differ")
def keeps_the_largest(x):
    return x.amax(dim=(2, 3), keepdim=True).expand_as(x)


@wrong("4.1", "none comes back")
def takes_no_gradient(x):
    return x.detach().mean(dim=(2, 3), keepdim=True).expand_as(x)


@wrong("4.1", "dtype is torch.float32")
def works_in_single_precision(x):
    return x.float().mean(dim=(2, 3), keepdim=True).expand_as(x)


# ---- 4.2 pyramid --------------------------------------------------------------------------------


@right("4.2")
def fills_an_output(x, weight, rates):
    count = len(weight)
    out = x.new_zeros(len(x), count * len(rates), *x.shape[2:])
    for i, rate in enumerate(rates):
        out[:, i * count : (i + 1) * count] = functional.conv2d(x, weight, padding="same", dilation=rate)
    return out


@right("4.2")
def pads_by_hand(x, weight, rates):
    return torch.cat([functional.conv2d(functional.pad(x, [r] * 4), weight, dilation=r) for r in rates], 1)


@wrong("4.2", "numbers differ")
def forgets_to_dilate(x, weight, rates):
    return torch.cat([functional.conv2d(x, weight, padding=1) for rate in rates], 1)


@wrong("4.2", "stopped with RuntimeError")
def pads_by_one_only(x, weight, rates):
    return torch.cat([functional.conv2d(x, weight, padding=1, dilation=rate) for rate in rates], 1)


@wrong("4.2", "numbers differ")
def sorts_the_rates(x, weight, rates):
    return fills_an_output(x, weight, sorted(rates))


@wrong("4.2", "the shape is")
def stacks_them(x, weight, rates):
    return torch.stack([functional.conv2d(x, weight, padding=rate, dilation=rate) for rate in rates], 1)


@wrong("4.2", "the shape is")
def adds_them_up(x, weight, rates):
    return sum(functional.conv2d(x, weight, padding=rate, dilation=rate) for rate in rates)


@wrong("4.2", "the shape is")
def takes_three_rates_at_most(x, weight, rates):
    return fills_an_output(x, weight, rates[:3])


@wrong("4.2", "none comes back")
def forgets_that_weights_learn(x, weight, rates):
    return fills_an_output(x, weight.detach(), rates)


@wrong("4.2", "numbers differ")
def runs_one_after_another(x, weight, rates):
    out = []
    for rate in rates:
        out.append(functional.conv2d(out[-1][:, : x.shape[1]] if out and len(weight) >= x.shape[1] else x, weight,
                                     padding=rate, dilation=rate))  # fmt: skip
    return torch.cat(out, 1)


# ---- 4.3 count_parameters -----------------------------------------------------------------------


@right("4.3")
def counts_weights_and_biases_apart(in_channels, out_channels, rates):
    branches = len(rates) + 2
    weights = (2 + 9 * len(rates)) * in_channels * out_channels + branches * out_channels**2
    return weights + (branches + 1) * out_channels


@right("4.3")
def builds_the_convolutions(in_channels, out_channels, rates):
    layers = [nn.Conv2d(in_channels, out_channels, 1), nn.Conv2d(in_channels, out_channels, 1)]
    layers += [nn.Conv2d(in_channels, out_channels, 3, dilation=rate) for rate in rates]
    layers += [nn.Conv2d(len(layers) * out_channels, out_channels, 1)]
    return sum(one.numel() for layer in layers for one in layer.parameters())


@wrong("4.3", "numbers differ")
def forgets_the_bias(in_channels, out_channels, rates):
    return (2 + 9 * len(rates)) * in_channels * out_channels + (len(rates) + 2) * out_channels**2


@wrong("4.3", "numbers differ")
def always_has_three_rates(in_channels, out_channels, rates):
    return counts_weights_and_biases_apart(in_channels, out_channels, (6, 12, 18))


@wrong("4.3", "numbers differ")
def forgets_the_image_level(in_channels, out_channels, rates):
    return counts_weights_and_biases_apart(in_channels, out_channels, rates) - (in_channels + 1) * out_channels


@wrong("4.3", "numbers differ")
def counts_the_holes(in_channels, out_channels, rates):
    holes = sum((2 * rate + 1) ** 2 - 9 for rate in rates)
    return counts_weights_and_biases_apart(in_channels, out_channels, rates) + holes * in_channels * out_channels


@wrong("4.3", "without the book's ASPP")
def has_normalisation_in_mind(in_channels, out_channels, rates):
    return sum(one.numel() for one in ASPP(in_channels, out_channels, rates, norm="batch").parameters())


@wrong("4.3", "returned a float")
def counts_in_fractions(in_channels, out_channels, rates):
    return counts_weights_and_biases_apart(in_channels, out_channels, rates) / 1


# ---- 4.4 taps_inside ----------------------------------------------------------------------------


@right("4.4")
def looks_at_every_tap_of_every_pixel(height, width, rate):
    return sum(
        0 <= i + down < height and 0 <= j + right < width
        for i in range(height)
        for j in range(width)
        for down in (-rate, 0, rate)
        for right in (-rate, 0, rate)
    )


@right("4.4")
def adds_shifted_rectangles(height, width, rate):
    beside, above = max(0, width - rate), max(0, height - rate)
    return height * width + 2 * height * beside + 2 * above * width + 4 * above * beside


@wrong("4.4", "numbers differ")
def counts_negative_pixels(height, width, rate):
    return (3 * height - 2 * rate) * (3 * width - 2 * rate)


@wrong("4.4", "numbers differ")
def counts_all_nine(height, width, rate):
    return 9 * height * width


@wrong("4.4", "numbers differ")
def is_a_cross(height, width, rate):
    return height * width + 2 * height * max(0, width - rate) + 2 * width * max(0, height - rate)


@wrong("4.4", "numbers differ")
def counts_each_side_once(height, width, rate):
    return (height + max(0, height - rate)) * (width + max(0, width - rate))


@wrong("4.4", "returned a float")
def gives_the_mean(height, width, rate):
    return adds_shifted_rectangles(height, width, rate) / (height * width)


@wrong("4.4", "without the book's valid_taps")
def asks_the_book(height, width, rate):
    return round(valid_taps((height, width), rate).mean * height * width)


@wrong("4.4", "PyTorch's own (conv")
def convolves_ones(height, width, rate):
    ones = torch.ones(1, 1, height, width)
    return int(functional.conv2d(ones, torch.ones(1, 1, 3, 3), padding=rate, dilation=rate).sum())


# ---- 4.5 largest_rate ---------------------------------------------------------------------------


@right("4.5")
def goes_down_from_the_largest(height, width, least):
    for rate in range(max(height, width), 0, -1):
        if adds_shifted_rectangles(height, width, rate) / (height * width) >= least:
            return rate
    return 0


@right("4.5")
def stops_at_the_first_that_fails(height, width, least):
    rate = 0
    while rate < height + width and valid_taps((height, width), rate + 1).mean >= least:
        rate += 1
    return rate


@wrong("4.5", "numbers differ")
def wants_more_than_least(height, width, least):
    rates = range(1, max(height, width) + 1)
    return max((rate for rate in rates if valid_taps((height, width), rate).mean > least), default=0)


@wrong("4.5", "numbers differ")
def is_one_too_far(height, width, least):
    return goes_down_from_the_largest(height, width, least) + 1


@wrong("4.5", "numbers differ")
def looks_at_one_side_only(height, width, least):
    return goes_down_from_the_largest(height, height, least)


@wrong("4.5", "stopped with ValueError")
def forgets_that_there_may_be_none(height, width, least):
    return max(rate for rate in range(1, max(height, width)) if valid_taps((height, width), rate).mean >= least)


@wrong("4.5", "returned nothing")
def returns_nothing_when_there_is_none(height, width, least):
    return goes_down_from_the_largest(height, width, least) or None


@wrong("4.5", "numbers differ")
def tries_the_rates_of_the_paper_only(height, width, least):
    return max((rate for rate in (6, 12, 18) if valid_taps((height, width), rate).mean >= least), default=0)


# ---- 4.6 compose --------------------------------------------------------------------------------


@right("4.6")
def multiplies_matrices(weight, bias, project_weight, project_bias):
    project = project_weight.flatten(1)
    composed = (project @ weight.flatten(1)).reshape(len(project), *weight.shape[1:])
    return composed, torch.mv(project, bias) + project_bias


@right("4.6")
def lets_a_convolution_do_it(weight, bias, project_weight, project_bias):
    composed = functional.conv2d(weight.transpose(0, 1), project_weight).transpose(0, 1)
    return composed, functional.conv2d(bias[None, :, None, None], project_weight, project_bias).flatten()


@right("4.6")
def returns_a_list(weight, bias, project_weight, project_bias):
    return list(multiplies_matrices(weight, bias, project_weight, project_bias))


@wrong("4.6", "value 2 of 2: the numbers differ")
def forgets_the_first_bias(weight, bias, project_weight, project_bias):
    return multiplies_matrices(weight, bias, project_weight, project_bias)[0], project_bias


@wrong("4.6", "value 2 of 2: the numbers differ")
def forgets_the_second_bias(weight, bias, project_weight, project_bias):
    return multiplies_matrices(weight, bias, project_weight, 0 * project_bias)


@wrong("4.6", "value 1 of 2: the shape is")
def multiplies_the_wrong_way_round(weight, bias, project_weight, project_bias):
    project = project_weight[:, :, 0, 0]
    return torch.einsum("mo,mcij->ocij", project, weight), project @ bias + project_bias


@wrong("4.6", "2 values were wanted")
def forgets_that_a_bias_is_wanted(weight, bias, project_weight, project_bias):
    return multiplies_matrices(weight, bias, project_weight, project_bias)[0]


@wrong("4.6", "value 1 of 2: the shape is")
def leaves_one_row_of_kernels(weight, bias, project_weight, project_bias):
    composed, composed_bias = multiplies_matrices(weight, bias, project_weight, project_bias)
    return composed[:1], composed_bias


@wrong("4.6", "value 1 of 2: the numbers differ")
def turns_the_kernel(weight, bias, project_weight, project_bias):
    return multiplies_matrices(weight.flip(-1), bias, project_weight, project_bias)


# ---- 4.7 aspp_by_hand ---------------------------------------------------------------------------


def the_branches(x, image, point, kernels, rates):
    """The maps that `join` reads, in their order."""
    mean = functional.conv2d(pools_and_resizes_as_the_article_does(x), image)
    wider = [functional.conv2d(x, one, padding="same", dilation=rate) for one, rate in zip(kernels, rates, strict=True)]
    return [mean, functional.conv2d(x, point), *wider]


@right("4.7")
def spreads_the_mean_before_its_convolution(x, image, point, kernels, rates, join):
    return functional.conv2d(torch.cat(the_branches(x, image, point, kernels, rates), 1), join)


@right("4.7")
def adds_what_each_branch_sends(x, image, point, kernels, rates, join):
    branches = the_branches(x, image, point, kernels, rates)
    return sum(functional.conv2d(*pair) for pair in zip(branches, join.split(len(image), 1), strict=True))


@right("4.7")
def multiplies_the_projection_in(x, image, point, kernels, rates, join):
    shares = join[:, :, 0, 0].split(len(image), 1)
    out = (shares[0] @ image[:, :, 0, 0] @ x.mean((2, 3)).T).T[:, :, None, None]
    out = out + functional.conv2d(x, torch.einsum("om,mcij->ocij", shares[1], point))
    for share, kernel, rate in zip(shares[2:], kernels, rates, strict=True):
        out = out + functional.conv2d(x, torch.einsum("om,mcij->ocij", share, kernel), padding=rate, dilation=rate)
    return out


@wrong("4.7", "numbers differ")
def lays_the_mean_at_the_end(x, image, point, kernels, rates, join):
    mean, *others = the_branches(x, image, point, kernels, rates)
    return functional.conv2d(torch.cat([*others, mean], 1), join)


@wrong("4.7", "numbers differ")
def lays_the_rates_in_order_of_size(x, image, point, kernels, rates, join):
    pairs = sorted(zip(rates, kernels, strict=True), key=lambda pair: pair[0])
    kernels = torch.stack([kernel for _, kernel in pairs])
    return spreads_the_mean_before_its_convolution(x, image, point, kernels, sorted(rates), join)


@wrong("4.7", "numbers differ")
def has_one_kernel_for_all_rates(x, image, point, kernels, rates, join):
    same = kernels[:1].expand_as(kernels)
    return spreads_the_mean_before_its_convolution(x, image, point, same, rates, join)


@wrong("4.7", "numbers differ")
def forgets_the_rates(x, image, point, kernels, rates, join):
    return spreads_the_mean_before_its_convolution(x, image, point, kernels, [1] * len(rates), join)


@wrong("4.7", "numbers differ")
def swaps_the_two_1_by_1(x, image, point, kernels, rates, join):
    return spreads_the_mean_before_its_convolution(x, point, image, kernels, rates, join)


@wrong("4.7", "numbers differ")
def takes_the_mean_of_the_whole_batch(x, image, point, kernels, rates, join):
    branches = the_branches(x, image, point, kernels, rates)
    branches[0] = functional.conv2d(x.mean(dim=(0, 2, 3), keepdim=True).expand_as(x), image)
    return functional.conv2d(torch.cat(branches, 1), join)


@wrong("4.7", "numbers differ")
def has_a_relu_in_between(x, image, point, kernels, rates, join):
    return functional.conv2d(torch.cat(the_branches(x, image, point, kernels, rates), 1).relu(), join)


@wrong("4.7", "numbers differ")
def runs_the_rates_one_after_another(x, image, point, kernels, rates, join):
    branches, seen = the_branches(x, image, point, kernels, rates)[:2], x
    for kernel, rate in zip(kernels, rates, strict=True):
        seen = functional.conv2d(seen, kernel, padding=rate, dilation=rate)
        branches.append(seen)
        seen = seen if seen.shape == x.shape else x
    return functional.conv2d(torch.cat(branches, 1), join)


@wrong("4.7", "stopped with RuntimeError")
def does_not_spread_the_mean(x, image, point, kernels, rates, join):
    mean, *others = the_branches(x, image, point, kernels, rates)
    return functional.conv2d(torch.cat([mean[..., :1, :1], *others], 1), join)


@wrong("4.7", "stopped with")
def counts_on_three_rates(x, image, point, kernels, rates, join):
    return spreads_the_mean_before_its_convolution(x, image, point, kernels[:3], rates[:3], join)


@wrong("4.7", "dtype is torch.float32")
def puts_the_weights_into_layers_of_pytorch(x, image, point, kernels, rates, join):
    """Layers are made in single precision, and what is loaded into them is copied."""
    layers = [nn.Conv2d(x.shape[1], len(image), 1, bias=False) for _ in range(2)]
    layers += [nn.Conv2d(x.shape[1], len(image), 3, padding=rate, dilation=rate, bias=False) for rate in rates]
    for layer, weight in zip(layers, [image, point, *kernels], strict=True):
        layer.load_state_dict({"weight": weight})
    mean = layers[0](x.float().mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
    return functional.conv2d(torch.cat([mean, *(layer(x.float()) for layer in layers[1:])], 1), join.float())


@wrong("4.7", "none comes back")
def forgets_that_its_kernels_learn(x, image, point, kernels, rates, join):
    return spreads_the_mean_before_its_convolution(x, image, point, kernels.detach(), rates, join)


@wrong("4.3", "without the book's ASPP")
def counts_the_books_module(in_channels, out_channels, rates):
    return sum(one.numel() for one in ASPP(in_channels, out_channels, rates).parameters())


@wrong("4.3", "numbers differ")
def adds_the_norms(in_channels, out_channels, rates):
    return counts_weights_and_biases_apart(in_channels, out_channels, rates) + 2 * (len(rates) + 3) * out_channels


@wrong("4.7", "without the book's ASPP")
def calls_the_books_layer(x, image, point, kernels, rates, join):
    return ASPP(x.shape[1], len(image), rates)(x)


# ---- 4.8 branches_that_follow -------------------------------------------------------------------

right_values("4.8", (True, False, False, True, True), [True, False, False, True, True])
# All 3 × 3 kernels see neighbours; the mean changes; rate 12 sees its centre only.
wrong_values("4.8", (True, False, False, False, True), (True, False, False, True, False))
wrong_values("4.8", (True, False, True, True, True), (False, False, False, False, True))
wrong_values("4.8", (True, False, True), words="5 values were wanted")
wrong_values("4.8", (1, 0, 0, 1, 1), words="True or False was wanted")

# ---- 4.9 taps_at_two_strides --------------------------------------------------------------------

right_values("4.9", (5.625, 3), (5.63, 3.0), torch.tensor([5.625, 3.0]).tolist())
# The rate shrinks with the map; a quarter of the pixels has a quarter of the taps; pixels of the picture; swapped.
wrong_values("4.9", (5.625, 5.625), (5.625, 1.40625), (8.77, 8.77), (3.0, 5.625))
wrong_values("4.9", 5.625, words="2 values were wanted")

# ---- 4.10 reach_of_one_pixel --------------------------------------------------------------------

right_values("4.10", (1681, 25), (41 * 41, 1 + 3 * 8))
# The mean reaches nothing; three centres; the whole window; black is not subtracted.
wrong_values("4.10", (25, 25), (1681, 27), (1681, 1369), (1681, 1681), (25, 1681))
