"""The names and the order of the bands in other libraries: each is asked, none is believed (Chapter 07's table).

A picture of one horizontal line has differences down, and none across.  What each library calls the band that
answers is the row "h" of the table; its place in the library's own result is what is tested.

ptwt and pytorch_wavelets are not needed by the book: where one is missing, or cannot be imported, its part is skipped.
pytorch_wavelets 1.3.0 is imported with setuptools below 81 only.
"""

import pytest
import pywt
import torch
from torch.testing import assert_close

from chapters_code.wavelets import Bands, haar_dwt2

# Ours, and where and under which name others have it: PyWavelets (a, (h, v, d)), ptwt (its names), pytorch_wavelets
# (yl, yh; the names that its documentation gives to the places 0, 1, 2), the HWD code and our source (the same places).
TABLE = [
    # ours, pywt.dwt2, pywt.dwtn, ptwt, pytorch_wavelets, place in yh[0], HWD code
    ("a", "cA", "aa", None, "LL", None, "LL"),
    ("h", "cH", "da", "horizontal", "LH", 0, "HL"),
    ("v", "cV", "ad", "vertical", "HL", 1, "LH"),
    ("d", "cD", "dd", "diagonal", "HH", 2, "HH"),
]
# One row, one column, one pixel of a picture of 6 × 8; what each block's four numbers then are is worked out by hand:
# p q / r s = 1 1 / 0 0 and so on.  (a, h, v, d) of the only block column, block row or block that answers.
PICTURES = {
    "horizontal line": ((2, slice(None)), (1, 1, 0, 0)),
    "vertical line": ((slice(None), 4), (1, 0, 1, 0)),
    "point": ((2, 4), (0.5, 0.5, 0.5, 0.5)),
}


# pkg_resources, which pytorch_wavelets imports, warns that it is old.
quietly = pytest.mark.filterwarnings("ignore:.*pkg_resources")


@pytest.fixture(autouse=True)
def _double():
    """pytorch_wavelets makes its filters in the default dtype; in float32 they would round what is compared."""
    torch.manual_seed(1)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def of_pywavelets(x):
    a, (h, v, d) = pywt.dwt2(x.numpy(), "haar")
    return dict(zip(("cA", "cH", "cV", "cD"), map(torch.from_numpy, (a, h, v, d)), strict=True))


def of_ptwt(x):
    ptwt = pytest.importorskip("ptwt")
    a, details = ptwt.wavedec2(x, "haar", mode="zero", level=1)
    assert details._fields == ("horizontal", "vertical", "diagonal")
    return {None: a, **details._asdict()}


def of_pytorch_wavelets(x):
    peer = pytest.importorskip("pytorch_wavelets")
    assert "LH, HL and HH" in peer.DWTForward.forward.__doc__
    low, (details,) = peer.DWTForward(J=1, wave="haar", mode="zero")(x)
    return {None: low} | {place: details[:, :, place] for place in range(3)}


@pytest.mark.parametrize("shape", [(1, 1, 6, 8), (2, 3, 10, 4), (3, 1, 2, 2)])
def test_ptwt_has_our_numbers_under_its_names(shape):
    x = torch.randn(shape)
    theirs = of_ptwt(x)

    for ours, _, _, name, *_ in TABLE:
        assert_close(getattr(haar_dwt2(x), ours), theirs[name], rtol=0, atol=1e-12)


@quietly
@pytest.mark.parametrize("shape", [(1, 1, 6, 8), (2, 3, 10, 4), (3, 1, 2, 2)])
def test_pytorch_wavelets_has_our_numbers_in_the_order_h_v_d(shape):
    x = torch.randn(shape)
    theirs = of_pytorch_wavelets(x)

    for ours, *_, place, _ in TABLE:
        assert_close(getattr(haar_dwt2(x), ours), theirs[place], rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(2, 3, 7, 4), (1, 1, 5, 9)])
def test_ptwt_uses_the_last_row_of_an_odd_side_twice_as_we_do(shape):
    """With "symmetric"; with "zero" its last row stands beside zeros, and ours beside itself."""
    ptwt = pytest.importorskip("ptwt")
    x = torch.randn(shape)
    a, details = ptwt.wavedec2(x, "haar", mode="symmetric", level=1)

    assert_close(list(haar_dwt2(x)), [a, *details], rtol=0, atol=1e-12)
    assert (ptwt.wavedec2(x, "haar", mode="zero", level=1)[0] - a).abs().max() > 0.1


@quietly
@pytest.mark.parametrize("name", PICTURES)
def test_the_table_of_names_by_pictures(name):
    """Who answers to a horizontal line, to a vertical one, to a point; in every library, by hand."""
    at, expected = PICTURES[name]
    x = torch.zeros(1, 1, 6, 8)
    x[0, 0][at] = 1

    answers = {"pywt.dwt2": of_pywavelets(x[0, 0]), "pywt.dwtn": pywt.dwtn(x[0, 0].numpy(), "haar")}
    for peer, ask in (("ptwt", of_ptwt), ("pytorch_wavelets", of_pytorch_wavelets)):
        try:
            answers[peer] = ask(x)
        except pytest.skip.Exception:
            continue
    for (ours, pywt_name, axes, ptwt_name, _, place, _), strength in zip(TABLE, expected, strict=True):
        keys = {"pywt.dwt2": pywt_name, "pywt.dwtn": axes, "ptwt": ptwt_name, "pytorch_wavelets": place}
        found = {peer: torch.as_tensor(answer[keys[peer]]).abs().max().item() for peer, answer in answers.items()}
        found["ours"] = getattr(haar_dwt2(x), ours).abs().max().item()
        assert found == pytest.approx(dict.fromkeys(found, strength), abs=1e-12), ours


def test_letters_read_down_across_or_across_down_say_lh_or_hl():
    """The names differ by the order in which the two letters are read, and by nothing else; the table is complete."""
    assert tuple(row[0] for row in TABLE) == Bands._fields
    for _, _, axes, _, library, _, source in TABLE:
        down_across = axes.replace("a", "L").replace("d", "H")
        assert (library, source) == (down_across[::-1], down_across)
