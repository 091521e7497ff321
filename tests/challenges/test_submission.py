import csv
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ophis import CountryPrior, InputError, Scores, SpeciesList
from ophis.challenges.aicrowd import (
    IMAGES,
    METADATA,
    PREDICTIONS,
    aicrowd,
    read_environment,
    read_hidden_test,
)
from ophis.challenges.submission import (
    add_unread_photos,
    read_class_ids,
    read_species,
    write_answers,
    write_probabilities,
)
from ophis.challenges.submission_check import check_submission
from ophis.cli import main
from ophis.decision.calibration import Calibration
from ophis.errors import PhotoFailure
from ophis.files.tables import escape_formulas
from ophis.scores.scores import softmax
from tests.support.species_names import is_species_name

SPECIES = SpeciesList(("naja-naja", "boa-boa", "vipera-berus"))
CLASSES = {"naja naja": 7, "boa boa": 0, "vipera berus": 1783}


def made(logits, observations=None, species=SPECIES, names=None) -> Scores:
    logits = np.asarray(logits, float)
    names = tuple(names or (f"p{n}" for n in range(len(logits))))
    return Scores(
        logits=logits,
        species=species,
        photo_ids=names,
        truth=np.full(len(names), -1),
        countries=("UNKNOWN",) * len(names),
        observations=tuple(observations or names),
    )


def table(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


# Without characters that manifests reject: control characters and blank ids.
WORD = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs"]), min_size=1, max_size=6
).filter(is_species_name)


@st.composite
def any_scores(draw):
    species = draw(st.lists(WORD, min_size=1, max_size=5, unique=True))
    names = draw(st.lists(WORD, min_size=1, max_size=6, unique=True))
    number = st.floats(-800, 800) | st.just(-math.inf)
    row = st.lists(number, min_size=len(species), max_size=len(species)).filter(
        lambda cells: max(cells) > -math.inf
    )
    logits = draw(st.lists(row, min_size=len(names), max_size=len(names)))
    species = [name for name in species if name != "hashed_id"] or ["boa"]
    return made(
        [row[: len(species)] if max(row[: len(species)]) > -math.inf else [0.0] * len(species)
         for row in logits],
        species=SpeciesList(tuple(species)),
        names=names,
    )  # fmt: skip


@given(scores=any_scores())
@example(scores=made(np.zeros((1, 9)), species=SpeciesList(tuple("abcdefghi"))))
@example(
    scores=made(
        np.log([[0.1250000006] * 7 + [0.1249999958]]), species=SpeciesList(tuple("abcdefgh"))
    )
)
def test_written_probabilities_pass_the_check_and_equal_the_scores(tmp_path_factory, scores):
    folder = tmp_path_factory.mktemp("submission")
    path = write_probabilities(scores, folder / "s.csv")
    ids = pl.DataFrame({"hashed_id": scores.photo_ids})
    escape_formulas(ids).write_csv(folder / "ids.csv")
    done = check_submission(path, against=folder / "ids.csv")
    assert (done.problems, done.rows) == ((), len(scores))
    header, *rows = table(path)
    assert header == ["hashed_id", *scores.species]
    assert [row[0] for row in rows] == list(scores.photo_ids)
    read = np.array([row[1:] for row in rows], float)
    np.testing.assert_allclose(read, scores.probabilities(), rtol=2e-9, atol=1e-300)
    assert (read.sum(axis=1) <= 1).all()
    assert (read.sum(axis=1) > 1 - 1e-8).all()
    assert sorted(p.name for p in folder.iterdir()) == ["ids.csv", "s.csv"]


def swapped(value):
    def corrupt(rows, row, _):
        rows[row][1] = value

    return corrupt


def more(rows, row, _):
    rows[row][1] = repr(float(rows[row][1]) + 2e-6)


def same_id(rows, row, other):
    rows[row][0] = rows[other][0]


def unexpected_id(rows, row, _):
    rows[row][0] += "x"


def no_id(rows, row, _):
    rows[row][0] = ""


def shorter(rows, row, _):
    rows[row].pop()


def longer(rows, row, _):
    rows[row].append("0")


