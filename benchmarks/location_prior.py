"""Species at places, by country and by records around the place, on held-out cells.

    python benchmarks/location_prior.py OCCURRENCES [--cells 1 5] [--tested 0] [--split TEXT]
        [--noises ...]

OCCURRENCES is a file of records as `ophis fit-prior --occurrences` reads and cleans it. Five times
a fifth of the cells of 1 (then 5) degrees is held out. Everything is learned from the other four
fifths: counts by country for Eq. 1 (mixed with a thousandth of p(s), because it excludes species)
and for Bayes' rule, the plain Gaussian kernels (smoothed with a tenth of a record distributed as
in the world), and the location prior, whose settings are fitted inside the training cells.
`--tested 100` tests at most 100 records of a species, each with the weight of those it stands for.
Intervals are of 1,000 resamples of whole cells; `--split` gives other folds.

The image classifier is simulated as in `prior_simulation.py`: noisy points around one point a
species, p(s | x) exact with the training records as frequencies. Photo and place are independent
given the species, so the gain is an upper limit of that of real photos.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from location_measures import MEASURES, Cells, Outcomes, interval

from ophis import SpeciesList
from ophis.datasets.occurrences.occurrences import read_occurrences
from ophis.geography.countries import continent, country_key
from ophis.geography.location import Place, Position, Source
from ophis.priors.bayes import BayesPrior
from ophis.priors.location import LocationPrior, PlacePrior
from ophis.priors.location_fitting import fit_location, records_by_country
from ophis.scores.cross_validation import FOLDS, folds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ophis.priors.records import Records

    Floats = NDArray[np.float64]

ENOUGH = 20  # records of a species in the main table
BANDS = (1, 5, 20, 100, 1000, 1_000_000)
NOISES = (1.1, 1.25, 1.5)  # as in prior_simulation.py: strong, fair and weak classifiers
DIMENSIONS = 24
EQ1, BAYES, PLACE = "Eq. 1, country", "Bayes, country", "place"
KERNELS = {"plain kernel, 50 km": 50.0, "plain kernel, 100 km": 100.0}
MODELS = (EQ1, BAYES, *KERNELS, PLACE)
SIGHTS = ("image alone", "with country", "with place")
SHORT = ("top-1", "top-5", "macro top-5", "log loss", "set size", "set coverage")


@dataclass(frozen=True, eq=False)
class Tested:
    """Held-out records of all folds.

    Attributes:
        table: the records, with their cell and fold.
        outcomes: by model.
        answers: [records] species answered, by noise and `SIGHTS`.
        fitted: settings of each fold.
    """

    table: pl.DataFrame
    outcomes: dict[str, Outcomes]
    answers: dict[tuple[float, str], NDArray[np.int64]]
    fitted: list[str]


def main() -> None:
    """Print the tables of each size of cells."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("occurrences", type=Path)
    parser.add_argument("--cells", type=float, nargs="+", default=(1.0, 5.0))
    parser.add_argument("--tested", type=int, default=0)
    parser.add_argument("--split", default="", help="any text: other folds for each")
    parser.add_argument("--noises", type=float, nargs="+", default=NOISES)
    options = parser.parse_args()
    table = read_occurrences(options.occurrences).table
    names = SpeciesList(tuple(table["species"].unique().sort()))
    print(f"{len(table):,} records of {len(names)} species")
    for degrees in options.cells:
        print(f"\n## Cells of {degrees:g} degrees\n")
        held_out = prepared(table, names, degrees, options.tested, options.split)
        report(cross_validated(held_out, names, options.noises))


def cross_validated(table: pl.DataFrame, names: SpeciesList, noises: Sequence[float]) -> Tested:
    """Hold out each fifth of the cells in turn."""
    parts, outcomes, answers, fitted = [], {name: [] for name in MODELS}, {}, []
    for fold in range(FOLDS):
        test = table.filter((pl.col("fold") == fold) & pl.col("tested"))
        models, prior = learned(table.filter(pl.col("fold") != fold), names, test)
        truth = test["column"].to_numpy()
        for name, probability in models.items():
            outcomes[name].append(Outcomes.of(probability, truth))
        for key, answer in seen(models, truth, prior.base.world, noises, seed=fold):
            answers.setdefault(key, []).append(answer)
        parts.append(test)
        fitted.append(str(prior.settings))
    return Tested(
        pl.concat(parts),
        {name: Outcomes.joined(parts) for name, parts in outcomes.items()},
        {key: np.concatenate(parts) for key, parts in answers.items()},
        fitted,
    )


def prepared(
    table: pl.DataFrame, names: SpeciesList, degrees: float, tested: int, split: str
) -> pl.DataFrame:
    """Add cell, fold, column and number of records of the species, and the choice to test."""
    corners = [(table[axis] / degrees).floor().cast(pl.Int64) for axis in ("latitude", "longitude")]
    cells = [f"{split}{north} {east}" for north, east in zip(*corners, strict=True)]
    order = np.random.default_rng(0).permutation(len(table))
    size = pl.len().over("species")
    table = table.with_columns(
        pl.Series("cell", cells).rank("dense").cast(pl.Int64) - 1,
        pl.Series("fold", folds(cells)),
        pl.col("species").replace_strict(list(names), list(range(len(names)))).alias("column"),
        size.alias("records"),
        pl.Series("order", order),
    ).with_columns(
        (pl.col("order").rank().over("species") <= (tested or len(table))).alias("tested")
    )
    return table.with_columns((size / pl.col("tested").sum().over("species")).alias("weight"))


