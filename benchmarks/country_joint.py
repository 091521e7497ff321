"""p(species | country) on real photos of known species and country, without their pictures.

    python benchmarks/country_joint.py TRAIN.csv TEST.csv [TEST.csv ...] [--range-map MAP.csv]

Tables have a row a photo, or a row a species and country with the number of photos: columns
`species`, `binomial` or `scientific_name`; `country`; and `photos` or `images`. SnakeCLEF's tables
of 2020 and 2021 can be given as they are. Each p(s | c) is fitted on TRAIN and predicts the species
of TEST's photos from their countries:

- p(s) of the world, with one pseudo-photo a species;
- the paper's Eq. 1, which makes a species without a training photo from the country impossible;
- the smoothed p(s | c) with default settings, without and with the range map;
- the same with settings fitted on four fifths of TEST and evaluated on the last fifth, in turn, as
  `ophis fit-prior` fits them, for a network that only knows p(s).

Printed are the fraction of impossible photos with its 95 % interval (Wilson), and the log loss with
its standard error, of all photos and of those outside the USA.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from scipy.stats import binomtest

from ophis import CountryPrior, Scores, SpeciesList
from ophis.geography.countries import country_code, country_key
from ophis.priors.bayes import BayesPrior, Settings
from ophis.priors.range_maps import read_range_map
from ophis.priors.smoothing import LogLoss, fit_bayes
from ophis.scores.cross_validation import FOLDS, folds
from ophis.taxonomy.species_list import species_key

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ophis.priors.range_maps import RangeMap

    Losses = dict[str, NDArray[np.float64]]

NAMES = {"binomial": "species", "scientific_name": "species", "images": "photos"}


def main() -> None:
    """Print a table for each file of test photos."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("tests", type=Path, nargs="+")
    parser.add_argument("--range-map", type=Path)
    options = parser.parse_args()
    range_map = read_range_map(options.range_map) if options.range_map else None
    train = counted(options.train)
    for path in options.tests:
        test = counted(path)
        species = SpeciesList(tuple(sorted({*train["species"], *test["species"]})))
        counts = CountryPrior.from_counts(train, species)
        photos = blind(test, counts)
        new = sum(name not in set(train["species"]) for name in test["species"])
        print(
            f"\n{options.train.name}: {counts.counts.sum():,} photos; {path.name}: {len(photos):,}"
            f" photos, {new} pairs of a species that training does not have\n"
        )
        print_table(losses(counts, photos, range_map), photos)


def counted(path: Path) -> pl.DataFrame:
    """Return a table as `species, country, photos`, by keys."""
    table = pl.read_csv(path, empty_string_is_null=False, infer_schema_length=0)
    table = table.rename(NAMES, strict=False)
    number = pl.col("photos").cast(pl.Int64) if "photos" in table.columns else pl.lit(1)
    table = table.select("species", "country", photos=number)
    return table.with_columns(
        pl.col("species").map_elements(species_key, return_dtype=pl.String),
        pl.col("country").map_elements(
            lambda name: country_key("" if name == "unknown" else name), return_dtype=pl.String
        ),
    )


def blind(test: pl.DataFrame, counts: CountryPrior) -> Scores:
    """Return scores of the photos by a network that knows only p(s) of training."""
    rows = [(name, country) for name, country, photos in test.iter_rows() for _ in range(photos)]
    names = tuple(map(str, range(len(rows))))
    world = np.log(BayesPrior(counts).world)
    return Scores(
        logits=np.tile(world, (len(rows), 1)),
        species=counts.species,
        photo_ids=names,
        truth=np.array([counts.species.index(name) for name, _ in rows]),
        countries=tuple(country for _, country in rows),
        observations=names,
    )


def losses(counts: CountryPrior, photos: Scores, range_map: RangeMap | None) -> Losses:
    """Return -log p(true species | country) of each photo by each model."""
    own, loss = np.arange(len(photos)), LogLoss(photos)
    unseen = np.array([counts.row(country) is None for country in photos.countries])
    factors = counts.factors_of(photos.countries)[0][own, photos.truth]
    world = loss()
    found = {"p(s)": world, "Eq. 1": np.where(unseen, world, -factors)}
    maps = {"": None} | ({", range map": range_map} if range_map else {})
    for name, one in maps.items():
        found[f"smoothed, default{name}"] = loss(BayesPrior(counts, Settings(), one))
        fitted, fold = np.empty(len(photos)), folds(photos.observations)
        for number in range(FOLDS):
            prior = fit_bayes(counts, photos.take(fold != number), range_map=one)
            fitted[fold == number] = LogLoss(photos.take(fold == number))(prior)
            print(f"fold {number}{name}: {prior.describe()}", flush=True)
        found[f"smoothed, fitted{name}"] = fitted
    return found


def print_table(found: Losses, photos: Scores) -> None:
    """Print impossible photos and log losses, of all photos and outside the USA."""
    abroad = np.array([country_code(country) != "US" for country in photos.countries])
    possible = np.isfinite(found["Eq. 1"])
    print("\n| p(s given c) | impossible | log loss | of photos possible by Eq. 1 | outside the"
          " USA: photos | impossible | log loss | possible by Eq. 1 |\n|" + "---|" * 8)  # fmt: skip
    for name, own in found.items():
        cells = []
        for part in (np.ones(len(own), bool), abroad):
            cells += [fraction(np.isinf(own[part])), mean(own[part]), mean(own[part & possible])]
        cells.insert(3, f"{abroad.sum():,}")
        print(f"| {name} | {' | '.join(cells)} |")


def fraction(mask: NDArray[np.bool_]) -> str:
    """Return a fraction in percent with its interval."""
    found = binomtest(int(mask.sum()), len(mask))
    low, high = found.proportion_ci(method="wilson")
    return f"{mask.mean():.2%} ({100 * low:.2f} to {100 * high:.2f})"


def mean(values: NDArray[np.float64]) -> str:
    """Return the mean with its standard error."""
    if not np.isfinite(values).all():
        return "infinite"
    return f"{values.mean():.3f} ± {values.std(ddof=1) / np.sqrt(len(values)):.3f}"


if __name__ == "__main__":
    main()
