"""Does it help that finer maps speak, too?  FCN-8s beside FCN-32s, the paper's main result (Chapter 06).

    python -m experiments fcn8s --data DIR --out OUT

The plan, written before the first run.  Both on the same MobileNetV2, by the same settings, the tier colab, seeds 0 to
2, held against each other by `global_mean_iou`: ahead if the 95 % interval of the differences, seed by seed, does not
hold 0.

Expected, before the first run: ahead by less than 0.03, as in the paper (62.7 against 59.4 %).  Most of what FCN-32s
gets wrong on so few photographs is *what* a thing is, not where it ends, and finer maps know less of what.
"""

from chapters_code.train.recipes import recipe
from experiments.work import Planned, Study

ARMS = ("fcn-mobilenet", "fcn-8s-mobilenet")

STUDY = Study(
    name="fcn8s",
    planned=[Planned(name, "VOC 2012", recipe(name, "colab"), seed, 18) for seed in range(3) for name in ARMS],
)
