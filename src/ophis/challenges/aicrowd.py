"""The hidden test of SnakeCLEF 2020 on AIcrowd, end to end: a folder of photos to a file.

Its machine says in three environment variables where photos and their table lie and where the
predictions are to go. Nobody is there to mend anything, so every row of the table gets its
prediction: also where a photo cannot be read or a country is none.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ophis.challenges.submission import HASHED_ID, with_unread, write_probabilities
from ophis.datasets.manifest import COLUMNS, Manifest
from ophis.errors import InputError
from ophis.files.tables import place, read_rows
from ophis.geography.countries import UNKNOWN, country_code, country_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ophis.errors import PhotoFailure
    from ophis.inference.classifier import Classifier
    from ophis.scores.scores import Scores
    from ophis.taxonomy.species_list import SpeciesList

IMAGES, METADATA, PREDICTIONS = (
    "AICROWD_TEST_IMAGES_PATH",
    "AICROWD_TEST_METADATA_PATH",
    "AICROWD_PREDICTIONS_OUTPUT_PATH",
)


@dataclass(frozen=True)
class HiddenTest:
    """Where the machine has the photos and their table, and wants the predictions."""

    images: Path
    metadata: Path
    predictions: Path


@dataclass(frozen=True)
class Predicted:
    """What `predict` wrote.

    Attributes:
        path: of the file.
        photos: rows in it.
        unread: photos of which only the country was known.
        no_countries: what the table calls a country and is none; taken for UNKNOWN.
    """

    path: Path
    photos: int
    unread: tuple[PhotoFailure, ...]
    no_countries: tuple[str, ...]


def read_place(environment: Mapping[str, str] = os.environ) -> HiddenTest:
    """Read the three environment variables.

    Raises:
        InputError: naming the variable that is not set or the place that is not there.
    """
    for name in (IMAGES, METADATA, PREDICTIONS):
        if not environment.get(name):
            raise InputError(f"the environment variable {name} is not set; set it to a path")
    found = HiddenTest(*(Path(environment[name]) for name in (IMAGES, METADATA, PREDICTIONS)))
    if not found.images.is_dir():
        raise InputError(f"{found.images}: there is no such folder of photos ({IMAGES})")
    return found


def read_test(test: HiddenTest) -> tuple[Manifest, tuple[str, ...]]:
    """The photos of the test: `hashed_id`, `country`, and `filename` where it is given.

    Returns:
        A manifest without species, and what the table calls a country and is none: there the
        country is UNKNOWN.

    Raises:
        InputError: naming the table, the row and the mend.
    """
    path = test.metadata
    table = read_rows(path)
    if HASHED_ID not in table.columns:
        raise InputError(f"{path}: column {HASHED_ID!r} is missing, found {table.columns[:8]}")
    ids = table[HASHED_ID].str.strip_chars()
    for wrong, words in ((ids == "", "is empty"), (~ids.is_first_distinct(), "stands twice")):
        if wrong.any():
            row = int(wrong.arg_max() or 0)
            raise InputError(f"{place(path, row)}: {HASHED_ID} {ids[row]!r} {words}")
    names = table["filename"] if "filename" in table.columns else ids + ".jpg"
    for row, name in enumerate(names):
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise InputError(f"{place(path, row)}: photo {name!r} leaves the folder {test.images}")
    said = table["country"] if "country" in table.columns else pl.Series([""] * len(ids))
    keys = {name: country_key(name) for name in said.unique()}
    none = tuple(sorted(n for n, key in keys.items() if key != UNKNOWN and not country_code(key)))
    keys |= dict.fromkeys(none, UNKNOWN)
    rows = {
        "photo_id": ids,
        "photo": names,
        "species": pl.Series([None] * len(ids), dtype=pl.String),
        "country": [keys[name] for name in said],
        "observation": ids,
    }
    return Manifest(pl.DataFrame(rows).select(COLUMNS), test.images), none


def predict(
    classifier: Classifier,
    test: HiddenTest,
    *,
    species: SpeciesList | None = None,
    progress: Callable[[int], None] | None = None,
) -> Predicted:
    """Answer every photo of the test, with its country, and write the predictions.

    Args:
        classifier: a bundle; its own prior weighs the country.
        test: what `read_place` found.
        species: the challenge's columns; by default those of the bundle.
        progress: called with the number of photos done since the last call.

    Raises:
        InputError: as `read_test` and `submission.write_probabilities` do.
    """
    manifest, none = read_test(test)
    seen = classifier.score(manifest, progress=progress)
    columns = manifest.table.select("photo_id", "country").rows()
    scores = _with_country(classifier, seen, dict(columns))
    order = {name: row for row, name in enumerate(scores.photo_ids)}
    scores = scores.take(np.array([order[name] for name, _ in columns], np.int64))
    write_probabilities(scores, test.predictions, species=species)
    return Predicted(test.predictions, len(scores), seen.failures, none)


def _with_country(classifier: Classifier, seen: Scores, countries: Mapping[str, str]) -> Scores:
    if prior := classifier.bundle.prior:
        return prior.adjust(with_unread(seen, countries))
    # Of a photo that was not read all species stay alike: offsets mend what a network says.
    calibration = classifier.bundle.calibration
    return with_unread(calibration.apply(seen) if calibration else seen, countries)
