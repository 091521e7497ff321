import pytest

from ophis import InputError
from ophis.files.atomic import whole_file


def test_a_file_is_written_and_missing_folders_are_created(tmp_path):
    path = tmp_path / "a" / "b.txt"
    with whole_file(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_keeps_the_old_file_and_leaves_no_other(tmp_path):
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


def test_an_unwritable_path_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    def write():
        with whole_file(tmp_path / "file" / "a.txt") as temporary:
            temporary.write_text("x")

    with pytest.raises(InputError, match=r"a\.txt: cannot be written"):
        write()
