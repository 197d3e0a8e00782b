"""The figure *Haar*: its settings, and in a real browser the numbers, which are Python's."""

import base64
import io
import itertools
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
import pywt
import torch
from PIL import Image
from torch.testing import assert_close

from browsing import at_widths, call, canvas_of, plain, smallest
from chapters_code.wavelets import waverec2
from chapters_code.widgets.haar import Haar

EXACT = {"rtol": 0, "atol": 0}  # sums and halves of integers


def picture(height=16, width=32, seed=1):
    """Pixels of chance, half of them in flat blocks, so that some details are 0."""
    dice = np.random.default_rng(seed)
    x = dice.integers(0, 256, (height, width), dtype=np.uint8)
    x[:, : width // 2] = np.kron(dice.integers(0, 256, (height // 4, width // 8)), np.ones((4, 4)))
    return torch.from_numpy(x)


def from_bmp(text):
    """Read a picture that an SVG holds, (H, W) int64."""
    return torch.from_numpy(np.asarray(Image.open(io.BytesIO(base64.b64decode(text)))).astype(np.int64))


def energy(name, band):
    """As the text of Chapter 07: squares added up, after the mean is taken away, which only averages have."""
    return (band - band.mean() * (name[0] == "a")).square().sum().item()


# Bands of the level and of others, of each letter; thresholds that some details are equal to.
SETTINGS = [
    {"picture": picture(*size), "level": level, "dropped": dropped, "threshold": threshold, "rule": rule}
    for size, (level, dropped, (threshold, rule)) in zip(
        itertools.cycle([(16, 32), (48, 16)]),
        itertools.product(
            (1, 2, 3, 4),
            [(), ("h1", "d2"), ("a1", "a2", "a3", "v4"), ("a4", "h3", "v1")],
            [(0, "hard"), (20, "hard"), (20, "soft"), (100, "hard"), (73, "soft")],
        ),
        strict=False,
    )
]

# ---- as Python holds it -------------------------------------------------------------------------


@pytest.mark.parametrize("level", [1, 2, 3, 4])
@pytest.mark.parametrize("rule", ["hard", "soft"])
def test_bands_thresholds_and_way_back_are_those_of_pywavelets(level, rule):
    figure = Haar(picture(48, 32), level, threshold=20, rule=rule)
    a, *steps = pywt.wavedec2(figure.pixels.numpy(), "haar", level=level)
    details = [tuple(pywt.threshold(band, 20, rule) for band in step) for step in steps]

    assert_close(figure.kept[f"a{level}"], torch.from_numpy(a), rtol=0, atol=1e-9)
    for step, bands in zip(range(level, 0, -1), details, strict=True):
        for letter, band in zip("hvd", bands, strict=True):
            # A threshold cuts where PyWavelets' √2 has rounded: 20 is not 20.000000000000004.
            same = torch.isclose(figure.kept[f"{letter}{step}"], torch.from_numpy(band), rtol=0, atol=1e-9)
            on_edge = figure.bands[f"{letter}{step}"].abs() == 20
            assert (same | on_edge).all() and on_edge.float().mean() < 0.1
    kept = [figure.kept[f"a{level}"]]
    kept += [[figure.kept[f"{letter}{step}"] for letter in "hvd"] for step in range(level, 0, -1)]
    assert_close(figure.rebuilt, waverec2(kept), rtol=0, atol=1e-9)


def test_a_threshold_by_hand():
    """Blocks p q / r s = 40 0 / 0 0: a, h, v, d are 20 each.  Below 20 nothing goes, below 21 all but a."""
    x = torch.zeros(16, 16, dtype=torch.uint8)
    x[::2, ::2] = 40

    def kept(threshold, rule):
        return [Haar(x, threshold=threshold, rule=rule).kept[name].unique().tolist() for name in ("a1", "h1", "d1")]

    assert kept(20, "hard") == [[20], [20], [20]]
    assert kept(21, "hard") == [[20], [0], [0]]
    assert kept(5, "soft") == [[20], [15], [15]]
    assert Haar(x, threshold=21).rebuilt.unique().tolist() == [10]  # the mean of each block
    assert Haar(255 - x, threshold=5, rule="soft").kept["v1"].unique().tolist() == [-15]


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_energy_of_the_error_is_that_of_what_the_bands_lost(setting):
    """The mean left out of all energies; and with the hard rule it is the energy that is gone."""
    figure = Haar(**setting)
    lost = {name: figure.bands[name] - band for name, band in figure.kept.items()}
    off = figure.rebuilt - figure.pixels
    found = figure.numbers

    assert found.error == pytest.approx(sum(energy(name, band) for name, band in lost.items()), rel=1e-9, abs=1e-6)
    assert found.error == pytest.approx((off - off.mean()).square().sum().item(), rel=1e-9, abs=1e-6)
    assert found.energy == pytest.approx(figure.pixels.numel() * figure.pixels.var(correction=0).item())
    assert figure.energies == pytest.approx({name: energy(name, band) for name, band in figure.bands.items()})
    assert sum(figure.energies.values()) == pytest.approx(found.energy)
    assert found.rms == pytest.approx(off.square().mean().sqrt().item())
    if figure.rule == "hard":
        assert found.energy == pytest.approx(found.kept + found.error)
    assert found.total == figure.pixels.numel() == sum(band.numel() for band in figure.bands.values())


def test_without_changes_the_picture_comes_back_bit_by_bit():
    for level in (1, 2, 3, 4):
        figure = Haar(picture(48, 32), level)

        assert torch.equal(figure.rebuilt, picture(48, 32).double())
        assert figure.numbers.error == figure.numbers.rms == 0 and figure.psnr == math.inf
        assert figure.description.endswith("the picture comes back whole.")


def test_a_dropped_band_is_the_error():
    """Rows 90 and 30 in turn: a is 120, h is 60; without h each pixel is 60, and off by 30."""
    x = torch.full((16, 32), 90, dtype=torch.uint8)
    x[1::2] = 30
    figure = Haar(x, dropped=["h1"])

    assert figure.rebuilt.unique().tolist() == [60]
    assert figure.numbers.error == 30**2 * 16 * 32
    assert figure.numbers.nonzero == 8 * 16  # a alone; v and d are 0 anyhow
    assert figure.numbers.rms == 30 and figure.psnr == pytest.approx(20 * math.log10(255 / 30))
    assert figure.energies == {"h1": 30**2 * 16 * 32, "v1": 0, "d1": 0, "a1": 0}  # all but the mean grey
    assert figure.description == (
        "A picture of 16 × 32 pixels as 4 Haar bands of 1 step, without h1: 25.0 % of the numbers are not 0, and the"
        " picture comes back with a PSNR of 18.6 dB."
    )


def test_bands_of_other_levels_wait():
    figure = Haar(picture(), 2, dropped=("a1", "h3", "a4"))
    assert figure.numbers.error == 0
    figure.level = 3
    assert figure.numbers.error == figure.bands["h3"].square().sum().item() > 0
    figure.level = 1
    assert figure.numbers.error == pytest.approx(energy("a1", figure.bands["a1"]))


@pytest.mark.parametrize("kind", [torch.as_tensor, lambda x: x.numpy(), lambda x: x[None], lambda x: x.numpy().copy()])
def test_tensors_and_arrays_are_pictures(kind):
    assert torch.equal(Haar(kind(picture())).pixels, picture().double())


def test_colours_become_grey():
    """0.299 R + 0.587 G + 0.114 B, rounded: 29.9 is 30, 146.74 is 147."""
    x = torch.zeros(3, 16, 48, dtype=torch.uint8)
    x[0, :, :16], x[1, :, 16:32], x[:, :, 32:] = 100, 250, 77

    assert Haar(x).pixels[3, ::16].tolist() == [30, 147, 77]


def test_the_photograph_is_the_one_of_the_description():
    from skimage import data

    pixels = Haar().pixels
    blocks = data.camera()[:384, 60:444].astype(float)

    assert pixels.shape == (192, 192)
    assert pixels[10, 7] == np.floor(blocks[20:22, 14:16].mean() + 0.5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"level": 0}, "level must be an integer from 1 to 4, got 0"),
        ({"level": 5}, "level must be .* got 5"),
        ({"level": 1.5}, "level must be .* got 1.5"),
        ({"threshold": -1}, "threshold must be an integer from 0 to 100, got -1"),
        ({"threshold": 101}, "threshold must be .* got 101"),
        ({"rule": "medium"}, "rule must be one of hard, soft; got 'medium'"),
        ({"dropped": ["h1", "h5"]}, "each of dropped must be one of a1, h1, .*, d4; got 'h5'"),
        ({"dropped": ["x1"]}, "got 'x1'"),
        ({"dropped": "h1"}, r"dropped must be a list of bands such as \[\"h1\", \"v1\"\], got 'h1'"),
        ({"dropped": 1}, "dropped must be a list .* got 1"),
        ({"picture": picture().float()}, r"uint8 of shape \(H, W\).*got float32 of shape \(16, 32\)"),
        ({"picture": picture()[0]}, r"got uint8 of shape \(32,\)"),
        ({"picture": picture().expand(2, 16, 32)}, r"got uint8 of shape \(2, 16, 32\)"),
        ({"picture": picture()[..., None].numpy()}, r"got uint8 of shape \(16, 32, 1\)"),
        ({"picture": picture(48, 64)[:37, :50]}, r"got 37 × 50: picture\[..., :32, :48\] is such a picture"),
        ({"picture": picture(16, 272)}, r"from 16 to 256.*got 16 × 272: picture\[..., :16, :256\]"),
        ({"picture": picture()[:8]}, "got 8 × 32: take a larger one"),
        ({"picture": picture()[:0]}, "got 0 × 32: take a larger one"),
    ],
)
def test_bad_settings_are_refused_with_the_cure(settings, message):
    with pytest.raises(ValueError, match=message):
        Haar(**settings)


