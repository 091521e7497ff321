"""Reason codes of errors, from the bytes of a file to the answer."""

import io
import json
import logging
import pickle
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ophis import InputError, PhotoError, read_manifest, read_recipe, read_scores
from ophis.datasets.shards.writer import pack
from ophis.datasets.split import split
from ophis.datasets.synthetic.population import sightings
from ophis.decision.calibration import read_calibration
from ophis.errors import (
    MAX_MESSAGE,
    MAX_VALUE,
    NoPhotoError,
    OneLineFormatter,
    PhotoFailure,
    Reason,
    printable,
    require_whole,
)
from ophis.geography.countries import read_country
from ophis.images.decode import MAX_BYTES, decode, read_bytes
from ophis.inference.photo import Wanted, read_photos
from ophis.scores.scores import Scores
from ophis.serve.limits import Limits
from ophis.taxonomy.species_list import SpeciesList
from tests.support.classifiers import Network, classifier
from tests.support.photos import png_header


def saved(kind: str, width: int = 70, height: int = 70) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, kind)
    return buffer.getvalue()


WANTED = Wanted(frozenset({32}))
FILES = {
    Reason.EMPTY: (b"",),
    Reason.NOT_A_PHOTO: (b"%PDF-1.7 a letter", b"a letter, and no photo at all"),
    Reason.OTHER_FORMAT: (saved("GIF"), saved("BMP"), b"\0\0\0\x18ftypavif" + bytes(90)),
    Reason.DAMAGED: (saved("JPEG")[:-200], saved("PNG")[:60]),
    Reason.TOO_LARGE: (png_header(20_000, 20_000), png_header(10_000, 8_001)),
    Reason.TOO_SMALL: (saved("PNG", 31), saved("WEBP", 90, 20)),
}


@pytest.mark.parametrize("reason", FILES)
def test_bad_file_is_refused_with_its_reason(reason):
    for data in FILES[reason]:
        with pytest.raises(PhotoError) as error:
            decode(data)
        assert error.value.reason is reason
        _, (failure,) = read_photos([data], WANTED)
        assert failure.code is reason


def test_missing_and_too_large_files_have_reasons(tmp_path):
    (tmp_path / "large.jpg").write_bytes(bytes(MAX_BYTES + 1))
    for name, reason in (("large.jpg", Reason.TOO_LARGE), ("none.jpg", Reason.UNREADABLE)):
        with pytest.raises(PhotoError) as error:
            read_bytes(tmp_path / name)
        assert error.value.reason is reason


@pytest.mark.parametrize("text", ["Atlantis", "刚果"])
def test_unknown_or_ambiguous_country_has_its_own_reason(text):
    with pytest.raises(InputError) as error:
        read_country(text)
    assert error.value.reason is Reason.UNKNOWN_COUNTRY


def test_several_bad_photos_have_a_common_reason_or_unreadable():
    for given_files, reason in (
        ([b"", b""], Reason.EMPTY),
        ([b"", b"%PDF-"], Reason.UNREADABLE),
    ):
        _, failures = read_photos(given_files, WANTED)
        assert NoPhotoError(failures).reason is reason
    with pytest.raises(InputError) as error:
        read_photos([], WANTED)
    assert error.value.reason is Reason.NO_PHOTO


def test_default_reasons():
    assert InputError("rows = -1 should be more").reason is Reason.WRONG_INPUT
    assert PhotoError("a.jpg: no").reason is Reason.UNREADABLE


@given(st.sampled_from(Reason))
def test_reason_survives_pickling(reason):
    error = pickle.loads(pickle.dumps(PhotoError("a.jpg: no", reason=reason)))  # noqa: S301
    assert (str(error), error.reason) == ("a.jpg: no", reason)


def test_reasons_are_stored_with_scores(tmp_path):
    failures = tuple(PhotoFailure(f"{reason}.jpg", "no", reason) for reason in Reason)
    scores = Scores(
        np.zeros((1, 2)), SpeciesList(("a", "b")), ("x",), np.array([-1]), ("UNKNOWN",), ("x",),
        failures=failures,
    )  # fmt: skip
    scores.write(tmp_path / "scores.npz")
    assert read_scores(tmp_path / "scores.npz").failures == failures


@pytest.mark.parametrize("value", [1.5, 2.0, float("nan"), "2", True, None, -1])
def test_parameters_of_whole_numbers_refuse_others(value, coloured, tmp_path):
    for name, call in {
        "top": lambda: classifier(Network([1.0, 2.0, 3.0])).identify(b"", top=value),
        "count": lambda: sightings(value, seed=0),
        "seed": lambda: split(coloured, 0.5, seed=value),
        "pixels": lambda: pack(coloured, tmp_path / "pack", pixels=value),
        "workers": lambda: Limits(workers=value),
    }.items():
        with pytest.raises(InputError, match=f"{name} = .* should be "):
            call()
    assert not [path for path in tmp_path.iterdir() if path.name == "pack"]
    for kind in (int, np.int64):
        require_whole("n", kind(2), least=2)


