"""Fit of a prior to training photos and occurrence records, as `ophis fit-prior` does it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ophis.datasets.training_photos import (
    UNREADABLE,
    content_digests,
    first_bytes,
    require_unseen,
)
from ophis.errors import InputError
from ophis.priors.bayes import BayesPrior
from ophis.priors.country_counts import CountryPrior
from ophis.priors.location import LocationPrior
from ophis.priors.location_fitting import fit_location, records_by_country
from ophis.priors.selection import choose_prior
from ophis.scores.validation import validation_halves

if TYPE_CHECKING:
    from ophis.datasets.manifest import Manifest
    from ophis.datasets.occurrences.occurrences import Occurrences
    from ophis.priors.location_fitting import LocationFit
    from ophis.priors.overrides import Override
    from ophis.priors.prior import Prior
    from ophis.priors.range_maps import RangeMap
    from ophis.priors.selection import PriorChoice
    from ophis.scores.scores import Scores
    from ophis.taxonomy.species_list import SpeciesList

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class FittedPrior:
    """Result of `fit_prior`.

    Attributes:
        counts: training photos by country and species; without them records by country.
        prior: the prior that is written; None if none is clearly better than the image alone.
        choice: losses of the candidates; None without validation scores.
        fitting_photos: number of validation photos that the prior is chosen on.
        location: fit of the kernels of a prior of positions; None without records.
    """

    counts: CountryPrior
    prior: Prior | None
    choice: PriorChoice | None = None
    fitting_photos: int = 0
    location: LocationFit | None = None


def fit_prior(
    train: Manifest | None,
    out: str | Path,
    *,
    occurrences: Occurrences | None = None,
    validation: Scores | None = None,
    range_map: RangeMap | None = None,
    overrides: tuple[Override, ...] = (),
    as_published: bool = False,
) -> FittedPrior:
    """Fit a prior and write it.

    A CSV file gets the counts of the paper's Eq. 1, a TOML file Bayes' rule with smoothed
    p(species | country), and with occurrence records the prior of positions. With validation scores
    and without records the TOML file gets a prior only if it is clearly better than the image
    alone, see `selection.choose_prior`.

    Args:
        train: training photos; unlabelled ones do not count. None: the records are counted by
            country in their place.
        out: file to write, .csv or .toml; the tables of a .toml file are written beside it.
        occurrences: records of the species by position. Read them by `read_occurrences` with the
            species of ``train``, or of ``validation`` if given: it drops and counts other species,
            which are an error here.
        validation: scores of photos that are neither trained nor evaluated on. Half of them is
            used, because `ophis export` fits its guarantees on the other half. The files of all
            training photos are read, to refuse scores of photos with the same content.
        range_map: countries of each species.
        overrides: values of p(species | country) that replace fitted ones.
        as_published: write the paper's prior to a TOML file, and keep two names of one country
            apart, as the paper's table does.

    Raises:
        InputError: no photo or no validation photo has a known species, a validation photo has the
            content of a training photo, an option needs a .toml file, or ``as_published`` comes
            with another option. The message begins with the parameter or the file.
    """
    out, records = Path(out), occurrences is not None
    extras = records or validation is not None or bool(range_map or overrides)
    smoothed = _is_smoothed(out, as_published, extras=extras)
    fitting = _fitting_half(validation)
    if validation is not None and train is not None:
        _require_unseen(validation, train)
    counts = _counts(train, occurrences, validation.species if validation else None)
    counts = replace(counts, merge_names=not as_published)
    if not smoothed:
        fitted = FittedPrior(counts, counts)
    elif fitting is None:
        fitted = FittedPrior(counts, BayesPrior(counts, range_map=range_map, overrides=overrides))
    else:
        choice = choose_prior(
            counts, fitting, range_map=range_map, overrides=overrides, only_bayes=records
        )
        fitted = FittedPrior(counts, choice.prior, choice, len(fitting))
    if occurrences is not None and isinstance(fitted.prior, BayesPrior):
        fit = fit_location(occurrences.table, counts.species)
        prior = LocationPrior(fitted.prior, fit.records, fit.settings)
        fitted = replace(fitted, prior=prior, location=fit)
    if fitted.prior:
        fitted.prior.write(out)
    return fitted


def _counts(
    train: Manifest | None, occurrences: Occurrences | None, species: SpeciesList | None
) -> CountryPrior:
    """Return the training photos by country and species, or without a manifest the records."""
    if train is None and occurrences is None:
        raise InputError("train: give training photos, or occurrence records to count instead")
    try:
        if train is not None:
            return CountryPrior.fit(train, species=species)
        assert occurrences is not None
        return records_by_country(occurrences.table, species)
    except InputError as error:
        raise InputError(f"{'occurrences' if train is None else 'train'}: {error}") from None


def _is_smoothed(out: Path, as_published: bool, *, extras: bool) -> bool:
    """Return True for Bayes' rule, False for the paper's counts."""
    toml = out.suffix == ".toml"
    if extras and not toml:
        raise InputError(
            f"{out}: records, validation scores, range map and overrides need a prior in .toml"
        )
    if as_published and (extras or not toml):
        raise InputError(
            f"{out}: the paper's prior as published is a .toml file, without records, validation"
            " scores, range map and overrides"
        )
    return toml and not as_published


def _require_unseen(validation: Scores, train: Manifest) -> None:
    """Refuse scores of training photos; training photos that cannot be read are not compared."""
    try:
        scored = first_bytes(validation.sha256)
    except InputError as error:
        raise InputError(f"validation: {error}") from None
    learned = content_digests(train)
    if unread := int((learned == UNREADABLE).sum()):
        _LOGGER.warning(
            "%d of %d training photos cannot be read, so they were not looked for among the"
            " validation photos",
            unread,
            len(learned),
        )
    require_unseen(validation.photo_ids, scored, learned)


def _fitting_half(validation: Scores | None) -> Scores | None:
    if validation is None:
        return None
    fitting, _ = validation_halves(validation)
    if not (fitting.truth >= 0).any():
        raise InputError(
            "validation: no photo of the half to fit on has a known species; add labelled photos"
        )
    return fitting
