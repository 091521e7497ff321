"""Fit of a prior to training photos, as `ophis fit-prior` does it."""

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
from ophis.priors.selection import choose_prior
from ophis.scores.validation import validation_halves

if TYPE_CHECKING:
    from ophis.datasets.manifest import Manifest
    from ophis.priors.overrides import Override
    from ophis.priors.prior import Prior
    from ophis.priors.range_maps import RangeMap
    from ophis.priors.selection import PriorChoice
    from ophis.scores.scores import Scores

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class FittedPrior:
    """Result of `fit_prior`.

    Attributes:
        counts: training photos by country and species.
        prior: the prior that is written; None if none is clearly better than the image alone.
        choice: losses of the candidates; None without validation scores.
        fitting_photos: number of validation photos that the prior is chosen on.
    """

    counts: CountryPrior
    prior: Prior | None
    choice: PriorChoice | None = None
    fitting_photos: int = 0


def fit_prior(
    train: Manifest,
    out: str | Path,
    *,
    validation: Scores | None = None,
    range_map: RangeMap | None = None,
    overrides: tuple[Override, ...] = (),
    as_published: bool = False,
) -> FittedPrior:
    """Fit a prior and write it.

    A CSV file gets the counts of the paper's Eq. 1, a TOML file Bayes' rule with smoothed
    p(species | country). With validation scores the TOML file gets a prior only if it is clearly
    better than the image alone, see `selection.choose_prior`.

    Args:
        train: training photos; unlabelled ones do not count.
        out: file to write, .csv or .toml; the tables of a .toml file are written beside it.
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
    out = Path(out)
    smoothed = _is_smoothed(
        out, as_published, extras=validation is not None or bool(range_map or overrides)
    )
    fitting = _fitting_half(validation)
    if validation is not None:
        _require_unseen(validation, train)
    try:
        counts = CountryPrior.fit(train, species=validation.species if validation else None)
    except InputError as error:
        raise InputError(f"train: {error}") from None
    counts = replace(counts, merge_names=not as_published)
    if not smoothed:
        fitted = FittedPrior(counts, counts)
    elif fitting is None:
        fitted = FittedPrior(counts, BayesPrior(counts, range_map=range_map, overrides=overrides))
    else:
        choice = choose_prior(counts, fitting, range_map=range_map, overrides=overrides)
        fitted = FittedPrior(counts, choice.prior, choice, len(fitting))
    if fitted.prior:
        fitted.prior.write(out)
    return fitted


def _is_smoothed(out: Path, as_published: bool, *, extras: bool) -> bool:
    """Return True for Bayes' rule, False for the paper's counts."""
    toml = out.suffix == ".toml"
    if extras and not toml:
        raise InputError(f"{out}: validation scores, range map and overrides need a prior in .toml")
    if as_published and (extras or not toml):
        raise InputError(
            f"{out}: the paper's prior as published is a .toml file, without validation scores,"
            " range map and overrides"
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
