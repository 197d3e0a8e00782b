"""From a data set to batches: cut at random, repeatable, and quick (Chapters 06, 07 and 09).

    Segmentation --Preloaded--> the same pairs, kept in memory as bytes (if they fit)
    Segmentation --loader-----> Batch: indices (N,), images uint8 (N, 3, H, W), masks uint8 (N, H, W)
                 --Normalise--> images float32 (N, 3, H, W) in channels_last order, masks int64 (N, H, W)

Three habits make it quick.  Cut first: whatever is not in the crop is never computed on.  Bytes to the end: between
processes, and on the way to a GPU, a byte is a quarter of a float32 and an eighth of an int64.  Take memory once:
fresh memory for every batch costs the computer more than the arithmetic in it.

One habit makes it repeatable.  The crop of a pair depends on (seed, epoch, index) and on nothing else.  So the loader
asks its data set for pairs by the key (epoch, index), and whoever answers, in whatever order, gives the same crop.
"""

import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from chapters_code.checks import check_integer, check_tensors
from chapters_code.data.pairs import Pair, Segmentation, check_pairs, transformed

__all__ = ["MEAN", "STD", "Augmented", "Batch", "EpochSampler", "Normalise", "Preloaded", "collate", "loader"]

# Of red, green and blue over ImageNet, brightness 0 to 1: what torchvision's pretrained networks expect.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Batch(NamedTuple):
    """Pairs of one size, stacked; or, without the N, one of them."""

    indices: Tensor  # int64 (N,): `dataset.ids[i]` names the pair
    images: Tensor  # uint8 (N, 3, H, W), its numbers in channels_last order
    masks: Tensor  # uint8 (N, H, W), 255 = do not count


class Preloaded(Segmentation):
    """A data set read once and kept in memory: three bytes per pixel for the images, and next to nothing for the masks.

    It gives the same pairs as the data set it was made from, under the same ids.  Its images are views of what is
    kept: do not write into them.  They lie in one block, so that worker processes share it, however they start.  Masks
    are large patches of one number each, so they are kept compressed, to a fortieth of their size in VOC.

    Args:
        dataset: What to read.  `dataset.read` is called from several threads at once.  A transform is not carried out
            now but kept, and carried out each time a pair is asked for.

    Raises:
        ValueError: `dataset` is no set of the book's kind, or has no pair; a mask has another size than its image, or
            values outside 0..255; the error names the pair.

    Example:
        >>> from chapters_code.data.synthetic import SyntheticCracks
        >>> roads = Preloaded(SyntheticCracks(count=2, size=(48, 64)))
        >>> 3 < roads.nbytes / (2 * 48 * 64) < 3.2
        True
    """

    def __init__(self, dataset: Segmentation) -> None:
        check_pairs(dataset)
        super().__init__(dataset.ids, dataset.origin, dataset.transform)
        self._take_after(dataset)
        self._places: list[tuple[int, int, int]] = []  # of each image: where it begins, its height, its width
        self._masks: list[bytes] = []
        block = bytearray()  # grows in place: images in a list, joined at the end, would take the memory twice
        # Pillow decodes without holding Python's lock, so threads really do run side by side.
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for image, mask in pool.map(lambda index: _packed(dataset, index), range(len(dataset))):
                self._places.append((len(block), *image.shape[:2]))
                self._masks.append(mask)
                block += image.data
        if not block:
            raise ValueError("there is nothing to load: the data set has no pairs")
        self._block = torch.frombuffer(block, dtype=torch.uint8)

    @property
    def nbytes(self) -> int:
        """The memory that the pairs take, in bytes."""
        return self._block.nbytes + sum(map(len, self._masks))

    def read(self, index: int) -> Pair:
        """Return pair `index`; the image is a view, the mask a copy."""
        begin, height, width = self._places[index]
        image = self._block[begin : begin + 3 * height * width].view(height, width, 3).permute(2, 0, 1)
        mask = np.frombuffer(zlib.decompress(self._masks[index]), dtype=np.uint8).astype(np.int64)
        return Pair(image, torch.from_numpy(mask).view(height, width))

    def size_of(self, index: int) -> tuple[int, int]:
        return self._places[index][1:]


