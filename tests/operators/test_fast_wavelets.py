"""The Haar transform by lifting is the plain one: values, gradients, gradients of gradients, and what it refuses."""

import pytest
import torch
from torch.testing import assert_close

from chapters_code import wavelets as plain
from chapters_code.fast.wavelets import haar_dwt2, haar_idwt2, haar_join, haar_split
from chapters_code.receptive_field import receptive_field
from grids import every

SIZES = [(2, 4), (6, 10), (5, 7), (1, 1), (1, 6), (9, 2)]
EXACT = {"rtol": 0, "atol": 1e-12}


@pytest.fixture(autouse=True)
def _seed():
    """The same numbers on every run: some laws say "by so much", which chance numbers could miss."""
    torch.manual_seed(1)


def picture(*size, lead=(2, 3), dtype=torch.float64):
    return torch.randn(*lead, *size, dtype=torch.float64).to(dtype)


@every(lead=[(), (3,), (2, 3), (2, 2, 3), (0, 3)], size=SIZES)
def test_it_is_the_plain_transform_in_values_and_gradients(size, lead):
    """Both ways, and once more through the gradients, each output pulled with another strength."""
    x = picture(*size, lead=lead)
    bands = [torch.randn_like(band) for band in plain.haar_dwt2(x)]
    for ours, reference, given in (
        (lambda x: haar_dwt2(x), plain.haar_dwt2, [x]),
        (lambda *bands: [haar_idwt2(bands, size)], lambda *bands: [plain.haar_idwt2(bands, size)], bands),
    ):
        results = []
        for function in (ours, reference):
            inputs = [one.clone().requires_grad_() for one in given]
            out = function(*inputs)
            loss = sum((k + 1) * one.pow(3).sum() for k, one in enumerate(out))
            first = torch.autograd.grad(loss, inputs, create_graph=True)
            second = torch.autograd.grad(sum(one.pow(2).sum() for one in first), inputs)
            results.append((list(out), first, second))
        assert_close(*results, rtol=0, atol=1e-9)  # of sixth powers of numbers up to 4
        assert type(ours(*given)) is type(reference(*given))


def test_the_bands_lie_in_one_block_in_the_order_that_convolutions_take():
    x = picture(6, 4)
    bands = haar_split(x)

    assert bands.shape == (2, 4, 3, 3, 2) and bands.is_contiguous()
    assert_close(bands.flatten(1, 2), torch.cat(plain.haar_dwt2(x), dim=1), **EXACT)
    assert_close(haar_join(bands), x, **EXACT)
    assert_close(haar_split(x[0]), bands[0], **EXACT)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_other_dtypes_differ_by_a_few_roundings(dtype):
    """Numbers up to 8, three additions and a halving each way."""
    for size in SIZES:
        x = picture(*size, dtype=dtype)
        bands, atol = haar_dwt2(x), 4 * 8 * torch.finfo(dtype).eps

        assert bands.a.dtype == dtype
        exact = plain.haar_dwt2(x.double())
        assert_close([band.double() for band in bands], list(exact), rtol=0, atol=atol)
        assert_close(haar_idwt2(bands, size).double(), x.double(), rtol=0, atol=2 * atol)


def test_the_layout_in_memory_does_not_matter_and_nothing_is_written_into():
    x = picture(6, 4)
    kept, expected = x.clone(), haar_split(x)
    laid = [x.contiguous(memory_format=torch.channels_last), x.mT.contiguous().mT, x.flip(0).flip(0)]
    for other in (*laid, torch.stack([x, x], -1)[..., 1]):
        assert_close(haar_split(other), expected, **EXACT)
    assert_close(haar_split(x[:1, :1, :1, :1].expand(2, 3, 6, 4)), haar_split(x[:1, :1, :1, :1].repeat(2, 3, 6, 4)))
    for other in (expected.transpose(0, 2).contiguous().transpose(0, 2), torch.stack([expected] * 2, -1)[..., 0]):
        assert_close(haar_join(other), x, **EXACT)
    haar_split(x).zero_(), haar_join(expected).zero_()
    assert torch.equal(x, kept)

    # A gradient that is one number for all, as that of a sum is.
    x.requires_grad_()
    haar_split(x).sum().backward()
    assert_close(x.grad, haar_join(torch.ones(2, 4, 3, 3, 2, dtype=torch.float64)), **EXACT)


