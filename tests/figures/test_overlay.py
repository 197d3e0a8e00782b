"""Answers over photographs: every pixel in the right colour, worked out by hand; names where there is room."""

import pytest
import torch
from PIL import ImageColor
from torch.testing import assert_close

from chapters_code.colours import COLOURS
from chapters_code.overlay import VERDICTS, class_colours, flat, overlay, palette, shares, verdict

CLASSES = ("background", "cup", "spoon")


def colour(name: str) -> list[int]:
    return list(ImageColor.getrgb(COLOURS[name]))


def grey(height: int, width: int, value: int = 100) -> torch.Tensor:
    return torch.full((3, height, width), value, dtype=torch.uint8)


def test_background_is_pale_grey_the_inside_half_and_the_border_all_colour():
    """A grey of 100 becomes 127.5 + 50; half of that and half of the colour inside; the rim pure."""
    labels = torch.zeros(7, 9, dtype=torch.int64)
    labels[1:6, 2:7] = 1
    found = overlay(grey(7, 9), labels, CLASSES[:2]).permute(1, 2, 0).tolist()
    ink = colour("vermillion")

    assert found[0][0] == found[6][8] == [178, 178, 178]
    assert found[1][2] == found[5][6] == found[3][2] == ink
    assert_close(torch.tensor(found[3][4]), ((177.5 + torch.tensor(ink)) / 2).round().long())


def test_a_thin_thing_is_all_border_and_touching_classes_are_parted():
    labels = torch.zeros(5, 8, dtype=torch.int64)
    labels[2] = 1
    assert overlay(grey(5, 8), labels, CLASSES[:2])[:, 2].T.tolist() == [colour("vermillion")] * 8


def test_colour_of_the_photograph_does_not_count_only_its_brightness():
    red, green = grey(3, 4, 0), grey(3, 4, 0)
    red[0], green[1] = 200, 200
    nothing = torch.zeros(3, 4, dtype=torch.int64)
    red, green = (overlay(one, nothing, CLASSES)[:, 0, 0].tolist() for one in (red, green))
    assert red == [round(127.5 + 0.299 * 100)] * 3 and green == [round(127.5 + 0.587 * 100)] * 3


def test_void_has_no_colour_and_a_number_without_a_class_is_refused():
    labels = torch.full((4, 5), 255)
    assert overlay(grey(4, 5), labels, CLASSES).unique().tolist() == [178]
    with pytest.raises(ValueError, match="labels holds 3, but there are 3 classes, 0 to 2"):
        overlay(grey(4, 5), torch.full((4, 5), 3), CLASSES)


def test_the_largest_class_gets_the_first_colour():
    labels = torch.tensor([[0, 2, 2, 1, 255]])
    assert shares(labels, CLASSES) == {"spoon": 0.4, "background": 0.2, "cup": 0.2}
    assert list(class_colours(labels, CLASSES).items()) == [
        ("spoon", COLOURS["vermillion"]), ("cup", COLOURS["sky"])
    ]  # fmt: skip
    many = palette(map(str, range(16)))
    assert len(set(many.values())) == 14 and many["0"] == many["14"]


def test_alone_the_labels_are_flat():
    labels = torch.tensor([[0, 2], [1, 255]])
    found = flat(labels, CLASSES, {"cup": COLOURS["blue"], "spoon": COLOURS["sky"]}).permute(1, 2, 0).tolist()
    assert found == [[[225] * 3, colour("sky")], [colour("blue"), [255] * 3]]


def test_the_name_stands_in_its_region_if_there_is_room():
    """White paper with black letters, in the middle of the region; not on a picture of 8 pixels."""
    labels = torch.zeros(120, 160, dtype=torch.int64)
    labels[70:118, 80:158] = 2
    found = overlay(grey(120, 160), labels, CLASSES)
    white = (found == 255).all(0).nonzero().double()
    assert len(white) > 100 and (found == 0).all(0).any()
    assert (white.mean(0) - torch.tensor([94.0, 119.0])).abs().max() < 4
    assert not (overlay(grey(8, 8), torch.full((8, 8), 2), CLASSES) == 255).all(0).any()
    few = labels * 0
    few[60:62, 100:110] = 2
    assert not (overlay(grey(120, 160), few, CLASSES) == 255).all(0).any()


def test_two_names_do_not_cover_each_other():
    labels = torch.zeros(120, 200, dtype=torch.int64)
    labels[50:60, 60:140], labels[60:70, 60:140] = 1, 2
    both = overlay(grey(120, 200), labels, CLASSES)
    papers = sum((overlay(grey(120, 200), labels * (labels == k), CLASSES) == 255).all(0).sum().item() for k in (1, 2))
    assert (both == 255).all(0).sum() == papers


def test_hits_misses_and_false_alarms_by_hand():
    truth = torch.tensor([[0, 1, 1, 0, 255, 255]])
    answer = torch.tensor([[0, 1, 0, 1, 1, 0]])
    found = verdict(grey(1, 6), answer, truth)[:, 0].T.tolist()
    hit, miss, alarm = (list(ImageColor.getrgb(VERDICTS[name])) for name in ("hit", "miss", "false alarm"))
    assert found == [[178] * 3, hit, miss, alarm, [178] * 3, [178] * 3]


def test_what_is_near_enough_is_a_hit():
    """A crack found two rows too low: with a tolerance of 2 it is right, and the true one is not missed."""
    truth, answer = torch.zeros(7, 5), torch.zeros(7, 5)
    truth[2], answer[4] = 1, 1
    for tolerance, colours in ((1, {2: "miss", 4: "false alarm"}), (2, {4: "hit"})):
        found = verdict(grey(7, 5), answer, truth, tolerance)
        for row in range(7):
            expected = list(ImageColor.getrgb(VERDICTS[colours[row]])) if row in colours else [178] * 3
            assert found[:, row].T.tolist() == [expected] * 5, (tolerance, row)


@pytest.mark.parametrize(
    ("image", "labels", "said"),
    [
        (torch.zeros(3, 4, 5), torch.zeros(4, 5), r"a photograph is uint8 \(3, H, W\).*got torch.float32"),
        (grey(4, 5)[0], torch.zeros(4, 5), r"got torch.uint8 \(4, 5\)"),
        (grey(4, 5), torch.zeros(5, 4), r"must have one size, got \(4, 5\) and \(5, 4\)"),
        ("a.jpg", torch.zeros(4, 5), "got str"),
    ],
)
def test_what_does_not_fit_is_refused(image, labels, said):
    with pytest.raises(ValueError, match=said):
        overlay(image, labels, CLASSES)
    with pytest.raises(ValueError, match=said):
        verdict(image, labels, labels)
