"""Answers to the exercises of Chapter 07."""

import math

import pywt
import torch
from torch import nn
from torch.nn import functional

from answers import right, right_values, wrong, wrong_values
from chapters_code.hwd import as_kernel
from chapters_code.wavelets import filters, haar_dwt2, haar_idwt2, wavedec2

# ---- 7.1 back_1d --------------------------------------------------------------------------------


@right("7.1")
def fills_two_slices(a, d):
    x = a.new_empty(*a.shape[:-1], 2 * a.shape[-1])
    x[..., ::2], x[..., 1::2] = (a + d) / math.sqrt(2), (a - d) / math.sqrt(2)
    return x


@right("7.1")
def transposes_a_convolution(a, d):
    both = torch.stack([a, d], dim=-2).reshape(-1, 2, a.shape[-1])
    x = functional.conv_transpose1d(both, filters("haar").synthesis[:, None].to(a), stride=2)
    return x.reshape(*a.shape[:-1], -1)


@wrong("7.1", "numbers differ")
def divides_by_2(a, d):
    return fills_two_slices(a, d) / math.sqrt(2)


@wrong("7.1", "numbers differ")
def divides_by_nothing(a, d):
    return fills_two_slices(a, d) * math.sqrt(2)


@wrong("7.1", "numbers differ")
def turns_the_difference(a, d):
    return fills_two_slices(a, -d)


@wrong("7.1", "numbers differ")
def puts_the_halves_behind_each_other(a, d):
    return torch.cat([a + d, a - d], dim=-1) / math.sqrt(2)


@right("7.1")
def leaves_pytorch(a, d):
    return torch.from_numpy(pywt.idwt(a.detach().numpy(), d.detach().numpy(), "haar"))


@wrong("7.1", "without the book's haar_idwt2")
def asks_the_book(a, d):
    nothing = torch.zeros_like(a)
    return haar_idwt2([one[..., None, :] for one in (a, nothing, d, nothing)])[..., 0, :]


# ---- 7.2 how_many -------------------------------------------------------------------------------


@right("7.2")
def asks_the_transform(height, width, level):
    averages, *details = wavedec2(torch.zeros(height, width), level=level)
    return averages.numel() + sum(band.numel() for step in details for band in step)


@right("7.2")
def rounds_up_from_the_start(height, width, level):
    sizes = [math.ceil(height / 2**n) * math.ceil(width / 2**n) for n in range(1, level + 1)]
    return 3 * sum(sizes) + sizes[-1]


@wrong("7.2", "numbers differ")
def counts_the_pixels(height, width, level):
    return height * width


@wrong("7.2", "numbers differ")
def rounds_down(height, width, level):
    sizes = [(height >> n) * (width >> n) for n in range(1, level + 1)]
    return 3 * sum(sizes) + sizes[-1]


@wrong("7.2", "numbers differ")
def counts_the_averages_of_each_step(height, width, level):
    return 4 * sum(math.ceil(height / 2**n) * math.ceil(width / 2**n) for n in range(1, level + 1))


@wrong("7.2", "numbers differ")
def forgets_the_averages(height, width, level):
    return 3 * sum(math.ceil(height / 2**n) * math.ceil(width / 2**n) for n in range(1, level + 1))


@wrong("7.2", "numbers differ")
def pads_to_a_multiple_first(height, width, level):
    """Round up once, to a multiple of 2^level: too many, if there is more than one step."""
    return math.ceil(height / 2**level) * math.ceil(width / 2**level) * 4**level


@wrong("7.2", "an int was wanted, you returned a float")
def leaves_a_float(height, width, level):
    return float(asks_the_transform(height, width, level))


# ---- 7.3 bands_of_signs -------------------------------------------------------------------------


def corners(x):
    return x[..., ::2, ::2], x[..., ::2, 1::2], x[..., 1::2, ::2], x[..., 1::2, 1::2]


@right("7.3")
def adds_the_corners(x):
    p, q, r, s = corners(x)
    return torch.cat([p + q + r + s, p + q - r - s, p - q + r - s, p - q - r + s], dim=1) / 2


