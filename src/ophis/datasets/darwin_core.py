"""Darwin Core archives: occurrences and their photos.

Implements the Darwin Core text guide (https://dwc.tdwg.org/text/): `meta.xml` describes the members
of the core and the extensions, their delimiters and the term of each column.
"""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import polars as pl

from ophis.datasets.archive import open_archive, open_member
from ophis.datasets.darwin_core_meta import KEY, META, read_meta
from ophis.errors import InputError
from ophis.files.tables import Rows
from ophis.taxonomy.scientific_names import is_above_species

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator
    from pathlib import Path

    from ophis.datasets.darwin_core_meta import Part

# Kept as further columns where the archive has them: identification, rights, position.
_OCCURRENCE_TERMS = (
    "scientificName", "taxonRank", "occurrenceID", "basisOfRecord", "eventDate",
    "decimalLatitude", "decimalLongitude",
)  # fmt: skip
_PHOTO_TERMS = ("license", "creator", "rightsHolder")
_TERMS = (
    KEY, *_OCCURRENCE_TERMS, *_PHOTO_TERMS, "countryCode", "country", "associatedMedia",
    "identifier", "accessURI", "type", "format",
)  # fmt: skip
_PHOTO_TYPES = ("Multimedia", "Image")
_ABOVE_SPECIES = frozenset({
    "kingdom", "phylum", "class", "order", "suborder", "infraorder", "superfamily", "family",
    "subfamily", "tribe", "genus", "subgenus",
})  # fmt: skip
_NOWHERE = frozenset({"ZZ", "XZ"})  # GBIF's codes for an unknown country and for the high seas
_NO_PHOTOS = re.compile(r"sound|moving ?image|audio|video", re.IGNORECASE)
_MAX_LINE_CHARACTERS = 1 << 20


def read_darwin_core(path: Path) -> Rows:
    """Read one row per photo of the multimedia extension, with the terms of its occurrence.

    Without that extension, the URLs in `associatedMedia` of the occurrences are read. Sounds and
    films are skipped. `photo` is the path of a member, or the path of the URL (as `wget
    --force-directories --no-host-directories` saves it). `observation` is the occurrence's id. A
    name above the species gives an empty species; `scientificName` keeps it.

    Raises:
        InputError: naming the archive, the member, the row and the fix.
    """
    with open_archive(path) as archive:
        core, photos = _parts(path, read_meta(path, archive, terms=_TERMS))
        occurrences: dict[str, tuple[str, dict[str, str]]] = {}
        for place, cells in _read_part(path, archive, core):
            if cells[KEY] in occurrences:
                raise InputError(f"{place}: id {cells[KEY]!r} is there twice; keep one")
            occurrences[cells[KEY]] = place, cells
        if photos:
            found = list(_of_extension(_read_part(path, archive, photos), occurrences))
        else:
            found = list(_of_core(occurrences))
    if not found:
        raise InputError(f"{path}: there is no photo; export the occurrences with their multimedia")
    places, rows = zip(*found, strict=True)
    table = pl.DataFrame(rows, schema=dict.fromkeys(rows[0], pl.String), orient="row")
    # One photo may show the snakes of two occurrences.
    shared = pl.col("photo_id").is_duplicated()
    own = pl.concat_str("observation", "photo_id", separator=" ")
    table = table.with_columns(photo_id=pl.when(shared).then(own).otherwise("photo_id"))
    return Rows(path, table, lambda row: places[row])


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
    rows: Iterator[tuple[str, dict[str, str]]], occurrences: dict[str, tuple[str, dict[str, str]]]
) -> Iterator[tuple[str, dict[str, str]]]:
    for place, cells in rows:
        if _NO_PHOTOS.search(f"{cells.get('type', '')} {cells.get('format', '')}"):
            continue
        if cells[KEY] not in occurrences:
            raise InputError(f"{place}: there is no occurrence {cells[KEY]!r}; remove the row")
        url = cells.get("accessURI") or cells.get("identifier", "")
        yield place, _photo(place, url, occurrences[cells[KEY]][1], cells)


