"""Drawn roads: the mask is exactly what was painted, and one seed is one road everywhere."""

import hashlib
import sys

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.testing import assert_close

from chapters_code.data.pairs import Pair
from chapters_code.data.synthetic import (
    DISTRACTORS,
    SURFACES,
    SyntheticCracks,
    cracked_road,
    cracks,
    pavement,
    textures,
)
from chapters_code.data.synthetic.rng import Rng
from grids import every

SIZES = [(96, 128), (64, 40), (16, 200), (130, 17)]
EIGHT = np.ones((3, 3))  # neighbours by side or corner


def mask_of(*args, **kwargs):
    return cracked_road(*args, **kwargs).mask.numpy().astype(bool)


# ---- what comes out -----------------------------------------------------------------------------


@every(size=SIZES, surface=SURFACES)
def test_image_and_mask_have_the_form_of_the_real_sets(size, surface):
    road = cracked_road(size, crack_width=2, surface=surface)

    assert isinstance(road, Pair)
    assert road.image.shape == (3, *size)
    assert road.image.dtype == torch.uint8
    assert road.mask.shape == size
    assert road.mask.dtype == torch.int64
    assert road.mask.unique().tolist() == [0, 1]


@pytest.mark.slow
@every(size=SIZES, crack_width=[1, 2, 5, 9], bright=[False, True])
def test_the_mask_is_exactly_what_was_painted(size, crack_width, bright):
    """The bare road is the reference: other pixels equal it, crack pixels differ in every channel."""
    for seed in range(5):
        options = {"seed": seed, "distractors": DISTRACTORS}
        bare = cracked_road(size, 0, **options)
        image, mask = cracked_road(size, crack_width, branches=2, bright=bright, **options)

        change = image.int() - bare.image.int()
        changed = change > 0 if bright else change < 0
        assert not bare.mask.any()
        assert_close(changed, mask.bool().expand(3, *size))
        assert not change[:, mask == 0].any()


def test_a_dark_crack_is_darker_than_its_road_by_a_third_or_more():
    """Not just by one grey level: the crack must be seen (floor adds at most one level)."""
    bare, (image, mask) = cracked_road(crack_width=0, seed=3), cracked_road(seed=3)

    assert (image[:, mask == 1] <= bare.image[:, mask == 1] * (2 / 3)).all()


def test_stones_are_the_installed_gravel_four_times_smaller():
    """scikit-image's own block average is the reference."""
    data, transform = pytest.importorskip("skimage.data"), pytest.importorskip("skimage.transform")
    small = transform.downscale_local_mean(data.gravel(), (4, 4))
    stones = textures.photograph("gravel", 4)

    np.testing.assert_allclose(stones[:128, :128], (small - small.mean()) / small.std(), atol=1e-9)
    np.testing.assert_array_equal(stones, stones[::-1])  # a mirror: both ends meet without a seam
    np.testing.assert_array_equal(stones, stones[:, ::-1])


@pytest.mark.parametrize("surface", SURFACES)
def test_surfaces_have_their_tone_and_no_clipped_pixel(surface):
    images = torch.stack([cracked_road((64, 96), 0, seed, surface=surface, distractors=()).image for seed in range(20)])
    tone = torch.tensor(SURFACES[surface][0], dtype=torch.float32)

    assert_close(images.float().mean(dim=(0, 2, 3)), tone, rtol=0, atol=6)  # each road is up to 18 off
    assert images.float().std(dim=(2, 3)).min() > 8  # stones are seen
    assert ((images == 32) | (images == 223)).float().mean() < 0.001


def test_whatever_the_stones_there_is_room_for_darker_and_brighter(monkeypatch):
    """Stones forty times as harsh as the photograph's still leave every crack pixel its difference."""
    harsh = np.where(np.add.outer(np.arange(60), np.arange(60)) % 2, 40.0, -40.0)
    monkeypatch.setattr(textures, "photograph", lambda *_: harsh)
    bare = cracked_road((24, 36), 0).image
    bright, mask = cracked_road((24, 36), 3, bright=True)

    assert (bare.min().item(), bare.max().item()) == (32, 223)
    assert (bright[:, mask == 1] > bare[:, mask == 1]).all()


# ---- the crack ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_a_crack_of_width_one_is_one_pixel_in_each_row_or_column(size):
    """One per step and no gap: so 8-connected, without any 2 x 2 block, and its own skeleton."""
    morphology = pytest.importorskip("skimage.morphology")
    for seed in range(20):
        mask = mask_of(size, 1, seed)

        assert (mask.sum(0) == 1).all() or (mask.sum(1) == 1).all()
        assert ndimage.label(mask, EIGHT)[1] == 1
        assert not ndimage.binary_erosion(mask, np.ones((2, 2))).any()
        np.testing.assert_array_equal(morphology.skeletonize(mask), mask)


