"""The wavelet transform against PyWavelets, against sums by hand, and against its own laws."""

import io
import math
from itertools import product

import pytest
import pywt
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

from chapters_code.hwd import HWDownsampling
from chapters_code.shapes import dwt_size
from chapters_code.wavelets import (
    MODES,
    Bands,
    Details,
    crop,
    dwt2,
    even,
    filters,
    haar_dwt2,
    haar_idwt2,
    idwt2,
    wavedec2,
    waverec2,
)
from chapters_code.wtconv import WTConv2d
from grids import every

WAVELETS = ("haar", "db2", "db3", "sym4", "coif1", "bior2.2", "bior1.3", "rbio3.1", "bior4.4", "db8")
ORTHOGONAL = ("haar", "db2", "db3", "sym4", "coif1", "db8")
SIZES = [(1, 4), (2, 3), (5, 7), (9, 1), (33, 20)]
# Absolute, for numbers around 1: PyWavelets adds a row's products in another order, and rbio3.1's synthesis filters
# reach 3, so that level after level its roundings grow.
EXACT = {"rtol": 0, "atol": 1e-10}


@pytest.fixture(autouse=True)
def _seed():
    """The same numbers on every run: some laws say "by so much", which chance numbers could miss."""
    torch.manual_seed(1)


def picture(*size, dtype=torch.float64, lead=(2, 3)):
    return torch.randn(*lead, *size, dtype=torch.float64).to(dtype)


def same(ours, reference, *case, atol=1e-10):
    """Demand equal numbers, and name the case where they are not."""
    assert_close(ours, reference, rtol=0, atol=atol, msg=lambda said: f"{case}: {said}")


def theirs(bands):
    """Return PyWavelets' (a, (h, v, d)) as our bands."""
    a, (h, v, d) = bands
    return Bands(*map(torch.from_numpy, (a, h, v, d)))


# ---- one step: the reference library ------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_the_bands_and_the_way_back_are_those_of_pywavelets(mode):
    """Values, signs and order; the way back also from bands that no picture has given."""
    for wavelet, size in product(WAVELETS, SIZES):
        if mode == "reflect" and 1 in size:
            size = tuple(side + 1 for side in size)  # see below
        x = picture(*size)
        bands = dwt2(x, wavelet, mode)

        assert type(bands) is Bands and bands._fields == ("a", "h", "v", "d")
        same(bands, theirs(pywt.dwt2(x.numpy(), wavelet, mode)), wavelet, size)
        assert bands.a.shape[-2:] == dwt_size(size, pywt.Wavelet(wavelet).dec_len, mode), (wavelet, size)
        for four in (bands, [torch.randn_like(band) for band in bands]):
            a, *details = (band.numpy() for band in four)
            expected = torch.from_numpy(pywt.idwt2((a, tuple(details)), wavelet, mode))
            same(idwt2(four, wavelet, mode), expected, wavelet, size)
        same(idwt2(bands, wavelet, mode, size), x, wavelet, size)


def test_a_single_pixel_cannot_be_reflected_and_is_repeated():
    """PyWavelets refuses it."""
    x = picture(1, 6)
    for wavelet in WAVELETS:
        with pytest.raises(ValueError, match="reflect"):
            pywt.dwt2(x.numpy(), wavelet, "reflect")
        tall = dwt2(x.expand(2, 3, 4, 6), wavelet, "reflect")

        bands = dwt2(x, wavelet, "reflect")
        same(list(bands), [band[..., : bands.a.shape[-2], :] for band in tall], wavelet)
        same(idwt2(bands, wavelet, "reflect", (1, 6)), x, wavelet)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.filterwarnings("ignore:Level value of")  # PyWavelets: the picture is short for so many steps; it goes on
def test_several_steps_are_those_of_pywavelets(mode):
    for wavelet, size in product(WAVELETS, [(5, 7), (33, 20), (16, 9)]):
        x = picture(*size, lead=(2,))
        expected = pywt.wavedec2(x.numpy(), wavelet, mode, level=3)
        ours = wavedec2(x, wavelet, mode, level=3)

        assert len(ours) == 4 and all(type(details) is Details for details in ours[1:])
        same(ours[0], torch.from_numpy(expected[0]), wavelet, size)
        for details, reference in zip(ours[1:], expected[1:], strict=True):
            same(details, Details(*map(torch.from_numpy, reference)), wavelet, size)
        same(waverec2(ours, wavelet, mode), torch.from_numpy(pywt.waverec2(expected, wavelet, mode)), wavelet, size)