@right("7.3")
def convolves_each_channel(x):
    signs = x.new_tensor([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]]) / 2
    weight = signs.reshape(4, 1, 2, 2).repeat(x.shape[1], 1, 1, 1)
    out = functional.conv2d(x, weight, stride=2, groups=x.shape[1])
    return out.unflatten(1, (-1, 4)).transpose(1, 2).flatten(1, 2)


@wrong("7.3", "numbers differ")
def swaps_h_and_v(x):
    a, h, v, d = adds_the_corners(x).chunk(4, dim=1)
    return torch.cat([a, v, h, d], dim=1)


@wrong("7.3", "numbers differ")
def forgets_the_factor(x):
    return adds_the_corners(x) / 2


@wrong("7.3", "numbers differ")
def keeps_the_bands_of_a_channel_together(x):
    return adds_the_corners(x).unflatten(1, (4, -1)).transpose(1, 2).flatten(1, 2)


@wrong("7.3", "numbers differ")
def turns_the_upper_rows(x):
    a, h, v, d = adds_the_corners(x).chunk(4, dim=1)
    return torch.cat([a, -h, v, -d], dim=1)


@wrong("7.3", "the shape is")
def stacks_the_bands(x):
    return torch.stack(adds_the_corners(x).chunk(4, dim=1), dim=1)


@wrong("7.3", "without the book's haar_dwt2")
def calls_the_book(x):
    return torch.cat(haar_dwt2(x), dim=1)


# ---- 7.4 error_without --------------------------------------------------------------------------


@right("7.4")
def takes_the_mean_of_the_bands(x, lost):
    bands = dict(zip("ahvd", haar_dwt2(x), strict=True))
    return torch.stack([bands[name] for name in lost]).square().mean() * len(lost) / 4


@right("7.4")
def rebuilds_by_hand(x, lost):
    a, h, v, d = (band * (name not in lost) for name, band in zip("ahvd", haar_dwt2(x), strict=True))
    rebuilt = torch.empty_like(x)
    for place, block in zip(((0, 0), (0, 1), (1, 0), (1, 1)), (a + h + v + d, a + h - v - d, 0, 0), strict=True):
        rebuilt[place[0] :: 2, place[1] :: 2] = block / 2
    rebuilt[1::2, ::2], rebuilt[1::2, 1::2] = (a - h + v - d) / 2, (a - h - v + d) / 2
    return (rebuilt - x).square().mean()


@wrong("7.4", "numbers differ")
def adds_up_only(x, lost):
    return takes_the_mean_of_the_bands(x, lost) * x.numel()


@wrong("7.4", "numbers differ")
def divides_by_the_size_of_a_band(x, lost):
    return takes_the_mean_of_the_bands(x, lost) * 4


@wrong("7.4", "numbers differ")
def counts_what_is_kept(x, lost):
    return x.square().mean() - takes_the_mean_of_the_bands(x, lost)


@wrong("7.4", "numbers differ")
def takes_the_root(x, lost):
    return takes_the_mean_of_the_bands(x, lost).sqrt()


@wrong("7.4", "numbers differ")
def looks_at_one_band_only(x, lost):
    return takes_the_mean_of_the_bands(x, lost[0])


@wrong("7.4", "without the book's haar_idwt2")
def rebuilds_by_the_book(x, lost):
    bands = [band * (name not in lost) for name, band in zip("ahvd", haar_dwt2(x), strict=True)]
    return (haar_idwt2(bands) - x).square().mean()


# ---- 7.5 denoise --------------------------------------------------------------------------------


def shrunk(x, shrink):
    a, *details = haar_dwt2(x)
    return haar_idwt2([a, *map(shrink, details)], tuple(x.shape[-2:]))


@right("7.5")
def takes_two_relus(x, threshold):
    return shrunk(x, lambda band: functional.relu(band - threshold) - functional.relu(-band - threshold))


@right("7.5")
def takes_what_lies_within_away(x, threshold):
    return shrunk(x, lambda band: band - band.clamp(-threshold, threshold))


@wrong("7.5", "numbers differ")
def keeps_the_large_ones_whole(x, threshold):
    return shrunk(x, lambda band: band * (band.abs() > threshold))


