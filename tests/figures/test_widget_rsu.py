"""The figure *RSU builder*: its settings, and in a real browser the numbers, which are Python's."""

import itertools
from xml.etree import ElementTree

import pytest
import torch
from torch import nn

from browsing import at_widths, call, plain, smallest, table_of
from chapters_code.blocks import PlainBlock, ResidualBlock
from chapters_code.receptive_field import Fields, receptive_field
from chapters_code.u2net import RSU
from chapters_code.widgets.rsu import RSUBuilder

BLOCKS = ("rsu", "plain", "residual")
KINDS = list(itertools.product(range(2, 9), (False, True)))  # height, dilated
# Tiny, odd, powers of two and beside them; never square only.
SIZES = [(1, 1), (1, 2), (2, 5), (3, 9), (13, 21), (17, 16), (20, 33), (45, 62)]


def builder(height, dilated, size, channels=(3, 4, 6)):
    return RSUBuilder(height, *channels, dilated, *size)


# ---- as Python holds it -------------------------------------------------------------------------


def test_the_convolutions_of_a_small_block_by_hand():
    """Height 4 halves twice, 13 × 21 to 7 × 11 and 4 × 6; the bottom stays there, with rate 2."""
    assert RSUBuilder(4, 3, 2, 5, map_height=13, map_width=21).convolutions == [
        (3, 5, 1, 13, 21),
        (5, 2, 1, 13, 21),
        (2, 2, 1, 7, 11),
        (2, 2, 1, 4, 6),
        (2, 2, 2, 4, 6),
        (4, 2, 1, 4, 6),
        (4, 2, 1, 7, 11),
        (4, 5, 1, 13, 21),
    ]
    assert RSUBuilder(3, 3, 2, 5, True, 13, 21).convolutions == [
        (3, 5, 1, 13, 21),
        (5, 2, 1, 13, 21),
        (2, 2, 2, 13, 21),
        (2, 2, 4, 13, 21),
        (4, 2, 2, 13, 21),
        (4, 5, 1, 13, 21),
    ]


@pytest.mark.parametrize(("height", "dilated"), KINDS)
def test_numbers_are_the_sums_over_the_boxes(height, dilated):
    """Nine taps, a bias and two numbers of the norm; each box's own map."""
    figure = builder(height, dilated, (13, 21))
    boxes = figure.convolutions

    assert len(boxes) == 2 * height
    assert figure.parameters["rsu"] == sum(
        9 * one.in_channels * one.out_channels + 3 * one.out_channels for one in boxes
    )
    assert figure.multiply_adds["rsu"] == sum(
        9 * one.in_channels * one.out_channels * one.height * one.width for one in boxes
    )


def test_the_other_blocks_by_hand():
    """3 → 4 → 6, and 3 → 6 → 4 → 6, on 5 × 7."""
    figure = builder(2, False, (5, 7))

    assert (
        figure.parameters["plain"]
        == 9 * (12 + 24) + 3 * (4 + 6)
        == sum(one.numel() for one in PlainBlock(3, 4, 6).parameters())
    )
    assert (
        figure.parameters["residual"]
        == 9 * (18 + 24 + 24) + 3 * (6 + 4 + 6)
        == sum(one.numel() for one in ResidualBlock(3, 4, 6).parameters())
    )
    assert figure.multiply_adds["plain"] == 9 * (12 + 24) * 35
    assert figure.multiply_adds["residual"] == 9 * (18 + 24 + 24) * 35


@pytest.mark.slow
def test_parameters_grow_by_a_line_and_multiply_adds_of_even_sides_not_at_all():
    """A level more has 1 + 2 + 1 times the work of a convolution of a quarter of the size: that of the old bottom."""
    figures = [RSUBuilder(height, map_height=320, map_width=192) for height in range(2, 9)]
    parameters = [one.parameters["rsu"] for one in figures]

    assert {after - before for before, after in itertools.pairwise(parameters)} == {27840}
    assert len({one.multiply_adds["rsu"] for one in figures}) == 1
    odd = [RSUBuilder(height, map_height=45, map_width=61).multiply_adds["rsu"] for height in range(2, 9)]
    assert odd == sorted(odd) and odd[0] < odd[-1]  # rounding up costs something


