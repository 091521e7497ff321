"""Files of answers as the challenges take them: SnakeCLEF 2020 on AIcrowd, and 2022 to 2024."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ophis.errors import InputError
from ophis.evaluation.metrics import predictions
from ophis.evaluation.snakeclef_metrics import least_cost
from ophis.files.atomic import whole_file
from ophis.files.tables import place, read_rows
from ophis.geography.countries import UNKNOWN
from ophis.scores.aggregation import aggregate_observations
from ophis.scores.scores import Scores, concatenate
from ophis.taxonomy.species_list import SpeciesList, species_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

HASHED_ID, OBSERVATION_ID, CLASS_ID = "hashed_id", "observation_id", "class_id"
# What the tables of the challenges call a species, the first that is there.
_SPECIES = ("species", "scientific_name", "binomial_name", "binomial")
# The rules of 2020 want sums of at most 1, in one place below 1. Ten digits change no number by
# more than half a billionth of itself; so a billionth less keeps every sum below, and near enough.
_NUMBER, _BELOW_ONE = "%.10g", 1 - 1e-9
_ROWS = 1024  # whose probabilities are held at a time


def write_probabilities(
    scores: Scores, path: str | Path, *, species: SpeciesList | None = None
) -> Path:
    """Write `hashed_id` and a column of probabilities a species (SnakeCLEF 2020).

    Args:
        scores: a row a photo.
        path: the file to write, whole or not at all.
        species: the challenge's columns, in its order and spelling; one that the model does not
            know gets 0. By default those of the scores.

    Raises:
        InputError: when the challenge does not have a species of the scores.
    """
    path = Path(path)
    wanted = species or scores.species
    if HASHED_ID in wanted:
        raise InputError(f"no species can be called {HASHED_ID}: the column of ids is; rename it")
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
    """Write `observation_id,class_id`, one row an observation (SnakeCLEF 2022 to 2024).

    The photos of an observation are aggregated by the mean of their logits.

    Args:
        scores: a row a photo.
        path: the file to write, whole or not at all.
        classes: the challenge's number of each species, by `species_key`; see `read_class_ids`.
        venomous: [species]; with it the answer is the one of the least expected official cost, not
            the most probable one.

    Raises:
        InputError: when a species of the scores has no class, or photos of one observation have
            different species.
    """
    path = Path(path)
    numbers = [classes.get(species_key(name)) for name in scores.species]
    if None in numbers:
        name = scores.species[numbers.index(None)]
        raise InputError(f"species {name!r} has no {CLASS_ID}; add a row for it to the classes")
    one = aggregate_observations(scores)
    answers = predictions(one) if venomous is None else least_cost(one, venomous)
    with (
        whole_file(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([OBSERVATION_ID, CLASS_ID])
        for observation, answer in zip(one.observations, answers, strict=True):
            writer.writerow([observation, numbers[int(answer)]])
    return path


def with_unread(scores: Scores, countries: Mapping[str, str] | None = None) -> Scores:
    """The scores with a row for each photo that could not be read, too: all species alike.

    A challenge wants a row for every photo; of one that cannot be read only the country is known,
    and a prior applied to the result says what there is to say.

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
    """Read a challenge's list of species, a CSV with a column `species` or `scientific_name`.

    Raises:
        InputError: naming the file and what is wrong in it.
    """
    path = Path(path)
    table = read_rows(path)
    names = tuple(table[_species_column(path, table.columns)])
    try:
        species = SpeciesList(names)
        _keys(species)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return species


def read_class_ids(path: str | Path) -> dict[str, int]:
    """Read a challenge's number of each species: a CSV with `class_id` and the species.

    The organisers' metadata do, in which a species stands many times.

    Returns:
        The numbers by `species_key`.

    Raises:
        InputError: naming the file, the row and what is wrong in it.
    """
    path = Path(path)
    table = read_rows(path)
    if CLASS_ID not in table.columns:
        raise InputError(f"{path}: column {CLASS_ID!r} is missing, found {table.columns[:8]}")
    names = table[_species_column(path, table.columns)]
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
    """A class as a whole number from 0; None of anything else."""
    plain = text.strip()
    return int(plain) if plain.isascii() and plain.isdigit() and len(plain) < 10 else None


def _species_column(path: Path, columns: Sequence[str]) -> str:
    found = [name for name in _SPECIES if name in columns]
    if not found:
        raise InputError(
            f"{path}: column 'species' (or {', '.join(map(repr, _SPECIES[1:]))}) is missing"
        )
    return found[0]


def _columns(given: SpeciesList, wanted: SpeciesList) -> NDArray[np.int64]:
    """Where each wanted species stands among the given, -1 where it does not: [wanted]."""
    if given.names == wanted.names:
        return np.arange(len(given))
    at, keys = _keys(given), _keys(wanted)
    if extra := [name for name in given if species_key(name) not in keys]:
        raise InputError(
            f"species {extra[0]!r} of the scores is not among the {len(wanted)} of the challenge"
            f"{f', nor are {len(extra) - 1} more' if len(extra) > 1 else ''}; its probability would"
            " be lost: use the challenge's own list, or a model of its species"
        )
    return np.array([at.get(key, -1) for key in keys])


def _keys(species: SpeciesList) -> dict[str, int]:
    """Where each species stands, by `species_key`."""
    keys: dict[str, int] = {}
    for column, name in enumerate(species):
        if (other := keys.setdefault(species_key(name), column)) != column:
            raise InputError(f"species {species[other]!r} and {name!r} are one; keep one spelling")
    return keys


def _rows(scores: Scores, columns: NDArray[np.int64]) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Photo id and probabilities of the columns, photo by photo."""
    known = columns >= 0
    for start in range(0, len(scores), _ROWS):
        part = scores.take(np.arange(start, min(start + _ROWS, len(scores))))
        probabilities = np.zeros((len(part), len(columns)))
        probabilities[:, known] = part.probabilities()[:, columns[known]]
        probabilities *= _BELOW_ONE / probabilities.sum(axis=1, keepdims=True)
        yield from zip(part.photo_ids, probabilities, strict=True)
