"""Answers in a terminal."""

import io
import re
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from ophis.cli.terminal import answer_text
from ophis.cli.terminal.answer_text import print_answer
from ophis.decision.decision import State
from ophis.errors import PhotoFailure
from ophis.inference.answer import Answer, Guess, SeenPhoto
from ophis.locales import Sentences, languages, read_sentences
from ophis.taxonomy.danger import Danger
from tests.support.made_answer import made_answer

GUESSES = (
    Guess("Bothrops atrox", 0.62, Danger.VENOMOUS),
    Guess("Leptodeira polysticta", 0.2, Danger.UNKNOWN),
    Guess("Coronella austriaca", 0.01, Danger.NOT_KNOWN_DANGEROUS),
)


@pytest.fixture
def answer() -> Answer:
    return made_answer(
        photos=("a.jpg", "b.jpg"),
        possible=("Bothrops atrox", "Leptodeira polysticta", "Naja naja", "Naja nivea"),
        guesses=GUESSES,
    )


def printed(monkeypatch, answer: Answer, *, width: int = 120) -> list[str]:
    """Return the lines printed on a terminal of this width, without trailing blanks."""
    out = io.StringIO()
    monkeypatch.setattr(answer_text, "console", lambda: Console(file=out, width=width))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    print_answer(answer)
    lines = out.getvalue().splitlines()
    assert all(cell_len(line) <= width for line in lines)
    return [line.rstrip() for line in lines]


def test_possible_species_come_first_and_advice_last(monkeypatch, answer):
    lines = printed(monkeypatch, answer)
    starts = [re.split(r"  +", line)[0] for line in lines]
    assert starts == [
        "a.jpg", "b.jpg", "Verdict.", "State.",
        "Cannot be excluded:", "Bothrops atrox", "Leptodeira polysticta",
        "2 more cannot be excluded.",
        "Less likely:", "Coronella austriaca",
        "Country.", "Bundle 0123456789ab.", "Emergency.",
    ]  # fmt: skip
    (bothrops,) = [line for line in lines if line.startswith("Bothrops")]
    assert bothrops.count("█") == 12  # 62 % of 20
    assert bothrops.endswith("venomous")


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("width", [60, 80, 120])
def test_bars_are_dropped_before_names_and_danger_wrap(monkeypatch, answer, language, width):
    words = read_sentences(language)
    lines = printed(monkeypatch, replace(answer, language=language), width=width)
    for guess in GUESSES:
        (row,) = [line for line in lines if line.startswith(guess.species)]
        assert row.endswith(words.text("danger", guess.danger))
        assert f"{guess.probability:.1%}" in row
        assert "░" in row or width == 60
        if language in ("en", "es"):  # long danger texts leave no space for bars
            assert ("░" in row) == (width > 60)


def test_very_narrow_terminal_wraps_lines_without_losing_words(monkeypatch, answer):
    text = " ".join(printed(monkeypatch, answer, width=40))
    for word in ("Leptodeira", "polysticta", "20.0%", "dangerous", "Emergency."):
        assert word in text


def test_guesses_of_unevaluated_bundle_have_no_bars_and_a_caution(monkeypatch, answer):
    unevaluated = replace(answer, evaluated=False, lines=("Caution.", *answer.lines))
    lines = printed(monkeypatch, unevaluated)
    assert lines[2:6] == ["Caution.", "Verdict.", "State.", "Guesses, for trying out only:"]
    assert not any(cell in line for line in lines for cell in "█░")
    assert not any("excluded" in line for line in lines)
    assert lines[-1] == "Emergency."


def test_photos_of_two_snakes_follow_the_common_warning(monkeypatch, answer):
    alone = [
        replace(
            answer, photos=(photo,), guesses=GUESSES[:1], possible=("Bothrops atrox",),
            lines=("Verdict alone.", f"Name {photo.name}.", "Country.", "Emergency."),
        )
        for photo in answer.photos
    ]  # fmt: skip
    lines = printed(monkeypatch, replace(answer, guesses=(), each=tuple(alone)))
    starts = [re.split(r"  +", line)[0] for line in lines]
    assert starts == [
        "a.jpg", "b.jpg", "Verdict.", "State.", "Country.", "Bundle 0123456789ab.", "",
        "a.jpg", "Verdict alone.", "Name a.jpg.", "Cannot be excluded:", "Bothrops atrox", "",
        "b.jpg", "Verdict alone.", "Name b.jpg.", "Cannot be excluded:", "Bothrops atrox", "",
        "Emergency.",
    ]  # fmt: skip


def test_unusable_photo_is_named(monkeypatch, answer):
    nothing = replace(
        answer, photos=(), failures=(PhotoFailure("bad.jpg", "bad.jpg: is bad"),),
        state=State.UNUSABLE, possible=(), guesses=(), prior=None, lines=(*answer.lines[:2], "E."),
    )  # fmt: skip
    lines = printed(monkeypatch, nothing)
    assert lines == ["bad.jpg", "Verdict.", "State.", "Bundle 0123456789ab.", "E."]


@pytest.mark.parametrize("evaluated", [True, False])
def test_all_words_of_an_answer_come_from_the_locale(monkeypatch, answer, evaluated):
    """Replace every letter of the sentences by ×: only names and numbers remain."""
    crosses = {
        section: {key: re.sub(r"[^{}\s](?![^{]*})", "×", text) for key, text in keys.items()}
        for section, keys in read_sentences().sections.items()
    }
    monkeypatch.setattr(
        answer_text, "read_sentences", lambda language: Sentences(language, crosses)
    )
    lines = ("×",) * (4 if evaluated else 5)
    text = "\n".join(printed(monkeypatch, replace(answer, evaluated=evaluated, lines=lines)))
    for name in ("a.jpg", "b.jpg", answer.bundle, *(guess.species for guess in GUESSES)):
        text = text.replace(name, "")
    assert "×" in text
    assert not re.search(r"[^\W\d]", text), text


def test_lines_are_not_wrapped_in_files(answer, capsys):
    path = "photos/" * 30 + "a.jpg"
    long = replace(answer, photos=(SeenPhoto(path, "0" * 64),), lines=("x " * 200, "S.", "E."))
    print_answer(long)
    assert capsys.readouterr().out.splitlines()[:2] == [path, "x " * 200]


def test_name_of_a_photo_rewrites_no_line(answer, capsys):
    name = "b\r\x1b[2K\x1b[1A\u202e\x9b.jpg\nMay be eaten"
    print_answer(replace(answer, photos=(*answer.photos, SeenPhoto(name, "0" * 64))))
    assert r"b\r\x1b[2K\x1b[1A\u202e\x9b.jpg\nMay be eaten" in capsys.readouterr().out.splitlines()
