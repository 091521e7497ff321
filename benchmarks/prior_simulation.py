"""What a country is worth: image alone, the paper's product, Bayes' rule, in a simulated world.

    python benchmarks/prior_simulation.py [--counts COUNTS.csv] [--presence MAP.csv] [--seeds 5]

COUNTS is a table `species,country,photos` of a real collection, such as the 245,185 photos of
SnakeCLEF 2020; without it, a small made-up one with the same features (few species with many
photos, most living in few countries). For each seed its photos are dealt, without putting back, to
validation and test (5.7 % each, as in SnakeCLEF 2020) and training, which gives the counts. The
classifier sees a noisy point for each photo, around one point for each species, and knows exactly
what it may believe, p(s | x); then it is made over- or under-confident. Priors are fitted on
validation and judged on test; also when 20 % of the test's countries are wrong.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ophis import CountryPrior, Scores, SpeciesList, evaluate
from ophis.priors.range_maps import read_presence
from ophis.priors.selection import choose_prior

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ophis.priors.prior import Prior
    from ophis.priors.range_maps import PresenceMap

DIMENSIONS = 24
NOISES = (1.1, 1.25, 1.5)  # of the points: a strong, a fair, a weak classifier
CONFIDENCES = (1.0, 2.0, 0.5)  # what its logits are multiplied with: calibrated, over-, under-
HELD = 0.0572  # 14,029 of 245,185
WRONG = 0.2
COLUMNS = ("image alone", "product (Eq. 2)", "Bayes", "Bayes, 20 % wrong", "Eq. 2, 20 % wrong")


def main() -> None:
    """Print a row for each classifier: mean and standard deviation over the seeds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--counts", type=Path)
    parser.add_argument("--presence", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    counts = real(options.counts) if options.counts else made()
    presence = read_presence(options.presence) if options.presence else None
    print(
        f"{counts.counts.sum():,} photos, {len(counts.species)} species,"
        f" {len(counts.countries)} countries, {options.seeds} seeds; macro F1\n"
    )
    print(f"| noise, confidence | {' | '.join(COLUMNS)} |")
    print("|---" * (len(COLUMNS) + 1) + "|")
    for noise in NOISES:
        for confidence in CONFIDENCES:
            rows = [
                one(counts, presence, noise=noise, confidence=confidence, seed=seed)
                for seed in range(options.seeds)
            ]
            cells = [
                f"{100 * np.mean(v):.1f} ± {100 * np.std(v, ddof=min(1, len(v) - 1)):.1f}"
                for v in zip(*rows, strict=True)
            ]
            print(f"| {noise}, {confidence} | {' | '.join(cells)} |", flush=True)


def real(path: Path) -> CountryPrior:
    """The counts of a collection."""
    table = pl.read_csv(path, empty_string_is_null=False)
    table = table.rename({"scientific_name": "species", "images": "photos"}, strict=False)
    table = table.with_columns(pl.col("country").replace("unknown", "UNKNOWN"))
    return CountryPrior.from_counts(table, SpeciesList(tuple(table["species"].unique().sort())))


def made(species: int = 120, photos: int = 30_000) -> CountryPrior:
    """A made-up collection: long-tailed in species and countries, most species local."""
    chance = np.random.default_rng(0)
    countries = (
        "united-states-of-america", "UNKNOWN", "mexico", "canada", "brazil", "india", "australia",
        "south-africa", "costa-rica", "france", "spain", "kenya", "thailand", "colombia", "nepal",
        "namibia", "peru", "italy", "tanzania", "vietnam",
    )  # fmt: skip
    weight = 1 / np.arange(1, len(countries) + 1) ** 1.3
    homes = chance.random((len(countries), species)) < 0.12
    homes[chance.integers(len(countries), size=species), np.arange(species)] = True
    homes[1] = True  # nobody noted the country of some photos of every species
    common = np.exp(chance.normal(scale=1.3, size=species))
    share = homes * weight[:, None] * common
    table = chance.multinomial(photos, (share / share.sum()).ravel()).reshape(share.shape)
    table[1] += 1
    names = SpeciesList(tuple(f"made species {n:03}" for n in range(species)))
    return CountryPrior(names, countries, table)


def one(
    counts: CountryPrior,
    presence: PresenceMap | None,
    *,
    noise: float,
    confidence: float,
    seed: int,
) -> tuple[float, ...]:
    """Macro F1 of one world, in the order of COLUMNS."""
    chance = np.random.default_rng(seed)
    held = round(HELD * int(counts.counts.sum()))
    validation = deal(counts.counts, held, chance)
    test = deal(counts.counts - validation, held, chance)
    rest = counts.counts - validation - test
    seen = rest.sum(axis=1) > 0
    names = tuple(name for name, kept in zip(counts.countries, seen, strict=True) if kept)
    train = CountryPrior(counts.species, names, rest[seen])
    centres = chance.normal(size=(len(counts.species), DIMENSIONS))
    common = np.log((rest.sum(axis=0) + 0.5) / rest.sum())

    def scores(cells: NDArray[np.int64]) -> Scores:
        return seen_by_the_classifier(cells, counts, centres, common, noise, confidence, chance)

    prior = choose_prior(train, scores(validation), presence=presence).prior
    judged = scores(test)
    lied = with_wrong_countries(judged, chance)
    return (
        evaluate(judged).macro_f1,
        f1(judged, train),
        f1(judged, prior),
        f1(lied, prior),
        f1(lied, train),
    )


def f1(scores: Scores, prior: Prior | None) -> float:
    """Macro F1 with a prior, without one where the image alone won."""
    return evaluate(prior.adjust(scores) if prior else scores).macro_f1


def deal(counts: NDArray[np.int64], photos: int, chance: np.random.Generator) -> NDArray[np.int64]:
    """So many photos of a collection, drawn without putting back, [countries, species]."""
    drawn = chance.multivariate_hypergeometric(counts.ravel(), photos, method="marginals")
    return drawn.reshape(counts.shape)


def seen_by_the_classifier(
    cells: NDArray[np.int64],
    counts: CountryPrior,
    centres: NDArray[np.float64],
    common: NDArray[np.float64],
    noise: float,
    confidence: float,
    chance: np.random.Generator,
) -> Scores:
    """Logits of log p(s | x) for normal points around each species' centre."""
    places, truth = (np.repeat(index, cells[cells > 0]) for index in np.nonzero(cells))
    points = centres[truth] + noise * chance.normal(size=(len(truth), DIMENSIONS))
    squares = (points**2).sum(axis=1)[:, None] - 2 * points @ centres.T + (centres**2).sum(axis=1)
    ids = tuple(map(str, range(len(truth))))
    return Scores(
        logits=confidence * (common - squares / (2 * noise**2)),
        species=counts.species,
        photo_ids=ids,
        truth=truth,
        countries=tuple(counts.countries[place] for place in places),
        observations=ids,
    )


def with_wrong_countries(scores: Scores, chance: np.random.Generator) -> Scores:
    """A fifth of the photos get the country of another photo."""
    countries = np.array(scores.countries, dtype=object)
    rows = chance.permutation(len(scores))[: round(WRONG * len(scores))]
    countries[rows] = countries[chance.permutation(len(scores))[: len(rows)]]
    return replace(scores, countries=tuple(countries))


if __name__ == "__main__":
    main()
