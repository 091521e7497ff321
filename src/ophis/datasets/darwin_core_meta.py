"""Description of a Darwin Core archive, `meta.xml`: members, delimiters and terms of columns."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from xml.parsers import expat

from ophis.datasets.archive import open_member
from ophis.errors import InputError

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Collection
    from pathlib import Path

META = "meta.xml"
KEY = ""  # in place of a term: id of the occurrence
NO_MEDIA = (
    "GBIF's simple download lists no photos; download the same occurrences as 'Darwin Core Archive'"
)
_HEADER_BYTES = 1 << 12
_MAX_BYTES = 1 << 20
_ESCAPES = {r"\t": "\t", r"\n": "\n", r"\r\n": "\r\n", r"\r": "\r"}


@dataclass
class Part:
    """Core or extension of an archive.

    Attributes:
        core: True for the core, False for an extension.
        row_type: last word of the row type's URI: `Occurrence`, `Multimedia`.
        delimiter: between cells.
        quote: around cells; empty for none.
        encoding: of the members.
        header_lines: lines to skip at the start of each member.
        line_end: at the end of rows.
        files: members with the rows.
        columns: column by term (last word of its URI); `KEY` for the occurrence's id.
        defaults: value by term for rows without a cell.
    """

    core: bool
    row_type: str
    delimiter: str
    quote: str
    encoding: str
    header_lines: int
    line_end: str
    files: list[str] = field(default_factory=list)
    columns: dict[str, int] = field(default_factory=dict)
    defaults: dict[str, str] = field(default_factory=dict)


def find_meta(path: Path, archive: zipfile.ZipFile) -> str:
    """Return the member `meta.xml`, at the top or in the one folder that has it.

    Raises:
        InputError: naming the archive, when it is no Darwin Core archive.
    """
    names = [name for name in archive.namelist() if not name.startswith("__MACOSX/")]
    found = [name for name in names if PurePosixPath(name).name == META]
    if META in found or len(found) == 1:
        return META if META in found else found[0]
    if found:
        raise InputError(f"{path}: has {found[0]} and {found[1]}; make an archive of each folder")
    files = [name for name in names if not name.endswith("/")]
    if len(files) == 1 and files[0].lower().endswith((".csv", ".txt", ".tsv")):
        with archive.open(files[0]) as member:
            simple = b"gbifID" in member.read(_HEADER_BYTES)
        fix = NO_MEDIA if simple else "unpack it and name the table"
        raise InputError(f"{path}: holds the table {files[0]} and no {META}; {fix}")
    raise InputError(
        f"{path}: member {META!r} is missing, so it is no Darwin Core archive; get the archive"
        " again, or, if it holds photos, unpack it and name the folder"
    )


def read_meta(
    path: Path, archive: zipfile.ZipFile, name: str, *, terms: Collection[str]
) -> list[Part]:
    """Read `meta.xml`: the core, then the extensions.

    A document type is refused before it is read, because it may declare entities.

    Args:
        path: of the archive, for messages.
        archive: from `open_archive`.
        name: the member, see `find_meta`; others are beside it.
        terms: last words of the terms to read; others are skipped.

    Raises:
        InputError: naming the archive and the fault in its description.
    """
    with open_member(path, archive, name) as member:
        text = member.read(_MAX_BYTES + 1)
    if len(text) > _MAX_BYTES:
        raise InputError(f"{path}: {META} is over 1 MiB, too large for a description")
    parser = expat.ParserCreate(namespace_separator=" ")
    meta = _Meta(f"{path}, {name}", name.removesuffix(META), terms)
    parser.StartDoctypeDeclHandler = meta.doctype
    parser.StartElementHandler = meta.start
    parser.CharacterDataHandler = meta.characters
    parser.EndElementHandler = meta.end
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise InputError(f"{path}: {META} is no XML: {error}; get the archive again") from None
    except InputError:
        raise
    except (LookupError, ValueError) as error:  # an unknown or wrong encoding
        raise InputError(f"{path}: {META} cannot be read: {error}; write it in UTF-8") from None
    return sorted(meta.parts, key=lambda part: not part.core)


class _Meta:
    """Handlers of the expat parser."""

    def __init__(self, place: str, folder: str, terms: Collection[str]) -> None:
        self.parts: list[Part] = []
        self._place = place
        self._folder = folder
        self._terms = terms
        self._text = ""

    def doctype(self, *_: object) -> None:
        raise InputError(f"{self._place}: has a DOCTYPE, which may declare entities; remove it")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._text = ""
        name = name.rpartition(" ")[2]
        if name in ("core", "extension"):
            self.parts.append(self._part(attributes, core=name == "core"))
        elif self.parts and name in ("id", "coreid") and attributes.get("index"):
            self.parts[-1].columns[KEY] = self._number(attributes["index"])
        elif self.parts and name == "field":
            self._field(self.parts[-1], attributes)

    def characters(self, text: str) -> None:
        self._text += text

    def end(self, name: str) -> None:
        if self.parts and name.rpartition(" ")[2] == "location":
            file = self._folder + self._text.strip().removeprefix("./")
            if any(file in part.files for part in self.parts):
                raise InputError(f"{self._place}: names {file!r} twice; keep one location")
            self.parts[-1].files.append(file)

    def _part(self, attributes: dict[str, str], *, core: bool) -> Part:
        """Return the part with the defaults of the text guide, also for empty attributes."""
        delimiter = attributes.get("fieldsTerminatedBy") or ","
        line_end = attributes.get("linesTerminatedBy") or "\n"
        part = Part(
            core=core,
            row_type=_last_word(attributes.get("rowType", "")),
            delimiter=_ESCAPES.get(delimiter, delimiter),
            quote=attributes.get("fieldsEnclosedBy", '"'),
            encoding=attributes.get("encoding", "").strip() or "UTF-8",
            header_lines=self._number(attributes.get("ignoreHeaderLines") or "0"),
            line_end=_ESCAPES.get(line_end, line_end),
        )
        if len(part.delimiter) != 1 or len(part.quote) > 1 or part.delimiter in "\r\n":
            raise InputError(f"{self._place}: cells should be separated and quoted by a character")
        if part.line_end not in ("\n", "\r\n", "\r"):
            raise InputError(f"{self._place}: rows should end with a line break, not {line_end!r}")
        return part

    def _field(self, part: Part, attributes: dict[str, str]) -> None:
        term = _last_word(attributes.get("term", ""))
        if term == KEY or term not in self._terms:
            return
        if attributes.get("index"):
            part.columns.setdefault(term, self._number(attributes["index"]))
        if "default" in attributes:
            part.defaults.setdefault(term, attributes["default"].strip())

    def _number(self, text: str) -> int:
        if not re.fullmatch("[0-9]{1,6}", text.strip()):
            raise InputError(
                f"{self._place}: {text!r} should be the number of a column or of lines"
            )
        return int(text)


def _last_word(uri: str) -> str:
    return re.split("[/#:]", uri)[-1]