@pytest.mark.parametrize("mode", MODES)
def test_every_discrete_wavelet_of_pywavelets_comes_back(mode):
    """Odd sizes, and steps whose own sizes are odd: 13 × 22, 7 × 11, 4 × 6 for Haar."""
    x = picture(13, 22, lead=())
    for wavelet in pywt.wavelist(kind="discrete"):
        again = waverec2(wavedec2(x, wavelet, mode, level=3), wavelet, mode, (13, 22))
        error = (again - x).abs().max()

        if wavelet == "dmey":  # cut off from endless filters, so it cannot come back; in PyWavelets neither
            bands = pywt.idwt2(pywt.dwt2(x.numpy(), wavelet, mode), wavelet, mode)[:13, :22]
            own = (torch.from_numpy(bands) - x).abs().max()
            assert 1e-4 < own < 0.05 and error < 10 * own
        else:
            # The longest filters, of 40 to 102 taps, are tabled to some 10 digits only.
            assert error < (1e-9 if pywt.Wavelet(wavelet).dec_len <= 20 else 1e-5), (wavelet, float(error))


def test_haar_by_blocks_is_pywavelets_and_the_general_form():
    for size in (*SIZES, (1, 1), (6, 4)):
        x = picture(*size)
        bands = haar_dwt2(x)

        same(bands, theirs(pywt.dwt2(x.numpy(), "haar")), size)
        same(bands, dwt2(x), size)  # "haar" and "symmetric" unless one says otherwise
        assert bands.a.shape == (2, 3, math.ceil(size[0] / 2), math.ceil(size[1] / 2))
        for four in (bands, [torch.randn_like(band) for band in bands]):
            a, *details = (band.numpy() for band in four)
            same(haar_idwt2(four), torch.from_numpy(pywt.idwt2((a, tuple(details)), "haar")), size)
        same(haar_idwt2(bands, size), x, size)


@every(
    ("dtype", "atol"),
    [
        (torch.float32, 1e-5),
        # Numbers up to 4 are rounded to 8 bits (to 11) after each pass over rows and over columns: a few such steps.
        (torch.bfloat16, 6 * 4 * 2**-8),
        (torch.float16, 6 * 4 * 2**-11),
    ],
)
def test_other_dtypes_stay_what_they_are_and_differ_by_their_rounding(dtype, atol):
    x = picture(5, 8, dtype=dtype)
    for wavelet, mode in product(["haar", "db2", "bior2.2"], MODES):
        pairs = [(dwt2(x, wavelet, mode), dwt2(x.double(), wavelet, mode))]
        if wavelet == "haar":
            pairs.append((haar_dwt2(x), haar_dwt2(x.double())))
            assert haar_idwt2(pairs[-1][0], (5, 8)).dtype == dtype
        for ours, reference in pairs:
            assert {band.dtype for band in ours} == {dtype}
            same(Bands(*(band.double() for band in ours)), reference, wavelet, mode, atol=atol)
        again = idwt2(pairs[0][0], wavelet, mode, (5, 8))
        assert again.dtype == dtype
        same(again.double(), x.double(), wavelet, mode, atol=2 * atol)


@pytest.mark.parametrize("lead", [(), (3,), (2, 3), (2, 2, 1, 3), (0, 3), (2, 0)])
def test_leading_axes_are_many_pictures(lead):
    """None of them, many, or an empty batch; each plane is transformed by itself."""
    x = picture(5, 6, lead=lead)
    for wavelet, mode in product(("haar", "db2"), MODES):
        bands = dwt2(x, wavelet, mode)
        assert bands.h.shape == (*lead, *dwt_size((5, 6), pywt.Wavelet(wavelet).dec_len, mode))
        same(idwt2(bands, wavelet, mode, (5, 6)), x, wavelet, mode)
        same(waverec2(wavedec2(x, wavelet, mode, 2), wavelet, mode, (5, 6)), x, wavelet, mode)
        if x.numel() and lead:
            plane = dwt2(x[(0,) * len(lead)], wavelet, mode)
            same([band[(0,) * len(lead)] for band in bands], list(plane), wavelet, mode)
    same(haar_idwt2(haar_dwt2(x), (5, 6)), x)