def test_a_setting_can_be_changed_and_a_bad_one_changes_nothing():
    figure = Haar(picture())
    figure.picture = picture(48, 16, seed=2)
    for name, value in (("picture", [[1.5]]), ("level", 9), ("dropped", ["h0"]), ("threshold", "2"), ("rule", "")):
        with pytest.raises(ValueError, match=name):
            setattr(figure, name, value)

    assert torch.equal(figure.pixels, picture(48, 16, seed=2).double())
    assert torch.equal(Haar(figure.picture).pixels, figure.pixels)  # what is stored is a picture, too
    assert Haar(picture(), dropped=("v1", "h1", "v1")).dropped == ["h1", "v1"]


def test_the_still_picture_holds_the_bands_and_the_rebuilt_picture():
    """Compared as pixels: averages in the corner, h to its right, v below, d across; details four times as strong."""
    figure = Haar(picture(48, 32), 2, dropped=["d1"], threshold=9)
    svg = ElementTree.fromstring(figure.still())
    images = [from_bmp(one.get("href").split(",")[1]) for one in svg.iter("{http://www.w3.org/2000/svg}image")]
    kept = figure.kept

    assert len(images) == 2 and all(one.shape == (48, 32) for one in images)
    assert_close(images[1], figure.rebuilt.round().clamp(0, 255).long(), **EXACT)
    for name, top, left, gain in (("a2", 0, 0, 1 / 4), ("h2", 0, 8, 1), ("v2", 12, 0, 1), ("d2", 12, 8, 1),
                                  ("h1", 0, 16, 2), ("v1", 24, 0, 2), ("d1", 24, 16, 2)):  # fmt: skip
        height, width = kept[name].shape
        shown = (gain * kept[name] + 128 * (name != "a2")).round().clamp(0, 255).long()
        assert_close(images[0][top : top + height, left : left + width], shown, **EXACT, msg=name)
    texts = [one.text for one in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert set(texts[2:]) == set(kept) and texts[:2] == ["the bands", "put together again"]


# ---- in a browser -------------------------------------------------------------------------------


def told(page):
    return [plain(text) for text in page.locator(".told p").all_inner_texts()]


def drawn(page, which=0):
    """Read what a canvas shows, (H, W) int64; it must be grey."""
    rows = canvas_of(page, which)
    assert all(one[1:3] == one[3:5] == one[5:] for row in rows for one in row)
    return torch.tensor([[int(one[1:3], 16) for one in row] for row in rows])


def planes(found):
    return {name: torch.tensor(one["values"]).double().reshape(one["height"], one["width"]) for name, one in found}


@pytest.mark.browser
def test_numbers_are_pythons(blank):
    """Bands, what is kept and the rebuilt picture to the last bit, and the sums, on every setting of the grid."""
    figures = [Haar(**setting) for setting in SETTINGS]
    works = call(blank, "haar.js", "transform", [[one.state()] for one in figures])
    numbers = call(blank, "haar.js", "numbersOf", [[work] for work in works])

    for figure, work, found in zip(figures, works, numbers, strict=True):
        for ours, theirs in ((figure.bands, work["bands"]), (figure.kept, work["kept"])):
            assert_close(planes(theirs.items()), ours, **EXACT)
        assert_close(planes([("x", work["rebuilt"])])["x"], figure.rebuilt, **EXACT)
        assert found["lost"] == pytest.approx(found["error"], rel=1e-9, abs=1e-6)
        for name, value in figure.numbers._asdict().items():
            assert found[name] == pytest.approx(value, rel=1e-12)
        assert found["mean"] == pytest.approx((figure.rebuilt - figure.pixels).mean().abs().item())


@pytest.mark.browser
def test_the_names_are_pythons(blank):
    for level, found in zip((1, 2, 3, 4), call(blank, "haar.js", "namesOf", [[1], [2], [3], [4]]), strict=True):
        assert found == list(Haar(picture(), level).bands)


@pytest.mark.browser
@pytest.mark.parametrize(
    ("figure", "said"),
    [
        (
            Haar(torch.full((16, 16), 9, dtype=torch.uint8), 2),
            [
                "6.25 % of the numbers are not 0: 16 of 256. They have 100.00 % of the energy;"
                " the mean grey is left out.",
                "Nothing was changed, and the picture comes back whole: its error is 0.",
            ],
        ),
        (
            Haar(torch.zeros(16, 16, dtype=torch.uint8), dropped=["a1"]),
            [
                "0.00 % of the numbers are not 0: 0 of 256. They have 100.00 % of the energy;"
                " the mean grey is left out.",
                "Nothing was changed, and the picture comes back whole: its error is 0.",
            ],
        ),
        (  # flat: all that is lost is the mean grey, and no energy
            Haar(torch.full((16, 16), 9, dtype=torch.uint8), dropped=["a1"]),
            [
                "0.00 % of the numbers are not 0: 0 of 256. They have 100.00 % of the energy;"
                " the mean grey is left out.",
                "Energy of the error: 0 in the bands, 0 in the picture. It is the energy that is gone, 0.00 %."
                " The mean grey is gone, too: 9.",
                "The rebuilt picture: PSNR 29.0 dB; root mean square error 9 grey levels of 255.",
            ],
        ),
        (  # rows 90, 30: a is 120, which is the mean grey alone, and h is 60: all energy is h's, 30² · 256
            Haar(torch.tensor([[90], [30]], dtype=torch.uint8).expand(2, 16).repeat(8, 1), dropped=["h1"]),
            [
                "25.00 % of the numbers are not 0: 64 of 256. They have 0.00 % of the energy;"
                " the mean grey is left out.",
                "Energy of the error: 230,400 in the bands, 230,400 in the picture. It is the energy that is gone,"
                " 100.00 %.",
                "The rebuilt picture: PSNR 18.6 dB; root mean square error 30 grey levels of 255.",
            ],
        ),
        (  # h is 59 instead of 60: off by half a grey level everywhere
            Haar(torch.tensor([[90], [30]], dtype=torch.uint8).expand(2, 16).repeat(8, 1), threshold=1, rule="soft"),
            [
                "50.00 % of the numbers are not 0: 128 of 256. They have 96.69 % of the energy;"
                " the mean grey is left out.",
                "Energy of the error: 64 in the bands, 64 in the picture. The soft rule also moves what it keeps, so"
                " more energy is gone than the error has.",
                "The rebuilt picture: PSNR 54.2 dB; root mean square error 0.5 grey levels of 255.",
            ],
        ),
    ],
)
def test_the_sentences_are_true(blank, figure, said):
    (work,) = call(blank, "haar.js", "transform", [[figure.state()]])
    (numbers,) = call(blank, "haar.js", "numbersOf", [[work]])
    (found,) = call(blank, "haar.js", "sentences", [[numbers, figure.state()]])

    assert [plain(text) for text in found] == said


@pytest.mark.browser
@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0.00 %"), (1e-6, "under 0.01 %"), (0.5, "50.00 %"), (0.99999, "over 99.99 %"), (1, "100.00 %")],
)
def test_a_share_is_never_rounded_to_nothing_or_to_all(blank, share, text):
    assert plain(call(blank, "haar.js", "percent", [[share]])[0]) == text


