"""Options of several commands: their types, and the readers of the files that they name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ophis.priors.prior import Prior
    from ophis.priors.range_maps import PresenceMap
    from ophis.taxonomy.species_list import SpeciesList

Json = Annotated[bool, Parameter(negative="")]
TtaKinds = Annotated[tuple[Literal["flip", "crops"], ...], Parameter(negative="")]

# The parser tries `str` first, so that it does not turn a name into a path. Shells complete both
# types as files.
Named = str | Path

# The parser takes a lone "-" for an option; `main` replaces it by this.
STANDARD_INPUT = "(standard input)"


def as_typed(name: Named) -> str:
    """Return a name as it was typed."""
    return "-" if str(name) == STANDARD_INPUT else str(name)


def read_prior_option(path: Path, species: SpeciesList) -> Prior:
    """Read a prior, and list on stderr the names of one country that it counts together."""
    from ophis.priors.prior_file import read_prior

    prior = read_prior(path, species)
    print_merged_countries(prior.merged(), path)
    return prior


def read_presence_option(path: Path) -> PresenceMap:
    """Read a presence map, and list on stderr the names of one country or species in it."""
    from ophis.priors.range_maps import read_presence

    presence = read_presence(path)
    for names in presence.joined():
        print(f"ophis: {path}: one and the same: {', '.join(map(repr, names))}", file=sys.stderr)
    return presence


def print_merged_countries(merged: Iterable[tuple[str, ...]], place: object) -> None:
    """List on stderr the names of one country that a prior counts together."""
    from ophis.cli.terminal.tables import one_country

    for names in merged:
        print(f"ophis: {place}: {one_country(names)}", file=sys.stderr)