# ---- by hand ------------------------------------------------------------------------------------


def test_haar_by_hand():
    """9 3 over 5 1: sum 18, upper minus lower 6, left minus right 10, diagonals 9 − 3 − 5 + 1 = 2; each halved."""
    x = torch.tensor([[9.0, 3], [5, 1]])

    for bands in (haar_dwt2(x), dwt2(x.double())):
        assert [round(band.item(), 12) for band in bands] == [9, 3, 5, 1]
    assert haar_idwt2([torch.tensor([[float(n)]]) for n in (9, 3, 5, 1)]).tolist() == x.tolist()


def test_an_odd_side_uses_its_last_row_or_column_twice():
    """By hand: 2 6 10 becomes 2 6 10 10, and the row is doubled: a is (2+6+2+6)/2 and (10·4)/2."""
    x = torch.tensor([[2.0, 6, 10]])

    assert even(x).tolist() == [[2, 6, 10, 10]] * 2
    assert [band.tolist() for band in haar_dwt2(x)] == [[[8, 20]], [[0, 0]], [[-4, 0]], [[0, 0]]]
    assert even(even(x)).shape == (2, 4)


@pytest.mark.parametrize(
    ("mode", "row"),
    [
        ("zero", "0 0 0 0  1 2 3  0 0 0 0 0"),
        ("constant", "1 1 1 1  1 2 3  3 3 3 3 3"),
        ("symmetric", "3 3 2 1  1 2 3  3 2 1 1 2"),
        ("reflect", "1 2 3 2  1 2 3  2 1 2 3 2"),
        ("periodic", "3 1 2 3  1 2 3  1 2 3 1 2"),
        ("antisymmetric", "3 -3 -2 -1  1 2 3  -3 -2 -1 1 2"),
        ("periodization", "3 3  1 2 3 3  1 2"),  # made even, and only so far beyond that one number in two comes out
    ],
)
def test_what_lies_beyond_the_edge_by_hand(mode, row):
    """The row 1 2 3 written out as PyWavelets' manual draws it; a filter of six taps needs four before, five after."""
    x, row = torch.tensor([1.0, 2, 3], dtype=torch.float64), torch.tensor([[[float(n) for n in row.split()]]])
    low, high = functional.conv1d(row.double(), filters("db3").analysis[:, None], stride=2)[0]

    # A picture that is a product of a column and a row: its bands are products, too.
    bands = dwt2(torch.outer(x, x), "db3", mode)
    expected = [torch.outer(down, across) for across in (low, high) for down in (low, high)]
    assert_close(list(bands), expected, **EXACT)


# ---- laws ---------------------------------------------------------------------------------------


def test_orthogonal_wavelets_keep_the_energy_and_their_inverse_is_their_transpose():
    """With periodization the transform is a square matrix, and an orthogonal one, also where filters wrap around."""
    for wavelet, size in product(ORTHOGONAL, [(2, 4), (8, 6), (20, 34)]):
        x = picture(*size).requires_grad_()
        bands = dwt2(x, wavelet, "periodization")
        pull = [torch.randn_like(band) for band in bands]

        energy = x.square().sum().item()
        assert sum(band.square().sum() for band in bands).item() == pytest.approx(energy, rel=1e-9), (wavelet, size)
        (transposed,) = torch.autograd.grad(bands, x, pull)
        same(transposed, idwt2(pull, wavelet, "periodization"), wavelet, size, atol=1e-9)


def test_a_biorthogonal_wavelet_keeps_no_energy():
    """Else the law above would say nothing."""
    x = picture(8, 6)
    energy = sum(band.square().sum() for band in dwt2(x, "bior2.2", "periodization"))

    assert abs(energy / x.square().sum() - 1) > 0.01


def test_haar_keeps_the_energy_of_even_sides_in_every_mode():
    x = picture(6, 10)
    for bands in (haar_dwt2(x), *(dwt2(x, "haar", mode) for mode in MODES)):
        assert_close(sum(band.square().sum() for band in bands), x.square().sum(), rtol=1e-12, atol=0)


