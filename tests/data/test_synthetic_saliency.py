"""Drawn scenes in which one thing stands out: by contrast, not by its place, its shape or its colour."""

import hashlib

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.testing import assert_close
from torch.utils.data import DataLoader

from chapters_code.data.pairs import Pair, Segmentation
from chapters_code.data.synthetic import SyntheticSaliency, saliency

SMALL = (60, 80)


@pytest.fixture(scope="module")
def pairs():
    """One hundred and fifty small scenes, as one batch."""
    (batch,) = DataLoader(SyntheticSaliency(150, SMALL, seed=0), batch_size=150)
    return Pair(*batch)


def best_f(score, masks):
    """Find the best mean F-measure over all thresholds, beta^2 = 0.3, as saliency is scored."""
    masks, best = masks.float(), 0.0
    for threshold in torch.linspace(0.02, 0.98, 49):
        said = (score >= threshold).float()
        hits = (said * masks).sum((1, 2))
        precision, recall = hits / said.sum((1, 2)).clamp(min=1), hits / masks.sum((1, 2))
        f = 1.3 * precision * recall / (0.3 * precision + recall).clamp(min=1e-9)
        best = max(best, f.mean().item())
    return best


def test_a_scene_has_the_form_of_the_real_set():
    for size in ((300, 400), (64, 64), (131, 40), (16, 16)):
        pair = SyntheticSaliency(3, size)[1]

        assert isinstance(pair, Pair)
        assert (pair.image.dtype, pair.mask.dtype) == (torch.uint8, torch.int64)
        assert (pair.image.shape, pair.mask.shape) == ((3, *size), size)
        assert pair.mask.unique().tolist() == [0, 1]
    assert SyntheticSaliency(1)[0].mask.shape == (300, 400)


def test_the_salient_share_is_that_of_ecssd(pairs):
    """22 % on average; from a fifth of that to much more."""
    shares = pairs.mask.float().mean((1, 2))

    assert 0.19 < shares.mean() < 0.25
    assert shares.min() > 0.03
    assert shares.max() < 0.7


def test_the_salient_thing_differs_from_its_ground(pairs):
    """Sum over three channels of the difference of the means; nine of ten scenes leave no doubt."""
    images, inside = pairs.image.float(), pairs.mask[:, None].float()
    means = [(images * part).sum((2, 3)) / part.sum((2, 3)) for part in (inside, 1 - inside)]
    difference = (means[0] - means[1]).abs().sum(1)

    assert difference.quantile(0.1) > 50
    assert difference.median() > 130


def test_contrast_finds_it_better_than_the_middle_does(pairs):
    """The centre prior is the mean of all masks: nothing that ignores the image can know more.  On the 250 real pairs
    of ECSSD the prior's best F is 0.55.
    """
    mean = pairs.mask.float().mean(0)
    images = pairs.image.float()
    rim = torch.cat([images[:, :, :4].flatten(2), images[:, :, -4:].flatten(2)], dim=2).mean(2)
    contrast = (images - rim[..., None, None]).abs().sum(1)

    prior = best_f((mean / mean.max()).expand_as(pairs.mask), pairs.mask)
    assert prior < 0.52
    assert best_f(contrast / contrast.amax((1, 2), keepdim=True), pairs.mask) > prior + 0.15


def test_things_in_the_colours_of_the_ground_are_not_salient(monkeypatch):
    """Those that stand about change the image and never the mask; here each scene is drawn with them alone."""
    drawn, asked = SyntheticSaliency(12, SMALL), []
    plain = [drawn[i] for i in range(12)]
    draw = saliency.draw

    def spy(name, tall, dice, choose):
        asked.append(choose([(255, 0, 0), (0, 255, 255), (9, 9, 9)]) in [(255, 0, 0), (0, 255, 255), (9, 9, 9)])
        return draw(name, tall, dice, choose)

    monkeypatch.setattr(saliency, "draw", spy)
    for i in range(12):
        asked.clear()
        pair = drawn[i]
        assert_close(pair.mask, plain[i].mask)
        decoys, salient = asked.count(False), asked.count(True)
        assert 0 <= decoys <= 3 and 1 <= salient <= 2
        assert asked == [False] * decoys + [True] * salient  # what stands out stands in front


def test_sometimes_there_are_two(pairs):
    pieces = []
    for mask in pairs.mask.numpy():
        labels, count = ndimage.label(mask)
        sizes = np.bincount(labels.ravel())[1:]
        pieces.append((sizes > mask.sum() / 8).sum())

    assert 0.05 < np.mean(np.array(pieces) > 1) < 0.4


@pytest.mark.parametrize(
    ("size", "seed", "digest"), [(SMALL, 0, "519debd22602c185"), ((131, 40), 7, "25dab939b893de75")]
)
def test_masks_are_the_same_on_every_machine(size, seed, digest):
    sha = hashlib.sha256()
    for pair in SyntheticSaliency(20, size, seed):
        sha.update(pair.mask.to(torch.uint8).numpy().tobytes())

    assert sha.hexdigest()[:16] == digest


def test_a_scene_depends_on_seed_and_index_alone():
    few, many = SyntheticSaliency(6, SMALL, seed=4), SyntheticSaliency(9, SMALL, seed=4)
    late = {i: many[i] for i in (5, 0, 3)}

    for i, pair in late.items():
        assert_close(few[i].image, pair.image)
        assert_close(few[i].mask, pair.mask)
    assert (few[0].mask != few[1].mask).any()
    assert (few[0].mask != SyntheticSaliency(6, SMALL, seed=5)[0].mask).any()


def test_the_set_has_the_interface_of_the_real_one():
    scenes = SyntheticSaliency(4, (32, 48), seed=3)

    assert isinstance(scenes, Segmentation)
    assert len(scenes) == len(set(scenes.ids)) == len(list(scenes)) == 4
    assert scenes.origin == "drawn salient things, seed 3"
    assert scenes.classes == ("background", "salient")
    assert len(scenes.palette) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "count must be a whole number of 1 or more, got 0"),
        ({"count": 3, "seed": 0.5}, "seed.*got 0.5"),
        ({"count": 3, "size": (64, 15)}, r"size must be \(height, width\).*got \(64, 15\)"),
        ({"count": 3, "size": None}, "size.*got None"),
    ],
)
def test_a_wrong_argument_is_named_with_its_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        SyntheticSaliency(**arguments)
