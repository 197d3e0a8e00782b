"""Receptive fields: which pixels of the picture can change one pixel of the output (Chapter 03).

For a stack of convolutions and pooling layers a sum gives the answer, `receptive_field_of_stack`.  For any other
network we follow its forward pass from the end to the start:

1. *Write down* (`tape`).  The network runs once on a picture without numbers (PyTorch's "meta" device: shapes only, no
   work), and every operation is written on a tape.  So branches, skip connections, `torch.cat` and sizes that are
   computed on the way need no special care: the tape holds what was really called.
2. *Walk back* (`rules`).  Mark one pixel of the output.  Each operation, from the last to the first, has a rule that
   says which of its input's pixels the marked ones looked at.  Where two ways meet, the marks of both are kept.
3. *Measure* (`measure`).  The marked pixels of the picture are the answer.  Size, stride and start of their box are
   measured on a picture so large that no border cuts it.

*Can* change: a learned weight counts, whatever its value is just now; a fixed tap of a convolution (a buffer) counts
unless it is zero in all channels.  `effective_receptive_field` asks the other question: how much does each pixel change
it, with these very weights?

Left out: convolutions in 1-D and 3-D, circular padding, forward passes that look at the numbers.

Sources: Araujo, Norris and Sim (2019), "Computing Receptive Fields of Convolutional Neural Networks", for the sums and
the published sizes; Luo, Li, Urtasun and Zemel (2016) for the effective field.
"""

from chapters_code.receptive_field.effective import effective_radius, effective_receptive_field
from chapters_code.receptive_field.measure import Field, Fields, receptive_field, receptive_field_of_stack
from chapters_code.receptive_field.rules import RULES
from chapters_code.receptive_field.tape import Call

__all__ = [
    "RULES",
    "Call",
    "Field",
    "Fields",
    "effective_radius",
    "effective_receptive_field",
    "receptive_field",
    "receptive_field_of_stack",
]
