"""Sets and verdicts with a country, in a simulated world on the counts of a collection.

For `guarantees.py`. Cells are pairs of a species and a country.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from fitted_rule import fitted, set_figures

from ophis import CountryPrior, SpeciesList
from ophis.taxonomy.danger import own_medical_importance

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tests.support
from tests.support.prior_simulation import DIMENSIONS, deal, made_counts, seen_by_the_classifier

if TYPE_CHECKING:
    from fitted_rule import Figures
    from numpy.typing import NDArray

    from ophis import Scores

NOISE, CONFIDENCE = 1.2, 1.5
VALIDATION, TEST = 4000, 2000  # photos
RECORDED = 0.07  # fraction of the photos whose country is recorded
MISSING = 0.2  # fraction of the cells without any photo
UNKNOWN = "UNKNOWN"
ALL, FEW, ABSENT = (
    "countries recorded",
    "93 % of the photos without a country, the true one given",
    "species never photographed in the country",
)
SITUATIONS = (ALL, FEW, ABSENT)


def synthetic_counts() -> CountryPrior:
    """Return a small collection of species of known danger, a third of them venomous."""
    harmless = [name for name, important in own_medical_importance().rows.items() if not important]
    names = [*harmless, *(f"Crotalus made{n}" for n in range(len(harmless) // 2))]
    counts = made_counts(species=len(names))
    order = np.random.default_rng(0).permutation(len(names))
    return replace(counts, species=SpeciesList(tuple(names[n] for n in order)))


def place_figures(counts: CountryPrior, seed: int) -> dict[str, dict[str, Figures]]:
    """Return figures of the image alone and with the country, of each situation.

    Validation photos are dealt from the counts without replacement, then those for testing; the
    rest are the training photos. For the third situation a fifth of the cells is taken out of
    training and validation first; its snakes are of these cells, each cell once.
    """
    rng = np.random.default_rng(seed)
    cells = counts.counts
    centres = rng.normal(size=(len(counts.species), DIMENSIONS))

    def scores(photos: NDArray[np.int64], training: NDArray[np.int64], name: str) -> Scores:
        common = np.log((training.sum(axis=0) + 0.5) / training.sum())
        found = seen_by_the_classifier(photos, counts, centres, common, NOISE, CONFIDENCE, rng)
        ids = tuple(f"{name} {photo}" for photo in found.photo_ids)
        return replace(found, photo_ids=ids, observations=ids)

    size = min(VALIDATION, int(cells.sum()) // 5)
    validation = deal(cells, size, rng)
    tested = deal(cells - validation, min(TEST, size), rng)
    training = cells - validation - tested
    judged = scores(tested, training, "new")
    seen = scores(validation, training, "validation")
    hidden = _hidden_countries(counts, rng)
    absent = _absent_cells(counts, rng)
    there = np.where(absent, 0, training)
    return {
        ALL: _figures(_prior(counts, training), seen, judged),
        FEW: _figures(
            _unrecorded(counts, training, hidden), _without(seen, hidden, counts), judged
        ),
        ABSENT: _figures(
            _prior(counts, there),
            scores(np.where(absent, 0, validation), there, "validation"),
            scores(absent.astype(np.int64), there, "new"),
        ),
    }


def _figures(counts: CountryPrior, validation: Scores, new: Scores) -> dict[str, Figures]:
    bundle = fitted(validation, counts=counts)
    image, country = bundle.image(new), bundle.country(new)
    joined = float(np.mean([decision.joined for decision in country]))
    return {
        "image": set_figures(image, new),
        "country": set_figures(country, new) | {"joined": joined},
    }


def _prior(counts: CountryPrior, photos: NDArray[np.int64]) -> CountryPrior:
    """Return the counts of the training photos, without countries that have none."""
    kept = photos.sum(axis=1) > 0
    names = tuple(name for name, seen in zip(counts.countries, kept, strict=True) if seen)
    return CountryPrior(counts.species, names, photos[kept])


def _hidden_countries(counts: CountryPrior, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return the countries that no source records, [countries]."""
    order = rng.permutation(len(counts.countries))
    total = counts.counts.sum(axis=1)[order].cumsum()
    hidden = np.ones(len(order), np.bool_)
    hidden[order[total <= RECORDED * total[-1]]] = False
    return hidden


def _unrecorded(
    counts: CountryPrior, photos: NDArray[np.int64], hidden: NDArray[np.bool_]
) -> CountryPrior:
    """Return the counts of training photos if some countries are not recorded."""
    moved = np.where(hidden[:, None], 0, photos)
    moved[counts.countries.index(UNKNOWN)] += photos[hidden].sum(axis=0)
    return _prior(counts, moved)


def _without(scores: Scores, hidden: NDArray[np.bool_], counts: CountryPrior) -> Scores:
    """Return the scores if some countries are not recorded."""
    names = {name for name, gone in zip(counts.countries, hidden, strict=True) if gone}
    countries = tuple(UNKNOWN if name in names else name for name in scores.countries)
    return replace(scores, countries=countries)


def _absent_cells(counts: CountryPrior, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return a part of the cells that hold photos, of known countries; every species keeps one."""
    known = np.array([name != UNKNOWN for name in counts.countries])[:, None]
    absent = (counts.counts > 0) & known & (rng.random(counts.counts.shape) < MISSING)
    only = (np.where(absent, 0, counts.counts)).sum(axis=0) == 0
    return absent & ~only
