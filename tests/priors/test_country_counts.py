from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from ophis import CountryPrior, InputError, Scores, SpeciesList, read_prior
from ophis.priors.country_counts import read_counts
from ophis.priors.effect import PriorEffect, PriorUse
from tests.support.paths import SHARED

REAL = SHARED / "snakeclef2020"

COUNTS = pl.DataFrame(
    {
        "species": ["adder", "adder", "boa", "cobra", "cobra"],
        "country": ["france", "UNKNOWN", "brazil", "india", "UNKNOWN"],
        "photos": [4, 1, 5, 6, 3],
    }
)
SPECIES = SpeciesList(("adder", "boa", "cobra"))


def prior() -> CountryPrior:
    return CountryPrior.from_counts(COUNTS, SPECIES)


def scores_in(countries: list[str], probabilities: list[list[float]]) -> Scores:
    names = tuple(f"photo {n}" for n in range(len(countries)))
    with np.errstate(divide="ignore"):
        logits = np.log(np.array(probabilities))
    return Scores(
        logits=logits,
        species=SPECIES,
        photo_ids=names,
        truth=np.zeros(len(names), np.int64),
        countries=tuple(countries),
        observations=names,
    )


def test_equation_1_is_fraction_of_photos_of_country():
    p = prior()
    assert p.countries == ("UNKNOWN", "brazil", "france", "india")
    np.testing.assert_array_equal(p.probability[0], [0.25, 0, 0.75])
    np.testing.assert_array_equal(p.probability.sum(axis=1), 1)


def test_equation_2_by_hand():
    scores = scores_in(["UNKNOWN"], [[0.6, 0.3, 0.1]])
    # 0.6 * 0.25 = 0.150, 0.3 * 0 = 0, 0.1 * 0.75 = 0.075; their sum is 0.225.
    np.testing.assert_allclose(
        prior().adjust(scores).probabilities(), [[2 / 3, 0, 1 / 3]], atol=1e-15
    )


def test_unseen_and_excluding_countries_keep_image_probabilities():
    image = [[0.6, 0.3, 0.1], [0.0, 1.0, 0.0], [0.2, 0.3, 0.5]]
    scores = scores_in(["atlantis", "france", "india"], image)
    adjusted, effects = prior().adjust_with_effect(scores)
    uses = [effect.use for effect in effects]
    assert uses == [PriorUse.UNSEEN, PriorUse.EXCLUDED, PriorUse.APPLIED]
    np.testing.assert_allclose(adjusted.probabilities()[:2], image[:2], atol=1e-15)
    np.testing.assert_allclose(adjusted.probabilities()[2], [0, 0, 1], atol=1e-15)


@pytest.mark.parametrize("name", ["India", " INDIA ", "IN", "IND", "in"])
def test_countries_are_found_in_any_spelling(name):
    assert prior().row(name) == 3


def test_product_reports_contradiction_of_photo_and_country():
    """By hand: sum over s of p(s | x) p(s | c) / p(s); of 19 photos 5, 5 and 9 are of each."""
    image = [[0.001, 0.989, 0.01], [0.01, 0.9, 0.09], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]
    countries = ("india", "india", "UNKNOWN", "atlantis")
    scores = scores_in(list(countries), image)
    expected = [0.01 * 19 / 9, 0.09 * 19 / 9, 1, 1]
    np.testing.assert_allclose(prior().likelihood(scores.logits, countries), expected)
    _, effects = prior().adjust_with_effect(scores)
    assert [effect.contradicts for effect in effects] == [True, False, False, False]
    _, (excluded,) = prior().adjust_with_effect(scores_in(["france"], [[0.0, 1.0, 0.0]]))
    assert excluded == PriorEffect(PriorUse.EXCLUDED, contradicts=True)


def test_species_without_training_photo_contradicts_no_country():
    new = CountryPrior(SPECIES, ("france", "india"), np.array([[4, 0, 0], [0, 0, 2]]))
    np.testing.assert_allclose(new.ratios("france"), [1.5, 1, 0])


