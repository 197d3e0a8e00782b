"""Prediction by tiles: exact inside the margin, every pixel covered, and never more than a tile in the model."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

from chapters_code import tiles
from chapters_code.outputs import logits
from chapters_code.tiles import predict_tiled
from grids import every


class Cropped(nn.Module):
    """Halve twice, double twice, and crop to the input's size: local, whatever the size.  Total stride 4.

    By hand, column 4a + 1 depends on columns 4a − 14 to 4a + 12, so the radius is 15; no other column reaches farther.
    The last layer adds one row.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.Tanh(),
            nn.Conv2d(4, 4, 3, stride=2, padding=1),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.Conv2d(4, 4, 3, padding=2, dilation=2),
            nn.Tanh(),
            nn.ConvTranspose2d(4, 4, 4, stride=2, padding=1),
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(4, 2, (3, 1), padding=(1, 0)),
        )

    def forward(self, x):
        return self.layers(x)[..., : x.shape[-2], : x.shape[-1]]


class Recorder(nn.Module):
    """Give back the first channel, and remember the shape of each input and the mode it was run in."""

    def __init__(self) -> None:
        super().__init__()
        self.seen, self.modes = [], []

    def forward(self, x):
        self.seen.append(tuple(x.shape))
        self.modes.append((self.training, torch.is_inference_mode_enabled(), torch.is_grad_enabled()))
        return x[:, :1]


class Numbered(nn.Module):
    """Give map k the value k everywhere, so that the result shows which tiles made a pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += len(x)
        return torch.arange(self.calls - len(x), self.calls, dtype=x.dtype).reshape(-1, 1, 1, 1).expand_as(x[:, :1])


def picture(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64).to(dtype)


def seeded(module) -> nn.Module:
    torch.manual_seed(3)
    return module().double().eval()


def stack() -> nn.Module:
    """Three convolutions of stride 1; radius 1 + 2 + 1 = 4 in rows and 0 + 2 + 1 = 3 in columns."""
    return nn.Sequential(
        nn.Conv2d(3, 4, (3, 1), padding=(1, 0)),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2),
        nn.ReLU(),
        nn.Conv2d(4, 2, 3, padding=1),
    )


def whole(model: nn.Module, image: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(image)


# ---- the theorem: inside the margin, tiles are the whole picture ---------------------------------


@every(window=["mean", "hann"], size=[(31, 45), (16, 53), (40, 17), (17, 16)], tile=[(16, 17), 13])
def test_tiles_equal_the_whole_picture_with_the_receptive_fields_radius_as_margin(tile, size, window):
    model, image = seeded(stack), picture(2, 3, *size)
    ours = predict_tiled(model, image, tile, (9, 6), margin=(4, 3), window=window)
    assert_close(ours, whole(model, image), rtol=0, atol=1e-13)


@pytest.mark.parametrize("margin", [(3, 3), (4, 2)])
def test_a_margin_one_pixel_short_is_not_enough(margin):
    model, image = seeded(stack), picture(1, 3, 31, 45)
    ours = predict_tiled(model, image, 16, 8, margin=margin)
    assert (ours - whole(model, image)).abs().max() > 1e-4


@pytest.mark.parametrize("size", [(64, 96), (67, 97), (49, 120), (33, 50), (32, 35)])
def test_a_network_that_halves_and_doubles_is_exact_on_aligned_tiles(size):
    """Odd sizes, too: the last tile starts on the grid, and is padded at the picture's border as the whole is."""
    model, image = seeded(Cropped), picture(1, 3, *size)
    ours = predict_tiled(model, image, (40, 36), (32, 30), margin=(16, 15), align=4)
    assert_close(ours, whole(model, image), rtol=0, atol=1e-13)


def test_off_the_grid_the_same_network_differs():
    model, image = seeded(Cropped), picture(1, 3, 67, 97)
    ours = predict_tiled(model, image, (41, 37), (32, 30), margin=(16, 15))
    assert (ours - whole(model, image)).abs().max() > 1e-2


