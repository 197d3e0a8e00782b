"""The confusion matrix against scikit-learn, torchmetrics and sums on paper; whatever the batches, the same scores."""

import numpy as np
import pytest
import torch
import torchmetrics.classification as theirs
from sklearn import metrics as sklearn
from torch.testing import assert_close

from chapters_code.data.pictures import VOID, read_mask
from chapters_code.metrics import ConfusionMatrix
from grids import every

K = 5


def batch(images: int = 6, size: tuple[int, int] = (7, 11), seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return class numbers that are often right, and a truth with all classes and some void."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(K, (images, *size), generator=generator)
    guess = torch.randint(K, target.shape, generator=generator)
    prediction = torch.where(torch.rand(target.shape, generator=generator) < 0.6, target, guess)
    target[torch.rand(target.shape, generator=generator) < 0.2] = VOID
    return prediction, target


def counted(prediction: torch.Tensor, target: torch.Tensor, classes: int = K, **settings) -> ConfusionMatrix:
    matrix = ConfusionMatrix(classes, **settings)
    matrix.update(prediction, target)
    return matrix


# ---- against the libraries ----------------------------------------------------------------------


def test_the_matrix_is_that_of_scikit_learn():
    prediction, target = batch()
    seen = target != VOID

    ours, again = counted(prediction, target), ConfusionMatrix(K)
    again.load_state(ours.state())

    expected = sklearn.confusion_matrix(target[seen], prediction[seen], labels=range(K)).tolist()
    for matrix in (ours.matrix, again.matrix):
        assert matrix.dtype == torch.int64
        assert matrix.tolist() == expected


def test_iou_is_that_of_scikit_learn():
    prediction, target = batch()
    seen = target != VOID
    truth, guess = target[seen].numpy(), prediction[seen].numpy()

    ours = counted(prediction, target)

    assert_close(ours.class_iou(), torch.from_numpy(sklearn.jaccard_score(truth, guess, average=None)))
    assert ours.mean_iou() == pytest.approx(sklearn.jaccard_score(truth, guess, average="macro"))
    assert ours.frequency_weighted_iou() == pytest.approx(sklearn.jaccard_score(truth, guess, average="weighted"))


def test_iou_and_accuracy_are_those_of_torchmetrics():
    prediction, target = batch()
    settings = {"num_classes": K, "ignore_index": VOID}

    ours = counted(prediction, target)

    expected = {
        ours.mean_iou: theirs.MulticlassJaccardIndex(**settings, average="macro"),
        ours.pixel_accuracy: theirs.MulticlassAccuracy(**settings, average="micro"),
        ours.mean_accuracy: theirs.MulticlassAccuracy(**settings, average="macro"),
    }
    for score, reference in expected.items():
        assert score() == pytest.approx(reference(prediction, target).item(), abs=1e-6)


def test_a_class_that_is_nowhere_is_left_out_as_in_torchmetrics():
    prediction, target = batch()

    more = counted(prediction, target, classes=K + 2)

    reference = theirs.MulticlassJaccardIndex(num_classes=K + 2, ignore_index=VOID, average="macro")
    assert more.mean_iou() == pytest.approx(reference(prediction, target).item(), abs=1e-6)
    assert more.class_iou().isnan().tolist() == [False] * K + [True] * 2
    assert more.scores() == pytest.approx(counted(prediction, target).scores())


def test_logits_count_as_their_largest_class():
    _, target = batch()
    logits = torch.randn(6, K, 7, 11, generator=torch.Generator().manual_seed(1))

    assert counted(logits, target).matrix.equal(counted(logits.argmax(1), target).matrix)
    assert counted(logits.half(), target).matrix.sum() == (target != VOID).sum()


# ---- sums by hand -------------------------------------------------------------------------------

PREDICTION = torch.tensor([[0, 0, 1], [0, 1, 1], [0, 0, 3]])
TARGET = torch.tensor([[0, 0, 1], [0, 0, 1], [VOID, 2, 2]])


def test_a_picture_of_nine_pixels():
    """Eight count: class 0 has 3 of 4 right, class 1 has 2 of 2, class 2 none of 2; class 3 is said once, wrongly."""
    scores = counted(PREDICTION, TARGET, classes=5)

    assert scores.matrix.tolist() == [[3, 1, 0, 0, 0], [0, 2, 0, 0, 0], [1, 0, 0, 1, 0], [0] * 5, [0] * 5]
    assert scores.pixel_accuracy() == 5 / 8
    assert scores.mean_accuracy() == pytest.approx((3 / 4 + 1 + 0) / 3)  # over the classes in the truth
    assert_close(
        scores.class_iou(), torch.tensor([3 / 5, 2 / 3, 0, 0, np.nan]).double(), equal_nan=True, rtol=1e-6, atol=0
    )
    assert scores.mean_iou() == pytest.approx((3 / 5 + 2 / 3) / 4)  # class 3 is predicted, so it counts
    assert scores.frequency_weighted_iou() == pytest.approx(4 / 8 * 3 / 5 + 2 / 8 * 2 / 3)


def test_the_baseline_of_nine_pixels():
    """Background everywhere: 4 of 8 right; IoU 4/8 for it, 0 for classes 1 and 2."""
    assert counted(PREDICTION, TARGET, classes=5).baseline() == pytest.approx(
        {
            "global_pixel_accuracy": 1 / 2,
            "global_mean_accuracy": 1 / 3,
            "global_mean_iou": 1 / 6,
            "global_frequency_weighted_iou": 1 / 4,
            "per_image_pixel_accuracy": 1 / 2,
            "per_image_mean_iou": 1 / 6,
        }
    )


def test_global_and_per_image_differ_by_who_has_a_vote():
    """A picture of 1 pixel, all wrong, and one of 9, all right: globally 9 of 10, per image one half."""
    scores = ConfusionMatrix(2)
    scores.update(torch.tensor([[0]]), torch.tensor([[1]]))
    scores.update(torch.zeros(3, 3, dtype=torch.int64), torch.zeros(3, 3, dtype=torch.int64))

    named = scores.scores()

    assert named["global_pixel_accuracy"] == pytest.approx(0.9)
    assert named["per_image_pixel_accuracy"] == 0.5
    assert named["global_mean_iou"] == pytest.approx((9 / 10 + 0) / 2)
    assert named["per_image_mean_iou"] == 0.5


# ---- laws ---------------------------------------------------------------------------------------


def test_per_image_scores_are_the_mean_of_each_images_own():
    prediction, target = batch()
    prediction[0] = 0  # some classes neither present nor predicted, in one picture only
    target[0][target[0] != VOID] = 3
    alone = [counted(*pair).scores() for pair in zip(prediction, target, strict=True)]

    together = counted(prediction, target).scores()

    for score in ("pixel_accuracy", "mean_iou"):
        assert together[f"per_image_{score}"] == pytest.approx(np.mean([one[f"global_{score}"] for one in alone]))


@every(class_number=range(K))
def test_a_baseline_is_the_score_of_predicting_that_class(class_number):
    prediction, target = batch()
    target[1] = VOID
    target[2][target[2] == class_number] = 0 if class_number else 1  # a picture without the class

    said = counted(prediction, target).baseline(class_number)

    assert said == pytest.approx(counted(torch.full_like(target, class_number), target).scores())


def test_a_perfect_prediction_scores_one():
    _, target = batch()

    assert set(counted(target.where(target != VOID, 0), target).scores().values()) == {1.0}


def test_what_is_predicted_where_nothing_counts_changes_nothing():
    prediction, target = batch()
    other = torch.where(target == VOID, (prediction + 1) % K, prediction)

    assert counted(other, target).scores() == counted(prediction, target).scores()


def test_another_number_may_mean_do_not_count():
    prediction, target = batch()

    minus = counted(prediction, torch.where(target == VOID, -1, target), ignore_index=-1)

    assert minus.matrix.equal(counted(prediction, target).matrix)


@pytest.mark.slow
@pytest.mark.real_data
def test_background_alone_is_right_for_73_of_100_pixels_of_voc(book_data):
    """The number of the module's head; and the mean IoU gives it away."""
    scores = ConfusionMatrix(21)
    for path in sorted((book_data / "voc2012" / "SegmentationClass").glob("*.png")):
        mask = read_mask(path)
        scores.update(torch.zeros_like(mask), mask)

    assert scores.scores()["global_pixel_accuracy"] == pytest.approx(0.73, abs=0.01)
    assert scores.scores()["global_mean_iou"] < 0.04
    assert scores.scores() == pytest.approx(scores.baseline())


# ---- errors -------------------------------------------------------------------------------------

ZEROS = torch.zeros(2, 3, 4, dtype=torch.int64)


@every(
    ("prediction", "target", "said"),
    [
        (
            ZEROS.float(),
            ZEROS,
            r"prediction must hold class numbers .* got torch.float32; .*pass all K channels",
        ),
        (torch.zeros(2, 4, 3, 4), ZEROS, r"logits for 3 classes have shape \(N, 3, H, W\), got \(2, 4, 3, 4\)"),
        (torch.zeros(2, 1, 3, 4), ZEROS, r"pass \(logits\[:, 0\] > 0\).long\(\)"),
        (torch.zeros(2, 3, 3, 4).long(), ZEROS, "logits are floating point, got torch.int64"),
        (torch.full((2, 3, 3, 4), torch.nan), ZEROS, "logits hold NaN"),
        (torch.zeros(2, 3, 3, 4), ZEROS[:1], "one size"),
        (ZEROS + 3, ZEROS, r"prediction must hold class numbers 0\.\.2; it holds 3"),
        (ZEROS - 1, ZEROS, "prediction .* it holds -1"),
        (ZEROS + VOID, ZEROS, "prediction .* it holds 255"),
    ],
)
def test_a_bad_prediction_is_refused_and_counts_for_nothing(prediction, target, said):
    scores = ConfusionMatrix(3)

    with pytest.raises(ValueError, match=said):
        scores.update(prediction, target)

    assert not scores.state().any()


def test_numbers_of_no_class_are_refused():
    for number in (0, 1, 2.0, True, "3"):
        with pytest.raises(ValueError, match="num_classes must be an integer of 2 or more, got"):
            ConfusionMatrix(number)
    with pytest.raises(ValueError, match="ignore_index must be an integer from -255 to 255, got '255'"):
        ConfusionMatrix(2, ignore_index="255")
    for number in (-1, 3, "road"):
        with pytest.raises(ValueError, match="class_number must be an integer from 0 to 2, got"):
            counted(ZEROS, ZEROS, classes=3).baseline(number)