def test_unknown_country_has_separate_use():
    assert prior().log_factors("UNKNOWN")[1] is PriorUse.UNKNOWN
    without = CountryPrior(SPECIES, ("india",), np.array([[0, 0, 2]]))
    factors, use = without.log_factors("UNKNOWN")
    assert use is PriorUse.NO_COUNTRY
    assert not factors.any()


def test_empty_country_is_unknown():
    assert prior().row("") == prior().row("unknown") == prior().row("UNKNOWN") == 0


def test_code_of_country_maps_to_name_with_more_photos():
    counts = pl.DataFrame(
        {
            "species": ["boa", "boa"],
            "country": ["bahamas", "the-bahamas"],
            "photos": [1, 2],
        }
    )
    p = CountryPrior.from_counts(counts, SPECIES)
    assert p.merged() == [("bahamas", "the-bahamas")]
    assert p.countries[p.row("BS") or 0] == "the-bahamas"
    assert p.countries[p.row("Bahamas") or 0] == "bahamas"


def test_two_names_of_one_country_are_merged():
    table = CountryPrior(SPECIES, ("bahamas", "the-bahamas"), np.array([[1, 2, 0], [3, 0, 4]]))
    for name in ("bahamas", "the-bahamas", "bs"):
        np.testing.assert_allclose(np.exp(table.log_factors(name)[0]), [0.4, 0.2, 0.4])


def test_written_counts_read_back(tmp_path):
    path = prior().write(tmp_path / "prior.csv")
    back = read_counts(path, SPECIES)
    assert back.countries == prior().countries
    np.testing.assert_array_equal(back.counts, prior().counts)
    assert sorted(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("species,country\nboa,brazil\n", "columns should be species,country,photos"),
        (
            "species,country,photos\nboa,brazil,many\n",
            "row 2: photos = 'many' should be a whole number",
        ),
        ("species,country,photos\nboa,brazil,-1\n", "row 2"),
        ("species,country,photos\nboa,brazil,\n", "row 2: photos = '' should be a whole number"),
        (f"species,country,photos\nboa,brazil,{2**63 - 1}\n", "from 0 to 9,007,199,254,740,992"),
        (f"species,country,photos\nboa,peru,{2**53}\nboa,brazil,1\nboa,peru,{2**53}\n", "more"),
        ("species,country,photos\nboa,brazil,1.0\n", "row 2: photos = '1.0' should be a whole"),
        ("species,country,photos\nboa,brazil,\u0665\n", "row 2: photos = '\u0665' should be"),
        (f"species,country,photos\nboa,brazil,{'1' * 5000}\n", "row 2: photos = '1111"),
        ("species,country,photos\nboa,brazil\n", "row 2: photos = '' should be a whole number"),
        ("species,country,photos\nboa,a,b,1\n", "row 2: has 4 cells under 3 names; put a cell"),
        ('species,country,photos\nboa,"a\nb",1\nboa,x,?\n', "row 4: photos = '?' should be"),
        ('species,country,photos\nboa,"brazil,1\n', "row 2: unexpected end of data; fix the"),
        ("species,country,photos,photos\n", "column 'photos' is there twice"),
        ("", "columns should be species,country,photos, not []"),
        ("species,country,photos\n", "there is no photo of any species"),
        ("species,country,photos\nboa,brazil,0\n", "there is no photo of any species"),
        ("species,country,photos\nmamba,kenya,1\n", "'mamba'"),
    ],
)
def test_bad_counts_file_error_names_file_and_row(tmp_path, text, words):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(InputError) as error:
        read_counts(tmp_path / "p.csv", SPECIES)
    assert "p.csv" in str(error.value)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("countries", "counts", "words"),
    [
        (("india",), [[5, -1, 0]], "'india' has -1 photos of 'boa'; a count should not be below 0"),
        (("india",), [[5, np.nan, 0]], "'india' has nan photos of 'boa'"),
        (("india",), [[0, 0, 0]], "a country without a training photo"),
        (("india", "india"), [[1, 0, 0], [0, 1, 0]], "country 'india' is repeated"),
        ((), np.zeros((0, 3)), "there is no photo of any species"),
        (("india",), [[1, 0]], "counts have shape"),
    ],
)
def test_prior_rejects_bad_counts(countries, counts, words):
    with pytest.raises(InputError, match=words):
        CountryPrior(SPECIES, countries, np.array(counts))


