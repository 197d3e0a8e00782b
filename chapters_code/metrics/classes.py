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

__all__ = ["ConfusionMatrix"]


class ConfusionMatrix:
    """Count pixels by true and by predicted class, batch after batch, and score the counts.

    Any batch size gives the same scores.  Pixels whose truth is `ignore_index` never count; an image that has no other
    pixels is left out.

    Args:
        num_classes: K, two or more, background included.
        ignore_index: The value of the truth that is not counted, 255 in this book.

    Attributes:
        matrix: The counts, int64 (K, K) on the CPU; rows are the truth.

    Raises:
        ValueError: `num_classes` is not a whole number of at least 2.

    Example:
        >>> scores = ConfusionMatrix(num_classes=2)
        >>> scores.update(torch.tensor([[0, 0, 1, 1]]), torch.tensor([[0, 1, 1, 255]]))
        >>> scores.matrix.tolist(), scores.mean_iou()
        ([[1, 0], [1, 1]], 0.5)
    """

    def __init__(self, num_classes: int, ignore_index: int = 255) -> None:
        if not isinstance(num_classes, int) or num_classes < 2:
            raise ValueError(
                f"num_classes must be a whole number of at least 2, background included, got {num_classes!r}"
            )
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.reset()

    def reset(self) -> None:
        """Forget all counts."""
        self.matrix = torch.zeros(self.num_classes, self.num_classes, dtype=torch.int64)
        # Sums over images of (pixel accuracy, mean IoU): row 0 of what was predicted, row 1 + k of class k everywhere.
        self._per_image = torch.zeros(1 + self.num_classes, 2, dtype=torch.float64)
        self._images = 0

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Count one batch.

        Args:
            prediction: Class numbers, integer (N, H, W) or (H, W), or logits, floating point (N, K, H, W).
            target: True class numbers, integer, (N, H, W) or (H, W); 0..K-1 or `ignore_index`.

        Raises:
            ValueError: Shapes, dtypes or devices do not fit, a class number is not legal, or logits are NaN.
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
        # Not in place: what was made under inference_mode may not be changed outside of it.
        self.matrix = self.matrix + matrices.sum(0)
        self._per_image = self._per_image + torch.cat([scores[:, None], everywhere], dim=1).sum(0)
        self._images += len(matrices)

    def pixel_accuracy(self) -> float:
        """Give the share of pixels that are right."""
        return _pixel_accuracy(self._counted()).item()

    def mean_accuracy(self) -> float:
        """Give the share of each class's pixels that are right, averaged over the classes present in the truth."""
        return (self._counted().diagonal() / self.matrix.sum(1)).nanmean().item()

    def class_iou(self) -> Tensor:
        """Give intersection over union of each class, float64 (K,); NaN if a class is neither present nor predicted."""
        return _iou(self._counted())

    def mean_iou(self) -> float:
        """Give the mean of `class_iou` over the classes that are present or predicted; the others are left out."""
        return self.class_iou().nanmean().item()

    def frequency_weighted_iou(self) -> float:
        """Give the mean of `class_iou`, each class weighted by its share of the true pixels."""
        true = self._counted().sum(1)
        return (self.class_iou().nan_to_num(0) * true / true.sum()).sum().item()

    def scores(self) -> dict[str, float]:
        """Give all scores by name.

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
        """Give the `scores` of a network that predicts one class everywhere, on the images counted so far.

        Class 0 is background in this book; a network must beat these numbers to have learnt anything.

        Raises:
            ValueError: There is no such class, or no pixel has been counted.
        """
        if class_number not in range(self.num_classes):
            raise ValueError(f"class_number must be from 0 to {self.num_classes - 1}, got {class_number!r}")
        constant = ConfusionMatrix(self.num_classes, self.ignore_index)
        constant.matrix[:, class_number] = self.matrix.sum(1)
        constant._per_image[0] = self._per_image[1 + class_number]
        constant._images = self._images
        return constant.scores()

    def state(self) -> Tensor:
        """Give all sums as one vector, float64 (K² + 2·(K + 1) + 1,); those of different images may be added."""
        return torch.cat([self.matrix.flatten(), self._per_image.flatten(), torch.tensor([self._images])]).double()

    def load_state(self, state: Tensor) -> None:
        """Take the place of what `state` describes.

        Raises:
            ValueError: It has another size, so it belongs to another number of classes.
        """
        size = self.state().numel()
        if state.shape != (size,):
            raise ValueError(
                f"the state of {self.num_classes} classes has {size} numbers, got shape {tuple(state.shape)};"
                " was it saved with another num_classes?"
            )
        matrix, per_image, images = state.cpu().double().split([self.num_classes**2, self._per_image.numel(), 1])
        self.matrix = matrix.reshape(self.matrix.shape).round().long()
        self._per_image = per_image.reshape(self._per_image.shape).clone()
        self._images = round(images.item())

    def _counted(self) -> Tensor:
        """Give the matrix in float64, after a look that there is something in it."""
        if not self._images:
            raise ValueError("no pixel has been counted yet, so there is nothing to score: call update(...) first")
        return self.matrix.double()

    def _class_numbers(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Check one batch and give both as int64 (N, H, W)."""
        classes = self.num_classes
        if prediction.dim() == 4:
            if prediction.shape[1] != classes:
                raise ValueError(
                    f"logits for {classes} classes have shape (N, {classes}, H, W), got {tuple(prediction.shape)};"
                    " if it is one map for two classes, pass (logits[:, 0] > 0).long()"
                )
            if not prediction.is_floating_point():
                raise ValueError(
                    f"logits are floating point, got {prediction.dtype}; class numbers have no axis of classes"
                )
            if prediction.isnan().any():
                raise ValueError("logits hold NaN, and no class is the largest then: look for where the network breaks")
            prediction = prediction.argmax(1)
        for name, numbers in {"prediction": prediction, "target": target}.items():
            if numbers.is_floating_point() or numbers.is_complex():
                raise ValueError(
                    f"{name} must hold class numbers, got {numbers.dtype}; of logits (N, K, H, W) pass all K channels"
                )
        if prediction.shape != target.shape or target.dim() not in (2, 3) or not target.numel():
            raise ValueError(
                "prediction and target must be maps of one size, (N, H, W) or (H, W), with at least one pixel;"
                f" got {tuple(prediction.shape)} and {tuple(target.shape)}"
            )
        if prediction.device != target.device:
            raise ValueError(
                f"prediction is on {prediction.device} and target on {target.device}; move one to the other"
            )
        size = target.shape[-2:]
        prediction, target = prediction.reshape(-1, *size).long(), target.reshape(-1, *size).long()
        _check_range("prediction", prediction, (prediction < 0) | (prediction >= classes), f"0..{classes - 1}")
        illegal = ((target < 0) | (target >= classes)) & (target != self.ignore_index)
        _check_range("target", target, illegal, f"0..{classes - 1}, or {self.ignore_index} for 'do not count'")
        return prediction, target


def _pixel_accuracy(matrices: Tensor) -> Tensor:
    """Give the share of pixels on the diagonal, (..., K, K) -> (...), float64."""
    return matrices.diagonal(dim1=-2, dim2=-1).sum(-1) / matrices.sum((-2, -1)).double()


def _iou(matrices: Tensor) -> Tensor:
    """Give intersection over union of each class, (..., K, K) -> (..., K), float64, NaN where the union is empty."""
    right = matrices.diagonal(dim1=-2, dim2=-1).double()
    return right / (matrices.sum(-1) + matrices.sum(-2) - right)


def _check_range(name: str, numbers: Tensor, illegal: Tensor, legal: str) -> None:
    if illegal.any():
        found = ", ".join(map(str, numbers[illegal].unique()[:5].tolist()))
        raise ValueError(f"{name} must hold class numbers {legal}; it holds {found}")
