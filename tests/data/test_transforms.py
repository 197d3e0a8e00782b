"""Crops, flips and sizes: image and mask stay together, and what padding adds does not count."""

import pickle

import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from chapters_code.data.pairs import Pair, Segmentation
from chapters_code.data.transforms import random_crop, training_transform


def numbered(height: int, width: int) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
    """A pair in which each pixel tells where it is: red its row, green its column, the mask a number for both."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    image = torch.stack([rows, columns, torch.full_like(rows, 200)]).byte()
    return tv_tensors.Image(image), tv_tensors.Mask(rows % 10 + columns % 10)


def one_digit(image: torch.Tensor) -> torch.Tensor:
    """What the mask must be where the image is known."""
    return image[0].long() % 10 + image[1].long() % 10


# ---- the crop -----------------------------------------------------------------------------------


def test_image_and_mask_are_cut_at_the_same_place():
    torch.manual_seed(0)
    crop, pair = random_crop((7, 12)), numbered(20, 30)
    for _ in range(50):
        image, mask = crop(*pair)
        assert image.shape == (3, 7, 12) and mask.shape == (7, 12)
        assert (image.dtype, mask.dtype) == (torch.uint8, torch.int64)
        assert torch.equal(mask.as_subclass(torch.Tensor), one_digit(image.as_subclass(torch.Tensor)))


def test_every_window_comes_up_and_none_beyond_the_edge():
    """5 - 3 + 1 = 3 places down and 6 - 5 + 1 = 2 across."""
    torch.manual_seed(0)
    crop, pair = random_crop((3, 5)), numbered(5, 6)
    places = {tuple(crop(*pair)[0][:2, 0, 0].tolist()) for _ in range(200)}
    assert places == {(row, column) for row in range(3) for column in range(2)}


def test_a_picture_of_the_size_of_the_window_stays_as_it_is():
    pair = numbered(9, 14)
    image, mask = random_crop((9, 14))(*pair)
    assert torch.equal(image, pair[0]) and torch.equal(mask, pair[1])


@pytest.mark.parametrize(("size", "window"), [((6, 9), (10, 20)), ((6, 30), (10, 20)), ((15, 9), (10, 20))])
def test_a_small_picture_is_kept_whole_and_what_is_added_is_void(size, window):
    """Along a side that is too short all of it is there; around it black, and 255 in the mask."""
    torch.manual_seed(0)
    crop, places = random_crop(window), set()
    for _ in range(40):
        image, mask = (part.as_subclass(torch.Tensor) for part in crop(*numbered(*size)))
        assert image.shape == (3, *window) and mask.shape == window
        there = image[2] == 200
        assert there.sum() == min(size[0], window[0]) * min(size[1], window[1])
        assert torch.equal(mask[there], one_digit(image)[there])
        assert (image[:, ~there] == 0).all() and (mask[~there] == 255).all()
        places.add(tuple(there.nonzero()[0].tolist()))
    assert len(places) > 3  # not always in the same corner


@pytest.mark.parametrize("size", [320, (0, 4), (3, 4, 5), None])
def test_what_is_no_size_is_refused(size):
    for make in (random_crop, training_transform, lambda size: training_transform((8, 9), resize=size or 8)):
        with pytest.raises(ValueError, match=r"size must be \(height, width\)"):
            make(size)


# ---- the whole way ------------------------------------------------------------------------------


def test_a_flip_exchanges_left_and_right_of_both_for_one_pair_in_two():
    torch.manual_seed(0)
    transform, (image, mask) = training_transform((20, 30)), numbered(20, 30)
    flips = 0
    for _ in range(400):
        seen, truth = transform(image, mask)
        flipped = seen[1, 0, 0] == 29
        flips += int(flipped)
        assert torch.equal(seen, functional.horizontal_flip(image) if flipped else image)
        assert torch.equal(truth, mask.flip(-1) if flipped else mask)
    assert 150 < flips < 250  # 200 expected; 50 are five standard deviations


def test_without_flip_nothing_is_flipped():
    transform, pair = training_transform((20, 30), flip=False), numbered(20, 30)
    assert all(torch.equal(transform(*pair)[0], pair[0]) for _ in range(20))


def test_the_recipe_of_u2net_resizes_whatever_the_proportions_and_crops():
    """Its settings, smaller: all to 40 x 48, then a window of 36 x 40.  Against torchvision's own functions."""
    pair = numbered(50, 100)
    resized = functional.resize(pair[0], [40, 48]), functional.resize(pair[1], [40, 48])
    torch.manual_seed(0)
    for _ in range(20):
        image, mask = training_transform((36, 40), flip=False, resize=(40, 48))(*pair)
        places = [(top, left) for top in range(5) for left in range(9)
                  if torch.equal(image, resized[0][:, top : top + 36, left : left + 40])]  # fmt: skip
        assert len(places) == 1
        top, left = places[0]
        assert torch.equal(mask, resized[1][top : top + 36, left : left + 40])