@pytest.mark.browser
def test_the_page_draws_what_python_draws(open_page):
    """The same bytes as in the still picture, on both canvases."""
    figure = Haar(picture(48, 32), 3, dropped=["v2"], threshold=30, rule="soft")
    page = open_page(figure)
    expected = [from_bmp(text) for text in re.findall('image/bmp;base64,([^"]+)', figure.still())]

    assert_close([drawn(page, which) for which in (0, 1)], expected, **EXACT)


@pytest.mark.browser
def test_the_page_follows_the_keyboard(open_page):
    """Every control by keys alone; after each, the page says what Python computes."""
    setting = {"picture": picture(48, 32), "level": 1, "dropped": [], "threshold": 0, "rule": "hard"}
    page = open_page(Haar(**setting))

    def agree(**changes):
        setting.update(changes)
        figure = Haar(**setting)
        found, said = figure.numbers, told(page)
        assert f": {found.nonzero:,} of {found.total:,}." in said[0]
        assert (len(said) == 2) == (found.rms == 0)
        if found.rms:
            assert said[2].startswith(f"The rebuilt picture: PSNR {figure.psnr:.1f} dB;")
        buttons = page.locator(".bands button")
        assert buttons.locator("b").all_inner_texts() == list(figure.bands)
        pressed = [one.get_attribute("aria-pressed") == "true" for one in buttons.all()]
        assert pressed == [name not in figure.dropped for name in figure.bands]
        assert page.locator(".band.dropped b").all_inner_texts() == [n for n in figure.bands if n in figure.dropped]

    def press(name, key, role="slider"):
        page.get_by_role(role, name=name).press(key)

    agree()
    press("steps", "ArrowRight")
    agree(level=2)
    press(re.compile("^h1, horizontal edges: .* of the energy$"), "Enter", role="button")
    agree(dropped=["h1"])
    page.keyboard.press("Space")  # the band keeps the focus, and comes back
    agree(dropped=[])
    press(re.compile("^d2, corners and diagonals"), "Space", role="button")
    press(re.compile("^a2, averages"), "Space", role="button")
    agree(dropped=["a2", "d2"])
    press("threshold for the details", "End")
    agree(threshold=100)
    press("hard", "ArrowRight", role="radio")
    agree(rule="soft")
    press("steps", "End")
    agree(level=4)
    press("steps", "Home")
    agree(level=1)
    press("threshold for the details", "Home")
    agree(threshold=0)


