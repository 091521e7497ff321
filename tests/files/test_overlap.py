"""Outputs that are inputs, or one file under two names, are refused."""

import os

import pytest

from ophis import InputError
from ophis.files.overlap import refuse_overlap


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Folder with a.csv, two further names of it, and a link to its folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("photo\n")
    os.link("data/a.csv", "data/hard.csv")
    (tmp_path / "data" / "soft.csv").symlink_to("a.csv")
    (tmp_path / "link").symlink_to("data")
    return tmp_path


NAMES = ("data/a.csv", "./data/../data/a.csv", "link/a.csv", "data/soft.csv", "data/hard.csv")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["files", "folders"])
def test_output_that_is_an_input_is_refused(here, name, kind):
    for path in (name, here / name):
        with pytest.raises(InputError, match="an input of this command; write elsewhere"):
            refuse_overlap([None, "imagenet17", "data/a.csv"], **{kind: ["new.csv", path]})


@pytest.mark.parametrize(("one", "two"), [
    ("new.csv", "new.csv"), ("new.csv", "./data/../new.csv"), ("link/new.csv", "data/new.csv"),
    ("new.csv", "New.CSV"), ("cafe\u0301.csv", "caf\u00e9.csv"), *((NAMES[0], n) for n in NAMES),
])  # fmt: skip
@pytest.mark.usefixtures("here")
def test_two_outputs_of_one_file_are_refused(one, two):
    with pytest.raises(InputError, match="one file to write; give two"):
        refuse_overlap((), files=[one, two])


@pytest.mark.usefixtures("here")
def test_file_in_a_folder_of_inputs_is_refused():
    for folder in ("data", "link", "./data"):
        with pytest.raises(InputError, match="lies in an input"):
            refuse_overlap([folder], files=["data/new.csv"])


@pytest.mark.usefixtures("here")
def test_other_outputs_pass():
    refuse_overlap(["data"], files=["new.csv", "data/below/new.csv"], folders=["data/new"])
    refuse_overlap(["data/a.csv", "none.csv"], files=["data/b.csv", "data/A2.csv", "x.csv"])
    refuse_overlap(["hf://owner/name"], folders=["name"])
