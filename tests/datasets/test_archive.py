import random
import stat
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ophis import InputError
from ophis.datasets.archive import (
    MAX_BYTES,
    is_archive,
    open_archive,
    open_member,
    unpack_photos,
)
from ophis.datasets.collection import collect


def pack(path: Path, members: dict[str, bytes], **changes: int) -> Path:
    """Write a zip of these members; ``changes`` are set on the entry of the first."""
    with zipfile.ZipFile(path, "w") as archive:
        for number, (name, data) in enumerate(members.items()):
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            for key, value in changes.items() if number == 0 else ():
                setattr(entry, key, value)
            archive.writestr(entry, data)
    return path


def test_unpack_photos_writes_photos_only(tmp_path):
    path = pack(
        tmp_path / "a.zip", {"meta.xml": b"<a/>", "b/": b"", "a.JPG": b"1", "b/c.png": b"2"}
    )
    assert unpack_photos(path, tmp_path / "out") == 2
    assert (tmp_path / "out" / "a.JPG").read_bytes() == b"1"
    assert (tmp_path / "out" / "b" / "c.png").read_bytes() == b"2"
    assert not (tmp_path / "out" / "meta.xml").exists()
    assert unpack_photos(path, tmp_path / "out") == 2  # again, over the same photos


def test_unpack_refuses_to_replace_other_file(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"a\.jpg: exists and differs; unpack to another"):
        unpack_photos(pack(tmp_path / "a.zip", {"a.jpg": b"other"}), tmp_path)
    assert (tmp_path / "a.jpg").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../a.jpg", "leaves the folder"),
        ("b/../../a.jpg", "leaves the folder"),
        ("b/..", "leaves the folder"),
        ("b/./a.jpg", "leaves the folder"),
        ("/etc/a.jpg", "is an absolute path"),
        ("~/a.jpg", "is an absolute path"),
        ("C:/a.jpg", "is an absolute path"),
        ("c:/a.jpg", "is an absolute path"),
        ("b\\..\\a.jpg", "has a backslash"),
        ("a\n.jpg", "has a control character"),
    ],
)
def test_member_outside_folder_is_refused(tmp_path, name, words):
    path = pack(tmp_path / "a.zip", {"good.jpg": b"1", name: b"2"})
    with pytest.raises(InputError, match=words) as error:
        unpack_photos(path, tmp_path / "out")
    assert f"a.zip: member {name!r}" in str(error.value)
    assert [each.name for each in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"external_attr": (stat.S_IFLNK | 0o777) << 16}, "is a link or no plain file"),
        ({"external_attr": stat.S_IFIFO << 16}, "is a link or no plain file"),
    ],
)
def test_special_member_is_refused(tmp_path, changes, words):
    path = pack(tmp_path / "a.zip", {"a.jpg": b"/etc/passwd"}, **changes)
    with pytest.raises(InputError, match=rf"member 'a\.jpg' {words}"):
        unpack_photos(path, tmp_path / "out")


