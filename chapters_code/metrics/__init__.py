"""Scores: how good is a prediction? (Chapters 06, 07, 09 and 10).

Each score says what it counts: `global_` scores sum the pixels of all images first, so that large things weigh more;
`per_image_` scores give every image one vote.  (For saliency `global_` is about the threshold: one for all images.)
The classes `ConfusionMatrix`, `CrackScores` and `SaliencyScores` take batches of any size and keep sums only:

    update(prediction, target)  -->  scores() -> {"global_mean_iou": 0.61, ...}

`state()` is those sums as one vector.  Two processes that saw different images add their vectors, and `load_state`
takes the sum: the scores are those of all images.
"""

from chapters_code.metrics.classes import ConfusionMatrix
from chapters_code.metrics.cracks import CrackScore, CrackScores, crack_scores
from chapters_code.metrics.saliency import (
    SaliencyScores,
    e_measure,
    mae,
    max_f_measure,
    min_max,
    s_measure,
    weighted_f_measure,
)

__all__ = [
    "ConfusionMatrix",
    "CrackScore",
    "CrackScores",
    "SaliencyScores",
    "crack_scores",
    "e_measure",
    "mae",
    "max_f_measure",
    "min_max",
    "s_measure",
    "weighted_f_measure",
]
