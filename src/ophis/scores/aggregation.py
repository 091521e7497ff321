"""Aggregation of scores over the photos of one observation, and the choice of one of them."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from ophis.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ophis.scores.scores import Scores


def aggregate_observations(scores: Scores) -> Scores:
    """Average logits and OOD scores over the photos of each observation.

    Temperature and prior may be applied before or after with the same result, if all photos of an
    observation have the same country. The row of an observation has the country of its first photo.
    Where the mean logits exclude every species, probabilities are averaged instead.

    Returns:
        One row for each observation, in the order of first photos.

    Raises:
        InputError: photos of one observation have different species.
    """
    names, first, rows = np.unique(
        np.array(scores.observations, dtype=object), return_index=True, return_inverse=True
    )
    if (differs := scores.truth != scores.truth[first][rows]).any():
        row = int(differs.argmax())
        raise InputError(
            f"photo {scores.photo_ids[row]!r} has another species than photo"
            f" {scores.photo_ids[first[rows[row]]]!r} of the same observation"
            f" {scores.observations[row]!r}; fix the species or the observation of one"
        )
    order = np.argsort(first)

    def mean(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        total = np.zeros((len(names), *values.shape[1:]))
        np.add.at(total, rows, values)
        return (total.T / np.bincount(rows)).T[order]

    logits = mean(scores.logits)
    if (none := np.isneginf(logits.max(axis=1, initial=-np.inf))).any():
        with np.errstate(divide="ignore"):
            logits[none] = np.log(mean(scores.probabilities()))[none]
    ood_score = None if scores.ood_score is None else mean(scores.ood_score)
    return replace(scores.take(first[order]), logits=logits, ood_score=ood_score)


def one_photo_each(scores: Scores) -> Scores:
    """Return one photo of each observation, the one whose id has the smallest SHA-256 digest.

    Photos of one snake are not independent. The choice depends on the ids only: neither on the
    order of rows nor on the scores.
    """
    chosen: dict[str, tuple[bytes, int]] = {}
    names = zip(scores.observations, scores.photo_ids, strict=True)
    for row, (observation, photo) in enumerate(names):
        found = (sha256(photo.encode()).digest(), row)
        chosen[observation] = min(chosen.get(observation, found), found)
    return scores.take(np.array(sorted(row for _, row in chosen.values()), np.int64))
