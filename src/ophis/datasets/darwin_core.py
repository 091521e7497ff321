"""Darwin Core archives: occurrences and their photos.

Implements the Darwin Core text guide (https://dwc.tdwg.org/text/): `meta.xml` describes the members
of the core and the extensions, their delimiters and the term of each column.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import polars as pl

from ophis.datasets.archive import open_archive
from ophis.datasets.darwin_core_meta import KEY, META, find_meta, read_meta
from ophis.datasets.darwin_core_rows import PassedOver, read_part
from ophis.datasets.occurrences.coordinates import valid_metres, without_wrong
from ophis.errors import InputError
from ophis.files.tables import Rows
from ophis.geography.countries import country_code
from ophis.taxonomy.scientific_names import is_above_species

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ophis.datasets.darwin_core_meta import Part

# Kept as further columns where the archive has them: identification, rights, position.
_OCCURRENCE_TERMS = (
    "scientificName", "taxonRank", "occurrenceID", "basisOfRecord", "eventDate",
)  # fmt: skip
_POSITION_TERMS = {
    "latitude": "decimalLatitude",
    "longitude": "decimalLongitude",
    "accuracy_m": "coordinateUncertaintyInMeters",
}
_PHOTO_TERMS = ("license", "creator", "rightsHolder")
_TERMS = (
    KEY, *_OCCURRENCE_TERMS, *_POSITION_TERMS.values(), *_PHOTO_TERMS, "countryCode",
    "country", "associatedMedia", "identifier", "accessURI", "type", "format",
)  # fmt: skip
_PHOTO_TYPES = ("Multimedia", "Image")
ABOVE_SPECIES = frozenset({
    "kingdom", "phylum", "class", "order", "suborder", "infraorder", "superfamily", "family",
    "subfamily", "tribe", "genus", "subgenus",
})  # fmt: skip
_NOWHERE = frozenset({"ZZ", "XZ"})  # GBIF's codes for an unknown country and for the high seas
_NO_PHOTOS = re.compile(r"sound|moving ?image|audio|video", re.IGNORECASE)
_NEEDED = ("scientificName", "identifier", "accessURI")


def read_darwin_core(path: Path) -> Rows:
    """Read one row per photo of the multimedia extension, with the terms of its occurrence.

    Without that extension, the URLs in `associatedMedia` of the occurrences are read. Sounds and
    films are skipped. `photo` is the path of a member, or the path of the URL (as `wget
    --force-directories --no-host-directories` saves it). `observation` is the occurrence's id. A
    name above the species gives an empty species; `scientificName` keeps it.

    Rows that cannot be used are passed over; a log line has their number, by reason.

    Raises:
        InputError: naming the archive, the member and the fix.
    """
    passed = PassedOver(path)
    with open_archive(path) as archive:
        meta = read_meta(path, archive, find_meta(path, archive), terms=_TERMS)
        core, photos = _parts(path, meta)
        sightings = read_part(path, archive, core, passed=passed, needed=_NEEDED)
        occurrences = _occurrences(sightings, passed)
        if photos:
            media = read_part(path, archive, photos, passed=passed, needed=_NEEDED)
            found = list(_of_extension(media, occurrences, passed))
        else:
            found = list(_of_core(occurrences))
    passed.log()
    if not found:
        raise InputError(f"{path}: there is no photo; export the occurrences with their multimedia")
    places, rows = zip(*found, strict=True)
    table = pl.DataFrame(rows, schema=dict.fromkeys(rows[0], pl.String), orient="row")
    # One photo may show the snakes of two occurrences.
    shared = pl.col("photo_id").is_duplicated()
    own = pl.concat_str("observation", "photo_id", separator=" ")
    table = table.with_columns(photo_id=pl.when(shared).then(own).otherwise("photo_id"))
    table = table.with_columns(*without_wrong(), valid_metres(pl.col("accuracy_m")))
    return Rows(path, table, lambda row: places[row], published=True)


def _occurrences(
    rows: Iterator[tuple[str, dict[str, str]]], passed: PassedOver
) -> dict[str, tuple[str, dict[str, str]]]:
    """Return the place and the cells of each occurrence, by its id."""
    found: dict[str, tuple[str, dict[str, str]]] = {}
    differing: set[str] = set()
    for place, cells in rows:
        key = cells[KEY]
        if not key:
            passed.add("occurrence without an id", place)
        elif key in found:
            passed.add("occurrence whose id is there twice", place)
            if found[key][1] != cells:  # no way to tell the species of its photos
                differing.add(key)
        else:
            found[key] = place, cells
    for key in differing:
        passed.add("occurrence whose id another one has", found.pop(key)[0])
    return found


def _parts(path: Path, parts: list[Part]) -> tuple[Part, Part | None]:
    """Return the core and the first extension with photos."""
    if not parts:
        raise InputError(f"{path}: {META} describes no core; get the archive again")
    core, *extensions = parts
    if core.row_type != "Occurrence":
        raise InputError(f"{path}: its core is {core.row_type!r}; needed is a core of Occurrence")
    if "scientificName" not in core.columns.keys() | core.defaults.keys():
        raise InputError(f"{path}: {META} has no term scientificName; the species are unknown")
    photos = next((part for part in extensions if part.row_type in _PHOTO_TYPES), None)
    if photos and not {"identifier", "accessURI"} & photos.columns.keys():
        raise InputError(f"{path}: {META} has no term identifier in {photos.row_type}")
    for part in filter(None, (core, photos)):
        if KEY not in part.columns:
            raise InputError(f"{path}: {META} gives no id for the rows of {part.row_type}")
    return core, photos


def _of_extension(
    rows: Iterator[tuple[str, dict[str, str]]],
    occurrences: dict[str, tuple[str, dict[str, str]]],
    passed: PassedOver,
) -> Iterator[tuple[str, dict[str, str]]]:
    seen: set[tuple[str, str]] = set()
    for place, cells in rows:
        if _NO_PHOTOS.search(f"{cells.get('type', '')} {cells.get('format', '')}"):
            continue
        key, url = cells[KEY], cells.get("accessURI") or cells.get("identifier", "")
        if key not in occurrences:
            passed.add("media whose occurrence is missing", place)
        elif not url:
            passed.add("media without an address", place)
        elif (key, url) in seen:
            passed.add("media with an address that its occurrence has before", place)
        elif _path_of(url) is None:
            passed.add("media whose address is no URL", place)
        else:
            seen.add((key, url))
            yield place, _photo(url, occurrences[key][1], cells)


def _of_core(
    occurrences: dict[str, tuple[str, dict[str, str]]],
) -> Iterator[tuple[str, dict[str, str]]]:
    for place, cells in occurrences.values():
        urls = map(str.strip, cells.get("associatedMedia", "").split("|"))
        for url in dict.fromkeys(urls):
            if url and _path_of(url) is not None:
                yield place, _photo(url, cells, cells)


def _photo(url: str, occurrence: dict[str, str], photo: dict[str, str]) -> dict[str, str]:
    """Return the row of one photo."""
    name, rank = occurrence.get("scientificName", ""), occurrence.get("taxonRank", "")
    above = rank.lower() in ABOVE_SPECIES or is_above_species(name)
    country = occurrence.get("countryCode", "")
    if country.upper() in _NOWHERE:
        country = ""
    elif not country_code(country):
        country = occurrence.get("country", "") or country
    return {
        "photo_id": url,
        "photo": _path_of(url) or "",
        "species": "" if above else name,
        "country": country,
        "observation": occurrence[KEY],
        **{term: occurrence.get(term, "") for term in _OCCURRENCE_TERMS},
        **{name: occurrence.get(term, "") for name, term in _POSITION_TERMS.items()},
        **{term: photo.get(term) or occurrence.get(term, "") for term in _PHOTO_TERMS},
    }


def _path_of(url: str) -> str | None:
    """Return the path of a photo, its URL without scheme and host; None for no URL."""
    if not re.match("(https?|ftp)://", url, re.IGNORECASE):
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    query = f"?{parts.query}".replace("/", "%2F") if parts.query else ""
    return unquote(parts.path).lstrip("/") + query
