"""Output in a terminal, and in files, pipes and with NO_COLOR."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ophis import SpeciesList
from ophis.cli import app
from tests.support.made_bundle import write_made_bundle

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a Unix terminal")
CODES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
COLOURS = re.compile(r"\x1b\[[0-9;]*\b(3[0-7]|9[0-7]|38)[;m]")
GREENS = re.compile(r"\x1b\[(?:[0-9;]*;)?(32|92|42|102)m")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    species = SpeciesList(("Naja naja", "Coronella austriaca", "Leptodeira polysticta"))
    return write_made_bundle(tmp_path_factory.mktemp("terminal") / "bundle", species)


def shown(*arguments: object, columns: int = 80, **environment: str) -> tuple[list[str], str]:
    """Return the lines left on the screen and everything sent to it."""
    from tests.support.pseudo_terminal import in_a_terminal

    status, sent = in_a_terminal(*arguments, columns=columns, environment=environment)
    assert status == 0, sent
    # Progress lines are overwritten after a carriage return.
    return [line.split("\r")[-1].rstrip() for line in CODES.sub("", sent).split("\r\n")], sent


@pytest.mark.parametrize("columns", [80, 40])
def test_answer_fits_the_terminal_and_has_no_green(bundle, coloured, columns):
    lines, sent = shown("identify", bundle, coloured.paths()[0], "--country", "Kenya",
                        columns=columns)  # fmt: skip
    answer = sent.split(str(coloured.paths()[0]))[-1]
    assert COLOURS.search(answer)
    assert not GREENS.search(answer)
    assert all(len(line) <= columns for line in lines if "/" not in line)  # paths stay whole
    text = " ".join(lines)
    for word in ("May be venomous.", "Naja naja", "The country, as given: Kenya.", "hospital."):
        assert word in text
    rows = [line for line in lines if line.startswith("Leptodeira polysticta")]
    assert len(rows) == 1
    assert ("treat as venomous" in rows[0]) == (columns == 80)


def test_no_color_disables_colours(bundle, coloured):
    _, sent = shown("identify", bundle, coloured.paths()[0], NO_COLOR="1")
    assert "Naja naja" in sent
    assert not COLOURS.search(sent)


def test_pipe_gets_plain_text_without_progress(bundle, coloured):
    command = [sys.executable, "-m", "ophis", "identify", str(bundle), str(coloured.paths()[0])]
    done = subprocess.run(command, capture_output=True, check=True)
    assert b"\x1b" not in done.stdout + done.stderr
    assert done.stderr == b""


def test_progress_is_shown_on_a_terminal(bundle, coloured, tmp_path):
    shutil.copy(coloured.paths()[0], tmp_path / "one.png")
    (tmp_path / "all.csv").write_text("photo,species,country\none.png,,Kenya\n")
    table = tmp_path / "all.csv"
    _, sent = shown("score", bundle, table, "--out", tmp_path / "scores.npz")
    assert "1/1" in CODES.sub("", sent)
    _, sent = shown("identify", bundle, coloured.paths()[0])
    assert f"loading {bundle}"[:40] in CODES.sub("", sent)


def test_identify_reads_photo_from_standard_input(bundle, coloured):
    command = [sys.executable, "-m", "ophis", "identify", str(bundle), "--json"]
    photo = coloured.paths()[0]
    done = subprocess.run(
        [*command, "-"], input=photo.read_bytes(), capture_output=True, check=True
    )
    named = subprocess.run(
        [*command, "--files-from", "-"],
        input=f"{photo}\n".encode(),
        capture_output=True,
        check=True,
    )
    piped, read = json.loads(done.stdout), json.loads(named.stdout)
    assert piped["photos"][0]["name"] == "photo"
    assert read["photos"][0] == piped["photos"][0] | {"name": str(photo)}
    assert read["guesses"] == piped["guesses"]


def test_identify_answers_each_photo_of_a_folder(bundle, coloured):
    command = [
        sys.executable,
        "-m",
        "ophis",
        "identify",
        str(bundle),
        str(coloured.folder),
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    expected = sorted(str(path) for path in coloured.paths())
    assert [answer["photos"][0]["name"] for answer in answers] == expected


def completed(*words: str) -> list[str]:
    """Return bash completions of words from the script of `ophis completion bash`."""
    bash = shutil.which("bash")
    if not bash:
        pytest.skip("no bash here")
    script = app.generate_completion(shell="bash")  # noqa: S604 - it runs none
    script += 'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ophis; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run([bash, "-c", script, "ophis", *words], capture_output=True, check=True)
    return done.stdout.decode().split()


def test_bash_completes_commands_options_choices_and_files(bundle):
    assert completed("ophis", "id") == ["identify"]
    assert completed("ophis", "identify", "--files") == ["--files-from"]
    assert completed("ophis", "completion", "") == ["bash", "zsh", "fish"]
    for word in (str(bundle)[:-2], "imagenet17"):  # the bundle itself, and a photo after one
        words = (word,) if word != "imagenet17" else (word, str(bundle)[:-2])
        assert completed("ophis", "identify", *words) == [str(bundle)]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_each_shell(shell, capsys):
    from ophis.cli import main

    with pytest.raises(SystemExit) as end:
        main(["completion", shell])
    assert not end.value.code
    script = capsys.readouterr().out
    assert "identify" in script
    assert "check-submission" in script


def test_completion_install_writes_to_home(tmp_path):
    environment = os.environ | {"HOME": str(tmp_path)}
    command = [sys.executable, "-m", "ophis", "completion", "bash", "--install"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    place = Path(done.stdout.strip())
    assert place.is_relative_to(tmp_path)
    assert "identify" in place.read_text()