@wrong("7.5", "numbers differ")
def loses_the_sign(x, threshold):
    return shrunk(x, lambda band: (band.abs() - threshold).clamp(min=0))


@wrong("7.5", "numbers differ")
def lets_small_ones_turn_round(x, threshold):
    return shrunk(x, lambda band: band.sign() * (band.abs() - threshold))


@wrong("7.5", "numbers differ")
def shrinks_the_averages(x, threshold):
    return haar_idwt2([band - band.clamp(-threshold, threshold) for band in haar_dwt2(x)], tuple(x.shape[-2:]))


@wrong("7.5", "the shape is")
def forgets_the_size(x, threshold):
    a, *details = haar_dwt2(x)
    return haar_idwt2([a, *(band - band.clamp(-threshold, threshold) for band in details)])


@wrong("7.5", "PyTorch's own")
def calls_pytorch(x, threshold):
    return shrunk(x, lambda band: functional.softshrink(band, threshold))


# ---- 7.6 hwd_kernel -----------------------------------------------------------------------------


@right("7.6")
def adds_four_places(mix):
    a, h, v, d = mix[..., 0, 0].chunk(4, dim=1)
    rows = [[a + h + v + d, a + h - v - d], [a - h + v - d, a - h - v + d]]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2) / 2


@right("7.6")
def multiplies_by_the_matrix(mix):
    signs = mix.new_tensor([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]]) / 2
    return (mix.flatten(1).unflatten(1, (4, -1)).transpose(1, 2) @ signs).unflatten(2, (2, 2))


@wrong("7.6", "numbers differ")
def has_the_bands_last(mix):
    return multiplies_by_the_matrix(mix.unflatten(1, (-1, 4)).transpose(1, 2).flatten(1, 2))


@wrong("7.6", "numbers differ")
def forgets_the_half(mix):
    return multiplies_by_the_matrix(mix) * 2


@wrong("7.6", "numbers differ")
def takes_a_quarter(mix):
    return multiplies_by_the_matrix(mix) / 2


@wrong("7.6", "numbers differ")
def turns_the_block(mix):
    return multiplies_by_the_matrix(mix).mT


@wrong("7.6", "numbers differ")
def does_not_change_the_basis(mix):
    return mix.flatten(1).unflatten(1, (4, -1)).transpose(1, 2).unflatten(2, (2, 2))


@wrong("7.6", "none comes back")
def cuts_the_gradient(mix):
    return multiplies_by_the_matrix(mix.detach())


@wrong("7.6", "without the book's")
def calls_as_kernel(mix):
    return as_kernel(mix)


# ---- 7.7 fold_norm ------------------------------------------------------------------------------


@right("7.7")
def scales_row_by_row(kernel, weight, bias, mean, var, eps):
    scales = [w / (v + eps) ** 0.5 for w, v in zip(weight, var, strict=True)]
    folded = torch.stack([one * scale for one, scale in zip(kernel, scales, strict=True)])
    return folded, bias - torch.stack(scales) * mean


@right("7.7")
def asks_pytorch_for_a_fused_pair(kernel, weight, bias, mean, var, eps):
    nothing = torch.zeros_like(bias)
    given = (kernel, nothing, mean, var, eps, weight, bias)
    return tuple(one.detach() for one in nn.utils.fusion.fuse_conv_bn_weights(*given))


@wrong("7.7", "numbers differ")
def forgets_eps(kernel, weight, bias, mean, var, eps):
    return scales_row_by_row(kernel, weight, bias, mean, var, 0.0)


@wrong("7.7", "numbers differ")
def takes_no_root(kernel, weight, bias, mean, var, eps):
    scale = weight / (var + eps)
    return kernel * scale[:, None, None, None], bias - mean * scale


@wrong("7.7", "value 2 of 2: the numbers differ")
def does_not_scale_the_mean(kernel, weight, bias, mean, var, eps):
    return scales_row_by_row(kernel, weight, bias, mean, var, eps)[0], bias - mean


@wrong("7.7", "value 2 of 2: the numbers differ")
def scales_the_bias_too(kernel, weight, bias, mean, var, eps):
    scale = weight / (var + eps).sqrt()
    return kernel * scale[:, None, None, None], (bias - mean) * scale