@pytest.mark.browser
@pytest.mark.parametrize("way", ["click", "tap"])
def test_a_band_that_the_reader_points_at_is_dropped_and_comes_back(open_page, way):
    """In the picture of the bands: h to the right, v below, and the averages in the corner."""
    page = open_page(Haar(picture(48, 32), 2), has_touch=True)
    box = page.locator(".board").first.bounding_box()
    point = {"click": page.mouse.click, "tap": page.touchscreen.tap}[way]

    def gone_after(x, y):
        point(box["x"] + x * box["width"], box["y"] + y * box["height"])
        return page.locator(".band.dropped b").all_inner_texts()

    assert gone_after(0.75, 0.25) == ["h1"]
    assert gone_after(0.25, 0.75) == ["h1", "v1"]
    assert gone_after(0.75, 0.75) == ["h1", "v1", "d1"]
    assert gone_after(0.4, 0.1) == ["h1", "v1", "d1", "h2"]
    assert gone_after(0.2, 0.2) == ["h1", "v1", "d1", "h2", "a2"]
    assert gone_after(0.75, 0.25) == ["v1", "d1", "h2", "a2"]


@pytest.mark.browser
def test_the_shares_of_the_bands_are_pythons_and_add_up(open_page):
    figure = Haar(level=3, dropped=["v1"])  # what is dropped keeps its share
    page, whole = open_page(figure), figure.numbers.energy
    shown = [float(text.split()[0]) for text in page.locator(".bands span").all_inner_texts()]

    expected = [100 * energy(name, band) / whole for name, band in figure.bands.items()]
    assert shown == pytest.approx(expected, abs=0.00501)
    assert sum(expected) == pytest.approx(100)


