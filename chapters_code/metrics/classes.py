"""Scores of a segmentation into classes, all from one table of counts (Chapter 06).

Row t, column p of the confusion matrix: how many pixels of true class t were predicted as class p.  What lies on the
diagonal is right.  With t_k pixels of class k in truth (a row's sum), p_k predicted (a column's) and n_kk right:

    pixel accuracy  Σ n_kk / Σ t_k          IoU of class k  n_kk / (t_k + p_k − n_kk)

Pixel accuracy flatters: in the VOC photographs about 73 pixels of 100 are background, so predicting nothing else is
right for all of those.  `baseline` gives the scores of just that, to stand beside every result.

Sources: Long, Shelhamer and Darrell (2015) define the four scores; IoU over the whole set is that of the PASCAL VOC
challenge (Everingham et al., 2010).
"""

import torch
from torch import Tensor

from chapters_code.checks import check_class_numbers, check_integer, check_tensors
from chapters_code.metrics.frame import Streaming, as_batch

__all__ = ["ConfusionMatrix"]


class ConfusionMatrix(Streaming):
    """Count pixels by true and by predicted class, batch after batch, and score the counts.

    Any batch size gives the same scores.  Pixels whose truth is `ignore_index` never count; an image that has no other
    pixels is left out.

    Args:
        num_classes: K, two or more, background included.
        ignore_index: The value of the truth that is not counted, 255 in this book.

    Attributes:
        matrix: The counts, int64 (K, K) on the CPU; rows are the truth.

    Raises:
        ValueError: `num_classes` is not an integer of at least 2, or `ignore_index` none from -255 to 255.

    Example:
        >>> scores = ConfusionMatrix(num_classes=2)
        >>> scores.update(torch.tensor([[0, 0, 1, 1]]), torch.tensor([[0, 1, 1, 255]]))
        >>> scores.matrix.tolist(), scores.mean_iou()
        ([[1, 0], [1, 1]], 0.5)
    """

    def __init__(self, num_classes: int, ignore_index: int = 255) -> None:
        classes = self.num_classes = check_integer("num_classes", num_classes, 2)
        self.ignore_index = check_integer("ignore_index", ignore_index, -255, 255)
        super().__init__(
            "num_classes",
            matrix=torch.zeros(classes, classes, dtype=torch.int64),
            # (pixel accuracy, mean IoU): row 0 of what was predicted, row 1 + k of class k everywhere.
            _per_image=torch.zeros(1 + classes, 2, dtype=torch.float64),
        )

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Count one batch.

        Args:
            prediction: Class numbers, integer (N, H, W) or (H, W), or logits, floating point (N, K, H, W).
            target: True class numbers, integer, (N, H, W) or (H, W); 0..K-1 or `ignore_index`.

        Raises:
            ValueError: Something is not as above, NaN included; then none of the batch is counted.
        """
        prediction, target = self._class_numbers(prediction, target)
        images, classes = len(target), self.num_classes
        # One number for each (image, true class, predicted class); counting these numbers fills all tables at once.
        image = torch.arange(images, device=target.device)[:, None, None]
        cells = ((image * classes + target) * classes + prediction)[target != self.ignore_index]
        matrices = torch.bincount(cells, minlength=images * classes**2).reshape(images, classes, classes).cpu()
        matrices = matrices[matrices.sum((1, 2)) > 0]

        true = matrices.sum(2)
        share = true / true.sum(1, keepdim=True).double()
        # Class k everywhere: its own IoU is its share of the picture, and that of the other classes present is 0.
        present = (true > 0).sum(1, keepdim=True)
        scores = torch.stack([_pixel_accuracy(matrices), _iou(matrices).nanmean(1)], dim=-1)

        everywhere = torch.stack([share, share / present], dim=-1)
        per_image = torch.cat([scores[:, None], everywhere], dim=1).sum(0)
        self._add(len(matrices), matrix=matrices.sum(0), _per_image=per_image)

    def pixel_accuracy(self) -> float:
        """Return the share of pixels that are right."""
        return _pixel_accuracy(self._counted()).item()

    def mean_accuracy(self) -> float:
        """Return the share of each class's pixels that are right, averaged over the classes present in the truth."""
        return (self._counted().diagonal() / self.matrix.sum(1)).nanmean().item()

    def class_iou(self) -> Tensor:
        """Return intersection over union of each class, float64 (K,); NaN if it is neither present nor predicted."""
        return _iou(self._counted())

    def mean_iou(self) -> float:
        """Return the mean of `class_iou` over the classes that are present or predicted; the others are left out."""
        return self.class_iou().nanmean().item()

    def frequency_weighted_iou(self) -> float:
        """Return the mean of `class_iou`, each class weighted by its share of the true pixels."""
        true = self._counted().sum(1)
        return (self.class_iou().nan_to_num(0) * true / true.sum()).sum().item()

    def scores(self) -> dict[str, float]:
        """Return all scores by name.

        `global_pixel_accuracy`, `global_mean_accuracy`, `global_mean_iou` and `global_frequency_weighted_iou` are taken
        from the counts of all images together, as VOC does.  `per_image_pixel_accuracy` and `per_image_mean_iou` are
        scored image by image and then averaged; an image's mean IoU goes over the classes that it shows or is said to.

        Raises:
            ValueError: No pixel has been counted.
        """
        self._counted()
        accuracy, iou = (self._per_image[0] / self._images).tolist()
        return {
            "global_pixel_accuracy": self.pixel_accuracy(),
            "global_mean_accuracy": self.mean_accuracy(),
            "global_mean_iou": self.mean_iou(),
            "global_frequency_weighted_iou": self.frequency_weighted_iou(),
            "per_image_pixel_accuracy": accuracy,
            "per_image_mean_iou": iou,
        }

    def baseline(self, class_number: int = 0) -> dict[str, float]:
        """Return the `scores` of a network that predicts one class everywhere, on the images counted so far.

        Class 0 is background in this book; a network must beat these numbers to have learnt anything.

        Raises:
            ValueError: There is no such class, or no pixel has been counted.
        """
        class_number = check_integer("class_number", class_number, 0, self.num_classes - 1)
        constant = ConfusionMatrix(self.num_classes, self.ignore_index)
        constant.matrix[:, class_number] = self.matrix.sum(1)
        constant._per_image[0] = self._per_image[1 + class_number]
        constant._images = self._images
        return constant.scores()

    def _counted(self) -> Tensor:
        """Return the matrix in float64, after a look that there is something in it."""
        self._need_images()
        return self.matrix.double()

    def _class_numbers(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Check one batch and return both as int64 (N, H, W)."""
        check_tensors(prediction=prediction, target=target)
        classes = self.num_classes
        if prediction.dim() == 4:
            if prediction.shape[1] != classes:
                raise ValueError(
                    f"logits for {classes} classes have shape (N, {classes}, H, W), got {tuple(prediction.shape)};"
                    " if it is one map for two classes, pass (logits[:, 0] > 0).long()"
                )
            if not prediction.is_floating_point():
                raise ValueError(f"logits are floating point, got {prediction.dtype}: class numbers have no axis K")
            if prediction.isnan().any():
                raise ValueError("logits hold NaN, and no class is the largest then: look for where the network breaks")
            prediction = prediction.argmax(1)
        prediction, target = as_batch(prediction, target)
        hint = "; of logits (N, K, H, W) pass all K channels"
        prediction = check_class_numbers("prediction", prediction, classes, hint=hint)
        return prediction, check_class_numbers("target", target, classes, self.ignore_index)


def _pixel_accuracy(matrices: Tensor) -> Tensor:
    """Return the share of pixels on the diagonal, (..., K, K) -> (...), float64."""
    return matrices.diagonal(dim1=-2, dim2=-1).sum(-1) / matrices.sum((-2, -1)).double()


def _iou(matrices: Tensor) -> Tensor:
    """Return intersection over union of each class, (..., K, K) -> (..., K), float64, NaN where the union is empty."""
    right = matrices.diagonal(dim1=-2, dim2=-1).double()
    return right / (matrices.sum(-1) + matrices.sum(-2) - right)
