"""Fit of the kernels on made records, and the priors that contain them."""

import numpy as np
import polars as pl
import pytest

from ophis import InputError, Occurrences, SpeciesList, fit_prior, read_prior
from ophis.geography.location import Place, Position, Source
from ophis.priors.location import LocationPrior, LocationSettings, PlacePrior
from ophis.priors.location_fitting import fit_location, records_by_country

SPECIES = SpeciesList(("adder", "boa", "cobra"))


def made_table(number: int = 1500, *, mixed: bool = False, degrees: float = 8) -> pl.DataFrame:
    """Return records in one country; adders in the west and boas in the east, or ``mixed``."""
    rng = np.random.default_rng(0)
    longitude = rng.uniform(0, degrees, number)
    west = rng.random(number) < (0.5 if mixed else longitude / degrees)
    return pl.DataFrame(
        {
            "species": np.where(west, "boa", "adder"),
            "latitude": rng.uniform(20, 20 + degrees, number),
            "longitude": longitude + 75,
            "accuracy_km": np.full(number, np.nan),
            "country": np.full(number, "IN"),
        }
    )


def test_place_beats_the_country_where_species_are_apart():
    fit = fit_location(made_table(), SPECIES)
    assert fit.tested == 1500
    assert fit.losses["place"] < fit.losses["country"] - 0.1
    assert fit.records.count.sum() == 1500
    assert fit.records.known.tolist() == [True, True, False]


def test_place_costs_nothing_where_species_are_mixed():
    fit = fit_location(made_table(mixed=True), SPECIES)
    assert fit.losses["place"] < fit.losses["country"] + 0.02


def test_order_of_the_records_does_not_matter_and_the_fit_is_repeatable():
    first, second = (fit_location(made_table(), SPECIES) for _ in range(2))
    assert first.settings == second.settings
    assert first.losses == second.losses


def test_few_cells_keep_the_defaults():
    fit = fit_location(made_table(30, degrees=2), SPECIES)
    assert fit.settings == LocationSettings()
    assert not fit.losses
    assert not fit.tested


def test_records_at_sea_are_of_no_country():
    table = pl.DataFrame({"species": ["boa", "boa", "adder"], "country": ["IN", "", ""]})
    counts = records_by_country(table)
    assert counts.countries == ("in",)
    assert counts.species_photos() == {"adder": 0, "boa": 1}
    assert records_by_country(table[1:], SPECIES).countries == ("UNKNOWN",)


def test_prior_without_manifest_counts_records_by_country(tmp_path):
    fitted = fit_prior(None, tmp_path / "p.toml", occurrences=Occurrences(made_table(), {}))
    assert fitted.counts.species.names == ("adder", "boa")
    assert fitted.counts.countries == ("in",)
    assert fitted.counts.counts.sum() == 1500
    assert fitted.location
    prior = read_prior(tmp_path / "p.toml")
    assert isinstance(prior, LocationPrior)
    west, east = (
        prior.at(Place({"india": 1.0}, Source.POSITION, Position(24, longitude)))
        for longitude in (75.5, 82.5)
    )
    assert isinstance(west, PlacePrior)
    assert isinstance(east, PlacePrior)
    assert west.probability[0] > 0.8
    assert east.probability[0] < 0.2


def test_records_need_toml_and_something_to_count(tmp_path):
    records = Occurrences(made_table(30), {})
    with pytest.raises(InputError, match=r"p\.csv: records, .* need a prior in \.toml"):
        fit_prior(None, tmp_path / "p.csv", occurrences=records)
    with pytest.raises(InputError, match="without records"):
        fit_prior(None, tmp_path / "p.toml", occurrences=records, as_published=True)
    with pytest.raises(InputError, match="train: give training photos, or occurrence records"):
        fit_prior(None, tmp_path / "p.toml")
    assert not list(tmp_path.iterdir())
