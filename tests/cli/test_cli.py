"""Command line: help, usage errors, renamed options."""

import inspect
import re

import pytest

from ophis.cli import ALIASES, COMMANDS, RENAMED, app, main
from tests.support.commands import ophis, refused, refused_here
from tests.support.paths import ROOT


def test_usage_error_is_one_line_with_the_fix_and_status_2(
    tmp_path, scores_folder, coloured, capsys
):
    (tmp_path / "no_species.csv").write_text("photo,country\na.jpg,Kenya\n")
    (tmp_path / "outside.csv").write_text("photo,species\n../a.jpg,boa\n")
    (tmp_path / "where.csv").write_text(
        "photo,species,country\na.jpg,boa,Kenya\nb.jpg,boa,Atlantis\n"
    )
    recipe = (ROOT / "recipes" / "demo.toml").read_text()
    (tmp_path / "r.toml").write_text(recipe.replace("mixup_alpha", "mixup_alfa"))
    table = coloured.folder / "manifest.csv"
    run = ("--train", table, "--validation", table, "--out", tmp_path / "run")
    out = ("--out", tmp_path / "x.csv")
    for words, arguments in [
        (("no_species.csv", "species"), ("collect", tmp_path / "no_species.csv", *out)),
        (("outside.csv", "row 2", "../a.jpg"), ("collect", tmp_path / "outside.csv", *out)),
        (("where.csv", "row 3", "Atlantis"), ("collect", tmp_path / "where.csv", *out)),
        (("none.csv",), ("collect", tmp_path / "none.csv", *out)),
        (("r.toml", "unknown key 'mixup_alfa'"), ("train", tmp_path / "r.toml", *run)),
        (("is in training and validation",), ("train", "demo", *run)),
        (("none.npz",), ("evaluate", tmp_path / "none.npz")),
        (("is not a bundle",), ("identify", tmp_path, "photo.jpg")),
        (("is not a run folder",), ("export", tmp_path, "--out", tmp_path / "b")),
        (("no_species.csv",), ("sample", tmp_path / "no_species.csv" / "b", "--count", 36)),
        (("x.html", "no such scores"), ("compare", *["x.html"] * 2, "--out", tmp_path / "r.html")),
        (
            ("r.txt", ".html"),
            ("compare", *[scores_folder / "scores.npz"] * 2, "--out", tmp_path / "r.txt"),
        ),
        (("--help", "magic"), ("compare", "a", "b", "--out", "r.html", "--maps", "magic")),
        (("--help",), ("evaluate",)),
        (("--help", "sing"), ("sing",)),
        (("--help", "--loud"), ("evaluate", "x.npz", "--loud")),
    ]:
        line = refused_here(capsys, *arguments)
        for word in words:
            assert word in line
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {
        "no_species.csv",
        "outside.csv",
        "where.csv",
        "r.toml",
        "scores.npz",
        "prior.csv",
    }


def test_train_names_validation_species_unknown_in_training(tmp_path, coloured):
    lines = (coloured.folder / "manifest.csv").read_text().splitlines()
    for name, rows in (
        ("t", lines[1:25]),
        ("v", [*lines[25:30], lines[30].replace("Made", "Odd")]),
    ):
        (coloured.folder / f"{name}.csv").write_text("\n".join([lines[0], *rows]) + "\n")
    line = refused(
        "train", "demo", "--train", coloured.folder / "t.csv",
        "--validation", coloured.folder / "v.csv", "--out", tmp_path / "run",
    )  # fmt: skip
    assert "'Odd " in line
    assert "29.png" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("line", "listed"),
    [
        ("identify B --country Kenya a b", "B a b"),
        ("identify --country Kenya B a b", "B a b"),
        ("identify B a --json b --top 2 c -- --d -e", "B a b c --d -e"),
        ("evaluate a --metric snakeclef2020 b --json c", "a b c"),
        ("combine --out o a b --validation v c --tta flip d", "a b c d"),
        ("read-submissions a --truth t b --out o c", "a b c"),
        ("compare a --out o b", "a b"),
        ("web a --json b", "a b"),
    ],
)
def test_options_stand_anywhere_among_list_arguments(line, listed):
    _, bound, _ = app.parse_args(line.split(), exit_on_error=False)
    assert [str(argument) for argument in bound.args] == listed.split()


@pytest.mark.parametrize("value", ["2.7", "2.0", "1e3", "0x3", "1_0", "nan", "³", ""])
def test_options_of_whole_numbers_refuse_others(value, capsys):
    for option, *arguments in (
        ("--top", "identify", "B", "a.jpg"),
        ("--count", "sample", "out"),
        ("--workers", "pack", "m.csv", "--out", "p"),
    ):
        line = refused_here(capsys, *arguments, option, value)
        assert f"Invalid value for {option}: {value!r} should be a whole number" in line


def test_every_option_of_a_whole_number_refuses_others():
    """The parser rounds those whose type is int alone."""
    for commands in COMMANDS.values():
        for command in commands:
            kinds = [p.annotation for p in inspect.signature(command).parameters.values()]
            assert not {"int", "int | None"} & set(kinds), command


def test_help_lists_commands_in_workflow_order():
    text = ophis("--help").stdout
    commands = [
        "identify", "near", "serve", "web", "score",
        "collect", "split", "pack",
        "train", "export", "quantise", "combine", "fit-prior", "card",
        "evaluate", "compare", "study", "species-map",
        "submit", "check-submission", "read-submissions", "aicrowd",
        "demo", "sample", "doctor", "completion",
    ]  # fmt: skip
    assert re.findall(r"^\W+ ([a-z][a-z-]*)  ", text, re.MULTILINE) == commands
    assert text.index(" doctor ") < text.index(" --version ")


def test_every_command_has_help(capsys):
    commands = [command for command in app if not command.startswith("-")]
    assert len(commands) == 26
    for command in commands:
        with pytest.raises(SystemExit) as end:
            main([command, "--help"])
        assert end.value.code == 0
        assert f"Usage: ophis {command}" in capsys.readouterr().out


@pytest.mark.parametrize(("command", "option"), RENAMED)
def test_renamed_option_is_refused_with_its_new_form(command, option, capsys):
    new = RENAMED[command, option]
    line = refused_here(capsys, command, "x", f"{option}=y")
    assert line == f"ophis: `ophis {command} {option}` is now `ophis {new}`\n"
    assert line == refused_here(capsys, command, "x", option, "y")
    successor = new.split()[0]
    with pytest.raises(SystemExit):
        main([successor, "--help"])
    helped = capsys.readouterr().out
    for word in (word for word in new.split() if word.startswith("--")):
        assert word in helped
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert f"{option} " not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RuntimeError("Could not determine home directory."), "no home folder; set HOME, or"),
        (OSError(28, "No space left on device", "/a"), "/a: No space left on device"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError(2, "No usable temporary directory found in ['/']"), "; set TMPDIR to a folder"),
    ],
)
def test_error_of_the_system_is_one_line(error, line, monkeypatch, capsys):
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(type(app), "install_completion", fail)
    assert line in refused_here(capsys, "completion", "bash", "--install")


@pytest.mark.parametrize("alias", ALIASES)
def test_alias_is_the_same_command(alias, capsys):
    outputs = []
    for command in (alias, ALIASES[alias]):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]
