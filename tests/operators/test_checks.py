"""The shared checks: what passes comes back as Python's own integers, what does not is named."""

import numpy as np
import pytest

from chapters_code.checks import check_size, check_whole


@pytest.mark.parametrize("value", [0, 7, np.int64(7), np.uint8(200)])
def test_whole_numbers_pass(value):
    passed = check_whole("count", value, 0)
    assert passed == value
    assert type(passed) is int


@pytest.mark.parametrize("value", [-1, 10, 2.0, "3", None, True, float("nan")])
def test_what_is_no_whole_number_in_the_span_is_named(value):
    with pytest.raises(ValueError, match="^width must be a whole number from 0 to 9, got "):
        check_whole("width", value, 0, 9)


def test_a_span_without_an_end_says_so():
    with pytest.raises(ValueError, match="^count must be a whole number of 4 or more, got 3$"):
        check_whole("count", 3, 4)


@pytest.mark.parametrize("size", [(3, 5), [3, 5], (np.int64(3), 5)])
def test_sizes_pass(size):
    assert check_size(size) == (3, 5)
    assert all(type(side) is int for side in check_size(size))


@pytest.mark.parametrize("size", [5, (5,), (3, 5, 7), (0, 5), (3.0, 5), "ab", None])
def test_what_is_no_size_is_shown(size):
    with pytest.raises(ValueError, match=r"^crop must be \(height, width\), two whole numbers of 1 or more, got "):
        check_size(size, name="crop")


def test_a_size_below_the_least_is_refused():
    with pytest.raises(ValueError, match="16 or more"):
        check_size((16, 15), least=16)
