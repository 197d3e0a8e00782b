"""The way from a data set to batches: the same crops whoever cuts them, bytes to the end, values as torchvision's."""

import copy
import pickle

import pytest
import torch
from accelerate import Accelerator
from accelerate.data_loader import prepare_data_loader
from PIL import Image
from torch import nn
from torch.testing import assert_close
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from chapters_code.data.loading import MEAN, STD, Augmented, Batch, EpochSampler, Normalise, Preloaded, collate, loader
from chapters_code.data.pairs import Pair, Segmentation
from chapters_code.data.photographs.cracks import CrackSegmentation
from chapters_code.data.transforms import training_transform

CROP = (7, 9)


class Numbered(Segmentation):
    """Every pixel has a number of its own, in the image and again in the mask: a crop tells where it was cut.

    Row r, column c of pair i: red r, green c, blue i, mask (16 * r + c) % 256.  Sizes differ; (0, 0) is void.
    """

    classes, palette = ("all",), ((0, 0, 0),)
    dropped = ("too-small",)

    def __init__(self, count=10, transform=None):
        super().__init__([f"pair-{i}" for i in range(count)], "made up", transform)

    def read(self, index):
        rows, columns = torch.meshgrid(torch.arange(11 + index % 3), torch.arange(14 - index % 2), indexing="ij")
        mask = (16 * rows + columns) % 256
        mask[0, 0] = 255
        return Pair(torch.stack([rows, columns, torch.full_like(rows, index)]).byte(), mask)


def crops(batches):
    """All pairs that a loader gives, as {index: (image, mask)}."""
    return {
        index: (image, mask)
        for batch in batches
        for index, image, mask in zip(batch.indices.tolist(), batch.images, batch.masks, strict=True)
    }


def at_epoch(epoch, *, count=10, seed=3, batch_size=5, **options):
    batches = loader(Numbered(count), batch_size, training_transform(CROP), seed, **options)
    batches.sampler.set_epoch(epoch)
    return batches


# ---- what a batch is ----------------------------------------------------------------------------


def test_a_batch_holds_bytes_in_channels_last_order_and_the_indices():
    first, second = at_epoch(0)

    assert isinstance(first, Batch)
    assert (first.indices.dtype, first.images.dtype, first.masks.dtype) == (torch.int64, torch.uint8, torch.uint8)
    assert (first.indices.shape, first.images.shape, first.masks.shape) == ((5,), (5, 3, *CROP), (5, *CROP))
    assert first.images.is_contiguous(memory_format=torch.channels_last)
    assert type(first.images) is type(first.masks) is torch.Tensor
    assert sorted(first.indices.tolist() + second.indices.tolist()) == list(range(10))


def test_image_and_mask_are_cut_at_the_same_place():
    for index, (image, mask) in crops(at_epoch(2)).items():
        rows, columns, numbers = image.long()

        assert (numbers == index).all()
        # Void stands at one corner of the whole picture only; elsewhere the mask repeats what red and green say.
        expected = (16 * rows + columns) % 256
        expected[(rows == 0) & (columns == 0)] = 255
        assert_close(mask.long(), expected)


def test_void_survives_padding_and_bytes():
    """A crop larger than the picture: around it the mask is 255, and still is as int64."""
    (batch,) = loader(Numbered(1), 1, training_transform((20, 30), flip=False))

    masks = Normalise().masks(batch.masks)
    assert masks.dtype == torch.int64
    # All but the picture; within it, 255 stands at (0, 0) and nowhere else: 16 * r + c ends at 16 * 10 + 13.
    assert (masks == 255).sum() == 20 * 30 - 11 * 14 + 1


@pytest.mark.parametrize(("drop_last", "sizes"), [(True, [4, 4]), (False, [4, 4, 2])])
def test_an_incomplete_batch_is_left_out_or_not(drop_last, sizes):
    assert [len(batch.indices) for batch in at_epoch(0, batch_size=4, drop_last=drop_last)] == sizes


def test_without_shuffle_pairs_come_in_order_and_whole():
    batches = loader(Numbered(4), 1, shuffle=False)

    assert [batch.indices.item() for batch in batches] == [0, 1, 2, 3]
    for batch, pair in zip(batches, map(Numbered(4).read, range(4)), strict=True):
        assert_close(batch.images[0], pair.image)
        assert_close(batch.masks[0].long(), pair.mask)


# ---- chance: (seed, epoch, index) and nothing else ----------------------------------------------


