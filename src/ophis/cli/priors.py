"""Command that fits a prior."""

from __future__ import annotations

import sys
from contextlib import contextmanager
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
    from collections.abc import Generator, Mapping

    from ophis.datasets.manifest import Manifest
    from ophis.datasets.occurrences.occurrences import Occurrences
    from ophis.priors.fitting import FittedPrior
    from ophis.priors.location_fitting import LocationFit
    from ophis.scores.scores import Scores

_NONE_WRITTEN = "no prior is clearly better than the image alone: none is written"


def fit_prior(
    manifest: Path | None = None,
    /,
    *,
    out: Path,
    occurrences: Path | None = None,
    photos: Path | None = None,
    follow_links: FollowLinks = False,
    validation: Path | None = None,
    range_map: Path | None = None,
    overrides: Path | None = None,
    as_published: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> None:
    """Fit a prior: how probable each species is in each country, or at each place.

    A .csv file gets p(species | country), the paper's Eq. 1. A .toml file gets Bayes' rule with
    smoothed p(species | country). With validation scores it gets Bayes' rule or the range map if
    the cross-validated log loss is clearly below that of the image alone, else nothing is written.
    With occurrence records it gets p(species | place) too, for photos with a position.

    Args:
        manifest: The training photos; with --occurrences they may be left out, and the records are
            counted by country.
        out: The prior to write, .csv or .toml; the tables of a .toml file are written beside it.
        occurrences: Records of the species: CSV with species,latitude,longitude[,accuracy_m], or a
            download of GBIF or iNaturalist. Records of other species are dropped and counted.
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

    if not (manifest or occurrences):
        raise InputError("give a manifest of training photos, or records with --occurrences")
    inputs = (*tables_of(manifest), occurrences, validation, range_map, overrides)
    refuse_overlap(inputs, files=prior_files(out))
    scores = read_scores(validation) if validation else None
    options: dict[str, Any] = {
        "range_map": read_range_map_option(range_map) if range_map else None,
        "overrides": read_overrides(overrides) if overrides else (),
        "as_published": as_published,
    }
    train = _photos(manifest, photos, follow_links=follow_links)
    records = _records(occurrences, train, scores)
    files = {"train": manifest, "validation": validation, "occurrences": occurrences}
    with _naming(files), waiting("fitting the prior"):
        fitted = fit(train, out, occurrences=records, validation=scores, **options)
    _print_dropped(records, occurrences)
    if json:
        print_json(_facts(fitted, records) | {"prior": out if fitted.prior else None})
    else:
        _print(fitted, len(scores) if scores else 0, out)


def _photos(manifest: Path | None, photos: Path | None, *, follow_links: bool) -> Manifest | None:
    from ophis.cli.terminal.progress import waiting

    if manifest is None:
        return None
    with waiting(f"reading {manifest}"):
        return read_photos_option(manifest, photos, follow_links=follow_links)


def _records(
    path: Path | None, train: Manifest | None, scores: Scores | None
) -> Occurrences | None:
    """Read the records of the species of the prior."""
    if path is None:
        return None
    from ophis import read_occurrences
    from ophis.cli.terminal.progress import waiting

    species = scores.species if scores else train.species_list() if train else None
    with waiting(f"reading {path}"):
        return read_occurrences(path, species=species)


def _print_dropped(records: Occurrences | None, path: Path | None) -> None:
    """Report on stderr the rows of a file that are no records, by reason."""
    if records is None:
        return
    from ophis.datasets.occurrences.cleaning import REASONS

    print(f"ophis: {path}: {len(records):,} of {records.rows:,} rows are used", file=sys.stderr)
    for reason, rows in records.dropped.items():
        print(f"ophis: {path}: {rows:,} dropped: {REASONS[reason]}", file=sys.stderr)


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
    if fitted.location:
        print(_location_line(fitted.location))
    print(out if fitted.prior else f"{_NONE_WRITTEN}; leave --prior out")


@contextmanager
def _naming(files: Mapping[str, Path | None]) -> Generator[None]:
    """Write the file in place of the parameter's name at the beginning of an error."""
    try:
        yield
    except InputError as error:
        name, _, rest = str(error).partition(": ")
        raise (InputError(f"{files[name]}: {rest}") if files.get(name) else error) from None


def _location_line(fit: LocationFit) -> str:
    records = fit.records
    line = f"{records.count.sum():,} records of {records.known.sum():,} species at places"
    if not fit.losses:
        return f"{line}, in too few cells to choose the kernels: the defaults"
    losses = ", ".join(f"{name} {loss:.4f}" for name, loss in fit.losses.items())
    return f"{line}; log loss of {fit.tested:,} in cells not learned from: {losses}"


def _facts(fitted: FittedPrior, records: Occurrences | None) -> dict[str, Any]:
    """Return the JSON values; an infinite loss is null, because JSON has no infinity."""
    choice, counts, fit = fitted.choice, fitted.counts, fitted.location
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
        "records": len(records) if records else None,
        "dropped": dict(records.dropped) if records else None,
        "location": vars(fit.settings) | {"losses": fit.losses, "tested": fit.tested}
        if fit
        else None,
    }
