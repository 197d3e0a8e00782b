"""Scoring: whole pictures, at their own size, the same however the work is shared; and answers without training."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from chapters_code.data.loading import Normalise
from chapters_code.data.pairs import Pair, Segmentation
from chapters_code.train.evaluate import MAIN_SCORES, TASKS, baselines, evaluate, new_metric


class Made(Segmentation):
    """Pictures of different sizes whose mask can be read off the picture: bright is 1."""

    classes = ("dark", "bright")
    palette = ((0, 0, 0), (255, 255, 255))

    def __init__(self, sizes=((9, 14), (6, 5), (12, 8)), void=False):
        super().__init__([f"made-{number}" for number in range(len(sizes))], "made")
        self.pairs = []
        for height, width in sizes:
            mask = torch.rand(height, width).gt(0.6).long()
            image = (mask * 200 + 20).byte().expand(3, -1, -1)
            if void:
                mask = mask.masked_fill(torch.rand(height, width) < 0.2, 255)
            self.pairs.append(Pair(image, mask))

    def read(self, index):
        return self.pairs[index]


class Reader(nn.Module):
    """The perfect answer: a logit above 0 where the normalised picture is bright."""

    def __init__(self, classes=1):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.classes = classes
        self.seen = []

    def forward(self, x):
        assert not self.training
        self.seen.append(tuple(x.shape))
        logit = x.mean(1, keepdim=True) * 100 * self.weight
        return logit if self.classes == 1 else torch.cat([-logit, logit], 1)


@pytest.mark.parametrize("task", TASKS)
def test_a_perfect_network_gets_a_perfect_score(task):
    network = Reader(2 if task == "classes" else 1).train()
    dataset = Made(void=task != "saliency")

    scores = evaluate(network, dataset, task).scores()

    assert scores[MAIN_SCORES[task][0]] == pytest.approx(1)
    assert network.training, "the network is given back in the mode in which it came"
    assert network.seen == [(1, 3, *pair.mask.shape) for pair in dataset.pairs]


def test_the_network_sees_normalised_pictures():
    seen = []

    class Spy(Reader):
        def forward(self, x):
            seen.append(x.clone())
            return super().forward(x)

    dataset = Made()
    evaluate(Spy(), dataset, "cracks")
    assert_close(seen[1], Normalise()(dataset[1].image[None]))


def test_with_resize_the_network_sees_one_size_and_is_scored_at_the_picture_s_own():
    dataset = Made(sizes=((8, 12), (16, 4)))
    network = Reader()

    metric = evaluate(network, dataset, "saliency", resize=(32, 48))

    assert network.seen == [(1, 3, 32, 48)] * 2
    assert metric.images == 2
    assert metric.scores()["global_max_f"] > 0.9


def test_resizing_is_smooth_on_the_way_down():
    """The network sees what PyTorch's own resizing with antialias gives."""
    seen = []

    class Spy(Reader):
        def forward(self, x):
            seen.append(x.clone())
            return super().forward(x)

    dataset = Made(sizes=((40, 60),))
    evaluate(Spy(), dataset, "cracks", resize=(10, 15))
    normalised = Normalise()(dataset[0].image[None])
    assert_close(seen[0], nn.functional.interpolate(normalised, (10, 15), mode="bilinear", antialias=True))


@pytest.mark.parametrize(("task", "classes"), [("classes", 1), ("classes", 2), ("cracks", 1), ("saliency", 1)])
def test_a_network_that_answers_nan_gets_no_score(task, classes):
    network = Reader(classes)
    network.weight.data.fill_(float("nan"))
    with pytest.raises((FloatingPointError, ValueError), match="answers made-0 with NaN|gives logits"):
        evaluate(network, Made(), task)


@pytest.mark.parametrize(("task", "classes", "wanted"), [("cracks", 2, 1), ("saliency", 2, 1), ("classes", 1, 2)])
def test_a_network_with_another_number_of_maps_is_refused(task, classes, wanted):
    """Of two maps the first is that of the background: its score would be a score of nothing."""
    with pytest.raises(ValueError, match=rf"for {task} a network gives logits \(N, {wanted}, H, W\), this one gave"):
        evaluate(Reader(classes), Made(), task)


