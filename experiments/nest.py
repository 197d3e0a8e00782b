"""Is it the nest, or only the size?  U²-Net† beside a plain U-Net of nearly as many numbers (Chapter 09).

    python -m experiments nest --data DIR --out OUT

The plan, written before the first run.  U²-Net† (1,131,181 parameters) beside a plain U-Net (1,096,609), on saliency
and on cracks: the same pictures, crops, steps and settings, the tier colab, seeds 0 to 4.  Only the steps are equal:
one of U²-Net† takes about twice as long.  Nothing is tuned for it: the learning rate is the one of U²-Net's authors,
and the settings on cracks are those of Chapter 07 with AdamW.

Judged by `global_max_f` and `ods_f1@2px`: one network is ahead of another if the 95 % interval of their differences,
seed by seed, does not hold 0.

Expected, before the first run:
    1. On saliency U²-Net† is ahead of the U-Net: an object is found by looking at all of the picture.
    2. On cracks the mean difference is smaller than 0.01: a crack is found by looking close.
    3. On cracks the U-Net is less than 0.01 ahead of Chapter 07's (the arm max, 123,921 parameters).
    4. On saliency both are ahead of "the middle" with every seed, and below 0.85: they see 188 pictures, the authors'
       network saw 10,553.
"""

from chapters_code.train.recipes import recipe
from experiments.work import Planned, Study

ARMS = {"u2netp": 14, "unet-saliency": 6, "u2netp-cracks": 14, "unet-cracks": 6}  # minutes

STUDY = Study(
    name="nest",
    planned=[
        Planned(name, recipe(name, "colab").data, recipe(name, "colab"), seed, minutes)
        for seed in range(5)
        for name, minutes in ARMS.items()
    ],
)
