"""How much each pixel of the picture changes one pixel of the output, with the weights as they are."""

import torch
from torch import Tensor, nn

from chapters_code.outputs import copied, device_of, logits
from chapters_code.receptive_field.measure import chosen_pixel

__all__ = ["effective_radius", "effective_receptive_field"]


def effective_receptive_field(
    module: nn.Module, inputs: Tensor, pixel: tuple[int, int] | None = None, *, channel: int | None = None
) -> Tensor:
    """Measure how much each pixel of the picture changes one pixel of the output, with the weights as they are.

    The gradient of the output pixel (the sum of its channels) with respect to each input pixel, its magnitude summed
    over the input's channels and averaged over the pictures: Luo et al. (2016).  The module counts as it is in
    evaluation mode, and is left as it was.

    Args:
        module: A network that gives maps (N, C', H', W'); of several, the first, or the entry "out".
        inputs: Pictures, (N, C, H, W), floating point, on any device: random ones for the network by itself,
            photographs for its use.
        pixel: Row and column of the output pixel; None means the central one.
        channel: The output's channel, such as a class; None means the sum of all.

    Returns:
        (H, W), dtype and device of `inputs`: shares that add up to 1.  All zero if nothing changes the output (every
        ReLU on the way is off).

    Raises:
        ValueError: `inputs` or the output is not as above, the pixel or the channel is not in the output, or the module
            cannot be copied.
    """
    if not isinstance(inputs, Tensor) or inputs.dim() != 4 or not inputs.is_floating_point() or not inputs.numel():
        came = f"{inputs.dtype} {tuple(inputs.shape)}" if isinstance(inputs, Tensor) else type(inputs).__name__
        raise ValueError(f"inputs must be pictures (N, C, H, W) of floating point, at least one; got {came}")
    network = copied(module).eval().requires_grad_(False)
    x = inputs.detach().clone().requires_grad_()
    with torch.enable_grad():
        maps = logits(network(x.to(device_of(network, x))))
        if maps.dim() != 4:
            raise ValueError(f"the module must give maps (N, C, H, W), got {tuple(maps.shape)}")
        row, column = chosen_pixel(pixel, maps.shape[-2:])
        if channel is not None and not 0 <= channel < maps.shape[1]:
            raise ValueError(f"channel must be from 0 to {maps.shape[1] - 1}, got {channel}")
        chosen = maps[:, slice(None) if channel is None else channel, row, column]
        # Each picture of the batch changes only its own maps, so one call gives the gradients of all.
        (gradient,) = torch.autograd.grad(chosen.sum(), x)
    shares = gradient.abs().sum(dim=1).mean(dim=0)
    return shares / shares.sum().clamp_min(torch.finfo(shares.dtype).tiny)


def effective_radius(shares: Tensor, share: float = 0.9545) -> float:
    """Return the radius of the circle, round the centre of gravity, that holds a share of an effective field.

    Args:
        shares: (H, W), none negative: what `effective_receptive_field` returns.
        share: How much of it, in (0, 1].  95.45 % is two standard deviations on one axis; the
            circle that holds as much of a round bell has 2.49.

    Returns:
        The radius in pixels: half the width in which the network really looks.

    Raises:
        ValueError: `shares` is not as above or all zero, or `share` is not in (0, 1].

    Example:
        >>> effective_radius(torch.tensor([[0.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 0.0]]))
        1.0
    """
    if shares.dim() != 2 or not (shares >= 0).all() or not shares.isfinite().all() or not shares.sum() > 0:
        raise ValueError("shares must be (H, W), without NaN or negative numbers, and not all zero")
    if not 0 < share <= 1:
        raise ValueError(f"share must be above 0 and at most 1, got {share}")
    shares = shares.detach().cpu().double()  # not every device has float64
    weights = shares / shares.sum()
    rows, columns = (torch.arange(side, dtype=torch.float64) for side in shares.shape)
    row, column = (weights.sum(1) * rows).sum(), (weights.sum(0) * columns).sum()
    distance = torch.hypot(rows[:, None] - row, columns[None, :] - column).flatten()
    near_to_far = distance.argsort()
    held = weights.flatten()[near_to_far].cumsum(0)
    # The last sum is 1 up to rounding, so that a share of 1 needs a little slack.
    return distance[near_to_far][int((held < share - 1e-12).sum())].item()
