"""File of a prior: CSV counts, or TOML settings with their tables beside them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ophis.errors import InputError
from ophis.files.content import content_of, read_toml
from ophis.priors.bayes import Settings, bayes_prior
from ophis.priors.country_counts import counts_prior, read_counts
from ophis.priors.location import LocationSettings, location_prior
from ophis.priors.prior import part_of
from ophis.priors.range_maps import range_map_prior
from ophis.priors.records import records_file

if TYPE_CHECKING:
    from ophis.priors.prior import Prior
    from ophis.taxonomy.species_list import SpeciesList


def read_prior(path: str | Path, species: SpeciesList | None = None) -> Prior:
    """Read a prior: .csv is that of country counts, .toml any other.

    Args:
        path: file that `Prior.write` wrote.
        species: the columns and their order; by default the sorted species of the counts.

    Raises:
        InputError: the file is missing or damaged; the message names it.
    """
    path = Path(path)
    return _read_settings(path, species) if path.suffix == ".toml" else read_counts(path, species)


def prior_files(path: Path) -> list[Path]:
    """Return the files that a prior of this name may have: a .toml file and its tables."""
    if path.suffix != ".toml":
        return [path]
    parts = (part_of(path, name) for name in ("range_map", "overrides", "species"))
    return [path, path.with_suffix(".csv"), *parts, records_file(path)]


def _read_settings(path: Path, species: SpeciesList | None) -> Prior:
    """Read the prior of a TOML file and of the tables beside it."""
    settings = read_toml(path, "prior")
    with content_of(path, "not a prior of ophis"):
        return _prior_of(path, settings, species)


def _prior_of(path: Path, settings: dict[str, Any], species: SpeciesList | None) -> Prior:
    kind = settings.pop("kind", None)
    bayes = {field.name for field in fields(Settings)} | {"range_map", "overrides"}
    kinds = {
        "bayes": (bayes_prior, bayes),
        "country_counts": (counts_prior, {"merge_names"}),
        "location": (location_prior, bayes | {field.name for field in fields(LocationSettings)}),
        "range_map": (range_map_prior, {"absent", "temperature"}),
    }
    if kind not in kinds:
        raise InputError(f"kind = {kind!r} should be one of {sorted(kinds)}")
    make, keys = kinds[kind]
    if odd := sorted(settings.keys() ^ keys):
        raise InputError(
            f"key {odd[0]!r} is missing or not known; a {kind} prior has {sorted(keys)}"
        )
    for name, value in settings.items():
        if name == "bandwidths_km":
            settings[name] = tuple(value) if isinstance(value, list) else (value,)
        wanted = bool if name in ("range_map", "overrides", "merge_names") else float
        parts = settings[name] if name == "bandwidths_km" else [value]
        if not all(isinstance(part, wanted) for part in parts):
            raise InputError(f"{name} = {value!r} should be a {wanted.__name__}, as in 1.0")
    return make(path, settings, species)
