"""Macro F1 of image alone, the paper's product and Bayes' rule, in a simulated world.

    python benchmarks/prior_simulation.py [--counts COUNTS.csv] [--range-map MAP.csv] [--seeds 5]
        [--noises 1.1 1.25 1.5] [--confidences 1 2 0.5]

COUNTS is a table `species,country,photos` of a real collection, such as the 245,185 photos of
SnakeCLEF 2020. The default is a small made-up collection with the same features (few species with
many photos, most in few countries). For each seed the photos are split without replacement into
validation and test (5.7 % each, as in SnakeCLEF 2020) and training, which gives the counts. The
classifier gets one noisy point a photo, around one point a species, and p(s | x) is exact;
its logits are then made over- or under-confident. Priors are fitted on validation and evaluated on
test, also with 20 % of the test's countries wrong. The paper's product is evaluated as published
and with the temperature of the best macro F1 on validation. The lead of Bayes' rule over it has a
95 % t interval over the seeds.

The world is drawn from the model of Bayes' rule: given the species, photo and country are
independent. The lead is therefore an upper limit of what to expect of real photos. See
tests/support/prior_simulation.py.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import polars as pl
from scipy.stats import t

from ophis import CountryPrior, SpeciesList
from ophis.priors.range_maps import read_range_map

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tests.support
from tests.support.prior_simulation import COLUMNS, made_counts, simulate

NOISES = (1.1, 1.25, 1.5)  # of the points: strong, fair and weak classifiers
CONFIDENCES = (1.0, 2.0, 0.5)  # factor of the logits: calibrated, over-, under-confident
BAYES, PRODUCT = COLUMNS.index("Bayes"), COLUMNS.index("Eq. 2, own temperature")


def main() -> None:
    """Print a row for each classifier: mean and std over the seeds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--counts", type=Path)
    parser.add_argument("--range-map", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--noises", type=float, nargs="+", default=NOISES)
    parser.add_argument("--confidences", type=float, nargs="+", default=CONFIDENCES)
    options = parser.parse_args()
    counts = real(options.counts) if options.counts else made_counts()
    range_map = read_range_map(options.range_map) if options.range_map else None
    print(
        f"{counts.counts.sum():,} photos, {len(counts.species)} species,"
        f" {len(counts.countries)} countries, {options.seeds} seeds; macro F1, std over seeds\n"
    )
    print(f"| noise, confidence | {' | '.join(COLUMNS)} | lead, 95 % interval |")
    print("|---" * (len(COLUMNS) + 2) + "|")
    for noise in options.noises:
        for confidence in options.confidences:
            rows = [
                simulate(counts, range_map, noise=noise, confidence=confidence, seed=seed)
                for seed in range(options.seeds)
            ]
            cells = [
                f"{100 * np.mean(v):.1f} ± {100 * np.std(v, ddof=min(1, len(v) - 1)):.1f}"
                for v in zip(*rows, strict=True)
            ]
            cells.append(lead([row[BAYES] - row[PRODUCT] for row in rows]))
            print(f"| {noise}, {confidence} | {' | '.join(cells)} |", flush=True)


def lead(differences: list[float]) -> str:
    """Return the mean of paired differences in points, with its t interval."""
    mean, number = 100 * np.mean(differences), len(differences)
    if number < 2:
        return f"{mean:.1f}"
    reach = 100 * np.std(differences, ddof=1) / np.sqrt(number) * t.ppf(0.975, number - 1)
    return f"{mean:.1f} ({mean - reach:.1f} to {mean + reach:.1f})"


def real(path: Path) -> CountryPrior:
    """Return the counts of a collection."""
    table = pl.read_csv(path, empty_string_is_null=False)
    table = table.rename({"scientific_name": "species", "images": "photos"}, strict=False)
    table = table.with_columns(pl.col("country").replace("unknown", "UNKNOWN"))
    return CountryPrior.from_counts(table, SpeciesList(tuple(table["species"].unique().sort())))


if __name__ == "__main__":
    main()
