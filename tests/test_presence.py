import numpy as np
import pytest

from ophis import InputError, SpeciesList
from ophis.presence import PresencePrior, read_presence
from ophis.prior import PriorUse


@pytest.mark.parametrize("separator", [",", ";"])
def test_a_map_is_read_in_either_form(tmp_path, separator):
    text = "|the bahamas|Bahamas|Kenya|everywhere\nNaja naja|0|1|0|1\nBoa boa||0|1|0\n"
    (tmp_path / "m.csv").write_text(text.replace("|", separator))
    presence = read_presence(tmp_path / "m.csv")
    assert presence.countries == {"BS", "KE"}
    assert presence.skipped == ("everywhere",)
    assert presence.lives("naja-naja", "bahamas") is True
    assert presence.lives("Naja naja", "kenya") is False
    assert presence.lives("Naja naja", "france") is None
    assert presence.lives("Vipera berus", "kenya") is None
    assert read_presence(presence.write(tmp_path / "again.csv")).places == presence.places


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("species,Kenya\nboa,perhaps\n", "row 2, column 'Kenya': 'perhaps' should be 1 or 0"),
        ("species,Kenya\nboa,1\nadder,0\nboa,0\n", "species 'boa' stands twice"),
        ("species,here,there\nboa,1,0\n", "no column is named like a country"),
        ("species\nboa\n", "needs a column of species"),
        ("", "cannot be read as CSV"),
    ],
)
def test_a_wrong_map_is_refused_by_file_row_and_column(tmp_path, text, words):
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(InputError) as refusal:
        read_presence(tmp_path / "m.csv")
    assert str(tmp_path / "m.csv") in str(refusal.value)
    assert words in str(refusal.value)


def test_absent_species_count_less_and_none_is_impossible(tmp_path):
    (tmp_path / "m.csv").write_text("species,Kenya,India\nboa,0,0\ncobra,1,1\n")
    species = SpeciesList(("adder", "boa", "cobra"))
    prior = PresencePrior(species, read_presence(tmp_path / "m.csv"), 0.1)
    factors, use = prior.log_factors("kenya")
    np.testing.assert_allclose(np.exp(factors), [1, 0.1, 1])  # of the adder nothing is said
    assert use is PriorUse.LISTED
    assert prior.log_factors("france")[1] is PriorUse.UNLISTED
    assert not prior.log_factors("UNKNOWN")[0].any()
    with pytest.raises(InputError, match="absent = 0 should be above 0"):
        PresencePrior(species, prior.presence, 0)
