"""File of a prior: CSV counts, or TOML settings with their tables beside them."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from ophis.errors import InputError
from ophis.priors.bayes import Settings, bayes_prior
from ophis.priors.country_counts import counts_prior, read_counts
from ophis.priors.prior import part_of
from ophis.priors.range_maps import range_map_prior

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
    return [path, path.with_suffix(".csv"), *parts]


def _read_settings(path: Path, species: SpeciesList | None) -> Prior:
    """Read the prior of a TOML file and of the tables beside it."""
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such prior") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as TOML: {error}") from None
    kind = settings.pop("kind", None)
    kinds = {
        "bayes": (
            bayes_prior,
            {field.name for field in fields(Settings)} | {"range_map", "overrides"},
        ),
        "country_counts": (counts_prior, {"merge_names"}),
        "range_map": (range_map_prior, {"absent", "temperature"}),
    }
    if kind not in kinds:
        raise InputError(f"{path}: kind = {kind!r} should be one of {sorted(kinds)}")
    make, keys = kinds[kind]
    if odd := sorted(settings.keys() ^ keys):
        raise InputError(
            f"{path}: key {odd[0]!r} is missing or not known; a {kind} prior has {sorted(keys)}"
        )
    for name, value in settings.items():
        wanted = bool if name in ("range_map", "overrides", "merge_names") else float
        if not isinstance(value, wanted):
            raise InputError(f"{path}: {name} = {value!r} should be a {wanted.__name__}, as in 1.0")
    try:
        return make(path, settings, species)
    except InputError as error:  # those of tables beside it name their file themselves
        text = str(error)
        raise InputError(text if text.startswith(str(path.parent)) else f"{path}: {text}") from None
