"""Command that fits a prior."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ophis.cli.options import (
    FollowLinks,
    Json,
    read_photos_option,
    read_range_map_option,
    tables_of,
)
from ophis.cli.terminal.streams import print_json
from ophis.errors import InputError
from ophis.files.overlap import refuse_overlap

if TYPE_CHECKING:
    from ophis.priors.fitting import FittedPrior


_NONE_WRITTEN = "no prior is clearly better than the image alone: none is written"


def fit_prior(
    manifest: Path,
    /,
    *,
    out: Path,
    photos: Path | None = None,
    follow_links: FollowLinks = False,
    validation: Path | None = None,
    range_map: Path | None = None,
    overrides: Path | None = None,
    as_published: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> None:
    """Fit a prior: how probable each species is in each country.

    A .csv file gets p(species | country), the paper's Eq. 1. A .toml file gets Bayes' rule with
    smoothed p(species | country). With validation scores it gets Bayes' rule or the range map if
    the cross-validated log loss is clearly below that of the image alone, else nothing is written.

    Args:
        manifest: The training photos.
        out: The prior to write, .csv or .toml; the tables of a .toml file are written beside it.
        photos: Folder of the photos of a SnakeCLEF table; by default that of the table.
        follow_links: Read photos that links or a column `folder` put elsewhere; for your own files.
        validation: Scores of photos that are neither trained nor evaluated on, to choose the prior.
            Half of them is used; `ophis export` fits its guarantees on the other half.
        range_map: Countries of each species: one row a species, one column a country, 1 and 0.
        overrides: Known probabilities: country,species,probability; 0 excludes, `add` adds.
        as_published: Write the paper's prior as a .toml file that keeps two names of one country
            apart, as the paper's table does.
        json: Print one JSON object: the prior that is written, or null, and all losses.
    """
    from ophis import read_scores
    from ophis.cli.terminal.progress import waiting
    from ophis.priors.fitting import fit_prior as fit
    from ophis.priors.overrides import read_overrides
    from ophis.priors.prior_file import prior_files

    inputs = (*tables_of(manifest), validation, range_map, overrides)
    refuse_overlap(inputs, files=prior_files(out))
    scores = read_scores(validation) if validation else None
    options = {
        "range_map": read_range_map_option(range_map) if range_map else None,
        "overrides": read_overrides(overrides) if overrides else (),
        "as_published": as_published,
    }
    with waiting(f"reading {manifest}"):
        train = read_photos_option(manifest, photos, follow_links=follow_links)
    try:
        with waiting("fitting the prior"):
            fitted = fit(train, out, validation=scores, **options)
    except InputError as error:
        raise _with_file(error, train=manifest, validation=validation) from None
    if json:
        print_json(_facts(fitted) | {"prior": out if fitted.prior else None})
    else:
        _print(fitted, len(scores) if scores else 0, out)


def _print(fitted: FittedPrior, validation_photos: int, out: Path) -> None:
    from ophis.cli.terminal.tables import one_country, print_choice

    counts = fitted.counts
    print(f"{len(counts.countries):,} countries, {len(counts.species):,} species")
    for names in counts.merged():
        print(one_country(names))
    if fitted.choice:
        chosen = f"chosen on {fitted.fitting_photos:,} of {validation_photos:,} photos"
        print(f"{chosen}, the rest is for guarantees")
        print_choice(fitted.choice)
    print(out if fitted.prior else f"{_NONE_WRITTEN}; leave --prior out")


def _with_file(error: InputError, **files: Path | None) -> InputError:
    """Return the error with the file in place of the parameter's name at its beginning."""
    name, _, rest = str(error).partition(": ")
    return InputError(f"{files[name]}: {rest}") if files.get(name) else error


def _facts(fitted: FittedPrior) -> dict[str, Any]:
    """Return the JSON values; an infinite loss is null, because JSON has no infinity."""
    choice, counts = fitted.choice, fitted.counts
    losses = choice.losses if choice else {}
    return {
        "countries": len(counts.countries),
        "species": len(counts.species),
        "one_country": counts.merged(),
        "chosen_on_photos": choice.photos if choice else None,
        "losses": {name: loss if isfinite(loss) else None for name, loss in losses.items()},
        "gains": {
            name: {"gain": gain, "standard_error": error}
            for name, (gain, error) in (choice.gains if choice else {}).items()
            if isfinite(gain)
        },
    }