@pytest.mark.parametrize("crack_width", range(2, 10))
def test_a_crack_is_as_wide_as_its_brush(crack_width):
    """At its widest the brush fits; nowhere is it thinner than two thirds, or fits a square 2 larger."""
    brush = cracks._brush(crack_width, 200) > 0
    square = np.ones((crack_width + 2, crack_width + 2))
    for seed in range(10):
        mask = mask_of((96, 128), crack_width, seed)
        across = mask.sum(0) if mask.any(0).all() else mask.sum(1)

        assert ndimage.binary_erosion(np.pad(mask, 9, mode="edge"), brush).any()
        assert across.min() >= crack_width - crack_width // 3
        assert not ndimage.binary_erosion(mask, square).any()
        # The distance from the middle line to the pavement is half a width, and a little more at bends.
        assert ndimage.distance_transform_edt(np.pad(mask, 9, mode="edge")).max() <= crack_width / 2 + 1.5


def test_brush_of_five_by_hand():
    """A square without its four corners; lit half at the rim."""
    expected = [[0, 80, 80, 80, 0], [80, 80, 100, 80, 80], [80, 100, 100, 100, 80]]
    expected += expected[1::-1]

    assert cracks._brush(5, 100).tolist() == expected


@pytest.mark.slow
@every(size=SIZES, crack_width=[1, 3, 9])
def test_main_crack_and_branches_are_one_piece_from_edge_to_edge(size, crack_width):
    """A crack that left the picture and came back would be two pieces."""
    for seed in range(20):
        main = mask_of(size, crack_width, seed)
        mask = mask_of(size, crack_width, seed, branches=4)

        assert (main[0].any() and main[-1].any()) or (main[:, 0].any() and main[:, -1].any())
        assert ndimage.label(mask, EIGHT)[1] == 1
        assert mask[main].all()


def test_a_crack_that_leaves_the_picture_does_not_come_back():
    """By hand: three pixels inside, two above the picture, then inside again on the other side."""
    canvas = np.zeros((16 + 2 * cracks._RIM, 20 + 2 * cracks._RIM), dtype=np.int64)
    path = np.array([[2, 4], [1, 5], [0, 6], [-1, 7], [-1, 8], [0, 9], [1, 10]])
    cracks._paint(canvas, Rng(0), path, np.ones(7, dtype=np.int64))

    assert (np.argwhere(canvas) - cracks._RIM).tolist() == [[0, 6], [1, 5], [2, 4]]


def test_each_branch_adds_crack_pixels():
    areas = [sum(mask_of((96, 128), 5, seed, branches=n).sum() for seed in range(10)) for n in range(4)]

    assert all(more > less + 10 * 24 for less, more in zip(areas, areas[1:], strict=False))  # 24: shortest


def test_cracks_run_both_ways_and_wander():
    masks = [mask_of((64, 96), 1, seed) for seed in range(30)]
    down = [mask for mask in masks if (mask.sum(1) == 1).all()]

    assert 5 < len(down) < 25
    # A straight line would cover one column for each of 64 rows at slope 0; these leave it.
    assert sum(mask.any(0).sum() > 8 for mask in down) > len(down) / 2


# ---- distractors --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sign", "share"),
    [("shadow", -1, (0.2, 0.8)), ("stain", -1, (0.001, 0.9)), ("joint", -1, (0.005, 0.06)), ("paint", 1, (0.03, 0.3))],
)
def test_a_distractor_changes_the_road_but_not_the_mask(name, sign, share):
    """Each does what its name says, to a share of the road, and leaves the rest as it was."""
    shares = []
    for seed in range(10):
        plain = cracked_road((80, 112), 0, seed, distractors=())
        drawn = cracked_road((80, 112), 0, seed, distractors=(name,))
        change = (drawn.image.int() - plain.image.int()).sum(dim=0)

        assert not drawn.mask.any()
        assert (change * sign >= 0).float().mean() > 0.995  # a stone lighter than paint is rare
        shares.append((change * sign > 0).float().mean().item())
        assert_close(
            cracked_road((80, 112), 2, seed, distractors=()).mask,
            cracked_road((80, 112), 2, seed, distractors=(name,)).mask,
        )
    assert share[0] < sum(shares) / 10 < share[1]


# ---- one seed, one road -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "crack_width", "seed", "branches", "digest"),
    [
        ((96, 128), 1, 0, 0, "5e0dd3ff5b09369d"),
        ((48, 80), 2, 1, 2, "a6ddb18f6bf87912"),
        ((70, 33), 9, 2024, 1, "27ea94d81bd6b65e"),
        ((16, 16), 3, 12345678901234567890, 4, "3b02e374fec95fac"),
    ],
)
def test_masks_are_the_same_on_every_machine(size, crack_width, seed, branches, digest):
    mask = cracked_road(size, crack_width, seed, branches=branches).mask

    assert hashlib.sha256(bytes(mask.flatten().tolist())).hexdigest()[:16] == digest


