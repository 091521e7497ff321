"""Command that fits a prior."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ophis.cli.options import Json, read_range_map_option
from ophis.errors import InputError

if TYPE_CHECKING:
    from ophis.priors.country_counts import CountryPrior
    from ophis.priors.overrides import Override
    from ophis.priors.prior import Prior
    from ophis.priors.range_maps import RangeMap
    from ophis.priors.selection import Choice
    from ophis.scores.scores import Scores


def fit_prior(
    manifest: Path,
    /,
    *,
    out: Path,
    photos: Path | None = None,
    validation: Path | None = None,
    range_map: Path | None = None,
    overrides: Path | None = None,
    json: Json = False,
) -> None:
    """Learn what a country says of the species.

    To a .csv goes p(species | country), the paper's Eq. 1. To a .toml goes what wins on validation
    scores: Bayes' rule with smoothed p(species | country), the range map, or neither.

    Args:
        manifest: The training photos.
        out: The prior to write, .csv or .toml; tables that belong to a .toml go beside it.
        photos: Where the photos of a SnakeCLEF table lie; by default beside the table.
        validation: Scores of photos that are neither trained on nor judged by, to choose with: half
            of them, the same half as `ophis export` takes; it guarantees on the others.
        range_map: Which species lives where: a row a species, a column a country, 1 and 0.
        overrides: What you know better: country,species,probability (0 excludes, `add` adds).
        json: One JSON object: the prior that was written, or null, and what each choice costs.
    """
    from ophis import read_scores
    from ophis.cli.terminal.tables import one_country, print_choice, print_json
    from ophis.priors.bayes import BayesPrior
    from ophis.priors.overrides import read_overrides

    if out.suffix != ".toml" and (validation or range_map or overrides):
        raise InputError(f"{out}: --validation, --range-map and --overrides need a prior in .toml")
    scores = read_scores(validation) if validation else None
    fitting = _fitting(scores, validation)
    counts = _counted(manifest, photos, scores)
    lines = [f"{len(counts.countries):,} countries, {len(counts.species):,} species"]
    lines += map(one_country, counts.merged())
    prior: Prior | None = counts
    choice = None
    if out.suffix == ".toml":
        lists = read_range_map_option(range_map) if range_map else None
        better = read_overrides(overrides) if overrides else ()
        prior = BayesPrior(counts, range_map=lists, overrides=better)
        if scores and fitting:
            lines.append(
                f"chosen on {len(fitting):,} of {len(scores):,} photos, the rest is for guarantees"
            )
            choice = _chosen(counts, fitting, range_map=lists, overrides=better)
            prior = choice.prior
    if prior:
        prior.write(out)
    if json:
        print_json(_facts(counts, choice) | {"prior": out if prior else None})
        return
    print(*lines, sep="\n")
    if choice:
        print_choice(choice)
    print(out if prior else "the image alone wins: no prior is written; leave --prior out")


def _fitting(scores: Scores | None, path: Path | None) -> Scores | None:
    """The half to choose with; on the others the export of the run makes its guarantees."""
    from ophis.scores.validation import validation_halves

    if scores is None:
        return None
    fitting, _ = validation_halves(scores)
    if not (fitting.truth >= 0).any():
        raise InputError(f"{path}: in the half to choose with no species is known; add photos")
    return fitting


def _counted(manifest: Path, photos: Path | None, scores: Scores | None) -> CountryPrior:
    from ophis import CountryPrior, read_manifest
    from ophis.cli.terminal.progress import waiting

    with waiting(f"reading {manifest}"):
        rows = read_manifest(manifest, photos=photos)
    try:
        return CountryPrior.fit(rows, species=scores.species if scores else None)
    except InputError as error:
        raise InputError(f"{manifest}: {error}") from None


def _chosen(
    counts: CountryPrior,
    fitting: Scores,
    *,
    range_map: RangeMap | None,
    overrides: tuple[Override, ...],
) -> Choice:
    from ophis.cli.terminal.progress import waiting
    from ophis.priors.selection import choose_prior

    with waiting("trying one prior after the other"):
        return choose_prior(counts, fitting, range_map=range_map, overrides=overrides)


def _facts(counts: CountryPrior, choice: Choice | None) -> dict[str, Any]:
    """For programs; of a prior that excludes the truth of some the loss is null."""
    losses = choice.losses if choice else {}
    return {
        "countries": len(counts.countries),
        "species": len(counts.species),
        "one_country": counts.merged(),
        "chosen_on_photos": choice.photos if choice else None,
        "losses": {name: loss if isfinite(loss) else None for name, loss in losses.items()},
    }
