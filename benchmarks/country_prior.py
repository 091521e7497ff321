"""Speed of the country prior (Eq. 1 and 2): vectorised against loops over photos.

    python benchmarks/country_prior.py [--counts COUNTS.csv] [--rows ROWS.jsonl]

14,029 photos (the validation of SnakeCLEF 2020) of 783 species from 188 countries. COUNTS is a
table `species,country,photos` of a real collection; without it one of the same shape is made up.
ophis is `CountryPrior.adjust` on float64 scores and `probabilities`, which makes them sum to 1 as
the peers do.

The peers are written from a description of the authors' released code and contain no line of it: a
table of p(species | country) is read from a CSV into a pandas DataFrame; for each photo the row of
its country is found by its number and multiplied with the photo's probabilities; without such a row
the photo's probabilities stay; the products of each photo are divided by their sum. Earlier
versions of pandas kept columns of one type together after reading; current ones do not and take
longer for a row: both are timed. The third peer is a dictionary of dictionaries, photo by photo and
species by species. Loops are timed on some of the photos and their time is scaled to all. Time is
CPU time on one thread.
"""

from __future__ import annotations

import importlib
import io
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from prior_simulation import real
from side_by_side import arguments, report, row, timed

from ophis import CountryPrior, Scores, SpeciesList

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

PHOTOS, SPECIES, COUNTRIES = 14_029, 783, 188
REACH = 1000
LOOPED = 200  # photos; one takes up to 15 ms
SMALLEST = 1e-12


def main() -> None:
    """Time ophis and the peers in turn, and compare every probability."""
    parser = arguments(__doc__)
    parser.add_argument("--counts", type=Path, help="species,country,photos of real photos")
    options = parser.parse_args()
    prior = real(options.counts) if options.counts else made()
    scores = scores_of(prior)
    looped = scores.take(np.arange(LOOPED))
    image, expected = looped.probabilities(), prior.adjust(looped).probabilities()
    pandas = importlib.import_module("pandas")
    table = read_as_table(prior, pandas)
    what = f"{PHOTOS:,} photos x {len(prior.species)} species, {len(prior.countries)} countries"
    lines = []
    for peer, loop, reach in (
        (f"loop over rows of pandas {pandas.__version__}", by_table(table, prior, looped), REACH),
        ("the same, columns kept together", by_table(table.copy(), prior, looped), None),
        ("loop over dictionaries", by_dictionary(prior, looped), None),
    ):
        apart = float(np.abs(loop(image) - expected).max())
        assert apart <= SMALLEST, (peer, apart)
        own, other = timed(
            lambda: prior.adjust(scores).probabilities(),
            lambda: loop(image),  # noqa: B023 - called before the next
            rounds=options.rounds,
            clock=time.process_time,
        )
        lines.append(
            row(
                f"normalised product: {what}, 1 thread",
                f"{peer}; {LOOPED} photos timed",
                (own, [seconds * PHOTOS / LOOPED for seconds in other]),
                difference=f"{apart:.1e} of a probability",
                reach=reach,
            )
        )
    report(lines, options.rows)


def made() -> CountryPrior:
    """Return counts of the paper's shape: a species occurs in a tenth of the countries."""
    rng = np.random.default_rng(0)
    counts = rng.geometric(0.03, (COUNTRIES, SPECIES))
    counts *= rng.random(counts.shape) < 0.1
    counts[np.arange(COUNTRIES), rng.integers(SPECIES, size=COUNTRIES)] += 1
    countries = tuple(f"made-country-{number:03}" for number in range(COUNTRIES))
    return CountryPrior(SpeciesList(tuple(f"made species {n:03}" for n in range(SPECIES))),
                        countries, counts)  # fmt: skip


def scores_of(prior: CountryPrior) -> Scores:
    """Return random scores of photos from the prior's countries."""
    rng = np.random.default_rng(1)
    ids = tuple(map(str, range(PHOTOS)))
    places = rng.integers(len(prior.countries), size=PHOTOS)
    return Scores(
        logits=np.log(rng.dirichlet(np.ones(len(prior.species)), size=PHOTOS)),
        species=prior.species,
        photo_ids=ids,
        truth=rng.integers(len(prior.species), size=PHOTOS),
        countries=tuple(prior.countries[place] for place in places),
        observations=ids,
    )


def read_as_table(prior: CountryPrior, pandas: Any) -> Any:  # noqa: ANN401 - pandas is no part of ophis
    """Return p(species | country) as a DataFrame read from a CSV, the country first."""
    table = pandas.DataFrame(prior.probability, columns=list(prior.species))
    table.insert(0, "country", list(prior.countries))
    text = io.StringIO(table.to_csv(index=False))
    return pandas.read_csv(text, keep_default_na=False)


def by_table(
    table: Any,  # noqa: ANN401
    prior: CountryPrior,
    scores: Scores,
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Return the loop of the released code for these photos."""
    place = {country: number for number, country in enumerate(prior.countries)}

    def loop(image: NDArray[np.float64]) -> NDArray[np.float64]:
        products = []
        for photo, country in enumerate(scores.countries):
            weights = table.loc[[place[country]]].values[0][1:]
            products.append(weights * image[photo])
        return normalised(np.array(products, dtype=np.float64), image)

    return loop


def by_dictionary(
    prior: CountryPrior, scores: Scores
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Return a loop over dictionaries: country to species to weight."""
    weights = {
        country: dict(zip(prior.species, values, strict=True))
        for country, values in zip(prior.countries, prior.probability.tolist(), strict=True)
    }

    def loop(image: NDArray[np.float64]) -> NDArray[np.float64]:
        products = []
        for country, own in zip(scores.countries, image.tolist(), strict=True):
            of_country = weights[country]
            products.append(
                [p * of_country[name] for name, p in zip(prior.species, own, strict=True)]
            )
        return normalised(np.array(products), image)

    return loop


def normalised(products: NDArray[np.float64], image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rows divided by their sums; the image's row where the sum is zero."""
    sums = products.sum(axis=1, keepdims=True)
    return np.divide(products, sums, out=image.copy(), where=sums > 0)


if __name__ == "__main__":
    main()