def learned(
    train: pl.DataFrame, names: SpeciesList, test: pl.DataFrame
) -> tuple[dict[str, Floats], LocationPrior]:
    """Return p(s | place) of each model for the test records, [records, species]."""
    counts = records_by_country(train, names)
    base = BayesPrior(counts)
    fit = fit_location(train, names)
    prior = LocationPrior(base, fit.records, fit.settings)
    points = [Position(*point) for point in test.select("latitude", "longitude").iter_rows()]
    places = [
        Place({country_key(code): 1.0} if code else {}, Source.POSITION, point)
        for code, point in zip(test["country"], points, strict=True)
    ]
    shares = zip(counts.countries, counts.probability, strict=True)
    eq1 = {name: 0.999 * share + 0.001 * base.world for name, share in shares}
    models = {
        EQ1: [eq1.get(place.country, base.world) for place in places],
        BAYES: [base.probability(place.country) for place in places],
        PLACE: [at(prior, place) for place in places],
    }
    for name, width in KERNELS.items():
        models[name] = [kernel(fit.records, point, width, base.world) for point in points]
    return {name: np.array(rows) for name, rows in models.items()}, prior


def at(prior: LocationPrior, place: Place) -> Floats:
    """Return p(s | place) of the location prior; p(s) where it knows nothing of the place."""
    found = prior.at(place)
    return found.probability if isinstance(found, PlacePrior) else prior.base.world


def kernel(records: Records, point: Position, width: float, world: Floats) -> Floats:
    """Return p(s | place) of a plain kernel, smoothed with the world."""
    sums = records.kernel_sums(point, (width,))[0] + 0.1 * world
    return sums / sums.sum()


def seen(
    models: dict[str, Floats],
    truth: NDArray[np.int64],
    world: Floats,
    noises: Sequence[float],
    *,
    seed: int,
) -> Iterator[tuple[tuple[float, str], NDArray[np.int64]]]:
    """Yield the species answered to simulated photos of the records, alone and with each place."""
    priors = dict(zip(SIGHTS, (world, models[BAYES], models[PLACE]), strict=True))
    for noise in noises:
        rng = np.random.default_rng(seed)
        centres = np.random.default_rng(0).normal(size=(len(world), DIMENSIONS))
        points = centres[truth] + noise * rng.normal(size=(len(truth), DIMENSIONS))
        near = points @ centres.T - (centres**2).sum(axis=1) / 2
        for name, p in priors.items():
            # log p(s | x) + log p(s | place) - log p(s), but for terms that are equal for all s
            yield (noise, name), (near / noise**2 + np.log(p)).argmax(axis=1)


def report(tested: Tested) -> None:
    """Print the tables."""
    table = tested.table
    cells = Cells(table["cell"].to_numpy(), table["weight"].to_numpy())
    everything = np.ones(len(table), bool)
    enough = (table["records"] >= ENOUGH).to_numpy()
    print("\n".join(f"- fold {fold}: {text}" for fold, text in enumerate(tested.fitted)))
    for title, rows in ((f"Species with {ENOUGH} records or more", enough), ("All", everything)):
        lines = [
            (name, *(interval(cells.measure(measure, outcomes, rows)) for measure in MEASURES))
            for name, outcomes in tested.outcomes.items()
        ]
        show(f"{title}: {int(rows.sum()):,} records", ("model", *MEASURES), lines)
    groups = [
        *((f"fold {n}", table["fold"] == n) for n in range(FOLDS)),
        *by_continent(table),
        *(
            (
                f"species with {low} to {high - 1:,} records",
                table["records"].is_between(low, high - 1),
            )
            for low, high in pairwise(BANDS)
        ),
    ]
    short = [f"{measure}: country, place" for measure in SHORT]
    lines = [
        (name, str(table.filter(rows)["column"].n_unique()), *pairs(tested, cells, rows.to_numpy()))
        for name, rows in groups
        if rows.any()
    ]
    show("Bayes by country and place", ("records of", "species", *short), lines)
    truth = table["column"].to_numpy()
    lines = [
        (f"{noise:g}", *(interval(cells.macro_f1(tested.answers[noise, name], truth, enough))
                         for name in SIGHTS))
        for noise in dict.fromkeys(noise for noise, _ in tested.answers)
    ]  # fmt: skip
    show("Macro F1 with simulated photos", ("noise of the image", *SIGHTS), lines)


def by_continent(table: pl.DataFrame) -> Iterator[tuple[str, pl.Series]]:
    """Yield each continent with True for its records."""
    names = {code: continent(code) or "none" for code in table["country"].unique()}
    of_record = table["country"].replace_strict(names)
    yield from ((name, of_record == name) for name in sorted(set(names.values())))


def pairs(tested: Tested, cells: Cells, rows: NDArray[np.bool_]) -> Iterator[str]:
    """Yield each measure in short of country and place over chosen records."""
    for measure in SHORT:
        country, place = (
            cells.measure(measure, tested.outcomes[name], rows)[0] for name in (BAYES, PLACE)
        )
        yield f"{country:.3f}, {place:.3f}"


def show(title: str, head: tuple[str, ...], lines: Sequence[Sequence[str]]) -> None:
    """Print a table in Markdown."""
    print(f"\n{title}\n\n| {' | '.join(head)} |\n{'|---' * len(head)}|")
    print("\n".join(f"| {' | '.join(line)} |" for line in lines), flush=True)


if __name__ == "__main__":
    main()