def test_without_a_margin_only_the_neighbourhood_of_inner_edges_differs():
    model, image = seeded(stack), picture(1, 3, 20, 40)
    differs = (predict_tiled(model, image, (20, 20), 0) - whole(model, image)).abs().amax((0, 1, 2)) > 1e-9
    assert differs.nonzero().flatten().tolist() == [17, 18, 19, 20, 21, 22]  # 3 columns each side of the seam


# ---- averages, by hand ---------------------------------------------------------------------------


def test_overlaps_are_averaged():
    """Tiles at 0, 3 and, moved back, 4: columns 0 to 2 are tile 0 alone, column 3 is tiles 0 and 1, and so on."""
    ours = predict_tiled(Numbered(), torch.zeros(1, 1, 8), (1, 4), (0, 1))
    assert_close(ours, torch.tensor([[[0, 0, 0, 0.5, 1.5, 1.5, 1.5, 2]]]))


def test_a_margin_takes_the_edges_out_of_the_average():
    """Tiles 0 to 5, 3 to 8 and 4 to 9, each without a pixel at its inner edges: 0 to 4, 4 to 7 and 5 to 9."""
    ours = predict_tiled(Numbered(), torch.zeros(1, 1, 10), (1, 6), (0, 3), margin=(0, 1))
    assert_close(ours, torch.tensor([[[0, 0, 0, 0, 0.5, 1.5, 1.5, 1.5, 2, 2]]]))


def test_hann_weighs_by_the_bell():
    """Two tiles of 4 share 2 columns: bell sin²(π/8), sin²(3π/8), sin²(3π/8), sin²(π/8); the squares add up to 1."""
    ours = predict_tiled(Numbered(), torch.zeros(1, 1, 6, dtype=torch.float64), (1, 4), (0, 2), window="hann")
    low = torch.sin(torch.tensor(torch.pi / 8, dtype=torch.float64)) ** 2
    assert_close(ours[0, 0], torch.stack([0 * low, 0 * low, low, 1 - low, 1 + 0 * low, 1 + 0 * low]))


def test_rows_and_columns_weigh_together():
    """Where four tiles meet, each has a quarter; tiles are counted row by row."""
    ours = predict_tiled(Numbered(), torch.zeros(1, 3, 3), 2, 1)[0]
    assert_close(ours, torch.tensor([[0, 0.5, 1], [1, 1.5, 2], [2, 2.5, 3]]))


# ---- laws ----------------------------------------------------------------------------------------

