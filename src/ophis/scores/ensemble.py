"""Several answers as one: of several models to a photo, of several photos of one snake."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ophis.errors import InputError
from ophis.scores.alignment import aligned

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray

    from ophis.scores.scores import Scores


def ensemble(parts: Sequence[Scores], names: Sequence[str] | None = None) -> Scores:
    """Several models as one: the mean of their logits, and of their novelty where all have one.

    A softmax of mean logits is the geometric mean of the models' probabilities. Logits are taken as
    they are, so a model that is too sure of itself outvotes the others: calibrate each first.

    Args:
        parts: of the same photos; at least one.
        names: what a refusal calls each; by default "model 1", "model 2", ...

    Returns:
        Scores with the photos of the first part that all models could read; photos that any could
        not read are among its failures.

    Raises:
        InputError: when photos, species or truth do not agree.
    """
    names = names or [f"model {number}" for number in range(1, len(parts) + 1)]
    failures = {failure.photo_id: failure for part in parts for failure in part.failures}
    parts = aligned(parts, names)
    novelties = [part.novelty for part in parts if part.novelty is not None]
    return replace(
        parts[0],
        logits=np.mean([part.logits for part in parts], axis=0),
        novelty=np.mean(novelties, axis=0) if len(novelties) == len(parts) else None,
        failures=tuple(failures.values()),
    )


def fused(scores: Scores) -> Scores:
    """One row an observation: the mean of its photos' logits and novelty; rows by first photo.

    Temperature and prior may come before or after: the result is the same, as long as the photos of
    an observation have one country (the row has the first photo's). Where they together call every
    species impossible, their probabilities are averaged instead.

    Raises:
        InputError: when photos of one observation have different species.
    """
    names, first, rows = np.unique(
        np.array(scores.observations, dtype=object), return_index=True, return_inverse=True
    )
    if (odd := scores.truth != scores.truth[first][rows]).any():
        row = int(odd.argmax())
        raise InputError(
            f"photo {scores.photo_ids[row]!r} has another species than photo"
            f" {scores.photo_ids[first[rows[row]]]!r} of the same observation"
            f" {scores.observations[row]!r}; mend one of the two"
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
    novelty = None if scores.novelty is None else mean(scores.novelty)
    return replace(scores.take(first[order]), logits=logits, novelty=novelty)
