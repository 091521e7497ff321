"""Ensemble of several models: scores of the same photos, aligned and averaged."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ophis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ophis.scores.scores import Scores


def ensemble(parts: Sequence[Scores], names: Sequence[str] | None = None) -> Scores:
    """Average the logits of several models, and their OOD scores where all models have them.

    The softmax of mean logits is the geometric mean of the models' probabilities. Logits are used
    unchanged, so an overconfident model dominates: calibrate each model first.

    Args:
        parts: scores of the same photos, one for each model; at least one.
        names: names of the models in error messages; by default "model 1", "model 2", ...

    Returns:
        Scores of the photos that every model could read, in the order of the first part. Photos
        that any model could not read are among its failures.

    Raises:
        InputError: photos, species or true species differ.
    """
    names = names or [f"model {number}" for number in range(1, len(parts) + 1)]
    failures = {failure.photo_id: failure for part in parts for failure in part.failures}
    parts = aligned(parts, names)
    ood_scores = [part.ood_score for part in parts if part.ood_score is not None]
    return replace(
        parts[0],
        logits=np.mean([part.logits for part in parts], axis=0),
        ood_score=np.mean(ood_scores, axis=0) if len(ood_scores) == len(parts) else None,
        failures=tuple(failures.values()),
    )


def aligned(parts: Sequence[Scores], names: Sequence[str]) -> tuple[Scores, ...]:
    """Return all scores with the photos and species of the first, in its order.

    A photo that one model could not read is dropped from all.

    Args:
        parts: scores of the same photos by several models.
        names: names of the models in error messages.

    Raises:
        InputError: a species or photo is missing from one part, or a photo differs in its true
            species or in its file.
    """
    parts = [parts[0], *(part.with_species(parts[0].species) for part in parts[1:])]
    _require_same_photos(parts, names)
    shared = set(parts[0].photo_ids).intersection(*(part.photo_ids for part in parts[1:]))
    order = [photo for photo in parts[0].photo_ids if photo in shared]
    ordered = []
    for part in parts:
        row_of = {photo: row for row, photo in enumerate(part.photo_ids)}
        ordered.append(part.take(np.array([row_of[photo] for photo in order], dtype=np.int64)))
    for part, name in zip(ordered[1:], names[1:], strict=True):
        _require_same_truth(ordered[0], part, (names[0], name))
        _require_same_files(ordered[0], part, (names[0], name))
    return tuple(ordered)


def _require_same_photos(parts: Sequence[Scores], names: Sequence[str]) -> None:
    unread = {failure.photo_id for part in parts for failure in part.failures}
    photos = [(name, set(part.photo_ids)) for name, part in zip(names, parts, strict=True)]
    for (name, present), (other, others) in itertools.permutations(photos, 2):
        if absent := present - others - unread:
            raise InputError(
                f"photo {min(absent)!r} is in the scores of {name} but not of {other}; score the"
                " same photos with both"
            )


def _require_same_truth(a: Scores, b: Scores, names: tuple[str, str]) -> None:
    if (a.truth == b.truth).all():
        return
    row = int((a.truth != b.truth).argmax())
    species = [s.species[s.truth[row]] if s.truth[row] >= 0 else "unlabelled" for s in (a, b)]
    raise InputError(
        f"photo {a.photo_ids[row]!r} is {species[0]!r} in the scores of {names[0]} and"
        f" {species[1]!r} in those of {names[1]}; score one manifest with both"
    )


def _require_same_files(a: Scores, b: Scores, names: tuple[str, str]) -> None:
    """Compare the digests of the photo files, where both scores have them."""
    if a.sha256 is None or b.sha256 is None or (a.sha256 == b.sha256).all():
        return
    row = int((a.sha256 != b.sha256).any(axis=1).argmax())
    raise InputError(
        f"photo {a.photo_ids[row]!r} is a different file in the scores of {names[0]} than in those"
        f" of {names[1]}; score the same photos with both"
    )