@pytest.mark.parametrize(
    ("corrupt", "words"),
    [
        *((swapped(value), "should be a number") for value in ("nan", "", "x", "1_0", "-0.1")),
        *((swapped(value), "should be a number") for value in ("inf", "1.5", "\u0661", "0,5")),
        (swapped("0.999999"), "the probabilities sum to "),
        (more, "not to 1 within 1e-06"),
        (same_id, "is repeated, first in row "),
        (unexpected_id, "is not expected"),
        (no_id, "hashed_id is empty"),
        (shorter, "has 3 cells under 4 columns"),
        (longer, "has 5 cells under 4 columns"),
    ],
)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(2, 8), data=st.data())
def test_check_names_a_corrupted_row(tmp_path_factory, corrupt, words, seed, rows, data):
    folder = tmp_path_factory.mktemp("corrupted")
    logits = np.random.default_rng(seed).normal(size=(rows, 3))
    path = write_probabilities(made(logits), folder / "s.csv")
    (folder / "ids.csv").write_text("hashed_id\n" + "".join(f"p{row}\n" for row in range(rows)))
    header, *cells = table(path)
    row = data.draw(st.integers(1, rows - 1))
    corrupt(cells, row, data.draw(st.integers(0, row - 1)))
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *cells])
    problems = check_submission(path, against=folder / "ids.csv").problems
    named = [problem for problem in problems if problem.startswith(f"{path}, row {row + 2}: ")]
    assert len(named) == 1
    assert words in named[0]
    # The row's own id is then missing, and nothing else is wrong.
    rest = [problem for problem in problems if problem not in named]
    assert rest in ([], [f"{path}: no row of 'p{row}'"])
    assert bool(rest) == (corrupt in (same_id, unexpected_id, no_id, shorter, longer))


@given(rows=st.integers(1, 8), gone=st.integers(0, 3))
def test_check_names_missing_rows(tmp_path_factory, rows, gone):
    folder = tmp_path_factory.mktemp("missing")
    path = write_probabilities(made(np.zeros((rows, 3))), folder / "s.csv")
    listed = "".join(f"p{row},Kenya\n" for row in range(gone, rows + 3))
    (folder / "ids.csv").write_text(f"hashed_id,country\n{listed}")
    problems = check_submission(path, against=folder / "ids.csv").problems
    missing = [f"p{row}" for row in range(rows, rows + 3) if row >= gone]
    assert problems[-1] == f"{path}: no row of {', '.join(map(repr, missing))}"
    assert [f"row {n + 2}: hashed_id 'p{n}' is not expected" for n in range(min(gone, rows))] == [
        problem.removeprefix(f"{path}, ") for problem in problems[:-1]
    ]


def test_columns_are_matched_by_name(tmp_path):
    scores = made(np.log([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]]))
    columns = SpeciesList(("Vipera berus", "Boa_boa", "elaphe-dione", "Naja naja"))
    path = write_probabilities(scores, tmp_path / "s.csv", species=columns)
    header, first, second = table(path)
    assert header == ["hashed_id", *columns]
    np.testing.assert_allclose(np.array(first[1:], float), [0.1, 0.2, 0, 0.7], atol=1e-8)
    np.testing.assert_allclose(np.array(second[1:], float), [0.7, 0.2, 0, 0.1], atol=1e-8)
    assert not check_submission(path, species=SpeciesList(tuple(reversed(columns.names)))).problems
    problems = check_submission(path, species=SPECIES).problems
    assert problems == (f"{path}, row 1: column 'elaphe-dione' is not expected",)
    more = SpeciesList((*columns.names, "a", "b", "c", "d", "e", "f"))
    (problem,) = check_submission(path, species=more).problems
    assert problem == f"{path}, row 1: no column 'a', 'b', 'c', 'd', 'e' and 1 more"
    with pytest.raises(InputError, match=r"'vipera-berus' of the scores is not among the 2"):
        write_probabilities(
            scores, tmp_path / "t.csv", species=SpeciesList(("boa boa", "naja naja"))
        )
    with pytest.raises(
        InputError, match=r"'boa-boa' and 'Boa boa' are one species; keep one spelling"
    ):
        write_probabilities(scores, tmp_path / "t.csv", species=SpeciesList((*SPECIES, "Boa boa")))
    assert not (tmp_path / "t.csv").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "row 1: neither hashed_id with species nor observation_id,class_id"),
        ("photo,boa\nx,1\n", "row 1: neither hashed_id"),
        ("hashed_id,boa,boa\nx,1,0\n", "row 1: column 'boa' is repeated, first as 'boa'"),
        ("hashed_id,hashed_id,boa\nx,x,1\n", "row 1: column 'hashed_id' is repeated"),
        ("hashed_id\nx\n", "row 1: there is no column of a species"),
        ('hashed_id,boa\nx,1\ny,"1\n', "row 3: unexpected end of data; fix the quotes"),
    ],
)
def test_check_names_row_of_malformed_file(tmp_path, text, words):
    (tmp_path / "s.csv").write_text(text)
    problems = check_submission(tmp_path / "s.csv").problems
    assert problems[0].startswith(f"{tmp_path / 's.csv'}, {words}")