def test_average_pooling_is_half_of_a():
    for size in ((6, 4), (5, 7)):
        x = picture(*size)
        same(haar_dwt2(x).a / 2, functional.avg_pool2d(x, 2, ceil_mode=True), size)


def test_the_transform_is_linear():
    for wavelet, mode in product(WAVELETS, MODES):
        x, y = picture(5, 8), picture(5, 8)
        both, one, other = (dwt2(picture, wavelet, mode) for picture in (2 * x - 3 * y, x, y))
        same(list(both), [2 * left - 3 * right for left, right in zip(one, other, strict=True)], wavelet, mode)


def test_a_constant_picture_has_no_details():
    """High-pass filters add to 0, low-pass ones to √2; the modes left out here set an edge at the rim."""
    for wavelet, mode in product(WAVELETS, sorted(set(MODES) - {"zero", "antisymmetric"})):
        bands = dwt2(torch.full((5, 8), 3.0, dtype=torch.float64), wavelet, mode)
        flat = [torch.full_like(bands.a, level) for level in (6, 0, 0, 0)]
        same(list(bands), flat, wavelet, mode, atol=1e-9)


def test_a_shift_by_two_shifts_the_bands_by_one():
    """Round the edge, with periodization; a shift by one gives other bands."""
    x = picture(8, 12)
    for wavelet in WAVELETS:
        bands, moved = (dwt2(one, wavelet, "periodization") for one in (x, x.roll((2, -4), (-2, -1))))
        same(list(moved), [band.roll((1, -2), (-2, -1)) for band in bands], wavelet)
        h = dwt2(x.roll(1, -1), wavelet, "periodization").h
        assert all((h - bands.h.roll(by, -1)).norm() > 0.1 * h.norm() for by in range(6)), wavelet


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (3, 4)])
def test_gradients_are_slopes(size):
    """Of both ways, and of the gradients themselves."""
    x = picture(*size, lead=(2,)).requires_grad_()

    def check(function, *given):
        assert torch.autograd.gradcheck(function, given, fast_mode=True)
        assert torch.autograd.gradgradcheck(function, given, fast_mode=True)

    for mode in MODES:
        bands = [band.detach().requires_grad_() for band in dwt2(x, "db2", mode)]
        check(lambda x, mode=mode: tuple(dwt2(x, "db2", mode)), x)
        check(lambda *bands, mode=mode: idwt2(bands, "db2", mode, size), *bands)
        check(lambda x, mode=mode: waverec2(wavedec2(x, "db2", mode, 2), "db2", mode, size), x)
    check(lambda x: tuple(haar_dwt2(x)), x)
    check(lambda *bands: haar_idwt2(bands), *bands)


def test_the_layout_in_memory_does_not_matter_and_what_is_given_is_left_as_it_was():
    x = picture(7, 6)
    kept = x.clone()
    for other in (x.contiguous(memory_format=torch.channels_last), x.mT.contiguous().mT, x[..., :1].expand(2, 3, 7, 6)):
        assert not other.is_contiguous()
        for transform in (haar_dwt2, lambda x: dwt2(x, "db3", "reflect"), lambda x: dwt2(x, "db2", "periodization")):
            assert_close(transform(other), transform(other.contiguous()), **EXACT)
    for band in (*haar_dwt2(x[..., :6, :]), *dwt2(x, "db2")):
        band.add_(1)
    haar_idwt2(haar_dwt2(x)).add_(1)
    assert torch.equal(x, kept)


# ---- errors -------------------------------------------------------------------------------------


def test_other_modes_are_refused():
    x = picture(4, 6)
    for mode in ("smooth", "antireflect", "periodisation", "", None):
        for call, given in ((dwt2, x), (wavedec2, x), (idwt2, haar_dwt2(x)), (waverec2, wavedec2(x))):
            with pytest.raises(ValueError, match="mode must be one of zero, constant.*got " + repr(mode)):
                call(given, "haar", mode)


def test_only_the_modes_that_are_left_out_invent_brightness():
    """The reason that the module gives: beyond a picture from 0 to 1 they find values that no pixel has, up to 5."""
    for mode in set(pywt.Modes.modes) - {"periodization"}:
        beyond = pywt.pad([0.0, 0.2, 0.5, 1.0], 8, mode)
        assert (mode in MODES) == (abs(beyond).max() <= 1), (mode, beyond)


