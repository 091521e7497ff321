"""Sets and verdicts on real photos whose countries are partly recorded.

    python benchmarks/real_countries.py FOLDER --out runs/real [--splits 20]

FOLDER holds manifest.csv (photo, species, country, group, source) and the photos. One source has
all its photos from one country, which its manifest does not record (`TRUE_COUNTRIES`). A linear
head is trained on features of the frozen pretrained network, as in `real_photos.py`. Each split by
groups gives 40 % of the photos to training, 40 % to validation and 20 % to new photos; calibration,
prior and rule are fitted as `ophis export` fits them. New photos have their true country. Training
and validation have it too, or only as far as the manifest records it. Within a source only its own
species compete. The output is means over splits with 95 % t intervals; the splits share photos.
All these species count as dangerous, so every answer carries the warning.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from fitted_rule import fitted, set_figures
from real_photos import features
from scipy.stats import t
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ophis import CountryPrior, Scores, SpeciesList, read_manifest
from ophis.train.export.imagenet17 import PREPROCESSING

if TYPE_CHECKING:
    from fitted_rule import Figures
    from numpy.typing import NDArray

    from ophis import Manifest

TRUE_COUNTRIES = {"EmersonAlvaro/snakeID": "mozambique"}
PENALTY, MIN_NEW = 1e-2, 20
FRACTIONS = (0.4, 0.8)  # ends of training and validation
EVERYWHERE = "all sources"
COLUMNS = ("sets hold", "species in a set", "top-1", "joined")


def main() -> None:
    """Print a table for all sources together and for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--splits", type=int, default=10)
    options = parser.parse_args()
    manifest = read_manifest(options.folder / "manifest.csv")
    photos = Photos(manifest, _features(manifest, options.out))
    print(f"| species | new photos | countries recorded | sets | {' | '.join(COLUMNS)} |")
    print("|---" * (len(COLUMNS) + 4) + "|")
    for source in (EVERYWHERE, *sorted(set(manifest.table["source"]))):
        gathered: dict[str, list[Figures]] = defaultdict(list)
        for split in range(options.splits):
            for row, found in photos.figures(source, split).items():
                gathered[row].append(found)
        for row, values in gathered.items():
            cells = [_interval([one.get(column, np.nan) for one in values]) for column in COLUMNS]
            print(f"| {source} | {row} | {' | '.join(cells)} |", flush=True)


def _features(manifest: Manifest, out: Path) -> NDArray[np.float32]:
    """Return the features of the photos, computed at the first call."""
    saved = out / f"features-{PREPROCESSING.pixels}.npy"
    if not saved.exists():
        out.mkdir(parents=True, exist_ok=True)
        np.save(saved, features(manifest, PREPROCESSING.pixels))
    found: NDArray[np.float32] = np.load(saved)
    return found


class Photos:
    """Photos with their features, and the figures of a split.

    Args:
        manifest: of the photos.
        features: [photos, features].
    """

    def __init__(self, manifest: Manifest, features: NDArray[np.float32]) -> None:
        self._features = features
        self._groups = np.array(manifest.table["group"].to_list(), dtype=object)
        self._recorded = np.array(manifest.table["country"].to_list(), dtype=object)
        self._sources = np.array(manifest.table["source"].to_list(), dtype=object)
        self._species = np.array(manifest.table["species"].to_list(), dtype=object)
        self._true = self._recorded.copy()
        for source, country in TRUE_COUNTRIES.items():
            self._true[self._sources == source] = country

    def figures(self, source: str, split: int) -> dict[str, Figures]:
        """Return figures of a split: the image alone and with the country, by labels and photos.

        Args:
            source: source of the photos, or all.
            split: seed.
        """
        rows = np.flatnonzero((self._sources == source) | (source == EVERYWHERE))
        part = _parts(self._groups[rows], split)
        train, validation, new = (rows[part == number] for number in range(3))
        species = SpeciesList(tuple(sorted(set(self._species[train]))))
        head = make_pipeline(StandardScaler(), LogisticRegression(C=PENALTY, max_iter=300))
        head.fit(self._features[train], self._truth(train, species))
        logits = head.decision_function(self._features)
        judged = {"all": new}
        if source == EVERYWHERE:
            for own in sorted(set(self._sources)):
                known = (self._sources[new] == own) & (self._true[new] != "UNKNOWN")
                if known.sum() >= MIN_NEW:
                    judged[f"of {own}, of a country"] = new[known]
        found: dict[str, Figures] = {}
        for name, places in (("as in the manifest", self._recorded), ("true", self._true)):
            counts = pl.DataFrame(
                {"species": self._species[train], "country": places[train], "photos": 1}
            )
            bundle = fitted(
                self._scores(validation, logits, species, places),
                counts=CountryPrior.from_counts(counts, species),
            )
            for which, chosen in judged.items():
                scores = self._scores(chosen, logits, species, self._true)
                image, country = bundle.image(scores), bundle.country(scores)
                joined = float(np.mean([decision.joined for decision in country]))
                found[f"{which} | {name} | image"] = set_figures(image, scores)
                found[f"{which} | {name} | country"] = {
                    **set_figures(country, scores),
                    "joined": joined,
                }
        return found

    def _scores(
        self,
        rows: NDArray[np.int64],
        logits: NDArray[np.float64],
        species: SpeciesList,
        places: NDArray[np.object_],
    ) -> Scores:
        return Scores(
            logits=logits[rows],
            species=species,
            photo_ids=tuple(map(str, rows)),
            truth=self._truth(rows, species),
            countries=tuple(places[rows]),
            observations=tuple(self._groups[rows]),
        )

    def _truth(self, rows: NDArray[np.int64], species: SpeciesList) -> NDArray[np.int64]:
        return np.array([species.index(name) for name in self._species[rows]])


def _parts(groups: NDArray[np.object_], seed: int) -> NDArray[np.int64]:
    """Return the part of each photo: 0 training, 1 validation, 2 new."""
    names, of_photo = np.unique(groups, return_inverse=True)
    place = np.random.default_rng(seed).permutation(len(names)) / len(names)
    found: NDArray[np.int64] = np.searchsorted(FRACTIONS, place, side="right")[of_photo]
    return found


def _interval(values: list[float]) -> str:
    """Return mean and 95 % t interval over splits."""
    given = np.array(values)[~np.isnan(values)]
    if not len(given):
        return "-"
    half = t.ppf(0.975, len(given) - 1) * given.std(ddof=1) / np.sqrt(len(given))
    return f"{given.mean():.3f} ± {half:.3f}"


if __name__ == "__main__":
    main()