def test_answers_aggregate_photos_of_one_observation(tmp_path):
    p = [[0.6, 0.4, 0], [0.1, 0.4, 0.5], [0.1, 0.9, 0], [0.2, 0.8, 0]]
    with np.errstate(divide="ignore"):
        scores = made(np.log(p), ["o1", "o1", "o2", "HM 1954"])
    path = write_answers(scores, tmp_path / "s.csv", classes=CLASSES)
    rows = [["observation_id", "class_id"], ["o1", "0"], ["o2", "0"], ["HM 1954", "0"]]
    assert table(path) == rows  # the means of o1 are 0.35, 0.4, 0.25
    (tmp_path / "test.csv").write_text("observation_id,code\no1,x\no1,x\no2,y\nHM 1954,z\n")
    against = {"against": tmp_path / "test.csv", "classes": CLASSES.values()}
    assert check_submission(path, **against).problems == ()
    costly = write_answers(
        scores, tmp_path / "c.csv", classes=CLASSES, venomous=np.array([True, False, True])
    )
    assert [row[1] for row in table(costly)] == ["class_id", "7", "0", "0"]
    path.write_text("class_id,observation_id\n0,o1\n9,o2\n1.5,o2\n")
    assert [p.removeprefix(str(path)) for p in check_submission(path, **against).problems] == [
        ", row 3: class_id = 9 is not among the 3 of the challenge",
        ", row 4: observation_id 'o2' is repeated, first in row 3",
        ", row 4: class_id = '1.5' should be a whole number from 0",
        ": no row of 'HM 1954'",
    ]


@given(answers=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=12))
def test_written_answers_have_one_row_per_observation(tmp_path_factory, answers):
    folder = tmp_path_factory.mktemp("answers")
    observations = [f"o{o}" for o, _ in answers]
    scores = made(9 * np.eye(3)[[a for _, a in answers]], observations)
    path = write_answers(scores, folder / "s.csv", classes=CLASSES)
    pl.DataFrame({"observation_id": observations}).write_csv(folder / "t.csv")
    done = check_submission(path, classes=CLASSES.values(), against=folder / "t.csv")
    assert (done.problems, done.rows) == ((), len(set(observations)))


def test_class_ids_and_species_are_read_from_organisers_tables(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("class_id,binomial_name,code\n7,Naja naja,IN\n0,boa-boa,BR\n7,Naja naja,NA\n")
    assert read_class_ids(path) == {"naja naja": 7, "boa boa": 0}
    path.write_text("scientific_name\nnaja-naja\nboa-boa\n")
    assert read_species(path) == SpeciesList(("naja-naja", "boa-boa"))


@pytest.mark.parametrize(
    ("read", "text", "words"),
    [
        (read_class_ids, "class_id,species\n1,Boa\n2,boa\n", "row 3: species 'boa' has class_id 2"),
        (read_class_ids, "class_id,species\n1,Boa\n-2,x\n", "row 3: class_id = '-2' should be"),
        (read_class_ids, "species\nBoa\n", "column 'class_id' is missing, found"),
        (read_class_ids, "class_id\n1\n", "column 'species' (or 'scientific_name'"),
        (read_species, "name\nBoa\n", "column 'species' (or"),
        (read_species, "species\nBoa\nBoa\n", "'Boa' stands twice"),
        (read_species, "species\nBoa boa\nboa-boa\n", "'Boa boa' and 'boa-boa' are one"),
    ],
)
def test_bad_table_error_names_file_and_row(tmp_path, read, text, words):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError) as error:
        read(tmp_path / "t.csv")
    assert str(error.value).startswith(str(tmp_path / "t.csv"))
    assert words in str(error.value)
    with pytest.raises(InputError, match="there is no such file"):
        read(tmp_path / "none.csv")


