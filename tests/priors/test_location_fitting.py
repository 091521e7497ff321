"""Fit of the kernels on made records, and the priors that contain them."""

import numpy as np
import polars as pl
import pytest

from ophis import InputError, Occurrences, SpeciesList, fit_prior, read_prior
from ophis.geography.location import Place, Position, Source
from ophis.priors.bayes import BayesPrior
from ophis.priors.location import LocationPrior, LocationSettings, PlacePrior
from ophis.priors.location_fitting import fit_location, records_by_country
from ophis.priors.records import Records
from ophis.scores.cross_validation import folds

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
    assert fit.tested == 400  # at most 200 of a species
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


def test_loss_is_that_of_the_prior_of_the_other_cells():
    """Two thirds of the loss are the mean over records, one third is that over species."""
    table = made_table(240)
    fit = fit_location(table, SPECIES)
    assert fit.tested == 240
    corners = np.floor(table.select("latitude", "longitude").to_numpy()).astype(int)
    cells, cell = np.unique(corners @ [1000, 1], return_inverse=True)
    fold = folds([str(name) for name in cells])[cell]
    column = np.array([SPECIES.index(name) for name in table["species"]])
    losses = {"country": np.empty(240), "place": np.empty(240)}
    for number in range(5):
        learned = table.filter(fold != number)
        prior = LocationPrior(
            BayesPrior(records_by_country(learned, SPECIES)),
            Records.of(
                SPECIES,
                latitude=learned["latitude"].to_numpy(),
                longitude=learned["longitude"].to_numpy(),
                column=column[fold != number],
            ),
            fit.settings,
        )
        for row in np.flatnonzero(fold == number):
            north, east = table.row(row)[1:3]
            here = prior.at(Place({"in": 1.0}, None, Position(north, east)))
            assert isinstance(here, PlacePrior)
            losses["place"][row] = -np.log(here.probability[column[row]])
            losses["country"][row] = -np.log(prior.base.probability("in")[column[row]])
    for name, values in losses.items():
        species = [values[column == number].mean() for number in (0, 1)]
        assert fit.losses[name] == pytest.approx((2 * values.mean() + np.mean(species)) / 3)


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
