"""Prior of a position in the page against Python: records nearby, probabilities, factors."""

import json

import numpy as np
import pytest

from ophis import CountryPrior, SpeciesList
from ophis.geography.location import Position, place_at
from ophis.inference.bundles.bundle import read_bundle
from ophis.priors.bayes import BayesPrior
from ophis.priors.bayes import Settings as Smoothing
from ophis.priors.location import LocationPrior, LocationSettings, PlacePrior
from ophis.priors.overrides import Override
from ophis.priors.records import Records, max_rows
from ophis.web.export import web_files
from ophis.web.facts import as_json, facts_of, records_of
from tests.support.decision_bundles import bundle
from tests.support.made_bundle import write_made_bundle
from tests.support.web_pages import encoded, opened_modules

SPECIES = SpeciesList(tuple(f"Naja species{number:02}" for number in range(40)))
CENTRES = [(27, 85), (48, 7), (-1, 37), (66, 180), (-17.5, -179.9), (89.9, 10), (-89.5, 0), (0, 0)]
PLACES = """async ([facts, table, records, places]) => {
  const {RowDecider} = await import(`${location.origin}/row_decision.js`);
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
  const {prior} = new RowDecider(facts, new Float64Array(bytes(table)), bytes(records));
  return places.map((place) => {
    const {records, nearest_km, known, total} = prior.nearby(place);
    const zero = new Float64Array(facts.species.length);
    return {
      records: [...records], nearest: [...nearest_km].map((km) => km === Infinity ? null : km),
      known, total, uses: prior.uses(place),
      p: [...prior.probability(place) ?? []],
      factors: prior.uses(place) ? [...prior.adjusted(zero, place)[0]] : [],
      effect: prior.uses(place) ? prior.adjusted(zero, place)[1] : null,
    };
  });
}"""


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    with opened_modules(browser, tmp_path_factory.mktemp("page")) as page:
        yield page


def made_prior(settings: LocationSettings) -> LocationPrior:
    """Return a prior with 6,000 records around the centres; the last species have none."""
    rng = np.random.default_rng(8)
    counts = CountryPrior(
        SPECIES, ("france", "india", "kenya", "nepal"), rng.poisson(3.0, (4, len(SPECIES)))
    )
    overrides = (Override("NP", SPECIES[0], 0.0), Override("india", SPECIES[1], 0.2))
    smoothing = Smoothing(temperature=1.3, world_exponent=0.75)
    base = BayesPrior(counts, smoothing, overrides=overrides)
    centres = np.array(CENTRES)[rng.integers(0, len(CENTRES), 6000)]
    latitude, longitude = (centres + rng.normal(0, 2.5, (6000, 2))).T
    records = Records.of(
        SPECIES,
        latitude=np.clip(latitude, -90, 90),
        longitude=(longitude + 180) % 360 - 180,
        column=rng.integers(0, 36, 6000),
    )
    return LocationPrior(base, records, settings)


def positions() -> list[Position]:
    """Return positions near records, at borders, over the antimeridian, at poles and at sea."""
    rng = np.random.default_rng(9)
    near = [(x, y) for x, y in np.repeat(CENTRES, 25, axis=0) + rng.normal(0, 1.5, (200, 2))]
    sea = [(-30, -120), (-45, 90), (25, -40), (-20, 75)]
    border = [(26.5, 86.75), (-2.545, 36.787), (47.58, 7.59)]
    corners = [(90, 0), (-90, 10), (66, 180), (66, -180), (-17, 179.999), (0.001, 0)]
    far = zip(rng.uniform(-90, 90, 40), rng.uniform(-180, 180, 40), strict=True)
    accuracy = rng.choice([0.01, 1.0, 15.0, 100.0], 400)
    return [
        Position(float(np.clip(x, -90, 90)), float((y + 180) % 360 - 180), float(km))
        for (x, y), km in zip([*near, *sea, *border, *corners, *far], accuracy, strict=False)
    ]


@pytest.mark.parametrize(
    "settings",
    [
        LocationSettings(),
        LocationSettings(bandwidths_km=(400, 50), record_exponent=1, place_records=10),
    ],
)
def test_position_has_the_probabilities_of_python(page, settings):
    prior = made_prior(settings)
    made = bundle(SPECIES, prior=prior)
    facts, table = facts_of(made)
    places = [place_at(position) for position in positions()]
    asked = [
        {"weights": list(place.weights.items()), "source": place.source,
         "position": vars(place.position)} for place in places
    ]  # fmt: skip
    given = [json.loads(as_json(facts)), encoded(table), encoded(records_of(made)), asked]
    uses = set()
    for place, found in zip(places, page.evaluate(PLACES, given), strict=True):
        nearby, here = prior.nearby(place), prior.at(place)
        assert nearby is not None
        assert found["records"] == nearby.records.tolist()
        nearest = [km if np.isfinite(km) else None for km in nearby.nearest_km]
        assert found["nearest"] == pytest.approx(nearest, abs=1e-6)
        assert (found["known"], found["total"]) == (nearby.known.tolist(), nearby.total)
        assert found["uses"] == (here is not None)
        if not isinstance(here, PlacePrior):
            continue
        np.testing.assert_allclose(found["p"], here.probability, rtol=1e-9, atol=0)
        factors, use = here.log_factors("")
        np.testing.assert_allclose(found["factors"], factors, rtol=0, atol=1e-9)
        assert found["effect"]["use"] == use
        assert found["effect"]["overridden"] == here.overridden("")
        assert found["effect"]["of_country"] is False
        uses.add(str(use))
    assert {"place", "world"} <= uses


def test_records_add_at_most_two_megabytes_to_the_page(engine, tmp_path):
    """With as many rows as a prior of 300 species holds."""
    species = SpeciesList(tuple(f"Naja species{number:03}" for number in range(300)))
    rng, rows = np.random.default_rng(10), max_rows(species)
    records = Records.of(
        species, latitude=rng.uniform(-35, 50, rows), longitude=rng.uniform(-120, 150, rows),
        column=rng.integers(0, 300, rows),
    )  # fmt: skip
    assert len(records.count) > 0.99 * rows
    base = BayesPrior(CountryPrior(species, ("india", "kenya"), rng.poisson(3.0, (2, 300))))
    sizes = []
    for number, prior in enumerate((base, LocationPrior(base, records))):
        folder = write_made_bundle(tmp_path / str(number), species, prior=prior)
        files = web_files(read_bundle(folder), engine)
        sizes.append(sum(map(len, files.values())))
    assert 1_000_000 < sizes[1] - sizes[0] < 2_000_000