def test_write_answers_rejects_species_without_class(tmp_path):
    with pytest.raises(InputError, match="species 'vipera-berus' has no class_id; add a row"):
        write_answers(
            made(np.zeros((1, 3))), tmp_path / "s.csv", classes={"naja naja": 1, "boa boa": 2}
        )
    with pytest.raises(InputError, match="has the name hashed_id"):
        write_probabilities(made([[0]], species=SpeciesList(("hashed_id",))), tmp_path / "s.csv")
    assert list(tmp_path.iterdir()) == []


def test_unread_photo_has_a_row():
    scores = replace(made([[1, 0, 0]]), failures=(PhotoFailure("broken", "broken: is no photo"),))
    whole = add_unread_photos(scores, {"broken": "india"})
    assert (whole.photo_ids, whole.countries) == (("p0", "broken"), ("UNKNOWN", "india"))
    np.testing.assert_allclose(whole.probabilities()[1], 1 / 3)
    counts = pl.DataFrame(
        {"species": ["naja-naja", "boa-boa"], "country": "india", "photos": [3, 1]}
    )
    prior = CountryPrior.from_counts(counts, SPECIES)
    np.testing.assert_allclose(prior.adjust(whole).probabilities()[1], [0.75, 0.25, 0])
    assert add_unread_photos(made([[1, 0, 0]])).photo_ids == ("p0",)


