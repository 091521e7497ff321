"""Scores: logits of photos with their true species, countries and observations.

The interface between models and everything after them.
"""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ophis.errors import InputError, NotFiniteError, PhotoFailure
from ophis.files.blocks import for_each_block, row_blocks
from ophis.files.content import content_of
from ophis.files.npz import read_npz, write_npz
from ophis.taxonomy.species_list import SpeciesList, require_same_species
from ophis.taxonomy.spelling import plain_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


FORMAT = 1
SHA256_BYTES = 32
_NO_NUMBERS = "leave the photo out, or export the model anew"


class Adjustment(Protocol):
    """Change of logits by what is known beside the photo, such as a prior for its country."""

    def adjust(self, scores: Scores) -> Scores:
        """Return scores of the same photos with changed logits."""
        ...


@dataclass(frozen=True, eq=False)
class Scores:
    """Logits row by row beside the photo, its true species, country and observation.

    Attributes:
        logits: [photos, species], float; -inf excludes a species, NaN is an error. Those of a large
            file are memory-mapped and read-only (`read_scores`).
        species: the columns.
        photo_ids: the rows; unique.
        truth: [photos], int64, column of the true species; -1 where it is not known.
        countries: of each photo, as `places.country_key` writes it.
        observations: of each photo; photos of one snake share it.
        failures: photos that could not be read; they have no row.
        ood_score: [photos], out-of-distribution score, finite, at most about 1 for training photos;
            None if the model has none.
        sha256: [photos, 32], uint8: digest of each photo's file, of a packed photo that of its
            source; None if unknown.
    """

    logits: NDArray[np.floating[Any]]
    species: SpeciesList
    photo_ids: tuple[str, ...]
    truth: NDArray[np.int64]
    countries: tuple[str, ...]
    observations: tuple[str, ...]
    failures: tuple[PhotoFailure, ...] = ()
    ood_score: NDArray[np.floating[Any]] | None = None
    sha256: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        rows = len(self.photo_ids)
        if self.logits.shape != (rows, len(self.species)):
            raise InputError(
                f"scores: logits have shape {self.logits.shape}, but there are {rows} photos"
                f" and {len(self.species)} species"
            )
        for name in ("truth", "countries", "observations"):
            if len(getattr(self, name)) != rows:
                raise InputError(f"scores: {name} has {len(getattr(self, name))} rows, not {rows}")
        if self.ood_score is not None and self.ood_score.shape != (rows,):
            raise InputError(f"scores: ood_score has shape {self.ood_score.shape}, not ({rows},)")
        digests = self.sha256
        if digests is not None and (digests.shape, digests.dtype) != ((rows, SHA256_BYTES), "u1"):
            raise InputError(
                f"scores: sha256 is {digests.dtype} of shape {digests.shape}, not {rows} x 32 bytes"
            )
        if len(set(self.photo_ids)) != rows:
            raise InputError("scores: a photo_id stands twice; each photo has one row")
        if rows and not (self.truth.min() >= -1 and self.truth.max() < len(self.species)):
            raise InputError("scores: truth names a species beyond the species list")
        self._require_numbers()

    def _require_numbers(self) -> None:
        """Raise an error for NaN, which compares false with every threshold."""
        for rows in row_blocks(self.logits):
            # The maximum is NaN if any logit is: one test finds NaN, +inf and a row of -inf.
            bad = ~np.isfinite(self.logits[rows].max(axis=1, initial=-np.inf))
            if bad.any():
                raise NotFiniteError(
                    f"scores: photo {self.photo_ids[rows.start + int(bad.argmax())]!r} has a NaN or"
                    f" +inf, or no species is possible; {_NO_NUMBERS}"
                )
        if self.ood_score is not None and not (finite := np.isfinite(self.ood_score)).all():
            row = int(finite.argmin())
            raise NotFiniteError(
                f"scores: photo {self.photo_ids[row]!r} has an OOD score of {self.ood_score[row]};"
                f" {_NO_NUMBERS}"
            )

    def __len__(self) -> int:
        return len(self.photo_ids)

    def __repr__(self) -> str:
        """Return the sizes, without the logits."""
        known, failed = int((self.truth >= 0).sum()), len(self.failures)
        return (
            f"Scores({len(self):,} photos, {known:,} of a known species, {len(self.species):,}"
            f" species, {len(set(self.countries)):,} countries, {failed:,} failures)"
        )

    def probabilities(self) -> NDArray[np.float64]:
        """Return the softmax of the logits, [photos, species]; rows sum to 1."""
        return softmax(self.logits)

    def take(self, rows: NDArray[Any] | slice) -> Scores:
        """Return the scores of some rows (numbers, a mask or a slice), in that order.

        The logits of consecutive rows are a view, not a copy.
        """
        numbers = np.arange(len(self))[rows]
        place: NDArray[np.intp] | slice = numbers
        if len(numbers) and (np.diff(numbers) == 1).all():
            place = slice(int(numbers[0]), int(numbers[-1]) + 1)
            if len(numbers) == len(self):
                return self
        texts = {name: getattr(self, name) for name in _TEXTS}
        return replace(
            self,
            logits=self.logits[place],
            truth=self.truth[place],
            ood_score=None if self.ood_score is None else self.ood_score[place],
            sha256=None if self.sha256 is None else self.sha256[place],
            **{
                name: own[place] if isinstance(place, slice) else tuple(own[n] for n in place)
                for name, own in texts.items()
            },
        )

    def blocks(self, adjustment: Adjustment | None = None) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Iterate over blocks of rows and their logits, with the adjustment applied.

        A block holds about 2 MiB of logits, whatever the number of photos.
        """
        for rows in row_blocks(self.logits):
            yield rows, self._adjusted(rows, adjustment)

    def for_each_block(
        self, work: Callable[[slice, NDArray[Any]], None], adjustment: Adjustment | None = None
    ) -> None:
        """Call ``work`` with the rows and logits of each block, in threads and in any order."""
        for_each_block(self.logits, lambda rows: work(rows, self._adjusted(rows, adjustment)))

    def _adjusted(self, rows: slice, adjustment: Adjustment | None) -> NDArray[Any]:
        return adjustment.adjust(self.take(rows)).logits if adjustment else self.logits[rows]

    def with_species(self, species: SpeciesList) -> Scores:
        """Return the scores with the columns in the order of ``species``.

        Raises:
            InputError: a species is in one of the lists only.
        """
        if only := set(species.names) ^ set(self.species.names):
            raise InputError(
                f"species {min(only)!r} is in one list of species only; both must name the same"
            )
        columns = np.array([self.species.index(name) for name in species], dtype=np.int64)
        place = np.append(np.argsort(columns), -1)  # of each own column; -1 stays -1
        return replace(
            self, logits=self.logits[:, columns], truth=place[self.truth], species=species
        )

    def write(self, path: str | Path) -> Path:
        """Write an .npz file atomically, without pickle and with uncompressed logits."""
        arrays = {
            "format": np.array(FORMAT),
            "logits": self.logits,
            "truth": self.truth,
            **({} if self.ood_score is None else {"ood_score": self.ood_score}),
            **({} if self.sha256 is None else {"sha256": self.sha256}),
            **{name: _text(getattr(self, name)) for name in _TEXTS},
            "species": _text(self.species.names),
            "failures": _text([json.dumps(astuple(f)) for f in self.failures]),
        }
        return write_npz(path, arrays, stored=("logits", "sha256"))


_TEXTS = ("photo_ids", "countries", "observations")


def concatenate(parts: Sequence[Scores]) -> Scores:
    """Concatenate the rows of scores of the same species.

    Raises:
        InputError: two parts have different species, or the same photo.
    """
    first = parts[0]
    for number, part in enumerate(parts[1:], start=2):
        require_same_species(
            first.species,
            part.species,
            names=("the first scores", f"scores {number}"),
            fix="score all photos with one model",
        )
    return Scores(
        logits=np.concatenate([part.logits for part in parts]),
        truth=np.concatenate([part.truth for part in parts]),
        species=first.species,
        failures=tuple(failure for part in parts for failure in part.failures),
        ood_score=joined([part.ood_score for part in parts if len(part)]),
        sha256=joined([part.sha256 for part in parts if len(part)]),
        **{name: tuple(text for part in parts for text in getattr(part, name)) for name in _TEXTS},
    )


def joined(parts: Sequence[NDArray[Any] | None]) -> NDArray[Any] | None:
    """Concatenate OOD scores or digests; return None if any part has none."""
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if known and len(known) == len(parts) else None


def softmax(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return the softmax over the last axis in float64; each row has a finite logit."""
    found = log_probabilities(logits)
    return np.exp(found, out=found)


