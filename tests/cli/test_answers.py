"""Command identify."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ophis.cli import main
from ophis.inference.network import Network
from ophis.locales import languages, read_sentences
from tests.support.commands import ophis, refused, refused_here
from tests.support.photos import photo
from tests.support.service import evaluated_bundle


def test_identify_lists_bad_photo_and_answers_the_others(tmp_path, coloured, monkeypatch):
    """Registry bundle: made once by name, then read. A text file as photo gives status 1."""
    monkeypatch.setenv("OPHIS_CACHE", str(tmp_path / "kept"))
    (tmp_path / "text.jpg").write_text("this is text")
    good = coloured.paths()[0]
    done = ophis("identify", "imagenet17", tmp_path / "text.jpg", good, "--top", 2, "--json")
    assert done.returncode == 1
    assert "text.jpg" in done.stderr
    assert "Traceback" not in done.stderr
    bad, answer = [json.loads(line) for line in done.stdout.splitlines()]
    assert bad["failures"][0]["photo_id"] == str(tmp_path / "text.jpg")
    assert [photo["name"] for photo in answer["photos"]] == [str(good)]
    assert len(answer["guesses"]) == 2
    assert (answer["source"], answer["countries"]) == (None, {})
    joint = ophis("identify", "imagenet17", tmp_path / "text.jpg", good, "--one-snake", "--json")
    assert joint.returncode == 1
    assert "text.jpg" in joint.stderr
    one = json.loads(joint.stdout)
    assert one["guesses"][:2] == answer["guesses"]
    assert [failure["photo_id"] for failure in one["failures"]] == [str(tmp_path / "text.jpg")]
    again = ophis("identify", "imagenet17", good, "--gps")
    assert again.returncode == 0
    assert again.stderr == ""
    assert "Treat every bite as an emergency" in again.stdout
    assert "no position that tells its country" in again.stdout or "no snake" in again.stdout
    assert "Atlantis" in refused("identify", "imagenet17", good, "--country", "Atlantis")
    assert "top = 0" in refused("identify", "imagenet17", good, "--top", 0)

    scored = ophis("score", "imagenet17", tmp_path, "--out", tmp_path / "s.npz")
    assert scored.returncode == 2  # a folder without species folders is no manifest
    (tmp_path / "m.csv").write_text("photo,species\ntext.jpg,\n")
    monkeypatch.undo()


def test_identify_at_a_position(tmp_path, capsys):
    bundle = evaluated_bundle(tmp_path / "bundle")
    (tmp_path / "a.jpg").write_bytes(photo())
    (tmp_path / "text.jpg").write_text("this is text")
    one = [bundle, tmp_path / "a.jpg", "--json"]
    for option in (["--at", "-1.29,36.82,50"], ["--at=-1.29,36.82"], ["--at", " -1.29, 36.82 "]):
        status, out, err = identified(capsys, *one, *option, "--gps")
        answer = json.loads(out)
        assert (status, err) == (0, "")
        assert (answer["source"], answer["countries"]) == ("given position", {"kenya": 1.0})
        assert "1.29" not in out
    status, out, _ = identified(capsys, bundle, tmp_path / "text.jpg", "--at", "-1.29,36.82")
    assert (status, "Treat every bite" in out) == (1, True)
    for wrong, words in (("1,29,36,82", "ophis: --at: the position has too many commas"),
                         ("-91.29,36.82", "ophis: --at: the latitude (it comes first) should be"),
                         ("1°17'S,36°49'E", "ophis: --at: the position has letters")):  # fmt: skip
        missing = [tmp_path / "no bundle", *one[1:]]  # refused before the bundle is read
        status, out, err = identified(capsys, *missing, "--at", wrong)
        assert (status, out, err[: len(words)]) == (2, "", words)
        assert "29" not in err
        assert err.count("\n") == 1
    status, _, err = identified(capsys, *one, "--at", "-1.29,36.82", "--country", "Nepal")
    assert (status, "the position is in Kenya, not in Nepal" in err) == (2, True)


@pytest.fixture
def unusable(tmp_path) -> list[Path]:
    """A text file, a truncated photo and one below the minimum size."""
    (tmp_path / "text.jpg").write_text("this is text")
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (90, 90, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:900])
    Image.fromarray(pixels[:31]).save(tmp_path / "tiny.png")
    return [tmp_path / name for name in ("text.jpg", "cut.jpg", "tiny.png")]


def identified(capsys, *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(["identify", *map(str, arguments)])
    captured = capsys.readouterr()
    return int(end.value.code or 0), captured.out, captured.err


def test_unusable_photos_have_json_rows(imagenet17, unusable, coloured, capsys):
    photos = [unusable[0], coloured.paths()[0], *unusable[1:]]
    bundle = imagenet17.bundle.folder
    status, out, err = identified(capsys, bundle, *photos, "--json", "--country", "Kenya")
    rows = [json.loads(line) for line in out.splitlines()]
    assert status == 1
    assert err.count("\n") == 3
    assert len(rows) == len(photos)
    for path, row in zip(photos, rows, strict=True):
        assert row.keys() == rows[1].keys()
        assert row["countries"] == {"kenya": 1.0}
        assert row["lines"][-1] == read_sentences().text("advice", "emergency")
        if path in unusable:
            assert (row["photos"], row["guesses"], row["prior"]) == ([], [], None)
            assert (row["state"], row["verdict"]) == ("unusable", "may be venomous")
            (failure,) = row["failures"]
            assert failure["photo_id"] == str(path)
            assert failure["reason"] in err
            codes = dict(zip(unusable, ("not_a_photo", "damaged", "too_small"), strict=True))
            assert failure["code"] == codes[path]
    status, out, _ = identified(capsys, bundle, *unusable, "--one-snake", "--json")
    assert status == 1
    (row,) = [json.loads(line) for line in out.splitlines()]
    assert [failure["photo_id"] for failure in row["failures"]] == list(map(str, unusable))


def test_advice_is_printed_for_unusable_photo(imagenet17, unusable, capsys):
    status, out, err = identified(capsys, imagenet17.bundle.folder, unusable[1])
    assert status == 1
    assert "cut.jpg: damaged or cut short" in err
    assert "this photo is not usable, because it cannot be read" in out
    assert out.splitlines()[-1] == read_sentences().text("advice", "emergency")
    spanish = read_sentences("es")
    _, again, errors = identified(capsys, imagenet17.bundle.folder, unusable[1], "--language", "es")
    assert again.splitlines()[-1] == spanish.text("advice", "emergency")
    assert errors == f"ophis: {unusable[1]}: {spanish.text('error', 'damaged')} ({err[7:-1]})\n"


def test_language_option_changes_sentences_only(imagenet17, coloured, capsys):
    arguments = (imagenet17.bundle.folder, coloured.paths()[0], "--country", "Thailand", "--json")
    english, spanish = (
        json.loads(identified(capsys, *arguments, "--language", language)[1])
        for language in ("en", "es")
    )
    assert "País indicado: Tailandia." in spanish["lines"]
    assert not set(english["lines"]) & set(spanish["lines"])
    for row in (english, spanish):
        del row["lines"], row["language"]
    assert english == spanish
    assert "'tlh'; choose one of en, es" in refused_here(
        capsys, "identify", *arguments, "--language=tlh"
    )
    main_help = " ".join(ophis("identify", "--help").stdout.replace("│", " ").split())
    for language in languages():
        assert re.search(rf"Language of the answer: .*\b{language}\b", main_help)


def test_caution_of_unevaluated_bundle_comes_first(imagenet17, coloured, capsys):
    folder, photo = imagenet17.bundle.folder, coloured.paths()[0]
    caution = read_sentences().text("bundle", "not_evaluated")
    _, out, _ = identified(capsys, folder, photo)
    assert out.splitlines()[:2] == [str(photo), caution]
    row = json.loads(identified(capsys, folder, photo, "--json")[1])
    assert row["lines"][0] == caution
    assert row["evaluated"] is False
    assert imagenet17.identify(photo).lines[0] == caution


@pytest.mark.parametrize(
    "command",
    [
        ("identify", "{bundle}", "{photo}"),
        ("serve", "{bundle}", "--port", "0"),
        ("web", "{bundle}", "{out}"),
    ],
    ids=lambda command: command[0],
)
def test_bundle_of_another_version_is_refused(imagenet17, coloured, tmp_path, capsys, command):
    places = {
        "bundle": imagenet17.bundle.folder,
        "photo": coloured.paths()[0],
        "out": tmp_path / "o",
    }
    words = [word.format(**places) for word in command]
    with pytest.raises(SystemExit) as end:
        main([*words, "--expect", "0" * 64])
    out, err = capsys.readouterr()
    assert (end.value.code, out) == (2, "")
    assert f"is bundle {imagenet17.bundle.version}, and {'0' * 64} is expected" in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "o").exists()


def test_photo_with_nan_is_listed_and_the_others_are_answered(
    imagenet17, coloured, capsys, monkeypatch
):
    photos, seen, score = coloured.paths()[:3], [], Network.scores_and_evidence

    def scores_and_evidence(self, *given, **options):
        scores, maps = score(self, *given, **options)
        seen.append(1)
        bad = scores.logits * np.nan if len(seen) == 2 else scores.logits
        return replace(scores, logits=bad), maps

    monkeypatch.setattr(Network, "scores_and_evidence", scores_and_evidence)
    status, out, err = identified(capsys, imagenet17.bundle.folder, *photos, "--json")
    assert status == 1
    answers = [json.loads(line) for line in out.splitlines()]
    assert [len(answer["photos"]) for answer in answers] == [1, 0, 1]
    assert answers[1]["failures"][0]["photo_id"] == str(photos[1])
    assert answers[1]["verdict"] == "may be venomous"
    assert "has a NaN" in err
