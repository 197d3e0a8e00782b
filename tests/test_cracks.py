"""The photographs of cracks: real ones where there are any, drawn ones elsewhere, and what pooling does to them."""

import pytest
import torch
from PIL import Image

from chapters_code.data.cracks import cracked_photograph
from chapters_code.pooling import avg_pool2d, max_pool2d


def contrast(image, mask, pool, times):
    """How much darker the crack is than the pavement, after pooling; as Chapter 01 defines it."""
    grey, crack = image.float().mean(0, keepdim=True), mask.float()[None]
    for _ in range(times):
        grey, crack = pool(grey, 2), max_pool2d(crack, 2)
    return (grey[crack == 0].mean() - grey[crack == 1].mean()).item()


def test_without_photographs_a_drawn_road_says_so(monkeypatch):
    monkeypatch.delenv("BOOK_DATA", raising=False)
    photo = cracked_photograph(3)
    assert "drawn road" in photo.origin and "BOOK_DATA" in photo.origin
    assert photo.image.dtype == torch.uint8 and photo.mask.unique().tolist() == [0, 1]
    assert photo.image.shape[1:] == photo.mask.shape == (384, 544)
    assert not torch.equal(photo.image, cracked_photograph(4).image)


def test_a_folder_with_photographs_is_used_in_the_order_of_their_names(monkeypatch, tmp_path):
    for kind in ("images", "masks"):
        (tmp_path / "crack" / "DeepCrack" / "test" / kind).mkdir(parents=True)
    folder = tmp_path / "crack" / "DeepCrack" / "test"
    for shade, name in ((10, "b"), (20, "a")):
        Image.new("RGB", (6, 4), (shade, shade, shade)).save(folder / "images" / f"{name}.jpg")
        mask = Image.new("L", (6, 4), 0)
        mask.putpixel((5, 1), 255)
        mask.save(folder / "masks" / f"{name}.png")
    monkeypatch.setenv("BOOK_DATA", str(tmp_path))

    first, second, third = (cracked_photograph(number) for number in range(3))

    assert "a.jpg" in first.origin and "b.jpg" in second.origin and third.origin == first.origin
    assert first.image.shape == (3, 4, 6) and first.image.float().mean().round() == 20
    assert first.mask.nonzero().tolist() == [[1, 5]]  # row 1, column 5: 255 became 1, and the axes are not swapped


def test_a_folder_without_photographs_is_a_slip_and_not_silently_replaced(monkeypatch, tmp_path):
    monkeypatch.setenv("BOOK_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="no photographs.*unset BOOK_DATA"):
        cracked_photograph()


@pytest.mark.real_data
def test_on_real_photographs_max_pooling_hides_cracks_more_than_averaging_does(monkeypatch, book_data):
    """Chapter 01 shows it on drawn roads; here are all 60 test photographs of DeepCrack that the folder holds."""
    monkeypatch.setenv("BOOK_DATA", str(book_data))
    photos = [cracked_photograph(number) for number in range(60)]
    assert len({photo.origin for photo in photos}) == 60
    before, by_max, by_mean = (
        torch.tensor([contrast(photo.image, photo.mask, pool, times) for photo in photos])
        for pool, times in ((max_pool2d, 0), (max_pool2d, 3), (avg_pool2d, 3))
    )
    assert (by_max < by_mean).all()
    # Measured: 91 grey levels before, 22 after three max poolings, 54 after three averages.
    assert by_max.mean() < before.mean() / 3 < before.mean() / 2 < by_mean.mean()
