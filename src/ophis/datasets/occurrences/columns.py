"""Columns of occurrence files of every form, as one form: species, position, accuracy, country."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from ophis.datasets.darwin_core import ABOVE_SPECIES
from ophis.datasets.inaturalist import accuracy_metres
from ophis.datasets.occurrences import coordinates
from ophis.datasets.sources import by_text
from ophis.errors import InputError
from ophis.geography.countries import country_code, read_country
from ophis.taxonomy.scientific_names import scientific_name
from ophis.taxonomy.spelling import species_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ophis.files.tables import Rows

NEEDED = ("species", "latitude", "longitude")
# Records of no living wild animal: https://rs.gbif.org/vocabulary/dwc/basis_of_record.xml.
_NOT_LIVING = ("fossilspecimen", "livingspecimen")
_KEPT = ("managed", "captive", "cultivated")  # establishmentMeans, degreeOfEstablishment
# The issues of `hasGeospatialIssues`; others name a position that GBIF has corrected.
_ISSUES = "ZERO_COORDINATE|COORDINATE_OUT_OF_RANGE|COORDINATE_INVALID|COUNTRY_COORDINATE_MISMATCH"
# Open nomenclature, hybrids and concepts, in the form of `scientific_name`.
_NOT_ONE_SPECIES = r"\b(?:cf|aff|nr|sp)\.|[?×/+]| (?:complex|group|agg\.?)$"
_OTHER_NAMES = {
    "latitude": ("lat", "latitud", "y"),
    "longitude": ("lon", "long", "lng", "longitud", "x"),
    "species": ("scientificname", "scientific name", "name", "taxon", "binomial"),
}


def standard_columns(rows: Rows) -> Rows:
    """Return the rows with `species, latitude, longitude, accuracy_km, country, dropped`.

    Species are in the form of `scientific_name`. Coordinates are numbers, null where missing;
    `accuracy_km` is null where unknown; `country` is the alpha-2 code that the source states, or
    ""; `dropped` is a key of `cleaning.REASONS` for a row that is no record of a wild animal at a
    place, else null.

    Rows of Darwin Core and iNaturalist come from a service, so that wrong cells are dropped; in a
    table of one's own they are errors.

    Raises:
        InputError: naming the file and the missing column, or the row with a wrong cell.
    """
    form = _form(rows)
    own = form is _plain and not rows.published
    found = rows.table.columns
    rows = rows.with_table(rows.table.select(**form(found), reason=_reason(found)))
    species = by_text(rows, "species", species_name, unknown="") if own else rows.table["species"]
    rows = rows.with_table(rows.table.with_columns(_mapped(species, scientific_name)))
    rows = rows.with_table(rows.table.with_columns(dropped=_first_reason()))
    if own:
        coordinates.refuse_wrong(rows, rows.table["dropped"].is_null())
        metres = pl.col("metres").cast(pl.Float64, strict=False)
        bad = (pl.col("metres") != "") & (
            metres.is_null() | ~metres.is_between(0, coordinates.MAX_METRES)
        )
        rows.refuse_first(bad, "accuracy_m {metres!r} should be a number of metres, or empty")
        by_text(rows, "country", read_country, unknown="")
    return rows.with_table(_numbers(rows.table))


def _form(rows: Rows) -> Callable[[list[str]], dict[str, pl.Expr]]:
    """Return the reader of the form that the columns show."""
    names = set(rows.table.columns)
    degrees = {"decimalLatitude", "decimalLongitude"}
    if degrees & names and not {"latitude", "longitude"} & names:
        species = "species" if "species" in names else "scientificName"
        form, needed = _darwin_core, (species, *sorted(degrees))
    elif "species" not in names and {"scientific_name", "taxon_species_name"} & names:
        form, needed = _inaturalist, ("latitude", "longitude")
    else:
        form, needed = _plain, NEEDED
    if missing := [name for name in needed if name not in names]:
        raise InputError(_missing(rows, missing, needed))
    return form


def _missing(rows: Rows, missing: list[str], needed: Sequence[str]) -> str:
    names = rows.table.columns
    fix = [
        f"rename {found!r} to {name}"
        for name in missing
        for found in names
        if found.strip().casefold() in _OTHER_NAMES.get(name, ())
    ]
    found = ", ".join(map(repr, names[:8])) or "no column"
    verb = "columns are" if len(missing) > 1 else "column is"
    needs = f"needed are {','.join(needed)}, found {found}"
    return f"{rows.path}: {verb} missing: {', '.join(missing)}; {', '.join(fix) or needs}"


def _plain(found: list[str]) -> dict[str, pl.Expr]:
    return _texts(found, metres="accuracy_m", country="country")


def _darwin_core(found: list[str]) -> dict[str, pl.Expr]:
    species = [pl.col(name) for name in ("species", "scientificName") if name in found]
    code, name = _text(found, "countryCode"), _text(found, "country")
    return {
        "species": _first_filled(*species),
        "latitude": pl.col("decimalLatitude"),
        "longitude": pl.col("decimalLongitude"),
        "metres": _text(found, "coordinateUncertaintyInMeters"),
        "country": pl.when(code.str.contains("^[A-Za-z]{2}$")).then(code).otherwise(name),
    }


def _inaturalist(found: list[str]) -> dict[str, pl.Expr]:
    species = [pl.col(name) for name in ("taxon_species_name", "scientific_name") if name in found]
    texts = _texts(found, metres="", country="place_country_name")
    return texts | {"species": _first_filled(*species), "metres": accuracy_metres(found)}


def _reason(found: list[str]) -> pl.Expr:
    """Return what the columns of any form say against a record, or null."""
    basis = _text(found, "basisOfRecord").str.to_lowercase().str.replace_all("[^a-z]", "")
    means = [_text(found, name) for name in ("establishmentMeans", "degreeOfEstablishment")]
    kept = pl.any_horizontal(
        *(text.str.to_lowercase().is_in(_KEPT) for text in means),
        *(_is_true(found, name) for name in ("captive", "captive_cultivated")),
    )
    status = _text(found, "occurrenceStatus").str.to_lowercase()
    issue = _text(found, "issue").str.contains(_ISSUES) | _is_true(found, "hasGeospatialIssues")
    return (
        pl.when((status == "absent") | (_text(found, "individualCount") == "0"))
        .then(pl.lit("absent"))
        .when(basis.is_in(_NOT_LIVING) | kept)
        .then(pl.lit("not_wild"))
        .when(~_text(found, "quality_grade").is_in(("", "research")))
        .then(pl.lit("unconfirmed"))
        .when(_text(found, "taxonRank").str.to_lowercase().is_in(ABOVE_SPECIES))
        .then(pl.lit("unnamed"))
        .when(issue)
        .then(pl.lit("flagged"))
    )


def _texts(found: list[str], *, metres: str, country: str) -> dict[str, pl.Expr]:
    own = {name: _text(found, name) for name in NEEDED}
    return own | {"metres": _text(found, metres), "country": _text(found, country)}


def _text(found: list[str], name: str) -> pl.Expr:
    return pl.col(name) if name in found else pl.lit("")


def _is_true(found: list[str], name: str) -> pl.Expr:
    return _text(found, name).str.to_lowercase().is_in(("true", "1", "yes"))


def _first_filled(*texts: pl.Expr) -> pl.Expr:
    filled = [pl.when(text != "").then(text) for text in texts]
    return pl.coalesce(*filled, pl.lit(""))


def _first_reason() -> pl.Expr:
    """Return the first reason to drop a row by its text, or null."""
    species, empty = pl.col("species"), pl.col("latitude").eq("") | pl.col("longitude").eq("")
    unnamed = ~species.str.contains(" ", literal=True) | species.str.contains(_NOT_ONE_SPECIES)
    return pl.coalesce(
        "reason",
        pl.when(unnamed).then(pl.lit("unnamed")).when(empty).then(pl.lit("no_position")),
    )


def _numbers(table: pl.DataFrame) -> pl.DataFrame:
    """Return numbers for coordinates and accuracy, codes for countries."""
    wrong = pl.any_horizontal(map(coordinates.is_wrong, coordinates.LIMITS))
    metres = pl.col("metres").cast(pl.Float64, strict=False)
    known = metres.is_finite() & (metres > 0)  # Darwin Core: zero is no uncertainty
    return table.select(
        "species",
        *(
            pl.when(~wrong).then(coordinates.degrees(name)).alias(name)
            for name in coordinates.LIMITS
        ),
        pl.when(known).then(metres / 1000).alias("accuracy_km"),
        _mapped(table["country"], lambda text: country_code(text) or ""),
        pl.coalesce("dropped", pl.when(wrong).then(pl.lit("no_number"))).alias("dropped"),
    )


def _mapped(texts: pl.Series, function: Callable[[str], str]) -> pl.Series:
    """Return the function of each text; each distinct text is read once."""
    distinct = texts.unique().to_list()
    return texts.replace_strict(distinct, list(map(function, distinct)), return_dtype=pl.String)