@pytest.mark.slow
@pytest.mark.parametrize(
    ("height", "dilated", "size"),
    [(2, False, (9, 14)), (3, False, (7, 10)), (5, False, (100, 61)), (7, False, (320, 288)), (8, False, (40, 90)),
     (4, True, (20, 33))],
)  # fmt: skip
def test_fields_are_those_of_the_book(height, dilated, size):
    figure = builder(height, dilated, size)

    assert figure.fields["rsu"] == receptive_field(RSU(height, 3, 4, 6, dilated), size).size
    assert figure.fields["plain"] == (5, 5) and figure.fields["residual"] == (7, 7)


def test_the_field_of_a_dilated_block_is_a_sum():
    """Two pixels per rate: the first, 1 to 8 down, 4 to 1 up."""
    assert builder(4, True, (20, 33)).fields["rsu"] == (47, 47) == (1 + 2 * (1 + 1 + 2 + 4 + 8 + 4 + 2 + 1),) * 2


def test_asking_for_numbers_leaves_chance_as_it_was():
    before = torch.get_rng_state()
    figure = RSUBuilder(3, map_height=11)

    assert figure.parameters and figure.multiply_adds and figure.fields and figure.description and figure.still()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"height": 1}, "height must be an integer from 2 to 8, got 1"),
        ({"height": 9}, "height must be .* got 9"),
        ({"height": 4.5}, "height must be .* got 4.5"),
        ({"in_channels": 0}, "in_channels must be an integer from 1 to 1024, got 0"),
        ({"in_channels": 1025}, "in_channels must be .* got 1025"),
        ({"mid_channels": 513}, "mid_channels must be an integer from 1 to 512, got 513"),
        ({"out_channels": "64"}, "out_channels must be an integer from 1 to 512, got '64'"),
        ({"map_height": 0}, "map_height must be an integer from 1 to 512, got 0"),
        ({"map_width": 513}, "map_width must be an integer from 1 to 512, got 513"),
        ({"dilated": 1}, "dilated must be True or False, got 1"),
        ({"dilated": "no"}, "dilated must be True or False, got 'no'"),
    ],
)
def test_bad_settings_are_refused_with_the_cure(settings, message):
    with pytest.raises(ValueError, match=message):
        RSUBuilder(**settings)


def test_the_state_is_that_of_rsu_js():
    assert RSUBuilder().state() == {
        "dilated": False, "height": 5, "in_channels": 3, "map_height": 288, "map_width": 288, "mid_channels": 32,
        "out_channels": 64,
    }  # fmt: skip


def test_the_description_says_the_essentials():
    assert RSUBuilder(map_height=13, map_width=20).description == (
        "RSU-5 with 3 channels in, 32 inside and 64 out, on a map of 13 × 20: 10 convolutions one after the other, on"
        " maps of 13 × 20, 7 × 10, 4 × 5, 2 × 3, with dilations 1, 1, 1, 1, 2 on the way down; 150,336 parameters,"
        " 17,535,744 multiply-adds, and a field of 112 × 120 for the middle pixel."
    )
    assert RSUBuilder(4, dilated=True, map_height=20, map_width=20).description == (
        "RSU-4F with 3 channels in, 32 inside and 64 out, on a map of 20 × 20: 8 convolutions one after the other, all"
        " on this size, with dilations 1, 2, 4, 8 on the way down; 122,496 parameters, 48,614,400 multiply-adds, and a"
        " field of 47 × 47 for the middle pixel."
    )