def test_adjust_rejects_other_species_order():
    other = CountryPrior.from_counts(COUNTS, SpeciesList(("adder", "cobra", "boa")))
    with pytest.raises(InputError, match=r"species 2 is 'boa' in the scores and 'cobra'"):
        other.adjust(scores_in(["india"], [[0.2, 0.3, 0.5]]))


def test_equation_1_equals_published_table():
    if not REAL.is_dir():
        pytest.skip("the authors' table is not here (shared/data/snakeclef2020)")
    counts = pl.read_csv(REAL / "images_per_species_and_country.csv", null_values=[])
    counts = counts.rename({"scientific_name": "species", "images": "photos"})
    published = pl.read_csv(REAL / "probability_of_species_per_country.csv")
    species = SpeciesList(tuple(published.columns[1:]))
    counts = counts.with_columns(pl.col("country").replace({"unknown": "UNKNOWN"}))
    fitted = CountryPrior.from_counts(counts, species)
    assert fitted.counts.sum() == 245_185
    assert len(fitted.countries) == 188
    rows = [fitted.row(name) for name in published["Species/Country"]]
    assert sorted(row for row in rows if row is not None) == list(range(188))
    theirs = published.drop("Species/Country").to_numpy()
    assert np.abs(fitted.probability[rows] - theirs).max() < 1e-12
    differing = {}
    for merge_names in (False, True):
        used = replace(fitted, merge_names=merge_names)
        mine = np.exp([used.log_factors(name)[0] for name in published["Species/Country"]])
        differing[merge_names] = (np.abs(mine - theirs).max(axis=1) > 1e-12).sum()
    assert differing == {False: 0, True: 6}


def test_names_of_one_country_stay_apart_as_published(tmp_path):
    """p(s | c) by hand, times p(s | x) of 0.2, 0.3 and 0.5."""
    counts = pl.DataFrame(
        {
            "species": ["boa", "boa", "adder", "cobra"],
            "country": ["bahamas", "the-bahamas", "bahamas", "kenya"],
            "photos": [1, 1, 3, 2],
        }
    )
    merged = CountryPrior.from_counts(counts, SPECIES)
    apart = replace(merged, merge_names=False)
    for used, country, product in (
        (apart, "bahamas", [3 / 4 * 0.2, 1 / 4 * 0.3, 0]),
        (apart, "the-bahamas", [0, 0.3, 0]),
        (apart, "BS", [3 / 4 * 0.2, 1 / 4 * 0.3, 0]),  # a code means the name with more photos
        (merged, "bahamas", [3 / 5 * 0.2, 2 / 5 * 0.3, 0]),
        (merged, "the-bahamas", [3 / 5 * 0.2, 2 / 5 * 0.3, 0]),
    ):
        adjusted = used.adjust(scores_in([country], [[0.2, 0.3, 0.5]]))
        expected = np.divide(product, np.sum(product))
        np.testing.assert_allclose(adjusted.probabilities()[0], expected, atol=1e-12)
    assert merged.merged() == [("bahamas", "the-bahamas")]
    assert apart.merged() == []
    path = apart.write(tmp_path / "paper.toml")
    assert (tmp_path / "paper.csv").is_file()
    read = read_prior(path, SPECIES)
    np.testing.assert_array_equal(
        read.log_factors("the-bahamas")[0], apart.log_factors("the-bahamas")[0]
    )
    with pytest.raises(InputError, match=r"such a prior is written as .toml"):
        apart.write(tmp_path / "paper2.csv")


def test_prior_of_too_many_countries_is_refused_before_it_takes_memory(tmp_path):
    path = tmp_path / "p.csv"
    rows = [f"Boa c{n},country {n},1\n" for n in range(3_200)]
    path.write_text("species,country,photos\n" + "".join(rows))
    with pytest.raises(InputError, match=r"p\.csv: 3,200 countries of 3,200 species are more than"):
        read_counts(path)