def _packed(dataset: Segmentation, index: int) -> tuple[np.ndarray, bytes]:
    """Return a pair as it is kept: the image as uint8 (H, W, 3), the mask compressed."""
    image, mask = dataset.read(index)
    height, width = mask.shape
    if image.shape != (3, height, width) or mask.min() < 0 or mask.max() > 255:
        raise ValueError(
            f"{dataset.ids[index]}: an image is (3, H, W) and its mask (H, W) with values in 0..255, got"
            f" {tuple(image.shape)} and {tuple(mask.shape)} with {mask.min().item()}..{mask.max().item()}"
        )
    fastest = 1  # of nine levels; the others save little more and take several times as long
    return image.permute(1, 2, 0).contiguous().numpy(), zlib.compress(mask.byte().numpy(), fastest)


class Augmented(Dataset):
    """A data set seen through a transform whose chance is fixed: `augmented[epoch, index]` is always the same.

    Args:
        dataset: Pairs; a transform of its own is carried out first.
        transform: A joint transform as of `torchvision.transforms.v2`, or None.  It must draw its random numbers from
            torch, as all of those do.
        seed: 0 or more; another one gives other crops.

    Example:
        >>> from torchvision.transforms import v2
        >>> from chapters_code.data.synthetic import SyntheticCracks
        >>> roads = Augmented(SyntheticCracks(count=2, size=(48, 64)), v2.RandomCrop((32, 40)))
        >>> torch.equal(roads[3, 1].images, roads[3, 1].images), torch.equal(roads[3, 1].images, roads[4, 1].images)
        (True, False)
    """

    def __init__(self, dataset: Segmentation, transform: Callable | None = None, seed: int = 0) -> None:
        self.dataset, self.transform, self.seed = dataset, transform, check_integer("seed", seed, 0)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: tuple[int, int]) -> Batch:
        if not isinstance(key, tuple) or len(key) != 2:
            raise ValueError(f"ask for augmented[epoch, index], such as augmented[0, 3]; got {key!r}")
        epoch, index = key
        with _chance_of(self.seed, check_integer("epoch", epoch, 0), check_integer("index", index, 0)):
            image, mask = self.dataset[index]
            if self.transform is not None:
                image, mask = transformed(self.transform, image, mask)
        return Batch(torch.tensor(index), image, mask.byte())


