"""Fifteen more seeds for Haar downsampling, its two twins and average pooling (Chapter 07).

    python -m experiments more_seeds --data DIR --out OUT

The plan, written before the first run.  The bake-off (`experiments/bake_off.py`) has five seeds.  hwd, strided2 and
space_to_depth can compute the same functions, so any difference between them is chance, or the first weights, or the
optimiser; and five seeds leave room for 0.02.  Seeds 5 to 19 of these three and of avg, which is the only other arm
that a first look saw apart from them; everything else is the bake-off's.

Judged by `ods_f1@2px` with all twenty seeds, those of the bake-off included: hwd against the mean of its twins, in each
of the four settings and averaged over them, and avg against the same; equal if the 90 % interval is inside ± 0.01.

Expected, before the first run:
    1. space_to_depth − strided2 is 0 within ± 0.01 in all four settings.  A control.
    2. hwd is equal to the mean of its twins within 0.01, in all four settings and averaged.
    3. avg is behind the twins on DeepCrack by 0.005 to 0.02, under both optimisers, and equal within 0.01 on CFD.
"""

from experiments import bake_off, cracks
from experiments.work import Planned, Study

ARMS = ("avg", "strided2", "space_to_depth", "hwd")

STUDY = Study(
    name="more-seeds",
    planned=[
        Planned(
            arm, pictures, bake_off.settings(arm, optimizer, pictures), seed, 2.0 if pictures == "DeepCrack" else 1.3
        )
        for seed in range(5, 20)
        for pictures in cracks.SETS
        for optimizer in bake_off.LEARNING_RATES
        for arm in ARMS
    ],
    kept=cracks.KEPT,
    more=bake_off.more,
)
