import json

import numpy as np
import pytest

from ophis import InputError, compare, evaluate, read_range_map, read_submissions
from ophis.evaluation.snakeclef_intervals import snakeclef_interval
from tests.support.commands import ophis, refused

TRUTH = "uuid,species,country\n1,Naja naja,India\n2,Boa boa,Costa Rica\n3,Boa boa,unknown\n"
ENTRY = "UUID,species\n3,Boa boa\n2,Naja naja\n1,Naja naja\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "truth.csv").write_text(TRUTH)
    (tmp_path / "one.csv").write_text(ENTRY)
    (tmp_path / "two.csv").write_text("uuid,species\n1,Vipera berus\n2,Boa boa\n3,Boa boa\n")
    return tmp_path


def test_answers_become_scores_that_can_be_compared(folder):
    one, two = read_submissions([folder / "one.csv", folder / "two.csv"], folder / "truth.csv")
    assert one.photo_ids == ("1", "2", "3")
    assert one.countries == ("india", "costa-rica", "UNKNOWN")
    assert one.species.names == two.species.names == ("Boa boa", "Naja naja", "Vipera berus")
    assert evaluate(one).top1 == 2 / 3
    np.testing.assert_array_equal(one.probabilities().max(axis=1), 1)
    result = compare(one, two, resamples=20)
    assert (result.disagreement.only_a, result.disagreement.only_b) == (1, 1)
    assert result.gains_of_b[0].answer_a == "Naja naja"


def test_classes_and_observations(folder):
    (folder / "classes.csv").write_text("class_id,binomial_name\n0,Boa boa\n7,Naja naja\n")
    (folder / "truth.csv").write_text("photo_id,observation_id,class_id\nx,A,7\ny,A,7\nz,B,0\n")
    (folder / "one.csv").write_text("photo_id,class_id\nx,7\ny,0\nz,0\n")
    files = [folder / "one.csv"], folder / "truth.csv"
    (scores,) = read_submissions(*files, classes=folder / "classes.csv")
    assert scores.observations == ("A", "A", "B")
    assert evaluate(scores).top1 == 2 / 3
    (folder / "one.csv").write_text("photo_id,class_id\nx,7\ny,0\nz,3\n")
    with pytest.raises(InputError, match=r"one.csv, row 4: class_id '3' is not in the classes"):
        read_submissions(*files, classes=folder / "classes.csv")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,species\n1,Boa boa\n", "one.csv: a column with the ids is missing"),
        ("uuid,class\n1,Boa boa\n", "one.csv: column 'species'"),
        ("uuid,species\n1,Boa boa\n1,Boa boa\n", "one.csv, row 3: '1' is there twice"),
        ("uuid,species\n1,\n2,Boa boa\n3,Boa boa\n", "one.csv, row 2: the species is empty"),
        ("uuid,species\n1,Boa boa\n2,Boa boa\n", r"truth.csv, row 4: '3' is not in .*one.csv"),
        (ENTRY + "4,Boa boa\n", r"one.csv, row 5: '4' is not in .*truth.csv"),
    ],
)
def test_error_names_file_and_row(folder, text, words):
    (folder / "one.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        read_submissions([folder / "one.csv"], folder / "truth.csv")


def test_command_writes_scores_files(folder):
    files = folder / "one.csv", folder / "two.csv"
    done = ophis("read-submissions", *files, "--truth", folder / "truth.csv", "--out", folder)
    assert done.stdout.split() == [str(folder / "one.npz"), str(folder / "two.npz")]
    arguments = ("evaluate", folder / "one.npz", "--metric", "snakeclef2020", "--intervals")
    (row,) = json.loads(ophis(*arguments, "--json").stdout)["evaluations"]
    low, high = row["intervals"]["snakeclef2020"]
    assert low < row["snakeclef2020"] < high
    assert f"({100 * row['intervals']['top1'][0]:.2f} to" in ophis(*arguments).stdout
    assert "more than half of the species (2 of 2) have fewer than 5" in ophis(*arguments).stdout
    line = refused(
        "read-submissions", *files, files[0], "--truth", folder / "truth.csv", "--out", folder
    )
    assert "the same file name" in line


def test_entries_of_2021_reach_their_published_figures(shared_2021):
    """Half of the test photos: figures of the whole test lie within the 95 % intervals."""
    entries = shared_2021 / "entries"
    if not entries.is_dir():
        pytest.skip("the entries of 2021 are not there")
    range_map = read_range_map(shared_2021 / "species_relevance.csv")
    both = read_submissions([entries / "entry2.csv", entries / "entry3.csv"], entries / "truth.csv")
    published = ((0.8955, 0.779, 0.819), (0.9077, 0.795, 0.837))
    for scores, expected in zip(both, published, strict=True):
        found = [
            snakeclef_interval(name, scores, range_map=range_map)
            for name in ("snakeclef2020", "snakeclef2021")
        ]
        assert evaluate(scores).top1 == pytest.approx(expected[0], abs=0.0055)
        for interval, value in zip(found, expected[1:], strict=True):
            assert interval.low < value < interval.high
    difference = compare(*both, resamples=20).metrics[2].difference
    assert 0 < difference.low < 0.795 - 0.779 < difference.high
