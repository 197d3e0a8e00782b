"""What holds for all drawn sets: one interface, one seed one set, and errors that name the argument."""

import hashlib
import pickle

import numpy as np
import pytest
import torch
from torch.testing import assert_close
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from chapters_code.data.pairs import Pair, Segmentation
from chapters_code.data.pictures import palette
from chapters_code.data.synthetic import SyntheticCracks, SyntheticSaliency, SyntheticVOC
from chapters_code.data.synthetic.rng import Rng

SETS = (SyntheticCracks, SyntheticSaliency, SyntheticVOC)
SIZE = (32, 48)


def test_numbers_come_from_the_raw_bits_and_every_option_is_met():
    """NumPy's raw bits are the reference: their remainder, one after the other or many at once."""
    raw = np.random.PCG64((0, 7)).random_raw(2).tolist()
    rng = Rng(0, 7)
    assert [rng.integers(3, 12), rng.choose("abcde")] == [3 + raw[0] % 10, "abcde"[raw[1] % 5]]
    assert Rng(1).integers(-3, 5, 400).tolist() == [one.integers(-3, 5) for one in [Rng(1)] for _ in range(400)]
    assert set(Rng(1).integers(-3, 5, 400).tolist()) == set(range(-3, 6))
    several = Rng(2)
    assert {several.choose("abc") for _ in range(50)} == set("abc")


@pytest.mark.parametrize(
    ("kind", "origin", "first", "classes"),
    [
        (SyntheticCracks, "drawn roads, seed 3", "road-0000", ("pavement", "crack")),
        (SyntheticSaliency, "drawn salient things, seed 3", "salient-0000", ("background", "salient")),
        (SyntheticVOC, "drawn scenes, seed 3", "scene-0000", None),  # the classes: in test_synthetic_voc
    ],
)
def test_a_set_has_the_interface_of_the_real_ones(kind, origin, first, classes):
    drawn = kind(5, SIZE, seed=3)

    assert isinstance(drawn, Segmentation) and isinstance(drawn[0], Pair)
    assert len(drawn) == len(set(drawn.ids)) == len(list(drawn)) == 5  # IndexError ends the loop
    assert (drawn.origin, drawn.ids[0], drawn.ignore_index) == (origin, first, 255)
    if classes:
        assert (drawn.classes, drawn.palette) == (classes, ((0, 0, 0), (255, 255, 255)))
    else:
        assert drawn.palette == tuple(map(tuple, palette()[:21].tolist()))


@pytest.mark.parametrize("kind", SETS)
def test_a_pair_is_as_large_as_was_asked(kind):
    for size in ((64, 64), (131, 40), (16, 16), None):
        image, mask = kind(3, size)[2]
        assert (image.dtype, mask.dtype) == (torch.uint8, torch.int64), size
        assert image.shape == (3, *mask.shape), size
        assert size is None or mask.shape == size, size
    assert SyntheticSaliency(1)[0].mask.shape == (300, 400)
    assert SyntheticCracks(1)[0].mask.shape == (96, 128)


@pytest.mark.parametrize(
    ("drawn", "digest"),
    [
        (SyntheticCracks(12, (48, 64), seed=3), "8441df829e1e5a1e"),
        (SyntheticSaliency(20, (60, 80), seed=0), "519debd22602c185"),
        (SyntheticSaliency(20, (131, 40), seed=7), "25dab939b893de75"),
        # Twenty-one scenes: every class, and the first of the next deck.
        (SyntheticVOC(21, (72, 96), seed=0), "d2fa03d604e8d8ca"),
        (SyntheticVOC(21, (40, 131), seed=7), "6b3b1f1c3a59457d"),
        (SyntheticVOC(21, None, seed=2**40), "d4dd2cbd49eca334"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.origin,
)
def test_masks_are_the_same_on_every_machine(drawn, digest):
    """That the images do not change is held by the stored outputs of the chapters, too."""
    sha = hashlib.sha256()
    for pair in drawn:
        sha.update(pair.mask.byte().numpy().tobytes())

    assert sha.hexdigest()[:16] == digest


@pytest.mark.parametrize("kind", SETS)
def test_a_pair_depends_on_seed_and_index_alone(kind):
    """Not on the order, the number of pairs, or the process: workers get a set by pickle."""
    few, many = kind(6, SIZE, seed=4), kind(60, SIZE, seed=4)
    late = {i: many[i] for i in (45, 5, 0, 3)}
    elsewhere = pickle.loads(pickle.dumps(few))

    for i in (5, 0, 3):
        for other in (few[i], elsewhere[i], few[i - 6]):
            assert_close(tuple(other), tuple(late[i]))
    assert (few[0].mask != few[1].mask).any()
    for seed in (5, 4 + 2**32):
        assert (few[0].mask != kind(6, SIZE, seed=seed)[0].mask).any()
    image, mask = next(iter(DataLoader(few, batch_size=4)))
    assert (image.shape, mask.shape) == ((4, 3, *SIZE), (4, *SIZE))


@pytest.mark.parametrize("kind", SETS)
def test_a_transform_sees_image_and_mask_together(kind):
    """A joint flip of torchvision: the crack of the mask stays on the crack of the image."""
    plain, turned = (kind(3, SIZE, transform=transform) for transform in (None, v2.RandomHorizontalFlip(p=1)))

    for i in range(3):
        assert type(turned[i].image) is torch.Tensor
        assert_close(turned[i].image, plain[i].image.flip(-1))
        assert_close(turned[i].mask, plain[i].mask.flip(-1))


@pytest.mark.parametrize("kind", SETS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "count must be an integer of 1 or more, got 0"),
        ({"count": 3, "seed": -1}, "seed.*got -1"),
        ({"count": 3, "seed": 0.5}, "seed.*got 0.5"),
        ({"count": 3, "size": (15, 40)}, r"size must be \(height, width\).* 16 or more, got \(15, 40\)"),
        ({"count": 3, "size": (40, 15)}, r"got \(40, 15\)"),
        ({"count": 3, "size": 64}, "size.*got 64"),
        ({"count": 3, "size": ()}, r"size.*got \(\)"),
    ],
)
def test_a_wrong_argument_is_named_with_its_range(kind, arguments, message):
    with pytest.raises(ValueError, match=message):
        kind(**arguments)


@pytest.mark.parametrize("kind", SETS)
def test_an_index_out_of_the_set_is_an_index_error(kind):
    for index in (3, -4):
        with pytest.raises(IndexError, match=f"0 to 2, got {index}"):
            kind(3, SIZE)[index]
