"""Guarantees of the decision rule on new snakes, in simulated worlds.

    python benchmarks/guarantees.py [--counts COUNTS.csv] [--worlds 200] [--seeds 10]

Temperature, prior and rule are fitted on halves of validation photos, as in `ophis export`, and
evaluated on one photo of each new snake, in three parts:

1. several photos of few snakes. Each world has new species, snakes and photos;
2. validation on the training photos of a network that has memorised them. The commands refuse it;
3. countries, on a table of photos by species and country: COUNTS, such as that of SnakeCLEF 2020,
   or a synthetic one.

A figure that misses its guarantee by more than chance (one test in 1,000) is marked, and the exit
status is then 1. Rows without a guarantee show the reason for it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from fitted_rule import fitted, set_figures
from guarantee_places import ABSENT, SITUATIONS, place_figures, synthetic_counts
from guarantee_worlds import memorised, world
from prior_simulation import real
from scipy.stats import t

from ophis.decision.guarantees import DANGER_COVERAGE, NAMES_COVERAGE
from ophis.decision.out_of_distribution import PASSING
from ophis.decision.rule import DANGER_CONFIDENCE
from ophis.decision.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fitted_rule import Figures, FittedRule

    from ophis import CountryPrior, Scores

# Photos of a snake, and snakes that the rule is fitted on.
SIZES = ((1, 600), (10, 60), (30, 20), (60, 16), (1, 1000), (3, 600), (3, 1200))
CONFIDENCES = {f"{100 * DANGER_CONFIDENCE:.0f} % confidence": DANGER_CONFIDENCE, "on average": None}
NEW, NEW_VENOMOUS = 250, 2000  # snakes that a bundle is evaluated on
CHANCE = 0.001  # of a test that a guarantee holds, to fail
TITLES = {
    1: "Several photos of a snake, and a third of the snakes venomous",
    2: "Validation on memorised training photos",
    3: "With a country",
}


def main() -> int:
    """Print the tables; return 1 if a guarantee is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--counts", type=Path)
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=10, help="worlds of parts 2 and 3")
    parser.add_argument("--parts", type=int, nargs="+", choices=tuple(TITLES), default=list(TITLES))
    options = parser.parse_args()
    missed = []
    for part in options.parts:
        print(f"\n## {TITLES[part]}\n", flush=True)
        if part == 1:
            missed += few_snakes(options.worlds)
        elif part == 2:
            training_photos(options.seeds)
        else:
            counts = real(options.counts) if options.counts else synthetic_counts()
            missed += places(counts, options.seeds)
    for line in missed:
        print(f"guarantees: {line}", file=sys.stderr)
    return 1 if missed else 0


def few_snakes(worlds: int) -> list[str]:
    """Print coverage and danger verdicts by photos a snake; return the guarantees missed."""
    head(
        "photos a snake x snakes", "danger guarantee", "danger set finite", "sets hold",
        "of venomous", "danger set holds", "'not known' of venomous", "bundles above 1 %",
        "snakes that pass as in distribution",
    )  # fmt: skip
    missed = []
    for photos, snakes in SIZES:
        found = [one_world(seed, photos, snakes) for seed in range(worlds)]
        for kind, confidence in CONFIDENCES.items():
            rows = [row[kind] for row in found]
            marks = Marks(f"{photos} x {snakes}, {kind}")
            given = [row for row in rows if row["finite"]] or rows
            exceeding = [float(rate > 1 - DANGER_COVERAGE) for rate in column(given, "not known")]
            most = 1 - confidence if confidence else 1.0
            cells = [
                mean(column(rows, "finite"), digits=2),
                marks.least(column(rows, "sets hold"), NAMES_COVERAGE),
                marks.least(column(rows, "of venomous"), NAMES_COVERAGE),
                marks.least(column(given, "danger set"), DANGER_COVERAGE),
                marks.most(column(given, "not known"), 1 - DANGER_COVERAGE, digits=4),
                marks.most(exceeding, most),
                marks.least(column(rows, "passing"), PASSING),
            ]
            print(f"| {photos} x {snakes:,} | {kind} | {' | '.join(cells)} |", flush=True)
            missed += marks.missed
    return missed


def one_world(seed: int, photos: int, snakes: int) -> dict[str, Figures]:
    """Return the figures of bundles in a new world, by kind of the danger guarantee."""
    made, rng = world(seed), np.random.default_rng((seed, photos, snakes))
    validation = made.photos(rng, snakes=2 * snakes, photos=photos)
    new = made.photos(rng, snakes=NEW)
    venomous = made.photos(rng, snakes=NEW_VENOMOUS, venomous=True)
    found: dict[str, Figures] = {}
    common: Figures = {}  # names and limit do not depend on the kind
    for kind, confidence in CONFIDENCES.items():
        bundle = fitted(validation, confidence=confidence)
        common = common or set_figures(bundle.image(new), new) | {
            "passing": 1 - float(bundle.rule.is_ood(new).mean())
        }
        finite = bundle.danger_guaranteed
        found[kind] = common | {"finite": float(finite)}
        if finite:
            found[kind] |= danger_figures(bundle, venomous)
    return found


