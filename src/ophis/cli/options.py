"""Options of several commands: their types, and the readers of the files that they name."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from ophis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from cyclopts import Token

    from ophis.datasets.manifest import Manifest
    from ophis.priors.prior import Prior
    from ophis.priors.range_maps import RangeMap
    from ophis.taxonomy.species_list import SpeciesList


def _whole(_: object, tokens: Sequence[Token]) -> int:
    """Convert an option; the parser itself would round 2.7 and read 0x3."""
    text = tokens[0].value
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise ValueError(f"{text!r} should be a whole number")
    return int(text)


Whole = Annotated[int, Parameter(converter=_whole)]
Json = Annotated[bool, Parameter(negative="")]
FollowLinks = Annotated[bool, Parameter(negative="")]
TtaKinds = Annotated[tuple[Literal["flip", "crops"], ...], Parameter(negative="")]

# The parser tries `str` first, so that it does not turn a name into a path. Shells complete both
# types as files.
Named = str | Path

DANGER_CONFIDENCE = 0.95  # as in `ophis.decision.rule`, which loads slowly

# The parser takes a lone "-" for an option; `main` replaces it by this.
STANDARD_INPUT = "(standard input)"


def as_typed(name: Named) -> str:
    """Return a name as it was typed."""
    return "-" if str(name) == STANDARD_INPUT else str(name)


def tables_of(source: Path | None) -> list[Path]:
    """Return the files that are read of a manifest, a pack or a folder of photos."""
    from ophis.datasets.folders.photo_tree import METADATA
    from ophis.datasets.shards.metadata import is_pack

    if source is None:
        return []
    if not source.is_dir() or is_pack(source):
        return [source]
    return [source / name for name in METADATA]


def read_photos_option(
    path: Path, photos: Path | None, *, follow_links: bool, named: str = "--photos"
) -> Manifest:
    """Read a manifest, and report on stderr species that are written in several ways.

    An error about a link or a folder names the options that allow it.

    Args:
        path: the manifest.
        photos: the folder of its photos.
        follow_links: see `read_manifest`.
        named: the option that gives ``photos``.
    """
    from ophis.datasets.renaming import species_in_several_ways
    from ophis.datasets.sources import read_manifest

    with naming_options(named):
        manifest = read_manifest(path, photos=photos, follow_links=follow_links)
    if several := species_in_several_ways(manifest):
        first = " and ".join(map(repr, several[0]))
        print(
            f"ophis: {path}: {len(several):,} species are written in several ways, such as {first};"
            " each spelling is a species of its own (ophis collect --merge-names makes them one)",
            file=sys.stderr,
        )
    return manifest


@contextmanager
def naming_options(photos: str = "--photos") -> Generator[None]:
    """Write the options instead of the parameters in an error about a link or a folder."""
    try:
        yield
    except InputError as error:
        message = str(error).replace("by follow_links", "by --follow-links")
        message = message.replace("by photos", f"by {photos}")
        raise InputError(message, reason=error.reason) from None


def confidence_option(confidence: float) -> float | None:
    """Return the confidence of the guarantee on the danger; 0 is on average, None."""
    if not 0 <= confidence < 1:
        raise InputError(
            f"--danger-confidence {confidence:g} should be above 0 and below 1, or 0: on average"
        )
    return confidence or None


def read_prior_option(path: Path, species: SpeciesList) -> Prior:
    """Read a prior, and list on stderr the names of one country that it counts together."""
    from ophis.priors.prior_file import read_prior

    prior = read_prior(path, species)
    print_merged_countries(prior.merged(), path)
    return prior


def read_range_map_option(path: Path) -> RangeMap:
    """Read a range map, and list on stderr the names of one country or species in it."""
    from ophis.priors.range_maps import read_range_map

    range_map = read_range_map(path)
    for names in range_map.joined():
        print(f"ophis: {path}: one and the same: {', '.join(map(repr, names))}", file=sys.stderr)
    return range_map


def print_merged_countries(merged: Iterable[tuple[str, ...]], place: object) -> None:
    """List on stderr the names of one country that a prior counts together."""
    from ophis.cli.terminal.tables import one_country

    for names in merged:
        print(f"ophis: {place}: {one_country(names)}", file=sys.stderr)