# ---- the reader's own picture -------------------------------------------------------------------


def stored(x):
    """A file as a browser takes it from the reader."""
    file = io.BytesIO()
    Image.fromarray(x).save(file, "PNG")
    return {"name": "mine.png", "mimeType": "image/png", "buffer": file.getvalue()}


def give(page, file):
    page.get_by_label("Take your own picture").set_input_files(file)
    # Another's sentence: the promise alone stands there before.
    page.locator(".own p").filter(has_text=file["name"]).wait_for()
    return page.locator(".own p").inner_text()


@pytest.mark.browser
def test_a_picture_of_the_readers_is_cut_at_both_sides_and_transformed(open_page):
    """37 × 50 becomes 32 × 48: two rows and one column are left out before, three and one after."""
    mine = picture(48, 64, seed=3).numpy()[:37, :50]
    page = open_page(Haar(picture(), 2, dropped=["h1"]))
    note = give(page, stored(mine))
    figure = Haar(mine[2:34, 1:49], 2, dropped=["h1"])

    assert note == (
        "mine.png: 32 × 48 of 37 × 50 pixels, in grey. A picture of yours stays in this browser; it is sent nowhere."
    )
    assert_close(drawn(page, 1), figure.rebuilt.round().clamp(0, 255).long(), **EXACT)
    assert f": {figure.numbers.nonzero:,} of {figure.numbers.total:,}." in told(page)[0]
    page.get_by_role("slider", name="steps").press("ArrowRight")  # it stays when a setting changes
    figure.level = 3
    assert f": {figure.numbers.nonzero:,} of 1,536." in told(page)[0]


