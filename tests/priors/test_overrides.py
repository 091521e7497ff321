import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophis import CountryPrior, InputError, SpeciesList
from ophis.priors.bayes import BayesPrior, Settings
from ophis.priors.overrides import Override, read_overrides, write_overrides

SPECIES = SpeciesList(("adder", "boa", "cobra", "Naja naja"))
COUNTRIES = ("UNKNOWN", "bahamas", "brazil", "france", "india", "the-bahamas")
COUNTS = CountryPrior(SPECIES, COUNTRIES, np.random.default_rng(0).integers(1, 9, (6, 4)))


def test_overrides_exclude_pin_and_add():
    overrides = (
        Override("france", "cobra", 0.0),
        Override("fr", "boa", 0.25),
        Override("brazil", "cobra", None),
    )
    settings = Settings(wrong_country_fraction=0)
    plain, overridden = (
        BayesPrior(COUNTS, settings),
        BayesPrior(COUNTS, settings, overrides=overrides),
    )
    before, after = plain.probability("france"), overridden.probability("france")
    assert list(after[1:3]) == [0.25, 0]
    rest = before[[0, 3]]
    np.testing.assert_allclose(after[[0, 3]], 0.75 * rest / rest.sum())
    before, after = plain.probability("brazil"), overridden.probability("brazil")
    america = plain.probability("chile")  # which has no photo of its own
    raised = before.copy()
    raised[2] = max(before[2], america[2], 1 / 4)
    assert raised[2] > before[2]
    np.testing.assert_allclose(after, raised / raised.sum())
    np.testing.assert_array_equal(overridden.probability("india"), plain.probability("india"))


numbers = st.one_of(st.none(), st.just(0.0), st.floats(0, 1))


@given(
    given_overrides=st.dictionaries(
        st.tuples(st.sampled_from(["the Bahamas", "IN", "UNKNOWN"]), st.integers(0, 2)), numbers
    )
)
def test_probabilities_sum_to_one_with_any_overrides(given_overrides):
    """Pins are exact, exclusions are zero, and the other species divide the rest."""
    sums = {
        c: sum(p or 0 for (place, _), p in given_overrides.items() if place == c)
        for c, _ in given_overrides
    }
    overrides = tuple(
        Override(country, SPECIES[column], p and p / max(1, sums[country]))
        for (country, column), p in given_overrides.items()
    )
    prior = BayesPrior(COUNTS, overrides=overrides)
    for country in ("bahamas", "the-bahamas", "india", "UNKNOWN", "kenya"):
        p = prior.probability(country)
        assert p.sum() == pytest.approx(1, abs=1e-12)
        assert (p >= 0).all()
    for override in overrides:
        if override.probability is not None:
            column = SPECIES.index(override.species)
            assert prior.probability(override.country)[column] == override.probability


def test_species_of_overrides_are_matched_by_key():
    for name in ("naja-naja", "NAJA  naja", "Naja_naja"):
        prior = BayesPrior(COUNTS, overrides=(Override("india", name, 0.5),))
        assert prior.probability("india")[3] == 0.5
    two = SpeciesList(("Naja naja", "naja-naja", "boa"))
    counts = CountryPrior(two, ("india",), np.array([[1, 2, 3]]))
    exact = BayesPrior(counts, overrides=(Override("india", "naja-naja", 0.5),))
    assert exact.probability("india")[1] == 0.5
    with pytest.raises(InputError, match="'NAJA NAJA' may be 'Naja naja' and 'naja-naja'; write"):
        BayesPrior(counts, overrides=(Override("india", "NAJA NAJA", 0.5),))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("Nepal,mamba,0", "row 2: species 'mamba' is not among the 4"),
        ("Nepal,adder,.9\nNP,boa,.9", "row 3: with it the probabilities in 'np' sum to 1.8; lower"),
        (
            "Nepal,Naja naja,0\nnepal,naja-naja,.5",
            "row 3: 'naja-naja' has another override in 'nep",
        ),
        ("bahamas,boa,0\nthe Bahamas,boa,0", "overrides.csv, row 2); keep one"),
        (
            "Nepal,adder,0\nNepal,boa,0\nNepal,cobra,0\nNepal,Naja naja,0",
            "row 5: every species has an override in 'nepal', and their probabilities sum"
            " to 0, not 1; leave one",
        ),
    ],
)
def test_conflicting_overrides_error_names_file_and_row(tmp_path, rows, words):
    path = tmp_path / "overrides.csv"
    path.write_text(f"country,species,probability\n{rows}\n")
    with pytest.raises(InputError) as error:
        BayesPrior(COUNTS, overrides=read_overrides(path))
    assert str(error.value).startswith(f"{path}, row")
    assert words in str(error.value)


def test_invalid_overrides_in_python_are_named():
    with pytest.raises(InputError, match="override for 'boa' in 'nepal': 2 is not a probability"):
        BayesPrior(COUNTS, overrides=(Override("nepal", "boa", 2),))
    with pytest.raises(InputError, match="override for 'boa' in 'np': 'boa' has another override"):
        BayesPrior(COUNTS, overrides=(Override("nepal", "boa", 0), Override("np", "boa", None)))


def test_pins_of_all_species_may_sum_to_one():
    pins = (0.7, 0.2, 0.1, 0.0)  # in floating point not quite 1
    overrides = tuple(Override("nepal", name, p) for name, p in zip(SPECIES, pins, strict=True))
    np.testing.assert_array_equal(
        BayesPrior(COUNTS, overrides=overrides).probability("nepal"), pins
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("country,species\nfrance,boa\n", ": columns should be country,species,probability"),
        ("country,species,probability\natlantis,boa,0\n", "row 2: no country is called 'atlantis'"),
        ("country,species,probability\nfrance,boa,2\n", "row 2: probability = '2' should be"),
        ("country,species,probability\nfrance,boa,nan\n", "row 2: probability = 'nan'"),
        ("country,species,probability\nfrance,boa,0\nfrance,boa,no\n", "row 3"),
    ],
)
def test_bad_override_error_names_file_and_row(tmp_path, text, words):
    (tmp_path / "overrides.csv").write_text(text)
    with pytest.raises(InputError) as error:
        read_overrides(tmp_path / "overrides.csv")
    line = str(error.value)
    assert line.startswith(str(tmp_path / "overrides.csv"))
    assert words in line


def test_written_overrides_read_back(tmp_path):
    overrides = (Override("france", "adder", 0.5), Override("UNKNOWN", "boa", None))
    assert read_overrides(write_overrides(overrides, tmp_path / "r.csv")) == overrides