def danger_figures(bundle: FittedRule, venomous: Scores) -> Figures:
    """Return how often the danger set holds a venomous species, and the verdict misses it."""
    calibrated = bundle.calibration.apply(venomous)
    image = bundle.rule.image
    held = image.danger.sets(calibrated)[np.arange(len(venomous)), venomous.truth]
    # A decision takes longer than this test, which most of the snakes end.
    rest = venomous.take(~image.may_be_venomous(calibrated))
    verdicts = [decision.verdict for decision in bundle.image(rest)]
    not_known = sum(verdict is Verdict.NOT_KNOWN_DANGEROUS for verdict in verdicts)
    return {"danger set": float(held.mean()), "not known": not_known / len(venomous)}


def training_photos(seeds: int) -> None:
    """Print the figures of rules fitted on training photos, and on photos not trained on."""
    columns = ("sets hold", "of venomous", "top-1", "not known")
    head("validation", *columns, "new snakes refused")
    found: dict[str, list[Figures]] = {"training photos": [], "other photos": []}
    for seed in range(seeds):
        train, validation, new = memorised(seed)
        for name, scores in (("training photos", train), ("other photos", validation)):
            bundle = fitted(scores, confidence=None)
            refused = float(bundle.rule.is_ood(new).mean())
            found[name].append(set_figures(bundle.image(new), new) | {"refused": refused})
    for name, rows in found.items():
        cells = [mean(column(rows, key)) for key in (*columns, "refused")]
        print(f"| {name} | {' | '.join(cells)} |")


def places(counts: CountryPrior, seeds: int) -> list[str]:
    """Print sets and verdicts with a country; return the guarantees missed."""
    columns = ("top-1", "sets hold", "of venomous", "species in a set", "not known", "joined")
    print(f"{counts.counts.sum():,} photos, {len(counts.species)} species,"
          f" {len(counts.countries)} countries\n")  # fmt: skip
    head("situation", "sets of", *columns)
    worlds, missed = [place_figures(counts, seed) for seed in range(seeds)], []
    for name in SITUATIONS:
        for sets in ("image", "country"):
            rows = [found[name][sets] for found in worlds]
            marks = Marks(f"{name}, {sets}")
            guaranteed = name != ABSENT
            cells = [
                mean(column(rows, key))
                if not guaranteed or key not in ("sets hold", "of venomous", "not known")
                else marks.most(column(rows, key), 1 - DANGER_COVERAGE, digits=4)
                if key == "not known"
                else marks.least(column(rows, key), NAMES_COVERAGE)
                for key in columns
            ]
            print(f"| {name} | {sets} | {' | '.join(cells)} |", flush=True)
            missed += marks.missed
    return missed


class Marks:
    """Means with their bounds, and those that miss them.

    Args:
        row: name of the table's row.
    """

    def __init__(self, row: str) -> None:
        self._row = row
        self.missed: list[str] = []

    def least(self, values: list[float], bound: float, *, digits: int = 3) -> str:
        """Return the mean, marked where it is below a bound."""
        return self._marked(
            values, bound, np.mean(values or [0.0]) + _slack(values) < bound, digits
        )

    def most(self, values: list[float], bound: float, *, digits: int = 3) -> str:
        """Return the mean, marked where it is above a bound."""
        return self._marked(
            values, bound, np.mean(values or [0.0]) - _slack(values) > bound, digits
        )

    def _marked(self, values: list[float], bound: float, fails: bool, digits: int) -> str:
        text = mean(values, digits=digits)
        if fails:
            self.missed.append(f"{self._row}: {text}, bound {bound:g}")
        return f"{text} (missed)" if fails else text


def _slack(values: list[float]) -> float:
    """Return the error of a mean that chance exceeds with probability `CHANCE` (Student's t)."""
    if len(values) < 2:
        return np.inf
    quantile = float(t.ppf(1 - CHANCE, len(values) - 1))
    return quantile * float(np.std(values, ddof=1)) / np.sqrt(len(values))


def column(rows: Sequence[Figures], name: str) -> list[float]:
    """Return a figure of all worlds that have it."""
    values = [row.get(name, np.nan) for row in rows]
    return [value for value in values if not np.isnan(value)]


def mean(values: Sequence[float], *, digits: int = 3) -> str:
    """Return a mean for the table."""
    return f"{np.mean(values):.{digits}f}" if len(values) else "-"


def head(*columns: str) -> None:
    """Print the head of a Markdown table."""
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")


if __name__ == "__main__":
    sys.exit(main())
