"""Photo arguments: paths, folders, patterns and standard input."""

import inspect
import io
import sys
from pathlib import Path

import pytest

from ophis import InputError
from ophis.cli.terminal.photo_names import find_photos


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Photos, a text file, a hidden file and a subfolder. No file is decoded here."""
    for name in (
        "b.JPG",
        "a.png",
        "notes.txt",
        ".hidden.jpg",
        "deeper/c.jpg",
        "deeper/more/d.webp",
    ):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "photos" / "deeper" / "folder.jpg").mkdir()  # a folder with the suffix of a photo
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(*names: str, **options) -> list[str]:
    photos, _ = find_photos(list(names), **options)
    return list(map(str, photos))


def test_path_is_kept_if_it_exists_or_not(folder):
    """The decoder reports what is wrong with it and goes on with the others."""
    assert found("photos/notes.txt", "gone.jpg") == ["photos/notes.txt", "gone.jpg"]


def test_folder_gives_sorted_photos_and_names_skipped_subfolders(folder):
    photos, passed_over = find_photos(["photos"])
    assert list(map(str, photos)) == ["photos/a.png", "photos/b.JPG"]
    line, others = passed_over
    assert line.startswith("photos: 1 folder in it is not searched; name 'photos/**/*'")
    assert others == (
        "photos: 2 passed over, no photos: 1 hidden, 1 .txt; the first is photos/.hidden.jpg"
    )


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("photos/*", ["photos/a.png", "photos/b.JPG"]),
        ("photos/*.[Jj][Pp][Gg]", ["photos/b.JPG"]),
        ("photos/?.png", ["photos/a.png"]),
        ("photos/**/*.jpg", ["photos/deeper/c.jpg"]),
        ("photos/**/*", ["photos/a.png", "photos/b.JPG", "photos/deeper/c.jpg",
                         "photos/deeper/more/d.webp"]),
    ],
)  # fmt: skip
def test_pattern_gives_matching_photos(folder, pattern, expected):
    assert found(pattern) == expected
    assert found(str(folder / pattern)) == [str(folder / path) for path in expected]


def test_pictures_with_any_suffix_are_photos(folder):
    """Decided by the first bytes; a picture that is not read fails with the reason later."""
    heads = {
        "a.jfif": b"\xff\xd8\xff\xe0", "b.JPE": b"\xff\xd8\xff\xe1", "c.mpo": b"\xff\xd8\xff\xe1",
        "d": b"\x89PNG\r\n\x1a\n", "e.jpg.txt": b"\xff\xd8\xff\xdb", "f.jpg~": b"RIFFabcdWEBP",
        "g.JPG.jpg": b"", "h.dng": b"II*\x00", "i.jxl": b"\xff\x0a", "j.avif": b"\0\0\0 ftypavif",
    }  # fmt: skip
    others = {"Thumbs.db": b"\xd0\xcf", "k.xmp": b"<x>", "l.mov": b"\0\0\0 ftypqt  ", "m": b""}
    for name, data in {**heads, **others}.items():
        path = folder / "any" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    (folder / "any" / "__MACOSX").mkdir()
    for name in ("any", "any/*"):
        photos, notes = find_photos([name])
        assert [path.name for path in photos if isinstance(path, Path)] == sorted(heads)
        assert len(notes) == 1
        assert f"{4 + (name == 'any')} passed over, no photos" in notes[0]


def test_existing_file_wins_over_pattern(folder):
    (folder / "photos" / "[ab].png").touch()
    assert found("photos/[ab].png") == ["photos/[ab].png"]


def test_standard_input_is_a_photo_or_a_list_of_paths(folder):
    photos, _ = find_photos(["-", "x.jpg"], stdin=io.BytesIO(b"bytes"))
    assert photos == [b"bytes", Path("x.jpg")]
    listed = io.BytesIO("photos/a.png\r\n\n  photos/größe.jpg\nphotos/deeper\n".encode())
    assert found(listed="-", stdin=listed) == [
        "photos/a.png", "photos/größe.jpg", "photos/deeper/c.jpg",
    ]  # fmt: skip
    (folder / "list.txt").write_text("photos/b.JPG\n")
    assert found("x.jpg", listed="list.txt") == ["x.jpg", "photos/b.JPG"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("between", ["\n", "\r\n", "\r", "\0"])
def test_lists_of_editors_and_of_find_print0(folder, encoding, between):
    listed = io.BytesIO(between.join(["a.png", "b c.jpg", ""]).encode(encoding))
    assert found(listed="-", stdin=listed) == ["a.png", "b c.jpg"]


@pytest.mark.parametrize(
    ("names", "options", "words"),
    [
        ((), {}, "no photo was named"),
        (("empty",), {}, "empty: holds no photo; name another folder"),
        (("photos/deeper/more/*.jpg",), {}, "fits no file; check the pattern, and quote it"),
        (("photos/*.txt",), {}, "fits 1 files, none of them a photo"),
        (("-", "-"), {}, "standard input can be read once"),
        (("-",), {"listed": "-"}, "standard input can be read once"),
        (("-",), {"stdin": io.BytesIO()}, "standard input is empty; send a photo"),
        ((), {"listed": "-", "stdin": io.BytesIO(b"\n")}, "--files-from -: holds no path"),
        (
            (),
            {"listed": "-", "stdin": io.BytesIO(b"\xff\xd8\xff\xe0\0\x10")},
            "for one photo name '-' alone",
        ),
        ((), {"listed": "gone.txt"}, "--files-from gone.txt: cannot be read"),
    ],
)
def test_arguments_without_photo_are_one_line_error(folder, names, options, words):
    with pytest.raises(InputError) as refused:
        find_photos(list(names), **options)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_error_of_folder_with_only_subfolders_names_pattern(folder):
    (folder / "outer" / "inner").mkdir(parents=True)
    with pytest.raises(InputError, match=r"holds no photo; name 'outer/\*\*/\*'"):
        find_photos(["outer"])


def test_pattern_over_very_deep_folders_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    depth = len(inspect.stack())
    Path(*"a" * 300).mkdir(parents=True)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + 150)
    try:
        with pytest.raises(InputError, match="its folders are too deep; name the inner ones"):
            find_photos(["**/*.jpg"])
    finally:
        sys.setrecursionlimit(limit)
