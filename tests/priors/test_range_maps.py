import numpy as np
import pytest

from ophis import CountryPrior, InputError, SpeciesList
from ophis.priors.bayes import BayesPrior
from ophis.priors.effect import PriorUse
from ophis.priors.range_maps import RangeMapPrior, read_range_map


@pytest.mark.parametrize("separator", [",", ";"])
def test_range_map_is_read_with_comma_or_semicolon(tmp_path, separator):
    text = "|the bahamas|Bahamas|Kenya\nNaja naja|0|1|0\nBoa boa||0|1\nBoa  boa|1||\n"
    (tmp_path / "m.csv").write_text(text.replace("|", separator))
    range_map = read_range_map(tmp_path / "m.csv")
    assert range_map.countries == {"BS", "KE"}
    assert range_map.joined() == [("the-bahamas", "bahamas"), ("Boa boa", "Boa  boa")]
    assert range_map.lives("naja-naja", "bahamas") is True
    assert range_map.lives("Naja naja", "kenya") is False
    assert range_map.lives("Naja naja", "france") is None
    assert range_map.lives("Vipera berus", "kenya") is None
    assert range_map.lives("Boa boa", "bahamas") is True
    again = read_range_map(range_map.write(tmp_path / "again.csv"))
    assert again.places == range_map.places
    assert again.columns == range_map.columns


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("species,Kenya\nboa,perhaps\n", "row 2, column 'Kenya': 'perhaps' should be 1 or 0"),
        ("species,Kenya\nboa,1\nadder,0\nboa,0\n", "row 4: species 'boa' stands twice"),
        ("species,Kenya\n ,1\n", "row 2: species ' ' is empty"),
        ("species,Nepal,Atlantis\nboa,1,2\n", "row 1: no country is called 'Atlantis'; use its"),
        ("species,Nepall\nboa,1\n", "row 1: no country is called 'Nepall'; did you mean Nepal"),
        ("species,Nepal,unknown\nboa,1,0\n", "row 1, column 'unknown': is no country; take the"),
        ("species,Nepal,nepal\nboa,1,0\n", "row 1: country 'nepal' stands twice"),
        ("species,Nepal,Nepal\nboa,1,0\n", "row 1: country 'Nepal' stands twice"),
        ("species,Nepal\nboa,0.7\n", "row 2, column 'Nepal': '0.7' should be 1 or 0"),
        ("species,Nepal\nboa,1,0\n", "row 2: has 3 cells under 2 names; put a cell with a comma"),
        ("species;Nepal;India\nboa;1;0;1\n", "has 4 cells under 3 names; put a cell with a ';'"),
        ('species,Nepal\n"boa\nx",1\nadder,?\n', "row 4, column 'Nepal': '?' should be 1 or 0"),
        ('species,Nepal\n"boa,1\n', "row 2: unexpected end of data; fix the quotes"),
        ("species,Nepal\n", "needs a column of species"),
        ("species\nboa\n", "needs a column of species"),
        ("", "cannot be read as CSV"),
    ],
)
def test_bad_range_map_error_names_file_row_and_column(tmp_path, text, words):
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(InputError) as error:
        read_range_map(tmp_path / "m.csv")
    assert str(tmp_path / "m.csv") in str(error.value)
    assert words in str(error.value)


def test_range_map_of_other_species_is_rejected(tmp_path):
    (tmp_path / "m.csv").write_text("species,Kenya\nNaja naja,1\n")
    range_map = read_range_map(tmp_path / "m.csv")
    counts = CountryPrior(SpeciesList(("adder", "boa")), ("kenya",), np.array([[1, 1]]))
    words = r"m\.csv: names none of the 2 species, such as 'adder'"
    with pytest.raises(InputError, match=words):
        RangeMapPrior(counts.species, range_map)
    with pytest.raises(InputError, match=words):
        BayesPrior(counts, range_map=range_map)


def test_organisers_range_map_is_read(shared_2021):
    range_map = read_range_map(shared_2021 / "species_relevance.csv")
    assert len(range_map.columns) == 195
    assert len(range_map.countries) == 194
    (countries, *species) = range_map.joined()
    assert countries == ("cyprus", "n-cyprus")
    assert len(species) == 4  # once with a trailing blank


def test_absent_species_are_less_probable_but_possible(tmp_path):
    (tmp_path / "m.csv").write_text("species,Kenya,India\nboa,0,0\ncobra,1,1\n")
    species = SpeciesList(("adder", "boa", "cobra"))
    prior = RangeMapPrior(species, read_range_map(tmp_path / "m.csv"), 0.1)
    factors, use = prior.log_factors("kenya")
    np.testing.assert_allclose(np.exp(factors), [1, 0.1, 1])  # the adder is not listed
    assert use is PriorUse.LISTED
    assert prior.log_factors("france")[1] is PriorUse.UNLISTED
    assert not prior.log_factors("UNKNOWN")[0].any()
    # Fraction of the probability on species that are not listed as absent.
    logits = np.log([[0.02, 0.97, 0.01], [0.02, 0.93, 0.05]])
    np.testing.assert_allclose(prior.likelihood(logits, ("kenya", "kenya")), [0.03, 0.07])
    np.testing.assert_allclose(prior.likelihood(logits, ("france", "UNKNOWN")), 1)
    with pytest.raises(InputError, match="absent = 0 should be above 0"):
        RangeMapPrior(species, prior.range_map, 0)
