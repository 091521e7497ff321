"""Split of a manifest into training and validation photos, stratified by species."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ophis.datasets.groups import join_groups
from ophis.datasets.manifest import is_repeated, require_manifest_path
from ophis.datasets.near_duplicates import near_duplicate_groups
from ophis.errors import InputError, require_whole
from ophis.files.overlap import refuse_overlap

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from ophis.datasets.manifest import Manifest


def split(
    manifest: Manifest,
    fraction: float = 0.2,
    *,
    seed: int = 0,
    near_duplicates: bool = True,
    groups: NDArray[np.int64] | None = None,
    train: str | Path | None = None,
    validation: str | Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[Manifest, Manifest]:
    """Split a manifest species by species, and keep groups of photos together.

    Photos of one observation, with one path, or that are near duplicates stay in one part, and so
    do those of each of ``groups``. Groups that share a photo are joined.

    Args:
        manifest: labelled photos.
        fraction: of the photos of each species for validation, in (0, 1).
        seed: equal seeds give equal splits.
        near_duplicates: read every photo and group near duplicates; see `near_duplicate_groups`.
        groups: [photos], further groups; photos with equal numbers stay together.
        train: file to write the training part to.
        validation: file to write the validation part to.
        progress: called with 1 after each photo that is read.

    Returns:
        The training and the validation part, rows in their order. A species of two groups or more
        is in both parts; a species of one group is in the training part only. Where groups mix
        species, this is not always possible: then every species is in the training part.

    Raises:
        InputError: before a photo is read, when ``fraction`` is out of range, a photo has no
            species, a file cannot be written, ``groups`` does not have one number for each photo,
            or both parts are written to one file.
    """
    for path in (train, validation):
        if path is not None:
            require_manifest_path(path)
    require_whole("seed", seed, least=0)
    if not 0 < fraction < 1:
        raise InputError(f"fraction = {fraction} should lie between 0 and 1")
    if groups is not None and len(groups) != len(manifest):
        raise InputError(
            f"groups has {len(groups)} numbers for {len(manifest)} photos; give one for each photo"
        )
    refuse_overlap((), files=[path for path in (train, validation) if path is not None])
    if manifest.table["species"].has_nulls():
        raise InputError("a photo without a species cannot be split by species; label it")
    duplicates = near_duplicate_groups(manifest, progress=progress) if near_duplicates else None
    given = (_first_rows(manifest, "observation"), _first_rows(manifest, "photo"))
    chosen = _validation_rows(manifest, join_groups(*given, groups, duplicates), fraction, seed)
    parts = manifest.take(~chosen), manifest.take(chosen)
    for part, path in zip(parts, (train, validation), strict=True):
        if path is not None:
            part.write(path)
    return parts


def _validation_rows(
    manifest: Manifest, groups: NDArray[np.int64], fraction: float, seed: int
) -> NDArray[np.bool_]:
    """Return the mask of the validation photos, [photos]."""
    species = _species_numbers(manifest)
    order = np.argsort(species, kind="stable")
    ends = np.cumsum(np.bincount(species))
    chosen = np.zeros(len(manifest), bool)
    for number, rows in enumerate(np.split(order, ends[:-1])):
        rng = np.random.default_rng([seed, number])
        chosen[_choose_groups(rows, groups, fraction, rng)] = True
    # A group whose photos have different species follows any of them that was chosen.
    chosen = np.isin(groups, groups[chosen])
    _return_species(chosen, species, groups)
    return chosen


def _first_rows(manifest: Manifest, column: str) -> NDArray[np.int64]:
    """Return the first row with the same text for each row, [photos]."""
    if not is_repeated(manifest.table[column]):
        return np.arange(len(manifest))
    rows = manifest.table.select(column).with_row_index("row")
    first = rows.select(pl.col("row").first().over(column).cast(pl.Int64))
    return first.to_series().to_numpy()


def _species_numbers(manifest: Manifest) -> NDArray[np.int64]:
    """Return the position of each photo's species in the sorted list, from 1, [photos]."""
    names = manifest.species_list().names
    numbers = manifest.table["species"].cast(pl.Enum(names)).to_physical()
    return numbers.cast(pl.Int64).to_numpy() + 1


def _choose_groups(
    rows: NDArray[np.intp], groups: NDArray[np.int64], fraction: float, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Choose whole groups of one species in random order until the fraction is reached."""
    own, sizes = np.unique(groups[rows], return_counts=True)
    if len(own) < 2:
        return rows[:0]
    order = rng.permutation(len(own))
    reached = np.cumsum(sizes[order])
    # As near to the fraction as whole groups allow: at least one group, never all.
    number = int(np.abs(reached - fraction * len(rows)).argmin()) + 1
    number = min(number, len(own) - 1)
    return rows[np.isin(groups[rows], own[order[:number]])]


def _return_species(
    chosen: NDArray[np.bool_], species: NDArray[np.int64], groups: NDArray[np.int64]
) -> None:
    """Return a species' smallest group to the training part where all its photos were chosen.

    Changes ``chosen`` in place. This happens only where groups mix species; a species without
    training photos cannot be evaluated.
    """
    for number in np.setdiff1d(species, species[~chosen]):
        rows = species == number
        if chosen[rows].all():  # not returned with an earlier species of its group
            own, sizes = np.unique(groups[rows], return_counts=True)
            chosen[groups == own[sizes.argmin()]] = False