class EpochSampler(Sampler):
    """The keys (epoch, index) of an epoch; the order, too, depends on seed and epoch alone.

    Args:
        count: The number of pairs.
        seed: 0 or more.
        shuffle: In a new order each epoch, or in the data set's own.
    """

    def __init__(self, count: int, seed: int = 0, shuffle: bool = True) -> None:
        self.count, self.seed, self.shuffle, self.epoch = count, check_integer("seed", seed, 0), shuffle, 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[int, int]]:
        epoch = self.epoch
        with _chance_of(self.seed, epoch):
            order = torch.randperm(self.count).tolist() if self.shuffle else range(self.count)
        return ((epoch, index) for index in order)

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch the next loop over the loader is; 0 until then."""
        self.epoch = check_integer("epoch", epoch, 0)


def loader(
    dataset: Segmentation,
    batch_size: int,
    transform: Callable | None = None,
    seed: int = 0,
    *,
    shuffle: bool = True,
    drop_last: bool = True,
    workers: int = 0,
) -> DataLoader:
    """Return a data set in batches, as `Batch`es of bytes; `Normalise` makes of them what a network takes.

    Call `loader.sampler.set_epoch(epoch)` before each epoch, or every epoch has the crops of the first.  What
    `Accelerator.prepare` makes of the loader has `set_epoch` itself, and counts the epochs if nobody does.

    Args:
        dataset: Pairs, on disk or `Preloaded`.
        batch_size: Pairs per batch; over all processes together, if Accelerate is told `split_batches=True`.
        transform: A joint transform whose results are all of one size, such as a random crop.
        seed: 0 or more: the order, the crops and all other chance of the transform.
        shuffle: In a new order each epoch, or in the data set's own.
        drop_last: Leave out what is not a full batch at the end of an epoch.
        workers: Processes that read ahead.  None is quickest on two cores; more help when a GPU waits for pictures.
    """
    return DataLoader(
        Augmented(dataset, transform, seed),
        batch_size,
        sampler=EpochSampler(len(dataset), seed, shuffle),
        drop_last=drop_last,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=collate,
        pin_memory=torch.cuda.is_available(),  # memory from which a GPU can fetch by itself
    )


def collate(samples: Sequence[Batch]) -> Batch:
    """Stack single pairs, (3, H, W) and (H, W), into a batch.

    Raises:
        ValueError: They differ in size.
    """
    indices, images, masks = zip(*samples, strict=True)
    if len({mask.shape for mask in masks}) > 1:
        sizes = ", ".join(f"{tuple(mask.shape)} of pair {index}" for index, mask in zip(indices, masks, strict=True))
        raise ValueError(f"a batch needs pairs of one size, got {sizes}; give a transform that crops, or batch_size=1")
    # Stacked as (N, H, W, 3) and seen as (N, 3, H, W): channels_last order.
    images = torch.stack([image.permute(1, 2, 0) for image in images]).permute(0, 3, 1, 2)
    return Batch(torch.stack(indices), images, torch.stack(masks))


class Normalise:
    """Make of bytes what a network takes: float32, per channel minus its mean, divided by its spread.

    Args:
        mean: Of each channel, brightness 0 to 1.
        std: Standard deviation of each channel, more than 0.
        reuse: On a CPU, put every result into the same memory: quicker in a training loop, and a result is then
            **valid until the next call**.  Autograd notices if a loss is differentiated too late, and says "modified by
            an inplace operation".

    Example:
        >>> normalise = Normalise(mean=(0.0, 0.2, 1.0), std=(0.5, 0.5, 0.5))
        >>> normalise(torch.full((1, 3, 1, 1), 51, dtype=torch.uint8)).flatten().tolist()
        [0.4000000059604645, 0.0, -1.600000023841858]
    """

    def __init__(self, mean: Sequence[float] = MEAN, std: Sequence[float] = STD, *, reuse: bool = False) -> None:
        if len(mean) != len(std) or min(std, default=0) <= 0:
            raise ValueError(f"mean and std need one number per channel, std more than 0; got {mean} and {std}")
        self.mean, self.std = torch.tensor(mean) * 255, torch.tensor(std) * 255
        self.reuse = reuse
        self._memory: dict[torch.dtype, Tensor] = {}

    def __call__(self, images: Tensor) -> Tensor:
        """Normalise uint8 (N, C, H, W) to float32 (N, C, H, W) in channels_last order, on the same device.

        Equals `torchvision.transforms.v2.functional.normalize` of the images as float32 in [0, 1].
        """
        check_tensors(images=images)
        if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] != len(self.mean):
            raise ValueError(
                f"images must be uint8 (N, {len(self.mean)}, H, W), got {images.dtype} {tuple(images.shape)};"
                " a single image becomes a batch by image[None]"
            )
        pixels = images.permute(0, 2, 3, 1)
        result = self._room(torch.float32, images.device, pixels.shape).copy_(pixels)
        # Row by row, with the means written out as often as the row has pixels: three numbers at a time are too few
        # for the CPU's wide registers, and take four times as long.
        mean, std = (numbers.to(images.device).repeat(images.shape[-1]) for numbers in (self.mean, self.std))
        result.flatten(2).sub_(mean).div_(std)
        return result.permute(0, 3, 1, 2)

    def masks(self, masks: Tensor) -> Tensor:
        """Widen uint8 masks to the int64 that losses take."""
        check_tensors(masks=masks)
        return self._room(torch.int64, masks.device, masks.shape).copy_(masks)

    def _room(self, dtype: torch.dtype, device: torch.device, shape: Sequence[int]) -> Tensor:
        """Return memory for a result: its own; or that of last time, if that is asked for and large enough."""
        if not self.reuse or device.type != "cpu":
            return torch.empty(shape, dtype=dtype, device=device)
        count = int(np.prod(shape))
        if dtype not in self._memory or self._memory[dtype].numel() < count:
            with torch.inference_mode(False):  # what is made in that mode could never be trained on
                self._memory[dtype] = torch.empty(count, dtype=dtype)
        return self._memory[dtype][:count].view(shape)


@contextmanager
def _chance_of(*key: int) -> Iterator[None]:
    """Let torch's random numbers, within, be those of `key`; afterwards they go on as if nothing had been."""
    # torch.random.fork_rng does this, too, but looks after GPUs as well, at fifty times the time.
    state = torch.get_rng_state()
    # A seed has 32 bits, the key more.  SeedSequence stirs them: near keys get seeds far apart.
    torch.default_generator.manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))
    try:
        yield
    finally:
        torch.set_rng_state(state)
