"""What a pair goes through before a network trains on it (Chapters 06, 07 and 09).

Resizing, cropping, turning and colour are in `torchvision.transforms.v2`, which treats image and mask alike; any of
its transforms may be given to a data set.  Here is only how the recipes of the book put them together.

    image uint8 (3, H, W), mask int64 (H, W)  --training_transform((h, w))-->  (3, h, w), (h, w), at the same place

Chance comes from PyTorch's own generator: `torch.manual_seed` fixes it.
"""

from torchvision import tv_tensors
from torchvision.transforms import v2

from chapters_code.checks import check_pair
from chapters_code.data.pictures import VOID

__all__ = ["random_crop", "training_transform"]


def random_crop(size: tuple[int, int]) -> v2.RandomCrop:
    """Cut a window of chance out of image and mask, the same from both; what is too small is padded.

    Padding puts a small picture at a place of chance into the window.  Around it the image is black and the mask void
    (255), so that nothing there counts.  To leave small pictures out instead, as the source of Chapter 06 does, call
    `drop_smaller` of the data set first.

    Args:
        size: Height and width of the window in pixels.

    Raises:
        ValueError: `size` is not two integers of 1 or more.
    """
    # Without a fill of their own, masks would be padded with 0: a class, that of the background.
    return v2.RandomCrop(
        check_pair("size", size, single=False), pad_if_needed=True, fill={tv_tensors.Image: 0, tv_tensors.Mask: VOID}
    )


def training_transform(
    crop: tuple[int, int],
    flip: bool = True,
    scale: tuple[float, float] | None = None,
    resize: tuple[int, int] | None = None,
) -> v2.Compose:
    """Put together what the recipes do to a pair: resize, scale, crop, flip; each but the crop may be left out.

    Args:
        crop: Height and width of the window that is cut out, in pixels; what is smaller is padded (`random_crop`).
        flip: Exchange left and right, for one pair in two.
        scale: From and to.  First the pair is resized, in its own proportions: so that it would just fit into the
            crop, times a number of chance between these two.
        resize: Height and width to which every pair is brought first, whatever its proportions; (320, 320) for U²-Net.

    Returns:
        A transform to give to a data set.  Images are resized smoothly; of masks the nearest pixel is taken, so that
        no class number is invented.

    Raises:
        ValueError: A size is not two integers of 1 or more, or `scale` is no range above 0.
    """
    steps = []
    if resize is not None:
        steps.append(v2.Resize(check_pair("resize", resize, single=False)))
    if scale is not None:
        if len(scale) != 2 or not 0 < scale[0] <= scale[1]:
            raise ValueError(f"scale must be (from, to) with 0 < from <= to, got {scale!r}")
        steps.append(v2.ScaleJitter(check_pair("crop", crop, single=False), tuple(scale)))
    steps.append(random_crop(crop))
    if flip:
        steps.append(v2.RandomHorizontalFlip())
    return v2.Compose(steps)