def test_images_are_the_same_on_every_machine(monkeypatch):
    """On a stand-in photograph, so that a new file in scikit-image is not taken for our fault."""
    row, column = np.arange(40)[:, None], np.arange(60)
    monkeypatch.setattr(textures, "photograph", lambda *_: (row * 7 + column * column) % 64 / 16 - 2)
    image = cracked_road((50, 70), 3, seed=5, branches=1, distractors=DISTRACTORS).image

    assert hashlib.sha256(bytes(image.flatten().tolist())).hexdigest()[:16] == "a6a14b5f58111106"


def test_a_seed_gives_one_road_and_another_seed_another():
    roads = [cracked_road((40, 56), 2, seed) for seed in (0, 1, 2, 2**32, 0)]

    assert_close(roads[0].image, roads[4].image)
    assert_close(roads[0].mask, roads[4].mask)
    for i in range(4):
        for j in range(i):
            assert (roads[i].image != roads[j].image).any()
            assert (roads[i].mask != roads[j].mask).any()


def test_global_chance_is_neither_used_nor_disturbed():
    torch.manual_seed(1)
    np.random.seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    first = cracked_road()
    assert_close(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])
    torch.manual_seed(2)
    np.random.seed(2)

    assert_close(cracked_road().image, first.image)


# ---- many roads ---------------------------------------------------------------------------------


def test_a_set_lies_on_the_surfaces_it_was_given():
    """Brick is much redder than it is blue, asphalt is not; of two surfaces some roads have the one, some the other."""

    def red_over_blue(*surfaces):
        roads = SyntheticCracks(12, (32, 48), crack_widths=(0,), surfaces=surfaces)
        return torch.tensor([(road.image[0].float().mean() - road.image[2].float().mean()).item() for road in roads])

    assert red_over_blue("brick").min() > 15 > red_over_blue("asphalt").max()
    assert 2 <= (red_over_blue("asphalt", "brick") > 15).sum() <= 10


def test_brick_is_a_photograph_of_brick(monkeypatch):
    cut, names = textures.cutting, []
    monkeypatch.setattr(pavement, "cutting", lambda *given: names.append(given[2]) or cut(*given))
    cracked_road(surface="brick")
    assert set(names) == {"brick", "gravel"}  # gravel gives the hues
    names.clear()
    cracked_road(surface="concrete")
    assert set(names) == {"gravel"}


def test_crack_pixels_are_as_rare_as_in_real_photographs():
    """The training masks of CFD hold 1.6 % crack on average, those of DeepCrack 2.9 %."""
    shares = torch.stack([road.mask.float().mean() for road in SyntheticCracks(100)])

    assert 0.016 < shares.mean() < 0.035
    assert shares.min() > 0.005
    assert shares.max() < 0.09


def test_the_set_takes_only_the_widths_it_was_given():
    """A set of width 0 is a set of sound roads."""
    assert not any(road.mask.any() for road in SyntheticCracks(4, (32, 48), crack_widths=(0,)))
    shares = [
        sum(road.mask.sum() for road in SyntheticCracks(8, (32, 48), crack_widths=(width,))) for width in (1, 3, 7)
    ]
    assert shares[0] * 2 < shares[1] < shares[2] / 1.5


# ---- errors -------------------------------------------------------------------------------------


@every(
    ("arguments", "message"),
    [
        ({"size": (15, 64)}, r"16 or more, got \(15, 64\)"),
        ({"size": (64, 15)}, r"16 or more, got \(64, 15\)"),
        ({"size": (64.0, 64)}, "integers"),
        ({"size": 64}, r"\(height, width\).*got 64"),
        ({"size": (3, 64, 64)}, r"\(height, width\)"),
        ({"crack_width": 0.5}, "crack_width must be an integer from 0 to 9, got 0.5"),
        ({"crack_width": -1}, "crack_width.*got -1"),
        ({"crack_width": 10}, "crack_width.*got 10"),
        ({"seed": -1}, "seed must be an integer of 0 or more, got -1"),
        ({"branches": -2}, "branches.*got -2"),
        ({"surface": "mud"}, "asphalt.*concrete.*got 'mud'"),
        ({"distractors": ("shadow", "cat")}, "stain.*cat"),
        ({"distractors": "shadow"}, "tuple of names"),
    ],
)
def test_a_wrong_argument_is_named_with_its_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        cracked_road(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 3, "surfaces": "brick"}, "surfaces.*brick.*got 'brick'"),
        ({"count": 3, "surfaces": ()}, r"surfaces.*got \(\)"),
        ({"count": 3, "crack_widths": ()}, "crack_widths"),
        ({"count": 3, "crack_widths": 3}, "crack_widths.*tuple.*got 3"),
        ({"count": 3, "crack_widths": (1, 12)}, "crack_widths.*got 12"),
    ],
)
def test_a_wrong_set_is_refused_when_it_is_made(arguments, message):
    with pytest.raises(ValueError, match=message):
        SyntheticCracks(**arguments)


def test_without_scikit_image_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)  # as if it were not installed
    textures.photograph.cache_clear()

    with pytest.raises(ImportError, match="pip install .*scikit-image"):
        cracked_road()