@pytest.mark.browser
def test_the_first_picture_comes_back(open_page):
    page = open_page(Haar(picture()))
    before, back = drawn(page, 1), page.get_by_role("button", name="back to the first one")

    assert not back.is_visible()
    give(page, stored(picture(16, 16, seed=5).numpy()))
    assert drawn(page, 1).shape == (16, 16) and back.is_visible()
    back.press("Enter")
    assert torch.equal(drawn(page, 1), before) and not back.is_visible()
    assert page.locator(".own p").inner_text().startswith("A picture of yours stays")


@pytest.mark.browser
def test_colours_become_grey_and_what_is_transparent_white(open_page):
    x = np.zeros((16, 32, 4), np.uint8)
    x[:, :8], x[:, 8:16], x[:, 16:24] = (100, 0, 0, 255), (0, 250, 0, 255), (9, 9, 200, 255)
    page = open_page(Haar(picture()))
    give(page, stored(x))
    rgb = torch.from_numpy(np.where(x[..., 3:] == 0, 255, x[..., :3]).astype(np.uint8)).permute(2, 0, 1)

    assert drawn(page, 1)[5, ::8].tolist() == Haar(rgb).pixels[5, ::8].tolist() == [30, 147, 31, 255]


@pytest.mark.browser
@pytest.mark.parametrize(("given", "scaled", "cut"), [
    ((16, 16), [16, 16], [16, 16]), ((300, 200), [256, 171], [256, 160]), ((3000, 4000), [192, 256], [192, 256]),
    ((31, 256), [31, 256], [16, 256]), ((15, 100), [15, 100], [0, 96]), ((4000, 20), [256, 1], [256, 0]),
    ((1, 9000), [1, 256], [0, 256]),
])  # fmt: skip
def test_how_large_a_picture_becomes(blank, given, scaled, cut):
    assert call(blank, "haar.js", "sizes", [given]) == [{"scaled": scaled, "cut": cut}]