@pytest.mark.parametrize(("height", "dilated", "alone"), [(2, False, 0), (5, False, 0), (7, False, 3), (5, True, 0)])
def test_the_still_picture_has_a_box_for_each_convolution(height, dilated, alone):
    """Down on the left, the bottom in the middle, up on the right; dashed where only the centre counts."""
    figure = RSUBuilder(height, 3, 4, 6, dilated, 20, 31)
    parts = list(ElementTree.fromstring(figure.still()).iter())
    boxes = [one.attrib for one in parts if one.tag.endswith("rect")][1:]
    texts = [one.text for one in parts if one.tag.endswith("text")]
    places = [(float(one["x"]), float(one["y"])) for one in boxes]
    down, bottom, up = places[:height], places[height], places[height + 1 :]

    assert len({x for x, _ in down}) == len({x for x, _ in up}) == 1 and down[0][0] < bottom[0] < up[0][0]
    assert [y for _, y in (*down, bottom)] == sorted({y for _, y in places})
    assert [y for _, y in up] == [y for _, y in reversed(down[1:])]  # each beside its own
    assert sum("stroke-dasharray" in one for one in boxes) == alone
    assert texts[:-1:2] == [f"{one.height} × {one.width}" for one in figure.convolutions]
    assert texts[1] == "3 → 6" and texts[2 * height + 1].startswith("4 → 4, rate ") and texts[-1] == "+"


# ---- in a browser -------------------------------------------------------------------------------


class OfOneSize(nn.Module):
    """A block that runs on one size alone, so that its field is that of this very map."""

    def __init__(self, block, size):
        super().__init__()
        self.block, self.size = block, size

    def forward(self, x):
        if tuple(x.shape[-2:]) != self.size:
            raise ValueError(f"this map is {self.size}")
        return self.block(x)


@pytest.mark.browser
def test_boxes_and_counts_are_pythons(blank):
    """Integers, so exactly: each convolution of the RSU, and the sums of all three blocks."""
    figures = [builder(*kind, SIZES[i % len(SIZES)]) for i, kind in enumerate(KINDS)]
    figures += [builder(*kind, (512, 301), (1024, 256, 512)) for kind in KINDS[1::5]]
    found = call(blank, "rsu.js", "convolutionsOf", [[one.state()] for one in figures])
    counts = {
        name: call(blank, "rsu.js", function, [[one[block]] for one in found for block in BLOCKS])
        for name, function in (("parameters", "parametersOf"), ("multiply_adds", "multiplyAddsOf"))
    }

    for figure, blocks in zip(figures, found, strict=True):
        names = ("from", "to", "rate", "height", "width")
        assert [tuple(one[name] for name in names) for one in blocks["rsu"]] == figure.convolutions, figure
        assert [len(blocks[name]) for name in BLOCKS] == [2 * figure.height, 2, 3]
    for name, numbers in counts.items():
        assert numbers == [getattr(one, name)[block] for one in figures for block in BLOCKS]


@pytest.mark.browser
@pytest.mark.parametrize(("height", "dilated"), KINDS)
def test_fields_are_pythons(blank, height, dilated):
    """As if the map went on: for pixels in other places of their blocks of 2, 4, 8 and so on."""
    sizes = [(64, 35)] if dilated else [(128, 27), (62, 41)]
    figures = [builder(height, dilated, size) for size in sizes]
    found = call(blank, "rsu.js", "fieldsOf", [[one.state()] for one in figures])

    for figure, fields in zip(figures, found, strict=True):
        assert {name: tuple(one["whole"]) for name, one in fields.items()} == figure.fields, figure