def test_a_network_without_weights_can_be_scored():
    class Bright(nn.Module):
        def forward(self, x):
            return x.mean(1, keepdim=True) * 100

    assert evaluate(Bright(), Made(), "cracks").scores()["global_f1@0px"] == pytest.approx(1)


def test_shares_of_the_work_add_up_to_the_whole():
    """What two processes would do: one takes the even pictures, the other the odd ones."""
    dataset, network = Made(sizes=((9, 14), (6, 5), (12, 8), (7, 7), (5, 11)), void=True), Reader()
    network.weight.data.fill_(-0.01)  # a network that is wrong in many places
    whole = evaluate(network, dataset, "cracks")
    parts = [evaluate(network, dataset, "cracks", indices=range(first, 5, 2)) for first in (0, 1)]

    both = new_metric("cracks", dataset)
    both.load_state(sum(part.state() for part in parts))

    assert both.scores() == pytest.approx(whole.scores())


def test_the_network_is_given_back_in_its_mode_even_if_it_breaks():
    class Broken(Reader):
        def forward(self, x):
            raise RuntimeError("broken")

    network = Broken().train()
    with pytest.raises(RuntimeError, match="broken"):
        evaluate(network, Made(), "cracks")
    assert network.training


@pytest.mark.parametrize("function", [new_metric, lambda task, dataset: baselines(dataset, task)])
def test_an_unknown_task_or_set_is_refused(function):
    with pytest.raises(ValueError, match="one of classes, cracks, saliency, got 'depth'"):
        function("depth", Made())
    for task in TASKS:
        with pytest.raises(ValueError, match=r"torch\.utils\.data\.dataset\.Subset: a part of a set is"):
            function(task, torch.utils.data.Subset(Made(), [0]))


def test_background_everywhere_is_right_as_often_as_there_is_background():
    dataset = Made(void=True)
    counted = torch.cat([pair.mask[pair.mask != 255] for pair in dataset.pairs])

    scores = baselines(dataset, "classes")["all background"]

    share = (counted == 0).double().mean().item()
    assert scores["global_pixel_accuracy"] == pytest.approx(share)
    assert scores["global_mean_iou"] == pytest.approx(share / 2)  # the class that is never said has IoU 0


def test_no_crack_anywhere_finds_none():
    scores = baselines(Made(), "cracks")["all background"]
    assert scores["global_f1@0px"] == scores["ods_f1@0px"] == scores["global_iou"] == 0


def test_a_threshold_on_darkness_finds_dark_cracks():
    """Here bright is 1; turned round, the darkest pixels are all of the crack and nothing else."""
    dataset = Made()
    dataset.pairs = [Pair(255 - image, mask) for image, mask in dataset.pairs]
    scores = baselines(dataset, "cracks")["one threshold on darkness"]
    assert scores["ods_f1@0px"] == pytest.approx(1)


def test_the_middle_is_a_baseline_for_what_photographers_put_there():
    mask = torch.zeros(30, 40, dtype=torch.int64)
    mask[10:20, 13:27] = 1
    dataset = Made(sizes=((30, 40),))
    dataset.pairs = [Pair(dataset.pairs[0].image, mask)]
    found = baselines(dataset, "saliency")
    assert found["the middle"]["global_max_f"] > 0.8
    assert found["all background"]["per_image_mae"] == pytest.approx(mask.double().mean().item())


def test_any_function_may_be_scored_and_what_is_none_or_no_data_set_is_refused():
    """A lambda that picks one map; weights in place of a network; a part of a set as torch cuts it."""
    network, dataset = nn.Conv2d(3, 2, 1).eval(), Made()
    one = evaluate(network, dataset, "classes").scores()
    assert evaluate(lambda x: (network(x), x), dataset, "classes").scores() == one
    with pytest.raises(ValueError, match="model must be a network or a function.*got OrderedDict"):
        evaluate(network.state_dict(), dataset, "classes")
    with pytest.raises(ValueError, match=r"what evaluate scores must be .* got .*Subset: .*subset\(indices\)"):
        evaluate(network, torch.utils.data.Subset(dataset, [0]), "classes")