def run_command(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return end.value.code, captured.out, captured.err


def test_submit_and_check_submission_commands(tmp_path, capsys):
    scores = replace(
        made([[1, 0, 0], [0, 2, 0]], ["o1", "o1"]), failures=(PhotoFailure("q", "q: is no photo"),)
    ).write(tmp_path / "s.npz")
    out = tmp_path / "out.csv"
    code, stdout, stderr = run_command(
        capsys, "submit", scores, "--style", "aicrowd2020", "--out", out
    )
    assert (code, stdout, stderr) == (1, f"{out}\n", "ophis: q: is no photo\n")
    assert [row[0] for row in table(out)] == ["hashed_id", "p0", "p1", "q"]
    assert run_command(capsys, "check-submission", out)[:2] == (0, f"{out}: 3 rows, 0 problems\n")
    (tmp_path / "classes.csv").write_text(
        "species,class_id\nnaja naja,7\nboa boa,0\nvipera berus,1\n"
    )
    style = ("--style", "observations", "--out", out)
    assert (
        run_command(capsys, "submit", scores, *style, "--classes", tmp_path / "classes.csv")[0] == 1
    )
    assert table(out)[1:] == [["o1", "0"]]
    out.write_text("observation_id,class_id\no1,8\no1,7\n")
    code, stdout, stderr = run_command(
        capsys, "check-submission", out, "--classes", tmp_path / "classes.csv"
    )
    assert (code, stdout) == (1, f"{out}: 2 rows, 2 problems\n")
    assert stderr.count("\n") == 2
    assert f"ophis: {out}, row 2: class_id = 8 is not among" in stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["submit", "s.npz"], "requires an argument"),
        (["submit", "--aicrowd", "b"], "is now `ophis aicrowd BUNDLE`"),
        (
            ["submit", "s.npz", "--style", "observations", "--out", "o.csv"],
            "observations needs classes",
        ),
        (
            ["submit", "s.npz", "--style", "aicrowd2020", "--out", "o.csv", "--least-cost"],
            "aicrowd2020 takes no classes",
        ),
        (["aicrowd", "b"], f"environment variable {IMAGES} is not set"),
    ],
)
def test_submit_errors_are_one_line(tmp_path, capsys, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(IMAGES, raising=False)
    made([[1, 0, 0]]).write("s.npz")
    code, stdout, stderr = run_command(capsys, *arguments)
    assert (code, stdout, stderr.count("\n")) == (2, "", 1)
    assert words in stderr
    assert [path.name for path in tmp_path.iterdir()] == ["s.npz"]


def test_check_rejects_list_of_other_file_kind(tmp_path):
    path = write_probabilities(made([[1, 0, 0]]), tmp_path / "s.csv")
    with pytest.raises(InputError, match="file by hashed_id: classes is for the other kind"):
        check_submission(path, classes={1})
    with pytest.raises(InputError, match=r"none\.csv: there is no such file"):
        check_submission(tmp_path / "none.csv")
    (tmp_path / "ids.csv").write_text("photo\np0\n")
    with pytest.raises(InputError, match=r"ids\.csv: column 'hashed_id' is missing"):
        check_submission(path, against=tmp_path / "ids.csv")


def hidden_test(folder, text):
    (folder / "images").mkdir()
    (folder / "metadata.csv").write_text(text)
    return read_environment(
        {
            IMAGES: str(folder / "images"),
            METADATA: str(folder / "metadata.csv"),
            PREDICTIONS: str(folder / "out" / "predictions.csv"),
        }
    )


def test_hidden_test_is_answered_in_order(tmp_path):
    """The classifier is a fake that reads no photo; `tests/train/test_export.py` has a real one."""
    test = hidden_test(
        tmp_path,
        "hashed_id,country,continent,filename\nc1,India,Asia,c1.png\nb2,Atlantis,,b2.png\n"
        "a3,,,a3.png\n",
    )
    counts = pl.DataFrame(
        {"species": ["naja-naja", "boa-boa"], "country": "india", "photos": [3, 1]}
    )
    bundle = SimpleNamespace(prior=CountryPrior.from_counts(counts, SPECIES), calibration=None)

    def score(manifest, progress):
        assert [path.name for path in manifest.paths()] == ["c1.png", "b2.png", "a3.png"]
        assert list(manifest.table["country"]) == ["india", "UNKNOWN", "UNKNOWN"]
        failures = (PhotoFailure("c1", "c1.png: is no photo"),)
        return replace(made([[1, 0, 0], [9, 0, 0]], names=["b2", "a3"]), failures=failures)

    done = aicrowd(SimpleNamespace(bundle=bundle, score=score), test)
    assert (done.photos, len(done.unread), done.unknown_countries) == (3, 1, ("Atlantis",))
    _, first, second, third = table(test.predictions)
    assert [first[0], second[0], third[0]] == ["c1", "b2", "a3"]
    np.testing.assert_allclose(np.array(first[1:], float), [0.75, 0.25, 0], atol=1e-8)
    done = check_submission(test.predictions, species=SPECIES, against=test.metadata)
    assert done.problems == ()

    # Without a prior: offsets calibrate the network and do not apply to an unread photo.
    bundle.prior, bundle.calibration = (
        None,
        Calibration(np.ones(3), np.array([0.0, 1.0, 2.0]), SPECIES),
    )
    aicrowd(SimpleNamespace(bundle=bundle, score=score), test)
    _, first, second, _ = table(test.predictions)
    np.testing.assert_allclose(np.array(first[1:], float), 1 / 3)
    np.testing.assert_allclose(np.array(second[1:], float), softmax(np.array([1.0, 1, 2])))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,country\nx,India\n", "column 'hashed_id' is missing"),
        ("hashed_id,country\nx,India\nx,Kenya\n", "row 3: hashed_id 'x' is repeated"),
        ("hashed_id,country\n,India\n", "row 2: hashed_id '' is empty"),
        ("hashed_id,filename\nx,../x.jpg\n", "row 2: photo '../x.jpg' leaves the folder"),
    ],
)
def test_hidden_test_rejects_bad_table(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        read_hidden_test(hidden_test(tmp_path, text))


def test_hidden_test_without_filenames_uses_ids(tmp_path):
    manifest, none = read_hidden_test(
        hidden_test(tmp_path, "hashed_id,country\nabc,United States\n")
    )
    assert (manifest.table["photo"][0], manifest.table["country"][0]) == (
        "abc.jpg",
        "united-states",
    )
    assert none == ()
    with pytest.raises(InputError, match=f"images2: there is no such folder of photos .{IMAGES}"):
        read_environment({IMAGES: str(tmp_path / "images2"), METADATA: "m", PREDICTIONS: "p"})