def _of_core(
    occurrences: dict[str, tuple[str, dict[str, str]]],
) -> Iterator[tuple[str, dict[str, str]]]:
    for place, cells in occurrences.values():
        for url in cells.get("associatedMedia", "").split("|"):
            if url.strip():
                yield place, _photo(place, url.strip(), cells, cells)


def _photo(
    place: str, url: str, occurrence: dict[str, str], photo: dict[str, str]
) -> dict[str, str]:
    """Return the row of one photo."""
    name, rank = occurrence.get("scientificName", ""), occurrence.get("taxonRank", "")
    above = rank.lower() in _ABOVE_SPECIES or is_above_species(name)
    country = occurrence.get("countryCode", "")
    country = "" if country.upper() in _NOWHERE else country or occurrence.get("country", "")
    return {
        "photo_id": url,
        "photo": _path_of(place, url),
        "species": "" if above else name,
        "country": country,
        "observation": occurrence[KEY],
        **{term: occurrence.get(term, "") for term in _OCCURRENCE_TERMS},
        **{term: photo.get(term) or occurrence.get(term, "") for term in _PHOTO_TERMS},
    }


def _path_of(place: str, url: str) -> str:
    """Return the path of a photo in the folder: its URL without scheme and host."""
    if not re.match("https?://", url, re.IGNORECASE):
        return url
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InputError(f"{place}: {url!r} is no URL: {error}") from None
    query = f"?{parts.query}".replace("/", "%2F") if parts.query else ""
    return unquote(parts.path).lstrip("/") + query


def _read_part(
    path: Path, archive: zipfile.ZipFile, part: Part
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the place of each non-empty row and its trimmed cells by term."""
    for name in part.files:
        place = f"{path}, {name}"
        with open_member(path, archive, name) as member:
            try:
                yield from _read_cells(
                    io.TextIOWrapper(member, part.encoding, newline=""), place, part
                )
            except LookupError:
                raise InputError(
                    f"{place}: encoding {part.encoding!r} is unknown; correct {META}"
                ) from None
            except UnicodeError:  # some codecs do not raise the subclass UnicodeDecodeError
                raise InputError(
                    f"{place}: is not in {part.encoding}, the encoding in {META}; correct either"
                ) from None


def _read_cells(
    text: io.TextIOWrapper, place: str, part: Part
) -> Iterator[tuple[str, dict[str, str]]]:
    quoting = csv.QUOTE_MINIMAL if part.quote else csv.QUOTE_NONE
    reader = csv.reader(
        _lines(text, place),
        delimiter=part.delimiter,
        quotechar=part.quote or None,
        quoting=quoting,
        strict=True,
    )
    line, widest = 1, 0
    try:
        for cells in reader:
            widest = max(widest, len(cells))
            if line > part.header_lines and any(cells):
                row = f"{place}, row {line}"
                found = {
                    term: cells[column].strip() if column < len(cells) else ""
                    for term, column in part.columns.items()
                }
                if not found[KEY]:
                    raise InputError(f"{row}: its id is empty; fill it in, or remove the row")
                yield row, {t: found.get(t) or part.defaults.get(t, "") for t in _TERMS}
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{place}, row {line}: {error}; export the table again") from None
    if line > part.header_lines + 1:  # at least one row
        _require_columns(part, widest, place)


def _require_columns(part: Part, widest: int, place: str) -> None:
    for term, column in part.columns.items():
        if column >= widest:
            raise InputError(
                f"{place}: has {widest} columns, but {META} puts {term or 'the id'} in column"
                f" {column + 1}; correct either"
            )


def _lines(text: io.TextIOWrapper, place: str) -> Iterator[str]:
    """Yield lines of a limited length."""
    number = 0
    while line := text.readline(_MAX_LINE_CHARACTERS):
        number += 1
        if len(line) == _MAX_LINE_CHARACTERS:
            raise InputError(
                f"{place}, row {number}: is longer than a row can be; correct the row's quotes"
            )
        # Some encodings keep the byte order mark before the first id.
        yield line.removeprefix("\ufeff") if number == 1 else line
