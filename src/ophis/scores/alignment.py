"""Scores of the same photos by several models, brought to the same rows and columns."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from ophis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ophis.scores.scores import Scores


def aligned(parts: Sequence[Scores], names: Sequence[str]) -> tuple[Scores, ...]:
    """The same photos in the same order and the same columns: those of the first part.

    A photo that one model could not read is left out of all.

    Args:
        parts: scores of the same photos by several models.
        names: what a refusal calls each part.

    Raises:
        InputError: naming a species or a photo that one part alone has, or that differs in truth or
            in its file.
    """
    parts = [parts[0], *(part.with_species(parts[0].species) for part in parts[1:])]
    _require_same_photos(parts, names)
    shared = set(parts[0].photo_ids).intersection(*(part.photo_ids for part in parts[1:]))
    order = [photo for photo in parts[0].photo_ids if photo in shared]
    ordered = []
    for part in parts:
        place = {photo: row for row, photo in enumerate(part.photo_ids)}
        ordered.append(part.take(np.array([place[photo] for photo in order], dtype=np.int64)))
    for part, name in zip(ordered[1:], names[1:], strict=True):
        _require_same_truth(ordered[0], part, (names[0], name))
        _require_same_files(ordered[0], part, (names[0], name))
    return tuple(ordered)


def _require_same_photos(parts: Sequence[Scores], names: Sequence[str]) -> None:
    unread = {failure.photo_id for part in parts for failure in part.failures}
    photos = [(name, set(part.photo_ids)) for name, part in zip(names, parts, strict=True)]
    for (name, here), (other, there) in itertools.permutations(photos, 2):
        if absent := here - there - unread:
            raise InputError(
                f"photo {min(absent)!r} is in the scores of {name} but not of {other}; score the"
                " same photos with both"
            )


def _require_same_truth(a: Scores, b: Scores, names: tuple[str, str]) -> None:
    if (a.truth == b.truth).all():
        return
    row = int((a.truth != b.truth).argmax())
    said = [s.species[s.truth[row]] if s.truth[row] >= 0 else "nothing" for s in (a, b)]
    raise InputError(
        f"photo {a.photo_ids[row]!r} is {said[0]!r} in the scores of {names[0]} and {said[1]!r} in"
        f" those of {names[1]}; score one manifest with both"
    )


def _require_same_files(a: Scores, b: Scores, names: tuple[str, str]) -> None:
    """Where both know the digests: that the photos of one id are one photo."""
    if a.sha256 is None or b.sha256 is None or (a.sha256 == b.sha256).all():
        return
    row = int((a.sha256 != b.sha256).any(axis=1).argmax())
    raise InputError(
        f"photo {a.photo_ids[row]!r} was another file in the scores of {names[0]} than in those of"
        f" {names[1]}; score the same photos with both"
    )
