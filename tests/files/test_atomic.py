import pytest

from ophis import InputError
from ophis.files.atomic import whole_file


def test_a_file_is_written_whole_and_folders_on_the_way_are_made(tmp_path):
    path = tmp_path / "a" / "b.txt"
    with whole_file(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_after_an_error_the_old_file_stands_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half():
        with whole_file(path) as temporary:
            temporary.write_text("half")
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - the one raised above
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    def write():
        with whole_file(tmp_path / "file" / "a.txt") as temporary:
            temporary.write_text("x")

    with pytest.raises(InputError, match=r"a\.txt: cannot be written"):
        write()
