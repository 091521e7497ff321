"""Small CSV tables, such as those of a bundle, by the standard library.

polars is not used here: importing it takes longer than identifying a photo.

Spreadsheets run a cell that begins like a formula, and names come from untrusted files: a species
may be called `=HYPERLINK(...)`. Such a cell is written with a leading apostrophe, the spreadsheets'
own mark of text, and read without it; so is a cell that begins like a comment. Plain numbers stay
unchanged.
"""

from __future__ import annotations

import codecs
import csv
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ophis.errors import InputError
from ophis.files.atomic import whole_file

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

BLANK = " \t\r\n"
MAX_COLUMNS = 10_000  # a submission has one a species
_CHUNK_BYTES = 1 << 20
_FREE_CELLS = 10_000_000  # in memory they take 160 MB, whatever the size of the file
# Leading apostrophes of the cell itself are escaped, too, so that reading restores every cell.
FORMULA = r"^'*[#=+\-@\t\r＝＋－＠]"  # noqa: RUF001 - spreadsheets treat full-width characters as ASCII
NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"  # the whole cell

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_OTHER_KINDS = {  # by first bytes
    b"PK\3\4": "is a workbook or an archive; save the sheet as CSV in UTF-8, or name a .zip",
    b"\xd0\xcf\x11\xe0": "is a workbook; save the sheet as CSV in UTF-8",
    b"PAR1": "is Parquet; give it the suffix .parquet",
    b"ARROW1": "is Arrow; write it as Parquet or CSV",
    b"\x1f\x8b": "is compressed; unpack it and name the table",
    b"[": "is JSON; write one object a line, in a file with the suffix .jsonl",
    b"{": "is JSON; write one object a line, in a file with the suffix .jsonl",
    b"<": "is a web page or XML; save the table as CSV in UTF-8",
}

# The default, 131,072 characters, is below a polygon in a column that nobody reads.
csv.field_size_limit((1 << 31) - 1)


