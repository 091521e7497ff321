import csv
import io
import json

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ophis import InputError
from ophis.files.tables import place, read_rows

CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
ROWS = st.lists(st.tuples(st.just("x") | CELL.map("x".__add__), CELL, CELL), min_size=1, max_size=8)


@given(rows=ROWS, end=st.sampled_from(["\n", "\r\n"]), gap=st.integers(0, 2), bom=st.booleans())
@example(rows=[("x", '6" long', "\n\r"), ("x", "NA", "a,b")], end="\n", gap=1, bom=True)
def test_cells_round_trip_and_rows_have_the_lines_of_an_editor(
    tmp_path_factory, rows, end, gap, bom
):
    path = tmp_path_factory.mktemp("rows") / "t.csv"
    text, starts = "\ufeff" * bom + f"a,b,c{end}", []
    for row in rows:
        text += end * gap
        starts.append(text.count("\n") + text.replace("\r\n", "").count("\r") + 1)
        line = io.StringIO(newline="")
        csv.writer(line, quoting=csv.QUOTE_ALL, lineterminator=end).writerow(row)
        text += line.getvalue()
    path.write_text(text, encoding="utf-8", newline="")
    assert read_rows(path).rows() == rows
    assert [place(path, row) for row in range(len(rows))] == [f"{path}, row {s}" for s in starts]


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b'a,b\n6" long,7" long\nx,y\n', [('6" long', '7" long'), ("x", "y")]),
        (b"a,b\rx,y\rz,w\r", [("x", "y"), ("z", "w")]),
        (b"a,b\nx\n  \n,\n\ny,z", [("x", ""), ("y", "z")]),
        (b'\n\n"a","b"\nNA,nan\n', [("NA", "nan")]),
        (b"a,b\n", []),
        (b"", []),
    ],
)
def test_csv_variants_are_read(tmp_path, data, rows):
    (tmp_path / "t.csv").write_bytes(data)
    assert read_rows(tmp_path / "t.csv").rows() == rows


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a,b\nx,y\nx,y,z\n", "row 3: has 3 cells under 2 names; put a cell with a comma in"),
        (b'a,b\n"x\ny",z\nx,"y\nz,w\n', "row 4: .*; fix the quotes that start in that row"),
        (b'a,b\nx,"y"z\n', "row 2: .*; fix the quotes"),
        (b'a,b\nx,"y\nz"\nx,\xe9\n', "row 4: is not UTF-8; save the table as that"),
        (b"a,b\nx,y\0z\n", "row 2: has a NUL byte; remove it"),
        ("a,b\nx,y\n".encode("utf-16-le"), "is no CSV in UTF-8; save the table as that"),
        (b"PK\x03\x04\x14\0\x06\0", "is a workbook"),
    ],
)
def test_an_invalid_csv_is_refused_by_file_row_and_fix(tmp_path, data, words):
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(InputError, match=rf"t\.csv(, |: ){words}") as error:
        read_rows(tmp_path / "t.csv")
    assert "\n" not in str(error.value)


def test_parquet_cells_are_text_without_missing_values(tmp_path):
    path = tmp_path / "t.PARQUET"
    pl.DataFrame({"a": [1, None], "b": ["NA", ""]}).write_parquet(path)
    assert read_rows(path).rows() == [("1", "NA"), ("", "")]
    assert place(path, 1) == f"{path}, row 2"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"t\.PARQUET: cannot be read as Parquet: .*; write it"):
        read_rows(path)


def test_a_missing_file_is_named(tmp_path):
    for name in ("none.csv", "none.parquet"):
        with pytest.raises(InputError, match=rf"{name}: there is no such file"):
            read_rows(tmp_path / name)


VALUE = st.none() | st.booleans() | st.integers() | CELL


@settings(max_examples=40)
@given(rows=st.lists(st.dictionaries(CELL, VALUE, min_size=1), min_size=1, max_size=6))
def test_json_lines_round_trip_with_the_lines_of_an_editor(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("rows") / "t.jsonl"
    path.write_text("\n\n".join(map(json.dumps, rows)), encoding="utf-8")
    table = read_rows(path)
    for number, row in enumerate(rows):
        found = {name: cell for name, cell in table.row(number, named=True).items() if cell}
        texts = {n: v if isinstance(v, str) else json.dumps(v) for n, v in row.items()}
        assert found == {n: text for n, text in texts.items() if text and row[n] is not None}
        assert place(path, number) == f"{path}, row {2 * number + 1}"


@pytest.mark.parametrize("name", ["t.csv", "mac.csv", "t.jsonl", "t.parquet"])
def test_table_with_more_cells_than_its_size_allows_is_refused_unread(tmp_path, name):
    path = tmp_path / name
    if name == "t.jsonl":
        path.write_text("".join(f'{{"c{n}": 1}}\n' for n in range(8_000)))
    elif name == "t.parquet":
        pl.DataFrame({"photo": pl.repeat("", 20_000_000, eager=True)}).write_parquet(path)
    else:
        ends = "\r" if name == "mac.csv" else "\n"
        path.write_text(",".join(f"c{n}" for n in range(9_000)) + ends + f"a{ends}" * 500_000)
    with pytest.raises(InputError, match=rf"{name}: would have [0-9,]+ cells, far more than its"):
        read_rows(path)


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_table_of_too_many_columns_is_refused(tmp_path, name):
    path, names = tmp_path / name, [f"c{n}" for n in range(10_001)]
    if name == "t.csv":
        path.write_text(",".join(names) + "\n")
    elif name == "t.jsonl":
        path.write_text(json.dumps(dict.fromkeys(names, 1)) + "\n")
    else:
        pl.DataFrame({key: [1] for key in names}).write_parquet(path)
    with pytest.raises(InputError, match=rf"{name}: has 10,001 columns, more than 10,000; take"):
        read_rows(path)