def test_unknown_wavelets_are_refused():
    """Also a continuous one, which has no filters."""
    for wavelet in ("db99", "mexh", "Haar", "", None, ["haar"], 2):
        for call, given in ((dwt2, picture(4, 6)), (idwt2, haar_dwt2(picture(4, 6)))):
            with pytest.raises(ValueError, match='such as "haar".*got .*wavelist'):
                call(given, wavelet)


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (torch.zeros(5), r"\(..., H, W\).*got \(5,\)"),
        (torch.zeros(2, 0, 4), r"rows and columns, got \(2, 0, 4\)"),
        (torch.zeros(2, 4, 0), r"rows and columns, got \(2, 4, 0\)"),
        ([[1.0, 2.0]], "got list"),
        (torch.zeros(4, 6, dtype=torch.uint8), r"uint8; x.float\(\)"),
        (torch.zeros(4, 6, dtype=torch.bool), "bool"),
        (torch.zeros(4, 6, dtype=torch.complex64), "complex64"),
    ],
)
def test_what_is_no_picture_is_refused(x, says):
    for transform in (haar_dwt2, dwt2, wavedec2):
        with pytest.raises(ValueError, match=says):
            transform(x)


def test_bands_that_do_not_belong_together_are_refused():
    a, h, v, d = haar_dwt2(picture(4, 6))
    for inverse in (haar_idwt2, idwt2):
        for bands in ((a, h, v), (a, h, v, d, d), (a, h, v, d[..., :1]), (a, (h, v, d)), (a, h, v, None)):
            with pytest.raises(ValueError, match="four tensors of one shape, got"):
                inverse(bands)
        with pytest.raises(ValueError, match="got torch.int64"):
            inverse([band.long() for band in (a, h, v, d)])
    with pytest.raises(ValueError, match=r"bands of 1 along one side are too small for filters of 4 taps"):
        idwt2([band[..., :1] for band in (a, h, v, d)], "db2")


@pytest.mark.parametrize("size", [(2, 6), (5, 6), (4, 4), (4, 7), (0, 6), (4,), 4, (4.0, 6)])
def test_a_size_that_the_bands_cannot_have_is_refused(size):
    bands = haar_dwt2(picture(4, 6))
    for call in (
        lambda: haar_idwt2(bands, size),
        lambda: idwt2(bands, size=size),
        lambda: waverec2([bands.a, bands[1:]], size=size),
        lambda: crop(picture(4, 6), size),
    ):
        with pytest.raises(ValueError, match=r"size"):
            call()


def test_the_number_of_steps_is_an_integer():
    for level in (0, 1.5):
        with pytest.raises(ValueError, match="level must be an integer of 1 or more"):
            wavedec2(picture(4, 6), level=level)


def test_steps_that_do_not_fit_are_refused():
    """Above all where cutting off would make them fit."""
    a, first, second = wavedec2(picture(8, 12), level=2)
    small = Details(*(band[..., :2] for band in second))
    for coefficients in ([], None, a, [a, None], [a, first[:2]], [None, first], [[a], first]):
        with pytest.raises(ValueError, match=r"coefficients must be \[a, \(h, v, d\)"):
            waverec2(coefficients)
    for coefficients in ([a, second], [a, first, first], [a, first, small], [second.h, first]):
        with pytest.raises(ValueError, match="of one shape|can be left out"):
            waverec2(coefficients)


def test_no_step_at_all_leaves_the_picture_but_for_the_odd_side():
    x = picture(8, 12)
    assert_close(waverec2([x]), x, **EXACT)
    assert_close(waverec2([x], size=(7, 12)), x[..., :7, :], **EXACT)
    with pytest.raises(ValueError, match="can be left out"):
        waverec2([x], size=(6, 12))


# ---- under PyTorch's other engines --------------------------------------------------------------


class Both(nn.Module):
    """There and back again as a layer, so that it can be compiled and exported: gives the bands and the picture."""

    def __init__(self, split, join):
        super().__init__()
        self.split, self.join = split, join

    def forward(self, x):
        bands = self.split(x)
        return (*bands, self.join(bands))