@pytest.mark.browser
@pytest.mark.parametrize(("height", "dilated"), KINDS)
def test_what_is_seen_of_the_map_is_pythons(blank, height, dilated):
    """In the middle and in corners, on maps of odd sides, too small for the block, of one pixel; there are no holes."""
    cases, expected = [], []
    for rows, columns in SIZES:
        fields = Fields(OfOneSize(RSU(height, 1, 1, 1, dilated), (rows, columns)), (rows, columns))
        for pixel in {(rows // 2, columns // 2), (0, columns - 1)}:
            field = fields.at(*pixel)
            touched = [field.touched.any(dim=axis).nonzero().flatten().tolist() for axis in (1, 0)]
            assert field.touched.sum() == len(touched[0]) * len(touched[1])
            for side, at, seen in zip((rows, columns), pixel, touched, strict=True):
                assert seen == list(range(seen[0], seen[-1] + 1))
                cases.append([{"height": height, "dilated": dilated}, side, at])
                expected.append([seen[0], seen[-1]])

    assert call(blank, "rsu.js", "seenBy", cases) == expected


@pytest.mark.browser
def test_the_numbers_on_the_map_are_the_middle_pixels(blank):
    """Also of the plain and the residual block, cut by the rim."""
    figures = [builder(3, False, size) for size in SIZES]
    found = call(blank, "rsu.js", "fieldsOf", [[one.state()] for one in figures])
    blocks = {"rsu": RSU(3, 1, 1, 1), "plain": PlainBlock(1, 1, 1), "residual": ResidualBlock(1, 1, 1)}

    for size, fields in zip(SIZES, found, strict=True):
        for name, block in blocks.items():
            assert tuple(fields[name]["here"]) == receptive_field(OfOneSize(block, size), size).size, (size, name)


@pytest.mark.browser
def test_the_picture_is_described_in_pythons_words(blank):
    figures = [builder(*kind, (20, 33) if kind[0] % 3 else (1, 1), (64, 16, 64)) for kind in KINDS]
    found = call(blank, "rsu.js", "describe", [[one.state()] for one in figures])

    assert found == [one.description for one in figures]


@pytest.mark.browser
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            (),
            [
                "RSU-5: 150,336 parameters, and a field of 112 × 112.",
                "From height 4 to 5: 27,840 parameters and 0 multiply-adds more, and a field of 112 × 112, not"
                " 56 × 56.",
                "All 10 kernels have more than their centre on the map.",
            ],
        ),
        (
            (2, 64, 16, 64, False, 1, 1),
            [
                "RSU-2: 67,296 parameters, and a field of 11 × 11.",
                "The lowest RSU. It halves nothing, so it is the same dilated or not.",
                "The map is 1 × 1: nothing is left to halve. Of 4 of the 4 kernels, only the centre is on the map"
                " (dashed).",
            ],
        ),
        (
            (8, 512, 256, 512, False, 20, 13),
            [
                "RSU-8: 17,118,720 parameters, and a field of 960 × 960.",
                "From height 7 to 8: 1,771,008 parameters and 1.8 million multiply-adds more, and a field of 960 × 960,"
                " not 480 × 480.",
                "After 5 halvings the map is 1 × 1: nothing is left to halve. Of 5 of the 16 kernels, only the centre"
                " is on the map (dashed).",
            ],
        ),
        (
            (6, 512, 256, 512, True, 20, 10),
            [
                "RSU-6F: 13,576,704 parameters, and a field of 191 × 191.",
                "From height 5 to 6: 1,771,008 parameters and 353.9 million multiply-adds more, and a field of"
                " 191 × 191, not 95 × 95.",
                "Of 1 of the 12 kernels, only the centre is on the map (dashed).",
            ],
        ),
    ],
)
def test_the_sentences_are_true(blank, settings, said):
    (found,) = call(blank, "rsu.js", "sentences", [[RSUBuilder(*settings).state()]])

    assert [plain(one) for one in found] == said


