"""Command about places: list the dangerous snakes of a place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ophis.cli.options import Json, Named, as_typed
from ophis.cli.terminal.streams import print_json
from ophis.errors import InputError

if TYPE_CHECKING:
    from ophis.priors.prior import Prior


def near(
    place: Annotated[Named, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    prior: Path | None = None,
    language: str = "en",
    json: Json = False,
) -> None:
    """List the medically important snakes to expect at a place, without a photo.

    By country from a table of facts (docs/danger.md). The list is not complete.

    Args:
        place: A country, by name or ISO code; or a position, latitude,longitude in decimal degrees:
            6.9,79.9. The position is in no output.
        prior: A bundle folder or a prior of `ophis fit-prior`: adds probabilities, and if it was
            fitted on occurrences, the records within 100 km of a position.
        language: Language of the sentences: en, es, fr, hi, pt or sw; es-MX is es.
        json: One JSON object.
    """
    from ophis.cli.terminal.nearby import print_near
    from ophis.priors.near import near as snakes_near

    found = snakes_near(
        as_typed(place), prior=_read_any_prior(prior) if prior else None, language=language
    )
    if json:
        print_json(found.as_dict())
    else:
        print_near(found)


def _read_any_prior(path: Path) -> Prior:
    """Read a prior, or that of a bundle."""
    if not path.is_dir():
        from ophis.priors.prior_file import read_prior

        return read_prior(path)
    from ophis.inference.bundles.bundle import read_bundle

    if found := read_bundle(path).prior:
        return found
    raise InputError(f"{path}: this bundle has no prior; leave --prior out, or give another")
