"""Verbs about what a country says, and priors that other verbs are given."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ophis.errors import InputError

if TYPE_CHECKING:
    from ophis.presence import PresenceMap
    from ophis.prior import Prior
    from ophis.taxa import SpeciesList


def given_presence(path: Path) -> PresenceMap:
    """A map of who lives where; names of one country or one species in it are said."""
    from ophis.presence import read_presence

    presence = read_presence(path)
    for names in presence.joined():
        print(f"ophis: {path}: one and the same: {', '.join(map(repr, names))}", file=sys.stderr)
    return presence


def say_merged(prior: Prior, place: str | Path) -> None:
    """Say on stderr which names of one country a prior counts together."""
    from ophis.tables import one_country

    for names in prior.merged():
        print(f"ophis: {place}: {one_country(names)}", file=sys.stderr)


def given_prior(path: Path, species: SpeciesList, *, say: bool = True) -> Prior:
    """A prior; names of one country in it are counted together, and that is said."""
    from ophis.prior import read_prior

    prior = read_prior(path, species)
    if say:
        say_merged(prior, path)
    return prior


def fit_prior(
    manifest: Path,
    /,
    *,
    out: Path,
    photos: Path | None = None,
    validation: Path | None = None,
    presence: Path | None = None,
    rules: Path | None = None,
) -> None:
    """Learn what a country says of the species.

    To a .csv goes p(species | country), the paper's Eq. 1. To a .toml goes what wins on validation
    scores: Bayes' rule with smoothed p(species | country), lists of presence, or neither.

    Args:
        manifest: The training photos.
        out: The prior to write, .csv or .toml; tables that belong to a .toml go beside it.
        photos: Where the photos of a SnakeCLEF table lie; by default beside the table.
        validation: Scores of photos that are neither trained on nor judged by, to choose with: half
            of them, the same half as `ophis export` takes; it promises on the others.
        presence: Which species lives where: a row a species, a column a country, 1 and 0.
        rules: What you know better: country,species,probability (0 excludes, `add` adds).
    """
    from ophis import CountryPrior, read_manifest, read_scores
    from ophis.bayes import BayesPrior
    from ophis.decision import halves
    from ophis.prior_choice import choose_prior
    from ophis.rules import read_rules
    from ophis.tables import one_country, print_choice

    if out.suffix != ".toml" and (validation or presence or rules):
        raise InputError(f"{out}: --validation, --presence and --rules need a prior in .toml")
    scores = read_scores(validation) if validation else None
    # On the others the export of the run makes its promises: they must not have been fitted on.
    fitting, _ = halves(scores) if scores is not None else (None, None)
    if fitting is not None and not (fitting.truth >= 0).any():
        raise InputError(
            f"{validation}: in the half to choose with no species is known; add photos"
        )
    rows = read_manifest(manifest, photos=photos)
    try:
        counts = CountryPrior.fit(rows, species=scores.species if scores else None)
    except InputError as error:
        raise InputError(f"{manifest}: {error}") from None
    print(f"{len(counts.countries):,} countries, {len(counts.species):,} species")
    for names in counts.merged():
        print(one_country(names))
    if out.suffix != ".toml":
        counts.write(out)
        print(out)
        return
    lists = given_presence(presence) if presence else None
    known_better = read_rules(rules) if rules else ()
    if scores and fitting:
        print(f"chosen on {len(fitting):,} of {len(scores):,} photos, the rest is for promises")
        choice = choose_prior(counts, fitting, presence=lists, rules=known_better)
        print_choice(choice)
        prior = choice.prior
    else:
        prior = BayesPrior(counts, presence=lists, rules=known_better)
    if prior is None:
        print("the image alone wins: no prior is written; leave --prior out")
        return
    prior.write(out)
    print(out)
