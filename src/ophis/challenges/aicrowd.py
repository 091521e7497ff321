"""Hidden test of SnakeCLEF 2020 on AIcrowd: from a folder of photos to the submission file.

Three environment variables hold the paths of the photos, their table and the predictions. The test
runs unattended, so every row of the table gets a prediction, also if its photo cannot be read or
its country is unknown.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ophis.challenges.submission import HASHED_ID, add_unread_photos, write_probabilities
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
    """Paths of the photos, their table and the predictions."""

    images: Path
    metadata: Path
    predictions: Path


@dataclass(frozen=True)
class HiddenTestResult:
    """Result of `aicrowd`.

    Attributes:
        path: of the submission file.
        photos: number of its rows.
        unread: photos that were predicted from their country only.
        unknown_countries: names in the table that are no country, taken for UNKNOWN.
    """

    path: Path
    photos: int
    unread: tuple[PhotoFailure, ...]
    unknown_countries: tuple[str, ...]


def read_environment(environment: Mapping[str, str] = os.environ) -> HiddenTest:
    """Read the three environment variables.

    Raises:
        InputError: naming the variable that is not set or the folder that does not exist.
    """
    for name in (IMAGES, METADATA, PREDICTIONS):
        if not environment.get(name):
            raise InputError(f"the environment variable {name} is not set; set it to a path")
    found = HiddenTest(*(Path(environment[name]) for name in (IMAGES, METADATA, PREDICTIONS)))
    if not found.images.is_dir():
        raise InputError(f"{found.images}: there is no such folder of photos ({IMAGES})")
    return found


def read_hidden_test(test: HiddenTest) -> tuple[Manifest, tuple[str, ...]]:
    """Read the table of the test: `hashed_id`, `country`, and `filename` if it has that column.

    Returns:
        A manifest without species, and the names in the table that are no country; their rows have
        the country UNKNOWN.

    Raises:
        InputError: naming the table, the row and the fix.
    """
    path = test.metadata
    table = read_rows(path, (HASHED_ID, "filename", "country"))
    if HASHED_ID not in table.columns:
        raise InputError(f"{path}: column {HASHED_ID!r} is missing, found {table.columns[:8]}")
    ids = table[HASHED_ID].str.strip_chars()
    for wrong, words in ((ids == "", "is empty"), (~ids.is_first_distinct(), "is repeated")):
        if wrong.any():
            row = int(wrong.arg_max() or 0)
            raise InputError(f"{place(path, row)}: {HASHED_ID} {ids[row]!r} {words}")
    names = table["filename"] if "filename" in table.columns else ids + ".jpg"
    for row, name in enumerate(names):
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise InputError(f"{place(path, row)}: photo {name!r} leaves the folder {test.images}")
    countries = table["country"] if "country" in table.columns else pl.Series([""] * len(ids))
    keys = {name: country_key(name) for name in countries.unique()}
    unknown = tuple(
        sorted(n for n, key in keys.items() if key != UNKNOWN and not country_code(key))
    )
    keys |= dict.fromkeys(unknown, UNKNOWN)
    rows = {
        "photo_id": ids,
        "photo": names,
        "species": pl.Series([None] * len(ids), dtype=pl.String),
        "country": [keys[name] for name in countries],
        "observation": ids,
    }
    return Manifest(pl.DataFrame(rows).select(COLUMNS), test.images), unknown


def aicrowd(
    classifier: Classifier,
    test: HiddenTest,
    *,
    species: SpeciesList | None = None,
    progress: Callable[[int], None] | None = None,
) -> HiddenTestResult:
    """Predict every photo of the test with its country, and write the submission file.

    Args:
        classifier: a bundle; its prior adjusts the scores by the country.
        test: paths, see `read_environment`.
        species: the challenge's columns; by default those of the bundle.
        progress: called with the number of photos done since the last call.

    Raises:
        InputError: see `read_hidden_test` and `submission.write_probabilities`.
    """
    manifest, unknown = read_hidden_test(test)
    seen = classifier.score(manifest, progress=progress)
    columns = manifest.table.select("photo_id", "country").rows()
    scores = _with_country(classifier, seen, dict(columns))
    order = {name: row for row, name in enumerate(scores.photo_ids)}
    scores = scores.take(np.array([order[name] for name, _ in columns], np.int64))
    write_probabilities(scores, test.predictions, species=species)
    return HiddenTestResult(test.predictions, len(scores), seen.failures, unknown)


def _with_country(classifier: Classifier, seen: Scores, countries: Mapping[str, str]) -> Scores:
    if prior := classifier.bundle.prior:
        return prior.adjust(add_unread_photos(seen, countries))
    # Calibration comes first: its offsets do not apply to the equal logits of unread photos.
    calibration = classifier.bundle.calibration
    return add_unread_photos(calibration.apply(seen) if calibration else seen, countries)