def test_another_epoch_another_seed_give_other_crops_and_another_order():
    base, epoch, seed = at_epoch(0), at_epoch(1), at_epoch(0, seed=4)
    orders = [[batch.indices.tolist() for batch in batches] for batches in (base, epoch, seed)]
    crops_of = [torch.stack([crops(batches)[i][0] for i in range(10)]) for batches in (base, epoch, seed)]

    for other in (1, 2):
        assert orders[0] != orders[other]
        assert not torch.equal(crops_of[0], crops_of[other])


def test_pairs_of_one_size_are_not_all_cut_alike():
    """30 places and a flip: were the index left out of the seed, all ten would be cut at the same one."""
    augmented = Augmented(Numbered(60), training_transform(CROP))

    assert len({tuple(augmented[0, index].images[:2, 0, 0].tolist()) for index in range(0, 60, 6)}) > 3


def test_an_epoch_repeats_itself_and_a_resumed_run_goes_on_with_it():
    straight = at_epoch(0)
    for epoch in range(3):
        straight.sampler.set_epoch(epoch)
        torch.rand(epoch)  # what else is drawn changes nothing
        expected = list(straight)

    torch.manual_seed(99)
    assert_close(list(at_epoch(2)), expected)


def test_order_and_batch_size_change_no_crop():
    assert_close(crops(at_epoch(1)), crops(at_epoch(1, batch_size=2, shuffle=False)))


def test_the_loader_leaves_torchs_own_chance_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    augmented = Augmented(Numbered(), training_transform(CROP))
    _ = augmented[0, 1], list(EpochSampler(4))

    assert_close(torch.rand(3), expected)


def test_a_failing_transform_leaves_torchs_own_chance_alone():
    def fail(image, mask):
        raise KeyError("no")

    state = torch.get_rng_state()
    with pytest.raises(KeyError, match="no"):
        Augmented(Numbered(), fail)[0, 0]

    assert_close(torch.get_rng_state(), state)


def test_a_transform_of_the_data_set_itself_is_fixed_as_well():
    inner = Augmented(Numbered(transform=training_transform(CROP)))

    assert_close(inner[1, 2], inner[1, 2])
    assert not torch.equal(inner[1, 2].images, inner[2, 2].images)


@pytest.mark.slow
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_give_the_same_crops_in_every_epoch(tmp_path, start):
    """They live through all epochs; the epoch reaches them in the key.  Started anew ("spawn"), as on Windows, they get
    the set by pickle: here a part of one in files.
    """
    for shade, name in enumerate("abcd"):
        for kind, file, mode in (("images", f"{name}.jpg", "RGB"), ("masks", f"{name}.png", "L")):
            (tmp_path / "train" / kind).mkdir(parents=True, exist_ok=True)
            Image.linear_gradient("L").resize((14, 11)).convert(mode).point(
                lambda grey, shade=shade, mode=mode: 255 * (grey > 128) if mode == "L" else grey // 2 + 20 * shade
            ).save(tmp_path / "train" / kind / file)
    dataset = CrackSegmentation(root=tmp_path).subset([3, 0, 1]) if start == "spawn" else Numbered()
    here, there = (loader(dataset, 3, training_transform(CROP), 3, workers=workers) for workers in (0, 1))
    there.multiprocessing_context = start

    for epoch in (0, 4):
        here.sampler.set_epoch(epoch)
        there.sampler.set_epoch(epoch)
        batches = list(there)
        assert_close(batches, list(here))
        assert batches[0].masks.unique().numel() > 1


# ---- Accelerate ---------------------------------------------------------------------------------


def prepared(batches, process, processes=2):
    return prepare_data_loader(
        batches, num_processes=processes, process_index=process, split_batches=True, put_on_device=False
    )


@pytest.mark.parametrize("drop_last", [True, False])
def test_two_processes_share_each_batch_of_one(drop_last):
    options = {"batch_size": 4, "drop_last": drop_last}
    halves = [prepared(at_epoch(0, **options), process) for process in (0, 1)]
    for half in halves:
        half.set_epoch(6)

    whole = list(at_epoch(6, **options))
    parts = [Batch(*map(torch.cat, zip(*pair, strict=True))) for pair in zip(*halves, strict=True)]
    assert_close(parts[:2], whole[:2])
    assert len(parts) == len(whole)
    # At the end Accelerate fills up with pairs from the beginning, so that both have equally many.
    assert all(len(part.indices) == 4 for part in parts)
    assert_close([part[:2] for part in parts[2]] if not drop_last else [], list(whole[2]) if not drop_last else [])


def test_accelerate_prepares_the_loader_and_counts_its_epochs():
    batches = Accelerator(cpu=True).prepare(at_epoch(0))

    for epoch in range(3):
        assert_close(list(batches), list(at_epoch(epoch)))

    batches.set_epoch(7)
    assert_close(list(batches), list(at_epoch(7)))