def write_csv(path: str | Path, rows: Iterable[Iterable[object]]) -> Path:
    """Write rows of cells atomically, with cells escaped by `escape_formula`.

    Raises:
        InputError: naming the file when it cannot be written.
    """
    path = Path(path)
    with (
        whole_file(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([escape_formula(str(cell)) for cell in row] for row in rows)
    return path


def escape_formula(cell: str) -> str:
    """Return the cell, with a leading apostrophe where a spreadsheet would run it."""
    return f"'{cell}" if re.match(FORMULA, cell) and not re.fullmatch(NUMBER, cell) else cell


def unescape_formula(cell: str) -> str:
    """Return the cell before `escape_formula`."""
    if cell.startswith("'") and re.match(FORMULA, cell) and not re.fullmatch(NUMBER, cell[1:]):
        return cell[1:]
    return cell


def refuse_other_kind(path: Path) -> None:
    """Refuse a file that is no CSV by its first bytes.

    Raises:
        InputError: naming the file and its kind.
        OSError: when the file cannot be opened or read.
    """
    with path.open("rb") as file:
        start = file.read(6).removeprefix(codecs.BOM_UTF8)
    for first, reason in _OTHER_KINDS.items():
        if start.startswith(first):
            raise InputError(f"{path}: {reason}")
    if b"\0" in start and start[:2] not in _UTF_16:
        raise InputError(f"{path}: is no CSV in UTF-8; save the table as that")


def require_cells(path: Path, columns: int, rows: int, *, per_byte: int = 4) -> None:
    """Refuse a table that takes far more memory than its file, before it is read.

    Args:
        path: the file.
        columns: of the table.
        rows: of the table.
        per_byte: most cells for each byte of the file, of a table of over 10 million cells; rows of
            a CSV may leave out cells at their end.

    Raises:
        InputError: naming the file.
    """
    if columns > MAX_COLUMNS:
        raise InputError(
            f"{path}: has {columns:,} columns, more than {MAX_COLUMNS:,}; take out those that are"
            " not needed"
        )
    if (cells := columns * rows) > max(_FREE_CELLS, per_byte * path.stat().st_size):
        raise InputError(
            f"{path}: would have {cells:,} cells, far more than its size allows; write it again"
        )


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        chunks = iter(partial(file.read, _CHUNK_BYTES), b"")
        return sum(max(chunk.count(b"\n"), chunk.count(b"\r")) for chunk in chunks)


class Layout(NamedTuple):
    """Form of a CSV: encoding, lines before its header, and the character between cells."""

    encoding: str
    lines: int
    separator: str


def layout(path: Path) -> Layout:
    """Return the form of a CSV, as spreadsheets write it.

    The separator is that of the line `sep=;`, or else the most frequent of comma, semicolon and tab
    in the header. Before the header may be empty lines and comments (`#`).

    Raises:
        OSError: when the file cannot be opened or read.
    """
    encoding = _encoding(path)
    before, separator = 0, ""
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        for line in file:
            if found := re.fullmatch(r'"?sep=(.)"?[,;\t]*', line.strip("\r\n"), re.IGNORECASE):
                separator = found[1]
            elif line.strip(BLANK + ",;") and not re.match(r'[ \t]*"?#', line):
                return Layout(encoding, before, separator or separator_of(line))
            before += 1
    return Layout(encoding, before, separator or ",")


def _encoding(path: Path) -> str:
    """Return the encoding by the byte order mark: UTF-16 with one, else UTF-8."""
    with path.open("rb") as file:
        marked = file.read(2) in _UTF_16
    return "utf-16" if marked else "utf-8-sig"


def separator_of(header: str) -> str:
    """Return the most frequent of comma, semicolon and tab outside of quotes."""
    unquoted = re.sub(r'"[^"]*"', "", header)
    return max(",;\t", key=unquoted.count)


def numbered_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the line, from 1, and the cells of each row that is not empty, between commas.

    Cells are unescaped by `unescape_formula`.

    Raises:
        InputError: naming the row that is not CSV, or not UTF-8.
        OSError: when the file cannot be opened or read.
    """
    for line, cells in _rows(path, Layout("utf-8-sig", 0, ",")):
        yield line, [*map(unescape_formula, cells)]


def table_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the line, from 1, and the cells of each row of a `layout`; all rows have one length.

    The first row is the header. Empty rows, comments, and empty cells beyond the header are
    skipped; missing cells at the end are "".

    Raises:
        InputError: naming the row that is not CSV, not of the encoding, or too long.
        OSError: when the file cannot be opened or read.
    """
    form = layout(path)
    width: int | None = None
    for line, cells in _rows(path, form):
        while cells and len(cells) > (width or 0) and not cells[-1].strip(BLANK):
            cells.pop()
        if width is None:
            width = len(cells)
            require_cells(path, width, _lines(path))
        if is_comment(cells, width):
            continue
        if len(cells) > width:
            raise InputError(
                f"{path}, row {line}: has {len(cells)} cells under {width}"
                f" name{'s' if width > 1 else ''}; put a cell with {_named(form.separator)} in"
                " double quotes, or name every column (R: row.names = FALSE)"
            )
        yield line, [*map(unescape_formula, cells)] + [""] * (width - len(cells))


def is_comment(cells: Sequence[str], width: int) -> bool:
    """Return True for `# text`, and for `#text` whose other cells, of a table of some, are empty.

    >>> is_comment(["# by hand"], 1), is_comment(["#by hand"], 2), is_comment(["#1.jpg", "Boa"], 2)
    (True, True, False)
    """
    if re.match(r"\s*#\s+\S", cells[0]):
        return True
    return cells[0].lstrip().startswith("#") and width > 1 and not any(cells[1:])


def _named(separator: str) -> str:
    return {",": "a comma", "\t": "a tab"}.get(separator, f"a {separator!r}")


def read_columns(path: Path, names: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the line and the cells of some columns of each row below the header.

    Raises:
        InputError: as `table_rows`, and for a column that is missing or there twice.
        OSError: when the file cannot be opened or read.
    """
    rows = table_rows(path)
    _, header = next(rows, (1, []))
    found = known_names(path, header, names)
    if not set(names) <= set(found):
        raise InputError(f"{path}: columns should be {','.join(names)}, not {header}")
    columns = [found.index(name) for name in names]
    for line, cells in rows:
        yield line, [cells[column] for column in columns]


def known_names(path: Path, found: Sequence[str], names: Collection[str]) -> list[str]:
    """Return the names of columns, those of ``names`` written as there.

    Ignored are case, blanks around a name, and the characters between its words; a column that has
    the exact name takes precedence.

    Raises:
        InputError: naming the file and the column that is there twice.
    """
    # polars appends the suffix to twins
    plain = [re.sub("_duplicated_[0-9]+$", "", name).strip("\ufeff" + BLANK) for name in found]
    spelled = {_name_key(name): name for name in sorted(names, reverse=True)}
    exact = set(plain) & set(names)
    known = []
    for name, bare in zip(found, plain, strict=True):
        meant = bare if bare in exact else spelled.get(_name_key(bare))
        if meant is None or (meant != bare and meant in exact):
            meant = name
        known.append(meant)
    for name in names:
        if known.count(name) > 1:
            raise InputError(f"{path}: column {name!r} is there twice; remove or rename one")
    return known


def _name_key(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.casefold())


def _rows(path: Path, form: Layout) -> Iterator[tuple[int, list[str]]]:
    line = form.lines + 1
    try:
        with path.open(encoding=form.encoding, newline="") as file:
            for _ in range(form.lines):
                next(file)
            reader = csv.reader(file, delimiter=form.separator, strict=True)
            for cells in reader:
                if "\0" in "".join(cells):
                    raise InputError(f"{path}, row {line}: has a NUL byte; remove it")
                if any(cell.strip(BLANK) for cell in cells):
                    yield line, cells
                line = form.lines + reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            f"{path}, row {line}: {error}; fix the quotes that start in that row"
        ) from None
    except UnicodeError:
        if form.encoding == "utf-8-sig":
            before = _valid_utf8(path.read_bytes())
            line = len(re.findall(rb"\r\n|\r|\n", before)) + 1
        raise InputError(f"{path}, row {line}: is not UTF-8; save the table as that") from None


def _valid_utf8(data: bytes) -> bytes:
    """Return the bytes before the first invalid one."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return data[: error.start]
    return data
