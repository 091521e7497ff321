"""Lock of a folder against a second process that writes it."""

import os
import subprocess
import sys

import pytest

from ophis.errors import InputError
from ophis.files.folder_lock import LOCK, locked_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such lock there")


def test_second_writer_is_refused_until_the_first_ends(tmp_path):
    folder = tmp_path / "a" / "run"
    with locked_folder(folder) as locked:
        assert locked.in_place()
        with (
            pytest.raises(InputError, match="run: another process is writing"),
            locked_folder(folder),
        ):
            pass
        (folder / "result").write_text("x")
    with locked_folder(folder):
        pass
    assert [path.name for path in folder.iterdir()] == ["result"]


def test_folder_made_for_nothing_is_removed(tmp_path):
    with locked_folder(tmp_path / "a" / "b"):
        pass
    with locked_folder(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_killed_process_leaves_no_lock(tmp_path):
    words = """
import os, signal, sys
from ophis.files.folder_lock import locked_folder
with locked_folder(sys.argv[1]):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", words, tmp_path], check=False)
    assert (tmp_path / LOCK).exists()
    with locked_folder(tmp_path):
        pass


def test_lock_of_a_process_that_ends_meanwhile_is_not_taken(tmp_path, monkeypatch):
    import fcntl

    real = fcntl.flock

    def removed(handle, operation):
        (tmp_path / LOCK).unlink()
        real(handle, operation)

    monkeypatch.setattr(fcntl, "flock", removed)
    with (
        pytest.raises(InputError, match="another process is writing there"),
        locked_folder(tmp_path),
    ):
        pass


def test_moved_removed_or_replaced_folder_is_noticed(tmp_path):
    folder = tmp_path / "run"
    with locked_folder(folder) as locked:
        folder.rename(tmp_path / "moved")
        with pytest.raises(InputError, match="run: was moved or removed while it was written"):
            locked.require_in_place()
        folder.mkdir()
        (folder / LOCK).write_text("")
        with pytest.raises(InputError, match="was moved or removed"):
            locked.require_in_place()
    assert (folder / LOCK).exists()


def test_lock_file_of_another_kind_is_neither_followed_nor_waited_for(tmp_path):
    (tmp_path / "thesis.txt").write_text("x")
    (tmp_path / LOCK).symlink_to(tmp_path / "thesis.txt")
    with pytest.raises(InputError, match="cannot be written"), locked_folder(tmp_path):
        pass
    assert (tmp_path / "thesis.txt").read_text() == "x"
    (tmp_path / LOCK).unlink()
    os.mkfifo(tmp_path / LOCK)
    with locked_folder(tmp_path):
        pass
