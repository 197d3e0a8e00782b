"""Training: the loop, the recipes it follows, what a run leaves behind (all chapters with training).

    loop         `fit`, on one screen                 recipes      every run of the book, written down in full
    run          what a run keeps and leaves behind   checkpoints  all that going on needs; a trained network
    hardware     device, precision, memory            losses       evaluate

From a shell: `python -m chapters_code.train --help`.
"""

from chapters_code.train.loop import fit

__all__ = ["fit"]
