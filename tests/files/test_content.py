import json

import pytest

from ophis import InputError
from ophis.files.content import content_of, read_json, read_toml


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = ", "cannot be read as TOML: .*; correct it"),
        ("a = 1\n" + ".".join("a" * 40_000) + " = 1", r"t\.toml: is over 64 KiB"),
        ("b = 1\n" + ".".join("a" * 200) + " = 1", "t.toml, row 2: has over 100 dots; shorten it"),
        ("x = [\n" + "{" + ".".join("a" * 102) + "=1}]", "row 2: has over 100 dots"),
        ("a = " + "[" * 5000, "nested too deep"),
        ("a = " + "9" * 5000, "cannot be read as TOML"),
        ("a = '\udcff'", "cannot be read as TOML"),
    ],
)
def test_toml_is_bounded(tmp_path, text, words):
    path = tmp_path / "t.toml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=words) as error:
        read_toml(path, "recipe")
    assert str(error.value).startswith(str(path))
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read as JSON: .*; export it again"),
        ("[" * 100_000, "nested too deep; export it again"),
        ("9" * 5000, "cannot be read as JSON"),
        ('"' + " " * (16 << 20) + '"', "is over 16,384 KiB, too large for a rule"),
    ],
)
def test_json_is_bounded(tmp_path, text, words):
    path = tmp_path / "j.json"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as error:
        read_json(path, "rule", fix="export it again")
    assert str(error.value).startswith(str(path))


def test_missing_and_special_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.json: there is no such rule$"):
        read_json(tmp_path / "none.json", "rule")
    with pytest.raises(InputError, match="is no plain file"):
        read_toml(tmp_path, "recipe")


@pytest.mark.parametrize("error", [KeyError("a"), MemoryError(), ZeroDivisionError(), OSError()])
def test_any_exception_of_content_names_the_file(error):
    with (
        pytest.raises(InputError, match=r"^a/b\.json: not a rule: .+; get another copy"),
        content_of("a/b.json", "not a rule"),
    ):
        raise error


def test_errors_of_files_beside_stay():
    for text, shown in (("a/c.csv, row 2: x", "a/c.csv, row 2: x"), ("x", "a/b.json: x")):
        with pytest.raises(InputError) as error, content_of("a/b.json", "not a rule"):
            raise InputError(text)
        assert str(error.value) == shown


def test_our_largest_json_fits():
    numbers = [[0.12345678901234567] * 30_000] * 5
    assert len(json.dumps(numbers)) < 16 << 20