@wrong("7.7", "numbers differ")
def adds_eps_behind_the_root(kernel, weight, bias, mean, var, eps):
    scale = weight / (var.sqrt() + eps)
    return kernel * scale[:, None, None, None], bias - mean * scale


@wrong("7.7", "numbers differ")
def has_one_scale_for_all(kernel, weight, bias, mean, var, eps):
    scale = (weight / (var + eps).sqrt()).mean()
    return kernel * scale, bias - mean * weight / (var + eps).sqrt()


@wrong("7.7", "2 values were wanted")
def returns_the_kernel_alone(kernel, weight, bias, mean, var, eps):
    return scales_row_by_row(kernel, weight, bias, mean, var, eps)[0]


# ---- 7.8 last_bands -----------------------------------------------------------------------------


@right("7.8")
def enlarges_the_patterns(level):
    signs = torch.tensor([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]], dtype=torch.float64)
    side = 2 ** (level - 1)
    large = signs.reshape(4, 1, 2, 2).repeat_interleave(side, dim=-1).repeat_interleave(side, dim=-2)
    return large / (2 * side)


@right("7.8")
def differentiates_a_sum_of_means(level):
    """Each kernel is the gradient of its band by the block."""
    side = 2**level
    block = torch.zeros(1, 1, side, side, dtype=torch.float64, requires_grad=True)
    p, q, r, s = functional.avg_pool2d(block, side // 2).flatten() * side / 2
    bands = (p + q + r + s, p + q - r - s, p - q + r - s, p - q - r + s)
    rows = [torch.autograd.grad(band / 2, block, retain_graph=True)[0] for band in bands]
    return torch.cat(rows)


@wrong("7.8", "numbers differ")
def divides_by_2_only_once(level):
    return enlarges_the_patterns(level) * 2 ** (level - 1)


@wrong("7.8", "numbers differ")
def repeats_the_pattern(level):
    """The signs of the first step, side by side, instead of those of the last one."""
    small = enlarges_the_patterns(1) * 2
    return small.tile(2 ** (level - 1), 2 ** (level - 1)) / 2**level


@wrong("7.8", "numbers differ")
def swaps_h_and_v_of_the_kernel(level):
    return enlarges_the_patterns(level).mT


@wrong("7.8", "the shape is")
def knows_one_step_only(level):
    return enlarges_the_patterns(1)


@wrong("7.8", "the shape is")
def has_no_channel(level):
    return enlarges_the_patterns(level)[:, 0]


@wrong("7.8", "dtype is torch.float32")
def has_single_precision(level):
    return enlarges_the_patterns(level).float()


@right("7.3")
def fills_in_numbers(x):
    out = x.detach().new_empty(len(x), 4, x.shape[1], x.shape[2] // 2, x.shape[3] // 2)
    p, q, r, s = (x[..., i::2, j::2].detach() for i in (0, 1) for j in (0, 1))
    bands = (p + q + r + s, p + q - r - s, p - q + r - s, p - q - r + s)
    for number, band in enumerate(bands):
        out[:, number] = band / 2
    return out.flatten(1, 2)


# ---- 7.9 edge_in_v, 7.10 crack_after_three_steps, 7.11 steps_alike ------------------------------

right_values("7.9", (0, 4), [0, 4])
wrong_values("7.9", (4, 4), (4, 0), (0, 8), (8, 8), (0, 16), (1, 1))
wrong_values("7.9", 4, "between", words="2 values were wanted")

right_values("7.10", (72, -8), (72.0, -8.0))
wrong_values("7.10", (9, -1), (576, -64), (32, -8), (12, -8), (72, 8), (72, 0), (72, -4))
wrong_values("7.10", 72, words="2 values were wanted")

right_values("7.11", (1, 0.67), (1.0, 0.66), (0.999, 0.68))
wrong_values("7.11", (1, 1), (0.5, 0.33), (1, 0.33), (1, 0.5), (0.67, 1), (1, 0.75))
wrong_values("7.11", 0.67, words="2 values were wanted")