@pytest.mark.browser
def test_the_halvings_that_a_map_can_take_are_counted(blank):
    """An RSU of height 8 halves six times: enough for sides up to 64; the larger side decides."""
    sides = [1, 2, 3, 4, 5, 8, 9, 16, 17, 31, 32, 33, 63, 64, 65]
    figures = [builder(8, False, size) for side in sides for size in ((side, 1), (side // 2 + 1, side))]
    found = [plain(one[2]) for one in call(blank, "rsu.js", "sentences", [[one.state()] for one in figures])]

    for figure, text in zip(figures, found, strict=True):
        halvings = (max(figure.map_height, figure.map_width) - 1).bit_length()
        times = f"After {halvings} halving{'s' * (halvings > 1)} the map is" if halvings else "The map is"
        assert text.startswith(f"{times} 1 × 1: nothing") == (halvings <= 6)
    assert figures[-4].convolutions[8][3:] == (1, 1) and figures[-2].convolutions[8][3:] == (2, 1)


@pytest.mark.browser
def test_large_counts_are_short(blank):
    counts = [0, 999, 150_336, 999_999, 1_000_000, 5_494_210_560, 123_450_000]

    assert call(blank, "rsu.js", "short", [[one] for one in counts]) == [
        "0", "999", "150,336", "999,999", "1.0 million", "5.5 billion", "123.5 million",
    ]  # fmt: skip


def short(count):
    size, unit = (1e9, " billion") if count >= 1e9 else (1e6, " million")
    return f"{count:,}" if count < 1e6 else f"{count / size:.1f}{unit}"


@pytest.mark.browser
def test_the_page_follows_the_keyboard(open_page):
    """Every control by keys alone; after each, the page says what Python computes."""
    page = open_page(RSUBuilder())
    state = RSUBuilder().state()

    def agree(**changes):
        state.update(changes)
        figure = RSUBuilder(**state)
        parameters, work, fields, here, layers = table_of(page)
        assert parameters == [short(figure.parameters[name]) for name in BLOCKS]
        assert work == [short(figure.multiply_adds[name]) for name in BLOCKS]
        assert fields == ["{} × {}".format(*figure.fields[name]) for name in BLOCKS]
        assert here[1:] == ["5 × 5", "7 × 7"] and layers == [str(2 * figure.height), "2", "3"]
        assert page.locator("thead th").all_inner_texts()[0] == figure.description.split()[0]
        assert page.get_by_role("img").get_attribute("aria-label") == figure.description
        assert page.locator(".box").count() == 2 * figure.height + 1  # and the sum

    def press(name, key, role="radio"):
        page.get_by_role(role, name=name, exact=True).press(key)

    agree()
    press("height", "ArrowRight", "slider")
    agree(height=6)
    press("En1: 3–32–64", "ArrowRight")
    agree(in_channels=64, mid_channels=32, out_channels=128)
    press("En2: 64–32–128", "ArrowRight")
    agree(in_channels=128, mid_channels=64, out_channels=256)
    press("288 × 288", "ArrowRight")
    agree(map_height=160, map_width=240)
    press("160 × 240", "ArrowRight")
    agree(map_height=45, map_width=61)
    press("height", "Home", "slider")
    agree(height=2)
    press("height", "PageUp", "slider")
    agree(height=int(page.locator(".slider b").inner_text()))
    press("halved", "ArrowRight")
    agree(dilated=True)
    press("dilated", "ArrowLeft")
    agree(dilated=False)


@pytest.mark.browser
@pytest.mark.parametrize(("height", "dilated", "size"), [(2, False, (9, 9)), (7, False, (20, 31)), (6, True, (20, 10))])
def test_the_drawing_is_the_still_picture_with_arrows(open_page, height, dilated, size):
    """Same boxes, in the same places; blue where sizes change; the bars are shares of the largest work."""
    figure = builder(height, dilated, size)
    page = open_page(figure)
    still = [one.attrib for one in ElementTree.fromstring(figure.still()).iter() if one.tag.endswith("rect")][1:]
    names = ("x", "y", "width", "height")

    def boxes(selector):
        found = page.locator(f"svg rect.{selector}").all()
        return [[float(one.get_attribute(name)) for name in names] for one in found]

    assert boxes("box") == [[float(one[name]) for name in names] for one in still]
    dashed = page.locator("svg rect.box").evaluate_all("all => all.map((one) => one.matches('.alone'))")
    assert dashed == ["stroke-dasharray" in one for one in still]
    assert dashed == [one.rate >= max(one.height, one.width) for one in figure.convolutions]

    halvings = 0 if dilated else height - 2
    assert page.locator(".line.halved").count() == page.locator(".tip.halved").count() == 2 * halvings
    # In, across from the first box, 3 for each level but the bottom, 2 around the bottom, out.
    assert page.locator(".line").count() == 2 + 3 * (height - 1) + 3

    work = [one.in_channels * one.out_channels * one.height * one.width for one in figure.convolutions]
    assert [bar[2] / 128 for bar in boxes("share")] == pytest.approx([one / max(work) for one in work])
    shown = [plain(one) for one in page.locator("svg text.size").all_text_contents()]
    assert shown == [f"{one.height} × {one.width}" for one in figure.convolutions]
    lines = [text.text for text in ElementTree.fromstring(figure.still()).iter() if text.tag.endswith("text")][1:-1:2]
    assert page.locator("svg text:not(.size)").all_text_contents()[-2 * height :] == lines


@pytest.mark.browser
def test_arrows_end_at_boxes(open_page):
    """Each tip lies on the rim of a box or of the sum, but for the one that leaves the block."""
    page = open_page(builder(5, False, (20, 31)))
    tips = page.locator("svg .tip").evaluate_all("all => all.map((one) => one.getAttribute('d'))")
    rects = page.locator("svg rect.box").evaluate_all(
        "all => all.map((one) => ['x', 'y', 'width', 'height'].map((name) => Number(one.getAttribute(name))))"
    )
    circle = [float(page.locator("svg circle").get_attribute(name)) for name in ("cx", "cy", "r")]

    def on_a_rim(x, y):
        ends = [(x - left, y - top, left + wide - x, top + tall - y) for left, top, wide, tall in rects]
        around = abs(((x - circle[0]) ** 2 + (y - circle[1]) ** 2) ** 0.5 - circle[2]) < 0.01
        return around or any(abs(min(one)) < 0.01 for one in ends)

    points = [tuple(map(float, tip.split("L")[0][1:].split())) for tip in tips]
    assert [point for point in points if not on_a_rim(*point)] == [(circle[0], 2)]


@pytest.mark.browser
def test_nothing_overflows_and_every_control_has_room_for_a_finger(open_page):
    """Also with the longest texts that a box can hold."""
    figures = RSUBuilder(), RSUBuilder(8, 1024, 512, 512, True, 512, 300), RSUBuilder(7, 512, 256, 512, False, 1, 9)
    page = open_page(*figures)

    assert page.get_by_role("group", name="RSU builder").count() == 3
    beyond = """all => all.flatMap((svg) => {
            const boxes = [...svg.querySelectorAll("rect.box, circle")].map((one) => one.getBBox());
            const view = svg.viewBox.baseVal;
            return [...svg.querySelectorAll("text")].filter((text) => {
                const {x, y, width, height} = text.getBBox();
                const within = ({x: left, y: top, width: wide, height: tall}) =>
                    left <= x && x + width <= left + wide && top <= y + 2 && y + height - 3 <= top + tall;
                const apart = (box) => x + width < box.x || box.x + box.width < x || y + height < box.y
                    || box.y + box.height < y + 2;
                return !within(view) || !(boxes.some(within) || boxes.every(apart));
            }).map((text) => text.textContent);
        })"""
    for _ in at_widths(page):
        for table in page.locator("table").all():
            box, cell = table.bounding_box(), table.locator("xpath=..").bounding_box()
            assert box["width"] <= cell["width"] + 0.5
        assert smallest(page, "slider", 3)["height"] >= 32
        assert min(smallest(page, "radio", 45).values()) >= 28
        assert page.locator("svg").evaluate_all(beyond) == []


@pytest.mark.browser
def test_two_on_a_page_have_a_state_each(open_page):
    page = open_page(RSUBuilder(3), RSUBuilder(3), RSUBuilder(4))
    page.get_by_role("slider", name="height").nth(1).press("End")
    page.get_by_role("radio", name="dilated").nth(2).press("Space")

    assert page.locator(".slider b").all_inner_texts() == ["3", "8", "4"]
    assert page.locator("thead th:first-of-type").all_inner_texts() == ["RSU-3", "RSU-8", "RSU-4F"]
    assert page.locator("input[type=radio]:checked").count() == 9  # the groups of one figure are not another's
