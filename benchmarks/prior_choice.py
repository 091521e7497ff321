"""Choice of a prior on scores of real photos: settings by split, and results on other photos.

    python benchmarks/prior_choice.py TRAIN.csv SCORES.npz [SCORES.npz ...] [--splits 20]

TRAIN.csv is the manifest of the training photos, and SCORES those of test photos, such as train.csv
and linear-224.npz of benchmarks/real_photos.py. The test photos are split repeatedly by
observation: half of them takes the place of validation photos, on which temperatures and priors are
fitted, and the other half is evaluated. The paper's product is evaluated as published, and with the
temperature of the best macro F1 on the validation photos. Printed are means over the splits with
their std, and how often each value of a setting was fitted.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ophis import CountryPrior, evaluate, read_manifest, read_scores
from ophis.priors.selection import choose_prior
from ophis.priors.smoothing import GRIDS, LogLoss, fit_bayes

if TYPE_CHECKING:
    from ophis import Prior, Scores

IMAGE, PRODUCT, TEMPERED, BAYES = "image alone", "Eq. 2", "Eq. 2, own temperature", "Bayes"
TEMPERATURES = np.geomspace(0.03, 4, 25).tolist()


def main() -> None:
    """Print a table and the fitted settings for each file of scores."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("scores", type=Path, nargs="+")
    parser.add_argument("--splits", type=int, default=20)
    options = parser.parse_args()
    train = read_manifest(options.train)
    for path in options.scores:
        scores = read_scores(path)
        counts = CountryPrior.fit(train, species=scores.species)
        known = sum(country != "UNKNOWN" for country in scores.countries)
        print(
            f"\n{path.stem}: {len(scores)} photos, {known} with a country, {options.splits} splits"
        )
        print_splits(counts, scores, options.splits)


def print_splits(counts: CountryPrior, scores: Scores, splits: int) -> None:
    """Fit and evaluate on each split."""
    observations = np.array(scores.observations)
    losses: dict[str, list[float]] = {IMAGE: [], PRODUCT: [], TEMPERED: [], BAYES: []}
    f1: dict[str, list[float]] = {name: [] for name in losses}
    settings, choices = Counter[str](), Counter[str]()
    for seed in range(splits):
        order = np.random.default_rng(seed).permutation(np.unique(observations))
        first = np.isin(observations, order[: len(order) // 2])
        fitting, test = scores.take(first), scores.take(~first)
        bayes, loss = fit_bayes(counts, fitting), LogLoss(fitting)
        chosen = choose_prior(counts, fitting).prior
        choices[type(chosen).__name__ if chosen else IMAGE] += 1
        settings.update(f"{name} {getattr(bayes.settings, name):g}" for name in GRIDS)
        best = max(TEMPERATURES, key=lambda value: macro_f1(fitting, counts, value))
        for name, prior, temperature in (
            (IMAGE, None, loss.temperature()),
            (PRODUCT, counts, 1.0),
            (TEMPERED, counts, best),
            (BAYES, bayes, bayes.temperature),
        ):
            losses[name].append(float(LogLoss(test)(prior, temperature).mean()))
            f1[name].append(macro_f1(test, prior, temperature))
    print("\n| | log loss | macro F1 | Bayes: less loss | Bayes: more F1 |\n|" + "---|" * 5)
    for name, values in losses.items():
        cells = [spread(values), spread(f1[name])]
        cells += [
            spread([a - b for a, b in zip(values, losses[BAYES], strict=True)]),
            spread([b - a for a, b in zip(f1[name], f1[BAYES], strict=True)]),
        ]
        print(f"| {name} | {' | '.join(cells)} |")
    print(f"\nchosen: {dict(choices)}\nsettings: {dict(sorted(settings.items()))}", flush=True)


def macro_f1(scores: Scores, prior: Prior | None, temperature: float) -> float:
    """Return the macro F1 with a prior and a temperature of the image's logits."""
    own = prior.temperature if prior else 1.0
    tempered = replace(scores, logits=scores.logits * (own / temperature))
    return evaluate(tempered, prior=prior).macro_f1


def spread(values: list[float]) -> str:
    """Return the mean and the std over splits, or the number of infinite values."""
    if infinite := int(np.isinf(values).sum()):
        return f"infinite in {infinite} of {len(values)}"
    return f"{np.mean(values):.4f} ± {np.std(values, ddof=1):.4f}"


if __name__ == "__main__":
    main()