def test_gradients_are_slopes():
    x, bands = picture(4, 6).requires_grad_(), picture(4, 2, 2, 3, lead=()).requires_grad_()
    for function, given in ((haar_split, x), (haar_join, bands)):
        assert torch.autograd.gradcheck(function, given)
        assert torch.autograd.gradgradcheck(function, given)


def test_nothing_is_kept_for_the_gradient():
    """The transform is its own recipe for going back; the plain form keeps nothing either, but a convolution would."""
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor), lambda _: None):
        haar_join(haar_split(picture(6, 4).requires_grad_()))

    assert not kept


def test_nan_reaches_its_own_block_only():
    x = picture(6, 8)
    x[0, 1, 3, 4] = torch.nan
    spoilt = haar_split(x).isnan()

    assert spoilt.sum() == 4 and spoilt[0, :, 1, 1, 2].all()


@pytest.mark.parametrize("size", [(8, 6), (5, 7)])
def test_the_compiler_takes_it_as_one_graph(size):
    torch.compiler.reset()
    both = torch.compile(
        lambda x: haar_idwt2(haar_dwt2(x).h[None].expand(4, -1, -1, -1, -1)), backend="aot_eager", fullgraph=True
    )
    x = picture(*size)
    assert_close(both(x), plain.haar_idwt2([plain.haar_dwt2(x).h] * 4), **EXACT)


def test_receptive_fields_are_followed_through_it():
    ours, theirs = (receptive_field(lambda x, f=f: torch.cat(f(x), 1), (9, 12)) for f in (haar_dwt2, plain.haar_dwt2))
    assert ours.size == theirs.size == (2, 2)
    assert torch.equal(ours.touched, theirs.touched)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_leaves_it_alone(dtype):
    x = picture(5, 6, dtype=torch.float32).requires_grad_()
    with torch.autocast("cpu", dtype=dtype):
        half = torch.nn.functional.conv2d(haar_dwt2(x).a, torch.eye(3)[..., None, None])
        out = haar_idwt2([half, *haar_dwt2(x)[1:]], (5, 6))
    out.sum().backward()

    assert out.dtype == x.grad.dtype == torch.float32
    assert_close(out, x, rtol=0, atol=4 * 8 * torch.finfo(dtype).eps)


def test_sides_that_cannot_be_halved_are_refused():
    """Rows of 3 and 1 would be added together otherwise, as if they were meant to."""
    for shape in ((1, 3, 4), (2, 1, 1, 4), (2, 1, 4, 3), (1, 4, 1), (2, 3, 5, 5), (4, 6), (2, 0, 4)):
        with pytest.raises(ValueError, match=r"\(..., C?"):
            haar_split(torch.randn(shape))


def test_what_are_not_four_bands_is_refused():
    for shape in ((3, 2, 2, 3), (1, 5, 2, 2, 2), (1, 2, 2, 2), (4, 2, 2), (4, 1, 0, 2)):
        with pytest.raises(ValueError, match="bands must be|rows and columns"):
            haar_join(torch.randn(shape))


def test_it_refuses_what_the_plain_form_refuses():
    x = picture(4, 6)
    a, h, v, d = plain.haar_dwt2(x)
    for module_call in (haar_dwt2, haar_split):
        with pytest.raises(ValueError, match="x must be floating point"):
            module_call(x.long())
    with pytest.raises(ValueError, match="rows and columns"):
        haar_dwt2(torch.zeros(5))
    with pytest.raises(ValueError, match="four tensors of one shape"):
        haar_idwt2([a, h, v])
    with pytest.raises(ValueError, match="can be left out"):
        haar_idwt2([a, h, v, d], (2, 6))