GRID = [
    (size, tile, overlap, margin, align)
    for size, tile, overlap, align in itertools.product((1, 7, 16, 17, 33, 50), (4, 8, 12), (0, 1, 3, 7), (1, 2, 4))
    for margin in {0, overlap // 2}
    if overlap < tile and tile - overlap >= align
]


@pytest.mark.parametrize("window", ["mean", "hann"])
def test_every_pixel_is_covered_with_weights_that_add_up_to_one(window):
    for size, tile, overlap, margin, align in GRID:
        spans = tiles._spans(size, tile, overlap, margin, align, window)
        total = torch.zeros(size, dtype=torch.float64)
        for span in spans:
            assert (span.weight > 0).all()
            total[span.write] += span.weight
        assert_close(total, torch.ones(size, dtype=torch.float64))


def test_tiles_start_on_the_grid_overlap_enough_and_end_at_the_border():
    for size, tile, overlap, margin, align in GRID:
        reads = [span.read for span in tiles._spans(size, tile, overlap, margin, align, "mean")]
        lengths = [read.stop - read.start for read in reads]
        assert (reads[0].start, reads[-1].stop) == (0, size)
        assert all(read.start % align == 0 for read in reads)
        assert all(length == tile for length in lengths[:-1])
        assert lengths[-1] == size if size <= tile else tile <= lengths[-1] < tile + align
        assert all(before.stop - after.start >= overlap for before, after in itertools.pairwise(reads))
        assert all(before.start < after.start for before, after in itertools.pairwise(reads))


@every(window=["mean", "hann"], size=[(1, 1), (5, 5), (5, 6), (6, 5), (23, 40), (24, 41)])
def test_a_model_of_single_pixels_gives_the_whole_picture_at_any_size(size, window):
    image = picture(2, 3, *size, dtype=torch.float32)
    assert_close(predict_tiled(Recorder(), image, 5, 2, window=window), image[:, :1])


@pytest.mark.parametrize("batch_size", [2, 3, 1000])
def test_the_batch_size_does_not_matter(batch_size):
    model, image = seeded(Cropped), picture(2, 3, 50, 43)
    one = predict_tiled(model, image, 16, 5, align=4, window="hann")
    assert_close(predict_tiled(model, image, 16, 5, align=4, window="hann", batch_size=batch_size), one)


def test_a_picture_not_larger_than_the_tile_is_predicted_whole():
    model, image = Recorder(), picture(1, 3, 20, 31)
    assert torch.equal(predict_tiled(model, image, (20, 32), 4), image[:, :1])
    assert model.seen == [(1, 3, 20, 31)]


def test_the_model_never_sees_more_than_a_batch_of_tiles():
    model = Recorder()
    predict_tiled(model, picture(2, 3, 203, 149), (32, 40), 8, align=8, batch_size=3)
    assert max(number for number, *_ in model.seen) == 3
    assert max(height for _, _, height, _ in model.seen) < 32 + 8
    assert max(width for *_, width in model.seen) < 40 + 8
    assert sum(number for number, *_ in model.seen) == 2 * 8 * 5  # steps of 24 and 32, on a grid of 8
    # By threes, and row by row: 2 · 4 tiles that are 40 wide, and 2 of 45 in the last column.
    assert len(model.seen) == 8 * (3 + 1)


# ---- what comes in and goes out ------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 9, 14), (1, 3, 9, 14), (2, 3, 9, 14)])
def test_the_shape_is_that_of_the_picture(shape):
    assert predict_tiled(nn.Conv2d(3, 7, 1), torch.zeros(shape), 6, 2).shape == (*shape[:-3], 7, 9, 14)


@pytest.mark.parametrize(
    ("came", "out"),
    [(torch.float64, torch.float64), (torch.float32, torch.float32), (torch.bfloat16, torch.float32)],
)
def test_sums_are_float32_or_better(came, out):
    image = picture(1, 9, 14).to(came)
    ours = predict_tiled(Recorder(), image, 6, 2)
    assert ours.dtype == out
    assert_close(ours, image.to(out))


def test_the_result_is_an_ordinary_tensor_and_no_gradient_is_computed():
    model, image = nn.Conv2d(1, 1, 1), torch.zeros(1, 9, 14, requires_grad=True)
    ours = predict_tiled(model, image, 6, 2)
    assert not ours.requires_grad and not ours.is_inference()
    ours += 1  # an inference tensor would refuse to take part in training
    assert (ours * nn.Parameter(torch.ones(()))).requires_grad


def test_the_model_runs_in_evaluation_mode_and_gets_its_modes_back():
    recorder = Recorder()
    model = nn.Sequential(recorder, nn.BatchNorm2d(1), nn.Dropout(0.5)).train()
    model[1].eval()  # frozen, as in fine-tuning
    before = model[1].running_mean.clone()
    predict_tiled(model, picture(1, 9, 14, dtype=torch.float32), 6, 2)
    assert set(recorder.modes) == {(False, True, False)}
    assert [module.training for module in model.modules()] == [True, True, False, True]
    assert torch.equal(model[1].running_mean, before)


def test_the_modes_come_back_after_an_error_too():
    model = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Dropout()).train()
    with pytest.raises(ValueError, match="the model must give maps"):
        predict_tiled(model, torch.zeros(1, 9, 14), 6, 2)
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize("kind", [tuple, list])
def test_of_several_outputs_the_first_counts(kind):
    class Several(nn.Module):
        def forward(self, x):
            return kind([x * 2, x, functional.avg_pool2d(x, 2)])

    image = picture(1, 9, 14)
    assert_close(predict_tiled(Several(), image, 6, 2), image * 2)


def test_of_a_dictionary_out_counts():
    class Named(nn.Module):
        def forward(self, x):
            return {"aux": x, "out": x * 2}

    image = picture(1, 9, 14)
    assert_close(predict_tiled(Named(), image, 6, 2), image * 2)


@pytest.mark.parametrize(
    ("output", "said"),
    [({"aux": torch.zeros(1)}, r"a dict with \['aux'\]"), ((), "got tuple"), (["a"], "got list"), (None, "NoneType")],
)
def test_another_output_is_refused(output, said):
    with pytest.raises(ValueError, match=said):
        logits(output)


