"""Where pictures and masks come from: photographs, drawn twins of them, files (Chapters 00, 01, 06, 07 and 09).

Seven sets, one interface (`data.pairs.Segmentation`): each gives pairs of an image, uint8 (3, H, W), and a mask,
int64 (H, W), in which 255 is not counted.

    photographs     VOCSegmentation   CrackSegmentation   SaliencySegmentation
    drawn           SyntheticVOC      SyntheticCracks     SyntheticSaliency
    your own        Pairs, and own_sets, which parts them for training and validation

Importing a module of this package reads nothing and downloads nothing.
"""

from chapters_code.data.own import Pairs, own_sets
from chapters_code.data.photographs.cracks import CrackSegmentation
from chapters_code.data.photographs.saliency import SaliencySegmentation
from chapters_code.data.photographs.voc import VOCSegmentation
from chapters_code.data.synthetic import SyntheticCracks, SyntheticSaliency, SyntheticVOC

__all__ = [
    "CrackSegmentation",
    "Pairs",
    "SaliencySegmentation",
    "SyntheticCracks",
    "SyntheticSaliency",
    "SyntheticVOC",
    "VOCSegmentation",
    "own_sets",
]
