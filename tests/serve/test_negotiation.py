"""Preferences of clients in Accept headers."""

import pytest

from ophis.serve.negotiation import accepts_json, preferences, preferred_language


@pytest.mark.parametrize(("header", "values"), [
    ("", []), (" , ", []), ("es", ["es"]), ("es-MX, en;q=0.8", ["es-mx", "en"]),
    ("en;q=0.5, sw", ["sw", "en"]), ("en; q=0, sw ; q=0.001", ["sw"]),
    ("a;q=nan, b;q=2", ["a", "b"]),
    ("text/html;level=1;q=0.4, */*", ["*/*", "text/html"]),
])  # fmt: skip
def test_preferences_are_in_order_of_quality(header, values):
    assert preferences(header) == values


@pytest.mark.parametrize(("header", "language"), [
    ("", "en"), ("de", "en"), ("*", "en"), ("es", "es"), ("ES-mx", "es"), ("de, hi;q=0.1", "hi"),
    ("en-GB,en;q=0.9,fr;q=0.8", "en"), ("fr;q=0, pt", "pt"), ("../en, sw", "sw"),
])  # fmt: skip
def test_language_is_the_most_wanted_that_has_sentences(header, language):
    assert preferred_language(header) == language


@pytest.mark.parametrize(("header", "accepts"), [
    ("", True), ("*/*", True), ("application/json", True), ("text/html, application/*;q=0.1", True),
    ("text/html", False), ("application/json;q=0", False), ("application/xml", False),
])  # fmt: skip
def test_json_is_accepted(header, accepts):
    assert accepts_json(header) is accepts