def test_progress_counts_every_tile(capsys):
    predict_tiled(Recorder(), picture(2, 1, 20, 14), 8, 2, batch_size=4, progress=True)
    assert "12/12" in capsys.readouterr().err  # 2 pictures of 3 × 2 tiles
    predict_tiled(Recorder(), picture(2, 1, 20, 14), 8, 2)
    assert capsys.readouterr().err == ""


def test_large_pictures_in_a_narrow_tile():
    """The result of 2 million pixels is the picture, to the last digit that float32 has."""
    image = picture(1, 1000, 2001, dtype=torch.float32)
    assert_close(predict_tiled(Recorder(), image, (64, 500), (16, 100), window="hann", batch_size=8), image)


# ---- errors --------------------------------------------------------------------------------------


@every(
    ("image", "settings", "said"),
    [
        (torch.zeros(9, 14), {}, r"image must have shape \(N, C, H, W\) or \(C, H, W\), got \(9, 14\); image\[None\]"),
        (torch.zeros(1, 1, 3, 9, 14), {}, r"image must have shape .* got \(1, 1, 3, 9, 14\)"),
        (torch.zeros(3, 9, 14, dtype=torch.uint8), {}, "image must be floating point.*uint8"),
        (torch.zeros(3, 0, 14), {}, r"only the batch may be empty: got shape \(3, 0, 14\)"),
        (torch.full((3, 9, 14), float("nan")), {}, "image holds NaN or infinite"),
        (torch.zeros(3, 9, 14).index_fill(2, torch.tensor(3), -float("inf")), {}, "image holds NaN or infinite"),
        (torch.zeros(3, 9, 14), {"tile": 0}, "tile must be .* 1 or more, or "),
        (torch.zeros(3, 9, 14), {"tile": 6.5}, "tile must be an integer"),
        (torch.zeros(3, 9, 14), {"overlap": -1}, "overlap must be .* 0 or more, or "),
        (torch.zeros(3, 9, 14), {"overlap": (2, 6)}, "overlap must be smaller than tile, got overlap 6, tile 6"),
        (torch.zeros(3, 9, 14), {"margin": 2}, "margin must be at most half of overlap.*take overlap 4"),
        (torch.zeros(3, 9, 14), {"align": 4}, "tile must be a multiple of align, got tile 6, align 4"),
        (torch.zeros(3, 9, 14), {"overlap": 5, "align": 2}, "tile − overlap must be at least align, got 6 − 5"),
        (torch.zeros(3, 9, 14), {"window": "hamming"}, "window must be one of mean, hann, got 'hamming'"),
        (torch.zeros(3, 9, 14), {"batch_size": 0}, "batch_size must be an integer of 1 or more, got 0"),
    ],
)
def test_bad_input_is_refused_by_name(image, settings, said):
    with pytest.raises(ValueError, match=said):
        predict_tiled(Recorder(), image, **({"tile": 6, "overlap": 2} | settings))


class Twice(nn.Module):
    def forward(self, x):
        return x.repeat(2, 1, 1, 1)


@pytest.mark.parametrize(
    "model", [nn.MaxPool2d(2), nn.Flatten(), nn.Upsample(scale_factor=2), nn.Conv2d(3, 3, 3), Twice()]
)
def test_a_model_that_changes_the_size_is_refused(model):
    with pytest.raises(ValueError, match=r"the model must give maps .*for an input \(1, 3, 6, 6\)"):
        predict_tiled(model, torch.zeros(3, 9, 14), 6, 2)


# ---- numbers that are no network's --------------------------------------------------------------


def test_bytes_are_warned_of_where_they_are_given_and_normalised_numbers_are_not():
    image = picture(3, 16, 20)
    image[1, 2, 3] = -20
    predict_tiled(Recorder(), image, 16, 8)  # a warning would be an error
    image[1, 2, 3] = 20.5
    with pytest.warns(UserWarning, match="as bytes are: .* data.loading.Normalise") as found:
        predict_tiled(Recorder(), image, 16, 8)
    assert [one.filename for one in found] == [__file__]