@given(text=st.text())
def test_messages_and_logs_hold_no_control_character(text):
    record = logging.makeLogRecord({"msg": text})
    texts = (
        str(InputError(text)),
        PhotoFailure("a", text).reason,
        OneLineFormatter("ophis: %(message)s").format(record),
        printable(text),
    )
    for found in texts:
        assert not {unicodedata.category(c) for c in found} & {"Cc", "Zl", "Zp"}
        assert not set("\u202e\u2066\u200f\u061c\u200b\ufeff") & set(found)


def test_control_characters_become_escapes():
    assert printable("a\r\x1b[2K\x9b\u202e\U000e0041\n") == (r"a\r\x1b[2K\x9b\u202e\U000e0041\n")
    assert printable("Vipère कोबरा\tb\n", keep="\n\t") == "Vipère कोबरा\tb\n"


@pytest.mark.parametrize("value", [
    "a b/" * 9999, "it's " * 9999, "'\"`" * 9999, "\\" * 9999, "\\' " * 9999, "\n\u202e" * 9999,
    ["'x y' " * 9999], {"a": "x y" * 9999}, b"' \xff" * 9999, "x" * 9999,
], ids=lambda value: repr(value)[:9])  # fmt: skip
def test_long_value_is_cut_in_a_message(value):
    quoted = f"a's.csv, row 3: doesn't know {value!r}, near 'Y'; use \"the photos' names\""
    start, end = "a's.csv, row 3: doesn't know ", ", near 'Y'; use \"the photos' names\""
    for message in (str(InputError(quoted)), PhotoFailure("a", quoted).reason):
        assert message.startswith(start)
        assert message.endswith(end)
        shown = message.removeprefix(start).removesuffix(end)
        assert MAX_VALUE < len(shown) < MAX_VALUE + len("{'a': b''...}")
    short = f"a.csv: {'x y' * 66!r} and {'z' * 250}; did you mean 'Y'?"
    assert str(InputError(short)) == short
    assert str(InputError(f"a = {10**999}; lower it")) == f"a = {str(10**999)[:200]}...; lower it"


def _read_cell(reader: str, path: Path, cell: str) -> None:
    match reader:
        case "species" | "country" | "photo" | "photo_id" | "observation":
            row = {"photo_id": "1", "photo": "a.jpg", "species": "", "country": ""}
            row[reader] = cell
            path.write_text("\n".join(",".join(cells) for cells in (row, row.values())) + "\n")
            read_manifest(path)
        case "jsonl":
            path.write_text(json.dumps({"photo": "a.jpg", "species": "", "country": cell}) + "\n")
            read_manifest(path)
        case "json":
            path.write_text(json.dumps({"temperature": cell}))
            read_calibration(path, SpeciesList(("a",)))
        case "toml":
            path.write_text(read_recipe("demo").to_toml() + f'"{cell[: 30 << 10]}" = 1\n')
            read_recipe(path)


@pytest.mark.parametrize("cell", ["x y/", "\u0301\u0316"], ids=["words", "accents"])
@pytest.mark.parametrize(("reader", "megabytes", "suffix", "words"), [
    ("species", 1, "csv", "row 2: species"), ("country", 20, "csv", "row 2: no country"),
    ("photo", 1, "csv", "row 2: photo"), ("photo_id", 1, "csv", "row 2: photo_id"),
    ("observation", 1, "csv", "row 2: observation"), ("jsonl", 1, "jsonl", "row 1: no country"),
    ("json", 2, "json", ""), ("toml", 1, "toml", "unknown key"),
])  # fmt: skip
def test_huge_cell_is_cut_and_the_fix_kept(tmp_path, reader, megabytes, suffix, words, cell):
    path = tmp_path / f"m.{suffix}"
    with pytest.raises(InputError) as error:
        _read_cell(reader, path, cell * (megabytes * 10**6 // len(cell.encode())))
    message = str(error.value)
    assert message.startswith(str(path))
    assert words in message
    assert ";" in message.rpartition("...")[2]
    assert message.count(cell) <= MAX_VALUE // len(cell)


def test_long_message_keeps_its_start_and_end():
    message = str(
        InputError(f"a.csv, row 3: unknown country {'x' * 20_000_000!r}; did you mean Y?")
    )
    assert message.startswith("a.csv, row 3: unknown country 'xx")
    assert message.endswith("x...'; did you mean Y?")
    assert message.count("x") == MAX_VALUE
    lists = str(InputError(f"a.json: `crops` holds {['1, 2'] * 999!r} and should be a number"))
    assert lists.startswith("a.json: `crops` holds ['1, 2', ")
    assert lists.endswith("and should be a number")
    assert len(lists) < MAX_MESSAGE
    failures = tuple(PhotoFailure(str(n), f"{n}: too small; send a larger one") for n in range(99))
    assert "57: too small" in str(NoPhotoError(failures))