# ---- Preloaded ----------------------------------------------------------------------------------


def test_preloaded_gives_the_same_pairs_under_the_same_names():
    dataset = Numbered()
    kept = Preloaded(dataset)

    for name in ("ids", "origin", "classes", "palette", "ignore_index", "dropped", "digest"):
        assert getattr(kept, name) == getattr(dataset, name)
    for index in range(-1, len(dataset)):
        assert_close(kept[index], dataset[index])
    assert [kept.size_of(i) for i in range(10)] == [dataset.size_of(i) for i in range(10)]
    assert len({tuple(kept.size_of(i)) for i in range(10)}) > 3
    assert_close(crops(loader(kept, 5, training_transform(CROP), 3)), crops(at_epoch(0)))


def test_preloaded_takes_three_bytes_per_pixel_and_little_for_masks():
    class Patches(Numbered):
        """A mask as it is in life: a large patch of each class."""

        def read(self, index):
            mask = torch.arange(2).repeat_interleave(150)[:, None].expand(-1, 200)
            return Pair(torch.zeros(3, 300, 200, dtype=torch.uint8), mask)

    assert 3.0 < Preloaded(Patches()).nbytes / (10 * 300 * 200) < 3.03


def test_preloaded_reads_once():
    dataset = Numbered(3)
    kept = Preloaded(dataset)
    dataset.read = None

    assert len([kept[i] for i in (0, 1, 2, 0)]) == 4


def test_preloaded_keeps_a_transform_for_later():
    kept = Preloaded(Numbered(transform=v2.CenterCrop(CROP)))

    assert kept[0].image.shape == (3, *CROP)
    assert kept.read(0).image.shape == (3, 11, 14)


def test_what_travels_to_workers_arrives_whole():
    for thing in (Preloaded(Numbered()), Augmented(Numbered(), training_transform(CROP))):
        key = 3 if isinstance(thing, Preloaded) else (1, 3)
        assert_close(pickle.loads(pickle.dumps(thing))[key], thing[key])


# ---- Normalise ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (5, 4), (31, 18)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_normalise_equals_torchvision(size, layout):
    images = torch.randint(0, 256, (4, 3, *size), dtype=torch.uint8).contiguous(memory_format=layout)

    ours = Normalise()(images)

    expected = functional.normalize(functional.to_dtype(images, torch.float32, scale=True), MEAN, STD)
    # Values up to 2.7, of which float32 keeps 2e-7; two roundings each.
    assert_close(ours, expected, rtol=0, atol=1e-6)
    assert ours.dtype == torch.float32
    assert ours.is_contiguous(memory_format=torch.channels_last)


def test_normalise_by_hand():
    """255 is brightness 1: (1 - 0.5) / 0.25 = 2 in the first channel, (1 - 1) / 0.5 = 0 in the second."""
    normalise = Normalise(mean=(0.5, 1.0), std=(0.25, 0.5))

    result = normalise(torch.tensor([[255, 0], [255, 0]], dtype=torch.uint8).view(1, 2, 1, 2))

    assert result.flatten().tolist() == [2.0, -2.0, 0.0, -2.0]


def test_a_result_is_the_callers_own_unless_it_is_asked_otherwise():
    """A second picture, a smaller one and a second mask change nothing of the first."""
    normalise = Normalise()
    images, masks = (torch.randint(0, 256, shape, dtype=torch.uint8) for shape in ((2, 3, 5, 6), (2, 5, 6)))
    first, wide = normalise(images), normalise.masks(masks)
    kept = first.clone()

    normalise(255 - images), normalise(255 - images[:1, :, :4]), normalise.masks(255 - masks)

    assert torch.equal(first, kept) and torch.equal(wide, masks.long())


def test_the_memory_is_used_again_for_batches_of_any_size():
    normalise = Normalise(reuse=True)
    first = normalise(torch.zeros(4, 3, 5, 6, dtype=torch.uint8))
    place = first.data_ptr()
    kept = first.clone()

    for shape in ((4, 3, 5, 6), (2, 3, 5, 6), (1, 3, 7, 3)):
        images = torch.randint(0, 256, shape, dtype=torch.uint8)
        assert normalise(images).data_ptr() == place
        assert_close(normalise(images), Normalise()(images))
    assert not torch.equal(first, kept)
    assert normalise(torch.zeros(5, 3, 5, 6, dtype=torch.uint8)).shape == (5, 3, 5, 6)