HAAR = Both(haar_dwt2, haar_idwt2)
DB2 = Both(lambda x: dwt2(x, "db2"), lambda bands: idwt2(bands, "db2"))
WRAPPED = Both(lambda x: dwt2(x, "sym4", "periodization"), lambda bands: idwt2(bands, "sym4", "periodization"))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_mixes_no_dtypes(dtype):
    """It computes convolutions in half the digits; what comes is near, and gradients have the input's dtype."""
    x = picture(7, 6, dtype=torch.float32).requires_grad_()
    with torch.autocast("cpu", dtype=dtype):
        outs = [
            haar_idwt2(haar_dwt2(x), (7, 6)),
            # An average that a layer has made beside details that are as they were.
            idwt2([functional.conv2d(haar_dwt2(x).a, torch.eye(3)[..., None, None]), *haar_dwt2(x)[1:]], size=(7, 6)),
        ]
        for mode in MODES:
            outs.append(idwt2(dwt2(x, "db2", mode), "db2", mode, (7, 6)))
            outs.append(waverec2(wavedec2(x, "db2", mode, 2), "db2", mode, (7, 6)))
    for out in outs:
        assert_close(out.float(), x, rtol=0, atol=12 * 4 * torch.finfo(dtype).eps)
    sum(out.sum() for out in outs).backward()
    assert x.grad.dtype == torch.float32 and x.grad.isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("both", [HAAR, DB2, WRAPPED], ids=["haar", "db2", "sym4, periodization"])
@pytest.mark.parametrize("size", [(8, 6), (7, 9)])
def test_the_compiler_takes_it_as_one_graph(both, size):
    torch.compiler.reset()
    ours, reference = (picture(*size).requires_grad_() for _ in range(2))
    ours.data.copy_(reference.data)
    out, expected = torch.compile(both, backend="aot_eager", fullgraph=True)(ours), both(reference)
    assert_close(out, expected, **EXACT)
    for outs in (out, expected):
        sum(one.square().sum() for one in outs).backward()
    assert_close(ours.grad, reference.grad, **EXACT)


def test_where_and_when_it_is_first_called_leaves_no_trace():
    """Filters that were read under inference, or on another device, must not come back later."""
    with torch.inference_mode():
        dwt2(picture(4, 6), "coif2")
    with torch.device("meta"):
        assert WTConv2d(1, 1, wt_type="coif3").wt_filter.is_meta
    dwt2(picture(4, 6).requires_grad_(), "coif2").a.sum().backward()
    assert not WTConv2d(1, 1, wt_type="coif3").wt_filter.is_meta
    filters("coif2").analysis.zero_()
    assert filters("coif2").analysis.any()


class Exported(nn.Module):
    """One export for all whose sizes may stay open: an export takes long, however little is in it."""

    def __init__(self):
        super().__init__()
        self.hwd, self.wtconv = HWDownsampling(3, 4), WTConv2d(3, 3, wt_levels=2)

    def forward(self, x):
        return (*HAAR(x), self.hwd(x), self.wtconv(x))


# With longer filters at one size only: PyTorch has no ONNX form of "% n" for an n that is left open.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("layer", "dynamic"), [(Exported, True), (lambda: DB2, False)], ids=["Haar, HWD, WTConv", "db2"]
)
def test_exported_to_onnx_another_engine_gives_the_same_numbers(layer, dynamic):
    """Open sizes are said to be even: whether a side is odd is asked once, at export."""
    for needed in ("onnx", "onnxscript"):
        pytest.importorskip(needed)
    onnxruntime = pytest.importorskip("onnxruntime")
    layer, side = (Exported() if dynamic else DB2).eval(), torch.export.Dim
    shapes = ({0: side("n"), 2: 2 * side("h", min=2), 3: 2 * side("w", min=2)},) if dynamic else None
    x = picture(8, 6, dtype=torch.float32)
    program = torch.onnx.export(layer, (x,), dynamo=True, dynamic_shapes=shapes, verbose=False)
    file = io.BytesIO()
    program.save(file)
    session = onnxruntime.InferenceSession(file.getvalue())

    for other in (x, picture(12, 10, dtype=torch.float32, lead=(1, 3)))[: 1 + dynamic]:
        given = [torch.from_numpy(one) for one in session.run(None, {session.get_inputs()[0].name: other.numpy()})]
        with torch.no_grad():
            # float32; onnxruntime adds the few dozen products in another order.
            assert_close(given, list(layer(other)), rtol=0, atol=2e-6)