def test_zip_bomb_is_refused(tmp_path):
    path = pack(tmp_path / "a.zip", {"small.jpg": b"x", "bomb.jpg": bytes(1 << 20)})
    with pytest.raises(InputError, match=r"'bomb\.jpg' unpacks to more than 100 times its size"):
        unpack_photos(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def declare(path: Path, old: int, new: int) -> None:
    """Write another unpacked size into the headers of an archive."""
    data = path.read_bytes()
    assert data.count(old.to_bytes(4, "little")) >= 2
    path.write_bytes(data.replace(old.to_bytes(4, "little"), new.to_bytes(4, "little")))


@pytest.mark.parametrize("excess", [0, 1])
def test_member_of_100_times_its_packed_size_is_accepted(tmp_path, excess):
    data = random.Random(0).randbytes(70_001)
    path = pack(tmp_path / "a.zip", {"a.jpg": data})
    with zipfile.ZipFile(path) as archive:
        packed = archive.getinfo("a.jpg").compress_size
    declare(path, len(data), 100 * packed + excess)
    if excess:
        with pytest.raises(InputError, match="more than 100 times"), open_archive(path):
            pytest.fail("the archive should not have been opened")
    else:
        with open_archive(path) as archive:
            assert archive.getinfo("a.jpg").file_size == 100 * packed


def test_member_is_read_and_compared_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("ophis.datasets.archive._CHUNK_BYTES", 4)
    lengths, read = [], zipfile.ZipExtFile.read

    def measured(file: zipfile.ZipExtFile, n: int | None = -1) -> bytes:
        lengths.append(len(data := read(file, n)))
        return data

    monkeypatch.setattr(zipfile.ZipExtFile, "read", measured)
    path = pack(tmp_path / "a.zip", {"a.jpg": b"0123456789"})
    assert unpack_photos(path, tmp_path) == 1
    assert lengths == [4, 4, 2, 0]
    assert unpack_photos(path, tmp_path) == 1  # the checksum of three parts is the same
    (tmp_path / "a.jpg").write_bytes(b"????456789")
    with pytest.raises(InputError, match="exists and differs"):
        unpack_photos(path, tmp_path)


def test_archive_is_recognised_by_its_suffix():
    assert [is_archive(Path(name)) for name in ("a.zip", "a.ZIP", "a.csv", "zip")] == [
        True, True, False, False,
    ]  # fmt: skip


def test_missing_member_is_named(tmp_path):
    with open_archive(pack(tmp_path / "a.zip", {"a.csv": b"1"})) as archive:
        with open_member(tmp_path / "a.zip", archive, "a.csv") as file:
            assert file.read() == b"1"
        with pytest.raises(InputError, match=r"a\.zip: member 'b\.csv' is missing"):
            open_member(tmp_path / "a.zip", archive, "b.csv")


def test_archive_above_two_gibibytes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("ophis.datasets.archive.MAX_BYTES", 10)
    path = pack(tmp_path / "a.zip", {"a.jpg": b"12345", "b.jpg": b"12345", "c.jpg": b"1"})
    with pytest.raises(InputError, match=r"member 'c\.jpg' goes beyond 10 bytes unpacked"):
        unpack_photos(path, tmp_path / "out")
    assert MAX_BYTES == 2 * 1024**3


def test_member_longer_than_its_size_is_refused(tmp_path):
    """A member never yields more bytes than it declares."""
    data = random.Random(0).randbytes(70_001)
    path = pack(tmp_path / "a.zip", {"a.jpg": data})
    declare(path, len(data), 300)
    with pytest.raises(InputError, match=r"a\.zip: cannot be read as zip"):
        unpack_photos(path, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.jpg"))


def test_duplicate_and_encrypted_members_are_refused(tmp_path):
    path = pack(tmp_path / "a.zip", {"a.jpg": b"1", "b.jpg": b"2"})
    data = path.read_bytes()
    (tmp_path / "twice.zip").write_bytes(data.replace(b"b.jpg", b"a.jpg"))
    with pytest.raises(InputError, match=r"'a\.jpg' is there twice"):
        unpack_photos(tmp_path / "twice.zip", tmp_path / "out")
    entry = data.index(b"PK\x01\x02")
    (tmp_path / "locked.zip").write_bytes(data[: entry + 8] + b"\x01" + data[entry + 9 :])
    with pytest.raises(InputError, match=r"'a\.jpg' has a password"):
        unpack_photos(tmp_path / "locked.zip", tmp_path / "out")


@pytest.mark.parametrize("link", ["b", "b/c.jpg"])
def test_existing_link_is_not_followed(tmp_path, link):
    outside, out = tmp_path / "outside", tmp_path / "out"
    outside.mkdir()
    (out / link).parent.mkdir(parents=True)
    (out / link).symlink_to(outside if link == "b" else outside / "c.jpg")
    with pytest.raises(InputError, match=r"member 'b/c\.jpg' would follow a link out of"):
        unpack_photos(pack(tmp_path / "a.zip", {"b/c.jpg": b"1"}), out)
    assert not list(outside.iterdir())


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.zip").write_text("text")
    with pytest.raises(InputError, match=r"a\.zip: cannot be read as zip"):
        unpack_photos(tmp_path / "a.zip", tmp_path / "out")
    with pytest.raises(InputError, match=r"none\.zip: there is no such file"):
        unpack_photos(tmp_path / "none.zip", tmp_path / "out")


def unpacked(path: Path, folder: Path) -> tuple[int, str | None]:
    """Return the number of photos, or the error message."""
    try:
        return unpack_photos(path, folder), None
    except InputError as error:
        message = str(error)
    assert "\n" not in message
    return 0, message


PARTS = st.sampled_from(
    ["..", ".", "a", "b.jpg", "", "C:", "~", "\\", "c d", "\u202e", "…", "a\\b"]
)
MEMBERS = st.lists(PARTS, min_size=1, max_size=4).map("/".join).map("{}x.jpg".format)


@settings(max_examples=60)
@given(names=st.lists(MEMBERS, min_size=1, max_size=3, unique=True))
def test_members_stay_inside_the_folder(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("archive")
    path = pack(folder / "a.zip", dict.fromkeys(names, b"1"))
    number, message = unpacked(path, folder / "deep" / "out")
    if message:
        assert [each.name for each in folder.iterdir()] == ["a.zip"]
        return
    written = [each for each in folder.rglob("*") if each.is_file()]
    assert {each.relative_to(folder).parts[:2] for each in written} == {("a.zip",), ("deep", "out")}
    assert number == len(names) == len(written) - 1


@settings(max_examples=60)
@given(place=st.integers(0, 10**6), bits=st.integers(1, 255), cut=st.booleans())
def test_damaged_archive_is_refused(tmp_path_factory, place, bits, cut):
    folder = tmp_path_factory.mktemp("damage")
    path = pack(folder / "a.zip", {"a.jpg": b"some bytes" * 9, "b/c.jpg": b"others"})
    data = bytearray(path.read_bytes())
    place %= len(data)
    data[place] ^= bits
    path.write_bytes(data[:place] if cut else data)
    _, message = unpacked(path, folder / "out")
    assert message is None or str(path) in message


def test_open_archive_checks_every_member(tmp_path):
    path = pack(tmp_path / "a.zip", {"../a": b"1"})
    with pytest.raises(InputError, match="leaves the folder"), open_archive(path):
        pytest.fail("the archive should not have been opened")


def overlapping(path: Path, number: int) -> Path:
    """Write a zip whose members all have the bytes of the first."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a0.jpg", b"\xff\xd8\xff" + random.Random(0).randbytes(4000))
        first = archive.filelist[0]
        for n in range(1, number):
            copy = zipfile.ZipInfo(f"a{n}.jpg")
            for name in ("header_offset", "CRC", "compress_size", "file_size", "compress_type"):
                setattr(copy, name, getattr(first, name))
            archive.filelist.append(copy)
    return path


def test_members_that_share_bytes_are_refused(tmp_path):
    words = r"a\.zip: member 'a\d+\.jpg' shares bytes with another; the archive is refused"
    with pytest.raises(InputError, match=words):
        unpack_photos(overlapping(tmp_path / "a.zip", 800), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert unpack_photos(overlapping(tmp_path / "b.zip", 1), tmp_path / "out") == 1


def test_member_that_reaches_into_the_directory_is_refused(tmp_path):
    path = overlapping(tmp_path / "a.zip", 1)
    with zipfile.ZipFile(path) as archive:
        size = archive.filelist[0].compress_size
    declare(path, size, size + 50)
    with pytest.raises(InputError, match="shares bytes with another"):
        unpack_photos(path, tmp_path / "out")


def test_member_in_more_than_100_folders_is_refused(tmp_path):
    path = pack(tmp_path / "a.zip", {"a/" * 101 + "x.jpg": b"1"})
    with pytest.raises(InputError, match="is more than 100 folders deep; the archive is refused"):
        unpack_photos(path, tmp_path / "out")


def test_nothing_is_unpacked_before_the_tables_are_right(tmp_path):
    path = pack(tmp_path / "a.zip", {"a.jpg": b"1", "meta.xml": b"<archive/>"})
    with pytest.raises(InputError, match=r"meta\.xml describes no core"):
        collect(path, tmp_path / "m.csv", unpack=tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())