def test_masks_become_int64_in_memory_that_is_used_again():
    normalise, masks = Normalise(reuse=True), torch.tensor([[[0, 255, 20]]], dtype=torch.uint8)

    wide = normalise.masks(masks)

    assert wide.tolist() == [[[0, 255, 20]]]
    assert wide.dtype == torch.int64
    assert normalise.masks(masks).data_ptr() == wide.data_ptr()


def test_a_gradient_taken_too_late_is_refused_and_not_wrong():
    normalise, layer = Normalise(reuse=True), nn.Conv2d(3, 2, 3)
    late = layer(normalise(torch.zeros(1, 3, 5, 6, dtype=torch.uint8))).sum()
    normalise(torch.ones(1, 3, 5, 6, dtype=torch.uint8))

    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        late.backward()


def test_memory_first_taken_while_scoring_can_be_trained_on():
    normalise, layer, images = Normalise(reuse=True), nn.Conv2d(3, 2, 3), torch.ones(1, 3, 5, 6, dtype=torch.uint8)
    with torch.inference_mode():
        normalise(images)

    layer(normalise(images)).sum().backward()

    assert layer.weight.grad.abs().sum() > 0


def test_a_copy_of_normalise_has_memory_of_its_own():
    normalise, images = Normalise(reuse=True), torch.ones(1, 3, 5, 6, dtype=torch.uint8)
    first = normalise(images)

    assert copy.deepcopy(normalise)(images).data_ptr() != first.data_ptr()


# ---- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "images", [torch.zeros(3, 4, 5).byte(), torch.zeros(1, 1, 4, 5).byte(), torch.zeros(1, 3, 4, 5)]
)
def test_normalise_says_what_it_wants(images):
    with pytest.raises(ValueError, match=r"images must be uint8 \(N, 3, H, W\), got"):
        Normalise()(images)


@pytest.mark.parametrize(("mean", "std"), [((0.5,), (1.0, 1.0)), ((0.5,), (0.0,)), ((), ())])
def test_a_channel_needs_a_mean_and_a_spread(mean, std):
    with pytest.raises(ValueError, match="one number per channel, std more than 0"):
        Normalise(mean, std)


def test_pairs_of_several_sizes_make_no_batch():
    with pytest.raises(ValueError, match=r"pairs of one size, got \(11, 14\) of pair 0, \(12, 13\) of pair 1"):
        next(iter(loader(Numbered(2), 2, shuffle=False)))


def test_stacking_needs_no_loader():
    augmented = Augmented(Numbered(), training_transform(CROP), 3)

    assert_close(collate([augmented[2, 4], augmented[2, 1]]).images[1], crops(at_epoch(2))[1][0])


@pytest.mark.parametrize("key", [3, (1,), (0, 1, 2), "01"])
def test_a_pair_is_asked_for_by_epoch_and_index(key):
    with pytest.raises(ValueError, match=r"augmented\[epoch, index\]"):
        Augmented(Numbered())[key]


@pytest.mark.parametrize("value", [-1, 0.5, None])
def test_seed_and_epoch_are_integers(value):
    for ask in (
        lambda: loader(Numbered(), 2, seed=value),
        lambda: EpochSampler(3, seed=value),
        lambda: Augmented(Numbered())[value, 0],
        lambda: EpochSampler(3).set_epoch(value),
    ):
        with pytest.raises(ValueError, match=f"(seed|epoch) must be an integer of 0 or more, got {value}"):
            ask()


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        (torch.zeros(3, 4, 5).byte(), torch.zeros(5, 4).long()),
        (torch.zeros(3, 4, 5).byte(), torch.full((4, 5), 256)),
        (torch.zeros(3, 4, 5).byte(), torch.full((4, 5), -1)),
    ],
)
def test_preloaded_names_a_pair_that_does_not_fit_into_bytes(image, mask):
    dataset = Numbered(3)
    dataset.read = lambda index: Pair(image, mask) if index == 1 else Numbered.read(dataset, index)

    with pytest.raises(ValueError, match="pair-1: an image is"):
        Preloaded(dataset)


def test_preloaded_of_nothing_is_refused():
    with pytest.raises(ValueError, match="the data set has no pairs"):
        Preloaded(Numbered(0))


# ---- the real photographs -----------------------------------------------------------------------


@pytest.mark.real_data
def test_voc_from_memory_equals_voc_from_disk(book_data):
    from chapters_code.data.photographs.voc import VOCSegmentation

    disk = VOCSegmentation("train", book_data / "voc2012").drop_smaller((320, 480)).subset(range(0, 158, 5))
    kept, crop = Preloaded(disk), training_transform((320, 480))

    assert_close(crops(loader(kept, 8, crop, 1)), crops(loader(disk, 8, crop, 1)))