def log_probabilities(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return the log-softmax over the last axis in float64; each row has a finite logit."""
    if logits.ndim == 1:
        return log_probabilities(logits[None])[0]
    found = np.empty(logits.shape)
    for rows in row_blocks(logits):  # blocks stay in the processor's cache
        part, shifted = logits[rows], found[rows]
        np.subtract(part, part.max(axis=-1, keepdims=True), out=shifted, dtype=np.float64)
        shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return found


def ranked(values: NDArray[np.floating[Any]], species: SpeciesList) -> list[int]:
    """Return the columns by decreasing value; equal values by name.

    Args:
        values: of one photo, [species].
        species: the columns.
    """
    found: list[int] = np.lexsort((np.array(species.alphabetical), -values)).tolist()
    return found


def read_scores(path: str | Path) -> Scores:
    """Read a scores file; logits of 64 MiB and more are memory-mapped.

    Raises:
        InputError: the file is missing, damaged or no scores file; the message names it.
    """
    arrays = read_npz(path, what="scores file")
    needed = {"format", "logits", "truth", "species", "failures", *_TEXTS}
    if missing := needed - arrays.keys():
        raise InputError(f"{path}: not a scores file of ophis: no {min(missing)!r} in it")
    seen: dict[str, str] = {}  # equal strings share memory
    with content_of(path, "not a scores file of ophis, or damaged"):
        for name, kinds in (("logits", "f"), ("truth", "iu"), ("ood_score", "f")):
            if name in arrays and arrays[name].dtype.kind not in kinds:
                raise InputError(f"{name} has numbers of type {arrays[name].dtype}")
        return Scores(
            logits=arrays["logits"],
            truth=arrays["truth"],
            species=SpeciesList(_lines(arrays["species"])),
            failures=tuple(PhotoFailure(*json.loads(x)) for x in _lines(arrays["failures"])),
            ood_score=arrays.get("ood_score"),
            sha256=arrays.get("sha256"),
            **{
                name: tuple(seen.setdefault(t, t) for t in map(plain_text, _lines(arrays[name])))
                for name in _TEXTS
            },
        )


def _text(texts: Sequence[str]) -> NDArray[np.uint8]:
    """Return strings as bytes of JSON: NumPy pads strings to the longest and cuts NULs."""
    return np.frombuffer(json.dumps(list(texts)).encode(), dtype=np.uint8)


def _lines(array: NDArray[np.uint8]) -> tuple[str, ...]:
    return tuple(json.loads(array.tobytes()))