def test_resizing_invents_no_class():
    """A border between 0 and 20 that smoothing would fill with all the numbers in between."""
    mask = torch.zeros(31, 47, dtype=torch.int64)
    mask[10:20, 13:40], mask[5, :] = 20, 255
    pair = tv_tensors.Image(torch.zeros(3, 31, 47, dtype=torch.uint8)), tv_tensors.Mask(mask)
    torch.manual_seed(0)
    for settings in ({"resize": (50, 40)}, {"scale": (0.5, 2.0)}):
        for _ in range(10):
            seen = training_transform((48, 40), **settings)(*pair)[1]
            assert seen.dtype == torch.int64
            assert set(seen.unique().tolist()) <= {0, 20, 255}


def test_scale_is_relative_to_the_crop():
    """At (1, 1) the picture just fits in: 20 x 40 into 30 x 30 becomes 15 x 30, and 15 rows are void."""
    image, mask = training_transform((30, 30), flip=False, scale=(1, 1))(*numbered(20, 40))
    assert image.shape == (3, 30, 30)
    assert (mask == 255).sum() == 15 * 30

    mask = training_transform((30, 30), flip=False, scale=(2, 2))(*numbered(20, 40))[1]
    assert (mask != 255).all()

    torch.manual_seed(0)
    counted = {
        int((training_transform((30, 30), scale=(0.5, 1))(*numbered(20, 40))[1] != 255).sum()) for _ in range(30)
    }
    assert min(counted) >= 7 * 15 and max(counted) <= 15 * 30 and len(counted) > 5


@pytest.mark.parametrize("scale", [(0, 1), (2, 1), (1,), (-1, 2)])
def test_a_scale_that_is_no_range_is_refused(scale):
    with pytest.raises(ValueError, match=r"scale must be \(from, to\)"):
        training_transform((8, 9), scale=scale)


def test_a_seed_fixes_all_of_it():
    transform, pair = training_transform((20, 24), scale=(0.5, 2)), numbered(30, 50)

    def drawn(seed):
        torch.manual_seed(seed)
        return torch.cat([transform(*pair)[0].flatten() for _ in range(4)])

    assert torch.equal(drawn(3), drawn(3))
    assert not torch.equal(drawn(3), drawn(4))


class OnePair(Segmentation):
    def read(self, index: int) -> Pair:
        return Pair(*(part.as_subclass(torch.Tensor) for part in numbered(30, 50)))


def test_it_goes_into_a_data_set_and_through_pickle():
    dataset = pickle.loads(pickle.dumps(OnePair("a", "made here", training_transform((20, 64)))))
    image, mask = dataset[0]
    assert image.shape == (3, 20, 64) and mask.shape == (20, 64)
    assert torch.equal(mask[mask < 255], one_digit(image)[mask < 255]) and (mask == 255).sum() == 20 * 14


def test_v2_alone_would_pad_masks_with_background():
    """Why `random_crop` is there at all."""
    mask = v2.RandomCrop((10, 20), pad_if_needed=True)(*numbered(6, 9))[1]
    assert (mask != 255).all() and (mask == 0).sum() > 100
