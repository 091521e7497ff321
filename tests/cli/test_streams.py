"""Standard streams of a process: any encoding, closed, full, without a reader."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ophis.cli import main
from ophis.cli.terminal import answer_text
from ophis.locales import languages, read_sentences

EMERGENCY = read_sentences().text("advice", "emergency")


def run(redirection: str, *arguments: object, **environment: str):
    """Run `ophis` under a redirection of the shell; outputs are bytes."""
    command = [sys.executable, "-m", "ophis", *map(str, arguments)]
    return subprocess.run(
        ["bash", "-c", f'"$@" {redirection}', "bash", *command],
        capture_output=True,
        check=False,
        env=os.environ | environment,
    )


def encoded(monkeypatch, encoding: str, *arguments: object) -> str:
    """Run a command in this process with stdout of an encoding; return the decoded output."""
    output = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output, encoding=encoding))
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    assert not end.value.code
    return output.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_answer_reaches_its_last_line_in_other_encodings(imagenet17, coloured, encoding):
    bundle, photo = imagenet17.bundle.folder, coloured.paths()[0]
    done = run("", "identify", bundle, photo, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode(encoding).splitlines()[-1] == EMERGENCY


@pytest.mark.parametrize("encoding", ["cp1252", "iso-8859-1", "ascii", "cp437", "koi8-r"])
def test_every_language_is_complete_in_every_encoding(imagenet17, coloured, encoding, monkeypatch):
    arguments = ("identify", imagenet17.bundle.folder, coloured.paths()[0], "--language")
    for language in languages():
        emergency = read_sentences(language).text("advice", "emergency")
        text = encoded(monkeypatch, encoding, *arguments, language).splitlines()
        if emergency.encode(encoding, "ignore").decode(encoding) == emergency:
            assert text[-1] == emergency
        else:  # letters became codes, so the English sentence follows
            assert text[-2].encode().startswith(emergency[:1].encode(encoding, "backslashreplace"))
            assert text[-1] == EMERGENCY
        answer = json.loads(encoded(monkeypatch, encoding, *arguments, language, "--json"))
        assert answer["lines"][-1] == emergency


def test_bars_and_quotes_have_a_plain_form(monkeypatch, capsys):
    output = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output, encoding="ascii"))
    with pytest.raises(SystemExit):
        main(["--version"])
    print("██░ “boa” né 🐍", flush=True)
    assert output.getvalue().decode().splitlines()[-1] == r'##. "boa" n\xe9 \U0001f40d'


def test_file_name_of_other_bytes_is_answered(imagenet17, coloured, tmp_path):
    bundle, photo = imagenet17.bundle.folder, coloured.paths()[0]
    name = os.fsdecode(bytes(tmp_path) + b"/caf\xe9.png")
    Path(name).write_bytes(photo.read_bytes())
    listed = tmp_path / "list.txt"
    listed.write_bytes(os.fsencode(f"{name}\n{tmp_path}/none\udce9.png\n{photo}\n"))
    strict = {"PYTHONIOENCODING": "utf-8:strict"}
    done = run("", "identify", bundle, "--files-from", listed, **strict)
    text = done.stdout.decode()
    assert done.returncode == 1
    assert text.count(EMERGENCY) == 3
    assert r"caf\udce9.png" in text
    assert done.stderr.decode().count("\n") == 1
    done = run("", "identify", bundle, name, photo, "--json", **strict)
    answers = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert [answer["photos"][0]["name"] for answer in answers] == [name, str(photo)]


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("redirection", "reason"),
    [("> /dev/full", "No space left on device"), (">&-", "Bad file descriptor")],
)
def test_output_that_cannot_be_written_is_one_line(
    imagenet17, coloured, redirection, reason, unbuffered
):
    arguments = ("identify", imagenet17.bundle.folder, coloured.paths()[0])
    done = run(redirection, *arguments, PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 2
    assert done.stderr.decode() == f"ophis: standard output: {reason}. {EMERGENCY}\n"
    done = run(redirection, "completion", "bash", PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 2
    assert done.stderr.decode() == f"ophis: standard output: {reason}\n"


@pytest.mark.parametrize("redirection", ["2>&-", "2> /dev/full"])
def test_answer_does_not_need_stderr(imagenet17, coloured, tmp_path, redirection):
    bundle, photo = imagenet17.bundle.folder, coloured.paths()[0]
    done = run(redirection, "identify", bundle, tmp_path / "none.jpg", photo, "--json")
    assert done.returncode == 1
    assert [len(json.loads(line)["photos"]) for line in done.stdout.splitlines()] == [0, 1]


def test_pipe_closed_by_its_reader_is_no_error(imagenet17, coloured):
    photo = coloured.paths()[0]
    for arguments in (("identify", imagenet17.bundle.folder, photo), ("--help",)):
        done = run("| true; echo ${PIPESTATUS[0]}", *arguments)
        assert (done.stdout, done.stderr) == (b"0\n", b"")


def test_closed_stdin_is_empty(imagenet17):
    done = run("<&-", "identify", imagenet17.bundle.folder, "-")
    assert done.returncode == 2
    assert done.stderr.startswith(b"ophis: standard input is empty")


def test_emergency_line_survives_an_error_in_the_answer(imagenet17, coloured, monkeypatch, capsys):
    answer = imagenet17.identify(coloured.paths()[0])
    monkeypatch.delattr(answer_text, "_print_guesses")
    with pytest.raises(NameError):
        answer_text.print_answer(answer)
    assert capsys.readouterr().out.splitlines()[-1] == EMERGENCY


def test_names_from_outside_control_no_screen(imagenet17, coloured, tmp_path):
    """A second photo's name would erase the warning of the first one."""
    bad = "\r\x1b[2K\x1b[9A\x7f\u009b\u202e\n.jpg"
    data = coloured.paths()[0].read_bytes()
    for name, content in ((f"a{bad}", data), (f"b{bad}", b"no photo")):
        (tmp_path / name).write_bytes(content)
    photos = [tmp_path / f"{letter}{bad}" for letter in "ab"]
    escaped = r"\r\x1b[2K\x1b[9A\x7f\x9b\u202e\n.jpg"
    for options in ((), ("--json",)):
        done = run("", "identify", imagenet17.bundle.folder, *photos, *options)
        assert done.returncode == 1
        for text in (done.stdout.decode(), done.stderr.decode()):
            assert not set("\r\x1b\x7f\x9b\u202e") & set(text)
        assert f"b{escaped}: " in done.stderr.decode()
        assert len(done.stderr.splitlines()) == 1
        if options:
            names = [json.loads(line)["photos"] for line in done.stdout.splitlines()]
            assert names[0][0]["name"].endswith(bad)
        else:
            assert f"{tmp_path}/a{escaped}" in done.stdout.decode().splitlines()


def test_cell_with_line_breaks_is_one_line(tmp_path):
    (tmp_path / "a.csv").write_text(
        'path,species,country\na.jpg,Naja naja,"x\nophis: fine\x1b[2K"\n'
    )
    done = run("", "collect", tmp_path / "a.csv", "--out", tmp_path / "out.csv")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert b"\x1b" not in done.stderr
