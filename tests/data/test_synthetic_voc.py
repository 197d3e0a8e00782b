"""Drawn scenes of the twenty VOC classes: legal masks, a void border everywhere, VOC's balance, one seed one set."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from chapters_code.data.synthetic import SyntheticVOC, contours, scenes, things, voc
from chapters_code.data.synthetic.rng import Rng
from chapters_code.data.synthetic.sketches import SKETCHES
from chapters_code.data.synthetic.things import draw, sketch
from grids import every

CLASSES = ["background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"]
CLASSES += ["diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"]
SMALL = (72, 96)


@pytest.fixture(scope="module")
def masks():
    """Two hundred small scenes; the balance is asked of them."""
    return torch.stack([pair.mask for pair in SyntheticVOC(200, SMALL, seed=0)])


# ---- filling polygons ---------------------------------------------------------------------------


def inside_slowly(shape, size):
    """Count, for the middle of each pixel, the edges that lie on its left; in integers, edge by edge."""
    result = np.zeros(size, dtype=bool)
    for row, column in np.ndindex(size):
        x, y = column * 16 + 8, row * 16 + 8
        for contour in shape:
            for (x0, y0), (x1, y1) in zip(contour.tolist(), np.roll(contour, -1, axis=0).tolist(), strict=True):
                if y0 > y1:
                    x0, y0, x1, y1 = x1, y1, x0, y0
                if y0 <= y < y1 and x0 + (y - y0) * (x1 - x0) // (y1 - y0) <= x:
                    result[row, column] ^= True
    return result


@pytest.mark.parametrize("size", [(12, 17), (20, 9)])
def test_filling_equals_counting_edges_pixel_by_pixel(size):
    """Polygons that cross themselves, have holes and reach beyond the picture on each side."""
    chance = np.random.default_rng(0)
    for corners in (3, 4, 7, 12):
        for _ in range(5):
            shape = [chance.integers(-60, 340, (corners, 2)), chance.integers(20, 200, (4, 2))]
            np.testing.assert_array_equal(contours.fill(shape, size), inside_slowly(shape, size))


def test_a_rectangle_by_hand():
    """From x = 24 to 56 and y = 16 to 40 sixteenths: columns 1 and 2 (middles at 24 and 40), row 1 (middle at 24)."""
    rectangle = np.array([(24, 16), (56, 16), (56, 40), (24, 40)])

    assert np.argwhere(contours.fill([rectangle], (4, 6))).tolist() == [[1, 1], [1, 2]]


def test_neighbours_share_no_pixel_and_leave_none_out():
    """A square cut along any line: the two parts add up to the whole, each pixel once."""
    square = np.array([(0, 0), (320, 0), (320, 240), (0, 240)])
    for x0, x1 in ((16, 300), (320, 0), (100, 100), (8, 313)):
        left = contours.fill([np.array([(0, 0), (x0, 0), (x1, 240), (0, 240)])], (15, 20)).astype(int)
        right = contours.fill([np.array([(x0, 0), (320, 0), (320, 240), (x1, 240)])], (15, 20))
        np.testing.assert_array_equal(left + right, contours.fill([square], (15, 20)))


def test_a_disc_and_a_ring_have_their_areas():
    """Pi r^2, less 1 % for the 32 corners; a ring is the outer less the inner disc."""
    disc = contours.fill([contours.disc((800, 640), (480, 320))], (80, 100)).sum()
    ring = contours.fill(contours.ring((800, 640), (480, 480), 160), (80, 100)).sum()

    assert disc == pytest.approx(np.pi * 30 * 20, rel=0.02)
    assert ring == pytest.approx(np.pi * (30**2 - 20**2), rel=0.02)


def test_a_stroke_is_as_wide_as_its_pen_whatever_its_way():
    for end in ((1280, 160), (160, 960), (1280, 960), (960, 1200)):
        stroke = contours.fill([contours.line((160, 160), end, 96)], (90, 100))
        length = np.hypot(end[0] - 160, end[1] - 160) / 16

        assert stroke.sum() == pytest.approx(6 * (length + 4.5), rel=0.04)  # 4.5: both tips, cut at the corners
        assert ndimage.distance_transform_edt(stroke).max() == pytest.approx(3, abs=0.7)


# ---- the sketches -------------------------------------------------------------------------------


def test_each_class_of_voc_has_its_sketch():
    assert list(SKETCHES) == CLASSES[1:]
    assert SyntheticVOC.classes == tuple(CLASSES)


@every(name=SKETCHES)
def test_a_thing_is_as_tall_as_was_asked_and_fills_its_small_picture(name):
    for seed, height in enumerate((20, 75, 160)):
        thing = draw(name, height, Rng(seed))

        assert thing.image.shape == (3, *thing.mask.shape)
        assert height * 0.85 <= thing.mask.shape[0] <= height * 1.2  # it leans a little
        assert 0 <= thing.image.min() <= thing.image.max() <= 255
        for axis in (0, 1):  # corners are cut off by half a pen, so a few pixels may be left
            filled = np.flatnonzero(thing.mask.any(1 - axis))
            assert filled[0] <= 2 + height // 40 and filled[-1] >= thing.mask.shape[axis] - 4 - height // 40
            assert len(filled) >= filled[-1] - filled[0] - 1  # the tip of a leaf may slip between two pixels


@every(name=SKETCHES)
def test_every_ink_of_a_sketch_is_used_and_known(name):
    inks = sketch(name).inks

    assert {ink for ink, _ in sketch(name).shapes} == set(range(len(inks)))
    for ink in inks:
        relief = things._grain(ink.texture, Rng(0), (9, 14))
        assert (relief is None) == (ink.texture == "plain")
        assert relief is None or np.broadcast_to(relief, (9, 14)).std() > 2


def test_a_thing_has_many_looks():
    """It turns both ways, and its colours change."""
    cars = [draw("car", 60, Rng(seed)) for seed in range(16)]
    tops = [np.nonzero(draw("aeroplane", 60, Rng(seed)).mask[:10])[1].mean() for seed in range(16)]
    bodies = {tuple(thing.image[:, 34, 12] // 40) for thing in cars}

    assert len(bodies) >= 6
    assert len({thing.mask.shape for thing in cars}) >= 8
    assert min(tops) < 40 and max(tops) > 70  # the fin, in a drawing 90 to 115 wide: left or right


def test_through_a_wheel_one_sees_the_road():
    """Between the spokes there are holes: background enclosed by the bicycle."""
    mask = draw("bicycle", 200, Rng(1)).mask
    holes = ndimage.binary_fill_holes(mask) & ~mask

    assert holes.sum() > mask.sum() / 2


def test_no_two_classes_look_alike():
    """Their outlines alone, without a colour: one in ten places differs, or the form does; bus and sofa are nearest."""
    outlines = {}
    for name in SKETCHES:
        mask = draw(name, 64, Rng(0)).mask
        rows, columns = (np.linspace(0, side - 1, 16).astype(int) for side in mask.shape)
        grid = mask[np.ix_(rows, columns)]
        outlines[name] = (grid, mask.shape[1] / mask.shape[0])
    for one, (grid, form) in outlines.items():
        for other, (other_grid, other_form) in outlines.items():
            if one < other:
                different = min((grid != other_grid).mean(), (grid != other_grid[:, ::-1]).mean())
                assert different + abs(form - other_form) > 0.1, (one, other)


# ---- the masks ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_mask_values_are_legal_and_each_scene_has_void(masks):
    assert set(masks.unique().tolist()) == {*range(21), 255}
    assert (masks == 255).flatten(1).any(1).all()


def test_the_void_border_lies_between_any_two_regions(masks):
    """No pixel touches one of another number, by side or corner, unless one of the two is void."""
    for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
        neighbour = masks.roll(shift, (1, 2))
        differ = (masks != neighbour) & (masks != 255) & (neighbour != 255)
        rows = differ[:, shift[0] :]  # what came in from the other side does not count
        assert not (rows[..., 1:] if shift[1] > 0 else rows[..., :-1] if shift[1] < 0 else rows).any()


def test_the_void_border_is_five_pixels_wide_at_full_size():
    """By hand: one straight edge in a picture of 375 x 500, and one in a small picture."""
    for size, width in (((375, 500), 5), ((500, 333), 5), ((96, 128), 1), ((40, 260), 2)):
        things = np.zeros(size, dtype=np.uint8)
        things[:, size[1] // 2 :] = 1

        assert (voc.void_border(things).sum(axis=1) == width).all()
        assert (voc.void_border(things.T.copy()).sum(axis=0) == width).all()
        first, last = np.flatnonzero(voc.void_border(things)[0])[[0, -1]]
        assert first <= size[1] // 2 <= last + 1


def test_a_void_border_reaches_the_rim_but_does_not_frame_the_picture():
    things = np.ones((90, 120), dtype=np.uint8)

    assert not voc.void_border(things).any()


def test_two_things_of_one_class_are_parted_by_void_too():
    """As in VOC, where two sheep that touch have a line between them: 1 and 2 are things, not classes."""
    things = np.array([[1, 1, 1, 2, 2, 2]] * 3, dtype=np.uint8)

    assert voc.void_border(things).tolist() == [[False, False, True, False, False, False]] * 3


def test_the_border_is_drawn_around_things_and_not_around_classes(monkeypatch):
    """In some scene there are more things than classes, and it is their map that the border is taken from."""
    maps, border = [], voc.void_border
    monkeypatch.setattr(voc, "void_border", lambda things: maps.append(things) or border(things))
    scenes_here = SyntheticVOC(20, SMALL, seed=0)
    kinds = [len(set(pair.mask.unique().tolist()) - {0, 255}) for pair in scenes_here]

    assert any(len(np.unique(things)) - 1 > kind for things, kind in zip(maps, kinds, strict=True))
    for drawn, pair in zip(maps, scenes_here, strict=False):
        np.testing.assert_array_equal(border(drawn), pair.mask == 255)


# ---- the balance --------------------------------------------------------------------------------


@pytest.mark.slow
def test_images_per_class_are_as_in_voc(masks):
    """Of the 410 real pairs people are in 171 (42 %); the others are in 19 (cow) to 45 (chair): 4.6 % to 11 %."""
    share = {name: (masks == k).flatten(1).any(1).float().mean().item() for k, name in enumerate(CLASSES)}

    assert share["background"] == 1
    assert 0.3 <= share.pop("person") <= 0.5
    del share["background"]
    assert min(share.values()) >= 0.04 and max(share.values()) <= 0.12, share


def test_background_is_three_quarters_of_the_counted_pixels(masks):
    """73 % in the real pairs, and 5 % of all pixels are void."""
    counted = masks != 255

    assert 0.68 < (masks[counted] == 0).float().mean() < 0.78
    assert 0.02 < 1 - counted.float().mean() < 0.09


def test_scenes_hold_one_class_or_several(masks):
    """In the real pairs: 49 % one class, 36 % two, 16 % three or four."""
    kinds = torch.tensor([len(set(mask.unique().tolist()) - {0, 255}) for mask in masks])

    assert set(kinds.tolist()) <= {1, 2, 3, 4}
    assert 0.35 < (kinds == 1).float().mean() < 0.65
    assert (kinds >= 3).float().mean() > 0.04


@pytest.mark.slow
def test_twenty_scenes_in_a_row_hold_every_class():
    """The main part goes round; whatever stands before it, some of it is seen."""
    for seed in range(3):
        scenes_of_seed = SyntheticVOC(40, SMALL, seed)
        for start in (0, 20):
            seen = set()
            for i in range(start, start + 20):
                seen |= set(scenes_of_seed[i].mask.unique().tolist())
            assert seen == {*range(21), 255}


@pytest.mark.slow
def test_sizes_are_those_of_voc():
    """Longest side 500; lying three times of four (in the real pairs 410 - 60 of 410 lie)."""
    sizes = [tuple(pair.mask.shape) for pair in SyntheticVOC(30, seed=1)]

    assert {max(size) for size in sizes} == {500}
    assert {min(size) for size in sizes} == {375, 333}
    assert 0.6 < sum(size[0] < size[1] for size in sizes) / 30 < 0.95


# ---- the images ---------------------------------------------------------------------------------


def test_a_thing_is_where_its_mask_says(monkeypatch):
    """The same scene with its things not pasted: far from the mask nothing but shadows differs, inside much does."""
    with_things = SyntheticVOC(8, (240, 320), seed=5)
    pairs = [with_things[i] for i in range(8)]
    monkeypatch.setattr(voc, "paste", lambda *_: None)
    for i, pair in enumerate(pairs):
        empty = with_things[i].image
        change = (pair.image.int() - empty.int()).abs().sum(0)
        ground = pair.mask == 0

        assert (change[(pair.mask > 0) & (pair.mask < 255)] > 12).float().mean() > 0.85
        assert (change[ground] == 0).all()  # the void border is as wide as the blur


def test_softening_is_the_binomial_filter():
    """SciPy is the reference: 1 2 1 in both ways, the rim repeated."""
    picture = np.random.default_rng(0).integers(0, 256, (3, 9, 14)).astype(float)
    kernel = np.array([1, 2, 1])
    expected = np.stack([ndimage.correlate(c.astype(int), np.outer(kernel, kernel), mode="nearest") for c in picture])

    np.testing.assert_array_equal(scenes.soften(picture), expected // 16)
    assert scenes.soften(picture * 3 - 200).dtype == np.uint8  # cut off at both ends, not wrapped
    np.testing.assert_array_equal(scenes.soften(np.full((3, 4, 5), 999.0)), 255)


def test_pasting_cuts_off_what_lies_outside():
    """By hand: a block of 2 x 3 at four corners of a picture of 4 x 5, and wholly outside."""
    block, mask = np.full((1, 2, 3), 7), np.ones((2, 3), dtype=bool)
    for place, seen in (((-1, -1), 2), ((3, 3), 2), ((-1, 3), 2), ((3, -1), 2), ((1, 1), 6), ((4, 0), 0), ((0, -3), 0)):
        picture = np.zeros((1, 4, 5), dtype=int)
        scenes.paste(picture, block, mask, place)
        rows, columns = np.nonzero(picture[0])

        assert picture.sum() == 7 * seen
        assert all(place[0] <= row < place[0] + 2 for row in rows)
        assert all(place[1] <= column < place[1] + 3 for column in columns)


@every(kind=scenes.SCENES, size=[(60, 80), (375, 500), (16, 40)])
def test_a_scene_has_no_place_without_texture(kind, size):
    picture, horizon = scenes.scene(kind, size, Rng(1))

    assert picture.shape == (3, *size)
    assert 0 < horizon <= size[0]
    assert np.isfinite(picture).all()
    assert 40 < picture.mean() < 230
