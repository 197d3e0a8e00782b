"""Drawn data sets: the twins of the real ones, with masks that are true to the pixel (Chapters 00, 01, 06, 07, 09).

Roads with cracks, scenes with the twenty VOC classes, scenes in which one thing stands out.  Nothing is downloaded;
the textures are photographs that scikit-image installs.  One seed is one set, on every machine.
`python -m chapters_code.data.synthetic --help` says how to write one to disk in the layout of the real set.
"""

from chapters_code.data.synthetic.cracks import SyntheticCracks, cracked_road
from chapters_code.data.synthetic.drawn import Drawn
from chapters_code.data.synthetic.pavement import DISTRACTORS, SURFACES
from chapters_code.data.synthetic.saliency import SyntheticSaliency
from chapters_code.data.synthetic.twin import write_twin
from chapters_code.data.synthetic.voc import SyntheticVOC

__all__ = ["DISTRACTORS", "SURFACES", "Drawn", "SyntheticCracks", "SyntheticSaliency", "SyntheticVOC"]
__all__ += ["cracked_road", "write_twin"]
