"""What the three metrics of a data set have in common: any batches, any processes, and no tensor that does not fit."""

import numpy as np
import pytest
import torch

from chapters_code.metrics import ConfusionMatrix, CrackScores, SaliencyScores, crack_scores, cracks, saliency

METRICS = {
    "classes": lambda: ConfusionMatrix(3),
    "cracks": lambda: CrackScores(tolerances=(0, 1.5)),
    "saliency": SaliencyScores,
    "saliency without weighted F": lambda: SaliencyScores(weighted_f=False),
}
every = pytest.mark.parametrize("name", METRICS)


def batch(name: str, images: int = 5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what is often right, and the truth; where the metric knows void, some, and a picture of nothing else."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(3 if name == "classes" else 2, (images, 9, 14), generator=generator)
    guess = torch.rand(images, 9, 14, generator=generator)
    prediction = (3 * guess).long() if name == "classes" else 0.6 * guess + 0.4 * target
    if not name.startswith("saliency"):
        target[torch.rand(target.shape, generator=generator) < 0.2] = 255
        target[1] = 255
    return prediction, target


def counted(name: str, prediction: torch.Tensor, target: torch.Tensor, size: int = 99):
    metric = METRICS[name]()
    for some in zip(prediction.split(size), target.split(size), strict=True):
        metric.update(*some)
    return metric


def same(one, other) -> None:
    assert one.scores() == pytest.approx(other.scores(), rel=1e-12)
    assert one.images == other.images
    assert one.state().tolist() == pytest.approx(other.state().tolist(), rel=1e-12)


@every
def test_any_batch_size_gives_the_same_scores(name):
    prediction, target = batch(name)
    whole = counted(name, prediction, target)
    for size in (1, 2, 4):
        same(counted(name, prediction, target, size), whole)


@pytest.mark.parametrize("name", ["classes", "cracks"])
def test_a_picture_of_void_alone_has_no_vote(name):
    prediction, target = batch(name)
    seen = [0, 2, 3, 4]
    same(counted(name, prediction, target), counted(name, prediction[seen], target[seen]))


@every
def test_a_picture_may_stand_alone_and_a_map_may_have_a_channel_or_any_order_in_memory(name):
    prediction, target = batch(name)
    alone = METRICS[name]()
    for one, truth in zip(prediction, target, strict=True):
        alone.update(one, truth)
    same(alone, counted(name, prediction, target))
    same(counted(name, prediction.mT.contiguous().mT, target), alone)
    if name != "classes":
        same(counted(name, prediction[:, None], target), alone)


@every
def test_states_of_different_images_add_up(name):
    """As processes add them that share the work; and a state that was loaded stands on its own."""
    prediction, target = batch(name)
    one, two = counted(name, prediction[:2], target[:2]), counted(name, prediction[2:], target[2:])
    state = one.state() + two.state()
    assert state.dtype == torch.float64 and state.dim() == 1

    total, whole = METRICS[name](), counted(name, prediction, target)
    total.load_state(state)
    same(total, whole)

    state.zero_()
    same(total, whole)
    total.load_state(state := whole.state())
    before = state.clone()
    total.update(prediction, target)
    assert state.equal(before)
    same(total, counted(name, torch.cat([prediction] * 2), torch.cat([target] * 2)))


@every
def test_counting_goes_on_inside_and_outside_of_inference_mode(name):
    prediction, target = batch(name)
    with torch.inference_mode():
        metric = counted(name, prediction[:2], target[:2])
    metric.update(prediction[2:], target[2:])
    same(metric, counted(name, prediction, target))


@every
def test_reset_forgets_everything(name):
    metric = METRICS[name]()
    if name == "classes":
        metric.matrix[0, 1] = 7  # in place
    metric.update(*batch(name, seed=1))
    metric.reset()
    assert not metric.state().any()
    metric.update(*batch(name))
    same(metric, counted(name, *batch(name)))


@every
def test_scores_of_nothing_are_refused(name):
    metric = METRICS[name]()
    questions = {
        "classes": ["pixel_accuracy", "mean_accuracy", "class_iou", "mean_iou", "frequency_weighted_iou", "baseline"],
        "cracks": ["curve"],
    }
    for question in ("scores", *questions.get(name, ())):
        with pytest.raises(ValueError, match="no pixel has been counted yet, .* call update"):
            getattr(metric, question)()
    if name in questions:
        prediction, target = batch(name)
        metric.update(prediction, torch.full_like(target, 255))
        with pytest.raises(ValueError, match="no pixel has been counted yet"):
            metric.scores()


@pytest.mark.parametrize(
    ("metric", "other", "said"),
    [
        (ConfusionMatrix(3), ConfusionMatrix(5), r"this ConfusionMatrix has 18 .*\(38,\); .* another num_classes"),
        (CrackScores(), CrackScores((0, 2)), r"this CrackScores has 2701 .*\(1801,\).* tolerances or thresholds"),
        (SaliencyScores(), SaliencyScores(weighted_f=False), r"has 1032 numbers.*\(1031,\).* another weighted_f"),
    ],
)
def test_a_state_of_other_settings_or_none_at_all_is_refused(metric, other, said):
    with pytest.raises(ValueError, match=said):
        metric.load_state(other.state())
    with pytest.raises(ValueError, match="state must be a torch.Tensor, got ndarray"):
        metric.load_state(metric.state().numpy())


# ---- batches that do not fit ------------------------------------------------------------------------


def refused(name: str, prediction: torch.Tensor, target: torch.Tensor, said: str) -> None:
    """Not one image of the batch is counted, even if only the last is wrong."""
    metric = METRICS[name]()
    with pytest.raises(ValueError, match=said):
        metric.update(prediction, target)
    assert not metric.state().any(), said


@every
def test_maps_that_do_not_fit_together_are_refused_and_count_for_nothing(name):
    prediction, target = batch(name)
    refused(name, prediction, target[:, :2], r"one size.*\(5, 9, 14\) and \(5, 2, 14\); .* resize what was predicted")
    refused(name, prediction, target[0], r"one size.*\(5, 9, 14\) and \(9, 14\)")
    refused(name, prediction[0, 0], target[0, 0], r"at least one pixel; got \(14,\)")
    refused(name, prediction[:0], target[:0], r"at least one pixel; got \(0, 9, 14\)")
    if name != "classes":
        refused(name, prediction[:, None].expand(5, 2, 9, 14), target, r"one size.*\(5, 2, 9, 14\)")
    if name in ("classes", "cracks"):
        apart = r"numbers of prediction are on {} and the target on {}; target.to\(prediction.device\) will move"
        refused(name, prediction, target.to("meta"), apart.format("cpu", "meta"))
        refused(name, prediction.to("meta"), target, apart.format("meta", "cpu"))


@every
def test_what_is_no_probability_or_no_class_is_refused_and_counts_for_nothing(name):
    prediction, target = batch(name)
    last = torch.arange(5)[:, None, None].expand_as(target) == 4
    top = 2 if name == "classes" else 1
    rest = "" if name.startswith("saliency") else ", or 255 for 'do not count'"
    legal = rf"target must hold class numbers 0\.\.{top}{rest}"
    refused(name, prediction, target.double(), rf"{legal}, bool or integer, got torch.float64")
    refused(name, prediction, target.cfloat(), "bool or integer, got torch.complex64")
    refused(name, prediction, target.masked_fill(last, 7), rf"{legal}; it holds 7")
    refused(name, prediction, target.masked_fill(last, -1).to(torch.int8), "target must hold .*; it holds -1")
    if name.startswith("saliency"):
        refused(name, prediction, target.masked_fill(last, 255), r"it holds 255; .*void \(255\) have no saliency")
    if name != "classes":
        legal = r"prediction must hold probabilities in \[0, 1\]"
        refused(name, prediction.masked_fill(last, 1.5), target, rf"{legal}; .* to 1.5; of logits take logits.sigm")
        refused(name, prediction.masked_fill(last, -0.5), target, rf"{legal}; it holds -0.5 to")
        refused(name, prediction.masked_fill(last, torch.nan), target, rf"{legal}; it holds NaN")
        refused(name, (prediction * 255).byte(), target, rf"{legal}, floating point, got torch.uint8; .* by 255")


@every
def test_arrays_of_numpy_are_refused_by_name(name):
    prediction, target = batch(name)
    for one, other, argument in ((prediction.numpy(), target, "prediction"), (prediction, target.numpy(), "target")):
        said = rf"{argument} must be a torch.Tensor, got ndarray; torch.as_tensor\({argument}\) makes one"
        refused(name, one, other, said)
    refused(name, prediction.tolist(), target, "prediction must be a torch.Tensor, got list")


def test_functions_refuse_arrays_of_numpy_by_name():
    maps = np.ones((4, 6), dtype=np.uint8)
    one = torch.from_numpy(maps)
    measures = ("mae", "max_f_measure", "s_measure", "e_measure", "weighted_f_measure")
    calls = [
        ("pred", crack_scores, (maps, one)),
        ("target", crack_scores, (one, maps)),
        ("maps", cracks.dilate, (maps, 1)),
        ("mask", cracks.local_width, (maps,)),
        ("prediction", saliency.min_max, (maps,)),
        *(("prediction", getattr(saliency, measure), (maps, one)) for measure in measures),
        *(("target", getattr(saliency, measure), (one.float(), maps)) for measure in measures),
    ]
    for argument, function, arguments in calls:
        with pytest.raises(ValueError, match=f"{argument} must be a torch.Tensor, got ndarray"):
            function(*arguments)


def test_settings_may_be_numbers_of_numpy():
    classes = ConfusionMatrix(np.int64(3), ignore_index=np.uint8(255))
    crack = CrackScores(np.array([0, 1.5]), np.array([0.25, 0.5]), np.float64(0.5), np.int64(255))
    for name, metric in (("classes", classes), ("cracks", crack)):
        prediction, target = batch(name)
        metric.update(prediction, target)
        reference = ConfusionMatrix(3) if name == "classes" else CrackScores((0, 1.5), (0.25, 0.5))
        reference.update(prediction, target)
        assert metric.scores() == reference.scores()
    assert classes.baseline(np.int64(1)) == classes.baseline(1)
