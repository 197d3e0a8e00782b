"""Gradients that show every mix-up; what the tests of the operators share."""

import torch


def gradients(function, tensors, *settings):
    """Give the gradients when each output pulls with another strength, so no two places look alike."""
    tensors = [one.clone().requires_grad_() for one in tensors]
    out = function(*tensors, *settings)
    pull = torch.arange(1, out.numel() + 1, dtype=out.dtype).reshape(out.shape) / max(1, out.numel())
    return torch.autograd.grad(out, tensors, pull)
