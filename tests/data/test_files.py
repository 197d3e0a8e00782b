"""A file is whole or not there, whatever happens while it is written."""

import pytest

from chapters_code.files import written_whole


@pytest.fixture
def path(tmp_path):
    return tmp_path / "numbers.txt"


def names(path):
    return sorted(file.name for file in path.parent.iterdir())


def test_what_was_written_is_there_and_nothing_else(path):
    with written_whole(path) as unfinished:
        unfinished.write_text("1 2 3")
        assert not path.exists()
    assert path.read_text() == "1 2 3"
    assert names(path) == ["numbers.txt"]


def test_while_it_is_written_readers_see_the_old_file(path):
    path.write_text("old")
    with written_whole(path) as unfinished:
        unfinished.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_a_write_that_fails_leaves_the_old_file_and_no_rest(path):
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), written_whole(path) as unfinished:
        unfinished.write_text("ne")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert names(path) == ["numbers.txt"]


def test_the_rest_of_a_killed_process_is_written_over(path):
    path.with_name("numbers.txt.part").write_text("half of something long")
    with written_whole(str(path)) as unfinished:
        unfinished.write_text("new")
    assert path.read_text() == "new"
    assert names(path) == ["numbers.txt"]


def test_nothing_written_is_an_error_and_not_an_empty_file(path):
    with pytest.raises(FileNotFoundError), written_whole(path):
        pass
    assert names(path) == []
