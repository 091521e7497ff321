"""The promises of docs/reliability.md are as their tests and protections are."""

import ast

import pytest
from promises import PAGE, ROOT, Promise, Without, read_promises, table

PROMISES = read_promises()
ALL = [promise for area in PROMISES.values() for promise in area]


def defined(test: str) -> bool:
    file, _, name = test.partition("::")
    path = ROOT / file
    return path.is_file() and any(
        isinstance(node, ast.FunctionDef) and node.name == name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    )


@pytest.mark.parametrize("promise", ALL, ids=lambda promise: promise.says)
def test_a_promise_has_tests_and_protections_that_are_there(promise):
    assert promise.tests
    assert promise.without
    assert [test for test in promise.tests if not defined(test)] == []
    for without in promise.without:
        text = (ROOT / without.file).read_text(encoding="utf-8")
        assert text.count(without.take) == 1, f"{without.file}: {without.take!r}"


def test_the_page_has_a_row_for_each_promise():
    text = PAGE.read_text(encoding="utf-8")
    for area, promises in PROMISES.items():
        assert f"### {area.capitalize()}\n" in text
        for promise in promises:
            row = next(line for line in text.splitlines() if line.startswith(f"| {promise.says} |"))
            assert row.count(" | ") == 3
            for test in promise.tests:
                assert test.removeprefix("tests/") in row
            for without in promise.without:
                assert without.what in row


def test_a_row_has_what_was_measured():
    promise = Promise("all is kept", ("tests/a.py::b",), (Without("a lock", "x", "y", "z"),))
    assert table([promise], {"tests/a.py::b": ["3 of 3"]}).splitlines()[-1] == (
        "| all is kept | `a.py::b` | 3 of 3 | a lock |"
    )


def test_a_protection_is_taken_out_where_it_stands_once(tmp_path):
    (tmp_path / "x.py").write_text("a = 1\nb = 2\n")
    Without("a", "x.py", "a = 1", "a = 3").apply(tmp_path)
    assert (tmp_path / "x.py").read_text() == "a = 3\nb = 2\n"
    with pytest.raises(SystemExit, match="should stand there once"):
        Without("a", "x.py", "a = 1", "a = 3").apply(tmp_path)
