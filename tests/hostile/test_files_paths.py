"""Paths in tables: only regular files inside the folder are read."""

import json
import os
import signal
import socket
import stat
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

from ophis import InputError, PhotoError, read_manifest
from ophis.images.decode import read_bytes
from ophis.inference.photo import Wanted, read_photos
from tests.support.hostile_photos import picture, saved

PHOTO = saved(picture(), "JPEG")


@contextmanager
def within(seconds: int) -> Generator[None]:
    """Fail after a time limit: a read of a pipe or a device may never end."""

    def over(*_: object) -> None:
        raise TimeoutError("the read does not end")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def link_out(path: Path) -> None:
    (path.parents[1] / "outside.jpg").write_bytes(PHOTO)
    path.symlink_to(path.parents[1] / "outside.jpg")


def link_through_a_folder(path: Path) -> None:
    (path.parents[1] / "outside").mkdir()
    (path.parents[1] / "outside" / "a.jpg").write_bytes(PHOTO)
    (path.parent / "below").symlink_to(path.parents[1] / "outside")


def bound_socket(path: Path) -> None:
    # Names of sockets are short.
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
    finally:
        os.chdir(here)


def endless_device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # /dev/zero
        path.open("rb").close()
    except OSError:
        path.unlink(missing_ok=True)
        pytest.skip("no permission to create a device")


# Photo of a row, how its file is made, and the message.
PATHS: dict[str, tuple[str, Callable[[Path], object] | None, str]] = {
    "upwards": ("../outside.jpg", None, "leaves the folder"),
    "upwards in the middle": ("below/../../outside.jpg", None, "leaves the folder"),
    "from the root": ("/etc/hostname", None, "leaves the folder"),
    "from a home": ("~/a.jpg", None, "leaves the folder"),
    "of Windows": ("C:/a.jpg", None, "leaves the folder"),
    "with backslashes": ("..\\outside.jpg", None, "leaves the folder"),
    "a link out": ("a.jpg", link_out, "is a link that leaves the folder"),
    "behind a link out": ("below/a.jpg", link_through_a_folder, "behind a link that leaves"),
    "a link to a device": ("a.jpg", lambda p: p.symlink_to("/dev/zero"), "link that leaves"),
    "a pipe": ("a.jpg", os.mkfifo, "is no plain file (a pipe, a socket or a device)"),
    "a socket": ("a.jpg", bound_socket, "is no plain file (a pipe, a socket or a device)"),
    "a device": ("a.jpg", endless_device, "is no plain file (a pipe, a socket or a device)"),
}


def table(folder: Path, form: str, photo: str) -> tuple[Path, str]:
    """Write a table whose second row names a photo; return its path and the place of that row."""
    rows = {"photo": ["good.jpg", photo], "species": ["Boa", "Boa"], "country": ["kenya", "kenya"]}
    named = {"file_name": rows["photo"], "species": rows["species"]}
    if form == "csv":
        text = "photo,species\n" + "".join(f'"{p}",Boa\n' for p in rows["photo"])
        (folder / "m.csv").write_text(text)
        return folder / "m.csv", "m.csv, row 3: "
    if form == "jsonl":
        lines = [json.dumps({"photo": p, "species": "Boa"}) for p in rows["photo"]]
        (folder / "m.jsonl").write_text("\n".join(lines))
        return folder / "m.jsonl", "m.jsonl, row 2: "
    if form == "parquet":
        pl.DataFrame(rows).write_parquet(folder / "m.parquet")
        return folder / "m.parquet", "m.parquet, row 2: "
    pl.DataFrame(named).write_csv(folder / "metadata.csv")
    return folder, "metadata.csv, row 3: "


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet", "metadata"])
@pytest.mark.parametrize("name", PATHS)
def test_path_outside_the_folder_is_refused_by_row(tmp_path, name, form):
    photo, make, words = PATHS[name]
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "good.jpg").write_bytes(PHOTO)
    if make:
        make(folder / "a.jpg")
    path, where = table(folder, form, photo)
    with within(30), pytest.raises(InputError) as error:
        read_manifest(path)
    assert where in str(error.value)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_links_inside_the_folder_are_read(tmp_path):
    """Symbolic links and hard links."""
    (tmp_path / "good.jpg").write_bytes(PHOTO)
    (tmp_path / "same.jpg").symlink_to("good.jpg")
    os.link(tmp_path / "good.jpg", tmp_path / "twice.jpg")
    names = ("good.jpg", "same.jpg", "twice.jpg")
    (tmp_path / "m.csv").write_text("photo,species\n" + "".join(f"{n},Boa\n" for n in names))
    assert {read_bytes(path) for path in read_manifest(tmp_path / "m.csv").paths()} == {PHOTO}


@pytest.mark.parametrize("make", [os.mkfifo, bound_socket, endless_device])
def test_special_file_is_refused_without_waiting(tmp_path, make):
    make(tmp_path / "a.jpg")
    with within(30):
        _, (failure,) = read_photos([tmp_path / "a.jpg"], Wanted(frozenset({32})))
    assert (
        failure.reason == f"{tmp_path / 'a.jpg'}: is no plain file (a pipe, a socket or a device)"
    )
    (tmp_path / "Boa").mkdir()
    make(tmp_path / "Boa" / "a.jpg")
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(InputError, match=r"Boa/a\.jpg: is no plain file .*; remove it"):
        read_manifest(tmp_path)


def test_file_replaced_by_a_pipe_is_refused_without_waiting(tmp_path, monkeypatch):
    """A file may be replaced between the check of its path and its opening."""
    os.mkfifo(tmp_path / "a.jpg")
    monkeypatch.setattr(Path, "is_file", lambda _: True)
    with within(30), pytest.raises(PhotoError, match="is no plain file"):
        read_bytes(tmp_path / "a.jpg")
    # Also while another thread writes into the pipe without end.
    writer = threading.Thread(target=_fill, args=(tmp_path / "a.jpg",), daemon=True)
    writer.start()
    with within(30), pytest.raises(PhotoError, match="is no plain file"):
        read_bytes(tmp_path / "a.jpg")


def _fill(path: Path) -> None:
    try:
        handle = os.open(path, os.O_WRONLY)
        while True:
            os.write(handle, bytes(4096))
    except BrokenPipeError:
        pass


@pytest.mark.parametrize("name", ["m.csv", "m.jsonl", "m.parquet"])
def test_table_that_is_a_pipe_is_refused(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with within(30), pytest.raises(InputError, match=r"no plain file .*; name the file of a table"):
        read_manifest(tmp_path / name)


def test_linked_metadata_outside_the_dataset_is_refused(tmp_path):
    (tmp_path / "secret.csv").write_text("file_name,species\nx,y\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "metadata.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(InputError, match=r"metadata\.csv: this link leaves"):
        read_manifest(tmp_path / "data")
