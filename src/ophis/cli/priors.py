"""Verbs about what a country says, and priors that other verbs are given."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ophis.errors import InputError

if TYPE_CHECKING:
    from ophis.prior import Prior
    from ophis.taxa import SpeciesList


def given_prior(path: Path, species: SpeciesList, *, say: bool = True) -> Prior:
    """A prior; names of one country in it are counted together, and that is said."""
    from ophis.prior import read_prior
    from ophis.tables import one_country

    prior = read_prior(path, species)
    for names in prior.merged() if say else ():
        print(f"ophis: {path}: {one_country(names)}", file=sys.stderr)
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
        validation: Scores of photos that are neither trained on nor judged by, to choose with.
        presence: Which species lives where: a row a species, a column a country, 1 and 0.
        rules: What you know better: country,species,probability (0 excludes, `add` adds).
    """
    from ophis import CountryPrior, read_manifest, read_scores
    from ophis.bayes import BayesPrior, choose_prior, read_rules
    from ophis.presence import read_presence
    from ophis.tables import one_country, print_choice

    if out.suffix != ".toml" and (validation or presence or rules):
        raise InputError(f"{out}: --validation, --presence and --rules need a prior in .toml")
    scores = read_scores(validation) if validation else None
    counts = CountryPrior.fit(
        read_manifest(manifest, photos=photos), species=scores.species if scores else None
    )
    print(f"{len(counts.countries):,} countries, {len(counts.species):,} species")
    for names in counts.merged():
        print(one_country(names))
    if out.suffix != ".toml":
        counts.write(out)
        print(out)
        return
    lists = read_presence(presence) if presence else None
    known_better = read_rules(rules) if rules else ()
    if scores:
        choice = choose_prior(counts, scores, presence=lists, rules=known_better)
        print_choice(choice)
        prior = choice.prior
    else:
        prior = BayesPrior(counts, presence=lists, rules=known_better)
    if prior is None:
        print("the image alone wins: no prior is written; leave --prior out")
        return
    prior.write(out)
    print(out)
