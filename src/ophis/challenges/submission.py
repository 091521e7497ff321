"""Submission files of the challenges: SnakeCLEF 2020 on AIcrowd, and 2022 to 2024."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ophis.errors import InputError
from ophis.evaluation.metrics import predictions
from ophis.evaluation.snakeclef_metrics import least_cost as least_cost_answers
from ophis.files.atomic import whole_file
from ophis.files.tables import place, read_rows
from ophis.geography.countries import UNKNOWN
from ophis.scores.aggregation import aggregate_observations
from ophis.scores.scores import Scores, concatenate
from ophis.taxonomy.danger import dangerous
from ophis.taxonomy.species_list import SpeciesList, species_key
from ophis.taxonomy.spelling import species_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from ophis.priors.prior import Prior

HASHED_ID, OBSERVATION_ID, CLASS_ID = "hashed_id", "observation_id", "class_id"
# Columns of species in the tables of the challenges, by preference.
SPECIES = ("species", "scientific_name", "binomial_name", "binomial")
# The rules of 2020 require sums of at most 1, in one place below 1. Ten digits change a number by
# at most half a billionth of itself, so a billionth less keeps every sum below 1.
_NUMBER, _BELOW_ONE = "%.10g", 1 - 1e-9
_ROWS = 1024  # probabilities in memory at a time


@dataclass(frozen=True)
class Submission:
    """Submission file, with the number of photos in it."""

    path: Path
    photos: int


def submit(
    scores: Scores,
    path: str | Path,
    *,
    style: str,
    prior: Prior | None = None,
    species: SpeciesList | None = None,
    classes: Mapping[str, int] | None = None,
    least_cost: bool = False,
    venomous: Path | None = None,
) -> Submission:
    """Write the submission file of a challenge from scores.

    Args:
        scores: of the challenge's photos.
        path: the file to write, .csv.
        style: "aicrowd2020", see `write_probabilities`, or "observations", see `write_answers`.
        prior: adjusts the scores by the country.
        species: for "aicrowd2020": the challenge's columns.
        classes: for "observations": the challenge's class of each species, see `read_class_ids`.
        least_cost: for "observations": choose the answer of least expected cost.
        venomous: with ``least_cost``: the organisers' table `species,...,mivs`.

    Raises:
        InputError: an argument does not belong to the style, or the species do not match.
    """
    if style == "aicrowd2020":
        if classes or least_cost or venomous:
            raise InputError(
                "style aicrowd2020 takes no classes, least_cost or venomous; leave them out"
            )
        photos = add_unread_photos(scores)
        adjusted = prior.adjust(photos) if prior else photos
        return Submission(write_probabilities(adjusted, path, species=species), len(photos))
    if style != "observations":
        raise InputError(f"unknown style {style!r}; there are aicrowd2020, observations")
    if classes is None or species:
        raise InputError("style observations needs classes, and takes no species")
    if venomous and not least_cost:
        raise InputError("venomous is for least_cost; give both")
    costly = dangerous(scores.species, venomous) if least_cost else None
    adjusted = prior.adjust(scores) if prior else scores
    written = write_answers(adjusted, path, classes=classes, venomous=costly)
    return Submission(written, len(scores))


def write_probabilities(
    scores: Scores, path: str | Path, *, species: SpeciesList | None = None
) -> Path:
    """Write `hashed_id` and a column of probabilities for each species (SnakeCLEF 2020).

    Args:
        scores: of the photos.
        path: the file to write.
        species: the challenge's columns, in its order and spelling; a species that is not in the
            scores gets 0. By default those of the scores.

    Raises:
        InputError: a species of the scores is not in the challenge's columns.
    """
    path = Path(path)
    wanted = species or scores.species
    if HASHED_ID in wanted:
        raise InputError(f"a species has the name {HASHED_ID} of the id column; rename it")
    columns = _columns(scores.species, wanted)
    with (
        whole_file(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([HASHED_ID, *wanted])
        row = ",".join([_NUMBER] * len(wanted))
        for photo, probabilities in _rows(scores, columns):
            writer.writerow([photo, *(row % tuple(probabilities.tolist())).split(",")])
    return path


def write_answers(
    scores: Scores,
    path: str | Path,
    *,
    classes: Mapping[str, int],
    venomous: NDArray[np.bool_] | None = None,
) -> Path:
    """Write `observation_id,class_id`, one row for each observation (SnakeCLEF 2022 to 2024).

    The photos of an observation are aggregated by the mean of their logits.

    Args:
        scores: of the photos.
        path: the file to write.
        classes: the challenge's class of each species, by `species_key`; see `read_class_ids`.
        venomous: [species]; with it the answer is that of least expected cost instead of the most
            probable one.

    Raises:
        InputError: a species of the scores has no class, or photos of one observation have
            different species.
    """
    path = Path(path)
    numbers = [classes.get(species_key(name)) for name in scores.species]
    if None in numbers:
        name = scores.species[numbers.index(None)]
        raise InputError(f"species {name!r} has no {CLASS_ID}; add a row for it to the classes")
    one = aggregate_observations(scores)
    answers = predictions(one) if venomous is None else least_cost_answers(one, venomous)
    with (
        whole_file(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([OBSERVATION_ID, CLASS_ID])
        for observation, answer in zip(one.observations, answers, strict=True):
            writer.writerow([observation, numbers[int(answer)]])
    return path


def add_unread_photos(scores: Scores, countries: Mapping[str, str] | None = None) -> Scores:
    """Add a row of equal logits for each photo that could not be read.

    A challenge requires a row for every photo. A prior that is applied afterwards predicts these
    photos from their country.

    Args:
        scores: with their failures.
        countries: of the photos that could not be read, by photo id.
    """
    names = tuple(failure.photo_id for failure in scores.failures)
    if not names:
        return scores
    unread = Scores(
        logits=np.zeros((len(names), len(scores.species)), scores.logits.dtype),
        species=scores.species,
        photo_ids=names,
        truth=np.full(len(names), -1),
        countries=tuple((countries or {}).get(name, UNKNOWN) for name in names),
        observations=names,
    )
    return concatenate([scores, unread])


def read_species(path: str | Path) -> SpeciesList:
    """Read a challenge's species list, a CSV with a column `species` or `scientific_name`.

    Raises:
        InputError: naming the file and the error in it.
    """
    path = Path(path)
    table = read_rows(path, SPECIES)
    names = tuple(table[species_column(path, table.columns)])
    try:
        species = SpeciesList(names)
        _keys(species)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return species


def read_class_ids(path: str | Path) -> dict[str, int]:
    """Read a challenge's class of each species: a CSV with `class_id` and the species.

    The organisers' metadata, with many rows for each species, is such a table.

    Returns:
        The classes by `species_key`.

    Raises:
        InputError: naming the file, the row and the error in it.
    """
    path = Path(path)
    table = read_rows(path, (CLASS_ID, *SPECIES))
    if CLASS_ID not in table.columns:
        raise InputError(f"{path}: column {CLASS_ID!r} is missing, found {table.columns[:8]}")
    column = table[species_column(path, table.columns)]
    names = species_names(column, lambda row: place(path, row))
    numbers: dict[str, int] = {}
    for row, (name, text) in enumerate(zip(names, table[CLASS_ID], strict=True)):
        number = class_id(text)
        if number is None:
            raise InputError(
                f"{place(path, row)}: {CLASS_ID} = {text!r} should be a whole number from 0"
            )
        if numbers.setdefault(species_key(name), number) != number:
            raise InputError(
                f"{place(path, row)}: species {name!r} has {CLASS_ID} {number}, and"
                f" {numbers[species_key(name)]} before; keep one"
            )
    return numbers


def class_id(text: str) -> int | None:
    """Parse a class, an integer from 0; None for any other text."""
    plain = text.strip()
    return int(plain) if plain.isascii() and plain.isdigit() and len(plain) < 10 else None


def species_column(path: Path, columns: Sequence[str]) -> str:
    """Return the column of the species in a table of a challenge."""
    found = [name for name in SPECIES if name in columns]
    if not found:
        raise InputError(
            f"{path}: column 'species' (or {', '.join(map(repr, SPECIES[1:]))}) is missing"
        )
    return found[0]


def _columns(given: SpeciesList, wanted: SpeciesList) -> NDArray[np.int64]:
    """Column of each wanted species among the given, -1 if it is missing: [wanted]."""
    if given.names == wanted.names:
        return np.arange(len(given))
    at, keys = _keys(given), _keys(wanted)
    if extra := [name for name in given if species_key(name) not in keys]:
        raise InputError(
            f"species {extra[0]!r} of the scores is not among the {len(wanted)} of the challenge"
            f"{f', nor are {len(extra) - 1} more' if len(extra) > 1 else ''}; its probability would"
            " be lost: use the challenge's list, or a model of its species"
        )
    return np.array([at.get(key, -1) for key in keys])


def _keys(species: SpeciesList) -> dict[str, int]:
    """Column of each species by `species_key`."""
    keys: dict[str, int] = {}
    for column, name in enumerate(species):
        if (other := keys.setdefault(species_key(name), column)) != column:
            raise InputError(
                f"species {species[other]!r} and {name!r} are one species; keep one spelling"
            )
    return keys


def _rows(scores: Scores, columns: NDArray[np.int64]) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Photo id and probabilities of each photo, [columns]."""
    known = columns >= 0
    for start in range(0, len(scores), _ROWS):
        part = scores.take(np.arange(start, min(start + _ROWS, len(scores))))
        probabilities = np.zeros((len(part), len(columns)))
        probabilities[:, known] = part.probabilities()[:, columns[known]]
        probabilities *= _BELOW_ONE / probabilities.sum(axis=1, keepdims=True)
        yield from zip(part.photo_ids, probabilities, strict=True)