@pytest.mark.browser
def test_a_large_picture_is_scaled(open_page):
    """320 × 640 becomes 128 × 256; flat quarters stay flat, but for the pixels where they meet."""
    x = np.kron(np.array([[10, 200], [90, 30]], np.uint8), np.ones((160, 320), np.uint8))
    page = open_page(Haar(picture()))
    give(page, stored(x))
    seen = drawn(page, 1)

    assert seen.shape == (128, 256)
    assert seen[[8, 8, 120, 120], [8, 240, 8, 240]].tolist() == [10, 200, 90, 30]


@pytest.mark.browser
@pytest.mark.parametrize(("file", "note"), [
    ({"name": "notes.png", "mimeType": "image/png", "buffer": b"no picture"},
     "notes.png is no picture that this browser can read."),
    (stored(np.zeros((15, 40), np.uint8)),
     "mine.png has 15 × 40 pixels, and 15 × 40 here: each side needs 16 or more."),
    (stored(np.zeros((20, 1000), np.uint8)),
     "mine.png has 20 × 1000 pixels, and 5 × 256 here: each side needs 16 or more."),
])  # fmt: skip
def test_what_cannot_be_taken_is_said_and_changes_nothing(open_page, file, note):
    page = open_page(Haar(picture()))
    before = drawn(page, 1)

    assert give(page, file) == note
    assert torch.equal(drawn(page, 1), before)
    assert not page.get_by_role("button", name="back to the first one").is_visible()


@pytest.mark.browser
def test_a_picture_of_the_readers_does_not_reach_a_kernel(open_page):
    """Of all that the figure sets in its model, none is the picture: with a live kernel, that would send it."""
    assert "change({ picture" not in Haar._esm and 'model.set("picture"' not in Haar._esm
    page = open_page(Haar(picture()), Haar(picture()))
    first = drawn(page, 3)
    page.get_by_label("Take your own picture").first.set_input_files(stored(picture(16, 16, seed=5).numpy()))
    page.locator(".own p").first.filter(has_text="mine.png").wait_for()

    assert torch.equal(drawn(page, 3), first)


# ---- for everyone -------------------------------------------------------------------------------


@pytest.mark.browser
def test_nothing_overflows_and_every_control_has_a_name_and_room_for_a_finger(open_page):
    page = open_page(Haar(), Haar(picture(16, 256), 4, dropped=["h1", "a4"], threshold=9))

    assert page.get_by_role("group", name="Bands of the Haar transform").count() == 2
    assert page.get_by_role("img", name="The bands: h1, a4 dropped").count() == 1
    assert page.get_by_role("img", name=re.compile("^Put together again: The rebuilt picture: PSNR")).count() == 1
    for name in ("steps", "threshold for the details"):
        assert page.get_by_role("slider", name=name).count() == 2
    for _ in at_widths(page):
        assert smallest(page, "slider", 4)["height"] >= 32
        for role, count in (("button", 4 + 13 + 4), ("radio", 4)):
            assert min(smallest(page, role, count).values()) >= 32
        # The shares stand within their buttons.
        wide = "(all) => all.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.textContent)"
        assert page.locator(".bands button").evaluate_all(wide) == []


@pytest.mark.browser
def test_two_on_a_page_have_a_state_each(open_page):
    page = open_page(Haar(picture()), Haar(picture()), Haar(picture(), 4))
    page.get_by_role("slider", name="steps").nth(1).press("End")
    page.locator(".bands button").first.press("Enter")

    assert page.locator(".slider b").all_inner_texts()[::2] == ["1", "4", "4"]
    assert page.locator(".bands [aria-pressed='false']").count() == 1
