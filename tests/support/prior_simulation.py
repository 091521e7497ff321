"""Simulated world of species, countries and an image classifier, for tests of priors."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ophis import CountryPrior, Scores, SpeciesList, evaluate
from ophis.priors.selection import choose_prior

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ophis.priors.prior import Prior
    from ophis.priors.range_maps import RangeMap


DIMENSIONS = 24
VALIDATION_FRACTION = 0.0572  # 14,029 of 245,185
WRONG = 0.2
TEMPERATURES = tuple(np.geomspace(0.03, 2, 17).tolist())
COLUMNS = (
    "image alone",
    "Eq. 2",
    "Eq. 2, own temperature",
    "Bayes",
    "Bayes, 20 % wrong",
    "Eq. 2, own temperature, 20 % wrong",
)


def made_counts(species: int = 120, photos: int = 30_000) -> CountryPrior:
    """Return a synthetic collection: long-tailed in species and countries, most species local."""
    rng = np.random.default_rng(0)
    countries = (
        "united-states-of-america", "UNKNOWN", "mexico", "canada", "brazil", "india", "australia",
        "south-africa", "costa-rica", "france", "spain", "kenya", "thailand", "colombia", "nepal",
        "namibia", "peru", "italy", "tanzania", "vietnam",
    )  # fmt: skip
    weight = 1 / np.arange(1, len(countries) + 1) ** 1.3
    homes = rng.random((len(countries), species)) < 0.12
    homes[rng.integers(len(countries), size=species), np.arange(species)] = True
    homes[1] = True  # some photos of every species have no country
    common = np.exp(rng.normal(scale=1.3, size=species))
    rates = homes * weight[:, None] * common
    table = rng.multinomial(photos, (rates / rates.sum()).ravel()).reshape(rates.shape)
    table[1] += 1
    names = SpeciesList(tuple(f"made species {n:03}" for n in range(species)))
    return CountryPrior(names, countries, table)


def simulate(
    counts: CountryPrior,
    range_map: RangeMap | None,
    *,
    noise: float,
    confidence: float,
    seed: int,
) -> tuple[float, ...]:
    """Return the macro F1 of one world, in the order of COLUMNS."""
    train, validation, test = world_of(counts, noise=noise, confidence=confidence, seed=seed)
    prior = choose_prior(train, validation, range_map=range_map).prior
    wrong = with_wrong_countries(test, np.random.default_rng(seed))
    best = best_temperature_of_product(train, validation)
    return (
        evaluate(test).macro_f1,
        f1(test, train),
        f1(divided(test, best), train),
        f1(test, prior),
        f1(wrong, prior),
        f1(divided(wrong, best), train),
    )


def world_of(
    counts: CountryPrior, *, noise: float, confidence: float, seed: int
) -> tuple[CountryPrior, Scores, Scores]:
    """Return the training counts, the validation scores and the test scores of one world."""
    rng = np.random.default_rng(seed)
    size = round(VALIDATION_FRACTION * int(counts.counts.sum()))
    validation = deal(counts.counts, size, rng)
    test = deal(counts.counts - validation, size, rng)
    rest = counts.counts - validation - test
    seen = rest.sum(axis=1) > 0
    names = tuple(name for name, kept in zip(counts.countries, seen, strict=True) if kept)
    centres = rng.normal(size=(len(counts.species), DIMENSIONS))
    common = np.log((rest.sum(axis=0) + 0.5) / rest.sum())

    def scores(cells: NDArray[np.int64]) -> Scores:
        return seen_by_the_classifier(cells, counts, centres, common, noise, confidence, rng)

    train = CountryPrior(counts.species, names, rest[seen])
    return train, scores(validation), scores(test)


def best_temperature_of_product(train: CountryPrior, validation: Scores) -> float:
    """Return the temperature at which the paper's product has the best macro F1 on validation."""
    return max(TEMPERATURES, key=lambda value: f1(divided(validation, value), train))


def divided(scores: Scores, temperature: float) -> Scores:
    """Return the scores with logits divided by a temperature."""
    return replace(scores, logits=scores.logits / temperature)


def f1(scores: Scores, prior: Prior | None) -> float:
    """Return the macro F1 with a prior, or without one where the image alone was best."""
    return evaluate(prior.adjust(scores) if prior else scores).macro_f1


def deal(counts: NDArray[np.int64], photos: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw photos of a collection without replacement, [countries, species]."""
    sample = rng.multivariate_hypergeometric(counts.ravel(), photos, method="marginals")
    return sample.reshape(counts.shape)


def seen_by_the_classifier(
    cells: NDArray[np.int64],
    counts: CountryPrior,
    centres: NDArray[np.float64],
    common: NDArray[np.float64],
    noise: float,
    confidence: float,
    rng: np.random.Generator,
) -> Scores:
    """Return logits of log p(s | x) for normal points around each species' centre."""
    places, truth = (np.repeat(index, cells[cells > 0]) for index in np.nonzero(cells))
    points = centres[truth] + noise * rng.normal(size=(len(truth), DIMENSIONS))
    squared_distances = (
        (points**2).sum(axis=1)[:, None] - 2 * points @ centres.T + (centres**2).sum(axis=1)
    )
    ids = tuple(map(str, range(len(truth))))
    return Scores(
        logits=confidence * (common - squared_distances / (2 * noise**2)),
        species=counts.species,
        photo_ids=ids,
        truth=truth,
        countries=tuple(counts.countries[place] for place in places),
        observations=ids,
    )


def with_wrong_countries(scores: Scores, rng: np.random.Generator) -> Scores:
    """Give a fifth of the photos the country of another photo."""
    countries = np.array(scores.countries, dtype=object)
    rows = rng.permutation(len(scores))[: round(WRONG * len(scores))]
    countries[rows] = countries[rng.permutation(len(scores))[: len(rows)]]
    return replace(scores, countries=tuple(countries))
