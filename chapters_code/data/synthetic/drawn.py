"""What the drawn sets share: how many pairs, of which size, from which seed."""

from collections.abc import Callable

from chapters_code.checks import check_integer, check_pair
from chapters_code.data.pairs import Segmentation

__all__ = ["Drawn"]


class Drawn(Segmentation):
    """Drawn pairs as a data set, with the interface of the real sets.

    Pair `i` depends on `seed` and `i` alone: not on the order in which pairs are asked for, nor on the number of
    workers.

    Args:
        count: How many pairs, 1 or more.
        size: Height and width of every picture in pixels, each 16 or more.  None: `usual_size`.
        seed: 0 or more.  Another seed gives other pairs: one for training, one for testing.
        transform: As in `Segmentation`.

    Attributes:
        stem: What the ids begin with.
        drawn: What is drawn, in words.
        usual_size: Height and width; None where it changes from picture to picture.

    Raises:
        ValueError: An argument is out of its range; the message names it.
    """

    stem: str
    drawn: str
    usual_size: tuple[int, int] | None = None

    def __init__(
        self, count: int, size: tuple[int, int] | None = None, seed: int = 0, transform: Callable | None = None
    ) -> None:
        count, self.seed = check_integer("count", count, 1), check_integer("seed", seed, 0)
        self.size = self.usual_size if size is None else check_pair("size", size, 16, single=False)
        super().__init__([f"{self.stem}-{i:04d}" for i in range(count)], f"drawn {self.drawn}, seed {seed}", transform)
