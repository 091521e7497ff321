"""Darwin Core archives: occurrences and their photos, in our columns.

After the Darwin Core text guide (https://dwc.tdwg.org/text/): `meta.xml` says which member holds
the core and which the extensions, how cells are parted, and which column is which term.
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

# Kept beside our columns, where the archive has them: what was said, whose the photo is, where.
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
_MOST_LETTERS_A_LINE = 1 << 20


def read_darwin_core(path: Path) -> Rows:
    """A row a photo: each photo of the multimedia extension with what its occurrence says.

    Without that extension the addresses in the occurrences' `associatedMedia` are taken. Sounds and
    films are passed over. `photo` is the path of a member, or the path in the photo's address as
    `wget --force-directories --no-host-directories` keeps it. `observation` is the occurrence's id.
    A name of a rank above the species is no species; `scientificName` keeps it.

    Raises:
        InputError: naming the archive, the member, the row and the mend.
    """
    with open_archive(path) as archive:
        core, photos = _parts(path, read_meta(path, archive, terms=_TERMS))
        occurrences: dict[str, tuple[str, dict[str, str]]] = {}
        for place, cells in _read_part(path, archive, core):
            if cells[KEY] in occurrences:
                raise InputError(f"{place}: id {cells[KEY]!r} stands twice; keep one")
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
    """The core and the first extension that holds photos."""
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
            raise InputError(f"{place}: there is no occurrence {cells[KEY]!r}; take the row out")
        address = cells.get("accessURI") or cells.get("identifier", "")
        yield place, _photo(place, address, occurrences[cells[KEY]][1], cells)


def _of_core(
    occurrences: dict[str, tuple[str, dict[str, str]]],
) -> Iterator[tuple[str, dict[str, str]]]:
    for place, cells in occurrences.values():
        for address in cells.get("associatedMedia", "").split("|"):
            if address.strip():
                yield place, _photo(place, address.strip(), cells, cells)


def _photo(
    place: str, address: str, occurrence: dict[str, str], photo: dict[str, str]
) -> dict[str, str]:
    """The row of one photo in our columns."""
    name, rank = occurrence.get("scientificName", ""), occurrence.get("taxonRank", "")
    above = rank.lower() in _ABOVE_SPECIES or is_above_species(name)
    country = occurrence.get("countryCode", "")
    country = "" if country.upper() in _NOWHERE else country or occurrence.get("country", "")
    return {
        "photo_id": address,
        "photo": _path_of(place, address),
        "species": "" if above else name,
        "country": country,
        "observation": occurrence[KEY],
        **{term: occurrence.get(term, "") for term in _OCCURRENCE_TERMS},
        **{term: photo.get(term) or occurrence.get(term, "") for term in _PHOTO_TERMS},
    }


def _path_of(place: str, address: str) -> str:
    """Where a photo lies in the folder: its address without scheme and host."""
    if not re.match("https?://", address, re.IGNORECASE):
        return address
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise InputError(f"{place}: {address!r} is no address: {error}") from None
    query = f"?{parts.query}".replace("/", "%2F") if parts.query else ""
    return unquote(parts.path).lstrip("/") + query


def _read_part(
    path: Path, archive: zipfile.ZipFile, part: Part
) -> Iterator[tuple[str, dict[str, str]]]:
    """Place and cells by term, trimmed, of each row that has any filled."""
    for name in part.files:
        place = f"{path}, {name}"
        with open_member(path, archive, name) as member:
            try:
                yield from _read_cells(
                    io.TextIOWrapper(member, part.encoding, newline=""), place, part
                )
            except LookupError:
                raise InputError(f"{place}: encoding {part.encoding!r} is not known") from None
            except UnicodeError:  # the kind for bytes (UnicodeDecodeError) is not every codec's
                raise InputError(
                    f"{place}: is not {part.encoding}, as {META} says; mend either"
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
                    raise InputError(f"{row}: its id is empty; the row belongs to no occurrence")
                yield row, {t: found.get(t) or part.defaults.get(t, "") for t in _TERMS}
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{place}, row {line}: {error}; write the table again") from None
    if line > part.header_lines + 1:  # there was a row
        _require_columns(part, widest, place)


def _require_columns(part: Part, widest: int, place: str) -> None:
    for term, column in part.columns.items():
        if column >= widest:
            raise InputError(
                f"{place}: has {widest} columns, but {META} puts {term or 'the id'} in column"
                f" {column + 1}; mend either"
            )


def _lines(text: io.TextIOWrapper, place: str) -> Iterator[str]:
    """Lines of a length that fits into memory."""
    number = 0
    while line := text.readline(_MOST_LETTERS_A_LINE):
        number += 1
        if len(line) == _MOST_LETTERS_A_LINE:
            raise InputError(f"{place}, row {number}: is longer than a row can be; refused")
        # A byte order mark, which not every encoding takes out, is no part of the first id.
        yield line.removeprefix("\ufeff") if number == 1 else line
