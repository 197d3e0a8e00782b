"""A convolution, its normalisation and a ReLU: of these the networks are made (Chapters 04, 07 and 09)."""

from torch import nn

from chapters_code.checks import check_integer

__all__ = ["conv_norm_relu", "normalisation"]


def conv_norm_relu(
    in_channels: int,
    out_channels: int,
    dilation: int = 1,
    *,
    kernel_size: int = 3,
    stride: int = 1,
    norm: str | None = "batch",
    bias: bool | None = None,
) -> nn.Sequential:
    """Make a convolution with its normalisation and a ReLU; an odd kernel with stride 1 keeps H and W.

    Args:
        in_channels: C.
        out_channels: C'.
        dilation: Pixels from one tap to the next.
        kernel_size: Taps per side.
        stride: Pixels from one position to the next.
        norm: See `normalisation`.
        bias: Whether the convolution has one.  None: only without a normalisation, which takes the mean away, and
            with it any bias that comes right before.

    Raises:
        ValueError: A number is no integer above 0, or `norm` is unknown.
    """
    in_channels = check_integer("in_channels", in_channels, 1)
    out_channels = check_integer("out_channels", out_channels, 1)
    dilation, kernel_size = check_integer("dilation", dilation, 1), int(kernel_size)
    padding = dilation * (kernel_size - 1) // 2
    bias = norm is None if bias is None else bias
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, dilation, bias=bias),
        normalisation(norm, out_channels),
        nn.ReLU(inplace=True),
    )


def normalisation(name: str | None, channels: int) -> nn.Module:
    """Make a normalisation by its name: "batch", "group" (for batches of one or two pictures), or None.

    Raises:
        ValueError: The name is another one, or "group" gets fewer than 3 channels.
    """
    if name is None:
        return nn.Identity()
    if name == "batch":
        return nn.BatchNorm2d(channels)
    if name != "group":
        raise ValueError(f'norm must be "batch", "group" or None, got {name!r}')
    if channels < 3:
        raise ValueError(
            'norm="group" needs 3 channels or more: a map may be one pixel large, one number per channel; a group of'
            " one number always becomes 0, and two become +1 and −1, if they are not nearly equal"
        )
    # Up to eight groups, but eight channels or more in each: the fewer, the less is left of a map of one pixel.
    return nn.GroupNorm(max(g for g in (1, 2, 4, 8) if channels % g == 0 and (g == 1 or channels // g >= 8)), channels)
