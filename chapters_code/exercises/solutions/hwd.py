"""Solutions of Chapter 07."""

import torch
from torch.nn import functional

from chapters_code.hwd import as_kernel, as_mix
from chapters_code.wavelets import haar_dwt2, haar_idwt2, wavedec2


def back_1d(a, d):
    """The sum of sum and difference is twice the first number, and 2 / √2 = √2 again needs a division by √2. So the way
    back is the way there: the matrix is its own inverse. That is what dividing by √2, and not by 2, has brought.
    """
    pairs = torch.stack([a + d, a - d], dim=-1) / 2**0.5
    return pairs.flatten(-2)


def how_many(height, width, level):
    """As many as there were pixels, if no side was odd on the way. Where one was, a row or column was used twice, and
    there are more: that is what the round trip of odd sizes costs. A picture of one pixel becomes four numbers, and
    grows by three with each further step.
    """
    numbers = 0
    for _ in range(level):
        height, width = (height + 1) // 2, (width + 1) // 2
        numbers += 3 * height * width
    return numbers + height * width


def bands_of_signs(x):
    """Half of each band is an average pooling of the picture, with the signs of some rows or columns turned before. So
    pooling has all four numbers of a block within its reach. It keeps the first one only.
    """
    lower, right = torch.ones_like(x), torch.ones_like(x)
    lower[..., 1::2, :] = -1
    right[..., 1::2] = -1
    signed = torch.cat([x, x * lower, x * right, x * lower * right], dim=1)
    return 2 * functional.avg_pool2d(signed, 2)


def error_without(x, lost):
    """The energy of the bands is the energy of the picture (Parseval's theorem), and the way back is linear. So the
    error is known before anything is rebuilt: it is the energy of what was thrown away. This is why compression keeps
    the *largest* coefficients.
    """
    bands = haar_dwt2(x)
    return sum(getattr(bands, name).square().sum() for name in lost) / x.numel()


def denoise(x, threshold):
    """The details shrink by the threshold, and those that are smaller vanish. The averages stay, so a picture of one
    grey is left as it is. `torch.nn.functional.softshrink` does the middle line, too.
    """
    a, *details = haar_dwt2(x)
    details = [band.sign() * (band.abs() - threshold).clamp(min=0) for band in details]
    return haar_idwt2([a, *details], tuple(x.shape[-2:]))


def hwd_kernel(mix):
    """Each band is a sign pattern of the block, halved, and the 1 × 1 convolution takes so much of each. So the kernel
    is the sum of the four patterns, each times its weight. Any kernel of 2 × 2 can be written so, since the patterns
    are a basis.
    """
    patterns = mix.new_tensor([[[1, 1], [1, 1]], [[1, 1], [-1, -1]], [[1, -1], [1, -1]], [[1, -1], [-1, 1]]])
    parts = zip(mix.chunk(4, dim=1), patterns, strict=True)
    return sum(weights * pattern / 2 for weights, pattern in parts)


def fold_norm(kernel, weight, bias, mean, var, eps):
    """In evaluation the normalisation is a scale and a shift for each channel, the same for every picture. The scale
    goes into the kernel, the shift becomes the bias, and two layers are one. In training this does not work: there mean
    and variance come from the batch.
    """
    scale = weight / (var + eps).sqrt()
    return kernel * scale[:, None, None, None], bias - mean * scale


def last_bands(level):
    """Every step halves and spreads: after `level` steps each weight is ± 1 / 2^level. The sign is that of the last
    step, on the four quarters of the large block. So the kernels double with each step, and nothing more is to be
    stored: of this Chapter 08 makes its large receptive field.
    """
    side = 2**level
    ones = torch.ones(side, dtype=torch.float64)
    halves = torch.cat([ones[side // 2 :], -ones[: side // 2]])
    pairs = ((ones, ones), (halves, ones), (ones, halves), (halves, halves))  # down, across
    return torch.stack([torch.outer(*pair) for pair in pairs])[:, None] / side


def edge_in_v():
    """None, and four. Between columns 3 and 4 two blocks meet: each block is of one grey, so all its differences are 0,
    and v does not see the clearest edge that there is. One pixel further to the right the edge cuts blocks in two, and
    v has one number for each of the four blocks. A band of one step sees only what lies *within* its blocks; the next
    step, on a, sees edges between them.
    """
    found = []
    for bright in (4, 5):
        picture = torch.zeros(8, 8)
        picture[:, :bright] = 1
        found.append(int(haar_dwt2(picture).v.count_nonzero()))
    return tuple(found)


def crack_after_three_steps():
    """72 and −8. A block with the crack has a = 12, 32, 72 after one, two and three steps; one without has 20, 40, 80.
    v is −8 each time: the crack is as long as the block, so its differences add up as often as they are halved. It is
    not the crack that becomes smaller from step to step, it is the road beside it that becomes larger.
    """
    road = torch.full((8, 8), 10.0)
    road[:, 0] = 2
    coefficients = wavedec2(road, level=3)
    return coefficients[0].item(), coefficients[1].v.item()


def steps_alike():
    """1 and 0.67. SGD's step turned back is the step itself: the two layers go on as one. Adam's first steps have the
    same length, two learning rates for four weights, and point in different directions, 48° apart if the cosine is 2/3.
    Nobody knows which of the two leads further down. It is 2/3 exactly on average, since a coordinate and its turned
    one have a correlation of 1/2, and agree in sign two times in three.
    """
    torch.manual_seed(7)
    gradients = torch.randn(10_000, 1, 2, 2)
    found = []
    for step in (torch.neg, lambda gradient: -gradient.sign()):
        of_control, of_hwd = step(gradients), as_kernel(step(as_mix(gradients)))
        found.append(functional.cosine_similarity(of_control.flatten(1), of_hwd.flatten(1)).mean().item())
    return tuple(found)


def what_the_gain_shows():
    """Very little. Two runs of one and the same layer, with two seeds, may be as far apart. And if more seeds confirm
    the gain, it is a gain over max pooling: HWD has weights where max pooling has none, and it sees all four pixels of
    a block. A convolution of 2 × 2 with stride 2 has both, too, computes the same functions with as many weights, and
    has no wavelet. It is the control: only where HWD beats it, seed by seed, has the wavelet helped.
    """
    return (
        "HWD differs from max pooling in more than the wavelet: it learns weights, and it sees all four pixels.",
        "The control that is missing is a 2 × 2 convolution with stride 2 (or space-to-depth and 1 × 1).",
        "That control computes the same functions with as many weights, so what is left is the wavelet.",
        "One run of each says nothing: it takes several seeds, and the spread of their differences.",
    )
